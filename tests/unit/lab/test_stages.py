"""Stages that measure trained nets: on which images, scaled how, and counting what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nncompress.data import splits
from nncompress.errors import UserError
from nncompress.lab.experiment import preflight
from nncompress.lab.lab import Lab
from nncompress.lab.row import Row
from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.stages import BiasShift, Ensemble, Fit, GradientLimit, Imitation, InitialWeights, Logits, Utterances, fit_of, pack
from nncompress.models import initial_weights
from nncompress.train import fit as fit_module
from nncompress.train.fit import Runtime
from nncompress.types import Dataset, Distillation, Model, Training
from tests.unit.lab import tiny

TRAINING = Training(steps=4, batch_size=20, learning_rate=0.01)
TONES = Dataset("tones", validation=0, validation_speakers=("soprano",))


def fit_on(dataset: Dataset, widths: tuple[int, ...], seed: int = 0) -> Fit:
    model = Model("mlp", widths)
    return Fit(model, dataset, TRAINING, InitialWeights(model, seed), seed)


def untrained(*fits: Fit) -> dict[Fit, Artifact]:
    return {fit: Artifact(pack("weights", initial_weights(fit.model, fit.seed))) for fit in fits}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    return SimpleNamespace(runtime=Runtime(tmp_path))


def test_a_net_sees_other_images_scaled_as_those_of_its_training(lab: Any) -> None:
    """With its own mean and std, 30 images would look otherwise than among 1,000."""
    whole = Dataset("digits", validation=200, scaling="standard")
    teacher = fit_on(whole, (64, 20, 10))
    some = replace(whole, train_examples=30)
    assert float(splits(some, lab.runtime.data_dir).mean) != float(splits(whole, lab.runtime.data_dir).mean)
    answers = [Logits((teacher,), dataset).compute(untrained(teacher), lab).arrays["logits"] for dataset in (whole, some)]
    np.testing.assert_array_equal(answers[1], answers[0][:30])


def said(wrong: tuple[int, ...]) -> Mapping[str, np.ndarray]:
    """Logits that are sure of the right state on the validation split and on the test split, but for the n-th recordings of it, whose frames
    are all taken for those of the next word."""
    data, found = splits(TONES, Path()), {}
    for split in ("validation", "test"):
        labels, recording = getattr(data, f"{split}_y").numpy(), getattr(data, f"{split}_recording").numpy()
        places = np.unique(recording, return_inverse=True)[1]
        taken = np.where(np.isin(places, wrong) & (split == "test"), (labels + 3) % 30, labels)
        found[split] = 20 * np.eye(30, dtype=np.float32)[taken]
    return found


def test_utterance_errors_are_the_share_of_recordings_that_are_not_recognised(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of the twenty recordings of the test speaker are taken for other words."""
    fit, answers = fit_on(TONES, (1040, 20, 30)), said((0, 4, 11))
    monkeypatch.setattr(fit_module, "logits", lambda *given: answers[given[5]])
    given = {fit: Artifact(pack("curve", {"step": np.array([4])}), {"train_accuracy": 0.5, "test_accuracy": 0.25})}
    measured = Utterances((fit,), TONES).compute(given, lab)
    assert measured.metrics["test_utterance_error"] == 3 / 20 and measured.metrics["validation_utterance_error"] == 0
    # Of a single net also what its fit measured.
    assert (measured.metrics["members"], measured.metrics["train_accuracy"], measured.metrics["test_accuracy"]) == (1, 0.5, 0.25)
    assert measured.curves["step"].tolist() == [4]


def test_nets_that_are_wrong_on_different_recordings_are_right_together(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = tuple(fit_on(TONES, (1040, 20, 30), seed) for seed in range(3))
    answers = {0: said((0, 1)), 1: said((1, 2)), 2: said((3,))}
    monkeypatch.setattr(fit_module, "logits", lambda *given: answers[int(given[3]["seed"][0])][given[5]])
    given = {fit: Artifact({"weights/seed": np.array([fit.seed])}) for fit in fits}
    together = Utterances(fits, TONES).compute(given, lab)
    assert (together.metrics["test_utterance_error"], together.metrics["members"]) == (1 / 20, 3)  # two of three take recording 1 wrong
    frames = {name: value for name, value in together.metrics.items() if not name.endswith("utterance_error")}
    assert frames == Ensemble(fits, TONES).compute(given, lab).metrics and "test_accuracy" in frames


@pytest.mark.parametrize("validation", [200, 0])
def test_a_student_is_measured_against_its_teachers_on_every_split_that_there_is(lab: Any, validation: int) -> None:
    """The weights of a teacher imitate it perfectly; those of another net, and the mean of two teachers, do not."""
    dataset = Dataset("digits", validation=validation)
    first, second = (fit_on(dataset, (64, 20, 10), seed) for seed in (1, 2))
    found = {}
    for teachers in ((first,), (first, second)):
        taught = Logits(teachers, dataset)
        student = replace(fit_on(dataset, (64, 20, 10), 0), distillation=Distillation(temperature=4), teacher=taught)
        given: dict[Stage, Artifact] = {**untrained(first, second), taught: taught.compute(untrained(*teachers), lab)}
        of_first = {f"weights/{name}": array for name, array in given[first].weights.items()}
        given[student] = Artifact({**of_first, "curve/step": np.array([4])}, {"test_accuracy": 0.25})
        stage = Imitation(student)
        assert {student, taught, *teachers} == set(stage.upstream) and fit_of(stage) == student
        measured = stage.compute(given, lab)
        assert measured.metrics.pop("test_accuracy") == 0.25 and measured.curves["step"].tolist() == [4]
        found[len(teachers)] = measured.metrics
    splits_there = {"train", "test"} | ({"validation"} if validation else set())
    for metrics in found.values():
        assert set(metrics) == {f"{split}_{name}" for split in splits_there for name in ("logit_distance", "divergence", "same_answers")}
    assert all(value == pytest.approx(float("same" in name), abs=1e-12) for name, value in found[1].items())
    assert all(value < 1 if "same" in name else value > 1e-4 for name, value in found[2].items())


def test_a_fit_that_a_row_measures_is_called_as_the_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a fit that diverges would be named by its key."""
    fit, lab = fit_on(Dataset("digits", validation=200), (64, 20, 10)), Lab(tiny.settings(tmp_path))
    monkeypatch.setattr(lab, "missing", lambda _: [])
    measured = BiasShift(fit, (3,), fit.dataset)
    lab.run([Row(measured, {"arm": "without_3", "seed": 0})], lambda _: None)
    assert {lab.labels[stage.key] for stage in (fit, measured)} == {"without_3 seed=0"}


def test_the_operations_of_a_fit_are_not_counted_again_where_a_stage_repeats_its_metrics(tmp_path: Path) -> None:
    fit = fit_on(TONES, (1040, 20, 30))
    lab, measured = Lab(tiny.settings(tmp_path)), Utterances((fit,), TONES)
    for stage in (fit, measured):
        lab._remember(stage, Artifact({}, {"train_flops": 5.0}, {"seconds": 2.0}))
    assert (lab.cost(fit), lab.cost(measured)) == ((5.0, 2.0), (0.0, 2.0))


def test_the_steps_of_a_row_are_of_the_fit_that_it_measures_and_not_of_its_teacher() -> None:
    teacher, fit = (fit_on(Dataset("digits", validation=200), (64, 20, 10), seed) for seed in (0, 1))
    assert fit_of(GradientLimit(fit, Logits((teacher,), fit.dataset), (1.0,))) == fit
    assert fit_of(Logits((teacher, fit), fit.dataset)) == fit


@pytest.mark.parametrize(
    ("classes", "line"),
    [
        ((3, 12), r"^shifted = \[3, 12\]: digits has no class 12, only 0 to 9$"),
        (tuple(range(10)), r"^shifted = .*: a shift of all classes changes no answer; leave at least one of them out$"),
    ],
)
def test_a_shift_of_classes_that_cannot_be_is_refused_before_training(classes: tuple[int, ...], line: str, tmp_path: Path) -> None:
    fit = fit_on(Dataset("digits", validation=200), (64, 20, 10))
    with pytest.raises(UserError, match=line):
        preflight([Row(BiasShift(fit, classes, fit.dataset), {"arm": "odd", "seed": 0})], Lab(tiny.settings(tmp_path)))


def test_utterances_of_a_data_set_without_recordings_are_refused_before_training(tmp_path: Path) -> None:
    fit = fit_on(Dataset("digits", validation=200), (64, 20, 10))
    with pytest.raises(UserError, match=r"^dataset.name = digits: utterance errors are of recordings of speech; use fsdd$"):
        preflight([Row(Utterances((fit,), fit.dataset), {"arm": "baseline", "seed": 0})], Lab(tiny.settings(tmp_path)))


def test_nets_with_other_outputs_than_states_recognise_no_words_and_are_refused_before_training(tmp_path: Path) -> None:
    fit = fit_on(TONES, (1040, 20, 31))
    with pytest.raises(UserError, match=r"^model mlp has 31 outputs, but tones has 30 states: give it as many$"):
        preflight([Row(Utterances((fit,), fit.dataset), {"arm": "baseline", "seed": 0})], Lab(tiny.settings(tmp_path)))
