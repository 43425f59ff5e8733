"""A binary classification tree as arrays, and its cost-complexity pruning (Breiman, Friedman, Olshen & Stone 1984, chapter 3)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf

import numpy as np

LEAF = -1


@dataclass(frozen=True, eq=False)
class Tree:
    """Node 0 is the root, and every child comes after its parent. A case goes left where x[feature] <= threshold.

    `feature`: column of x, -1 at leaves. `threshold`: float64, 0 at leaves. `left`, `right`: nodes, -1 at leaves. `answer`: class of the node,
    at inner nodes too, since they may be pruned to leaves. `share`: of the probability that the tree was grown on, how much comes to the
    node; 1 at the root. `wrong`: that share of the node which is not of the class `answer`, its resubstitution risk R(t).
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    answer: np.ndarray
    share: np.ndarray
    wrong: np.ndarray

    @property
    def leaves(self) -> int:
        return int((self.feature == LEAF).sum())

    @property
    def depth(self) -> int:
        """Splits on the longest way from the root to a leaf."""
        depth = np.zeros(len(self.feature), np.int64)
        for node in np.flatnonzero(self.feature != LEAF):  # parents first
            depth[[self.left[node], self.right[node]]] = depth[node] + 1
        return int(depth.max())

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The class of each case of x (N, F), int64 (N,)."""
        node, cases = np.zeros(len(x), np.int64), np.arange(len(x))
        while (inner := self.feature[node] != LEAF).any():
            goes_left = x[cases, np.maximum(self.feature[node], 0)] <= self.threshold[node]
            node = np.where(inner, np.where(goes_left, self.left[node], self.right[node]), node)
        return np.asarray(self.answer[node])

    def pruned_at(self, nodes: np.ndarray) -> Tree:
        """The tree whose inner nodes `nodes`, bool (nodes,), are leaves; what was below them is gone."""
        kept, order = np.zeros(len(self.feature), bool), []
        kept[0] = True
        for node in range(len(self.feature)):
            if kept[node]:
                order.append(node)
                if self.feature[node] != LEAF and not nodes[node]:
                    kept[[self.left[node], self.right[node]]] = True
        place = np.cumsum(kept) - 1
        chosen = {f.name: getattr(self, f.name)[order].copy() for f in fields(self)}
        leaf = nodes[order] | (chosen["feature"] == LEAF)
        chosen["feature"][leaf], chosen["threshold"][leaf] = LEAF, 0.0
        for side in ("left", "right"):
            chosen[side] = np.where(leaf, LEAF, place[chosen[side]])
        return Tree(**chosen)


def prunings(tree: Tree) -> list[tuple[float, Tree]]:
    """The nested subtrees of weakest-link pruning, each with the smallest alpha at which it minimises R_alpha(T) = R(T) + alpha |leaves of T|;
    the smallest minimising subtree first at alpha = 0, the root alone last.

    R(T) is the sum of `wrong` over the leaves. The link that is cut next is at the node t of smallest g(t) = (R(t) - R(T_t)) / (|T_t| - 1).
    Where the risks are estimates a split may seem to raise the risk; such splits go first, at alpha = 0.
    """
    cut = np.zeros(len(tree.feature), bool)
    found: list[tuple[float, Tree]] = []
    alpha = 0.0
    while True:
        links = _links(tree, cut)
        weakest = min(links.values(), default=inf)
        if weakest > alpha + 1e-12 or not links:
            found.append((alpha, tree.pruned_at(cut)))
            if not links:
                return found
            alpha = weakest
        for node, strength in links.items():
            if strength <= alpha + 1e-12:
                cut[node] = True


def _links(tree: Tree, cut: np.ndarray) -> dict[int, float]:
    """Inner node of what is left of the tree -> g of it."""
    below = np.flatnonzero(tree.feature != LEAF)
    reached = np.zeros(len(tree.feature), bool)
    reached[0] = True
    for node in below:
        if reached[node] and not cut[node]:
            reached[[tree.left[node], tree.right[node]]] = True
    risk, leaves = tree.wrong.astype(np.float64), np.ones(len(tree.feature), np.int64)
    links = {}
    for node in below[::-1]:
        if reached[node] and not cut[node]:
            left, right = tree.left[node], tree.right[node]
            links[int(node)] = float((risk[node] - risk[left] - risk[right]) / (leaves[left] + leaves[right] - 1))
            risk[node], leaves[node] = risk[left] + risk[right], leaves[left] + leaves[right]
    return links
