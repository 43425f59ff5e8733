"""The limit of high temperature (Hinton, Vinyals & Dean 2015, eq. 2 to 4): soft targets become logit regression. On numpy arrays."""

from __future__ import annotations

import numpy as np

from nncompress.distill.ensemble import probabilities


def soft_gradient(student: np.ndarray, teacher: np.ndarray, temperature: float) -> np.ndarray:
    """Gradient of T^2 times the soft cross-entropy with respect to the student's logits, T (softmax(z / T) - softmax(v / T)) (eq. 2).

    Args:
        student, teacher: logits (N, C).

    Returns: (N, C).
    """
    return temperature * (probabilities(student / temperature) - probabilities(teacher / temperature))


def regression_gradient(student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """Its limit, ((z - mean z) - (v - mean v)) / C (eq. 4, without the assumption that logits have zero mean)."""
    difference = student.astype(np.float64) - teacher
    return np.asarray((difference - difference.mean(1, keepdims=True)) / student.shape[1])


def distance_to_the_limit(student: np.ndarray, teacher: np.ndarray, temperature: float) -> tuple[float, float]:
    """How far the two gradients are apart over all examples.

    Returns: the norm of their difference over that of the limit, and the cosine of the angle between them.
    """
    soft, limit = soft_gradient(student, teacher, temperature), regression_gradient(student, teacher)
    norm = float(np.linalg.norm(limit))
    return float(np.linalg.norm(soft - limit)) / norm, float((soft * limit).sum()) / (norm * float(np.linalg.norm(soft)))
