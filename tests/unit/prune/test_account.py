"""The account returns the printed FLOP columns of Han et al. 2015, Tables 2 to 5, from the printed columns Weights, FLOP, Act% and Weights%."""

from __future__ import annotations

import pytest

from nncompress.prune import Layer, account

# layer, weights, FLOP, Act%, Weights%, FLOP%, and where the totals weigh by units: outputs after pooling
LENET_300_100 = [("fc1", 235e3, 470e3, 38, 8, 8, 300), ("fc2", 30e3, 60e3, 65, 9, 4, 100), ("fc3", 1e3, 2e3, 100, 26, 17, 10)]
LENET_5 = [
    ("conv1", 0.5e3, 576e3, 82, 66, 66, 2880), ("conv2", 25e3, 3200e3, 72, 12, 10, 800), ("fc1", 400e3, 800e3, 55, 8, 6, 500),
    ("fc2", 5e3, 10e3, 100, 19, 10, 10),
]  # fmt: skip
ALEXNET = [
    ("conv1", 35e3, 211e6, 88, 84, 84, 1), ("conv2", 307e3, 448e6, 52, 38, 33, 1), ("conv3", 885e3, 299e6, 37, 35, 18, 1),
    ("conv4", 663e3, 224e6, 40, 37, 14, 1), ("conv5", 442e3, 150e6, 34, 37, 14, 1), ("fc1", 38e6, 75e6, 36, 9, 3, 1),
    ("fc2", 17e6, 34e6, 40, 9, 3, 1), ("fc3", 4e6, 8e6, 100, 25, 10, 1),
]  # fmt: skip
VGG_16 = [
    ("conv1_1", 2e3, 0.2e9, 53, 58, 58, 1), ("conv1_2", 37e3, 3.7e9, 89, 22, 12, 1), ("conv2_1", 74e3, 1.8e9, 80, 34, 30, 1),
    ("conv2_2", 148e3, 3.7e9, 81, 36, 29, 1), ("conv3_1", 295e3, 1.8e9, 68, 53, 43, 1), ("conv3_2", 590e3, 3.7e9, 70, 24, 16, 1),
    ("conv3_3", 590e3, 3.7e9, 64, 42, 29, 1), ("conv4_1", 1e6, 1.8e9, 51, 32, 21, 1), ("conv4_2", 2e6, 3.7e9, 45, 27, 14, 1),
    ("conv4_3", 2e6, 3.7e9, 34, 34, 15, 1), ("conv5_1", 2e6, 925e6, 32, 35, 12, 1), ("conv5_2", 2e6, 925e6, 29, 29, 9, 1),
    ("conv5_3", 2e6, 925e6, 19, 36, 11, 1), ("fc6", 103e6, 206e6, 38, 4, 1, 1), ("fc7", 17e6, 34e6, 42, 4, 2, 1),
    ("fc8", 4e6, 8e6, 100, 23, 9, 1),
]  # fmt: skip
TOTALS = [
    ("LeNet-300-100", LENET_300_100, 46, 8, 8),
    ("LeNet-5", LENET_5, 77, 8, 16),
    ("AlexNet", ALEXNET, None, 11, 30),
    ("VGG-16", VGG_16, None, 7.5, 21),
]


@pytest.mark.parametrize(("name", "rows", "activation", "kept", "flops"), TOTALS, ids=[total[0] for total in TOTALS])
def test_the_printed_columns(
    name: str, rows: list[tuple[str, float, float, int, int, int, int]], activation: int | None, kept: float, flops: int
) -> None:
    found = account([Layer(n, int(w), int(f / 2), units, share / 100, act / 100) for n, w, f, act, share, _, units in rows])
    for layer, *_, printed, _ in rows:
        assert 100 * found.layers[layer] == pytest.approx(printed, abs=1)
    assert 100 * found.kept == pytest.approx(kept, abs=0.6)
    assert 100 * found.flops == pytest.approx(flops, abs=1)
    if activation is not None:
        assert 100 * found.activation == pytest.approx(activation, abs=0.6)
