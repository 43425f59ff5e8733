"""Images that are files train the same net as the same images in memory, and never more of them are read at once than a net sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nncompress.data import ImageFiles, splits
from nncompress.models import initial_weights
from nncompress.train import fit as fit_module
from nncompress.train import learner as learner_module
from nncompress.train.fit import Replicate, Runtime, Task, Trained, fit, unit_activations
from nncompress.train.learner import chunks
from nncompress.types import Augmentation, Dataset, Model, Training

MODEL = Model("alexnet", (3, 4, 5, 5, 4, 8, 6), (3, 70, 70), 3, hidden_dropout=0.3)
TRAINING = Training(steps=4, batch_size=5, learning_rate=0.05, optimizer="sgd", momentum=0.9, evaluate_every=2)
DATASET = Dataset("stripes", validation=6, scaling="standard")


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(tmp_path)


def trained(dataset: Dataset, runtime: Runtime) -> list[Trained]:
    replicates = [Replicate(f"replicate {seed}", seed, initial_weights(MODEL, seed)) for seed in (0, 1)]
    return fit(Task(MODEL, dataset, TRAINING, 0, TRAINING.steps), replicates, runtime)


def in_memory(*given: Any) -> Any:
    found = splits(*given)
    parts = {name: getattr(found, name)[:] for name in ("train_x", "validation_x", "test_x")}
    assert all(isinstance(part, torch.Tensor) for part in parts.values())
    return replace(found, **parts)


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(flip=True, shift=2)])
def test_files_train_the_same_net_as_the_same_images_in_memory(
    augmentation: Augmentation, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = replace(DATASET, augmentation=augmentation)
    of_files, active = trained(dataset, runtime), unit_activations(MODEL, dataset, initial_weights(MODEL, 0), runtime)
    monkeypatch.setattr(fit_module, "splits", in_memory)
    for ours, theirs in zip(of_files, trained(dataset, runtime), strict=True):
        assert ours.metrics == theirs.metrics
        for name in ours.weights:
            np.testing.assert_array_equal(ours.weights[name], theirs.weights[name])
    for layer, shares in unit_activations(MODEL, dataset, initial_weights(MODEL, 0), runtime).items():
        np.testing.assert_array_equal(shares, active[layer])


def test_no_more_images_are_read_at_once_than_a_batch_or_a_chunk(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner_module, "VALUES", 7 * 3 * 70 * 70)
    read: list[int] = []
    original = ImageFiles.__getitem__

    def counted(images: ImageFiles, places: Any) -> torch.Tensor:
        found = original(images, places)
        read.append(len(found))
        return found

    monkeypatch.setattr(ImageFiles, "__getitem__", counted)
    trained(DATASET, runtime)
    assert max(read) == 2 * TRAINING.batch_size  # of two replicates
    assert 7 in read


def test_chunks_are_of_1000_small_images_and_of_fewer_large_ones() -> None:
    assert list(chunks(torch.empty(2500, 1, 28, 28, device="meta"))) == [slice(0, 1000), slice(1000, 2000), slice(2000, 3000)]
    assert next(chunks(torch.empty(500, 3, 224, 224, device="meta"))) == slice(0, 111)
    assert next(chunks(torch.empty(2, 3, 9000, 9000, device="meta"))) == slice(0, 1)
    assert not list(chunks(torch.empty(0, 1, 28, 28)))
