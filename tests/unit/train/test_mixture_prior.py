"""The mixture prior: its exact form, the table that stands for it, and the training beside the weights."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Beta as BetaDistribution
from torch.distributions import Categorical, MixtureSameFamily, Normal
from torch.distributions import Gamma as GammaDistribution

from nncompress.errors import UserError
from nncompress.models import initial_weights
from nncompress.quantize.soft_sharing import Mixture
from nncompress.train import fit as fit_module
from nncompress.train.constraint import Free, constrain
from nncompress.train.fit import Replicate, Runtime, fit
from nncompress.train.prior import (
    NARROWEST,
    NODES,
    MixturePrior,
    exact_gradients,
    initial_mixture,
    log_prior,
    log_shares,
    table,
    tabulated_gradients,
)
from nncompress.types import Beta, Gamma, SoftSharing, Training
from tests.unit.train.test_fit import ADAM, MODEL, TASK, assert_close, replicates, runtime

__all__ = ["runtime"]

SHARING = SoftSharing(tau=0.01, zero_share=0.9, components=4, zero_precision=Gamma(5.0, 0.01), precisions=Gamma(3.0, 0.02))
SHARED = replace(TASK, training=ADAM, sharing=SHARING)


def some(
    std: float, replicates: int = 2, numbers: int = 5000, components: int = 5, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Weights (R, N) around zero and around other means, and a mixture of such stds whose means are not quite these."""
    generator = torch.Generator().manual_seed(0)
    means = torch.linspace(-0.5, 0.6, components - 1)
    around = torch.cat([torch.zeros(20), means])[torch.randint(20 + components - 1, (replicates, numbers), generator=generator)]
    weights = around + std * torch.randn(replicates, numbers, generator=generator)
    mixture = torch.randn(3, replicates, components, generator=generator) * 0.3
    mixture[0] = torch.cat([torch.zeros(1), means]) * 1.1
    mixture[1] -= 2 * np.log(std)
    mixture[0, :, 0] = 0
    return weights.to(dtype), mixture.to(dtype)


# -- the exact form ------------------------------------------------------------------------------------------------------------------------


def test_the_log_prior_is_the_sum_of_the_log_density_of_the_distribution() -> None:
    weights, mixture = some(0.05, dtype=torch.float64)
    shares = log_shares(mixture[2], 0.9)
    reference = MixtureSameFamily(
        Categorical(logits=shares.unsqueeze(1)), Normal(mixture[0].unsqueeze(1), (-mixture[1] / 2).exp().unsqueeze(1))
    )
    torch.testing.assert_close(log_prior(weights, mixture, 0.9), reference.log_prob(weights).sum(1))
    for r in range(2):
        stored = Mixture(*(row[r].numpy() for row in (mixture[0], mixture[1], shares)))
        assert stored.log_density(weights[r].numpy()).sum() == pytest.approx(float(log_prior(weights, mixture, 0.9)[r]))


def test_component_0_has_its_share_and_the_others_a_softmax_of_the_rest() -> None:
    shares = log_shares(torch.tensor([[1.0, 1.0, 3.0], [1 / 9, 1.0, 3.0]]).log(), 0.9).exp()
    torch.testing.assert_close(shares, torch.tensor([[0.9, 0.025, 0.075], [0.5, 0.125, 0.375]]))  # odds of 9 to 1, and a ninth of these


def test_the_exact_gradients_are_right() -> None:
    weights, mixture = some(0.05, numbers=30, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda w, m: log_prior(w, m, 0.9), (weights.requires_grad_(), mixture.requires_grad_()))


def test_a_single_gaussian_worked_by_hand() -> None:
    """Far from component 1 the prior is ln N(w | 0, 1/4): its derivative is -4 w, and that by ln lambda (1 - 4 w^2) / 2."""
    weights = torch.tensor([[-0.5, 0.25, 0.5]])
    mixture = torch.zeros(3, 1, 2)
    mixture[0, 0, 1], mixture[1] = 40.0, np.log(4.0)
    for gradients in (exact_gradients, tabulated_gradients):
        of_weights, of_mixture = gradients(weights, mixture, 0.9, *table(weights))
        torch.testing.assert_close(of_weights, torch.tensor([[2.0, -1.0, -2.0]]), atol=1e-4, rtol=0)
        torch.testing.assert_close(of_mixture[1], torch.tensor([[(3 - 4 * (0.25 + 0.25 + 0.0625)) / 2, 0.0]]), atol=1e-4, rtol=0)


# -- the table -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("std", [0.3, 0.05, 0.01])
def test_the_table_agrees_with_the_exact_form_to_a_thousandth(std: float) -> None:
    weights, mixture = some(std)
    exact, near = (gradients(weights, mixture, 0.9, *table(weights)) for gradients in (exact_gradients, tabulated_gradients))
    for one, other in zip(exact[0], near[0], strict=True):
        assert (one - other).norm() <= 1e-3 * one.norm()
    for row, (one, other) in enumerate(zip(exact[1], near[1], strict=True)):
        torch.testing.assert_close(other, one, atol=1e-3 * float(one.abs().max()), rtol=0, msg=f"row {row}")


def test_the_error_of_the_table_is_of_the_second_order(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, mixture = some(0.05, dtype=torch.float64)
    errors = []
    for nodes in (258, 514, 1026):
        monkeypatch.setattr("nncompress.train.prior.NODES", nodes)
        exact, near = (gradients(weights, mixture, 0.9, *table(weights)) for gradients in (exact_gradients, tabulated_gradients))
        errors.append([float((one - other).norm()) for one, other in zip(exact, near, strict=True)])
    for coarse, fine in pairwise(errors):
        assert all(c / f == pytest.approx(4, rel=0.35) for c, f in zip(coarse, fine, strict=True))


def test_at_the_narrowest_the_table_is_still_right_to_two_hundredths() -> None:
    """A component of the narrowest standard deviation allowed, and weights of its distribution beside others that span the range."""
    generator = torch.Generator().manual_seed(0)
    std = NARROWEST * 2.0 / (NODES - 2)
    weights = torch.cat([torch.tensor([-1.0, 1.0]), std * torch.randn(20_000, generator=generator)]).unsqueeze(0)
    mixture = torch.zeros(3, 1, 3)
    mixture[0, 0, 1:], mixture[1] = torch.tensor([-1.0, 1.0]), -2 * np.log(std)
    first, spacing = table(weights)
    exact, near = (gradients(weights, mixture, 0.9, first, spacing) for gradients in (exact_gradients, tabulated_gradients))
    assert (exact[0] - near[0]).norm() <= 0.02 * exact[0].norm()
    scale = 20_000 / 2  # a component's sum of (1 - lambda away^2) / 2 has terms of this size, which cancel at the fitted precision
    assert (exact[1][1] - near[1][1]).abs().max() <= 0.02 * scale


@pytest.mark.parametrize("weights", [torch.zeros(2, 10), torch.full((2, 10), 0.3), torch.tensor([[-1.0, 1.0]])])
def test_the_table_spans_whatever_weights_there_are(weights: Tensor) -> None:
    mixture = some(0.05, replicates=len(weights))[1]
    near, exact = (gradients(weights, mixture, 0.9, *table(weights)) for gradients in (tabulated_gradients, exact_gradients))
    torch.testing.assert_close(near[0], exact[0], rtol=1e-2, atol=1e-2)


# -- where it starts, and the hyper-priors -------------------------------------------------------------------------------------------------


def test_means_start_evenly_over_the_range_of_the_weights_and_each_covers_its_part() -> None:
    mixture = initial_mixture(replace(SHARING, components=3), torch.tensor([[-0.2, 0.0, 0.6], [-1.0, 0.5, 1.0]]))
    torch.testing.assert_close(mixture[0], torch.tensor([[0, -0.2, 0.2, 0.6], [0, -1.0, 0.0, 1.0]]))
    torch.testing.assert_close((-mixture[1] / 2).exp()[:, 1], torch.tensor([0.4, 1.0]))
    torch.testing.assert_close(log_shares(mixture[2], 0.9)[0].exp(), torch.tensor([0.9, *[0.1 / 3] * 3]))
    given = initial_mixture(replace(SHARING, components=3, reach=0.6, initial_std=0.25), torch.zeros(1, 5))
    torch.testing.assert_close(given[0], torch.tensor([[0, -0.6, 0, 0.6]]))
    torch.testing.assert_close(given[1].exp(), torch.full((1, 4), 16.0))


def stacked(count: int = 2) -> Free:
    made = constrain([initial_weights(MODEL, seed) for seed in range(count)], [{}] * count, set())
    made.pull([torch.zeros_like(leaf) for leaf in made.leaves])
    return made


def test_the_gradient_of_the_prior_is_added_once_to_every_weight_of_its_replicate_and_to_no_padding() -> None:
    made = stacked()
    made.gradient += 1
    prior = MixturePrior(SHARING, made, examples=50, gradients=exact_gradients)
    weights, mixture = made.layout.matrix(made.latent.detach()), prior.mixture.clone()
    prior.pull(made)
    expected = 1 - 0.01 / 50 * exact_gradients(weights, mixture, 0.9)[0]
    torch.testing.assert_close(made.layout.matrix(made.gradient), expected)
    assert made.layout.padding and (made.gradient[-made.layout.padding :] == 1).all()


@pytest.mark.parametrize("learnt", [None, Beta(40.0, 7.0)])
def test_the_mixture_moves_by_torchs_adam_down_the_loss_with_its_hyper_priors(learnt: Beta | None) -> None:
    made = stacked()
    prior = MixturePrior(replace(SHARING, zero_share_prior=learnt), made, examples=50, gradients=exact_gradients)
    weights = made.layout.matrix(made.latent.detach())
    rows = [row.clone().requires_grad_() for row in prior.mixture]
    groups = [
        {"params": [row], "lr": rate} for row, rate in zip(rows, (SHARING.mean_rate, SHARING.precision_rate, SHARING.share_rate), strict=True)
    ]
    adam = torch.optim.Adam(groups)
    for _ in range(4):
        adam.zero_grad()
        # Torch's density is of the precision, as the priors are: no term for the change to its logarithm.
        precisions = rows[1].exp()
        hyper = GammaDistribution(5.0, 0.01).log_prob(precisions[:, 0]) + GammaDistribution(3.0, 0.02).log_prob(precisions[:, 1:]).sum(1)
        if learnt is not None:
            hyper = hyper + BetaDistribution(40.0, 7.0).log_prob(log_shares(rows[2], 0.9)[:, 0].exp())
        (-0.01 / 50 * (log_prior(weights, torch.stack(rows), 0.9) + hyper)).sum().backward()
        for row in (rows[0], rows[2])[: 1 if learnt else 2]:
            assert row.grad is not None
            row.grad[:, 0] = 0
        adam.step()
        prior.pull(made)
        torch.testing.assert_close(prior.mixture, torch.stack(rows).detach(), rtol=1e-5, atol=1e-6)
    assert (prior.mixture[2, :, 0] != 0).all() == (learnt is not None)


def test_without_gamma_priors_no_component_gets_narrower_than_the_table_can_see() -> None:
    made = stacked(1)
    with torch.no_grad():
        made.latent.mul_(1e-6)
        made.latent[:2] = torch.tensor([-1.0, 1.0])
    prior = MixturePrior(SoftSharing(0.01, 0.9, 4, precision_rate=5.0), made, examples=50)
    for _ in range(20):
        prior.pull(made)
    narrowest = NARROWEST * 2.0 / (NODES - 2)
    assert float((-prior.mixture[1] / 2).exp().min()) == pytest.approx(narrowest, rel=1e-4)


def test_the_gamma_priors_pull_the_precision_of_a_component_without_weights_to_their_mode() -> None:
    made = stacked(1)
    prior = MixturePrior(replace(SHARING, reach=30.0, initial_std=0.2, precision_rate=0.05), made, examples=50)
    for _ in range(300):
        prior.pull(made)
    assert float(prior.mixture[1, 0, -1].exp()) == pytest.approx((3 - 1) / 0.02, rel=1e-2)


# -- the training --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [ADAM, replace(ADAM, precision="bf16-mixed")])
def test_training_with_the_table_and_with_the_exact_form_ends_alike(training: Any, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    task = replace(SHARED, training=training)
    near = fit(task, replicates(None), runtime)
    monkeypatch.setattr(fit_module, "MixturePrior", lambda *given: MixturePrior(*given, gradients=exact_gradients))
    exact = fit(task, replicates(None), runtime)
    tolerance = 2e-4 if training == ADAM else 2e-3
    assert_close(near, exact, tolerance)
    for one, other in zip(near, exact, strict=True):
        np.testing.assert_allclose(one.mixture["means"], other.mixture["means"], atol=tolerance)


def test_stacked_and_looped_replicates_agree_with_a_prior(runtime: Runtime) -> None:
    stack = fit(SHARED, replicates(None), runtime)
    alone = [fit(SHARED, [replicate], runtime)[0] for replicate in replicates(None)]
    assert_close(stack, alone, 1e-4)
    for one, other in zip(stack, alone, strict=True):
        np.testing.assert_allclose(one.mixture["log_precisions"], other.mixture["log_precisions"], atol=1e-4)


def test_a_continued_fit_with_a_prior_ends_exactly_as_an_undisturbed_one(runtime: Runtime) -> None:
    states: list[Any] = []
    whole = fit(SHARED, replicates(None), runtime, on_checkpoint=states.append)
    for saved in states:
        continued = fit(SHARED, [replace(r, state=state) for r, state in zip(replicates(None), saved, strict=True)], runtime)
        assert_close(whole, continued, 0)
        for one, other in zip(whole, continued, strict=True):
            for name in one.mixture:
                np.testing.assert_array_equal(one.mixture[name], other.mixture[name])


def test_the_course_of_the_mixture_is_kept_from_its_start_to_the_end(runtime: Runtime) -> None:
    [trained] = fit(SHARED, replicates(None, count=1), runtime)
    course = trained.mixture
    assert course["step"].tolist() == [0, 20, 40, 60]
    assert course["means"].shape == course["log_shares"].shape == (4, 5) and (course["means"][:, 0] == 0).all()
    np.testing.assert_allclose(np.exp(course["log_shares"]).sum(1), 1, rtol=1e-6)
    assert course["counts"].sum(1).tolist() == [sum(weight.size for weight in trained.weights.values())] * 4
    assert course["edges"][-1] == max(np.abs(weight).max() for weight in initial_weights(MODEL, 0).values())


def test_a_strong_prior_draws_the_weights_to_the_mixture(runtime: Runtime) -> None:
    strong = replace(SHARED, training=Training(steps=600, batch_size=20, learning_rate=1e-3, evaluate_every=300), last_step=600)
    strong = replace(strong, sharing=replace(SHARING, tau=1.0, mean_rate=1e-3, precision_rate=1e-2))
    spread = []
    for task in (strong, replace(strong, sharing=None)):
        [trained] = fit(task, replicates(None, count=1), runtime)
        weights = np.concatenate([array.ravel() for array in trained.weights.values()])
        spread.append(np.mean(np.abs(weights) < 0.02))
    assert spread[0] > 2 * spread[1]


def test_a_mask_beside_a_prior_is_refused_in_one_line(runtime: Runtime) -> None:
    with pytest.raises(UserError, match=r"^soft weight sharing finds by itself which weights are pruned"):
        fit(SHARED, [replicates(0.5, count=1)[0]], runtime)


def test_weights_without_a_prior_have_no_course(runtime: Runtime) -> None:
    assert fit(TASK, [Replicate("plain", 0, initial_weights(MODEL, 0))], runtime)[0].mixture == {}
