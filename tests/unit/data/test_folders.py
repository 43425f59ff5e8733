"""Folders of images: read when they are needed, scaled and cut as torchvision's nets expect; whatever is wrong with them, one line says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import AlexNet_Weights

from nncompress.data import DATASETS, ImageFiles, load, scale
from nncompress.data.folders import read_folder, read_splits, stripes
from nncompress.data.sources import Known
from nncompress.errors import UserError
from nncompress.types import Dataset

SIZE = (56, 56)
COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


def make(root: Path, counts: Mapping[str, int], mode: str = "RGB") -> Path:
    """A folder of so many images of each class, which show its colour."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (70 + i, 90), COLOURS[name]).convert(mode).save(root / name / f"{i}.png")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, count in (("train", 4), ("val", 2)):
        make(tmp_path / "pictures" / part, dict.fromkeys(COLOURS, count))
    return tmp_path / "pictures"


def message(root: Path, classes: int = 3, counts: tuple[int, int] = (12, 6)) -> str:
    with pytest.raises(UserError) as refusal:
        read_splits("pictures", root, SIZE, classes, counts)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_labels_are_those_of_the_folders_in_an_order_that_mixes_them(folder: Path) -> None:
    train, test = read_splits("pictures", folder, SIZE, 3, (12, 6))
    assert train.classes == test.classes == tuple(COLOURS)
    for part in (train, test):
        shown = part.images[:].float().mean((2, 3))  # (N, C)
        for pixels, label in zip(shown, part.labels, strict=True):
            assert tuple(pixels.int().tolist()) == COLOURS[train.classes[label]]
    assert len(set(train.labels[:5])) > 1


def test_images_are_scaled_and_cut_as_torchvisions_nets_were_tested(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 411, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a" / "0.png")
    ours = read_folder(tmp_path, (224, 224)).images[:]
    theirs = AlexNet_Weights.IMAGENET1K_V1.transforms()(Image.open(tmp_path / "a" / "0.png"))
    splits = load(Dataset("stripes", validation=6, scaling="standard"), tmp_path)
    torch.testing.assert_close(scale(ours, splits, "standard")[0], theirs, atol=1e-5, rtol=1e-5)


def test_nothing_is_read_before_it_is_asked_for_and_then_only_that(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda path: (opened.append(Path(path).name), original(path))[1])
    train, _ = read_splits("pictures", folder, SIZE, 3, (12, 6))
    some = train.images.take(np.array([5, 2, 7, 1]))
    assert (len(some), some.shape, opened) == (4, (4, 3, *SIZE), [])
    assert some[1:3].shape == (2, 3, *SIZE) and len(opened) == 2
    assert torch.equal(some[torch.tensor([2, 2])], train.images[np.array([7, 7])]) and len(opened) == 6
    assert some[4:].shape == (0, 3, *SIZE)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA"])
def test_images_of_other_modes_have_three_channels_too(tmp_path: Path, mode: str) -> None:
    found = read_folder(make(tmp_path / mode, {"red": 1}, mode), SIZE).images[:]
    assert found.shape == (1, 3, *SIZE) and found.dtype == torch.uint8


def test_a_data_set_of_files_is_split_as_any_other_and_keeps_its_files_unread(tmp_path: Path) -> None:
    whole, fewer = (load(Dataset("stripes", validation=6, train_examples=kept), tmp_path) for kept in (None, 10))
    assert isinstance(whole.train_x, ImageFiles) and isinstance(whole.validation_x, ImageFiles) and isinstance(fewer.train_x, ImageFiles)
    assert [len(x) for x in (whole.train_x, whole.validation_x, whole.test_x, fewer.train_x)] == [24, 6, 15, 10]
    assert not {*whole.train_x.files} & {*whole.validation_x.files}
    assert list(fewer.train_x.files) == list(whole.train_x.files[:10]) and whole.classes == 3
    assert len(whole.train_y) == 24 and set(whole.test_y.tolist()) == {0, 1, 2}
    assert whole.mean.tolist() == pytest.approx([0.485, 0.456, 0.406])


def test_the_made_up_pictures_are_the_same_whenever_they_are_made(tmp_path: Path) -> None:
    found = []
    for name in ("first", "second"):
        stripes(tmp_path / name)
        found.append(read_folder(tmp_path / name / "train", SIZE))
    first, second = found
    assert first.fingerprint == second.fingerprint and torch.equal(first.images[:4], second.images[:4])


def test_the_fingerprint_is_of_names_and_sizes(folder: Path) -> None:
    before = read_folder(folder / "train", SIZE).fingerprint
    (folder / "train" / "red" / "0.png").rename(folder / "train" / "red" / "9.png")
    read_folder.cache_clear()
    assert read_folder(folder / "train", SIZE).fingerprint != before


def test_a_folder_that_is_not_there_is_named_with_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        load(Dataset("imagenet"), tmp_path)
    root = tmp_path / "imagenet"
    assert str(refusal.value) == (
        f"imagenet: there is no folder {root}/train; its images belong into {root}/train/CLASS/ and {root}/val/CLASS/ "
        "(lab.data_dir=FOLDER looks elsewhere)"
    )


def test_a_folder_without_classes_is_refused(folder: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    (flat / "train").mkdir(parents=True)
    Image.new("RGB", (60, 60)).save(flat / "train" / "0.png")
    assert f"{flat}/train has no folders of classes: put each image into a folder named by its class" in message(flat)
    (folder / "val").rename(folder / "test")
    assert f"there is no folder {folder}/val" in message(folder)


def test_the_wrong_number_of_classes_or_images_is_refused(folder: Path) -> None:
    assert message(folder, classes=10) == f"{folder}/train has 3 folders of classes, but pictures has 10 classes"
    assert message(folder, counts=(1200, 6)) == f"{folder}/train has 12 images, but pictures has 1,200 there: complete it"
    assert message(folder, counts=(12, 7)) == f"{folder}/val has 6 images, but pictures has 7 there: complete it"


def test_a_class_without_images_is_refused(folder: Path) -> None:
    for file in (folder / "train" / "green").iterdir():
        file.rename(file.with_suffix(".txt"))
    assert f"{folder}/train: Found no valid file for the classes green" in message(folder)


def test_other_classes_in_the_second_part_are_refused(folder: Path) -> None:
    (folder / "val" / "green").rename(folder / "val" / "violet")
    assert message(folder) == f"{folder}: the class 'green' is in one of train and val only; both have the same folders"


@pytest.mark.parametrize("content", [b"", b"<html>", "cut"])
def test_a_damaged_image_is_named(folder: Path, content: bytes | str) -> None:
    path = folder / "train" / "red" / "1.png"
    path.write_bytes(path.read_bytes()[:60] if isinstance(content, str) else content)
    train, _ = read_splits("pictures", folder, SIZE, 3, (12, 6))
    with pytest.raises(UserError) as refusal:
        train.images[:]
    assert str(refusal.value).startswith(f"{path} cannot be read as an image (") and "\n" not in str(refusal.value)


def test_imagenet_is_known_by_its_counts() -> None:
    known = DATASETS["imagenet"]
    assert isinstance(known, Known) and (known.train, known.test, known.classes, known.shape) == (1_281_167, 50_000, 1000, (3, 224, 224))
