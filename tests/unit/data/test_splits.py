"""Splits are disjoint, complete and fixed by the configuration alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nncompress.data import DATASETS, load, scale
from nncompress.data.sources import Known, read
from nncompress.errors import UserError
from nncompress.types import Dataset


@pytest.fixture
def numbered(monkeypatch, tmp_path):
    """A data set whose image i is all bytes of the number i, so that examples can be told apart. Label = i % 10."""
    monkeypatch.setitem(DATASETS, "numbered", Known((2, 1, 2), 200, 50, 10))
    arrays = {}
    for part, begin, count in (("train", 0, 200), ("test", 200, 50)):
        numbers = np.arange(begin, begin + count, dtype=np.uint8)
        arrays[f"{part}_x"] = np.stack([numbers, numbers, numbers // 2, numbers // 2], 1).reshape(count, 1, 2, 2).swapaxes(2, 3).copy()
        arrays[f"{part}_y"] = numbers % 10
    np.savez(tmp_path / "numbered.npz", **arrays)
    return lambda **changed: load(Dataset("numbered", **{"validation": 50, **changed}), tmp_path)


def numbers(images):
    return images[:, 0, 0, 0].tolist()


def test_the_splits_are_disjoint_and_complete(numbered):
    splits = numbered()
    train, validation, test = (set(numbers(x)) for x in (splits.train_x, splits.validation_x, splits.test_x))
    assert len(train) == 150 and len(validation) == 50 and train | validation == set(range(200)) and test == set(range(200, 250))
    assert not train & validation


def test_labels_stay_with_their_images(numbered):
    splits = numbered()
    for x, y in ((splits.train_x, splits.train_y), (splits.validation_x, splits.validation_y), (splits.test_x, splits.test_y)):
        assert [number % 10 for number in numbers(x)] == y.tolist()
        assert x.dtype == torch.uint8 and y.dtype == torch.int64 and x.shape[1:] == (2, 1, 2)


def test_the_validation_split_is_a_function_of_the_split_seed(numbered):
    first, again, other = numbered(), numbered(), numbered(split_seed=1)
    assert numbers(first.validation_x) == numbers(again.validation_x)
    assert set(numbers(first.validation_x)) != set(numbers(other.validation_x))


def test_train_examples_keeps_the_first_and_leaves_the_other_splits(numbered):
    whole, few = numbered(), numbered(train_examples=30)
    assert numbers(few.train_x) == numbers(whole.train_x)[:30]
    assert numbers(few.validation_x) == numbers(whole.validation_x) and numbers(few.test_x) == numbers(whole.test_x)


def test_no_validation_split_is_allowed(numbered):
    splits = numbered(validation=0)
    assert len(splits.train_x) == 200 and splits.validation_x.shape == (0, 2, 1, 2) and splits.validation_y.shape == (0,)


@pytest.mark.parametrize("held_out", [200, 5000])
def test_a_validation_split_that_leaves_nothing_is_refused(numbered, held_out):
    with pytest.raises(UserError, match=rf"dataset.validation = {held_out} .* 200 training examples"):
        numbered(validation=held_out)


def test_train_classes_narrow_the_training_split_only(numbered):
    whole, some = numbered(), numbered(train_classes=(7, 8))
    assert numbers(some.train_x) == [number for number in numbers(whole.train_x) if number % 10 in (7, 8)]
    assert set(some.train_y.tolist()) == {7, 8} and set(some.test_y.tolist()) == set(range(10))
    assert numbers(some.validation_x) == numbers(whole.validation_x)
    assert numbers(numbered(train_classes=(7, 8), train_examples=5).train_x) == numbers(some.train_x)[:5]


def test_a_class_that_there_is_not_is_refused(numbered):
    with pytest.raises(UserError, match=r"dataset\.train_classes: numbered has no class 10, only 0 to 9"):
        numbered(train_classes=(3, 10))


def test_more_train_examples_than_there_are_is_refused(numbered):
    with pytest.raises(UserError, match=r"dataset.train_examples = 151: numbered has 150"):
        numbered(train_examples=151)


def test_mean_and_std_are_those_of_the_training_examples_by_channel(numbered):
    splits = numbered(train_examples=70)
    unit = splits.train_x.double() / 255
    torch.testing.assert_close(splits.mean, unit.mean((0, 2, 3)).float())
    torch.testing.assert_close(splits.std, unit.std((0, 2, 3), correction=0).float())


def test_standard_scaling_gives_mean_zero_and_std_one(numbered):
    splits = numbered()
    scaled = scale(splits.train_x, splits, "standard")
    torch.testing.assert_close(scaled.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.std((0, 2, 3), correction=0), torch.ones(2))


def test_unit_scaling_maps_bytes_to_the_unit_interval_in_any_dtype_and_any_leading_axes(numbered):
    splits = numbered()
    images = torch.tensor([0, 51, 255, 102], dtype=torch.uint8).reshape(1, 1, 2, 1, 2)
    assert scale(images, splits, "unit").flatten().tolist() == pytest.approx([0, 0.2, 1, 0.4])
    for scaling in ("unit", "standard"):
        scaled = scale(images.expand(3, 4, 2, 1, 2), splits, scaling, torch.bfloat16)
        assert scaled.dtype == torch.bfloat16 and scaled.shape == (3, 4, 2, 1, 2)


def test_a_constant_channel_is_not_divided_by_zero(monkeypatch, tmp_path):
    monkeypatch.setitem(DATASETS, "flat", Known((1, 2, 2), 5, 5, 10))
    zeros = {"train_x": np.full((5, 2, 2), 9, np.uint8), "test_x": np.zeros((5, 2, 2), np.uint8)}
    np.savez(tmp_path / "flat.npz", **zeros, train_y=np.zeros(5, np.uint8), test_y=np.zeros(5, np.uint8))
    splits = load(Dataset("flat", validation=1), tmp_path)
    assert not scale(splits.train_x, splits, "standard").abs().gt(1e-6).any()


def test_an_unknown_scaling_is_refused(numbered):
    splits = numbered()
    with pytest.raises(UserError, match="'minmax'"):
        scale(splits.train_x, splits, "minmax")


def spoken(folder, **changed):
    return load(Dataset("tones", **{"validation": 0, "validation_speakers": ("soprano",), **changed}), folder)


def test_frames_of_a_recording_are_in_one_split_and_no_voice_is_in_two(tmp_path):
    """Of 80 recordings 20 of each voice: alto and bass train."""
    splits, arrays = spoken(tmp_path), read("tones", tmp_path)[0]
    assert (len(splits.train_y) + len(splits.validation_y), len(splits.test_y)) == (1230, 410)
    validation, test = (set(found.tolist()) for found in (splits.validation_recording, splits.test_recording))
    train = set(range(80)) - validation - test
    assert [{str(arrays.speaker[place]) for place in found} for found in (train, validation, test)] == [
        {"alto", "bass"},
        {"soprano"},
        {"tenor"},
    ]
    assert (len(train), len(validation), len(test)) == (40, 20, 20)
    assert splits.train_x.shape[1:] == (1, 26, 40) and splits.train_x.dtype == torch.uint8


def test_frames_of_a_recording_say_one_word_and_follow_each_other(tmp_path):
    splits = spoken(tmp_path)
    for recording in splits.test_recording.unique():
        frames = splits.test_recording == recording
        first, *_, last = frames.nonzero().flatten().tolist()
        assert last - first + 1 == frames.sum()
        word = splits.test_y[first] // 3
        assert splits.test_y[frames].tolist() == sorted(splits.test_y[frames].tolist()) and set((splits.test_y[frames] // 3).tolist()) == {
            int(word)
        }
        # The 21st row of each window is the frame itself, so that windows one frame apart agree on all that they share.
        windows = splits.test_x[frames][:, 0]
        assert torch.equal(windows[1:, 19:25], windows[:-1, 20:26])


def test_train_recordings_keeps_the_first_whole_and_leaves_the_other_splits(tmp_path):
    whole, few = spoken(tmp_path), spoken(tmp_path, train_recordings=7)
    assert torch.equal(few.train_x, whole.train_x[: len(few.train_x)]) and few.train_y[-1] % 3 == 2
    assert torch.equal(few.validation_x, whole.validation_x) and torch.equal(few.test_recording, whole.test_recording)
    begins = (few.train_y.diff() != 0) & (few.train_y[1:] % 3 == 0)  # a word's first third begins
    assert int(begins.sum()) + 1 == 7
    assert torch.equal(spoken(tmp_path, train_recordings=40).train_y, whole.train_y)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"validation": 5000},
            r"dataset\.validation = 5000: tones .* dataset\.validation=0 and, of alto, bass, soprano, dataset\.validation_speakers=",
        ),
        ({"validation_speakers": ("tenor",)}, r"'tenor' is not among the training speakers alto, bass, soprano"),
        ({"validation_speakers": ("alto", "bass", "soprano")}, "leaves nothing to train on"),
        ({"train_recordings": 41}, r"dataset\.train_recordings = 41: tones has 40 such recordings"),
    ],
)
def test_recordings_that_cannot_be_divided_so_are_refused(tmp_path, changed, said):
    with pytest.raises(UserError, match=said):
        spoken(tmp_path, **changed)


@pytest.mark.parametrize("changed", [{"validation_speakers": ("soprano",)}, {"train_recordings": 3}])
def test_images_have_no_speakers_or_recordings(numbered, changed):
    with pytest.raises(UserError, match=rf"dataset\.{next(iter(changed))} is for recordings of speech, which numbered does not have"):
        numbered(**changed)
    assert numbered().test_recording is None


def test_the_inputs_of_a_table_are_not_scaled_again():
    splits = load(Dataset("breast_cancer", 150, 0, 200, "standard"), Path())
    assert scale(splits.train_x, splits, "standard").equal(splits.train_x) and splits.train_x.shape == (200, 1, 1, 30)
    assert splits.train_x.mean((0, 1, 2)).abs().max() < 1e-5 and splits.classes == 2
