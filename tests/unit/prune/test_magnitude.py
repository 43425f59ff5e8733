"""Magnitude pruning: the mathematics that the lottery ticket rests on."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncompress.prune import density, keep_largest, layer_densities, one_shot_fraction, surviving_share

FRACTIONS = st.floats(0, 0.95)
LAYERS = st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=60).map(lambda values: np.array(values, np.float32))


def test_a_layer_of_four_weights_worked_by_hand() -> None:
    weights = {"fc": np.array([[0.3, -0.1], [-0.5, 0.2]], np.float32)}
    half = keep_largest(weights, {}, {"fc": 0.5})
    assert half["fc"].tolist() == [[True, False], [True, False]]
    quarter = keep_largest(weights, half, {"fc": 0.5})  # of the two survivors 0.3 and -0.5
    assert quarter["fc"].tolist() == [[False, False], [True, False]]
    assert half["fc"].tolist() == [[True, False], [True, False]], "the mask before must not be changed"


def test_a_pruned_weight_stays_pruned_even_if_it_is_large() -> None:
    previous = {"fc": np.array([False, True, True, True])}
    masks = keep_largest({"fc": np.array([9.0, 1.0, 2.0, 3.0])}, previous, {"fc": 1 / 3})
    assert masks["fc"].tolist() == [False, False, True, True]


def test_ties_are_broken_by_position_so_that_the_count_is_exact() -> None:
    masks = keep_largest({"fc": np.array([1.0, -1.0, 1.0, -1.0, 1.0])}, {}, {"fc": 0.4})
    assert masks["fc"].tolist() == [False, False, True, True, True]
    assert keep_largest({"fc": np.zeros(1000)}, {}, {"fc": 0.2})["fc"].sum() == 800


def test_layers_that_are_not_named_keep_their_mask() -> None:
    weights = {"fc1": np.arange(4.0), "fc2": np.arange(4.0), "fc3": np.arange(4.0)}
    previous = {"fc2": np.array([True, False, True, False])}
    masks = keep_largest(weights, previous, {"fc1": 0.5})
    assert set(masks) == {"fc1", "fc2"} and masks["fc2"].tolist() == previous["fc2"].tolist()


def test_the_memory_layout_of_the_weights_does_not_matter() -> None:
    weights = np.random.default_rng(0).normal(size=(5, 7))
    expected = keep_largest({"fc": weights}, {}, {"fc": 0.4})["fc"]
    fortran = np.ones((5, 7), bool, order="F")
    assert np.array_equal(keep_largest({"fc": np.asfortranarray(weights)}, {"fc": fortran}, {"fc": 0.4})["fc"], expected)
    assert np.array_equal(keep_largest({"fc": weights}, {"fc": fortran}, {"fc": 0.4})["fc"], expected)


@settings(deadline=None, max_examples=60)
@given(LAYERS, st.lists(FRACTIONS, min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_masks_nest_and_survivors_are_the_largest(weights: np.ndarray, fractions: list[float], seed: int) -> None:
    generator, masks = np.random.default_rng(seed), {"fc": np.ones(weights.size, bool)}
    for fraction in fractions:
        before, trained = masks["fc"], weights * generator.normal(size=weights.size)
        masks = keep_largest({"fc": trained}, masks, {"fc": fraction})
        after = masks["fc"]
        assert not np.any(after & ~before)
        assert before.sum() - after.sum() == round(fraction * before.sum())
        removed = np.abs(trained[before & ~after])
        assert not removed.size or not after.any() or np.abs(trained[after]).min() >= removed.max()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5000), st.floats(0, 0.9), st.integers(0, 25))
def test_density_after_n_rounds_is_the_share_to_the_n_within_rounding(size: int, fraction: float, rounds: int) -> None:
    weights, masks = {"fc": np.random.default_rng(0).normal(size=size)}, {"fc": np.ones(size, bool)}
    for _ in range(rounds):
        masks = keep_largest(weights, masks, {"fc": fraction})
    # each round is off by half a weight at most, and later rounds shrink what earlier ones were off
    assert abs(masks["fc"].sum() - size * surviving_share(fraction, rounds)) <= 0.5 * sum((1 - fraction) ** n for n in range(rounds)) + 1e-6


LENET_300_100 = {"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}
PAPER = {"fc1": 0.2, "fc2": 0.2, "fc3": 0.1}
"""Frankle & Carbin 2019, Figure 2: 20 % a round, the output layer at half that rate."""


def lenet_weights() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in LENET_300_100.items()}


def after_rounds(weights: Mapping[str, np.ndarray], rounds: int) -> list[dict[str, np.ndarray]]:
    masks = [{name: np.ones(array.shape, bool) for name, array in weights.items()}]
    for _ in range(rounds):
        masks.append(keep_largest(weights, masks[-1], PAPER))
    return masks[1:]


def test_the_densities_of_lenet_300_100_are_those_that_its_rates_give() -> None:
    # in closed form (265,200 * 0.8^n + 1,000 * 0.9^n) / 266,200; round 12 is 6.952 %
    percent = [round(100 * density(masks), 1) for masks in after_rounds(lenet_weights(), 20)]
    assert percent == [80.0, 64.1, 51.3, 41.1, 32.9, 26.3, 21.1, 16.9, 13.5, 10.8, 8.7, 7.0, 5.6, 4.5, 3.6, 2.9, 2.3, 1.9, 1.5, 1.2]


def test_one_shot_keeps_as_many_weights_as_the_rounds_it_stands_for() -> None:
    weights = lenet_weights()
    for rounds, masks in enumerate(after_rounds(weights, 20), start=1):
        once = keep_largest(weights, {}, {name: one_shot_fraction(share, rounds) for name, share in PAPER.items()})
        for name, mask in masks.items():
            assert abs(int(once[name].sum()) - int(mask.sum())) <= 3, "only rounding may differ"
        assert abs(density(once) - density(masks)) < 1e-4
        assert layer_densities(once).keys() == layer_densities(masks).keys()


def test_on_unchanged_weights_one_shot_and_rounds_keep_the_same_weights() -> None:
    weights = {"fc": np.random.default_rng(0).normal(size=1024)}
    masks = {"fc": np.ones(1024, bool)}
    for _ in range(5):
        masks = keep_largest(weights, masks, {"fc": 0.5})
    assert np.array_equal(masks["fc"], keep_largest(weights, {}, {"fc": one_shot_fraction(0.5, 5)})["fc"])
    assert masks["fc"].sum() == 32


def test_a_layer_that_the_model_does_not_have_is_named_with_those_it_has() -> None:
    with pytest.raises(ValueError, match=r"prune_fraction names the layer 'fc9', which the model does not have; it has fc1, fc2"):
        keep_largest({"fc1": np.ones(2), "fc2": np.ones(2)}, {}, {"fc9": 0.2})


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, float("nan")])
def test_a_fraction_outside_the_range_is_refused_and_named(share: float) -> None:
    with pytest.raises(ValueError, match=rf"prune_fraction\.fc = {share} is outside \[0, 1\)"):
        keep_largest({"fc": np.ones(2)}, {}, {"fc": share})


@settings(deadline=None, max_examples=60)
@given(FRACTIONS, st.integers(0, 25))
def test_one_shot_fraction_removes_what_the_rounds_leave_out(fraction: float, rounds: int) -> None:
    assert 1 - one_shot_fraction(fraction, rounds) == pytest.approx(surviving_share(fraction, rounds))
    assert 0 <= one_shot_fraction(fraction, rounds) <= 1


def test_surviving_share_by_hand() -> None:
    assert surviving_share(0.2, 3) == pytest.approx(0.512) and surviving_share(0.2, 0) == 1 and surviving_share(0, 9) == 1
