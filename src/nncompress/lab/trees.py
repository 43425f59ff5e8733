"""The stages of Breiman & Shang 1996, "Born Again Trees": one split of a table, by CART, by an ensemble, by one tree that represents it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.stages import Netless, pack
from nncompress.types import Smearing, TableSplit

if TYPE_CHECKING:
    from nncompress.data.tables import Sides
    from nncompress.trees import Ensemble, Tree


@dataclass(frozen=True, eq=False)
class TreeStage(Netless):
    """Base: a split of a table. Its metrics are accuracies on the training and on the test side, and the sizes of trees."""

    model: ClassVar[str] = "cart"
    table: TableSplit
    seed: int

    @property
    def dataset_name(self) -> str:
        return self.table.name

    def fingerprint(self, data_dir: Path) -> str:
        from nncompress.data.tables import read_cases

        self.sides(data_dir)
        return read_cases(self.table.name, data_dir).fingerprint

    def sides(self, data_dir: Path) -> Sides:
        from nncompress.data.tables import read_cases, sides

        return sides(read_cases(self.table.name, data_dir), self.table.test_share, self.seed)

    def estimated_seconds(self, data_dir: Path) -> float:
        import nncompress.trees  # noqa: F401  # scikit-learn takes seconds to be imported, once

        data = self.sides(data_dir)
        began = time.perf_counter()
        self.try_once(data)
        return (time.perf_counter() - began) * self.repeats

    @property
    def repeats(self) -> int:
        """How often `try_once` is done in all."""
        return 1

    def try_once(self, data: Sides) -> None:
        """The work that takes the time."""
        raise NotImplementedError(type(self).__name__)


@dataclass(frozen=True, eq=False)
class ArcedCart(TreeStage):
    """`trees` CART trees by arcing, which vote; see `arc`. Metrics: `train_accuracy`, `test_accuracy`, `members`, `leaves`, of all trees
    together. Yields `test_answers`, the classes that it gives the test cases."""

    trees: int

    def grown(self, data: Sides) -> Ensemble:
        from nncompress.trees import arc

        return arc(data.train_x, data.train_y, len(data.classes), self.trees, self.seed)

    def try_once(self, data: Sides) -> None:
        self.grown(data)

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        data = self.sides(lab.settings.data_dir)
        found = self.grown(data)
        answers = found.predict(data.test_x)
        metrics = {
            "train_accuracy": float((found.predict(data.train_x) == data.train_y).mean()),
            "test_accuracy": float((answers == data.test_y).mean()),
            "members": self.trees,
            "leaves": sum(int(tree.get_n_leaves()) for tree in found.trees),
        }
        return Artifact({"test_answers": answers}, metrics)


@dataclass(frozen=True, eq=False)
class PrunedCart(TreeStage):
    """CART, pruned by `folds`-fold cross-validation. Metrics: those of a tree, see `measured`; the ensemble is `compared`. Yields the tree as
    `tree/*` and what it speaks of as `words`, JSON in bytes."""

    folds: int
    compared: ArcedCart

    def grown(self, data: Sides) -> Tree:
        from nncompress.trees import cross_validated

        return cross_validated(data.train_x, data.train_y, self.folds, self.seed)

    def try_once(self, data: Sides) -> None:
        self.grown(data)

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        data = self.sides(lab.settings.data_dir)
        tree = self.grown(data)
        return Artifact(_arrays("tree", tree) | _words(data), measured(tree, data, given[self.compared].arrays["test_answers"]))


@dataclass(frozen=True, eq=False)
class BornAgainCart(TreeStage):
    """A tree that represents the ensemble `teacher`, see `grow`: pruned, the subtree being the one that errs least on the training cases.

    The ensemble is grown again from its description, which takes a fraction of a second. Of the rates p_alt one is chosen by
    cross-validation on the training cases, in which an ensemble and its born-again trees are grown for each fold; of equals the smallest.

    Metrics: of the tree at the chosen rate those of `measured`, `p_alt` and `validation_accuracy` (cross-validated, at that rate); with the
    prefix `small_`, those of its largest nested subtree of at most `readable` leaves. Curves: `p_alt` and, of the born-again tree at each
    rate, `test_error`, `validation_error`, `size` in leaves, `agreement` with the ensemble on the test cases. Yields `tree/*`, `small/*` and
    `words`.
    """

    teacher: ArcedCart
    smearing: Smearing
    readable: int

    @property
    def repeats(self) -> int:
        return len(self.smearing.rates) * (1 + self.smearing.folds)

    def try_once(self, data: Sides) -> None:
        middle = sorted(self.smearing.rates)[len(self.smearing.rates) // 2]
        subtrees(data, self.teacher.grown(data), self.smearing, middle, self.seed, data.train_x)

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.trees import fewest_errors

        data = self.sides(lab.settings.data_dir)
        rates = sorted(self.smearing.rates)
        errors = cross_validated_errors(data, self.teacher.trees, self.smearing, self.seed)
        ensemble = self.teacher.grown(data)
        answers = ensemble.predict(data.test_x)
        nested = [subtrees(data, ensemble, self.smearing, rate, self.seed, data.train_x) for rate in rates]
        born = [fewest_errors(trees, data.train_x, data.train_y) for trees in nested]
        found = [measured(tree, data, answers) for tree in born]
        best = int(np.argmin(errors))
        small = next(tree for tree in nested[best] if tree.leaves <= self.readable)  # the root alone at last
        metrics = found[best] | {f"small_{name}": value for name, value in measured(small, data, answers).items()}
        metrics |= {"p_alt": rates[best], "validation_accuracy": float(1 - errors[best])}
        curves = {
            "p_alt": np.array(rates),
            "test_error": np.array([1 - each["test_accuracy"] for each in found]),
            "validation_error": errors,
            "size": np.array([each["leaves"] for each in found]),
            "agreement": np.array([each["test_agreement"] for each in found]),
        }
        return Artifact(pack("curve", curves) | _arrays("tree", born[best]) | _arrays("small", small) | _words(data), metrics)


@dataclass(frozen=True, eq=False)
class SmearingErrors(TreeStage):
    """How well trees that represent an ensemble of `trees` answer for training cases that are held out, as in `BornAgainCart`, by `smearing`.

    Metrics: `p_alt`, the rate that errs least, and its `validation_accuracy`, cross-validated. Curves: `p_alt` and `validation_error` at it.
    The test side is not looked at.
    """

    trees: int
    smearing: Smearing

    @property
    def repeats(self) -> int:
        return len(self.smearing.rates) * self.smearing.folds

    def try_once(self, data: Sides) -> None:
        from nncompress.trees import arc

        middle = sorted(self.smearing.rates)[len(self.smearing.rates) // 2]
        ensemble = arc(data.train_x, data.train_y, len(data.classes), self.trees, self.seed)
        subtrees(data, ensemble, self.smearing, middle, self.seed, data.train_x)

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        rates = sorted(self.smearing.rates)
        errors = cross_validated_errors(self.sides(lab.settings.data_dir), self.trees, self.smearing, self.seed)
        metrics = {"p_alt": rates[int(np.argmin(errors))], "validation_accuracy": float(1 - errors.min())}
        return Artifact(pack("curve", {"p_alt": np.array(rates), "validation_error": errors}), metrics)


def subtrees(data: Sides, ensemble: Ensemble, smearing: Smearing, rate: float, seed: int, x: np.ndarray) -> list[Tree]:
    """The nested subtrees of a born-again tree of the ensemble, smeared at the rate from the cases x (N, F), the largest first."""
    from nncompress.trees import grow, prunings

    generator = np.random.default_rng([seed, round(1e6 * rate)])
    whole = grow(x, data.coordinate, ensemble.predict, ensemble.classes, rate, smearing.per_node, generator)
    return [tree for _, tree in prunings(whole)]


def cross_validated_errors(data: Sides, trees: int, smearing: Smearing, seed: int) -> np.ndarray:
    """The share of training cases that the born-again tree at each rate gets wrong where they are held out, (rates,), the least rate first.

    For each fold an ensemble of so many trees, and its born-again trees, are grown from the other folds.
    """
    from nncompress.trees import arc, fewest_errors
    from nncompress.trees.cart import stratified_folds

    x, y, rates = data.train_x, data.train_y, sorted(smearing.rates)
    wrong = np.zeros(len(rates))
    for fold, held_out in enumerate(stratified_folds(y, smearing.folds, np.random.default_rng(seed))):
        rest = np.setdiff1d(np.arange(len(y)), held_out)
        ensemble = arc(x[rest], y[rest], len(data.classes), trees, seed + fold)
        for place, rate in enumerate(rates):
            tree = fewest_errors(subtrees(data, ensemble, smearing, rate, seed, x[rest]), x[rest], y[rest])
            wrong[place] += (tree.predict(x[held_out]) != y[held_out]).sum()
    return wrong / len(y)


def measured(tree: Tree, data: Sides, answers: np.ndarray) -> dict[str, float]:
    """`train_accuracy`, `test_accuracy`, `leaves`, `depth`, and `test_agreement`, the share of test cases that get the ensemble's `answers`."""
    ours = tree.predict(data.test_x)
    return {
        "train_accuracy": float((tree.predict(data.train_x) == data.train_y).mean()),
        "test_accuracy": float((ours == data.test_y).mean()),
        "test_agreement": float((ours == answers).mean()),
        "leaves": tree.leaves,
        "depth": tree.depth,
    }


def _arrays(prefix: str, tree: Tree) -> dict[str, np.ndarray]:
    return pack(prefix, {f.name: getattr(tree, f.name) for f in fields(tree)})


def _words(data: Sides) -> dict[str, np.ndarray]:
    return {"words": np.frombuffer(json.dumps({"features": data.names, "classes": data.classes}).encode(), np.uint8)}
