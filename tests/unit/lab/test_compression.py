"""Ensembles, labelled cases and mimic nets on the embedded problem: what they yield is what their descriptions say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nncompress.data.problems import problem_splits
from nncompress.distill.ensemble import probabilities
from nncompress.ensemble import rmse
from nncompress.lab import compression
from nncompress.lab.compression import FirstCases, LabelledCases, Mimicry, SelectedEnsemble, Synthesis
from nncompress.lab.experiment import Stopwatch
from nncompress.lab.lab import Lab
from nncompress.lab.stages import Fit, InitialWeights
from nncompress.types import Dataset, Distillation, Model, Training
from tests.unit.lab.tiny import settings

DATASET = Dataset("breast_cancer", validation=150, train_examples=100)
ENSEMBLE = SelectedEnsemble(
    DATASET, {"neural_net": {"units": (4,), "weight_decay": (0.01,), "epochs": (5, 20)}, "tree": {"leaf": (1, 5, 20)}}, rounds=5, seed=0
)
LABELLED = LabelledCases(ENSEMBLE, Synthesis("munge"), 250, seed=0)
MODEL = Model("mlp", widths=(30, 8, 2))
STANDARD = replace(DATASET, scaling="standard")
FIT = Fit(
    MODEL, STANDARD, Training(steps=300, batch_size=50, learning_rate=0.01, evaluate_every=100), InitialWeights(MODEL, 0), 0,
    distillation=Distillation("probabilities"), teacher=FirstCases(LABELLED, 200, STANDARD),
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(settings(tmp_path_factory.mktemp("results")), say=lambda _: None)


def test_the_ensemble_is_no_worse_than_the_best_model_on_the_validation_cases(lab: Lab) -> None:
    found = lab.get(ENSEMBLE)
    assert found.metrics["ensemble_validation_rmse"] <= found.metrics["single_validation_rmse"] <= found.metrics["net_validation_rmse"]
    assert found.arrays["count"].shape == (5,) and (found.arrays["count"] > 0).sum() == found.metrics["members"]
    assert all(found.metrics[f"{name}_megabytes"] > 0 for name in ("ensemble", "single", "net"))
    assert found.provenance["data"] == problem_splits(DATASET, Path("data")).fingerprint[:12]


@pytest.mark.parametrize("method", ["random", "nbe", "munge"])
def test_labelled_cases_begin_with_the_training_cases(lab: Lab, method: str) -> None:
    found = lab.get(replace(LABELLED, synthesis=Synthesis(method, components=(1, 2), iterations=3))).arrays  # type: ignore[arg-type]
    train = problem_splits(DATASET, Path("data")).train
    np.testing.assert_array_equal(found["continuous"][:100], train.continuous)
    assert found["continuous"].shape == (250, 30) and found["nominal"].shape == (250, 0) and found["probability"].shape == (250,)
    assert found["probability"].min() >= 0 and found["probability"].max() <= 1 and np.isfinite(found["continuous"]).all()


def test_models_that_are_trained_again_answer_as_those_that_were_selected(lab: Lab) -> None:
    """The validation error of the ensemble, of models trained anew."""
    from nncompress.ensemble.library import mean_answers, members, trained

    data, count = problem_splits(DATASET, Path("data")), lab.get(ENSEMBLE).arrays["count"]
    library, places = list(members(ENSEMBLE.library)), np.flatnonzero(count)
    models = [trained(library[place], data.inputs(data.train), data.train_y, 0) for place in places]
    error = rmse(mean_answers(models, count[places], data.inputs(data.validation)), data.validation_y)
    assert error == pytest.approx(lab.get(ENSEMBLE).metrics["ensemble_validation_rmse"], abs=1e-12)


def test_a_transfer_set_is_what_the_net_sees_of_the_first_cases_with_the_ensembles_probabilities(lab: Lab) -> None:
    found, labelled = lab.get(FIT.teacher).arrays, lab.get(LABELLED).arrays  # type: ignore[arg-type]
    data = problem_splits(STANDARD, Path("data"))
    np.testing.assert_array_equal(found["inputs"][:100], data.inputs(data.train))
    assert found["inputs"].shape == (200, 30) and found["logits"].shape == (200, 2)
    np.testing.assert_allclose(probabilities(found["logits"])[:, 1], labelled["probability"][:200], atol=2e-6)


def test_the_mimic_net_learns_the_transfer_set_and_not_the_labels(lab: Lab) -> None:
    """Taught the opposite of what the ensemble says it answers the opposite."""
    turned = replace(LABELLED, seed=1)
    artifact = lab.get(turned)
    artifact.arrays["probability"] = 1 - artifact.arrays["probability"]
    mimic = lab.get(Mimicry(FIT)).metrics
    taught_wrong = lab.get(replace(FIT, teacher=FirstCases(turned, 200, STANDARD))).metrics
    assert mimic["test_accuracy"] > 0.85 and taught_wrong["test_accuracy"] < 0.15
    assert taught_wrong["train_accuracy"] > 0.85  # by what it was taught


def test_a_mimicry_measures_the_net_and_repeats_the_ensembles_numbers(lab: Lab) -> None:
    found, net = lab.get(Mimicry(FIT)), lab.get(FIT)
    for part in (ENSEMBLE, LABELLED, FIT):
        assert found.metrics.items() >= lab.get(part).metrics.items()
    gain = found.metrics["net_validation_rmse"] - found.metrics["mimic_validation_rmse"]
    assert found.metrics["mimic_validation_gain"] == gain > 0
    assert found.metrics["mimic_megabytes"] == 4 * (30 * 8 + 8 + 8 * 2 + 2) / 1e6
    w, data = net.weights, problem_splits(STANDARD, Path("data"))
    hidden = np.maximum(data.inputs(data.test) @ w["fc1.weight"].T + w["fc1.bias"], 0)
    predicted = probabilities(hidden @ w["fc2.weight"].T + w["fc2.bias"])[:, 1]
    assert found.metrics["mimic_test_rmse"] == pytest.approx(rmse(predicted, data.test_y), abs=1e-6)


def test_transfer_sets_are_in_the_key_and_only_fits_that_share_one_are_stacked() -> None:
    other = replace(FIT, teacher=FirstCases(LABELLED, 150, STANDARD))
    twin = replace(FIT, start=InitialWeights(MODEL, 1), seed=1)
    assert len({FIT.key, other.key, twin.key}) == 3
    assert FIT.shared == twin.shared != other.shared


def test_ensembles_and_labelled_cases_name_scikit_learn_in_their_provenance(lab: Lab) -> None:
    for stage in (ENSEMBLE, LABELLED):
        found = lab.get(stage).provenance
        assert found["scikit_learn"] and found["device"].startswith("cpu") and found["data"]


def test_a_plan_counts_the_library_the_labels_and_nets_that_are_trained_one_by_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model takes 2 s to train and 3 s for 1,000 cases; a step a tenth of a second. Five models, two kinds, 250 cases, 300 steps."""
    stacks: list[int] = []

    def time_per_step(task: object, stack: list[object], runtime: object) -> float:
        stacks.append(len(stack))
        return 0.1

    monkeypatch.setattr(compression, "sampled_seconds", lambda ensemble, data_dir: (2.0, 3.0))
    monkeypatch.setattr("nncompress.train.fit.time_per_step", time_per_step)
    watch = Stopwatch(Lab(replace(lab.settings, workers=1), say=lambda _: None))
    assert watch.seconds([ENSEMBLE]) == pytest.approx(5 * 2)
    assert watch.seconds([LABELLED]) == pytest.approx(2 * (2 + 3 * 0.25))
    assert watch.seconds([FIT]) == pytest.approx(30)
    other_split = replace(FIT, dataset=replace(STANDARD, split_seed=3))
    assert watch.seconds([other_split]) == pytest.approx(30) and stacks == [1]


def test_what_a_model_takes_is_found_by_trying_some() -> None:
    training, answering = compression.sampled_seconds(ENSEMBLE, Path("data"))
    assert training > 0 and answering > 0
