"""What a student is asked for, as pure functions of logits. All are means over the batch, of terms summed over classes.

z are the student's logits, v the teacher's, both (B, C) float32 before any softmax.
"""

from __future__ import annotations

from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of -log softmax(z)[y].

    Args:
        logits: (B, C).
        labels: class indices, (B,) int64.
    """
    return -logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).mean()


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T^2 times the cross-entropy between softmax(v / T) and softmax(z / T) (Hinton, Vinyals & Dean 2015, sec. 2).

    Its gradient is T (softmax(z / T) - softmax(v / T)) for each example (eq. 2 times T^2), so that its size hardly changes with T; for high
    T it tends to (z - v) / C less their means (eq. 4).

    Raises: ValueError if temperature <= 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature = {temperature} must be above 0")
    soft_targets = (teacher_logits / temperature).softmax(-1)
    return -(temperature**2) * (soft_targets * (student_logits / temperature).log_softmax(-1)).sum(-1).mean()


def mimic_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Half the squared distance of the logits, ||z - v||^2 / 2 (Ba & Caruana 2014, eq. 1)."""
    return (student_logits - teacher_logits).square().sum(-1).mean() / 2


def probability_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Half the squared distance of the probabilities, ||softmax(z) - softmax(v)||^2 / 2: what Ba & Caruana 2014 find worse than logits."""
    return (student_logits.softmax(-1) - teacher_logits.softmax(-1)).square().sum(-1).mean() / 2
