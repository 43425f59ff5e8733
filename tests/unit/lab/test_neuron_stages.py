"""The stages of pruning whole units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nncompress.lab.lab import Lab, Settings
from nncompress.lab.neurons import Importance, SmallerWeights, Speed, smaller_model
from nncompress.lab.stage import Artifact
from nncompress.lab.stages import Fit, InitialWeights, pack
from nncompress.models import initial_weights
from nncompress.types import Dataset, Model, Training

MODEL = Model("mlp", (64, 6, 4, 10))
FIT = Fit(MODEL, Dataset("digits", validation=300), Training(steps=2, batch_size=20, learning_rate=0.01), InitialWeights(MODEL, 0), 0)
SMALL = smaller_model(MODEL, 0.5)


def weights() -> dict[str, np.ndarray]:
    return {name: np.array(array) for name, array in initial_weights(MODEL, 0).items()}


def pruned(importance: Importance, trained: dict[str, np.ndarray], tmp_path: Path, seed: int = 0) -> dict[str, np.ndarray]:
    lab = Lab(Settings(store=tmp_path, results=tmp_path, data_dir=tmp_path, device="cpu"))
    return dict(SmallerWeights(FIT, SMALL, importance, seed).compute({FIT: Artifact(pack("weights", trained))}, lab).weights)


def test_half_of_the_hidden_units_is_a_model() -> None:
    assert Model("mlp", (64, 3, 2, 10)) == SMALL
    assert smaller_model(MODEL, 0.01).widths == (64, 1, 1, 10)


def test_units_that_are_never_active_go_first(tmp_path: Path) -> None:
    trained = weights()
    for layer, silent in (("fc1", [0, 2, 5]), ("fc2", [1, 3])):
        trained[f"{layer}.bias"][:] = 100
        trained[f"{layer}.bias"][silent] = -1e5
    found = pruned("activity", trained, tmp_path)
    np.testing.assert_array_equal(found["fc1.weight"], trained["fc1.weight"][[1, 3, 4]])
    np.testing.assert_array_equal(found["fc2.weight"], trained["fc2.weight"][[0, 2]][:, [1, 3, 4]])
    np.testing.assert_array_equal(found["fc3.weight"], trained["fc3.weight"][:, [0, 2]])


def test_units_of_small_weights_go_first(tmp_path: Path) -> None:
    trained = weights()
    trained["fc1.weight"][[1, 3, 4]] *= 1e-3
    np.testing.assert_array_equal(pruned("weights", trained, tmp_path)["fc1.weight"], trained["fc1.weight"][[0, 2, 5]])


def test_units_go_first_whose_output_times_outgoing_weights_is_small(tmp_path: Path) -> None:
    trained = weights()
    trained["fc1.weight"][:] = 0
    trained["fc1.bias"][:] = [1, 2, 3, 4, 5, -6]  # their outputs, of any image
    trained["fc2.weight"][:] = 0
    trained["fc2.weight"][0] = [6, 5, 1, 0.5, 0, 9]  # products: 6, 10, 3, 2, 0, 0
    found = pruned("output", trained, tmp_path)
    np.testing.assert_array_equal(found["fc1.bias"], [1, 2, 3])


def test_random_units_are_a_function_of_the_seed(tmp_path: Path) -> None:
    first, again, others = (pruned("random", weights(), tmp_path, seed)["fc1.weight"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, others)


def test_speed_is_measured_beside_the_dense_net(tmp_path: Path) -> None:
    lab = Lab(Settings(store=tmp_path, results=tmp_path, data_dir=tmp_path, device="cpu"))
    trained = Artifact(pack("weights", weights()))
    start = SmallerWeights(FIT, SMALL, "weights")
    small = Fit(SMALL, FIT.dataset, FIT.training, start, 0)
    given = {FIT: trained, start: start.compute({FIT: trained}, lab)}
    stage = Speed(small, FIT, batches=(1, 2), rounds=2)
    assert set(stage.upstream) == {small, FIT, start}
    metrics = stage.compute({**given, small: given[start]}, lab).metrics
    dense, left = 64 * 6 + 6 * 4 + 4 * 10, 64 * 3 + 3 * 2 + 2 * 10
    assert metrics["weights"] == left and metrics["bytes"] == 4 * (left + 3 + 2 + 10)
    assert metrics["compression"] == (dense + 6 + 4 + 10) / (left + 3 + 2 + 10)
    assert metrics["before_retraining_test_accuracy"] == pytest.approx(metrics["test_accuracy"])
    assert {name for name in metrics if name.startswith("s")} == {"seconds_1", "seconds_2", "speedup_1", "speedup_2"}
