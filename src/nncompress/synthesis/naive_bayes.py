"""NBE: the joint density as a mixture of components in which attributes are independent, estimated by EM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from nncompress.data.cases import Cases
from nncompress.data.order import generator

SMOOTHING = 1.0
"""Cases that each component counts beforehand, spread evenly over the values of a nominal attribute."""


@dataclass(frozen=True, eq=False)
class NaiveBayes:
    """A mixture of K components (Lowd & Domingos 2005, "Naive Bayes models for probability estimation").

    `shares`: (K,), summing to 1. `means`, `deviations`: of the continuous attributes, normal in each component, (K, C). `tables`: of each
    nominal attribute the probability of its values, (K, values).
    """

    shares: np.ndarray
    means: np.ndarray
    deviations: np.ndarray
    tables: tuple[np.ndarray, ...]

    def log_joint(self, cases: Cases) -> np.ndarray:
        """log p(component, case), (N, K)."""
        x, precision = cases.continuous.astype(np.float64), self.deviations**-2.0
        squares = x**2 @ precision.T - 2 * x @ (self.means * precision).T + (self.means**2 * precision).sum(1)
        constant = np.log(self.shares) - np.log(self.deviations).sum(1) - x.shape[1] / 2 * np.log(2 * np.pi)
        joint: np.ndarray = constant - squares / 2
        for table, values in zip(self.tables, cases.nominal.T, strict=True):
            joint += np.log(table).T[values]
        return joint

    def log_likelihood(self, cases: Cases) -> float:
        """Mean log p(case)."""
        return float(logsumexp(self.log_joint(cases), axis=1).mean())

    def sample(self, count: int, seed: int) -> Cases:
        """`count` independent cases: a component by its share, then every attribute by itself."""
        draw = generator("synthetic cases", seed)
        component = draw.choice(len(self.shares), count, p=self.shares)
        continuous = self.means[component] + self.deviations[component] * draw.standard_normal((count, self.means.shape[1]))
        nominal = np.empty((count, len(self.tables)), np.uint8)
        for attribute, table in enumerate(self.tables):
            above = draw.random((count, 1)) > table.cumsum(1)[component]
            nominal[:, attribute] = np.minimum(above.sum(1), table.shape[1] - 1)
        return Cases(continuous.astype(np.float32), nominal)


def fit_naive_bayes(
    cases: Cases, values: Sequence[int], validation: Cases, components: Sequence[int], iterations: int, smallest_deviation: float, seed: int
) -> NaiveBayes:
    """The mixture with the number of components, of those that are tried in turn, whose likelihood on `validation` is the highest; the first
    that is no better than the one before ends the search.

    Args:
        values: of each nominal attribute, how many it has.
        components: numbers of components, in increasing order.
        iterations: of EM.
        smallest_deviation: bound below on all standard deviations, without which a component may settle on a single value.
    """
    best, highest = None, -np.inf
    for count in components:
        found = expectation_maximisation(cases, values, min(count, len(cases)), iterations, smallest_deviation, seed)
        likelihood = found.log_likelihood(validation)
        if likelihood <= highest:
            break
        best, highest = found, likelihood
    if best is None:
        raise ValueError(f"components = {list(components)}: there is none with a finite likelihood")
    return best


def expectation_maximisation(
    cases: Cases, values: Sequence[int], components: int, iterations: int, smallest_deviation: float, seed: int
) -> NaiveBayes:
    """A mixture whose components begin at cases drawn at random. No iteration makes the cases less likely, but for the smoothing."""
    draw = generator("mixture", seed, components)
    x = cases.continuous.astype(np.float64)
    begin = draw.choice(len(cases), components, replace=False)
    mixture = NaiveBayes(
        np.full(components, 1 / components),
        x[begin],
        np.tile(np.maximum(x.std(0), smallest_deviation), (components, 1)),
        tuple(_table(np.eye(count)[column[begin]], count) for column, count in zip(cases.nominal.T, values, strict=True)),
    )
    for _ in range(iterations):
        joint = mixture.log_joint(cases)
        weight = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))  # (N, K): how much of each case belongs to each component
        total = weight.sum(0) + 1e-9
        means = weight.T @ x / total[:, None]
        variance = weight.T @ x**2 / total[:, None] - means**2
        mixture = NaiveBayes(
            total / total.sum(),
            means,
            np.sqrt(np.maximum(variance, smallest_deviation**2)),
            tuple(_table(weight.T @ np.eye(count)[column], count) for column, count in zip(cases.nominal.T, values, strict=True)),
        )
    return mixture


def _table(counts: np.ndarray, values: int) -> np.ndarray:
    """Counts (K, values) as smoothed probabilities."""
    smoothed = counts + SMOOTHING / values
    table: np.ndarray = smoothed / smoothed.sum(1, keepdims=True)
    return table
