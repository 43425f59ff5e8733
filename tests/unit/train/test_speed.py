"""Nets in the forms that a deployed one may have."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from nncompress.errors import UserError
from nncompress.models import initial_weights
from nncompress.train.speed import Deployed, median_seconds
from nncompress.types import Model

MODEL = Model("mlp", (6, 5, 3))
WEIGHTS = {name: array + 0.1 for name, array in initial_weights(MODEL, 0).items()}
X = torch.rand(7, 6, generator=torch.Generator().manual_seed(1))


def by_hand(weights: dict[str, np.ndarray]) -> np.ndarray:
    hidden = np.maximum(X.numpy() @ weights["fc1.weight"].T + weights["fc1.bias"], 0)
    return np.asarray(hidden @ weights["fc2.weight"].T + weights["fc2.bias"])


def test_the_dense_form_is_the_net() -> None:
    net = Deployed(MODEL, WEIGHTS, "dense")
    np.testing.assert_allclose(net.answer(X), by_hand(WEIGHTS), atol=1e-5)
    assert net.bytes == 4 * (6 * 5 + 5 + 5 * 3 + 3)


def test_the_sparse_form_answers_the_same_and_counts_values_and_indices() -> None:
    sparse = {name: np.where(np.abs(array) > 0.3, array, 0) if name.endswith("weight") else array for name, array in WEIGHTS.items()}
    nonzero = sum(int(np.count_nonzero(sparse[name])) for name in ("fc1.weight", "fc2.weight"))
    assert 0 < nonzero < 45
    net = Deployed(MODEL, sparse, "csr")
    np.testing.assert_allclose(net.answer(X), by_hand(sparse), atol=1e-5)
    assert net.bytes == 8 * nonzero + 4 * (5 + 1 + 3 + 1) + 4 * (5 + 3)


def test_int8_is_near_and_a_byte_a_weight() -> None:
    net = Deployed(MODEL, WEIGHTS, "int8")
    exact = by_hand(WEIGHTS)
    found = net.answer(X).numpy()
    assert 0 < np.abs(found - exact).max() < 0.05 * np.abs(exact).max()
    assert net.bytes == 6 * 5 + 5 * 3 + 2 * 8 + 4 * (5 + 3)


def test_a_net_that_does_more_takes_longer() -> None:
    large, small = Model("mlp", (6, 2000, 2000, 3)), MODEL
    nets = {name: Deployed(model, initial_weights(model, 0), "dense") for name, model in (("large", large), ("small", small))}
    seconds = median_seconds(nets, 8, 6, 3)
    assert seconds["large"] > 2 * seconds["small"] > 0


def test_time_in_which_others_have_the_processor_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Deployed(MODEL, WEIGHTS, "dense")
    answer = net.answer

    def interrupted(x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.02)
        return answer(x)

    monkeypatch.setattr(net, "answer", interrupted)
    assert median_seconds({"net": net}, 1, 6, 3)["net"] < 0.01


def test_a_convolutional_net_is_refused() -> None:
    model = Model("lenet_5")
    with pytest.raises(UserError, match="model lenet_5: only the speed of fully connected nets"):
        Deployed(model, initial_weights(model, 0), "dense")
