"""Train, validation and test split of a data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nncompress.data.folders import MEAN, STD, ImageFiles, read_splits
from nncompress.data.order import permutation
from nncompress.data.problems import PROBLEMS, ProblemSplits, problem_splits
from nncompress.data.sources import DATASETS, Arrays, Known, read
from nncompress.errors import UserError
from nncompress.types import Dataset


@dataclass(frozen=True, eq=False)
class Splits:
    """Images uint8 (N, C, H, W), labels int64 (N,). `mean`, `std`: float32 (C,), of the channels of `train_x` scaled to [0, 1].

    Of a folder, instead of tensors: `ImageFiles`, which are read where they are sliced, and the mean and std of ImageNet.

    Of a problem on a table, instead of images: inputs float32 (N, 1, 1, F) as nets see them, whose `mean` is 0 and `std` 1.

    `source`: where the data came from, for people. `fingerprint`: SHA-256 of the whole data set. `validation_recording`, `test_recording`:
    int64 (N,), the recording that each frame of speech belongs to; None for other images.
    """

    train_x: Tensor | ImageFiles
    train_y: Tensor
    validation_x: Tensor | ImageFiles
    validation_y: Tensor
    test_x: Tensor | ImageFiles
    test_y: Tensor
    classes: int
    mean: Tensor
    std: Tensor
    source: str
    fingerprint: str
    validation_recording: Tensor | None = None
    test_recording: Tensor | None = None


def load(dataset: Dataset, data_dir: Path) -> Splits:
    """The splits of a registered data set, the same wherever its files came from.

    The order of examples is canonical, the validation split is drawn from the training split by `dataset.split_seed` or consists of
    `dataset.validation_speakers`, and what remains is narrowed to the first `dataset.train_recordings`, to `dataset.train_classes`, then to the
    first `dataset.train_examples`.

    Raises: UserError for a name that is in neither DATASETS nor PROBLEMS, a data set that cannot be found, damaged files, or splits that are
    too large.
    """
    if dataset.name in PROBLEMS:
        return _of_problem(problem_splits(dataset, Path(data_dir)))
    if dataset.name in DATASETS and DATASETS[dataset.name].folder is not None:
        return _of_folder(dataset, DATASETS[dataset.name], Path(data_dir))
    arrays, classes, source, digest = read(dataset.name, Path(data_dir))
    if arrays.train_recording is None:
        train, validation = _examples(dataset, len(arrays.train_y))
    else:
        train, validation = _recordings(dataset, arrays)
    train = _narrowed(dataset, train, arrays.train_y, classes, len(validation))
    train_x = arrays.train_x[train]
    mean, std = _channel_statistics(train_x)
    return Splits(
        train_x=torch.from_numpy(train_x),
        train_y=torch.from_numpy(arrays.train_y[train]),
        validation_x=torch.from_numpy(arrays.train_x[validation]),
        validation_y=torch.from_numpy(arrays.train_y[validation]),
        test_x=torch.from_numpy(arrays.test_x),
        test_y=torch.from_numpy(arrays.test_y),
        classes=classes,
        mean=mean,
        std=std,
        source=source,
        fingerprint=digest,
        validation_recording=None if arrays.train_recording is None else torch.from_numpy(arrays.train_recording[validation]),
        test_recording=None if arrays.test_recording is None else torch.from_numpy(arrays.test_recording),
    )


def _of_problem(problem: ProblemSplits) -> Splits:
    """A problem's cases as the inputs of a net."""
    parts: dict[str, Tensor] = {}
    for split, cases, labels in (
        ("train", problem.train, problem.train_y),
        ("validation", problem.validation, problem.validation_y),
        ("test", problem.test, problem.test_y),
    ):
        parts |= {f"{split}_x": as_images(problem.inputs(cases)), f"{split}_y": torch.from_numpy(labels)}
    return Splits(**parts, classes=2, mean=torch.zeros(1), std=torch.ones(1), source=problem.source, fingerprint=problem.fingerprint)


def _of_folder(dataset: Dataset, known: Known, data_dir: Path) -> Splits:
    """A folder's images, as files."""
    assert known.folder is not None
    root, (_, height, width) = known.folder(data_dir), known.shape
    whole, test = read_splits(dataset.name, root, (height, width), known.classes, (known.train, known.test))
    train, validation = _examples(dataset, len(whole.labels))
    train = _narrowed(dataset, train, whole.labels, known.classes, len(validation))
    return Splits(
        train_x=whole.images.take(train),
        train_y=torch.from_numpy(whole.labels[train]),
        validation_x=whole.images.take(validation),
        validation_y=torch.from_numpy(whole.labels[validation]),
        test_x=test.images,
        test_y=torch.from_numpy(test.labels),
        classes=known.classes,
        mean=torch.tensor(MEAN),
        std=torch.tensor(STD),
        source=str(root),
        fingerprint=hashlib.sha256(f"{whole.fingerprint}{test.fingerprint}".encode()).hexdigest(),
    )


def as_images(inputs: np.ndarray) -> Tensor:
    """Inputs (N, F) in the shape of images, float32 (N, 1, 1, F)."""
    return torch.from_numpy(np.ascontiguousarray(inputs, np.float32))[:, None, None]


def _narrowed(dataset: Dataset, train: np.ndarray, labels: np.ndarray, classes: int, held_out: int) -> np.ndarray:
    """Of the places `train` those that the data set is narrowed to. `held_out`: how many others are for validation."""
    if unknown := [label for label in dataset.train_classes if label >= classes]:
        raise UserError(f"dataset.train_classes: {dataset.name} has no class {unknown[0]}, only 0 to {classes - 1}")
    if dataset.train_classes:
        train = train[np.isin(labels[train], dataset.train_classes)]
    if dataset.train_examples is not None and dataset.train_examples > len(train):
        raise UserError(
            f"dataset.train_examples = {dataset.train_examples}: {dataset.name} has {len(train)} such training examples beside {held_out} for "
            "validation"
        )
    return train[: dataset.train_examples]


def _examples(dataset: Dataset, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the training and of the validation examples, drawn one by one of so many."""
    held_out = dataset.validation
    for name in ("validation_speakers", "train_recordings"):
        if getattr(dataset, name):
            raise UserError(f"dataset.{name} is for recordings of speech, which {dataset.name} does not have: leave it out")
    if held_out >= count:
        raise UserError(f"dataset.validation = {held_out} leaves nothing to train on: {dataset.name} has {count} training examples")
    order = permutation("validation split", dataset.split_seed, 0, count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _recordings(dataset: Dataset, arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Places of the training and of the validation frames, those of a recording together, held out by the speaker."""
    assert arrays.train_recording is not None and arrays.speaker is not None
    speaker, kept = arrays.speaker[arrays.train_recording], dataset.train_recordings
    speakers = sorted({str(name) for name in speaker})
    if dataset.validation:
        raise UserError(
            f"dataset.validation = {dataset.validation}: {dataset.name} holds frames of recordings, which are held out by the speaker; give "
            f"dataset.validation=0 and, of {', '.join(speakers)}, dataset.validation_speakers=[{speakers[-1]}]"
        )
    if unknown := [name for name in dataset.validation_speakers if name not in speakers]:
        raise UserError(f"dataset.validation_speakers: {unknown[0]!r} is not among the training speakers {', '.join(speakers)}")
    held_out = np.isin(speaker, dataset.validation_speakers)
    if held_out.all():
        raise UserError(f"dataset.validation_speakers = {list(dataset.validation_speakers)} leaves nothing to train on: name fewer")
    train, validation = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    there = np.unique(arrays.train_recording[train])  # numbered in canonical order
    if kept is not None and kept > len(there):
        raise UserError(f"dataset.train_recordings = {kept}: {dataset.name} has {len(there)} such recordings")
    return train[np.isin(arrays.train_recording[train], there[:kept])], validation


def _channel_statistics(images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and std of each channel of uint8 (N, C, H, W) images scaled to [0, 1], exactly the same on every machine: summed in integers."""
    total = images.sum((0, 2, 3), dtype=np.uint64).astype(np.float64)
    chunks = np.array_split(images, max(1, len(images) // 1000))  # keeps the squares in the processor's cache
    squares = sum(np.square(chunk, dtype=np.uint32).sum((0, 2, 3), dtype=np.uint64) for chunk in chunks).astype(np.float64)
    pixels = images[:, 0].size
    mean = total / pixels
    std = np.sqrt(np.maximum(squares / pixels - mean**2, 0))
    std[std == 0] = 255  # a constant channel stays as it is
    return torch.tensor(mean / 255, dtype=torch.float32), torch.tensor(std / 255, dtype=torch.float32)


@lru_cache(maxsize=4)
def splits(dataset: Dataset, data_dir: Path) -> Splits:
    """`load`, once per process."""
    return load(dataset, data_dir)
