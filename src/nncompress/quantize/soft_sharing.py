"""Soft weight sharing (Nowlan & Hinton 1992; Ullrich, Meeds & Welling 2017): the mixture of Gaussians that a net's weights were drawn to,
merged where its components are the same, and each weight given the mean of the component that is most responsible for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Mixture:
    """p(w) = sum_j pi_j N(w | mu_j, 1 / lambda_j), in log space. Component 0 is that of the pruned weights: mu_0 = 0.

    means, log_precisions, log_shares: mu_j, ln lambda_j and ln pi_j, (J + 1,) each.
    Raises: ValueError if their shapes differ, mu_0 is not zero or the shares do not add up to one.
    """

    means: np.ndarray
    log_precisions: np.ndarray
    log_shares: np.ndarray

    def __post_init__(self) -> None:
        if not self.means.shape == self.log_precisions.shape == self.log_shares.shape == (self.means.size,):
            raise ValueError(f"means, precisions and shares of different components: {self.means.shape}, {self.log_precisions.shape}")
        if self.means[0] != 0:
            raise ValueError(f"component 0 is that of the pruned weights, but its mean is {self.means[0]}")
        if abs(np.exp(self.log_shares).sum() - 1) > 1e-4:
            raise ValueError(f"the shares add up to {np.exp(self.log_shares).sum()}, not 1")

    def log_joint(self, weights: np.ndarray, component: int) -> np.ndarray:
        """ln pi_j N(w | mu_j, 1 / lambda_j) of one component j, float64 in the shape of the weights."""
        away = weights.astype(np.float64) - self.means[component]
        precision = np.exp(self.log_precisions[component])
        return self.log_shares[component] + (self.log_precisions[component] - np.log(2 * np.pi) - precision * away**2) / 2

    def log_density(self, weights: np.ndarray) -> np.ndarray:
        """ln p(w), float64 in the shape of the weights."""
        return np.logaddexp.reduce([self.log_joint(weights, j) for j in range(self.means.size)])

    def most_responsible(self, weights: np.ndarray) -> np.ndarray:
        """The component with the largest responsibility pi_j N(w | mu_j, 1 / lambda_j) / p(w), the first of equals; uint16."""
        return _largest(weights, lambda j: self.log_joint(weights, j), self.means.size)

    def nearest(self, weights: np.ndarray) -> np.ndarray:
        """The component with the nearest mean, the first of equals; uint16. Of components of equal variance it prunes fewer weights than
        responsibility does, since the share of component 0 is large; a wide component, though, is responsible for weights near zero too."""
        return _largest(weights, lambda j: -np.abs(weights - self.means[j]), self.means.size)

    def divergences(self) -> np.ndarray:
        """KL(N_i || N_j) in nats, (J + 1, J + 1), shares not counted."""
        means, log_precisions = self.means.astype(np.float64), self.log_precisions.astype(np.float64)
        ratio = log_precisions[None, :] - log_precisions[:, None]  # ln lambda_j / lambda_i
        shift = np.exp(log_precisions)[None, :] * (means[:, None] - means[None, :]) ** 2
        return (np.expm1(ratio) - ratio + shift) / 2

    def merged(self, below: float) -> Mixture:
        """Components whose divergence, in either direction, is less than `below` made one: its share is their sum, its mean and variance are
        theirs weighted by their shares. So are those that are joined by others between them. What merges with component 0 has the mean zero.

        Returns: the mixture of the groups, in the order of their first components.
        """
        count = self.means.size
        joined = self.divergences() < below
        group = np.arange(count)
        for i in range(count):
            for j in np.flatnonzero(joined[i] | joined[:, i]):
                group[group == group[j]] = group[i]
        means, log_precisions, log_shares = [], [], []
        for first in dict.fromkeys(group):
            members = group == first
            shares = np.exp(self.log_shares[members].astype(np.float64))
            shares /= shares.sum()
            means.append(0.0 if members[0] else shares @ self.means[members])
            log_precisions.append(-np.log(shares @ np.exp(-self.log_precisions[members].astype(np.float64))))
            log_shares.append(np.logaddexp.reduce(self.log_shares[members].astype(np.float64)))
        return Mixture(np.array(means), np.array(log_precisions), np.array(log_shares))


def _largest(weights: np.ndarray, score: Callable[[int], np.ndarray], count: int) -> np.ndarray:
    """The index with the largest score, weight by weight, in memory for a few copies of the weights only."""
    best, found = score(0), np.zeros(weights.shape, np.uint16)
    for j in range(1, count):
        scores = score(j)
        better = scores > best
        best = np.where(better, scores, best)
        found[better] = j
    return found
