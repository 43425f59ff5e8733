"""The files that the committed records speak of: they are there, as large as recorded, and err as recorded where MNIST is at hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from nncompress.models import build
from nncompress.quantize import account, load

ROOT = Path(__file__).resolve().parents[3]
RECORDS = [
    (path.stem, row)
    for path in sorted((ROOT / "results" / "records").glob("deep_compression_plus*.csv"))
    for row in csv.DictReader(path.read_text().splitlines())
    if row["arm"] == "record" and row["variant"] == ""
]


@pytest.mark.parametrize(("experiment", "row"), RECORDS, ids=lambda value: value if isinstance(value, str) else value["model"])
def test_the_record_is_a_file_of_its_size_and_its_error(experiment: str, row: dict[str, str]) -> None:
    path = ROOT / "results" / "files" / experiment / f"{row['model']}.nnc"
    size, net = path.stat().st_size, load(path)
    assert size == int(row["file_bytes"]) == sum(each.bytes for each in account(path))
    assert float(row["rate"]) == pytest.approx(4 * sum(array.size for array in net.weights.values()) / size)
    images = ROOT / "data" / "mnist.npz"
    if not images.exists():
        pytest.skip("its error: there is no data/mnist.npz")
    with np.load(images) as data:
        x, y = torch.from_numpy(data["test_x"]).reshape(-1, 1, 28, 28) / 255, torch.from_numpy(data["test_y"].astype(np.int64))
    module = build(net.model)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in net.weights.items()})
    with torch.no_grad():
        right = int((module(x).argmax(1) == y).sum())
    assert abs(right / len(y) - float(row["test_accuracy"])) <= 1e-4  # an image at most, where logits tie but for rounding
