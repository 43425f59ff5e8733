"""Pictures of arrays that rows keep: written by the lab under the key of their record, drawn from there alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from nncompress.lab import experiment as experiment_module
from nncompress.lab.loggers import NoLogger
from nncompress.lab.row import Row
from nncompress.report.declare import Picture
from nncompress.report.figures import draw
from nncompress.report.records import read_records, tidy
from tests.unit.lab import tiny

PICTURE = Picture("mask", "A mask", "mask/fc1.weight", "input", "unit", where={"arm": ("pruned",)})
RECORDS = tidy(
    pd.DataFrame([{"arm": "pruned", "seed": seed, "key": f"k{seed}", "model": "mlp", "dataset": "mnist", "scale": "quick"} for seed in (1, 0)])
)


def test_a_picture_is_black_where_the_array_of_the_first_seed_is_not_zero(tmp_path: Path) -> None:
    mask = np.array([[True, False, False, False], [False, False, True, False]])
    np.savez_compressed(tmp_path / "k0.npz", **{"mask/fc1.weight": mask})
    figure = draw(PICTURE, RECORDS, pd.DataFrame(), tmp_path)
    assert figure is not None
    assert figure.axes[0].images[0].get_array().tolist() == mask.tolist()
    assert figure.texts[1].get_text().endswith("Seed 0; black: 25 % of the weights.")


def test_without_the_array_there_is_no_picture(tmp_path: Path) -> None:
    assert draw(PICTURE, RECORDS, pd.DataFrame(), tmp_path) is None
    assert draw(PICTURE, RECORDS, pd.DataFrame()) is None
    assert draw(PICTURE, RECORDS[RECORDS["arm"] == "dense"], pd.DataFrame(), tmp_path) is None


def test_rows_keep_arrays_under_the_key_of_their_record_and_those_of_no_record_go(tmp_path: Path) -> None:
    made, settings = tiny.experiment(rounds=1, seeds=[0]), tiny.settings(tmp_path)
    rows = [Row(row.stage, row.columns, keep_arrays=("mask/fc1.weight",) if row.columns["round"] else ()) for row in made.rows()]
    lab = experiment_module.Lab(settings)
    book = experiment_module.Book(made, lab, NoLogger())
    folder = tmp_path / "arrays" / "tiny"
    folder.mkdir(parents=True)
    (folder / "stale.npz").touch()
    lab.run(rows, book.enter)
    records = read_records(tmp_path, "tiny")
    assert {path.stem for path in folder.iterdir()} == set(records.loc[records["round"] == 1, "key"])
    ticket = next(row.stage for row in rows if row.keep_arrays)
    with np.load(folder / f"{ticket.key}.npz") as kept:
        np.testing.assert_array_equal(kept["mask/fc1.weight"], lab.get(ticket).arrays["mask/fc1.weight"])
