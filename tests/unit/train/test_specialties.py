"""Specialists in the training loop: what they are asked, on which batches, and what their losses are means of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.func import functional_call
from torch.nn import functional

from nncompress.data import halved_batch_indices
from nncompress.distill.specialists import CLOSED, specialist_weights
from nncompress.models import build, initial_weights
from nncompress.train import fit as fit_module
from nncompress.train.fit import Replicate, Runtime, Task, Trained, fit
from nncompress.train.specialties import Specialties
from nncompress.types import Augmentation, Dataset, Distillation, Model, Training

SGD = Training(steps=40, batch_size=20, learning_rate=0.05, optimizer="sgd", momentum=0.9, evaluate_every=10)
GENERALIST = Model("mlp", widths=(64, 16, 10))
MODEL = Model("mlp", widths=(64, 16, 11))
TASK = Task(MODEL, Dataset("digits", validation=300), SGD, 0, 40)
OVER_ALL = replace(TASK, model=GENERALIST)
SPECIAL = [np.isin(np.arange(10), classes) for classes in ((1, 7), (3, 5, 8), (0, 6, 9))]


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(tmp_path, checkpoint_seconds=1e-9)


def specialists(dustbin: bool = True, count: int = 3) -> list[Replicate]:
    made = []
    for seed, special in enumerate(SPECIAL[:count]):
        weights = initial_weights(GENERALIST, seed)
        start = specialist_weights(weights, "fc2", special) if dustbin else weights
        made.append(Replicate(f"specialist {seed}", seed, start, special=special))
    return made


def data() -> Any:
    return fit_module.splits(TASK.dataset, Path())


def assert_close(first: list[Trained], second: list[Trained], tolerance: float) -> None:
    for a, b in zip(first, second, strict=True):
        for name in a.weights:
            np.testing.assert_allclose(a.weights[name], b.weights[name], atol=tolerance, rtol=0)


# -- what they are asked -------------------------------------------------------------------------------------------------------------------


def test_a_dustbin_takes_every_class_that_is_not_special() -> None:
    asked = Specialties(SPECIAL, 11)
    assert asked.targets(torch.tensor([1, 3, 9])).tolist() == [[1, 10, 10], [10, 3, 10], [10, 10, 9]]
    assert asked.targets(torch.tensor([[1, 2], [3, 4], [9, 9]])).tolist() == [[1, 10], [3, 10], [9, 9]]  # labels of their own


def test_without_a_dustbin_every_class_is_asked_for_as_it_is() -> None:
    assert Specialties(SPECIAL, 10).targets(torch.tensor([1, 3, 9])).tolist() == [[1, 3, 9]] * 3


def test_special_and_other_examples_weigh_half_each() -> None:
    weights = Specialties(SPECIAL, 11).weights(torch.tensor([1, 2, 2, 3, 7, 4]))
    np.testing.assert_allclose(weights[0], [1.5, 0.75, 0.75, 0.75, 1.5, 0.75])
    np.testing.assert_allclose(weights[1], [0.6, 0.6, 0.6, 3.0, 0.6, 0.6])
    assert weights[:2].mean(1).tolist() == pytest.approx([1, 1])
    assert torch.isfinite(weights).all()  # the third specialist finds none of its classes here


# -- what they learn -----------------------------------------------------------------------------------------------------------------------


def test_one_step_is_that_of_a_softmax_over_special_classes_and_dustbin_on_half_special_examples(runtime: Runtime) -> None:
    """By hand: a net that has only the three special outputs and the dustbin, taught on the batch's examples relabelled."""
    task, [*_, replicate] = replace(TASK, training=replace(SGD, momentum=0.0), last_step=1), specialists()
    special, units = SPECIAL[2], [0, 6, 9, 10]
    index = torch.as_tensor(halved_batch_indices(2, 0, 1, special[data().train_y.numpy()], 20)[0])
    labels = data().train_y[index]
    assert special[labels].tolist() == [True] * 10 + [False] * 10
    w = {name: torch.from_numpy(array).requires_grad_() for name, array in replicate.start.items()}
    x = fit_module.learner(task, [replicate], runtime).inputs(data().train_x[index]).flatten(1)
    hidden = torch.relu(x @ w["fc1.weight"].T + w["fc1.bias"])
    logits = hidden @ w["fc2.weight"][units].T + w["fc2.bias"][units]
    functional.cross_entropy(logits, torch.tensor([units.index(label) if special[label] else 3 for label in labels])).backward()
    [trained] = fit(task, [replicate], runtime)
    for name, leaf in w.items():
        assert leaf.grad is not None
        np.testing.assert_allclose(trained.weights[name], (leaf.detach() - 0.05 * leaf.grad).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "training",
    [SGD, replace(SGD, weight_decay=0.01), replace(SGD, optimizer="adam", momentum=0.0), replace(SGD, precision="bf16-mixed")],
)
def test_closed_units_stay_closed(training: Training, runtime: Runtime) -> None:
    for replicate, trained in zip(specialists(), fit(replace(TASK, training=training), specialists(), runtime), strict=True):
        assert replicate.special is not None
        closed = np.append(~replicate.special, False)
        assert not trained.weights["fc2.weight"][closed].any()
        assert (trained.weights["fc2.bias"][closed] < CLOSED / 2).all()
        open_ = trained.weights["fc2.weight"][~closed] - replicate.start["fc2.weight"][~closed]
        assert (np.abs(open_).max(1) > 1e-3).all()


@pytest.mark.parametrize("dustbin", [True, False])
def test_stacked_and_looped_specialists_agree(dustbin: bool, runtime: Runtime) -> None:
    task = TASK if dustbin else OVER_ALL
    stacked = fit(task, specialists(dustbin), runtime)
    looped = [fit(task, [replicate], runtime)[0] for replicate in specialists(dustbin)]
    assert_close(stacked, looped, 1e-5)
    for a, b in zip(stacked, looped, strict=True):
        assert a.metrics == pytest.approx(b.metrics, abs=1e-4)


def test_augmented_specialists_agree_too(runtime: Runtime) -> None:
    task = replace(TASK, dataset=replace(TASK.dataset, augmentation=Augmentation(shift=1)))
    assert_close(fit(task, specialists(), runtime), [fit(task, [replicate], runtime)[0] for replicate in specialists()], 1e-5)


def test_a_continued_specialist_ends_exactly_as_an_undisturbed_one(runtime: Runtime) -> None:
    states: list[Any] = []
    undisturbed = fit(TASK, specialists(), runtime, on_checkpoint=states.append)
    for saved in states:
        continued = fit(TASK, [replace(r, state=state) for r, state in zip(specialists(), saved, strict=True)], runtime)
        assert_close(undisturbed, continued, 0)
        assert [a.metrics for a in undisturbed] == [b.metrics for b in continued]


def test_a_specialist_learns_its_task(runtime: Runtime) -> None:
    for trained in fit(replace(TASK, training=replace(SGD, steps=300, evaluate_every=100), last_step=300), specialists(), runtime):
        assert trained.metrics["test_accuracy"] > 0.9


# -- what their losses are -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dustbin", [True, False])
def test_the_validation_loss_is_of_the_specialists_own_task(dustbin: bool, runtime: Runtime) -> None:
    """The mean of two means, over special examples and over others: what its batches are drawn from. Early stopping looks at this."""
    task, model = (TASK, MODEL) if dustbin else (OVER_ALL, GENERALIST)
    for special, trained in zip(SPECIAL, fit(task, specialists(dustbin), runtime), strict=True):
        labels = data().validation_y
        mine = torch.from_numpy(special)[labels]
        targets = torch.where(mine, labels, 10) if dustbin else labels
        x = fit_module.learner(task, specialists(dustbin), runtime).inputs(data().validation_x)
        logits = functional_call(build(model), {name: torch.from_numpy(w) for name, w in trained.weights.items()}, (x,))
        losses, right = functional.cross_entropy(logits, targets, reduction="none"), (logits.argmax(1) == targets).float()
        assert trained.metrics["validation_loss"] == pytest.approx(float(losses[mine].mean() + losses[~mine].mean()) / 2, rel=1e-4)
        assert trained.metrics["validation_accuracy"] == pytest.approx(float(right[mine].mean() + right[~mine].mean()) / 2, rel=1e-4)
        assert trained.metrics["validation_loss"] != pytest.approx(float(losses.mean()), rel=1e-3)
        lowest = int(np.argmin(trained.curves["validation_loss"]))
        assert trained.metrics["early_stop_step"] == trained.curves["step"][lowest]


def test_the_training_loss_is_what_the_steps_lower(runtime: Runtime) -> None:
    """Full batches, half special: one step of plain SGD lowers the training loss by the rate times the squared gradient, to first order."""
    half = 2 * min(int(SPECIAL[0][data().train_y.numpy()].sum()), int((~SPECIAL[0][data().train_y.numpy()]).sum()))
    training = replace(SGD, momentum=0.0, learning_rate=1e-3, batch_size=half)
    task, [replicate] = replace(TASK, training=training, last_step=1), specialists(count=1)
    [after] = fit(task, [replicate], runtime)
    made = fit_module.learner(task, [replicate], runtime)
    [before], _ = made.evaluate(made.splits.train_x, made.splits.train_y)
    squared = sum(float(np.square((after.weights[name] - w) / 1e-3).sum()) for name, w in replicate.start.items())
    assert before - after.metrics["train_loss"] == pytest.approx(1e-3 * squared, rel=0.05)


# -- soft targets for the others (sec. 6.1) ------------------------------------------------------------------------------------------------

TEACHING = Distillation(temperature=3.0)


def taught() -> list[Replicate]:
    logits = np.random.default_rng(0).normal(0, 3, (3, len(data().train_y), 10)).astype(np.float32)
    return [replace(replicate, teacher_logits=teacher) for replicate, teacher in zip(specialists(dustbin=False), logits, strict=True)]


@pytest.mark.parametrize("hard_weight", [0.0, 0.25])
def test_special_examples_are_learned_from_labels_and_others_from_the_teacher(hard_weight: float, runtime: Runtime) -> None:
    distillation = replace(TEACHING, hard_weight=hard_weight)
    task = replace(OVER_ALL, training=replace(SGD, momentum=0.0), last_step=1, distillation=distillation)
    for replicate, special, trained in zip(taught(), SPECIAL, fit(task, taught(), runtime), strict=True):
        assert replicate.teacher_logits is not None
        index = torch.as_tensor(halved_batch_indices(replicate.seed, 0, 1, special[data().train_y.numpy()], 20)[0])
        leaves = {name: torch.from_numpy(w).requires_grad_() for name, w in replicate.start.items()}
        x = fit_module.learner(OVER_ALL, [specialists(dustbin=False)[0]], runtime).inputs(data().train_x[index]).flatten(1)
        z, v, y = functional_call(build(GENERALIST), leaves, (x,)), torch.from_numpy(replicate.teacher_logits)[index], data().train_y[index]
        soft = 9 * functional.kl_div((z[10:] / 3).log_softmax(1), (v[10:] / 3).softmax(1), reduction="batchmean")
        others = (1 - hard_weight) * soft + hard_weight * functional.cross_entropy(z[10:], y[10:])
        ((functional.cross_entropy(z[:10], y[:10]) + others) / 2).backward()
        for name, leaf in leaves.items():
            assert leaf.grad is not None
            np.testing.assert_allclose(trained.weights[name], replicate.start[name] - 0.05 * leaf.grad.numpy(), atol=1e-6)


def test_stacked_and_looped_specialists_with_teachers_agree(runtime: Runtime) -> None:
    task = replace(OVER_ALL, distillation=TEACHING)
    assert_close(fit(task, taught(), runtime), [fit(task, [replicate], runtime)[0] for replicate in taught()], 1e-5)
