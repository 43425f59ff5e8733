"""What a net sees of a recording, worked by hand and against the definition of the filter banks."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nncompress.errors import UserError
from nncompress.speech.frames import AFTER, BEFORE, as_bytes, filter_banks, states, windows
from nncompress.speech.recordings import RATE


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1000, samples).astype(np.int16)


def reference(samples: np.ndarray) -> np.ndarray:
    """Kaldi's filter banks by their definition, in decibels: windows of 200 samples every 80, less their mean, pre-emphasised, under a
    Povey window; power spectrum of 256 points; 40 triangles equally wide on the mel scale from 20 Hz to 4 kHz."""
    frames = np.stack([samples[first : first + 200] for first in range(0, len(samples) - 199, 80)]).astype(np.float64)
    frames -= frames.mean(1, keepdims=True)
    frames -= 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], 1)
    frames *= (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(200) / 199)) ** 0.85
    power = np.abs(np.fft.rfft(frames, 256)) ** 2
    mel = lambda frequency: 1127 * np.log(1 + frequency / 700)
    edges = np.linspace(mel(20), mel(4000), 42)
    bins = mel(np.arange(128) * RATE / 256)
    rising, falling = ((bins - edges[:-2, None]) / np.diff(edges)[0], (edges[2:, None] - bins) / np.diff(edges)[0])
    return 10 * np.log10(power[:, :128] @ np.minimum(rising, falling).clip(0).T)


def test_filter_banks_are_those_of_their_definition() -> None:
    recordings = [noise(1000), noise(3210, seed=1)]
    for samples, found in zip(recordings, filter_banks(recordings), strict=True):
        np.testing.assert_allclose(found, reference(samples), atol=0.01)


@pytest.mark.parametrize(("samples", "frames"), [(200, 1), (279, 1), (280, 2), (8000, 98)])
def test_a_frame_every_10_ms_as_long_as_25_ms_fit(samples: int, frames: int) -> None:
    assert filter_banks([noise(samples)])[0].shape == (frames, 40)


def test_without_its_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kaldi_native_fbank", None)
    with pytest.raises(UserError, match=r"install kaldi-native-fbank as in requirements\.txt$"):
        filter_banks([noise(1000)])


def test_loudness_microphone_and_silence_change_no_byte() -> None:
    energies = reference(noise(4000))
    louder, coloured = energies + 12.3, energies + np.linspace(-5, 5, 40)
    assert np.array_equal(as_bytes(energies), as_bytes(louder)) and np.array_equal(as_bytes(energies), as_bytes(coloured))
    silent, more_silent = energies.copy(), energies.copy()
    silent[3], more_silent[3] = energies.max() - 80, -1000
    assert np.array_equal(as_bytes(silent), as_bytes(more_silent))


def test_bytes_are_steps_of_0_4_decibels_around_the_mean_of_each_band() -> None:
    """Bands with means 10, 0 and 4: relative to them -10 and 10 dB, 25 steps; 0; -36 and 36, 90 steps."""
    assert as_bytes(np.array([[0.0, 0.0, -32.0], [20.0, 0.0, 40.0]])).tolist() == [[103, 128, 38], [153, 128, 218]]


def test_what_lies_beyond_the_range_is_clipped() -> None:
    """Mean -20: relative to it -60 and 20 dB."""
    assert as_bytes(np.array([[-80.0], [0.0], [0.0], [0.0]]))[:, 0].tolist() == [0, 178, 178, 178]


@given(st.integers(1, 60), st.integers(1, 60))
def test_a_window_is_20_frames_before_5_after_and_never_of_another_recording(first: int, second: int) -> None:
    frames = np.arange(first + second, dtype=np.uint8)[:, None].repeat(40, 1)
    seen = windows(frames, np.array([first, second]))
    assert seen.shape == (first + second, 1, BEFORE + 1 + AFTER, 40) and (BEFORE, AFTER) == (20, 5)
    for begin, count in ((0, first), (first, second)):
        for frame in range(count):
            expected = [begin + min(max(frame + offset, 0), count - 1) for offset in range(-20, 6)]
            assert seen[begin + frame, 0, :, 7].tolist() == expected


def test_states_are_thirds_of_each_word() -> None:
    """Of 7, 3 and 2 frames: floor(3 t / T)."""
    assert states(np.array([4, 0, 9]), np.array([7, 3, 2])).tolist() == [12, 12, 12, 13, 13, 14, 14, 0, 1, 2, 27, 28]
