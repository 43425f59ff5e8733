from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nncompress.prune import without_dead_units


def test_a_unit_without_inputs_loses_its_outputs_and_one_without_outputs_its_inputs() -> None:
    masks = {
        "fc1.weight": np.array([[1, 1], [0, 0], [1, 0]], bool),  # the second unit has no input
        "fc2.weight": np.array([[1, 1, 0]], bool),  # the third has no output
    }
    left, dead = without_dead_units(masks)
    assert left["fc1.weight"].tolist() == [[True, True], [False, False], [False, False]]
    assert left["fc2.weight"].tolist() == [[True, False, False]]
    assert dead == {"fc1.weight": 2}
    assert masks["fc2.weight"].sum() == 2


def test_death_spreads_from_layer_to_layer_in_both_directions() -> None:
    chain = {"a": np.eye(2, dtype=bool), "b": np.array([[1, 0], [0, 1]], bool), "c": np.array([[1, 0]], bool)}
    left, dead = without_dead_units(chain)
    assert dead == {"a": 1, "b": 1} and [int(mask.sum()) for mask in left.values()] == [1, 1, 1]
    chain = {"a": np.array([[1, 0], [0, 0]], bool), "b": np.eye(2, dtype=bool), "c": np.array([[1, 1]], bool)}
    left, dead = without_dead_units(chain)
    assert dead == {"a": 1, "b": 1} and left["c"].tolist() == [[True, False]]


def test_a_channel_feeds_all_its_places_in_the_first_fully_connected_layer() -> None:
    masks = {"conv1.weight": np.array([1, 0], bool).reshape(2, 1, 1, 1), "fc1.weight": np.ones((3, 2 * 4), bool)}
    left, dead = without_dead_units(masks)
    assert dead == {"conv1.weight": 1}
    assert left["fc1.weight"].tolist() == [[True] * 4 + [False] * 4] * 3


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.6))
def test_what_is_left_is_alive_and_the_function_of_the_net_is_the_same(seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    shapes = {"fc1.weight": (6, 5), "fc2.weight": (4, 6), "fc3.weight": (3, 4)}
    masks = {name: generator.random(shape) < share for name, shape in shapes.items()}
    left, dead = without_dead_units(masks)
    assert all((left[name] <= masks[name]).all() for name in masks)
    again, same = without_dead_units(left)
    assert same == dead and all((again[name] == left[name]).all() for name in left)
    x = generator.random(5)

    def answers(kept: dict[str, np.ndarray]) -> np.ndarray:  # without biases a unit without inputs gives zero
        h = x
        for name in kept:
            h = np.maximum(kept[name] @ h, 0)
        return h

    np.testing.assert_allclose(answers(left), answers(masks))
