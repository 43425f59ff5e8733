"""Born-again trees: one tree that represents an ensemble, grown on cases that are manufactured anew for every node (Breiman & Shang 1996)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nncompress.trees.smearing import smear
from nncompress.trees.tree import LEAF, Tree

Answer = Callable[[np.ndarray], np.ndarray]
"""Cases (N, F) -> classes (N,): the combined predictor."""


def grow(
    x: np.ndarray, coordinate: np.ndarray, answer: Answer, classes: int, p_alt: float, per_node: int, generator: np.random.Generator
) -> Tree:
    """The unpruned born-again tree of a combined predictor.

    Every node gets `per_node` cases of its own, smeared from all training cases and such as come to it. With the training cases of the node
    they are labelled by the combined predictor and split where the Gini index falls most. Both children must hold a training case; a node
    without such a split, or whose cases all have one label, is a leaf.

    Args:
        x: training cases (N, F).
        coordinate: (F,), which coordinate of a case each feature is made of: the indicators of a categorical one have it in common, so that
            smearing never gives it two values at once.
        answer: labels cases.
        classes: how many there are.
        p_alt: see `smear`.

    Returns: a tree whose `share` and `wrong` are of smeared cases and of the combined predictor's answers.
    """
    levels = Levels(x)
    columns, ranks = np.arange(x.shape[1], dtype=np.int32), levels.rank.ravel()
    values = x.astype(np.float32).ravel()  # what scikit-learn's trees compare
    own_answers = answer(x)
    nodes: list[tuple[int, float, int, float, float]] = []  # feature, threshold, answer, share, wrong
    children: list[list[int]] = []
    pending = [(np.arange(len(x)), np.ones((len(x), int(coordinate.max()) + 1), bool), -1)]
    while pending:
        own, inside, parent = pending.pop()
        places, share = smear(inside, per_node, p_alt, generator)
        sources = (places * x.shape[1]).astype(np.int32).take(coordinate, 1) + columns  # (per_node, F), into x and its ranks laid out flat
        labels = np.concatenate([answer(values.take(sources)), own_answers[own]])
        counts = np.bincount(labels, minlength=classes)
        node, most = len(nodes), int(counts.argmax())
        if parent >= 0:
            children[parent].append(node)
        found = None
        if counts[most] < len(labels):
            found = levels.best_split(np.concatenate([ranks.take(sources), levels.rank[own]]), labels, classes, len(own))
        feature, threshold = found or (LEAF, 0.0)
        nodes.append((feature, threshold, most, share, share * (1 - counts[most] / len(labels))))
        children.append([])
        if found is not None:
            goes_left = x[:, feature] <= threshold
            for side in (~goes_left, goes_left):  # the last in is the first out: left before right
                narrower = inside.copy()
                narrower[:, coordinate[feature]] &= side
                pending.append((own[side[own]], narrower, node))
    ends = np.array([pair or [LEAF, LEAF] for pair in children])
    split_on, thresholds, answers, shares, wrong = zip(*nodes, strict=True)
    return Tree(np.array(split_on), np.array(thresholds), ends[:, 0], ends[:, 1], np.array(answers), np.array(shares), np.array(wrong))


def fewest_errors(trees: Sequence[Tree], x: np.ndarray, y: np.ndarray) -> Tree:
    """The one that errs least on the training cases, by their true labels; of equals the one with the fewest leaves.

    Not cross-validated (Breiman & Shang 1996): the trees were fitted to the combined predictor's labels, nearly all of them of other cases. But
    where it has no training errors, as arced trees hardly have, its labels of these cases are the true ones, and large trees are favoured.
    """
    return min(trees, key=lambda tree: (int((tree.predict(x) != y).sum()), tree.leaves))


class Levels:
    """The values that the features of the training cases x (N, F) have, in order, so that splits are searched by counting.

    `rank`: int32 (N, F), the place of each value among all levels, those of feature 0 first.
    """

    def __init__(self, x: np.ndarray) -> None:
        found = [np.unique(column, return_inverse=True) for column in x.T]
        sizes = [len(values) for values, _ in found]
        self.values = np.concatenate([values for values, _ in found])
        self.first = np.cumsum([0, *sizes[:-1]])
        self.feature = np.repeat(np.arange(len(sizes)), sizes)
        self.rank = np.stack([inverse + first for (_, inverse), first in zip(found, self.first, strict=True)], axis=1).astype(np.int32)

    def best_split(self, ranks: np.ndarray, labels: np.ndarray, classes: int, originals: int) -> tuple[int, float] | None:
        """Feature and threshold of the split after which the Gini index is smallest, of those that leave a training case on each side; None
        where there are none, or none that lowers it.

        Args:
            ranks: of the node's cases (n, F).
            labels: theirs (n,).
            originals: how many of them, the last, are training cases.
        """
        total = len(self.values)
        counts = np.bincount((ranks * np.int32(classes) + labels[:, None].astype(np.int32)).ravel(), minlength=total * classes).reshape(
            total, classes
        )
        own = np.bincount(ranks[len(ranks) - originals :].ravel(), minlength=total)
        cases = len(labels)
        # Every feature has all cases, so that what lies before a feature's first level is known.
        left = np.cumsum(counts, 0) - self.feature[:, None] * np.bincount(labels, minlength=classes)
        own_left = np.cumsum(own) - self.feature * originals
        size = left.sum(1)
        allowed = np.flatnonzero((counts.sum(1) > 0) & (own_left > 0) & (own_left < originals))
        if not len(allowed):
            return None
        left, size, whole = left[allowed], size[allowed], np.bincount(labels, minlength=classes)
        # n times the Gini index after a split is n less this.
        purity = np.square(left).sum(1) / size + np.square(whole - left).sum(1) / (cases - size)
        best = int(purity.argmax())
        if purity[best] <= np.square(whole).sum() / cases * (1 + 1e-12):
            return None
        place = int(allowed[best])
        following = place + 1 + int(np.flatnonzero(counts[place + 1 :].any(1))[0])
        return int(self.feature[place]), float((self.values[place] + self.values[following]) / 2)
