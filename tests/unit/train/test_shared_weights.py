"""Shared weights: what trains is the codebook, one value for all weights of a cluster (Han, Mao & Dally 2016, sec. 3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nncompress.errors import UserError
from nncompress.models import initial_weights
from nncompress.quantize import shared_gradient
from nncompress.train.constraint import Free, Layout, Shared, constrain
from nncompress.train.fit import Replicate, Runtime, fit
from tests.unit.train.test_fit import ADAM, MODEL, SGD, TASK, assert_close, runtime

__all__ = ["runtime"]


def coded(seed: int, entries: int = 4, density: float = 0.4) -> Replicate:
    """A net whose first two layers share `entries` values each and are pruned; the last layer and the biases are free."""
    generator = np.random.default_rng(seed)
    start, codes, mask = dict(initial_weights(MODEL, seed)), {}, {}
    for name in ("fc1.weight", "fc2.weight"):
        codes[name] = generator.integers(0, entries, start[name].shape).astype(np.uint16)
        mask[name] = generator.random(start[name].shape) < density
        start[name] = generator.normal(0, 0.1, entries).astype(np.float32)[codes[name]] * mask[name]
    return Replicate(f"replicate {seed}", seed, start, mask, codes=codes)


def test_the_papers_figure_3() -> None:
    """Weights, their clusters, and gradients as printed: the gradients of a cluster are summed."""
    clusters = np.array([[3, 0, 2, 1], [1, 1, 0, 3], [0, 3, 1, 0], [3, 1, 2, 2]])
    gradient = np.array([[-0.03, -0.01, 0.03, 0.02], [-0.01, 0.01, -0.02, 0.12], [-0.01, 0.01, 0.04, 0.02], [-0.07, -0.02, 0.01, -0.02]])
    centroids = np.array([-1.0, 0.0, 1.5, 2.0], np.float32)
    start = [{"fc.weight": centroids[clusters]}]
    made = constrain(start, [{}], set(), codes=[{"fc.weight": clusters.astype(np.uint16)}])
    assert isinstance(made, Shared)
    made.pull([torch.tensor(gradient, dtype=torch.float32)[None]])
    assert made.latent.detach()[:4].tolist() == centroids.tolist()
    np.testing.assert_allclose(made.gradient[:4], shared_gradient(gradient.ravel(), clusters.ravel(), 4), atol=1e-7)
    np.testing.assert_allclose(made.gradient[:4], [-0.02, 0.04, 0.02, 0.03], atol=1e-7)


@pytest.mark.parametrize("training", [SGD, ADAM, replace(SGD, weight_decay=0.01), replace(SGD, precision="bf16-mixed")])
def test_weights_that_share_stay_equal_and_pruned_ones_stay_zero(training: Any, runtime: Runtime) -> None:
    given = [coded(0), coded(1)]
    for replicate, trained in zip(given, fit(replace(TASK, training=training), given, runtime), strict=True):
        for name, codes in replicate.codes.items():
            kept = replicate.mask[name]
            assert not trained.weights[name][~kept].any()
            for entry in range(4):
                (value,) = np.unique(trained.weights[name][kept & (codes == entry)])
                assert value != replicate.start[name][kept & (codes == entry)][0]
        assert (trained.weights["fc3.weight"] != replicate.start["fc3.weight"]).mean() > 0.3  # some units of fc2 are dead


def test_stacked_and_looped_replicates_agree(runtime: Runtime) -> None:
    given = [coded(0), coded(1, entries=7), coded(2, density=1.0)]
    assert_close(fit(TASK, given, runtime), [fit(TASK, [replicate], runtime)[0] for replicate in given], 1e-5)


def test_codebooks_of_one_weight_each_train_as_free_weights_do(runtime: Runtime) -> None:
    start = initial_weights(MODEL, 0)
    own = {name: np.arange(start[name].size).reshape(start[name].shape) for name in ("fc1.weight", "fc2.weight")}
    alone = fit(TASK, [Replicate("alone", 0, start, codes=own)], runtime)
    assert_close(alone, fit(TASK, [Replicate("free", 0, start)], runtime), 1e-5)


def test_a_continued_fit_ends_as_an_undisturbed_one(runtime: Runtime) -> None:
    for training in (SGD, ADAM):
        task, states = replace(TASK, training=training), []
        given = [coded(0), coded(1)]
        whole = fit(task, given, runtime, on_checkpoint=states.append)
        continued = fit(task, [replace(r, state=s) for r, s in zip(given, states[0], strict=True)], runtime)
        assert_close(whole, continued, 0)


def test_a_latent_vector_maps_to_the_layout_and_back() -> None:
    replicate = coded(3)
    made = constrain([replicate.start], [replicate.mask], set(), codes=[replicate.codes])
    layout: Layout = made.layout
    flat = layout.flatten([replicate.start])
    assert isinstance(made, Free) and torch.equal(made.dense(made.latent), flat)
    assert torch.equal(made.latent_of(flat), made.latent.detach())


def test_a_bound_on_norms_is_refused_where_weights_share(runtime: Runtime) -> None:
    with pytest.raises(UserError, match=r"^training\.max_norm: shared weights cannot be scaled"):
        fit(replace(TASK, training=replace(SGD, max_norm=1.0)), [coded(0)], runtime)
