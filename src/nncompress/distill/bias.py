"""Correcting the bias of classes that a transfer set lacks (Hinton, Vinyals & Dean 2015, sec. 3): pure functions on numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nncompress.distill.ensemble import probabilities


def shifted(logits: np.ndarray, classes: Sequence[int], shift: float) -> np.ndarray:
    """Logits (N, C) with `shift` added to those of `classes`, which is the same as adding it to the biases of these outputs."""
    moved = logits.copy()
    moved[:, list(classes)] += shift
    return moved


def errors(logits: np.ndarray, labels: np.ndarray, among: Sequence[int] = ()) -> int:
    """Wrong answers among the examples of the classes `among`, of all classes if empty.

    Args:
        logits: (N, C).
        labels: class indices (N,).
    """
    wrong = logits.argmax(1) != labels
    return int(wrong.sum() if not among else wrong[np.isin(labels, list(among))].sum())


def matching_shift(logits: np.ndarray, classes: Sequence[int], frequency: float, bound: float = 100.0) -> float:
    """The shift of `classes` at which their mean predicted probability is `frequency`: a correction that needs no label and no test data.

    Args:
        logits: (N, C), of any images whose share of `classes` is known.
        frequency: that share, in (0, 1).

    Returns: the shift to within 1e-6, by bisection in [-bound, bound]; the mean probability rises with the shift.
    Raises: ValueError if frequency is not in (0, 1).
    """
    if not 0 < frequency < 1:
        raise ValueError(f"frequency = {frequency} must lie between 0 and 1")
    low, high = -bound, bound
    while high - low > 1e-6:
        middle = (low + high) / 2
        if mean_probability(shifted(logits, classes, middle), classes) < frequency:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def mean_probability(logits: np.ndarray, classes: Sequence[int]) -> float:
    """Mean over examples of the softmax probability that falls on `classes`."""
    return float(probabilities(logits)[:, list(classes)].sum(1).mean())
