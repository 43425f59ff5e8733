"""Ensemble selection (Caruana, Niculescu-Mizil, Crew & Ksikes 2004, "Ensemble selection from libraries of models"), on numpy arrays."""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-12
"""Means of the same model taken more often differ by less."""


def rmse(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Root mean squared error of predicted probabilities of the positive class against labels 0 or 1, both (N,)."""
    return float(np.sqrt(np.mean(np.square(probabilities - labels))))


def greedy(predictions: np.ndarray, labels: np.ndarray, rounds: int) -> np.ndarray:
    """How often each model is in the ensemble, whose prediction is the mean over its members, counted as often as they are in it.

    It begins with the best models together, as many of them as do best so (sorted initialisation, sec. 2.2); each round then adds the model,
    chosen before or not, with which the squared error is smallest (sec. 2.1). The best ensemble on the way is kept, so that it never does
    worse on these cases than the best single model. Between equals the first counts.

    Args:
        predictions: of each model the probability of the positive class, (models, N), on the hill-climbing cases.
        labels: 0 or 1, (N,).
        rounds: models to add after the initialisation.

    Returns: (models,) int64.
    """
    order = np.argsort(np.square(predictions - labels).mean(1), kind="stable")
    sizes = np.arange(1, len(order) + 1)
    errors = np.square(predictions[order].cumsum(0) / sizes[:, None] - labels).mean(1)
    begin = order[: errors.argmin() + 1]
    counts = np.bincount(begin, minlength=len(predictions))
    best, smallest = counts.copy(), errors.min()
    total = predictions[begin].sum(0)
    for size in range(len(begin) + 1, len(begin) + rounds + 1):
        errors = np.square((total + predictions) / size - labels).mean(1)
        chosen = errors.argmin()
        counts[chosen] += 1
        total = total + predictions[chosen]
        if errors[chosen] < smallest - ROUNDING:
            best, smallest = counts.copy(), errors[chosen]
    return best
