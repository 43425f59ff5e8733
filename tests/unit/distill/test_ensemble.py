"""Nets that answer together, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nncompress.distill.ensemble import cross_entropy, mean_probabilities, probabilities

SURE, OTHER = np.array([[math.log(8), 0.0, 0.0]]), np.array([[0.0, math.log(3), 0.0]])


def test_the_mean_is_of_probabilities_and_not_of_logits() -> None:
    """(8, 1, 1) / 10 and (1, 3, 1) / 5: together (0.5, 0.35, 0.15)."""
    together = mean_probabilities([SURE, OTHER])
    assert together.tolist() == [pytest.approx([0.5, 0.35, 0.15])]
    assert cross_entropy(together, np.array([1])) == pytest.approx(-math.log(0.35))


def test_large_logits_do_not_overflow_and_a_sure_mistake_costs_a_finite_loss() -> None:
    certain = np.array([[2000.0, 0.0]])
    assert probabilities(certain).tolist() == [[1.0, 0.0]]
    assert cross_entropy(probabilities(certain), np.array([1])) == pytest.approx(-math.log(1e-12))


def test_an_ensemble_is_never_worse_than_the_mean_loss_of_its_members() -> None:
    """Jensen's inequality: -log is convex."""
    generator = np.random.default_rng(0)
    members, labels = [generator.normal(0, 3, (50, 4)) for _ in range(3)], generator.integers(0, 4, 50)
    assert cross_entropy(mean_probabilities(members), labels) <= np.mean([cross_entropy(probabilities(m), labels) for m in members])
