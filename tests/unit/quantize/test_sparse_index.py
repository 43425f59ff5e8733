"""Relative indices with filler zeros (Han et al. 2016, sec. 2)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nncompress.quantize.sparse_index import to_gaps, to_positions


def test_figure_2_a_run_longer_than_the_span_of_three_bits_takes_a_filler() -> None:
    """The gaps 1, 3, 8, 3 with a filler at the third: weights at the first, the fourth and the fifteenth place."""
    fields, weights = to_gaps(np.array([0, 3, 14]), bits=3)
    assert (fields + 1).tolist() == [1, 3, 8, 3]
    assert weights.tolist() == [0, 1, 3]
    stored = np.zeros(4, np.float32)
    stored[weights] = [3.4, 0.9, 1.7]
    layer = np.zeros(16, np.float32)
    layer[to_positions(fields, 16)] = stored
    assert np.flatnonzero(layer).tolist() == [0, 3, 14] and layer[[0, 3, 14]].tolist() == pytest.approx([3.4, 0.9, 1.7])


@pytest.mark.parametrize(("position", "fields"), [(0, [0]), (3, [3]), (4, [3, 0]), (7, [3, 3]), (8, [3, 3, 0]), (11, [3, 3, 3])])
def test_a_gap_of_the_whole_span_needs_no_filler_and_one_more_does(position: int, fields: list[int]) -> None:
    found, weights = to_gaps(np.array([position]), bits=2)
    assert found.tolist() == fields and weights.tolist() == [len(fields) - 1]


@given(arrays(bool, st.integers(0, 400), elements=st.booleans()), st.integers(1, 16))
def test_positions_come_back_and_fillers_are_as_few_as_can_be(kept: np.ndarray, bits: int) -> None:
    positions = np.flatnonzero(kept)
    fields, weights = to_gaps(positions, bits)
    assert fields.dtype == np.uint16 and (not fields.size or fields.max() < 1 << bits)
    assert to_positions(fields, kept.size)[weights].tolist() == positions.tolist()
    runs = np.diff(positions, prepend=-1) - 1  # of zeros before each weight
    assert fields.size - weights.size == sum(run // 2**bits for run in runs)


@given(st.lists(st.integers(0, 300_000), min_size=1, max_size=6, unique=True).map(sorted), st.integers(1, 16))
def test_long_runs_of_zeros_come_back(positions: list[int], bits: int) -> None:
    fields, weights = to_gaps(np.array(positions), bits)
    assert to_positions(fields, positions[-1] + 1)[weights].tolist() == positions
    with pytest.raises(ValueError, match=f"place {positions[-1] + 1} of {positions[-1]}"):
        to_positions(fields, positions[-1])


def test_layers_too_large_for_32_bits_are_counted_in_64() -> None:
    fields = np.full(2**16, 2**16 - 1, np.uint16)
    assert to_positions(fields, 2**32)[-1] == 2**32 - 1


def test_a_random_mask_needs_as_many_fillers_as_a_memoryless_one_does() -> None:
    """q / (1 - q) fillers for each weight, q = (1 - p)^(2^b): 0.075 at p = 8 % and 5 bits."""
    positions = np.flatnonzero(np.random.default_rng(0).random(2_000_000) < 0.08)
    fields, weights = to_gaps(positions, bits=5)
    assert fields.size / weights.size - 1 == pytest.approx(0.92**32 / (1 - 0.92**32), rel=0.02)
