"""Removing whole units."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, max_pool2d, relu

from nncompress.prune import importance_by_weights, keep_units, without_units

RNG = np.random.default_rng(0)
WEIGHTS = {
    "fc1.weight": np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]]),
    "fc1.bias": np.array([1.0, 2.0, 3.0]),
    "fc2.weight": np.array([[1.0, 5.0, 0.0], [0.0, 5.0, 2.0]]),
    "fc2.bias": np.array([0.5, -0.5]),
}


def draw(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def test_importance_is_the_norm_in_times_the_norm_out() -> None:
    found = importance_by_weights(WEIGHTS)
    assert list(found) == ["fc1"]
    np.testing.assert_allclose(found["fc1"], [5 * 1, 0, 1 * 2])


def test_rescaling_a_unit_does_not_change_its_importance() -> None:
    scaled = {name: array.copy() for name, array in WEIGHTS.items()}
    scaled["fc1.weight"][0] *= 8
    scaled["fc2.weight"][:, 0] /= 8
    np.testing.assert_allclose(importance_by_weights(scaled)["fc1"], importance_by_weights(WEIGHTS)["fc1"])


def test_the_most_important_stay_and_ties_go_by_position() -> None:
    kept = keep_units({"fc1": np.array([1.0, 3.0, 1.0, 2.0]), "fc2": np.ones(3)}, {"fc1": 0.75})
    assert kept["fc1"].tolist() == [True, True, False, True]
    assert kept["fc2"].all()
    assert keep_units({"fc1": np.ones(4)}, {"fc1": 0.01})["fc1"].tolist() == [True, False, False, False]


def test_golden_case() -> None:
    smaller = without_units(WEIGHTS, {"fc1": np.array([True, False, True])})
    assert {name: array.tolist() for name, array in smaller.items()} == {
        "fc1.weight": [[3, 4], [1, 0]],
        "fc1.bias": [1, 3],
        "fc2.weight": [[1, 0], [0, 2]],
        "fc2.bias": [0.5, -0.5],
    }
    assert WEIGHTS["fc1.weight"].shape == (3, 2)


def lenet(weights: dict[str, np.ndarray], images: np.ndarray, kept: dict[str, np.ndarray]) -> torch.Tensor:
    """Two convolutions with pooling, two fully connected layers; the outputs of units that are not kept are set to zero."""
    w = {name: torch.from_numpy(array) for name, array in weights.items()}
    mask = {name: torch.from_numpy(units.astype(np.float32)) for name, units in kept.items()}
    x = torch.from_numpy(images)
    for layer in ("conv1", "conv2"):
        x = max_pool2d(relu(conv2d(x, w[f"{layer}.weight"], w[f"{layer}.bias"])), 2)
        x = x * mask[layer][:, None, None] if layer in mask else x
    x = relu(x.flatten(1) @ w["fc1.weight"].T + w["fc1.bias"])
    x = x * mask["fc1"] if "fc1" in mask else x
    return x @ w["fc2.weight"].T + w["fc2.bias"]


def test_the_smaller_net_answers_as_the_whole_one_with_the_removed_units_silent() -> None:
    shapes = {"conv1": (4, 1, 3, 3), "conv2": (6, 4, 3, 3), "fc1": (10, 6 * 5 * 5), "fc2": (3, 10)}
    weights = {
        f"{layer}.{kind}": draw(*(shape if kind == "weight" else shape[:1])) for layer, shape in shapes.items() for kind in ("weight", "bias")
    }
    images = draw(7, 1, 28, 28)
    kept = keep_units(importance_by_weights(weights), {"conv1": 0.5, "conv2": 0.5, "fc1": 0.3})
    smaller = without_units(weights, kept)
    assert {name: array.shape for name, array in smaller.items() if name.endswith("weight")} == {
        "conv1.weight": (2, 1, 3, 3), "conv2.weight": (3, 2, 3, 3), "fc1.weight": (3, 3 * 5 * 5), "fc2.weight": (3, 3),
    }  # fmt: skip
    torch.testing.assert_close(lenet(smaller, images, {}), lenet(weights, images, kept), atol=1e-3, rtol=1e-4)


def test_nothing_removed_is_the_same_net() -> None:
    same = without_units(WEIGHTS, {"fc1": np.ones(3, bool)})
    assert all(np.array_equal(same[name], array) for name, array in WEIGHTS.items())


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"fc2": np.ones(2, bool)}, "'fc2' is no hidden layer; there is fc1"),
        ({"fc1": np.ones(4, bool)}, "fc1 has 3 units, not 4"),
        ({"fc1": np.zeros(3, bool)}, "fc1 would lose all of its units"),
    ],
)
def test_what_cannot_be_removed(kept: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        without_units(WEIGHTS, kept)


@pytest.mark.parametrize(
    ("share", "words"), [({"fc3": 0.5}, "keep.fc3: there is no such"), ({"fc1": 0.0}, r"keep.fc1 = 0.0 is outside \(0, 1\]")]
)
def test_a_wrong_share(share: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        keep_units({"fc1": np.ones(3)}, share)
