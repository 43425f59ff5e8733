"""The bias shift of missing classes, small cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nncompress.distill.bias import errors, matching_shift, mean_probability, shifted

LOGITS = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 2.5], [1.0, 0.0, 0.5]])
LABELS = np.array([0, 2, 2])


def test_errors_before_and_after_a_shift_by_hand() -> None:
    """Class 2 is right in neither of its examples; half a unit and a bit more in its favour mends both and spoils nothing."""
    assert errors(LOGITS, LABELS) == 2 and errors(LOGITS, LABELS, among=[2]) == 2 and errors(LOGITS, LABELS, among=[0]) == 0
    assert errors(shifted(LOGITS, [2], 0.6), LABELS) == 0
    assert errors(shifted(LOGITS, [2], 2.5), LABELS) == 1  # now the first example is taken for a 2
    assert errors(shifted(LOGITS, [0, 1], -0.6), LABELS) == 0  # the same, seen from the other classes


def test_a_shift_leaves_its_input_and_the_other_classes_alone() -> None:
    before = LOGITS.copy()
    assert np.array_equal(shifted(LOGITS, [1], 5)[:, [0, 2]], LOGITS[:, [0, 2]]) and np.array_equal(LOGITS, before)


def test_the_matching_shift_of_equal_logits_is_the_log_odds() -> None:
    """Two classes with equal logits: a probability of 0.8 needs a shift of log(0.8 / 0.2)."""
    assert matching_shift(np.zeros((7, 2)), [1], 0.8) == pytest.approx(math.log(4), abs=1e-5)


@pytest.mark.parametrize(("classes", "frequency"), [([3], 0.102), ([7, 8], 0.2), ([0], 0.9)])
def test_after_the_matching_shift_the_mean_probability_is_the_frequency(classes: list[int], frequency: float) -> None:
    logits = np.random.default_rng(0).normal(0, 4, (500, 10))
    found = matching_shift(logits, classes, frequency)
    assert mean_probability(shifted(logits, classes, found), classes) == pytest.approx(frequency, abs=1e-5)


@pytest.mark.parametrize("frequency", [0.0, 1.0, -0.1])
def test_a_frequency_that_is_none_is_refused(frequency: float) -> None:
    with pytest.raises(ValueError, match=f"frequency = {frequency}"):
        matching_shift(LOGITS, [0], frequency)
