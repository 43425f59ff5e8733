"""Smearing: what manufactured cases are made of, and that those of a node are as if they had been sent down to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nncompress.trees.smearing import smear

X = np.array([[0, 0, 5], [0, 1, 6], [1, 0, 7], [2, 1, 8], [2, 1, 9]], float)


def made(inside: np.ndarray, count: int, p_alt: float, seed: int = 0) -> np.ndarray:
    places, _ = smear(inside, count, p_alt, np.random.default_rng(seed))
    return X[places, np.arange(3)]


def everywhere() -> np.ndarray:
    return np.ones(X.shape, bool)


def test_p_alt_0_gives_training_cases() -> None:
    places, share = smear(everywhere(), 200, 0.0, np.random.default_rng(0))
    assert (places == places[:, :1]).all() and set(places[:, 0]) == {0, 1, 2, 3, 4} and share == 1


def test_p_alt_1_gives_independent_coordinates() -> None:
    found = made(everywhere(), 200_000, 1.0)
    for a in (0, 1, 2):
        for b in (0, 1):
            expected = (X[:, 0] == a).mean() * (X[:, 1] == b).mean()
            assert ((found[:, 0] == a) & (found[:, 1] == b)).mean() == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("p_alt", [0.0, 0.3, 0.7, 1.0])
def test_every_coordinate_keeps_its_distribution(p_alt: float) -> None:
    found = made(everywhere(), 100_000, p_alt)
    for j in range(3):
        for value in np.unique(X[:, j]):
            assert (found[:, j] == value).mean() == pytest.approx((X[:, j] == value).mean(), abs=0.008)


def test_p_alt_is_the_share_of_coordinates_that_are_replaced() -> None:
    """A coordinate drawn anew is by chance one time in N the old one: two coordinates have one origin with (1-p)^2 + (1-(1-p)^2) / N."""
    places, _ = smear(everywhere(), 200_000, 0.4, np.random.default_rng(1))
    assert (places[:, 0] == places[:, 1]).mean() == pytest.approx(0.36 + 0.64 / 5, abs=0.005)


@pytest.mark.parametrize("p_alt", [0.0, 0.25, 0.6, 1.0])
def test_cases_of_a_node_are_those_that_were_smeared_and_sent_down(p_alt: float) -> None:
    inside = np.stack([X[:, 0] <= 1, X[:, 1] > -1, X[:, 2] > 5.5], axis=1)
    drawn, share = smear(inside, 200_000, p_alt, np.random.default_rng(2))
    direct = X[drawn, np.arange(3)]
    sent = made(everywhere(), 400_000, p_alt, seed=3)
    arrived = sent[(sent[:, 0] <= 1) & (sent[:, 2] > 5.5)]
    assert ((direct[:, 0] <= 1) & (direct[:, 2] > 5.5)).all()
    assert share == pytest.approx(len(arrived) / len(sent), abs=0.005)
    cells = [np.unique(cases, axis=0, return_counts=True) for cases in (direct, arrived)]
    np.testing.assert_array_equal(cells[0][0], cells[1][0])
    np.testing.assert_allclose(cells[0][1] / len(direct), cells[1][1] / len(arrived), atol=0.008)


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.2, 0.9, 1.0]))
def test_the_shares_of_two_children_add_up_to_that_of_their_node(seed: int, p_alt: float) -> None:
    generator = np.random.default_rng(seed)
    inside = generator.random((6, 4)) < 0.8
    inside[0] = True
    half = generator.random(6) < 0.5
    half[:2] = [True, False]
    children = []
    for side in (half, ~half):
        narrower = inside.copy()
        narrower[:, 2] &= side
        if narrower[:, 2].any() and (narrower.all(1).any() or p_alt > 0):
            children.append(smear(narrower, 1, p_alt, generator)[1])
    assert sum(children) == pytest.approx(smear(inside, 1, p_alt, generator)[1])


@pytest.mark.parametrize("p_alt", [-0.1, 1.1])
def test_a_rate_that_is_no_probability_is_refused(p_alt: float) -> None:
    with pytest.raises(ValueError, match="p_alt = "):
        smear(everywhere(), 1, p_alt, np.random.default_rng(0))


def test_a_node_to_which_no_case_can_come_is_refused() -> None:
    inside = everywhere()
    inside[:, 1] = False
    with pytest.raises(ValueError, match="no smeared case"):
        smear(inside, 1, 0.5, np.random.default_rng(0))
