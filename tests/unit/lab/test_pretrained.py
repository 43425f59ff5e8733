"""Weights that were trained elsewhere start a fit, and are asked for before anything is trained."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import nncompress.models.pretrained as pretrained
from nncompress.errors import UserError
from nncompress.lab.experiment import preflight
from nncompress.lab.lab import Lab
from nncompress.lab.pretrained import PretrainedWeights
from nncompress.lab.pruning import ThresholdMask
from nncompress.lab.row import Row
from nncompress.lab.stages import Fit
from nncompress.models import parameter_shapes
from nncompress.types import Dataset, Model, Training
from tests.unit.lab import tiny

MODEL = Model("alexnet", (3, 4, 5, 5, 4, 8, 6), (3, 70, 70), 3)
WEIGHTS = PretrainedWeights(MODEL, "imagenet1k_v1")
DENSE = Fit(MODEL, Dataset("stripes", validation=6), Training(2, 6, 0.01, "sgd"), WEIGHTS, 0, stop_step=0)
PRUNED = replace(DENSE, start=DENSE, mask=ThresholdMask(DENSE, {"fc6.weight": 1.0}, DENSE), stop_step=None)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tiny.settings(tmp_path), say=lambda _: None)


def test_a_net_of_published_weights_is_measured_and_pruned_from(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lab.settings.data_dir
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    published = {f"layer.{i}": torch.randn(shape, generator=generator) for i, shape in enumerate(parameter_shapes(MODEL).values())}
    torch.save(published, folder / "net.pth")
    name = f"net-{hashlib.sha256((folder / 'net.pth').read_bytes()).hexdigest()[:8]}.pth"
    (folder / "net.pth").rename(folder / name)
    monkeypatch.setattr(pretrained, "_url", lambda *_: f"https://nowhere.invalid/{name}")
    preflight([Row(PRUNED, {"arm": "pruned", "seed": 0})], lab)
    dense, pruned = lab.get(DENSE), lab.get(PRUNED)
    for ours, theirs in zip(parameter_shapes(MODEL), published.values(), strict=True):
        np.testing.assert_array_equal(dense.weights[ours], theirs.numpy())
    assert dense.metrics["steps"] == 0 and 0 <= dense.metrics["test_accuracy"] <= 1
    assert pruned.metrics["steps"] == 2 and 0.2 < pruned.masks["fc6.weight"].mean() < 0.45


def test_weights_that_cannot_be_had_are_refused_before_training(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(UserError, match="torchvision's weights of alexnet were not found"):
        preflight([Row(PRUNED, {"arm": "pruned", "seed": 0})], lab)
