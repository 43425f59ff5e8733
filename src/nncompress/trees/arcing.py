"""Arcing: CART trees of ever newly weighted resamples, which vote (Breiman 1998, "Arcing Classifiers", arc-fs)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.tree import DecisionTreeClassifier

_COLUMNS = np.float32  # what scikit-learn's trees compare


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Trees that vote. `answers`: of each tree, the class of each of its nodes. `votes`: the weight of each tree."""

    trees: tuple[DecisionTreeClassifier, ...]
    answers: tuple[np.ndarray, ...]
    votes: np.ndarray
    classes: int

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The class with most votes for each case of x (N, F), int64 (N,); the first of equals."""
        cases = np.ascontiguousarray(x, _COLUMNS)
        found = np.stack([answers[tree.tree_.apply(cases)] for tree, answers in zip(self.trees, self.answers, strict=True)])  # (trees, N)
        places = found + self.classes * np.arange(len(x))
        total = np.bincount(places.ravel(), np.repeat(self.votes, len(x)), self.classes * len(x))
        return total.reshape(len(x), self.classes).argmax(1)


def arc(x: np.ndarray, y: np.ndarray, classes: int, trees: int, seed: int) -> Ensemble:
    """`trees` unpruned trees of scikit-learn, each of N cases drawn with replacement with the probabilities p(n), at first all 1/N.

    After each tree the p(n) of the cases that it gets wrong are multiplied by beta = (1 - e) / e, e being the sum of their p(n), and all are
    normed; the tree votes with log beta. Where e = 0 or e >= 1/2 the p(n) are all 1/N again. Such a tree votes, with the beta of half a case
    wrong, where e = 0, and has no vote where e >= 1/2.

    scikit-learn's AdaBoost weighs cases instead of drawing them, so that its first unpruned tree has e = 0 and stays the only one.
    """
    generator = np.random.default_rng(seed)
    p = np.full(len(y), 1 / len(y))
    members, answers, votes = [], [], []
    for _ in range(trees):
        drawn = generator.choice(len(y), len(y), p=p)
        tree = DecisionTreeClassifier(random_state=int(generator.integers(2**31))).fit(x[drawn], y[drawn])
        members.append(tree)
        answers.append(tree.classes_[tree.tree_.value[:, 0, :].argmax(1)])
        wrong = answers[-1][tree.tree_.apply(np.ascontiguousarray(x, _COLUMNS))] != y
        p, vote = reweighted(p, wrong)
        votes.append(vote)
    return Ensemble(tuple(members), tuple(answers), np.array(votes), classes)


def reweighted(p: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, float]:
    """The probabilities p(n) after a tree that gets the cases `wrong`, bool (N,), wrong, and the weight of its vote."""
    error = float(p[wrong].sum())
    equal = np.full(len(p), 1 / len(p))
    if not wrong.any():
        return equal, float(np.log(2 * len(p) - 1))
    if error >= 0.5:
        return equal, 0.0
    beta = (1 - error) / error
    p = np.where(wrong, beta * p, p)
    return p / p.sum(), float(np.log(beta))
