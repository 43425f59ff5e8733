"""Words from frames, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nncompress.speech.words import recognise, utterance_error, word_prior

EVEN = np.array([0.5, 0.5])


def frame(first: float) -> list[float]:
    """Two words of three states; `first`: probability of the first word, spread over its states."""
    return [first / 2, first / 2, 0.0, 0.0, 0.0, 1 - first]


def test_the_product_over_frames_decides_and_not_the_majority() -> None:
    """Recording 7: word 1 is likelier in two frames of three, but 0.4 0.4 0.9 > 0.6 0.6 0.1; recording 3: 0.6 0.6 0.2 < 0.4 0.4 0.8."""
    found = np.array([frame(p) for p in (0.4, 0.4, 0.9, 0.6, 0.6, 0.2)])
    recordings, words = recognise(found, np.array([7, 7, 7, 3, 3, 3]), EVEN)
    assert recordings.tolist() == [3, 7] and words.tolist() == [1, 0]


def test_the_states_of_a_word_are_summed() -> None:
    """0.25 + 0.25 against 0.4: no state of the first word is the likeliest."""
    assert recognise(np.array([[0.25, 0.25, 0.1, 0.4, 0.0, 0.0]]), np.array([0]), EVEN)[1].tolist() == [0]


def test_a_word_with_more_frames_is_expected_more() -> None:
    """0.7 / 0.8 against 0.3 / 0.2: a net that says 0.7 where the prior says 0.8 has heard the other word."""
    found = np.array([frame(0.7)])
    assert recognise(found, np.array([0]), np.array([0.8, 0.2]))[1].tolist() == [1]
    assert recognise(found, np.array([0]), EVEN)[1].tolist() == [0]


def test_one_impossible_frame_does_not_decide_between_words_that_share_it() -> None:
    """Both words have a frame of probability 0; the rest decides, and nothing is infinite."""
    found = np.array([frame(0.0), frame(1.0), frame(0.6)])
    assert recognise(found, np.zeros(3, int), EVEN)[1].tolist() == [0]


def test_the_error_counts_recordings_and_not_frames() -> None:
    """Words said: 0 in recording 3 (recognised as 1), 1 in recording 5 and 0 in recording 9 (both right)."""
    found = np.array([frame(p) for p in (0.1, 0.2, 0.1, 0.3, 0.9)])
    labels, recording = np.array([0, 1, 2, 4, 0]), np.array([3, 3, 3, 5, 9])
    assert utterance_error(found, labels, recording, EVEN) == pytest.approx(1 / 3)
    mixed = np.array([4, 2, 0, 3, 1])
    assert utterance_error(found[mixed], labels[mixed], recording[mixed], EVEN) == pytest.approx(1 / 3)


def test_the_prior_is_the_share_of_frames() -> None:
    assert word_prior(np.array([0, 1, 2, 5]), 9).tolist() == [0.75, 0.25, 0.0]


def test_a_word_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="word 1 has no frames"):
        recognise(np.array([frame(0.5)]), np.array([0]), np.array([1.0, 0.0]))
