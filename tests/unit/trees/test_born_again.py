"""Born-again trees: how they grow, and which subtree is taken."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncompress.trees.born_again import Levels, fewest_errors, grow
from nncompress.trees.tree import LEAF, Tree

GENERATOR = np.random.default_rng(0)
X = GENERATOR.integers(0, 9, (60, 3)).astype(float)
SEPARATE = np.arange(3)


def circle(x: np.ndarray) -> np.ndarray:
    """A combined predictor that no small tree equals."""
    return (((x[:, :2] - 4) ** 2).sum(1) < 9).astype(np.int64)


def leaf_of(tree: Tree, x: np.ndarray) -> np.ndarray:
    numbered = Tree(tree.feature, tree.threshold, tree.left, tree.right, np.arange(len(tree.feature)), tree.share, tree.wrong)
    return numbered.predict(x)


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 1.0]))
def test_every_leaf_holds_a_training_case_and_shares_add_up(seed: int, p_alt: float) -> None:
    tree = grow(X, SEPARATE, circle, 2, p_alt, 50, np.random.default_rng(seed))
    leaves = np.flatnonzero(tree.feature == LEAF)
    assert set(leaf_of(tree, X)) == set(leaves)
    assert tree.share[0] == 1 and tree.share[leaves].sum() == pytest.approx(1)
    inner = np.flatnonzero(tree.feature != LEAF)
    assert (tree.left[inner] > inner).all() and (tree.right[inner] > inner).all()
    np.testing.assert_allclose(tree.share[tree.left[inner]] + tree.share[tree.right[inner]], tree.share[inner])


def test_a_born_again_tree_of_p_alt_0_has_the_answers_of_the_predictor_on_the_training_cases() -> None:
    tree = grow(X, SEPARATE, circle, 2, 0.0, 500, np.random.default_rng(0))
    np.testing.assert_array_equal(tree.predict(X), circle(X))
    assert tree.wrong[tree.feature == LEAF].sum() == 0


def test_a_predictor_that_is_a_tree_is_found() -> None:
    def answer(x: np.ndarray) -> np.ndarray:
        return np.where(x[:, 2] <= 3, 0, np.where(x[:, 0] <= 5, 1, 2))

    tree = grow(X, SEPARATE, answer, 3, 1.0, 400, np.random.default_rng(0))
    assert tree.leaves == 3
    np.testing.assert_array_equal(tree.predict(X), answer(X))


def test_a_predictor_of_one_answer_is_a_single_leaf() -> None:
    tree = grow(X, SEPARATE, lambda x: np.full(len(x), 2), 3, 0.5, 10, np.random.default_rng(0))
    assert (tree.leaves, tree.answer[0]) == (1, 2)


def test_indicators_of_one_categorical_coordinate_are_smeared_together() -> None:
    """Three indicators of one coordinate: whatever the predictor is asked about, exactly one of them is 1."""
    category = np.arange(30) % 3
    x = np.concatenate([np.eye(3)[category], np.arange(30.0)[:, None]], axis=1)
    asked = []

    def answer(cases: np.ndarray) -> np.ndarray:
        asked.append(cases)
        return (cases[:, 0] + cases[:, 3] > 12).astype(np.int64)

    grow(x, np.array([0, 0, 0, 1]), answer, 2, 0.5, 40, np.random.default_rng(0))
    seen = np.concatenate(asked)
    assert len(asked) > 2 and (seen[:, :3].sum(1) == 1).all()


def test_every_node_has_manufactured_cases_of_its_own_that_keep_to_its_conditions() -> None:
    asked = []

    def answer(cases: np.ndarray) -> np.ndarray:
        asked.append(cases)
        return (cases[:, 0] > 3).astype(np.int64)

    tree = grow(X, SEPARATE, answer, 2, 0.5, 40, np.random.default_rng(0))
    training, root, left, right = asked
    assert (tree.feature[0], tree.threshold[0]) == (0, 3.5)
    assert len(training) == 60 and len(root) == len(left) == len(right) == 40
    assert left[:, 0].max() <= 3 < right[:, 0].min()


def gini(labels: np.ndarray) -> float:
    return 1 - float(np.square(np.bincount(labels) / len(labels)).sum()) if len(labels) else 0.0


@given(st.integers(0, 2**31))
def test_the_best_split_is_that_of_an_exhaustive_search(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, n = generator.integers(0, 4, (12, 2)).astype(float), 12
    labels = generator.integers(0, 3, n)
    originals = int(generator.integers(2, 9))
    levels = Levels(x)
    allowed = []
    for feature in range(2):
        values = np.unique(x[:, feature])
        for low, high in pairwise(values):
            left = x[:, feature] <= low
            if 0 < left[n - originals :].sum() < originals:
                impurity = left.mean() * gini(labels[left]) + (~left).mean() * gini(labels[~left])
                allowed.append((impurity, feature, (low + high) / 2))
    found = levels.best_split(levels.rank, labels, 3, originals)
    best = min((impurity for impurity, *_ in allowed), default=1.0)
    if found is None:
        assert best > gini(labels) - 1e-9
    else:
        assert any((feature, threshold) == found and impurity < best + 1e-9 for impurity, feature, threshold in allowed)


def test_a_threshold_lies_between_values_that_the_node_has() -> None:
    levels = Levels(np.array([[1.0], [2.0], [6.0], [10.0]]))
    assert levels.best_split(levels.rank[[0, 0, 3, 3]], np.array([0, 0, 1, 1]), 2, 4) == (0, 5.5)


def test_the_subtree_of_fewest_errors_on_true_labels_is_taken_of_equals_the_smallest() -> None:
    def stump(threshold: float) -> Tree:
        ends = np.array([LEAF, LEAF])
        return Tree(
            np.array([0, *ends]), np.array([threshold, 0, 0]), np.array([1, *ends]), np.array([2, *ends]), np.array([0, 0, 1]), np.ones(3),
            np.zeros(3),
        )  # fmt: skip

    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([0, 0, 1])
    one, two, root = stump(0.5), stump(1.5), stump(0.5).pruned_at(np.ones(3, bool))
    assert fewest_errors([one, two, root], x, y) is two
    assert fewest_errors([one, root], x, y) is root  # an error each
