"""Data sets that are folders of image files, one folder a class: read when they are needed, a batch at a time.

What is held in memory is the names of the files, about 300 bytes an image, and the images that were asked for: of 256 images of 3 x 224 x 224
39 MB as bytes, and 154 MB in float32 while a net sees them.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nncompress.data.order import permutation
from nncompress.errors import UserError, one_line

RESIZED, CROPPED = 256, 224
"""An image's shorter side is scaled to this much, and the middle cut out to that: the ratio counts, for other sizes of the crop too."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the channels of ImageNet's training images, as torchvision's nets were given them."""
PARTS = {"train": "train", "test": "val"}
"""What the splits are called in the folder. ImageNet's test images have no labels, so its validation images are the test split."""
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""Threads that decode images at once."""


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images that are files, in some order: `images[places]`, a slice or an array of places, reads these, uint8 (n, C, H, W).

    `size`: (H, W), to which each is scaled and cut.
    """

    root: Path
    files: np.ndarray
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self), 3, *self.size)

    def take(self, places: np.ndarray) -> ImageFiles:
        """The images at these places, none of them read."""
        return ImageFiles(self.root, self.files[places], self.size)

    def __getitem__(self, places: slice | np.ndarray | Tensor) -> Tensor:
        chosen = self.files[places.cpu().numpy() if isinstance(places, Tensor) else places]
        if not len(chosen):
            return torch.empty(0, *self.shape[1:], dtype=torch.uint8)
        with ThreadPoolExecutor(min(CORES, len(chosen))) as threads:  # decoding lets go of Python's lock
            return torch.stack(list(threads.map(self._read, chosen)))

    def _read(self, file: str) -> Tensor:
        from PIL import Image

        try:
            with Image.open(self.root / file) as image:
                found: Tensor = _transform(self.size)(image.convert("RGB"))
                return found
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # as Pillow has it, a damaged PNG is a SyntaxError
            raise UserError(f"{self.root / file} cannot be read as an image ({one_line(error)}): get it again") from error


@cache
def _transform(size: tuple[int, int]) -> Any:
    """What torchvision's nets are tested on, in bytes: the shorter side scaled, the middle cut out."""
    from torchvision import transforms

    side = round(max(size) * RESIZED / CROPPED)
    return transforms.Compose([transforms.Resize(side), transforms.CenterCrop(size), transforms.PILToTensor()])


@dataclass(frozen=True)
class Folder:
    """A split of a data set: its images and labels in canonical order. `classes`: names of the class folders."""

    images: ImageFiles
    labels: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str


@lru_cache(maxsize=4)
def read_folder(root: Path, size: tuple[int, int]) -> Folder:
    """The images under `root`, in a folder for each class, sorted by name and then by one fixed permutation.

    The fingerprint is of names and sizes of the files: to read all of them would take hours.

    Raises: UserError for a folder that is not there, has no classes, or a class without images.
    """
    from torchvision.datasets import ImageFolder

    if not root.is_dir():
        raise UserError(f"there is no folder {root}")
    if not any(entry.is_dir() for entry in os.scandir(root)):
        raise UserError(f"{root} has no folders of classes: put each image into a folder named by its class")
    try:
        found = ImageFolder(str(root))
    except FileNotFoundError as error:
        raise UserError(f"{root}: {one_line(error).partition('. ')[0]}") from error
    files = [os.path.relpath(path, root) for path, _ in found.samples]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file}\0{(root / file).stat().st_size}\0".encode())
    order = permutation("canonical order", 0, 0, len(files))
    labels = np.array([label for _, label in found.samples], np.int64)[order]
    return Folder(ImageFiles(root, np.array(files)[order], size), labels, tuple(found.classes), digest.hexdigest())


def read_splits(name: str, root: Path, size: tuple[int, int], classes: int, counts: Sequence[int]) -> tuple[Folder, Folder]:
    """The training and the test split of the data set `name` in `root`, which must have so many classes and images.

    Raises: UserError, also as `read_folder` does.
    """
    parts = []
    for part, count in zip(PARTS.values(), counts, strict=True):
        try:
            parts.append(found := read_folder(root / part, size))
        except UserError as error:
            raise UserError(
                f"{name}: {error}; its images belong into {root}/train/CLASS/ and {root}/val/CLASS/ (lab.data_dir=FOLDER looks elsewhere)"
            ) from error
        if len(found.classes) != classes:
            raise UserError(f"{root / part} has {len(found.classes)} folders of classes, but {name} has {classes} classes")
        if len(found.labels) != count:
            raise UserError(f"{root / part} has {len(found.labels):,} images, but {name} has {count:,} there: complete it")
    train, test = parts
    if odd := set(train.classes) ^ set(test.classes):
        raise UserError(f"{root}: the class {min(odd)!r} is in one of train and val only; both have the same folders")
    return train, test


@cache
def made_up() -> tempfile.TemporaryDirectory[str]:
    """A folder of `stripes` that is removed when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="stripes-")
    stripes(Path(folder.name))
    return folder


def stripes(root: Path) -> None:
    """Make a data set for tests: pictures of stripes in three directions, ten to train and five to test of each, in sizes, widths and colours
    drawn at random."""
    from PIL import Image

    generator = np.random.Generator(np.random.PCG64(0))
    for part, count in ((PARTS["train"], 10), (PARTS["test"], 5)):
        for name, (down, right) in {"across": (1, 0), "diagonal": (1, 1), "upright": (0, 1)}.items():
            place = root / part / name
            place.mkdir(parents=True)
            for i in range(count):
                height, width = generator.integers(60, 120, 2)
                rows, columns = np.mgrid[:height, :width]
                wave = np.sin((down * rows + right * columns) * generator.uniform(0.3, 0.8))[..., None]
                colour = generator.uniform(40, 120, 3)
                Image.fromarray((128 + wave * colour).astype(np.uint8)).save(place / f"{i}.png")
