"""How well a student's logits match its teacher's: pure functions on numpy arrays. z are the student's logits, v the teacher's, (N, C) each."""

from __future__ import annotations

import numpy as np


def logit_distance(student: np.ndarray, teacher: np.ndarray) -> float:
    """Root mean square of z - v over examples and classes, each example's mean over classes removed: a number that is added to all logits of
    an example changes no probability."""
    difference = student.astype(np.float64) - teacher
    return float(np.sqrt(np.square(difference - difference.mean(1, keepdims=True)).mean()))


def divergence(student: np.ndarray, teacher: np.ndarray, temperature: float) -> float:
    """Mean over examples of KL(softmax(v / T) || softmax(z / T)), in nats: what Hinton, Vinyals & Dean 2015 minimise, less the teacher's own
    entropy and without the factor T^2.

    Raises: ValueError if temperature <= 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature = {temperature} must be above 0")
    theirs, ours = (log_probabilities(logits / temperature) for logits in (teacher, student))
    return float((np.exp(theirs) * (theirs - ours)).sum(1).mean())


def same_answers(student: np.ndarray, teacher: np.ndarray) -> float:
    """Share of the examples that both give the same class."""
    return float((student.argmax(1) == teacher.argmax(1)).mean())


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """log softmax of logits (N, C), in float64."""
    moved = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return np.asarray(moved - np.log(np.exp(moved).sum(1, keepdims=True)))
