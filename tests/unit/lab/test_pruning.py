"""What the stages of pruning yield, of weights written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nncompress.lab.pruning import WeightHistogram
from nncompress.lab.stage import Artifact
from nncompress.lab.stages import Fit, InitialWeights
from nncompress.types import Dataset, Model, Training

MODEL = Model("lenet_300_100")
DENSE = Fit(MODEL, Dataset("mnist"), Training(steps=10, batch_size=60, learning_rate=0.1), InitialWeights(MODEL, 0), 0)
PRUNED = replace(DENSE, start=DENSE, seed=1)


def test_a_histogram_counts_every_surviving_weight_in_standard_deviations_of_the_dense_layer() -> None:
    std = 0.5
    dense = np.array([[std, -std, std, -std]])
    after = std * np.array([[0.0, -1.1, 2.9, 3.2, 40.0, 0.0, -9.0, -1.2]])  # with zeros, which are pruned, and weights beyond the reach
    given = {DENSE: Artifact({"weights/fc1.weight": dense}), PRUNED: Artifact({"weights/fc1.weight": after})}
    found = WeightHistogram(PRUNED, "fc1", DENSE, reach=3.5, bins=7).compute(given, None)
    assert found.curves["weight"].tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert found.curves["share"] == pytest.approx(np.array([1, 0, 2, 0, 0, 0, 3]) * 100 / 6)
    assert found.metrics == {"std": pytest.approx(after[after != 0].std()), "nonzero": 6}
