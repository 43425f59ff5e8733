"""How well a student matches its teacher, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nncompress.distill.agreement import divergence, logit_distance, same_answers

TEACHER = np.array([[math.log(8), 0.0, 0.0], [0.0, math.log(3), 0.0]])


def test_the_distance_is_of_logits_whose_means_are_removed() -> None:
    """Differences (3, 0, 0) and (1, 1, 1): less their means (2, -1, -1) and (0, 0, 0), whose mean square is 6 / 6."""
    student = TEACHER + np.array([[3.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    assert logit_distance(student, TEACHER) == pytest.approx(1)


def test_the_divergence_is_from_the_teacher_to_the_student() -> None:
    """(8, 1, 1) / 10 and (1, 3, 1) / 5 against thirds: sum of p log(3 p)."""
    first = 0.8 * math.log(2.4) + 0.2 * math.log(0.3)
    second = 0.6 * math.log(1.8) + 0.4 * math.log(0.6)
    assert divergence(np.zeros((2, 3)), TEACHER, 1) == pytest.approx((first + second) / 2)
    assert divergence(TEACHER, np.zeros((2, 3)), 1) != pytest.approx((first + second) / 2)


def test_the_temperature_divides_both() -> None:
    assert divergence(6 * TEACHER[::-1], 6 * TEACHER, 6) == pytest.approx(divergence(TEACHER[::-1], TEACHER, 1))
    with pytest.raises(ValueError, match="temperature = 0 must be above 0"):
        divergence(TEACHER, TEACHER, 0)


def test_a_student_that_is_its_teacher_but_for_a_number_added_to_all_logits_matches_it() -> None:
    student = TEACHER + np.array([[5.0], [-2000.0]])
    found = logit_distance(student, TEACHER), divergence(student, TEACHER, 2), same_answers(student, TEACHER)
    assert found == pytest.approx((0, 0, 1), abs=1e-12)


def test_same_answers_are_counted_whoever_is_right() -> None:
    assert same_answers(np.array([[0.0, 2.0, 1.0], [0.0, 2.0, 1.0]]), TEACHER) == 0.5


def test_logits_that_are_far_apart_give_a_finite_divergence() -> None:
    assert divergence(np.array([[0.0, 2000.0]]), np.array([[2000.0, 0.0]]), 1) == pytest.approx(2000)
