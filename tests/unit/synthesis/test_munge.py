"""MUNGE: a pass worked by hand, its limits, and what its draws are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nncompress.data.cases import Cases
from nncompress.synthesis import disturb, munge

NONE = np.empty((3, 0), np.uint8)


def table(count: int, seed: int = 0) -> Cases:
    draw = np.random.default_rng(seed)
    return Cases(draw.random((count, 3)).astype(np.float32), draw.integers(0, 4, (count, 2)).astype(np.uint8))


def rows(cases: Cases) -> list[tuple[float, ...]]:
    return sorted(tuple(row) for row in np.concatenate([cases.continuous, cases.nominal], axis=1).tolist())


def test_a_pass_over_three_cases_as_worked_by_hand() -> None:
    """a = (0, 0) is nearest to b = (0.1, 0.3) and exchanges its first attribute with sd = 0.1 / 2: a0 = 0.1 + 3 sd, b0 = 0 - 2 sd. Then b
    exchanges nothing. Then c = (1, 1), nearest to b in T but to a = (0.25, 0) in T', exchanges its second: sd = 1 / 2."""
    cases = Cases(np.array([[0, 0], [0.1, 0.3], [1, 1]], np.float32), NONE)
    swap = np.array([[True, False], [False, False], [False, True]])
    noise = np.zeros((2, 3, 2), np.float32)
    noise[:, 0, 0], noise[:, 2, 1] = (3, -2), (0.2, -0.4)
    found = disturb(cases, swap, np.zeros((3, 0), bool), noise, local_variance=2)
    np.testing.assert_allclose(found.continuous, [[0.25, 0.8], [-0.1, 0.3], [1, 0.1]], atol=1e-6)


def test_nominal_attributes_are_swapped_with_the_case_that_differs_in_fewest() -> None:
    nominal = np.array([[0, 0, 0], [0, 1, 1], [2, 0, 1], [2, 2, 1]], np.uint8)  # the first differs from the others in 2, 2 and 3
    swap = np.zeros((4, 3), bool)
    swap[0, 1:] = True
    found = disturb(Cases(np.empty((4, 0), np.float32), nominal), np.zeros((4, 0), bool), swap, np.empty((2, 4, 0), np.float32), 1.0)
    assert found.nominal.tolist() == [[0, 1, 1], [0, 0, 0], [2, 0, 1], [2, 2, 1]]


def test_continuous_and_nominal_distances_add_up() -> None:
    """To (0.9, 1) the squared distance is 0.81; to (0, 2) it is 1, the nominal attribute that differs."""
    cases = Cases(np.array([[0], [0.9], [0]], np.float32), np.array([[1], [1], [2]], np.uint8))
    swap = np.array([[True], [False], [False]])
    found = disturb(cases, swap, np.zeros((3, 1), bool), np.zeros((2, 3, 1), np.float32), 1.0)
    np.testing.assert_array_equal(found.continuous, np.array([[0.9], [0], [0]], np.float32))


@given(st.integers(0, 2**20), st.integers(2, 12))
def test_without_exchanges_the_cases_are_copied(seed: int, count: int) -> None:
    cases = table(count, seed)
    found = munge(cases, 2 * count + 1, 0.0, 1.0, seed)
    whole = np.tile(cases.continuous, (3, 1))[: 2 * count + 1]
    np.testing.assert_array_equal(found.continuous, whole)
    np.testing.assert_array_equal(found.nominal, np.tile(cases.nominal, (3, 1))[: 2 * count + 1])


@given(st.integers(0, 2**20), st.integers(2, 12))
def test_with_all_exchanged_and_no_noise_the_same_cases_stand_in_another_order(seed: int, count: int) -> None:
    cases = table(count, seed)
    assert rows(munge(cases, count, 1.0, 1e30, seed)) == rows(cases)


def test_exchanged_attributes_spread_by_their_distance_over_s() -> None:
    """Of two cases at 0 and 1 the first ends, after both exchanges, at N(e'_a, sd'), each with the standard deviations of its time."""
    cases = Cases(np.array([[0.0], [1.0]], np.float32), NONE[:2])
    swap = np.array([[True], [False]])
    draw = np.random.default_rng(0)
    found = np.array(
        [
            disturb(cases, swap, np.zeros((2, 0), bool), draw.standard_normal((2, 2, 1)).astype(np.float32), 4.0).continuous[:, 0]
            for _ in range(4000)
        ]
    )
    np.testing.assert_allclose(found.mean(0), [1, 0], atol=0.02)
    np.testing.assert_allclose(found.std(0), [0.25, 0.25], rtol=0.05)
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.05


def test_attributes_are_exchanged_with_probability_p() -> None:
    cases = table(200)
    changed = munge(cases, 200, 0.3, 1.0, 0).continuous != cases.continuous
    once = 1 - (1 - 0.3) ** 2  # in its own turn, and on average once as the neighbour of another
    assert 0.3 < changed.mean() < once + 0.05


def test_a_case_is_never_its_own_neighbour() -> None:
    cases = Cases(np.zeros((3, 1), np.float32), np.array([[0], [1], [2]], np.uint8))
    found = munge(cases, 3, 1.0, 1.0, 0)
    assert found.nominal.ravel().tolist() != [0, 1, 2] and sorted(found.nominal.ravel()) == [0, 1, 2]


def test_passes_begin_from_the_cases_as_they_are_and_differ_and_a_longer_set_begins_with_the_shorter() -> None:
    cases = table(30)
    short, long = munge(cases, 60, 0.5, 1.0, 3), munge(cases, 75, 0.5, 1.0, 3)
    np.testing.assert_array_equal(long.continuous[:60], short.continuous)
    assert not np.array_equal(long.continuous[:30], long.continuous[30:60])
    assert len(long) == 75 and long.continuous.dtype == np.float32 and long.nominal.dtype == np.uint8
    np.testing.assert_array_equal(munge(cases, 60, 0.5, 1.0, 3).nominal, short.nominal)
    assert not np.array_equal(munge(cases, 60, 0.5, 1.0, 4).continuous, short.continuous)


@pytest.mark.parametrize(("p", "s", "count"), [(1.2, 1.0, 3), (-0.1, 1.0, 3), (0.5, 0.0, 3), (0.5, 1.0, 1)])
def test_values_out_of_range_are_refused(p: float, s: float, count: int) -> None:
    with pytest.raises(ValueError, match=r"must be|needs a neighbour"):
        munge(table(count), 3, p, s, 0)
