"""The one LightningModule: R stacked replicates of a system, moved by blocks of optimiser steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NoReturn, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.fx import Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import Parameter
from torch.utils.data import DataLoader

from nncompress.data import ImageFiles, Splits, scale
from nncompress.data.order import raw_bits
from nncompress.errors import UserError
from nncompress.models import output_layer
from nncompress.models.layers import Dropout
from nncompress.prune import adjusted_dropout
from nncompress.train.callbacks import State
from nncompress.train.constraint import Free
from nncompress.train.feed import Feed
from nncompress.train.objective import System
from nncompress.train.prior import MixturePrior
from nncompress.train.schedule import learning_rate_at, momentum_at
from nncompress.train.specialties import Specialties
from nncompress.types import Dataset, Training

Result = TypeVar("Result")
CHUNK, VALUES = 1000, 2**24
"""Examples that are evaluated at once, and inputs of a net that they may have together: 111 images of 3 x 224 x 224."""

_RESTATING = {torch.ops.aten.detach.default, torch.ops.aten.expand.default, torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default}


def _shape(node: Node) -> torch.Size:
    shape: torch.Size = node.meta["val"].shape
    return shape


def _channels_last(images: Tensor) -> Tensor:
    """On a CPU, images (B, C, H, W) with the channels of a place side by side in memory, which convolutions, ReLU and pooling then keep: the
    same numbers but for the order of sums, sooner (benchmarks/convolution_step.py). All other tensors as they are."""
    return images.to(memory_format=torch.channels_last) if images.dim() == 4 and images.device.type == "cpu" else images


def chunks(images: Tensor | ImageFiles) -> Iterator[slice]:
    """The images (N, C, H, W) in parts that a net sees at once."""
    size = max(1, min(CHUNK, VALUES // math.prod(images.shape[1:])))
    for first in range(0, len(images), size):
        yield slice(first, first + size)


class Learner(pl.LightningModule):
    """Trains R replicates that share a system and differ in weights, masks and batch order.

    A Lightning step is a block of optimiser steps, up to the next evaluation, so that the loop around it costs nothing beside tiny nets.
    """

    best: Tensor

    def __init__(
        self,
        system: System,
        constraint: Free,
        training: Training,
        dataset: Dataset,
        splits: Splits,
        seeds: list[int],
        span: tuple[int, int],
        labels: list[str],
        teachers: Sequence[np.ndarray] = (),
        specialties: Specialties | None = None,
        prior: MixturePrior | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.constraint = constraint
        self.prior = prior
        self._system = [system]  # in a list: its own parameters are only a template for `functional_call`
        self.training_spec, self.dataset, self.splits, self.seeds, self.labels = training, dataset, splits, seeds, labels
        self.teachers, self.specialties = teachers, specialties
        self.first_step, self.last_step = span
        self.step = self.first_step
        self.seconds = 0.0
        self.share = (0, 1)  # this process's rank, and how many share each batch
        self.dtype_in = torch.bfloat16 if constraint.layout.low else torch.float32
        self.curve: list[tuple[int, list[float], list[float]]] = []  # (step, validation loss, validation accuracy) of each replicate
        replicates = len(seeds)
        self.best_loss = [math.inf] * replicates
        self.best_step = [self.first_step] * replicates
        self.register_buffer("best", constraint.latent.detach().clone())
        self._graph: Callable[..., tuple[Tensor, tuple[Tensor, ...]]] | None = None
        self._moments: dict[str, Tensor] = {}
        self._bounds: dict[str, Tensor] = {}
        self._output = f"{output_layer(system.net)}.weight"
        self._dropouts = [(name, module) for name, module in system.net.named_modules() if isinstance(module, Dropout)]
        self._dropout_rates = [[module.p] * replicates for _, module in self._dropouts]

    def adjust_dropout(self, kept: Sequence[Mapping[str, float]]) -> None:
        """Lower each replicate's dropout after a hidden layer to the share of its weights that are kept (parameter name -> share)."""
        for (name, module), rates in zip(self._dropouts, self._dropout_rates, strict=True):
            weight = f"{name.removesuffix('_dropout')}.weight"
            rates[:] = [adjusted_dropout(module.p, shares.get(weight, 1.0)) for shares in kept]

    # -- what is computed ------------------------------------------------------------------------------------------------------------------

    @property
    def system(self) -> System:
        return self._system[0]

    def _stacked(self, function: Callable[[dict[str, Tensor], Any], Any], parameters: dict[str, Tensor], argument: Any, shared: bool) -> Any:
        """`function(parameters, argument)` for each replicate. One replicate alone is computed without `vmap`."""
        if self.constraint.layout.replicates > 1:
            return vmap(function, in_dims=(0, None if shared else 0))(parameters, argument)
        single = {name: tensor[0] for name, tensor in parameters.items()}
        argument = _channels_last(argument) if shared else {name: _channels_last(tensor[0]) for name, tensor in argument.items()}
        result = function(single, argument)
        return {name: value.unsqueeze(0) for name, value in result.items()} if isinstance(result, dict) else result.unsqueeze(0)

    def losses(self, leaves: Sequence[Tensor], batch: dict[str, Tensor], kept: dict[str, Tensor]) -> dict[str, Tensor]:
        """The named losses of each replicate on its batch, (R,) each. `leaves`: the effective weights; `kept`: dropout's kept units."""
        names = [f"net.{name}" for name in self.constraint.effective]
        parameters = dict(zip(names, leaves, strict=True)) | kept
        result: dict[str, Tensor] = self._stacked(lambda p, b: functional_call(self.system, p, (b,)), parameters, batch, shared=False)
        return result

    def gradients(self, leaves: Sequence[Tensor], batch: dict[str, Tensor], kept: dict[str, Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The losses (R,) and the gradients of their sum; a replicate's loss depends on its own weights only, so its gradients are its own."""
        loss = self.losses(leaves, batch, kept)["loss"]
        return loss.detach(), torch.autograd.grad(loss.sum(), leaves)

    def _traced(self, batch: dict[str, Tensor], kept: dict[str, Tensor]) -> Callable[..., tuple[Tensor, tuple[Tensor, ...]]]:
        """`gradients` as the flat list of operations that it comes to, recorded once: the same numbers without the work of `vmap`,
        `functional_call` and autograd at every step. So an objective may not branch on values."""
        leaves = [leaf.detach().clone().requires_grad_() for leaf in self.constraint.leaves]
        traced = make_fx(lambda *given: self.gradients(*given))(leaves, batch, kept)
        for node in traced.graph.nodes:  # much of what is recorded only says anew what a tensor is already
            if node.target in _RESTATING and _shape(node) == _shape(node.args[0]):
                node.replace_all_uses_with(node.args[0])
        traced.graph.eliminate_dead_code()
        traced.recompile()
        return traced

    def _kept_units(self, step: int) -> dict[str, Tensor]:
        """Dropout's kept units for this step, drawn from (seed, step, place) on the host, so that they depend on nothing else."""
        kept = {}
        for place, ((name, module), rates) in enumerate(zip(self._dropouts, self._dropout_rates, strict=True)):
            units = []
            size = self.training_spec.batch_size, module.features
            for seed, rate in zip(self.seeds, rates, strict=True):
                count = size[0] * size[1]
                bits = raw_bits("dropout", seed, step * len(self._dropouts) + place, -(-count // 4)).view(np.uint16)[:count]
                units.append(torch.from_numpy(bits >= round(rate * 2**16)).view(size))  # 16 random bits a unit
            share = torch.stack(units)[:, self.share[0] :: self.share[1]].to(self.device, self.dtype_in)
            kept[f"net.{name}.keep"] = share.mul_((1 / (1 - torch.tensor(rates, device=self.device))).to(self.dtype_in).view(-1, 1, 1))
        return kept

    def inputs(self, images: Tensor) -> Tensor:
        """What the nets see of images (N, C, H, W), on the device: uint8 are scaled, floats are inputs already."""
        return scale(images.to(self.device), self.splits, self.dataset.scaling, self.dtype_in)

    @torch.no_grad()
    def _answers(self, images: Tensor | ImageFiles) -> Iterator[Tensor]:
        """Logits (R, n, classes) in float32 of images (N, C, H, W), uint8 or already `inputs`, chunk by chunk."""
        for chunk in chunks(images):
            x = self.inputs(images[chunk])
            yield self._stacked(lambda p, b: functional_call(self.system.net, p, (b,)), self.constraint.effective, x, shared=True).float()

    def logits(self, images: Tensor | ImageFiles) -> Tensor:
        """Logits of each replicate, (R, N, classes) float32."""
        return torch.cat(list(self._answers(images)), dim=1)

    @torch.no_grad()
    def evaluate(self, images: Tensor | ImageFiles, labels: Tensor) -> tuple[list[float], list[float]]:
        """Mean cross-entropy and accuracy of each replicate on images (N, C, H, W), uint8 or already `inputs`.

        Of a specialist they are means of what it is trained for: its own targets, special and other examples weighing half each.
        """
        totals = torch.zeros(2, self.constraint.layout.replicates, device=self.device)
        targets, weights = labels.to(self.device), None
        if self.specialties is not None:
            targets, weights = self.specialties.targets(targets), self.specialties.weights(targets)
        for chunk, logits in zip(chunks(images), self._answers(images), strict=True):
            y = targets[..., chunk]
            losses = -logits.log_softmax(-1).gather(2, y.expand(logits.shape[0], -1).unsqueeze(2)).squeeze(2)
            right = (logits.argmax(-1) == y).float()
            if weights is not None:
                losses, right = losses * weights[:, chunk], right * weights[:, chunk]
            totals += torch.stack([losses.sum(1), right.sum(1)])
        loss, accuracy = (totals / len(labels)).tolist()
        return loss, accuracy

    # -- the loop --------------------------------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> torch.optim.Optimizer:
        spec, parameters = self.training_spec, [self.constraint.latent]
        if spec.optimizer == "adam":
            return torch.optim.Adam(parameters, lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=True)
        return torch.optim.SGD(parameters, lr=spec.learning_rate, momentum=spec.momentum, weight_decay=spec.weight_decay, fused=True)

    def train_dataloader(self) -> DataLoader[Any]:
        """The blocks still to do: (first step, last step), each up to the next evaluation."""
        every = self.training_spec.evaluate_every
        bounds = [self.step, *range((self.step // every + 1) * every, self.last_step, every), self.last_step]
        return DataLoader(list(pairwise(bounds)), batch_size=None)  # type: ignore[arg-type]

    def on_fit_start(self) -> None:
        self.share = (self.global_rank, self.trainer.world_size)
        self.feed = Feed(self.splits, self.dataset, self.training_spec, self.seeds, self.dtype_in, self.device, self.teachers, self.specialties)
        images = self.splits.validation_x
        self.validation = self.inputs(images) if isinstance(images, Tensor) else images, self.splits.validation_y.to(self.device)
        self._bounds = self._norm_bounds()

    def on_fit_end(self) -> None:
        del self.feed  # Trainer and module hold one another, so that what they hold may stay in memory long after the fit

    def training_step(self, block: tuple[int, int], _: int) -> None:
        first, last = block
        optimizer = self.trainer.optimizers[0]
        total = torch.zeros(len(self.seeds), device=self.device)
        for step, batch in zip(range(first, last), self.feed.batches(first, last, *self.share), strict=True):
            kept = self._kept_units(step)
            if self._graph is None:
                self._graph = self._traced(batch, kept)
            with torch.no_grad():
                loss, gradients = self._graph(self.constraint.leaves, batch, kept)
            self.constraint.pull(gradients)
            if self.share[1] > 1:  # one flat gradient: one message between the processes
                torch.distributed.all_reduce(self.constraint.gradient.div_(self.share[1]))
            if self.prior is not None:  # of the weights alone: the same in every process
                self.prior.pull(self.constraint)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(self.training_spec, step)
                if "momentum" in group:
                    group["momentum"] = momentum_at(self.training_spec, step)
            optimizer.step()
            if self._bounds:
                self._bound_norms()
            self.constraint.push()
            total += loss
        self.step = last
        self._stop_if_diverged(total)
        if self.prior is not None:
            self.prior.note(last, self.constraint)
        if len(self.validation[1]):
            self._early_stop(*self.evaluate(*self.validation))

    def _early_stop(self, loss: list[float], accuracy: list[float]) -> None:
        """Keep each replicate's weights at the minimum of its validation loss (Frankle & Carbin 2019: the early-stopping iteration)."""
        self.curve.append((self.step, loss, accuracy))
        improved = [new < best for new, best in zip(loss, self.best_loss, strict=True)]
        if any(improved):
            self.best_loss = [min(pair) for pair in zip(loss, self.best_loss, strict=True)]
            self.best_step = [self.step if better else old for better, old in zip(improved, self.best_step, strict=True)]
            better = torch.tensor(improved, device=self.device)[self.constraint.owner]
            self.best = torch.where(better, self.constraint.latent.detach(), self.best)

    def _stop_if_diverged(self, total: Tensor) -> None:
        for r, value in enumerate(total.tolist()):
            if not math.isfinite(value):
                self.stop_diverged(r, f"the loss is {value}")

    def stop_diverged(self, replicate: int, what: str) -> NoReturn:
        """Raises: UserError that names the replicate, the step and the learning rate."""
        rate = learning_rate_at(self.training_spec, max(0, self.step - 1))
        raise UserError(f"{self.labels[replicate]}: {what} by step {self.step} at learning rate {rate:g}; lower the learning rate")

    def _norm_bounds(self) -> dict[str, Tensor]:
        """Parameter name -> bound on the norm of the incoming weights of each hidden unit, (R, 1): `max_norm` times the share of the layer's
        inputs that dropout keeps, since the kept ones are divided by that share (see `Training`)."""
        bounds: dict[str, Tensor] = {}
        kept = torch.ones(len(self.seeds))
        places = {name: place for place, (name, _) in enumerate(self._dropouts)}
        for name, module in self.system.net.named_modules():
            if name in places:
                kept = 1 - torch.tensor(self._dropout_rates[places[name]])
            elif isinstance(getattr(module, "weight", None), Parameter):
                if f"{name}.weight" != self._output and self.training_spec.max_norm is not None:
                    bounds[f"{name}.weight"] = (self.training_spec.max_norm * kept).view(-1, 1).to(self.device)
                kept = torch.ones(len(self.seeds))
        return bounds

    @torch.no_grad()
    def _bound_norms(self) -> None:
        """Scale the incoming weights of the hidden units whose norm is above their layer's bound down to it (Hinton et al. 2012)."""
        weights = self.constraint.layout.views(self.constraint.latent.detach())
        for name, bound in self._bounds.items():
            weight = weights[name]
            norms = torch.linalg.vector_norm(weight.flatten(2), dim=2)
            above = norms > bound
            if above.any():  # of few steps, and then of few units
                scale = bound.expand_as(norms)[above] / norms[above]
                weight[above] *= scale.view(-1, *[1] * (weight.dim() - 2))

    def at(self, latent: Tensor, function: Callable[[], Result]) -> Result:
        """`function()` with other latent weights put in for the time of the call."""
        current = self.constraint.latent.detach().clone()
        with torch.no_grad():
            self.constraint.latent.copy_(latent)
            self.constraint.push()
            try:
                return function()
            finally:
                self.constraint.latent.copy_(current)
                self.constraint.push()

    # -- what a continued fit needs --------------------------------------------------------------------------------------------------------

    def states(self, optimizer: torch.optim.Optimizer) -> list[State]:
        """For each replicate its arrays (weights, best weights, the optimiser's moments) and plain values, enough to go on exactly."""
        constraint = self.constraint
        flats = {"weights": constraint.latent, "best": self.best}
        flats |= {name: value for name, value in optimizer.state[constraint.latent].items() if value.shape == constraint.latent.shape}
        by_kind = {kind: constraint.layout.unflatten(constraint.dense(flat)) for kind, flat in flats.items()}
        states = []
        for r in range(len(self.seeds)):
            arrays = {f"{kind}/{name}": array for kind, replicates in by_kind.items() for name, array in replicates[r].items()}
            if self.prior is not None:
                arrays |= {f"prior/{name}": array for name, array in self.prior.state(r).items()}
            meta = {
                "step": self.step,
                "seconds": self.seconds / len(self.seeds),
                "best_loss": self.best_loss[r],
                "best_step": self.best_step[r],
            }
            states.append((arrays, {**meta, "curve": [(step, loss[r], accuracy[r]) for step, loss, accuracy in self.curve]}))
        return states

    def resume(self, states: Sequence[State]) -> None:
        """Go on from `states`. The weights are already in the constraint; the moments wait for the optimiser."""
        metas, layout = [meta for _, meta in states], self.constraint.layout

        def latent(kind: str) -> Tensor:
            arrays = [{name: found[f"{kind}/{name}"] for name in layout.shapes} for found, _ in states]
            return self.constraint.latent_of(layout.flatten(arrays)).to(self.constraint.latent.device)

        kinds = {name.split("/")[0] for name in states[0][0]} - {"weights", "best", "prior"}
        self._moments = {kind: latent(kind) for kind in sorted(kinds)}
        self.best = latent("best")
        if self.prior is not None:
            named = [name for name in states[0][0] if name.startswith("prior/")]
            self.prior.resume([{name.removeprefix("prior/"): found[name] for name in named} for found, _ in states])
        self.step, self.seconds = metas[0]["step"], sum(meta["seconds"] for meta in metas)
        self.best_loss, self.best_step = [meta["best_loss"] for meta in metas], [meta["best_step"] for meta in metas]
        curves = zip(*(meta["curve"] for meta in metas), strict=True)
        self.curve = [(entries[0][0], [e[1] for e in entries], [e[2] for e in entries]) for entries in curves]

    def on_train_start(self) -> None:
        if self._moments:
            taken = torch.tensor(float(self.step - self.first_step), device=self.device)
            moments = {name: value.to(self.device) for name, value in self._moments.items()}
            self.trainer.optimizers[0].state[self.constraint.latent] = {"step": taken, **moments}
            self._moments = {}
