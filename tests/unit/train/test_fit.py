"""The training loop: what must be equal whatever way the same fit is computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.func import functional_call
from torch.nn import functional

from nncompress.data import batch_indices
from nncompress.errors import UserError
from nncompress.models import build, initial_weights
from nncompress.train import fit as fit_module
from nncompress.train.fit import Replicate, Runtime, Task, Trained, fit
from nncompress.types import Augmentation, Dataset, Distillation, Model, Training

MODEL = Model("mlp", widths=(64, 20, 10, 10))
SGD = Training(steps=60, batch_size=20, learning_rate=0.05, optimizer="sgd", momentum=0.9, evaluate_every=20)
ADAM = replace(SGD, optimizer="adam", momentum=0.0, learning_rate=1e-3)
TASK = Task(MODEL, Dataset("digits", validation=200), SGD, 0, 60)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(tmp_path, checkpoint_seconds=1e-9)


def replicates(density: float | None, count: int = 3) -> list[Replicate]:
    made = []
    for seed in range(count):
        start = initial_weights(MODEL, seed)
        generator = np.random.default_rng(seed)
        mask = {} if density is None else {name: generator.random(w.shape) < density for name, w in start.items() if name.endswith("weight")}
        made.append(Replicate(f"replicate {seed}", seed, start, mask))
    return made


def assert_close(first: list[Trained], second: list[Trained], tolerance: float) -> None:
    for a, b in zip(first, second, strict=True):
        for name in a.weights:
            np.testing.assert_allclose(a.weights[name], b.weights[name], atol=tolerance, rtol=0)


@pytest.mark.parametrize("density", [None, 0.5, 0.1])
def test_stacked_and_looped_replicates_agree(density: float | None, runtime: Runtime) -> None:
    stacked = fit(TASK, replicates(density), runtime)
    looped = [fit(TASK, [replicate], runtime)[0] for replicate in replicates(density)]
    assert_close(stacked, looped, 1e-5)


@pytest.mark.parametrize("training", [SGD, ADAM, replace(ADAM, weight_decay=0.01)])
def test_the_two_forms_of_a_mask_train_the_same_net(training: Training, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    task = replace(TASK, training=training)
    compact = fit(task, replicates(0.2), runtime)
    monkeypatch.setattr(fit_module, "COMPACT_BELOW", 0.0)
    assert_close(compact, fit(task, replicates(0.2), runtime), 1e-5)


@pytest.mark.parametrize("density", [0.6, 0.1])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_pruned_weights_stay_zero_under_momentum_and_weight_decay(density: float, precision: Any, runtime: Runtime) -> None:
    training = replace(SGD, weight_decay=0.01, precision=precision)
    given = replicates(density)
    for replicate, trained in zip(given, fit(replace(TASK, training=training), given, runtime), strict=True):
        for name, mask in replicate.mask.items():
            assert not trained.weights[name][~mask].any()
            assert (trained.weights[name][mask] != (replicate.start[name])[mask]).mean() > 0.5


def test_one_step_of_sgd_moves_against_the_gradient_of_the_mean_cross_entropy(runtime: Runtime) -> None:
    from nncompress.data import scale

    task = replace(TASK, training=replace(SGD, momentum=0.0), last_step=1)
    [replicate] = replicates(0.5, count=1)
    [trained] = fit(task, [replicate], runtime)
    splits = fit_module.splits(TASK.dataset, runtime.data_dir)
    index = torch.as_tensor(batch_indices(0, 0, 1, len(splits.train_y), 20)[0])
    x = scale(splits.train_x[index], splits, "unit").flatten(1)
    w = {name: torch.tensor(array * replicate.mask.get(name, 1)).requires_grad_() for name, array in replicate.start.items()}
    h = torch.relu(x @ w["fc1.weight"].T + w["fc1.bias"])
    h = torch.relu(h @ w["fc2.weight"].T + w["fc2.bias"])
    logits = h @ w["fc3.weight"].T + w["fc3.bias"]
    (-logits.log_softmax(1)[torch.arange(20), splits.train_y[index]].mean()).backward()
    for name, tensor in w.items():
        assert tensor.grad is not None
        expected = tensor.detach() - 0.05 * tensor.grad * torch.as_tensor(replicate.mask.get(name, np.ones(1)))
        np.testing.assert_allclose(trained.weights[name], expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
def test_a_convolutional_net_takes_the_step_that_plain_torch_takes(count: int, runtime: Runtime) -> None:
    """Alone, with its images laid out otherwise in memory, and stacked."""
    from nncompress.data import scale

    model = Model("conv_2", input_shape=(1, 8, 8))
    task = Task(model, TASK.dataset, replace(SGD, momentum=0.0), 0, 1)
    given = [Replicate(f"replicate {seed}", seed, initial_weights(model, seed)) for seed in range(count)]
    splits = fit_module.splits(TASK.dataset, runtime.data_dir)
    for replicate, trained in zip(given, fit(task, given, runtime), strict=True):
        index = torch.as_tensor(batch_indices(replicate.seed, 0, 1, len(splits.train_y), 20)[0])
        w = {name: torch.tensor(array).requires_grad_() for name, array in replicate.start.items()}
        h = torch.relu(functional.conv2d(scale(splits.train_x[index], splits, "unit"), w["conv1.weight"], w["conv1.bias"], padding=1))
        h = functional.max_pool2d(torch.relu(functional.conv2d(h, w["conv2.weight"], w["conv2.bias"], padding=1)), 2).flatten(1)
        h = torch.relu(h @ w["fc1.weight"].T + w["fc1.bias"])
        h = torch.relu(h @ w["fc2.weight"].T + w["fc2.bias"])
        functional.cross_entropy(h @ w["fc3.weight"].T + w["fc3.bias"], splits.train_y[index]).backward()
        for name, tensor in w.items():
            assert tensor.grad is not None
            np.testing.assert_allclose(trained.weights[name], (tensor.detach() - 0.05 * tensor.grad).numpy(), atol=1e-6)


@pytest.mark.parametrize("training", [SGD, ADAM, replace(ADAM, precision="bf16-mixed", schedule="cosine")])
@pytest.mark.parametrize("density", [None, 0.5, 0.1])
def test_a_continued_fit_ends_exactly_as_an_undisturbed_one(training: Training, density: float | None, runtime: Runtime) -> None:
    task = replace(TASK, training=training)
    states: list[Any] = []
    undisturbed = fit(task, replicates(density), runtime, on_checkpoint=states.append)
    assert [saved[0][1]["step"] for saved in states] == [20, 40, 60]
    for saved in states:
        continued = fit(task, [replace(r, state=state) for r, state in zip(replicates(density), saved, strict=True)], runtime)
        for a, b in zip(undisturbed, continued, strict=True):
            assert a.metrics == b.metrics
            for name in a.weights:
                np.testing.assert_array_equal(a.weights[name], b.weights[name])
            for name in a.curves:
                np.testing.assert_array_equal(a.curves[name], b.curves[name])


def test_stopping_at_step_k_and_going_on_from_there_is_the_whole_training_but_for_the_moments(runtime: Runtime) -> None:
    plain = replace(TASK, training=replace(SGD, momentum=0.0, schedule="linear"))
    whole = fit(plain, replicates(None), runtime)
    early = fit(replace(plain, last_step=25), replicates(None), runtime)
    rest = [replace(r, start=e.weights) for r, e in zip(replicates(None), early, strict=True)]
    assert_close(whole, fit(replace(plain, first_step=25), rest, runtime), 1e-6)


def test_early_stop_is_the_minimum_of_the_validation_loss(runtime: Runtime) -> None:
    task = replace(TASK, training=replace(ADAM, learning_rate=0.03, evaluate_every=5))
    for trained in fit(task, replicates(None), runtime):
        lowest = int(np.argmin(trained.curves["validation_loss"]))
        assert trained.metrics["early_stop_step"] == trained.curves["step"][lowest]
        assert trained.metrics["early_stop_validation_loss"] == pytest.approx(trained.curves["validation_loss"][lowest])


def test_the_early_stop_accuracy_is_that_of_the_net_stopped_there(runtime: Runtime) -> None:
    task = replace(TASK, training=replace(ADAM, learning_rate=0.05, evaluate_every=5, steps=200), last_step=200)
    [trained] = fit(task, replicates(None, count=1), runtime)
    step = int(trained.metrics["early_stop_step"])
    [stopped] = fit(replace(task, last_step=step), replicates(None, count=1), runtime)
    assert step < 200
    assert stopped.metrics["test_accuracy"] == trained.metrics["early_stop_accuracy"]
    for split in ("train", "validation"):
        assert stopped.metrics[f"{split}_accuracy"] == trained.metrics[f"early_stop_{split}_accuracy"]
    assert trained.metrics["early_stop_train_accuracy"] != trained.metrics["train_accuracy"]


def test_a_fit_that_is_best_at_its_end_is_measured_once(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    evaluate = fit_module.Learner.evaluate
    monkeypatch.setattr(fit_module.Learner, "evaluate", lambda self, x, y: (seen.append(len(y)), evaluate(self, x, y))[1])
    for validation in (200, 0):
        seen.clear()
        task = replace(TASK, dataset=replace(TASK.dataset, validation=validation), training=replace(SGD, evaluate_every=60))
        [trained] = fit(task, replicates(None, count=1), runtime)
        train = 1297 - validation
        assert seen == ([200] if validation else []) + [count for count in (train, validation, 500) if count]
        assert trained.metrics["early_stop_train_accuracy"] == trained.metrics["train_accuracy"]
        assert trained.metrics["early_stop_accuracy"] == trained.metrics["test_accuracy"]


def test_augmented_batches_depend_on_seed_and_step_only(runtime: Runtime) -> None:
    task = replace(TASK, dataset=replace(TASK.dataset, augmentation=Augmentation(shift=1)))
    states: list[Any] = []
    stacked = fit(task, replicates(None), runtime, on_checkpoint=states.append)
    assert_close(stacked, [fit(task, [r], runtime)[0] for r in replicates(None)], 1e-5)
    continued = fit(task, [replace(r, state=s) for r, s in zip(replicates(None), states[0], strict=True)], runtime)
    assert_close(stacked, continued, 0)


def test_dropout_depends_on_seed_and_step_only_and_is_off_in_evaluation(runtime: Runtime) -> None:
    model = replace(MODEL, input_dropout=0.2, hidden_dropout=0.5)
    task = replace(TASK, model=model)
    stacked = fit(task, replicates(None), runtime)
    looped = [fit(task, [r], runtime)[0] for r in replicates(None)]
    assert_close(stacked, looped, 1e-5)
    assert stacked[0].metrics["train_loss"] == fit(task, replicates(None), runtime)[0].metrics["train_loss"]


def test_max_norm_bounds_the_incoming_weights_of_hidden_units_only(runtime: Runtime) -> None:
    task = replace(TASK, training=replace(SGD, max_norm=0.5, learning_rate=0.5))
    for trained in fit(task, replicates(0.2), runtime):
        assert np.linalg.norm(trained.weights["fc1.weight"], axis=1).max() <= 0.5 + 1e-6
        assert np.linalg.norm(trained.weights["fc3.weight"], axis=1).max() > 0.5


def test_the_bound_on_norms_is_of_the_weights_that_act_in_training_behind_dropout(runtime: Runtime) -> None:
    """Worked by hand: rows of norm 5 and 1 under a bound of 4. Kept inputs are divided by 0.8 and kept units by 0.5: fc1 is bounded by 3.2, fc2
    by 2, and fc3, the output, by nothing. A learning rate of 1e-12 moves no weight of float32 that is larger than 1e-4."""
    model = replace(MODEL, input_dropout=0.2, hidden_dropout=0.5)
    training = replace(SGD, steps=2, learning_rate=1e-12, momentum=0.0, max_norm=4.0)
    start = {name: np.zeros_like(weight) for name, weight in initial_weights(model, 0).items()}
    for name in ("fc1.weight", "fc2.weight", "fc3.weight"):
        start[name][0, :2], start[name][1, :2] = (3, 4), (0.6, 0.8)
    [first, second] = fit(replace(TASK, model=model, training=training, last_step=2), [Replicate(f"{s}", s, start) for s in (0, 1)], runtime)
    for trained in (first, second):
        wanted = {"fc1.weight": (1.92, 2.56), "fc2.weight": (1.2, 1.6), "fc3.weight": (3, 4)}
        for name, row in wanted.items():
            np.testing.assert_allclose(trained.weights[name][0, :2], row, rtol=1e-6)
            np.testing.assert_allclose(trained.weights[name][1, :2], (0.6, 0.8), rtol=1e-6)


def test_logits_are_computed_in_float32_whatever_the_precision_of_training(runtime: Runtime) -> None:
    weights = initial_weights(MODEL, 0)
    low, full = (fit_module.logits(MODEL, TASK.dataset, task.training, weights, runtime) for task in (LOW, TASK))
    np.testing.assert_array_equal(low, full)


LOW = replace(TASK, training=replace(SGD, precision="bf16-mixed"))


def test_bfloat16_changes_the_loss_little_and_weights_are_kept_in_float32(runtime: Runtime) -> None:
    for a, b in zip(fit(LOW, replicates(None), runtime), fit(TASK, replicates(None), runtime), strict=True):
        assert a.metrics["validation_loss"] != b.metrics["validation_loss"]
        assert a.metrics["validation_loss"] == pytest.approx(b.metrics["validation_loss"], abs=0.05)
        assert {array.dtype for array in a.weights.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("density", [None, 0.5, 0.1])
def test_bfloat16_changes_only_hidden_layers(density: float | None, runtime: Runtime) -> None:
    made = fit_module.learner(LOW, replicates(density, count=1), runtime)
    weights = {name: leaf[0].detach() for name, leaf in made.constraint.effective.items()}
    assert {name: weight.dtype for name, weight in weights.items()} == {
        f"{layer}.{kind}": torch.float32 if layer == "fc3" else torch.bfloat16 for layer in ("fc1", "fc2", "fc3") for kind in ("weight", "bias")
    }
    assert made.constraint.latent.dtype == torch.float32

    hidden: list[torch.Tensor] = []
    made.system.net.fc3.register_forward_pre_hook(lambda _, given: hidden.append(given[0]))
    logits = functional_call(made.system.net, weights, (made.inputs(made.splits.validation_x),))
    assert (hidden[0].dtype, logits.dtype) == (torch.bfloat16, torch.float32)
    exact = hidden[0].double() @ weights["fc3.weight"].double().T + weights["fc3.bias"].double()
    np.testing.assert_allclose(logits, exact, atol=1e-5, rtol=0)
    assert (logits.bfloat16() - exact).abs().max() > 1e-4  # which a bfloat16 product would not reach
    assert torch.equal(made.logits(made.splits.validation_x)[0], logits)


def test_divergence_names_stage_step_and_learning_rate(runtime: Runtime) -> None:
    task = replace(TASK, training=replace(SGD, learning_rate=1e20))
    with pytest.raises(UserError, match=r"replicate 0: the loss is (nan|inf) by step 20 at learning rate 1e\+20; lower the learning rate"):
        fit(task, replicates(None), runtime)


def test_the_ramps_of_momentum_and_rate_are_those_of_steps_taken_by_hand(runtime: Runtime) -> None:
    """Two steps of v <- m v + g, w <- w - r v, with m and r of each step."""
    training = replace(SGD, momentum=0.8, momentum_start=0.2, momentum_steps=1, dampened=True, schedule="exponential", decay=0.5)
    [replicate] = replicates(None, count=1)
    weights, velocity = {name: torch.from_numpy(w) for name, w in replicate.start.items()}, dict[str, torch.Tensor]()
    splits = fit_module.splits(TASK.dataset, runtime.data_dir)
    x = fit_module.learner(TASK, [replicate], runtime).inputs(splits.train_x).flatten(1)
    for step, (momentum, rate) in enumerate(((0.2, 0.05 * 0.8), (0.8, 0.05 * 0.5 * 0.2))):
        index = torch.as_tensor(batch_indices(0, step, step + 1, len(splits.train_y), 20)[0])
        leaves = {name: w.requires_grad_() for name, w in weights.items()}
        loss = functional.cross_entropy(functional_call(build(MODEL), leaves, (x[index],)), splits.train_y[index])
        for (name, leaf), g in zip(leaves.items(), torch.autograd.grad(loss, list(leaves.values())), strict=True):
            velocity[name] = momentum * velocity.get(name, torch.zeros_like(g)) + g
            weights[name] = leaf.detach() - rate * velocity[name]
    [trained] = fit(replace(TASK, training=training, last_step=2), [replicate], runtime)
    for name, expected in weights.items():
        np.testing.assert_allclose(trained.weights[name], expected.numpy(), atol=1e-6)


TEACHING = Distillation(temperature=3.0, hard_weight=0.25)


def taught(count: int = 3, seed: int = 0) -> list[Replicate]:
    """Replicates with teachers of their own: random logits for every training example of the digits."""
    examples = len(fit_module.splits(TASK.dataset, Path()).train_y)
    logits = np.random.default_rng(seed).normal(0, 5, (count, examples, 10)).astype(np.float32)
    return [replace(replicate, teacher_logits=teacher) for replicate, teacher in zip(replicates(None, count), logits, strict=True)]


def test_stacked_students_learn_each_from_the_logits_of_its_own_teacher(runtime: Runtime) -> None:
    task = replace(TASK, distillation=TEACHING)
    stacked = fit(task, taught(), runtime)
    assert_close(stacked, [fit(task, [student], runtime)[0] for student in taught()], 1e-5)
    others = fit(task, taught(seed=1), runtime)
    assert all(np.abs(a.weights["fc1.weight"] - b.weights["fc1.weight"]).max() > 1e-3 for a, b in zip(stacked, others, strict=True))


def test_logits_of_another_data_set_are_refused(runtime: Runtime) -> None:
    [student] = taught(1)
    assert student.teacher_logits is not None
    with pytest.raises(ValueError, match="a teacher answered 5 examples"):
        fit(replace(TASK, distillation=TEACHING), [replace(student, teacher_logits=student.teacher_logits[:5])], runtime)


def test_one_step_of_a_student_moves_against_the_gradient_of_the_papers_loss(runtime: Runtime) -> None:
    """(1 - w) T^2 CE(softmax(v / T), softmax(z / T)) + w CE(y, softmax(z)), its rows those of the batch."""
    task = replace(TASK, training=replace(SGD, momentum=0.0), last_step=1, distillation=TEACHING)
    [student] = taught(1)
    assert student.teacher_logits is not None
    splits = fit_module.splits(TASK.dataset, runtime.data_dir)
    index = torch.as_tensor(batch_indices(0, 0, 1, len(splits.train_y), 20)[0])
    leaves = {name: torch.from_numpy(w).requires_grad_() for name, w in student.start.items()}
    x = fit_module.learner(TASK, [replace(student, teacher_logits=None)], runtime).inputs(splits.train_x[index]).flatten(1)
    z, v = functional_call(build(MODEL), leaves, (x,)), torch.from_numpy(student.teacher_logits)[index]
    soft = functional.kl_div((z / 3).log_softmax(1), (v / 3).softmax(1), reduction="batchmean")  # differs from CE by a constant
    (0.75 * 9 * soft + 0.25 * functional.cross_entropy(z, splits.train_y[index])).backward()
    [trained] = fit(task, [student], runtime)
    for name, leaf in leaves.items():
        assert leaf.grad is not None
        np.testing.assert_allclose(trained.weights[name], student.start[name] - 0.05 * leaf.grad.numpy(), atol=1e-6)


def test_a_student_with_the_teachers_weights_has_nothing_to_learn(runtime: Runtime) -> None:
    [teacher] = replicates(None, count=1)
    logits = fit_module.logits(MODEL, TASK.dataset, SGD, teacher.start, runtime)
    task = replace(TASK, distillation=Distillation(temperature=2.0))
    [trained] = fit(task, [replace(teacher, teacher_logits=logits)], runtime)
    for name, start in teacher.start.items():
        np.testing.assert_allclose(trained.weights[name], start, atol=1e-5)
