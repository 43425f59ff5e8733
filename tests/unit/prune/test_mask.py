"""Masks: how dense they are, how much they share, and shuffled controls."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncompress.prune import density, layer_densities, overlap, overlap_by_chance, shuffle_masks


def test_density_weighs_layers_by_their_size() -> None:
    masks = {"fc1": np.array([True] * 6 + [False] * 2), "fc2": np.array([[True], [False]])}
    assert layer_densities(masks) == {"fc1": 0.75, "fc2": 0.5}
    assert density(masks) == 0.7


@settings(deadline=None, max_examples=60)
@given(st.lists(st.booleans(), min_size=1, max_size=50), st.lists(st.booleans(), min_size=1, max_size=50), st.integers(0, 2**31))
def test_shuffling_keeps_the_count_and_shape_of_every_layer(first: list[bool], second: list[bool], seed: int) -> None:
    masks = {"b": np.array(first), "a": np.array(second).reshape(-1, 1)}
    shuffled = shuffle_masks(masks, seed)
    assert shuffled.keys() == masks.keys()
    for name, mask in masks.items():
        assert shuffled[name].sum() == mask.sum() and shuffled[name].shape == mask.shape and shuffled[name].dtype == bool


def test_shuffling_is_a_function_of_the_seed_and_not_of_the_order_of_layers() -> None:
    generator = np.random.default_rng(0)
    masks = {name: generator.random((20, 30)) < 0.3 for name in ("fc1", "fc2")}
    first, again, other = shuffle_masks(masks, 1), shuffle_masks(dict(reversed(masks.items())), 1), shuffle_masks(masks, 2)
    for name, mask in masks.items():
        assert np.array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name]) and not np.array_equal(first[name], mask)


def test_every_place_is_kept_equally_often_by_shuffling() -> None:
    mask = {"fc": np.arange(10) < 3}
    kept = np.mean([shuffle_masks(mask, seed)["fc"] for seed in range(3000)], axis=0)
    assert np.abs(kept - 0.3).max() < 0.04  # five standard errors


def test_overlap_by_hand() -> None:
    first = {"fc1": np.array([True, True, False]), "fc2": np.array([True, False])}
    second = {"fc1": np.array([True, False, True]), "fc2": np.array([True, False])}
    assert overlap(first, second) == 2 / 4
    assert overlap(first, first) == 1 and overlap(first, {name: ~mask for name, mask in first.items()}) == 0
    nothing = {"fc1": np.zeros(3, bool)}
    assert overlap(nothing, nothing) == 1


@pytest.mark.parametrize("share", [0.5, 0.2, 0.05])
def test_the_overlap_of_random_masks_tends_to_p_over_two_minus_p(share: float) -> None:
    size = 200_000
    mask = {"fc": np.arange(size) < share * size}
    assert overlap_by_chance(mask, mask) == pytest.approx(share / (2 - share), rel=1e-6)
    found = overlap(shuffle_masks(mask, 1), shuffle_masks(mask, 2))
    assert found == pytest.approx(share / (2 - share), rel=0.05)


def test_pruning_is_imported_without_torch_or_pandas() -> None:
    code = f"import sys; sys.path[:0] = {sys.path}; import nncompress.prune; assert not {{'torch', 'pandas'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_overlap_by_chance_weighs_layers_by_hand() -> None:
    """fc1: p = 1/2, q = 1/4 of 8 weights: 1 in both, 5 in either. fc2: p = q = 1/2 of 2: 0.5 and 1.5."""
    first = {"fc1": np.array([True] * 4 + [False] * 4), "fc2": np.array([True, False])}
    second = {"fc1": np.array([True] * 2 + [False] * 6), "fc2": np.array([True, False])}
    assert overlap_by_chance(first, second) == pytest.approx(1.5 / 6.5)


def test_the_overlap_by_chance_among_the_weights_of_each_input_by_hand() -> None:
    """The inputs keep 2 and 0 of 2 in the first mask, 1 and 0 in the second: 1 is in both, 2 in either; of the layer it is 0.5 and 2.5."""
    first, second = {"fc1": np.array([[1, 0], [1, 0]], bool)}, {"fc1": np.array([[1, 0], [0, 0]], bool)}
    assert overlap_by_chance(first, second, per_input=True) == pytest.approx(1 / 2)
    assert overlap_by_chance(first, second) == pytest.approx(0.5 / 2.5)
    empty_margin = {"fc1": np.random.default_rng(0).random((1000, 40)) < np.repeat([0.0, 0.4], 20)}
    shuffled = {"fc1": np.random.default_rng(1).permuted(empty_margin["fc1"], axis=0)}
    assert overlap(empty_margin, shuffled) == pytest.approx(overlap_by_chance(empty_margin, shuffled, per_input=True), rel=0.05)


def test_the_places_of_a_random_mask_are_those_of_every_version_of_numpy() -> None:
    """Stored fits stand on them. A new numpy that draws otherwise would change them under their old keys."""
    (mask,) = shuffle_masks({"fc1.weight": np.arange(24).reshape(4, 6) < 7}, 3).values()
    assert np.flatnonzero(mask).tolist() == [4, 6, 11, 12, 14, 19, 21]
