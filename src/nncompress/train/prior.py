"""A mixture of Gaussians as prior of the weights, learnt beside them: soft weight sharing (Ullrich, Meeds & Welling 2017, sec. 4).

ln p(w) is a function of one number for each weight, and so is its derivative. `tabulated_gradients` evaluates the mixture at the nodes of a
table over the range of the weights and interpolates between them, linearly. The mixture's own gradients are sums over weights of such
functions: the same table, weighed by a histogram in which each weight counts for the two nodes beside it by its distance. `exact_gradients`
evaluates every component at every weight and differentiates that; it is what the tests compare with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from nncompress.train.constraint import Free
from nncompress.types import Gamma, SoftSharing

NODES = 4096
NARROWEST = 4
"""Spacings of the table that the standard deviation of a component has at least, 1/1024 of the range of the weights: without Gamma priors the
precision of component 0 grows without bound, and what is narrower than the table's spacing the table cannot see."""
BETAS, EPSILON = (0.9, 0.999), 1e-8  # torch's Adam
BINS = 201
"""Of the histograms of the weights that are kept with the mixture's course."""

Gradients: TypeAlias = Callable[[Tensor, Tensor, float, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From weights (R, N), mixture (3, R, J + 1), pi_0, and a table's first node and spacing (R, 1), to the gradients of ln p(w), summed over each
replicate's weights: of the weights (R, N) and of the mixture (3, R, J + 1). The mixture's rows are means, log-precisions and mixing logits.
The mean of component 0 is zero and has no gradient; its logit is that of its share less that of pi_0, so it stays zero where pi_0 is fixed."""


def log_shares(logits: Tensor, zero_share: float) -> Tensor:
    """ln pi_j, (R, J + 1): of component 0 `zero_share`, its logit moved by the one given here; of the rest a softmax of the others' logits."""
    of_zero = logits[:, :1] + math.log(zero_share) - math.log1p(-zero_share)
    return torch.cat([logsigmoid(of_zero), logsigmoid(-of_zero) + logits[:, 1:].log_softmax(1)], 1)


def log_joint(numbers: Tensor, mixture: Tensor, zero_share: float) -> Tensor:
    """ln pi_j N(w | mu_j, 1 / lambda_j) of numbers (R, N), (R, J + 1, N)."""
    means, log_precisions, logits = mixture
    constant = log_shares(logits, zero_share) + (log_precisions - math.log(2 * math.pi)) / 2
    away = numbers.unsqueeze(1) - means.unsqueeze(2)
    return torch.addcmul(constant.unsqueeze(2), away.square(), log_precisions.exp().unsqueeze(2), value=-0.5)


def log_prior(weights: Tensor, mixture: Tensor, zero_share: float) -> Tensor:
    """ln p(w) summed over each replicate's weights (R, N), (R,): the exact form."""
    return log_joint(weights, mixture, zero_share).logsumexp(1).sum(1)


def exact_gradients(weights: Tensor, mixture: Tensor, zero_share: float, *_: Tensor) -> tuple[Tensor, Tensor]:
    """`Gradients` of the exact form, by autograd."""
    with torch.enable_grad():
        leaves = weights.detach().requires_grad_(), mixture.detach().requires_grad_()
        of_weights, of_mixture = torch.autograd.grad(log_prior(*leaves, zero_share).sum(), leaves)
    of_mixture[0, :, 0] = 0  # component 0 stays at zero
    return of_weights, of_mixture


def table(weights: Tensor) -> tuple[Tensor, Tensor]:
    """First node and spacing, (R, 1) each, of a table that spans the range of each replicate's weights (R, N)."""
    low, high = (torch.stack(bounds).unsqueeze(1) for bounds in zip(*(row.aminmax() for row in weights), strict=True))
    return low, ((high - low) / (NODES - 2)).clamp_min(torch.finfo(torch.float32).tiny)


def tabulated_gradients(weights: Tensor, mixture: Tensor, zero_share: float, first: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor]:
    """`Gradients` by a table and a histogram; the error is of the second order of the spacing over the components' standard deviations."""
    place = (weights - first).div_(spacing)
    cell = place.long()
    beyond = place.frac_()  # the node on the left, in spacings
    counts = weights.new_zeros(len(weights), NODES)
    counts[:, 1:].scatter_add_(1, cell, beyond)
    counts.scatter_add_(1, cell, 1 - beyond)

    means, log_precisions, logits = mixture
    precisions = log_precisions.exp()
    nodes = first + spacing * torch.arange(NODES, dtype=weights.dtype, device=weights.device)
    away = means.unsqueeze(2) - nodes.unsqueeze(1)  # (R, J + 1, NODES), as all of these
    responsibilities = log_joint(nodes, mixture, zero_share).softmax(1)
    shifts = responsibilities * away
    slopes = (precisions.unsqueeze(1) @ shifts).squeeze(1)  # of ln p at the nodes, (R, NODES)
    of_mixture = torch.zeros_like(mixture)
    shares, shift, square = ((moment @ counts.unsqueeze(2)).squeeze(2) for moment in (responsibilities, shifts, shifts * away))
    of_mixture[0, :, 1:] = (-precisions * shift)[:, 1:]
    of_mixture[1] = (shares - precisions * square) / 2
    of_mixture[2, :, 1:] = shares[:, 1:] - logits[:, 1:].softmax(1) * shares[:, 1:].sum(1, keepdim=True)
    of_mixture[2, :, 0] = shares[:, 0] - log_shares(logits, zero_share)[:, 0].exp() * weights.shape[1]
    rises = torch.nn.functional.pad(slopes.diff(dim=1), (0, 1))
    return slopes.gather(1, cell).addcmul_(beyond, rises.gather(1, cell)), of_mixture


def initial_mixture(sharing: SoftSharing, weights: Tensor) -> Tensor:
    """Where the mixture starts for weights (R, N), (3, R, J + 1)."""
    if sharing.reach is None:
        low, high = weights.amin(1), weights.amax(1)
    else:
        high = torch.full((len(weights),), sharing.reach, device=weights.device)
        low = -high
    along = torch.linspace(0, 1, sharing.components, device=weights.device)
    means = low.unsqueeze(1) + (high - low).unsqueeze(1) * along
    stds = (high - low) / (sharing.components - 1) if sharing.initial_std is None else torch.full_like(high, sharing.initial_std)
    mixture = torch.zeros(3, len(weights), sharing.components + 1, device=weights.device)
    mixture[0, :, 1:] = means
    mixture[1] = -2 * stds.clamp_min(1e-12).log().unsqueeze(1)
    return mixture


class MixturePrior(nn.Module):
    """The prior of R stacked replicates. It is no objective, for it looks at no batch. What it looks at is the flat vector of latent values:
    there its gradient is added to that of the loss, and its mixture moves beside them.

    `examples`: N, of the training split. `gradients`: how they are computed.
    """

    mixture: Tensor
    moments: Tensor
    rates: Tensor
    gamma: Tensor

    def __init__(self, sharing: SoftSharing, constraint: Free, examples: int, gradients: Gradients = tabulated_gradients) -> None:
        super().__init__()
        self.sharing, self.layout, self.gradients = sharing, constraint.layout, gradients
        self.factor = sharing.tau / examples
        self.steps = 0
        weights = self.layout.matrix(constraint.latent.detach())
        self.register_buffer("mixture", initial_mixture(sharing, weights))
        self.register_buffer("moments", torch.zeros(2, *self.mixture.shape))  # Adam's
        self.register_buffer("rates", torch.tensor([sharing.mean_rate, sharing.precision_rate, sharing.share_rate]).view(3, 1, 1))
        priors = [sharing.zero_precision] + [sharing.precisions] * sharing.components
        self.register_buffer("gamma", torch.tensor([_gamma(prior) for prior in priors]).T.contiguous())  # (2, J + 1)
        bounds = [float(row.abs().max()) or 1.0 for row in weights]
        self._edges = [np.linspace(-bound, bound, BINS + 1, dtype=np.float32) for bound in bounds]
        self._course: list[list[dict[str, np.ndarray]]] = [[] for _ in weights]

    @torch.no_grad()
    def pull(self, constraint: Free) -> None:
        """Add the prior's gradient to `constraint.gradient`, and move the mixture by a step of Adam."""
        weights = self.layout.matrix(constraint.latent.detach())
        first, spacing = table(weights)
        of_weights, of_mixture = self.gradients(weights, self.mixture, self.sharing.zero_share, first, spacing)
        self.layout.add(constraint.gradient, of_weights, -self.factor)
        alpha, beta = self.gamma
        of_mixture[1] += alpha - 1 - beta * self.mixture[1].exp()  # of ln Gamma(lambda_j), up to a constant
        of_mixture[2, :, 0] = self._of_zero_share(of_mixture[2, :, 0])
        self._move(of_mixture.mul_(-self.factor))
        self.mixture[1].clamp_(max=-2 * (NARROWEST * spacing).log())

    def _of_zero_share(self, gradient: Tensor) -> Tensor:
        """The gradient by the logit of pi_0, (R,), with that of ln Beta(pi_0); zero where pi_0 is fixed."""
        beta = self.sharing.zero_share_prior
        if beta is None:
            return torch.zeros_like(gradient)
        share = log_shares(self.mixture[2], self.sharing.zero_share)[:, 0].exp()
        return gradient + (beta.alpha - 1) * (1 - share) - (beta.beta - 1) * share

    def _move(self, gradient: Tensor) -> None:
        self.steps += 1
        (mean, square), (keep_mean, keep_square) = self.moments, BETAS
        mean.lerp_(gradient, 1 - keep_mean)
        square.mul_(keep_square).addcmul_(gradient, gradient, value=1 - keep_square)
        scale = (square / (1 - keep_square**self.steps)).sqrt_().add_(EPSILON)
        self.mixture -= self.rates / (1 - keep_mean**self.steps) * mean / scale

    # -- what is kept of it ----------------------------------------------------------------------------------------------------------------

    def note(self, step: int, constraint: Free) -> None:
        """Keep the mixture and a histogram of the weights as they are after so many steps."""
        logs = log_shares(self.mixture[2], self.sharing.zero_share)
        weights = self.layout.matrix(constraint.latent.detach()).cpu().numpy()
        named = {"means": self.mixture[0], "log_precisions": self.mixture[1], "log_shares": logs}
        host = {name: tensor.cpu().numpy() for name, tensor in named.items()}
        for r, (course, edges) in enumerate(zip(self._course, self._edges, strict=True)):
            counts = np.histogram(weights[r].clip(edges[0], edges[-1]), edges)[0].astype(np.int32)
            course.append({"step": np.array(step, np.int32), **{name: array[r].copy() for name, array in host.items()}, "counts": counts})

    def course(self, replicate: int) -> dict[str, np.ndarray]:
        """What was noted of one replicate, E times, first at its start: `step` (E,); `means`, `log_precisions` and `log_shares` (E, J + 1);
        `counts` (E, BINS), a histogram of the weights between `edges` (BINS + 1,), the largest magnitude at the start; what lies outside is
        counted at the ends."""
        noted = self._course[replicate]
        return {name: np.stack([entry[name] for entry in noted]) for name in noted[0]} | {"edges": self._edges[replicate]}

    def state(self, replicate: int) -> dict[str, np.ndarray]:
        """All that one replicate needs to go on exactly."""
        mixture = torch.cat([self.mixture.unsqueeze(0), self.moments])[:, :, replicate]
        return {"steps": np.array(self.steps), "mixture": mixture.cpu().numpy(), **self.course(replicate)}

    def resume(self, states: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Go on from what `state` gave for each replicate."""
        self.steps = int(states[0]["steps"])
        mixture = torch.from_numpy(np.stack([state["mixture"] for state in states], 2)).to(self.mixture.device)  # (3, 3, R, J + 1)
        self.mixture.copy_(mixture[0])
        self.moments.copy_(mixture[1:])
        self._edges = [state["edges"] for state in states]
        names = ("step", "means", "log_precisions", "log_shares", "counts")
        self._course = [[dict(zip(names, entry, strict=True)) for entry in zip(*(s[n] for n in names), strict=True)] for s in states]


def _gamma(prior: Gamma | None) -> tuple[float, float]:
    """Shape and rate; without a prior those of a flat one."""
    return (1.0, 0.0) if prior is None else (prior.alpha, prior.beta)
