"""Recordings are the same wherever they come from; whatever is wrong with them, one line says so."""

from __future__ import annotations

import io
import wave
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncompress.errors import UserError
from nncompress.speech import recordings
from nncompress.speech.recordings import FSDD, RATE, Recordings, fsdd, ordered, tones
from tests.unit.served import address

TONES, _ = tones(Path())


def pack(found: Recordings, **changed: Any) -> dict[str, np.ndarray]:
    """The arrays of an .npz file."""
    speakers, speaker = np.unique(found.speaker, return_inverse=True)
    arrays = {
        "audio": np.concatenate(found.audio), "length": np.array([len(samples) for samples in found.audio], np.int32),
        "digit": found.word.astype(np.uint8), "speaker": speaker.astype(np.uint8), "take": found.take.astype(np.uint8), "speakers": speakers,
    }  # fmt: skip
    return {name: array for name, array in (arrays | changed).items() if array is not None}


def archive(found: Recordings, rate: int = RATE) -> bytes:
    """The release's archive, with files that are no recordings among them."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(f"{FSDD}/README.md", "0_alto_0.wav")
        for samples, word, speaker, take in zip(found.audio, found.word, found.speaker, found.take, strict=True):
            sound = io.BytesIO()
            with wave.open(sound, "wb") as wav:
                wav.setparams((1, 2, rate, 0, "NONE", ""))
                wav.writeframes(samples.astype("<i2").tobytes())
            file.writestr(f"{FSDD}/recordings/{word}_{speaker}_{take}.wav", sound.getvalue())
    return content.getvalue()


def message(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        fsdd(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_tones_are_eighty_recordings_of_four_voices_that_never_change() -> None:
    assert len(TONES.audio) == len(TONES.word) == 80 and set(TONES.speaker) == {"alto", "bass", "soprano", "tenor"}
    assert TONES.fingerprint == "72feaaaa65e593d32a0b177161f78aec7ecdf9a28aee9fec16e27ab1511b57a9"
    assert all(samples.dtype == np.int16 and np.abs(samples).max() == 8000 for samples in TONES.audio)


def test_the_order_that_recordings_come_in_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(80)
    mixed = ordered([TONES.audio[place] for place in order], TONES.word[order], TONES.speaker[order], TONES.take[order])
    assert mixed.fingerprint == TONES.fingerprint
    assert [name for name, _ in zip(mixed.speaker, range(21))] == ["alto"] * 20 + ["bass"]


@pytest.mark.parametrize("part", ["audio", "word", "speaker", "take"])
def test_the_fingerprint_is_of_every_sample_and_of_who_says_what(part: str) -> None:
    if part == "audio":
        changed = replace(TONES, audio=[*TONES.audio[:-1], TONES.audio[-1] ^ (np.arange(len(TONES.audio[-1])) == 700)])
    else:
        changed = replace(TONES, **{part: np.roll(getattr(TONES, part), 1)})
    assert changed.fingerprint != TONES.fingerprint


def test_the_pack_and_the_archive_hold_the_same_recordings(tmp_path: Path) -> None:
    (tmp_path / f"{FSDD}.zip").write_bytes(archive(TONES))
    found, source = fsdd(tmp_path)
    assert found.fingerprint == TONES.fingerprint and source.endswith(".zip")
    np.savez(tmp_path / "fsdd.npz", **pack(TONES))
    found, source = fsdd(tmp_path)
    assert found.fingerprint == TONES.fingerprint and source.endswith(".npz")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"take": None}, "no array 'take'"),
        ({"audio": np.zeros(5, np.float32)}, "arrays of other types"),
        ({"digit": np.zeros(80)}, "arrays of other types"),
        ({"digit": np.zeros(79, np.uint8)}, "do not fit together"),
        ({"audio": np.zeros(5, np.int16)}, "do not fit together"),
        ({"speakers": np.array(["alto", "bass"])}, "do not fit together"),
    ],
)
def test_a_wrong_pack_is_refused(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    np.savez(tmp_path / "fsdd.npz", **pack(TONES, **changed))
    assert said in message(tmp_path) and str(tmp_path / "fsdd.npz") in message(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>not found</html>", "cannot be read"),
        (archive(TONES)[:-100], "cannot be read"),
        (archive(TONES, rate=16000), "is not mono with 16 bits at 8 kHz"),
        (archive(replace(TONES, audio=[], word=[], speaker=[], take=[])), "holds no recordings"),  # type: ignore[arg-type]
    ],
    ids=["page", "truncated", "rate", "empty"],
)
def test_a_wrong_archive_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / f"{FSDD}.zip").write_bytes(content)
    assert said in message(tmp_path) and f"{FSDD}.zip" in message(tmp_path)


def test_without_files_the_archive_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home.zip").write_bytes(archive(TONES))
    monkeypatch.setattr(recordings, "FSDD_URL", address(tmp_path / "home.zip"))
    for _ in range(2):
        found, source = fsdd(tmp_path / "data")
        assert found.fingerprint == TONES.fingerprint and source == str(tmp_path / "data" / f"{FSDD}.zip")
        (tmp_path / "home.zip").unlink(missing_ok=True)  # the second time it is here


@pytest.mark.parametrize("answer", [None, b"<html>sign in here</html>", archive(TONES)[:-100]], ids=["no network", "a page", "cut short"])
def test_without_files_and_network_one_line_names_the_three_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes | None) -> None:
    home = tmp_path / "home"
    if answer is not None:
        home.write_bytes(answer)
    monkeypatch.setattr(recordings, "FSDD_URL", address(home))
    said = message(tmp_path)
    reason = "No such file" if answer is None else "what came is no archive"
    for part in (str(tmp_path / "fsdd.npz"), str(tmp_path / f"{FSDD}.zip"), reason, "with a network", recordings.FSDD_URL, "int16, 8 kHz"):
        assert part in said
    assert not list(tmp_path.glob("*.zip")) and not list(tmp_path.glob(".*.new")) and not list(tmp_path.glob("*.part*"))


def test_an_unwritable_folder_is_one_line_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "fsdd was not found" in message(tmp_path / "file" / "data")
