"""Which records are shown together, and the curves that belong to them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nncompress.report.figures import Lines, Panel, draw
from nncompress.report.records import comparable, left_out, read_curves, scale_of, tidy
from nncompress.report.tables import Table, lay, ledger
from tests.unit.report.fake import fake_curves, fake_records, write_results


def mixed() -> pd.DataFrame:
    """A shortened run of rounds 0 to 2 in seeds 0 to 2, of which a longer one has done round 0 again."""
    short = fake_records(rounds=(1, 2), seeds=(0, 1, 2), scale="20min").assign(early_stop_accuracy=0.5, seconds=7.0)
    return tidy(pd.concat([fake_records(rounds=(0,), seeds=(0, 1, 2)), short]))


@pytest.mark.parametrize(
    ("scales", "largest"),
    [
        (["20min", "paper"], "paper"),
        (["paper", "quick", "smoke"], "paper"),
        (["smoke", "quick"], "quick"),
        (["20min", "smoke"], "smoke"),
        (["smoke", "a scale of its own"], "smoke"),
        (["20min", "a scale of its own"], "a scale of its own"),
        (["9min", "20min", "0.5min"], "20min"),
        (["1e+03min", "20min"], "1e+03min"),
        (["0.5min", ""], "0.5min"),
        ([""], ""),
    ],
    ids=str,
)
def test_only_the_rows_of_the_largest_scale_are_comparable(scales: list[str], largest: str) -> None:
    records = tidy(pd.DataFrame({"arm": "a", "seed": range(len(scales)), "scale": scales}))
    for rows in (records, records[::-1]):
        assert comparable(rows)["scale"].to_list() == [largest]
        assert comparable(comparable(rows)).equals(comparable(rows))


def test_a_sweep_says_nothing_of_the_scale() -> None:
    records = tidy(pd.DataFrame({"arm": "a", "seed": [0, 1], "scale": ["20min", "paper"], "variant": [None, "training.steps=5"]}))
    assert comparable(records)["seed"].to_list() == [0]
    assert left_out(records) == ""


def test_what_is_left_out_is_counted_by_scale() -> None:
    scales = ["paper", "20min", "5min", "20min", "", "paper"]
    records = tidy(pd.DataFrame({"arm": "a", "seed": range(6), "scale": scales}))
    assert left_out(records) == "2 rows at 20min, 1 row at 5min, 1 row at an unknown scale"
    assert left_out(comparable(records)) == left_out(tidy(pd.DataFrame())) == ""
    assert scale_of(records) == "paper + 20min + 5min"


def test_no_table_or_figure_mixes_scales() -> None:
    table = lay(Table("a", "A", "early_stop_accuracy"), mixed(), pd.DataFrame())
    assert table is not None and table.head == ["arm", "100 %"] and table.note.endswith("scale: paper.")
    costs = ledger(mixed())
    assert costs is not None and "scale: paper." in costs.note and costs.rows[-1][1] == "27"  # nine fits of three seeds
    figure = draw(Lines("a", "A", (Panel("early_stop_accuracy", "accuracy"),)), mixed(), pd.DataFrame())
    assert figure is not None and "Scale: paper." in figure.texts[1].get_text()
    assert all(len(line.get_xdata()) == 1 for line in figure.axes[0].get_lines())


def test_curves_are_those_of_comparable_records(tmp_path: Path) -> None:
    curves = fake_curves(rounds=(0, 1, 2), seeds=(0, 1)).assign(rewind_step=None, model="lenet_300_100")
    write_results(tmp_path, "e", mixed(), curves)
    found = read_curves(tmp_path, "e", mixed())
    assert set(found["round"]) == {0} and set(found["level"]) == {1.0}
    assert len(found) == 2 * 2 * 21  # arms, seeds, points
    assert set(found.columns) == {*curves.columns, "level"}


def test_curves_are_told_apart_by_a_recipe_s_own_columns(tmp_path: Path) -> None:
    rows = [{"arm": "kd", "seed": 0, "temperature": t, "scale": scale} for t, scale in [(1, "paper"), (20, "20min")]]
    points = [{"arm": "kd", "seed": 0, "temperature": t, "step": step, "validation_loss": 1.0} for t in (1, 20) for step in (10, 20)]
    write_results(tmp_path, "e", pd.DataFrame(rows), pd.DataFrame(points))
    found = read_curves(tmp_path, "e", tidy(pd.DataFrame(rows)), identity=("temperature",))
    assert found["temperature"].to_list() == [1, 1] and found["step"].to_list() == [10, 20]


@pytest.mark.parametrize("columns", [["step"], ["arm", "step"], ["seed"]], ids=str)
def test_curves_without_arm_or_seed_are_none(tmp_path: Path, columns: list[str]) -> None:
    write_results(tmp_path, "e", mixed(), fake_curves(rounds=(0,), seeds=(0,))[columns])
    assert read_curves(tmp_path, "e", mixed()).empty
    assert read_curves(tmp_path, "no such experiment", mixed()).empty


def test_the_level_of_a_round_is_the_mean_over_the_arms_of_its_scale() -> None:
    rows = [
        {"arm": arm, "round": 1, "seed": 0, "density": density, "scale": scale}
        for arm, density, scale in [("a", 0.80, "paper"), ("b", 0.82, "paper"), ("a", 0.5, "20min")]
    ]
    records = tidy(pd.DataFrame([*rows, {"arm": "c", "seed": 0, "density": 0.3, "scale": "paper"}]).assign(model="m"))
    assert records["level"].to_list() == pytest.approx([0.81, 0.81, 0.5, 0.3])
