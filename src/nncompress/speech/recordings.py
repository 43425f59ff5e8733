"""Recordings of single words: the Free Spoken Digit Dataset from a pack, its archive or a download, and synthesised ones for tests."""

from __future__ import annotations

import hashlib
import io
import re
import wave
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nncompress.download import download_file
from nncompress.errors import UserError, one_line
from nncompress.npz import read_arrays

RATE = 8000
"""Samples a second."""
FSDD = "free-spoken-digit-dataset-1.0.10"
"""The release that is read: six speakers, each saying each digit fifty times."""
FSDD_URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip"
PACK = ("audio", "length", "digit", "speaker", "take", "speakers")
PACK_TEXT = (
    "audio (all samples end to end, int16, 8 kHz), length (samples of each recording), digit, speaker (index into speakers), take, speakers"
)


@dataclass(frozen=True, eq=False)
class Recordings:
    """Recordings of single words, one array entry for each, in an order that depends on their content alone.

    `audio`: int16 samples of each recording, 8 kHz. `word`: what is said, from 0. `speaker`: whose voice, by name. `take`: the number of the
    recording among those of the same speaker and word.
    """

    audio: list[np.ndarray]
    word: np.ndarray
    speaker: np.ndarray
    take: np.ndarray

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the samples and of who says what: of what was recorded, not of what is computed from it, which rounding could change."""
        digest = hashlib.sha256()
        for samples, *said in zip(self.audio, self.word, self.speaker, self.take, strict=True):
            digest.update(f"{len(samples)} {' '.join(map(str, said))}\n".encode())
            digest.update(samples.astype("<i2").tobytes())
        return digest.hexdigest()


def ordered(audio: list[np.ndarray], word: np.ndarray, speaker: np.ndarray, take: np.ndarray) -> Recordings:
    """Recordings sorted by speaker, word and take, whatever order they come in."""
    order = np.lexsort((take, word, speaker))
    return Recordings([audio[place] for place in order], word[order].astype(np.int64), speaker[order], take[order].astype(np.int64))


def fsdd(data_dir: Path) -> tuple[Recordings, str]:
    """The 3,000 recordings of the Free Spoken Digit Dataset, and where they came from: `fsdd.npz` in `data_dir`, else the release's archive
    there, which is downloaded if it is not there either.

    Raises: UserError of one line that says how to get them, or what is wrong with the files.
    """
    pack, archive = data_dir / "fsdd.npz", data_dir / f"{FSDD}.zip"
    if pack.exists():
        return _from_pack(pack), str(pack)
    if not archive.exists():
        _download(archive, pack)
    return _from_archive(archive), str(archive)


def _from_pack(path: Path) -> Recordings:
    arrays = read_arrays(path, PACK, PACK_TEXT)
    audio, length, speakers = arrays["audio"], arrays["length"], arrays["speakers"]
    per_recording = {name: arrays[name] for name in ("length", "digit", "speaker", "take")}
    if audio.dtype != np.int16 or speakers.dtype.kind != "U" or any(array.dtype.kind not in "iu" for array in per_recording.values()):
        raise UserError(f"{path} holds arrays of other types: it must hold {PACK_TEXT}")
    if len({array.shape for array in per_recording.values()}) > 1 or length.sum() != audio.size or arrays["speaker"].max() >= len(speakers):
        raise UserError(f"{path} holds arrays that do not fit together: it must hold {PACK_TEXT}")
    pieces = np.split(audio, np.cumsum(length)[:-1])
    return ordered(pieces, arrays["digit"], speakers[arrays["speaker"]], arrays["take"])


def _from_archive(path: Path) -> Recordings:
    """The files `<digit>_<speaker>_<take>.wav` in the folder `recordings` of the release's archive."""
    audio, said = [], []
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if found := re.search(r"/recordings/(\d)_([a-z]+)_(\d+)\.wav$", name):
                    with wave.open(io.BytesIO(archive.read(name))) as file:
                        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE):
                            raise UserError(f"{path}: {name} is not mono with 16 bits at 8 kHz: the archive is another than release 1.0.10")
                        audio.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
                    said.append(found.groups())
    except (OSError, EOFError, zipfile.BadZipFile, wave.Error) as error:
        raise UserError(f"{path} cannot be read ({one_line(error)}): delete it and get it again") from error
    if not said:
        raise UserError(f"{path} holds no recordings: it must be the archive of release 1.0.10 ({FSDD_URL})")
    word, speaker, take = (np.array(column) for column in zip(*said, strict=True))
    return ordered(audio, word.astype(np.int64), speaker, take.astype(np.int64))


def _download(archive: Path, pack: Path) -> None:
    """Put the release's archive in place, by one process at a time."""
    from filelock import FileLock

    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(archive.with_name(f".{archive.name}.lock")):
            if archive.exists():  # another process was first
                return
            download_file(FSDD_URL, archive)
            if not zipfile.is_zipfile(archive):
                archive.unlink()
                raise ValueError("what came is no archive")
    except Exception as error:  # anything from a proxy's page to a full disk: to the user it is all one
        raise UserError(
            f"fsdd was not found: there is neither {pack} nor {archive}, and the archive could not be downloaded ({one_line(error)}). Three "
            f"ways to get it: run this once on a machine with a network, which downloads it; or put the archive of the release there "
            f"({FSDD_URL}); or put fsdd.npz there, with {PACK_TEXT}"
        ) from error


# -- synthesised recordings ----------------------------------------------------------------------------------------------------------------

PITCHES = {"alto": 190.0, "bass": 105.0, "soprano": 240.0, "tenor": 140.0}
"""Speaker -> pitch in hertz."""
TAKES = 2


def tones(data_dir: Path) -> tuple[Recordings, str]:
    """Eighty recordings of ten words that were never spoken: sums of sines, for tests. Each word is three sounds one after the other."""
    audio, said = [], []
    for number, (speaker, pitch) in enumerate(PITCHES.items()):
        for word in range(10):
            for take in range(TAKES):
                samples = 1440 + 80 * ((3 * word + 5 * take + 7 * number) % 10)  # 16 to 25 frames
                audio.append(_tone(pitch * (1 + 0.02 * take), word, samples))
                said.append((word, speaker, take))
    words, speakers, takes = (np.array(column) for column in zip(*said, strict=True))
    return ordered(audio, words, speakers, takes), "synthesised"


def _tone(pitch: float, word: int, samples: int) -> np.ndarray:
    """Harmonics of a pitch up to 3.5 kHz, loudest near two resonances that change with each third of the word."""
    time = np.arange(samples) / RATE
    third = np.arange(samples) * 3 // samples
    low = 300.0 + 80.0 * ((word + 3 * third) % 10)  # hertz, as are the widths below
    high = 1400.0 + 180.0 * ((3 * word + 7 * third) % 10)
    total = np.zeros(samples)
    for harmonic in range(1, int(3500 / pitch) + 1):
        frequency = harmonic * pitch
        loudness = 0.02 + np.exp(-(((frequency - low) / 120) ** 2)) + 0.5 * np.exp(-(((frequency - high) / 200) ** 2))
        total += loudness * np.sin(2 * np.pi * frequency * time)
    return np.rint(total * 8000 / np.abs(total).max()).astype(np.int16)
