"""A library of scikit-learn models of the kinds of Caruana et al. 2004, each in many settings. Imports scikit-learn only to make one."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nncompress.errors import UserError, suggestion

Setting: TypeAlias = int | float | str
Grid: TypeAlias = Mapping[str, Mapping[str, Sequence[Setting]]]
"""Kind of model -> option -> the values tried, each with each of the others."""
TRAINING_ONLY = ("_optimizer", "_best_coefs", "_best_intercepts")
"""What scikit-learn's nets keep of their training: moments of the optimiser and copies of the weights, three times the net's own size."""
CHUNK = 20_000
"""Cases that a model answers at once: a thousand neighbours or trees of each must fit into memory."""


@dataclass(frozen=True)
class Member:
    """A model of the library. `options`: (name, value) pairs, by name."""

    kind: str
    options: tuple[tuple[str, Setting], ...]

    def __str__(self) -> str:
        return " ".join([self.kind, *(f"{name}={value}" for name, value in self.options)])


def members(grid: Grid) -> Iterator[Member]:
    """All models that the grid spans, kind after kind.

    Raises: UserError for a kind or an option that there is not, an option without values, or a value that it cannot have.
    """
    for kind, options in grid.items():
        if kind not in KINDS:
            raise UserError(f"library.{kind}: there is no such kind of model{suggestion(kind, KINDS) or '; there are ' + ', '.join(KINDS)}")
        known = OPTIONS[kind]
        for name in known:
            if not options.get(name):
                raise UserError(f"library.{kind}.{name} is empty: give at least one value")
        for name in options.keys() - set(known):
            raise UserError(f"library.{kind}.{name}: the options of {kind} are {', '.join(known)}")
        for name, allowed in known.items():
            if wrong := [value for value in options[name] if not allowed.holds(value)]:
                raise UserError(f"library.{kind}.{name} = {wrong[0]}: must be {allowed.words}")
        for values in product(*(options[name] for name in known)):
            yield Member(kind, tuple(zip(known, values, strict=True)))


def make(member: Member, seed: int) -> Any:
    """The model, untrained."""
    return KINDS[member.kind](seed, **dict(member.options))


def trained(member: Member, inputs: np.ndarray, labels: np.ndarray, seed: int) -> Any:
    """The model trained on inputs (N, F) and labels (N,): the same every time, for a seed. It can answer, but not be trained further.

    Raises: UserError if scikit-learn refuses one of its options.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a net that stops after so many epochs on purpose
        try:
            model = make(member, seed).fit(inputs, labels)
        except ValueError as error:
            raise UserError(f"library: {member} cannot be trained: {str(error).splitlines()[0]}") from error
    if member.kind == "neural_net":
        for name in TRAINING_ONLY:
            vars(model[-1]).pop(name, None)
    return model


def answers(model: Any, inputs: np.ndarray) -> np.ndarray:
    """Predicted probability of the positive class, float64 (N,)."""
    parts = [inputs[first : first + CHUNK] for first in range(0, len(inputs), CHUNK)]
    return np.concatenate([model.predict_proba(part)[:, 1] for part in parts]).astype(np.float64)


def mean_answers(models: Sequence[Any], counts: Sequence[int] | np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """The mean of the models' answers, each counted as often as `counts` says, (N,)."""
    total = sum(count * answers(model, inputs) for model, count in zip(models, counts, strict=True))
    return np.asarray(total / sum(counts))


def megabytes(model: Any) -> float:
    """Size of the model as Python writes it to a file, 10^6 bytes."""
    return len(pickle.dumps(model)) / 1e6


def _neural_net(seed: int, units: int, weight_decay: float, epochs: int) -> Any:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    net = MLPClassifier((units,), alpha=weight_decay, max_iter=epochs, batch_size=100, n_iter_no_change=epochs, random_state=seed)
    return make_pipeline(StandardScaler(), net)


def _svm(seed: int, kernel: str, width: float, cost: float) -> Any:
    """With Platt's sigmoid of the margin; `width`: gamma."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC

    return CalibratedClassifierCV(SVC(kernel=kernel, gamma=width, C=cost, random_state=seed), method="sigmoid", cv=3, ensemble=False)


def _boosted(seed: int, leaves: int, rounds: int, learning_rate: float) -> Any:
    """Gradient boosting of the logistic loss, whose answers need no calibration."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_leaf_nodes=leaves, max_iter=rounds, learning_rate=learning_rate, early_stopping=False, random_state=seed
    )


def _forest(seed: int, trees: int, features: str | float, leaf: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(trees, max_features=features, min_samples_leaf=leaf, random_state=seed)


def _tree(seed: int, leaf: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(min_samples_leaf=leaf, random_state=seed)


def _logistic(seed: int, cost: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=cost, max_iter=1000, random_state=seed)


def _neighbours(seed: int, neighbours: int, weights: str) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(neighbours, weights=weights)


def _naive_bayes(seed: int, smoothing: float) -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB(var_smoothing=smoothing)


KINDS: dict[str, Callable[..., Any]] = {
    "neural_net": _neural_net,
    "svm": _svm,
    "bagged_trees": lambda seed, trees, leaf: _forest(seed, trees, 1.0, leaf),  # bootstrap samples, all attributes at every split
    "boosted_trees": _boosted,
    "boosted_stumps": lambda seed, rounds, learning_rate: _boosted(seed, 2, rounds, learning_rate),
    "random_forest": _forest,
    "tree": _tree,
    "logistic_regression": _logistic,
    "nearest_neighbours": _neighbours,
    "naive_bayes": _naive_bayes,
}


class Allowed(NamedTuple):
    """What the values of an option must be, in words and as a test."""

    words: str
    holds: Callable[[Setting], bool]


def _whole(least: int) -> Allowed:
    return Allowed(f"a whole number ≥ {least}", lambda value: isinstance(value, int) and value >= least)


def _one_of(*words: str) -> Allowed:
    return Allowed(" or ".join(words), lambda value: value in words)


COUNT = _whole(1)
POSITIVE = Allowed("a number > 0", lambda value: not isinstance(value, str) and 0 < value < inf)
NOT_NEGATIVE = Allowed("a number ≥ 0", lambda value: not isinstance(value, str) and 0 <= value < inf)
FEATURES = Allowed(  # to scikit-learn 1 is one attribute, 1.0 are all
    "sqrt or a share with a decimal point, > 0 and ≤ 1.0", lambda value: value == "sqrt" or (isinstance(value, float) and 0 < value <= 1)
)
OPTIONS: dict[str, dict[str, Allowed]] = {
    "neural_net": {"units": COUNT, "weight_decay": NOT_NEGATIVE, "epochs": COUNT},
    "svm": {"kernel": _one_of("linear", "poly", "rbf", "sigmoid"), "width": POSITIVE, "cost": POSITIVE},
    "bagged_trees": {"trees": COUNT, "leaf": COUNT},
    "boosted_trees": {"leaves": _whole(2), "rounds": COUNT, "learning_rate": POSITIVE},
    "boosted_stumps": {"rounds": COUNT, "learning_rate": POSITIVE},
    "random_forest": {"trees": COUNT, "features": FEATURES, "leaf": COUNT},
    "tree": {"leaf": COUNT},
    "logistic_regression": {"cost": POSITIVE},
    "nearest_neighbours": {"neighbours": COUNT, "weights": _one_of("uniform", "distance")},
    "naive_bayes": {"smoothing": NOT_NEGATIVE},
}
"""Of each kind, what a grid must give values for: `leaf`, the fewest cases in a leaf; `features`, tried at a split ('sqrt' or their share)."""
