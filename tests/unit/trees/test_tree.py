"""Trees: what they answer, and their nested subtrees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier

from nncompress.trees.cart import cart, cross_validated, stratified_folds
from nncompress.trees.tree import LEAF, Tree, prunings

GENERATOR = np.random.default_rng(0)
X = GENERATOR.integers(0, 8, (120, 3)).astype(float)
Y = ((X[:, 0] > 3).astype(int) + (GENERATOR.random(120) < 0.2)).astype(np.int64)


def by_hand() -> Tree:
    """Root 0 with children 1 and 4; 1 has the leaves 2 and 3, 4 the leaves 5 and 6. Of 100 cases."""
    return Tree(
        feature=np.array([0, 1, LEAF, LEAF, 1, LEAF, LEAF]),
        threshold=np.array([0.5, 0.5, 0, 0, 1.5, 0, 0]),
        left=np.array([1, 2, LEAF, LEAF, 5, LEAF, LEAF]),
        right=np.array([4, 3, LEAF, LEAF, 6, LEAF, LEAF]),
        answer=np.array([0, 0, 0, 1, 1, 1, 0]),
        share=np.array([1.0, 0.6, 0.4, 0.2, 0.4, 0.3, 0.1]),
        wrong=np.array([0.46, 0.20, 0.04, 0.02, 0.06, 0.01, 0.02]),
    )


def test_a_case_goes_left_where_it_does_not_exceed_the_threshold() -> None:
    cases = np.array([[0.5, 0.5], [0.5, 0.6], [0.6, 1.5], [0.6, 1.6]])
    assert by_hand().predict(cases).tolist() == [0, 1, 1, 0]
    assert (by_hand().leaves, by_hand().depth) == (4, 2)


def test_the_weakest_link_goes_first() -> None:
    """g(4) = 0.06 - 0.03 = 0.03; g(1) = 0.20 - 0.06 = 0.14; g(0) = (0.46 - 0.09) / 3 = 0.123. Without 4: g(0) = (0.46 - 0.12) / 2 = 0.17."""
    found = prunings(by_hand())
    assert [alpha for alpha, _ in found] == pytest.approx([0, 0.03, 0.14, 0.2])  # then g(0) = 0.46 - 0.20 - 0.06
    assert [tree.leaves for _, tree in found] == [4, 3, 2, 1]
    assert found[1][1].predict(np.array([[0.6, 1.6]])).tolist() == [1]
    assert found[3][1].feature.tolist() == [LEAF] and found[3][1].answer.tolist() == [0]


def test_a_split_that_seems_to_raise_the_risk_is_gone_at_alpha_0() -> None:
    tree = by_hand()
    tree.wrong[5] = 0.07
    found = prunings(tree)
    assert (found[0][0], found[0][1].leaves) == (0.0, 3)


def test_a_tree_of_one_leaf_has_only_itself() -> None:
    root = by_hand().pruned_at(np.ones(7, bool))
    assert [(alpha, tree.leaves) for alpha, tree in prunings(root)] == [(0.0, 1)]


def test_scikit_learns_tree_answers_the_same_as_arrays() -> None:
    ours, theirs = cart(X, Y, seed=3), DecisionTreeClassifier(random_state=3).fit(X, Y)
    grid = np.random.default_rng(1).uniform(-1, 9, (500, 3))
    np.testing.assert_array_equal(ours.predict(grid), theirs.predict(grid))
    assert (ours.leaves, ours.depth) == (theirs.get_n_leaves(), theirs.get_depth())


@given(st.integers(0, 2**31), st.integers(10, 80))
def test_prunings_are_those_of_scikit_learn_where_the_risk_is_impurity(seed: int, cases: int) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.integers(0, 6, (cases, 2)).astype(float), generator.integers(0, 3, cases)
    fitted = DecisionTreeClassifier(random_state=0).fit(x, y)
    nodes = fitted.tree_
    plain = cart(x, y, seed=0)
    of_impurity = Tree(
        plain.feature, plain.threshold, plain.left, plain.right, plain.answer, plain.share, plain.share * nodes.impurity
    )  # fmt: skip
    ours = prunings(of_impurity)
    theirs = fitted.cost_complexity_pruning_path(x, y)
    np.testing.assert_allclose([sum(t.wrong[t.feature == LEAF]) for _, t in ours][-1], theirs.impurities[-1])
    distinct = [a for a, b in zip(theirs.ccp_alphas, [*theirs.ccp_alphas[1:], np.inf], strict=True) if b - a > 1e-9]
    np.testing.assert_allclose([alpha for alpha, _ in ours], distinct, atol=1e-9)


def test_subtrees_nest_and_their_risk_grows() -> None:
    found = prunings(cart(X, Y, seed=0))
    leaves, risks = [tree.leaves for _, tree in found], [tree.wrong[tree.feature == LEAF].sum() for _, tree in found]
    assert leaves == sorted(leaves, reverse=True) and risks == sorted(risks) and leaves[-1] == 1
    errors = [(tree.predict(X) != Y).mean() for _, tree in found]
    np.testing.assert_allclose(errors, risks)


def test_cross_validation_cuts_a_tree_of_noise_to_its_one_true_split() -> None:
    tree = cross_validated(X, (X[:, 0] > 3).astype(np.int64), 10, seed=0)
    assert (tree.leaves, tree.feature[0], tree.threshold[0]) == (2, 0, 3.5)
    assert cross_validated(X, Y, 10, seed=0).leaves < cart(X, Y, seed=0).leaves / 4


def test_folds_are_a_partition_with_every_class_in_proportion() -> None:
    y = np.repeat([0, 1, 2], [50, 30, 4])
    folds = stratified_folds(y, 5, np.random.default_rng(0))
    assert sorted(np.concatenate(folds).tolist()) == list(range(84))
    for fold in folds:
        counts = np.bincount(y[fold], minlength=3)
        assert counts[0] == 10 and counts[1] == 6 and counts[2] <= 1
