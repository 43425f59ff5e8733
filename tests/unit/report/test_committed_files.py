"""The committed files are those that the committed records speak of: as large as recorded, and err as recorded where MNIST is at hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from nncompress.lab.configuration import request
from nncompress.models import build
from nncompress.quantize import account, load

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / "results" / "files").rglob("*.nnc"))
RECORDS = [
    (path.stem, row)
    for path in sorted((ROOT / "results" / "records").glob("deep_compression_plus*.csv"))
    for row in csv.DictReader(path.read_text().splitlines())
    if row["arm"] == "record" and row["variant"] == ""
]
ASKED = {"lenet_300_100": (120, 0.0164), "lenet_5_relu": (200, 0.0080)}
"""Model -> how many times smaller its file is asked to be at least, and its test error at most, as a share."""

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT / "results" / "files").as_posix())


def record_of(path: Path) -> dict[str, str]:
    """The record of the row that the file is kept of, which the recipe of its experiment names."""
    experiment = path.parent.relative_to(ROOT / "results" / "files").as_posix()
    asked = request(ROOT / "conf", [f"experiment={experiment}"])
    [kept] = [row.columns for row in asked.recipe.rows(asked.config) if row.keep_file == path.name]
    rows = csv.DictReader((ROOT / "results" / "records" / f"{experiment}.csv").read_text().splitlines())
    [found] = [row for row in rows if row["variant"] == "" and all(row[name] == str(value) for name, value in kept.items())]
    return found


def test_there_are_files_and_records_to_compare() -> None:
    """Else the tests below would pass with nothing to do."""
    assert FILES and RECORDS


@each_file
def test_a_file_loads_and_is_of_the_size_of_its_record(path: Path) -> None:
    row, size, net = record_of(path), path.stat().st_size, load(path)
    assert net.model.name == row["model"] == path.stem
    assert size == int(row["file_bytes"]) == sum(each.bytes for each in account(path))
    assert float(row["rate"]) == pytest.approx(4 * sum(array.size for array in net.weights.values()) / size)


@each_file
def test_the_net_of_a_file_errs_as_recorded(path: Path) -> None:
    images = ROOT / "data" / "mnist.npz"
    if not images.exists():
        pytest.skip("there is no data/mnist.npz")
    with np.load(images) as data:
        x, y = torch.from_numpy(data["test_x"]).reshape(-1, 1, 28, 28) / 255, torch.from_numpy(data["test_y"].astype(np.int64))
    net = load(path)
    module = build(net.model)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in net.weights.items()})
    with torch.no_grad():
        right = sum(int((module(part).argmax(1) == labels).sum()) for part, labels in zip(x.split(1000), y.split(1000), strict=True))
    assert abs(right / len(y) - float(record_of(path)["test_accuracy"])) <= 1e-4  # an image at most, where logits tie but for rounding


@pytest.mark.parametrize(("experiment", "row"), RECORDS, ids=lambda value: value if isinstance(value, str) else value["model"])
def test_the_smallest_net_is_a_file_as_small_and_as_right_as_asked_for(experiment: str, row: dict[str, str]) -> None:
    assert ROOT / "results" / "files" / experiment / f"{row['model']}.nnc" in FILES
    rate, error = ASKED[row["model"]]
    assert float(row["rate"]) >= rate and 1 - float(row["test_accuracy"]) <= error + 1e-7
