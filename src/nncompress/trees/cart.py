"""CART: scikit-learn's tree, unpruned, and cut back by cross-validation as Breiman, Friedman, Olshen & Stone (1984, section 3.4) do."""

from __future__ import annotations

from itertools import pairwise
from math import inf, sqrt

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from nncompress.trees.tree import Tree, prunings


def cart(x: np.ndarray, y: np.ndarray, seed: int) -> Tree:
    """scikit-learn's tree of x (N, F) and the classes y (N,): best splits by Gini until every leaf is pure. `seed`: between equal splits."""
    fitted = DecisionTreeClassifier(random_state=seed).fit(x, y)
    nodes = fitted.tree_
    shares = nodes.value[:, 0, :] / nodes.value[:, 0, :].sum(1, keepdims=True)  # scikit-learn has counts or shares here, by its version
    share = nodes.n_node_samples / nodes.n_node_samples[0]
    leaf = nodes.children_left < 0
    return Tree(
        np.where(leaf, -1, nodes.feature), np.where(leaf, 0.0, nodes.threshold), nodes.children_left, nodes.children_right,
        fitted.classes_[shares.argmax(1)], share, share * (1 - shares.max(1)),
    )  # fmt: skip


def cross_validated(x: np.ndarray, y: np.ndarray, folds: int, seed: int) -> Tree:
    """The subtree of `cart(x, y)` whose alpha errs least in `folds`-fold cross-validation; between equal ones the smallest.

    Each subtree stands for the interval of alpha in which it is best, by the geometric mean of its ends.
    """
    whole = prunings(cart(x, y, seed))
    ends = [alpha for alpha, _ in whole] + [inf]
    middles = [sqrt(low * high) for low, high in pairwise(ends)]
    errors = np.zeros(len(whole), np.int64)
    for held_out in stratified_folds(y, folds, np.random.default_rng(seed)):
        rest = np.setdiff1d(np.arange(len(y)), held_out)
        sequence = prunings(cart(x[rest], y[rest], seed))
        wrong = [int((tree.predict(x[held_out]) != y[held_out]).sum()) for _, tree in sequence]
        for place, middle in enumerate(middles):
            errors[place] += wrong[max(i for i, (alpha, _) in enumerate(sequence) if alpha <= middle)]
    return whole[int(np.flatnonzero(errors == errors.min())[-1])][1]


def stratified_folds(y: np.ndarray, folds: int, generator: np.random.Generator) -> list[np.ndarray]:
    """`folds` random parts of range(N), each with every class in proportion, as far as the classes go."""
    order = generator.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    return [np.sort(order[fold::folds]) for fold in range(folds)]
