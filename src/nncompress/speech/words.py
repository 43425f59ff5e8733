"""Words from the states of frames."""

from __future__ import annotations

import numpy as np

from nncompress.speech.frames import STATES


def recognise(distributions: np.ndarray, recording: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each recording says: the word w with the largest sum over its frames of log P(w | frame) / P(w).

    P(w | frame) is the sum over the word's states. Over the prior P(w), the share of frames that are of the word, it is the likelihood of the
    frame but for a factor that all words have in common, as in recognisers that decode a net with hidden Markov models: otherwise long words
    would win. Words themselves are taken to be equally frequent. Probabilities below 1e-12 count as that.

    Args:
        distributions: of the states, (N, 3 words).
        recording: the recording of each frame, (N,), numbered in any way.
        prior: (words,).

    Returns: the recordings in rising order, (R,), and the word of each, (R,).
    Raises: ValueError for a prior of 0.
    """
    if not (prior > 0).all():
        raise ValueError(f"word {int(np.argmin(prior))} has no frames: its prior is 0")
    word = distributions.reshape(len(distributions), -1, STATES).sum(2)
    evidence = np.log(word.clip(1e-12)) - np.log(prior)
    recordings, place = np.unique(recording, return_inverse=True)
    scores = np.zeros((len(recordings), evidence.shape[1]))
    np.add.at(scores, place, evidence)
    return recordings, scores.argmax(1)


def utterance_error(distributions: np.ndarray, labels: np.ndarray, recording: np.ndarray, prior: np.ndarray) -> float:
    """Share of the recordings whose word is not recognised. `labels`: the state of each frame, (N,); the rest as for `recognise`."""
    _, words = recognise(distributions, recording, prior)
    said = labels[np.unique(recording, return_index=True)[1]]
    return float((words != said // STATES).mean())


def word_prior(labels: np.ndarray, classes: int) -> np.ndarray:
    """The share of frames that are of each word, (classes / 3,). `labels`: their states."""
    return np.bincount(labels // STATES, minlength=classes // STATES) / len(labels)
