"""Recordings as frames (Hinton, Vinyals & Dean 2015, section 4): log filter banks, windows of them as images, states of words as labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nncompress.errors import UserError
from nncompress.speech.recordings import RATE

BANDS = 40
BEFORE, AFTER = 20, 5
"""A net sees 26 frames and says the state of the 21st (section 4)."""
STATES = 3
"""States of a word: its first, second and last third. They stand for the states of hidden Markov models, which the paper's labels are."""
STEP, FLOOR = 0.4, 80.0
"""Decibels: what a byte counts, and how far below its loudest band a recording is silent."""


def filter_banks(audio: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Log mel filter bank energies of recordings, as Kaldi computes them: 40 bands of 25 ms windows every 10 ms; no dither.

    Args:
        audio: int16 samples of each recording, 8 kHz, 25 ms or more.

    Returns: for each recording (T, 40) float32, in decibels.
    Raises: UserError without the package that computes them.
    """
    try:
        import kaldi_native_fbank as kaldi
    except ImportError as error:
        raise UserError("filter banks of speech need a package: install kaldi-native-fbank as in requirements.txt") from error
    options = kaldi.FbankOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither = RATE, 0.0
    options.mel_opts.num_bins = BANDS
    found = []
    for samples in audio:
        bank = kaldi.OnlineFbank(options)
        bank.accept_waveform(RATE, samples.astype(np.float32))
        bank.input_finished()
        found.append(np.stack([bank.get_frame(frame) for frame in range(bank.num_frames_ready)]) * np.float32(10 / np.log(10)))
    return found


def as_bytes(energies: np.ndarray) -> np.ndarray:
    """One recording's energies (T, 40) in decibels as bytes: in each band relative to its mean over the recording, which takes away what
    microphone, room and loudness add. 128 is the mean, a step 0.4 dB, so that they reach from -51.2 to 50.8 dB."""
    audible = np.maximum(energies, energies.max() - FLOOR)
    return (np.rint((audible - audible.mean(0)) / STEP) + 128).clip(0, 255).astype(np.uint8)


def windows(frames: np.ndarray, length: np.ndarray) -> np.ndarray:
    """What the net sees at each frame: the 20 frames before it, itself and the 5 after; beyond the ends of a recording its last frame there is
    repeated.

    Args:
        frames: (N, 40), of recordings one after the other.
        length: frames of each recording, N in all.

    Returns: (N, 1, 26, 40).
    """
    end = np.repeat(np.cumsum(length), length)[:, None]
    begin = end - np.repeat(length, length)[:, None]
    places = np.arange(len(frames))[:, None] + np.arange(-BEFORE, AFTER + 1)
    return np.asarray(frames[places.clip(begin, end - 1)][:, None])


def states(word: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The state of each frame of recordings one after the other, (N,) int64: 3 word + 0, 1 or 2 in the first, second and last third.

    Args:
        word: what each recording says.
        length: frames of each recording, N in all.
    """
    begin = np.repeat(np.cumsum(length) - length, length)
    return np.asarray(STATES * np.repeat(word, length) + (np.arange(len(begin)) - begin) * STATES // np.repeat(length, length))
