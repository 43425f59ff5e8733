"""Nets that answer together, on numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def probabilities(logits: np.ndarray) -> np.ndarray:
    """softmax of logits (N, C), in float64."""
    weights = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def mean_probabilities(members: Sequence[np.ndarray]) -> np.ndarray:
    """The arithmetic mean of the members' distributions, (N, C). `members`: logits (N, C) of each."""
    return np.mean([probabilities(logits) for logits in members], axis=0)


def cross_entropy(distributions: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log p[y] of distributions (N, C) on labels (N,); probabilities below 1e-12 count as that."""
    return float(-np.log(np.clip(distributions[np.arange(len(labels)), labels], 1e-12, None)).mean())
