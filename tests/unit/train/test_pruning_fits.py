"""What the pruning papers ask of a fit: an L1 penalty, dropout that follows the mask, and how many outputs are zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nncompress.data import splits
from nncompress.models import initial_weights
from nncompress.train.fit import Replicate, Runtime, Task, activations, fit, learner
from tests.unit.train.test_fit import MODEL, SGD, TASK, assert_close, replicates, runtime

__all__ = ["runtime"]
ONE_STEP = replace(TASK, training=replace(SGD, momentum=0.0), last_step=1)


def test_the_gradient_of_the_l1_penalty_is_the_sign_of_each_weight_and_biases_have_none(runtime: Runtime) -> None:
    [plain] = fit(ONE_STEP, replicates(None, 1), runtime)
    [penalised] = fit(replace(ONE_STEP, training=replace(ONE_STEP.training, l1=0.01)), replicates(None, 1), runtime)
    start = initial_weights(MODEL, 0)
    for name, weight in penalised.weights.items():
        pull = 0.05 * 0.01 * np.sign(start[name]) if name.endswith("weight") else 0.0
        np.testing.assert_allclose(weight, plain.weights[name] - pull, atol=1e-7)


def test_an_l1_penalty_leaves_pruned_weights_at_zero_in_either_precision(runtime: Runtime) -> None:
    for precision in ("32-true", "bf16-mixed"):
        task = replace(TASK, training=replace(SGD, l1=1e-3, precision=precision))
        for replicate, trained in zip(replicates(0.5), fit(task, replicates(0.5), runtime), strict=True):
            assert not any(trained.weights[name][~mask].any() for name, mask in replicate.mask.items())


def test_dropout_follows_each_replicates_own_mask(runtime: Runtime) -> None:
    task = replace(TASK, model=replace(MODEL, hidden_dropout=0.5), adjust_dropout=True)
    given = [replicates(0.09, 1)[0], replicates(None, 2)[1]]
    made = learner(task, given, runtime)
    made.feed = None  # type: ignore[assignment]  # only what dropout draws is looked at
    units = torch.cat([made._kept_units(step)["net.fc1_dropout.keep"] for step in range(200)], dim=1)
    density = given[0].mask["fc1.weight"].mean()
    rate = 0.5 * np.sqrt(density)
    assert (units[0] == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
    assert (units[1] == 0).float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert units[0].max().item() == pytest.approx(1 / (1 - rate)) and units[1].max().item() == 2
    assert_close(fit(task, given, runtime), [fit(task, [r], runtime)[0] for r in given], 1e-5)


def test_activations_count_outputs_after_relu_and_logits_whole(runtime: Runtime) -> None:
    weights = {name: np.zeros_like(array) for name, array in initial_weights(MODEL, 0).items()}
    weights["fc1.bias"][:5] = 1.0  # five of twenty units are always on, the others always off
    weights["fc2.weight"][0, :5] = 1.0
    weights["fc3.bias"][:] = -1.0
    assert activations(MODEL, TASK.dataset, weights, runtime) == {"fc1": 0.25, "fc2": 0.1, "fc3": 1.0}


def test_activations_of_a_convolution_are_taken_after_pooling(runtime: Runtime) -> None:
    model = replace(MODEL, name="conv_2", widths=(), input_shape=(1, 8, 8))
    weights = initial_weights(model, 0)
    weights["conv2.weight"][:] = 0
    weights["conv2.bias"][:16] = 1.0
    found = activations(model, TASK.dataset, weights, runtime)
    assert found["conv2"] == 16 / 64 and 0 < found["conv1"] < 1 and found["fc3"] == 1.0


def test_a_fit_of_no_steps_measures_the_weights_as_they_are(runtime: Runtime) -> None:
    [trained] = fit(replace(TASK, last_step=0), replicates(0.5, 1), runtime)
    [given] = replicates(0.5, 1)
    for name, weight in trained.weights.items():
        np.testing.assert_array_equal(weight, given.start[name] * given.mask.get(name, True))
    assert trained.metrics["steps"] == 0 and trained.metrics["train_flops"] == 0
    assert trained.metrics["early_stop_accuracy"] == trained.metrics["test_accuracy"]
    assert len(splits(TASK.dataset, runtime.data_dir).test_y) == 500


def test_replicates_need_not_share_a_density_for_their_dropout(runtime: Runtime) -> None:
    task = Task(replace(MODEL, input_dropout=0.2, hidden_dropout=0.5), TASK.dataset, SGD, 0, 20, adjust_dropout=True)
    given: list[Replicate] = [replicates(share, 3)[seed] for seed, share in enumerate((0.9, 0.4, 0.1))]
    assert_close(fit(task, given, runtime), [fit(task, [r], runtime)[0] for r in given], 1e-5)
