"""Where data sets come from: a plain .npz, torchvision, UCI, scikit-learn, or recordings of speech; whichever it is, the same arrays."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.util
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from nncompress.data.folders import made_up
from nncompress.data.order import permutation
from nncompress.download import download_file, no_endless_wait
from nncompress.errors import UserError, one_line, suggestion
from nncompress.npz import read_arrays
from nncompress.speech.frames import AFTER, BANDS, BEFORE, STATES, as_bytes, filter_banks, states, windows
from nncompress.speech.recordings import Recordings, fsdd, tones

Found = TypeVar("Found")


class Arrays(NamedTuple):
    """Images uint8 (N, C, H, W), labels int64 (N,).

    Where the images are frames of speech, also the recording that each belongs to, int64 (N,), and the speaker of each recording, by name.
    """

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    train_recording: np.ndarray | None = None
    test_recording: np.ndarray | None = None
    speaker: np.ndarray | None = None


@dataclass(frozen=True)
class Known:
    """What is known of a data set beforehand.

    `shape`: (C, H, W). `train`, `test`: examples. `embedded`: reads it from a package. `torchvision`, `uci`: reads torchvision's or UCI's
    files in a folder, after downloading them if the flag says so; `raw`: what those files are called. `sha256`: see `fingerprint`.
    `recordings`: reads the recordings of a speech data set, its files being in a folder, and says where it found them; `test_speakers`: whose
    recordings are the test split, so that no voice is in both. `folder`: finds the folder of a data set of image files, which `folders` reads.
    """

    shape: tuple[int, int, int]
    train: int
    test: int
    classes: int
    embedded: Callable[[], Arrays] | None = None
    torchvision: Callable[[Path, bool], Arrays] | None = None
    uci: Callable[[Path, bool], Arrays] | None = None
    raw: str = ""
    sha256: str | None = None
    recordings: Callable[[Path], tuple[Recordings, str]] | None = None
    test_speakers: tuple[str, ...] = ()
    folder: Callable[[Path], Path] | None = None


def _digits() -> Arrays:
    """scikit-learn's 1,797 digits, 0..16 scaled to bytes; every class in the test split in proportion."""
    package = importlib.util.find_spec("sklearn")  # found, not imported: that takes seconds, the file milliseconds
    path = Path(*(package.submodule_search_locations if package else None) or [], "datasets/data/digits.csv.gz")
    if not path.exists():
        raise UserError(f"the digits come with scikit-learn, and {path} does not exist: install scikit-learn as in requirements.txt")
    table = np.loadtxt(path, dtype=np.int64, delimiter=",")
    pixels = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8)
    images, labels = _canonical(pixels.reshape(-1, 1, 8, 8), table[:, 64])
    by_label = np.argsort(labels, kind="stable")
    test = by_label[np.arange(500) * len(labels) // 500]
    train = np.setdiff1d(np.arange(len(labels)), test)
    return Arrays(images[train], labels[train], images[test], labels[test])


def _mnist(root: Path, download: bool) -> Arrays:
    from torchvision.datasets import MNIST

    train, test = (MNIST(str(root), train=train, download=download) for train in (True, False))
    return Arrays(train.data.numpy()[:, None], train.targets.numpy(), test.data.numpy()[:, None], test.targets.numpy())


def _cifar(name: str) -> Callable[[Path, bool], Arrays]:
    def fetch(root: Path, download: bool) -> Arrays:
        from torchvision import datasets

        train, test = (getattr(datasets, name)(str(root), train=train, download=download) for train in (True, False))
        return Arrays(*(array for part in (train, test) for array in (part.data.transpose(0, 3, 1, 2), np.array(part.targets, np.int64))))

    return fetch


def _svhn(root: Path, download: bool) -> Arrays:
    from torchvision.datasets import SVHN

    train, test = (SVHN(str(root), split=split, download=download) for split in ("train", "test"))
    return Arrays(train.data, train.labels.astype(np.int64), test.data, test.labels.astype(np.int64))


SPEECH = (1, BEFORE + 1 + AFTER, BANDS)
UCI_LETTERS = "https://archive.ics.uci.edu/ml/machine-learning-databases/letter-recognition/letter-recognition.data"


def _letters(root: Path, download: bool) -> Arrays:
    """UCI's Letter Recognition: 16 features of a letter's image, 0..15 scaled to bytes; the first 16,000 rows train, as its donor did.

    A row is the letter, then its features. `letter.csv.gz` is the same file packed, with or without a line of names.
    """
    file, packed = root / "letter-recognition.data", root / "letter.csv.gz"
    if download:
        download_file(UCI_LETTERS, file)
    rows = gzip.decompress(packed.read_bytes()) if packed.exists() and not download else file.read_bytes()
    table = [row.split(",") for row in rows.decode().split()]
    table = table[1:] if len(table[0][0]) > 1 else table
    if len(table) != 20_000:
        raise ValueError(f"{len(table)} rows, expected 20000")
    features, labels = np.array([row[1:] for row in table], np.int64), np.array([ord(row[0]) - ord("A") for row in table])
    if features.min() < 0 or features.max() > 15:
        raise ValueError(f"features from {features.min()} to {features.max()}, expected 0 to 15")
    images = (17 * features).astype(np.uint8).reshape(-1, 1, 1, 16)
    return Arrays(images[:16_000], labels[:16_000], images[16_000:], labels[16_000:])


DATASETS: dict[str, Known] = {
    "mnist": Known(
        (1, 28, 28),
        60_000,
        10_000,
        10,
        torchvision=_mnist,
        raw="MNIST/raw/train-images-idx3-ubyte and the other three",
        sha256="a9f78f1ed423f256747bc8443d906aca336a4baa807a0990a71a6c6f8b52dd42",
    ),
    "cifar10": Known(
        (3, 32, 32),
        50_000,
        10_000,
        10,
        torchvision=_cifar("CIFAR10"),
        raw="cifar-10-batches-py/",
        sha256="2e768aee87772c0394d4dc232faeef76233c32478824739f637e89eb9f1f1916",
    ),
    "cifar100": Known((3, 32, 32), 50_000, 10_000, 100, torchvision=_cifar("CIFAR100"), raw="cifar-100-python/"),
    "svhn": Known((3, 32, 32), 73_257, 26_032, 10, torchvision=_svhn, raw="train_32x32.mat and test_32x32.mat"),
    "digits": Known((1, 8, 8), 1_297, 500, 10, embedded=_digits, sha256="097eccd229bba30df3481ae83feeddfb80a5b5ea15c04d37fb3f21c03d6679d8"),
    # Frames of speech. The test speakers are the last by name; training and validation share the others (dataset.validation_speakers).
    "fsdd": Known(
        SPEECH,
        90_085,
        35_152,
        10 * STATES,
        recordings=fsdd,
        test_speakers=("theo", "yweweler"),
        sha256="4636d4ad90a926a503d3949b588058298db8ab6713c7b9d4d43edc6021b157cd",
    ),
    "tones": Known(
        SPEECH,
        1_230,
        410,
        10 * STATES,
        recordings=tones,
        test_speakers=("tenor",),
        sha256="72feaaaa65e593d32a0b177161f78aec7ecdf9a28aee9fec16e27ab1511b57a9",
    ),
    "letters": Known(
        (1, 1, 16),
        16_000,
        4_000,
        26,
        uci=_letters,
        raw="letter-recognition.data or letter.csv.gz",
        sha256="7b5dacd06602b351b12e0c3d7161d6b411a1f690487524274e448b722437d2ed",
    ),
    # Its test images have no labels: the test split are its 50,000 validation images.
    "imagenet": Known((3, 224, 224), 1_281_167, 50_000, 1000, folder=lambda data_dir: data_dir / "imagenet"),
    "stripes": Known((3, 70, 70), 30, 15, 3, folder=lambda _: Path(made_up().name)),
}


def read(name: str, data_dir: Path) -> tuple[Arrays, int, str, str]:
    """The arrays of a registered data set in canonical order, its number of classes, where they came from, and their fingerprint.

    Images are searched in this order: `<data_dir>/<name>.npz`, torchvision's or UCI's files in `data_dir`, their download to `data_dir`.
    """
    if name not in DATASETS:
        raise UserError(f"there is no data set {name!r}{suggestion(name, DATASETS) or '; there are ' + ', '.join(DATASETS)}")
    known = DATASETS[name]
    recordings = None
    if known.recordings:
        recordings, source = known.recordings(data_dir)
        digest = recordings.fingerprint
    else:
        arrays, source = _read_images(name, known, data_dir)
        _check(arrays, known, name, source)
        arrays = Arrays(*_canonical(arrays.train_x, arrays.train_y), *_canonical(arrays.test_x, arrays.test_y))
        digest = fingerprint(arrays)
    if known.sha256 and digest != known.sha256:
        raise UserError(f"{source}: the content is not that of {name} (SHA-256 differs): delete it and get it again")
    if recordings:
        arrays = _frames(recordings, known.test_speakers)
        _check(arrays, known, name, source)
    return arrays, known.classes, source, digest


def _read_images(name: str, known: Known, data_dir: Path) -> tuple[Arrays, str]:
    path = data_dir / f"{name}.npz"
    if known.embedded:
        return known.embedded(), "scikit-learn"
    if path.exists():
        return _read_npz(path, known), str(path)
    return _read_files(name, known, data_dir), f"{_home(known)}'s files in {data_dir}"


def _frames(recordings: Recordings, test_speakers: tuple[str, ...]) -> Arrays:
    """Every frame of the recordings, those of a recording one after the other, the recordings in one fixed random order.

    The order is that of the recordings, not of the bytes as with images: these are computed, and another machine may round one otherwise.
    """
    order = permutation("canonical order", 0, 0, len(recordings.word))
    frames = [as_bytes(energies) for energies in filter_banks([recordings.audio[place] for place in order])]
    word, speaker, length = recordings.word[order], recordings.speaker[order], np.array([len(each) for each in frames])
    heard_in_test = np.isin(speaker, test_speakers)
    parts = []
    for chosen in (np.flatnonzero(~heard_in_test), np.flatnonzero(heard_in_test)):
        parts.append(windows(np.concatenate([frames[place] for place in chosen]), length[chosen]))
        parts += [states(word[chosen], length[chosen]), np.repeat(chosen, length[chosen])]
    train_x, train_y, train_recording, test_x, test_y, test_recording = parts
    return Arrays(train_x, train_y, test_x, test_y, train_recording, test_recording, speaker)


def _read_npz(path: Path, known: Known) -> Arrays:
    """`train_x train_y test_x test_y`: images uint8 (N, H, W) for one channel, else (N, H, W, C); labels of any integer type."""
    layout = _layout(known)
    arrays = read_arrays(path, tuple(layout), _layout_text(known))
    for name, shape in layout.items():
        array, images = arrays[name], name.endswith("x")
        if array.shape != shape:
            raise UserError(f"{path}: {name} has the shape {array.shape}, expected {shape}")
        if (images and array.dtype != np.uint8) or array.dtype.kind not in "iu":
            raise UserError(f"{path}: {name} holds {array.dtype}, expected {'uint8' if images else 'integers'}")
        if not images and (array.min() < 0 or array.max() >= known.classes):
            raise UserError(f"{path}: {name} holds labels from {array.min()} to {array.max()}, expected 0 to {known.classes - 1}")
    channels_first = (lambda x: x[:, None]) if known.shape[0] == 1 else (lambda x: x.transpose(0, 3, 1, 2))
    return Arrays(
        channels_first(arrays["train_x"]), arrays["train_y"].astype(np.int64),
        channels_first(arrays["test_x"]), arrays["test_y"].astype(np.int64),
    )  # fmt: skip


def _home(known: Known) -> str:
    return "torchvision" if known.torchvision else "UCI"


def _read_files(name: str, known: Known, data_dir: Path) -> Arrays:
    """torchvision's or UCI's files in `data_dir`, downloaded where they are not there; torchvision checks MD5s."""
    fetch, home = known.torchvision or known.uci, _home(known)
    if fetch is None:
        raise UserError(f"{data_dir / name}.npz does not exist, and torchvision does not have {name}: put it there, with {_layout_text(known)}")

    def lacking(error: Exception) -> str:
        return (
            f"{name} was not found: there is no {data_dir / name}.npz, {home}'s files in {data_dir} are missing or damaged, and could not be "
            f"downloaded ({one_line(error)}). Three ways to get it: run this once on a machine with a network, which downloads it; or "
            f"put {home}'s files ({known.raw}) in {data_dir}; or put {name}.npz there, with {_layout_text(known)}"
        )

    return fetched(name, fetch, data_dir, lacking)


def fetched(name: str, fetch: Callable[[Path, bool], Found], data_dir: Path, lacking: Callable[[Exception], str]) -> Found:
    """What `fetch` reads from `data_dir`, after it has downloaded it there if it must, one process at a time.

    Args:
        fetch: called with the folder and whether to download.
        lacking: the one line for the user, given what went wrong with the download.

    Raises: UserError with that line.
    """
    with contextlib.suppress(Exception):  # whatever is wrong with the files, the download mends it or says why not
        return fetch(data_dir, False)
    try:
        from filelock import FileLock

        data_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(data_dir / f".{name}.lock"), no_endless_wait(), contextlib.redirect_stdout(io.StringIO()):
            return fetch(data_dir, True)
    except Exception as error:  # anything from a proxy's page to a full disk: to the user it is all one
        raise UserError(lacking(error)) from error


def _check(arrays: Arrays, known: Known, name: str, source: str) -> None:
    """Sizes and labels, of whichever source."""
    for part, count, x, y in (("train", known.train, arrays.train_x, arrays.train_y), ("test", known.test, arrays.test_x, arrays.test_y)):
        if x.shape != (count, *known.shape) or y.shape != (count,):
            raise UserError(f"{source}: the {part} split of {name} has the shape {x.shape}, expected {(count, *known.shape)}: delete it")
        if x.dtype != np.uint8 or y.min() < 0 or y.max() >= known.classes:
            raise UserError(f"{source}: the {part} split of {name} holds {x.dtype} and labels {y.min()} to {y.max()}: delete it")


def _layout(known: Known) -> dict[str, tuple[int, ...]]:
    channels, *size = known.shape
    image = tuple(size) if channels == 1 else (*size, channels)
    return {
        "train_x": (known.train, *image),
        "train_y": (known.train,),
        "test_x": (known.test, *image),
        "test_y": (known.test,),
    }


def _layout_text(known: Known) -> str:
    return "uint8 arrays " + ", ".join(f"{name} {shape}" for name, shape in _layout(known).items())


def fingerprint(arrays: Arrays) -> str:
    """SHA-256 of the canonical arrays: images and labels as bytes, train before test."""
    digest = hashlib.sha256()
    for array in arrays[:4]:
        digest.update(np.ascontiguousarray(array, np.uint8).data)
    return digest.hexdigest()


def _canonical(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same examples in an order that depends on their content alone: sorted by bytes and label, then shuffled by one fixed permutation.

    Copies of a data set differ in their order; what is trained must not.
    """
    images = np.ascontiguousarray(images)
    as_bytes = images.reshape(len(images), -1).view(f"V{images[0].size}").ravel()
    order = np.lexsort((labels, as_bytes))
    order = order[permutation("canonical order", 0, 0, len(order))]
    return images[order], labels[order]
