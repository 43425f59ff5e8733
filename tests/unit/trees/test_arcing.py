"""Arcing: how cases are weighed, and that trees vote."""

from __future__ import annotations

import numpy as np
import pytest

from nncompress.trees.arcing import arc, reweighted


def test_cases_that_a_tree_gets_wrong_gain_half_the_weight() -> None:
    """e = 1/4, beta = 3: weights 3 : 1 : 1 : 1, so that the wrong case has half of them."""
    p, vote = reweighted(np.full(4, 0.25), np.array([True, False, False, False]))
    assert p == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6]) and vote == pytest.approx(np.log(3))


def test_without_errors_and_with_too_many_all_cases_weigh_the_same_again() -> None:
    p = np.array([0.5, 0.3, 0.1, 0.1])
    right, vote = reweighted(p, np.zeros(4, bool))
    assert right.tolist() == [0.25] * 4 and vote == pytest.approx(np.log(7))  # beta of e = 1/8
    wrong, none = reweighted(p, np.array([True, False, False, False]))
    assert wrong.tolist() == [0.25] * 4 and none == 0


def test_an_ensemble_has_its_trees_and_learns_the_training_cases() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(150, 4))
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64) + (x[:, 2] > 1)
    found = arc(x, y, 3, 20, seed=1)
    assert len(found.trees) == len(found.votes) == 20 and (found.votes > 0).any()
    assert (found.predict(x) == y).all()
    again = arc(x, y, 3, 20, seed=1)
    other = generator.normal(size=(500, 4))
    np.testing.assert_array_equal(found.predict(other), again.predict(other))
    single = (found.trees[0].predict(x) == y).mean()
    assert single < 1, "a tree of drawn cases does not know those that were not drawn"


def test_every_tree_is_of_cases_drawn_by_the_weights_that_the_trees_before_it_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[np.ndarray] = []

    class Watched:
        def __init__(self, seed: int) -> None:
            self.own = np.random.Generator(np.random.PCG64(seed))

        def choice(self, cases: int, size: int, p: np.ndarray) -> np.ndarray:
            drawn.append(p)
            return self.own.choice(cases, size, p=p)

        def integers(self, high: int) -> int:
            return int(self.own.integers(high))

    monkeypatch.setattr(np.random, "default_rng", Watched)
    x = np.random.Generator(np.random.PCG64(0)).normal(size=(150, 4))
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    found = arc(x, y, 2, 10, seed=1)
    p = np.full(150, 1 / 150)
    for tree, vote, seen in zip(found.trees, found.votes, drawn, strict=True):
        assert seen == pytest.approx(p)
        p, expected = reweighted(p, tree.predict(x) != y)
        assert vote == pytest.approx(expected)
    assert max(map(np.ptp, drawn)) > 0, "all were weighed alike: nothing was seen"


def test_votes_count_by_their_weight() -> None:
    x, y = np.array([[0.0], [1.0], [2.0], [3.0]] * 10), np.array([0, 0, 1, 1] * 10)
    found = arc(x, y, 2, 3, seed=0)
    for heavy in range(3):
        votes = np.where(np.arange(3) == heavy, 10.0, 1.0)
        weighed = type(found)(found.trees, found.answers, votes, 2)
        np.testing.assert_array_equal(weighed.predict(x), found.trees[heavy].predict(x))
