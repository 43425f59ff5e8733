"""What the report knows of random splits of one data set, and figures of trees."""

from __future__ import annotations

import json
from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nncompress.report.claims import interval, judge, judge_all
from nncompress.report.declare import Claim, Lines, Panel, Table, TreePanel, Trees
from nncompress.report.figures import draw
from nncompress.report.records import tidy
from nncompress.report.tables import lay

RECORDS = tidy(
    pd.DataFrame(
        [
            {
                "arm": arm,
                "seed": seed,
                "dataset": dataset,
                "model": "cart",
                "scale": "quick",
                "test_accuracy": 0.9 + seed / 100,
                "key": f"{arm}{seed}",
            }
            for arm in ("cart", "born")
            for seed in range(4)
            for dataset in ("glass", "sonar")
        ]
    )
)


def test_an_interval_of_overlapping_splits_is_wider_as_nadeau_and_bengio_have_it() -> None:
    values = [0.0, 1.0, 2.0, 3.0]
    low, high = interval(values)
    wide_low, wide_high = interval(values, overlap=0.75)
    assert (wide_high - wide_low) / (high - low) == pytest.approx(sqrt((0.25 + 0.75) / 0.25))
    assert (wide_low + wide_high) / 2 == pytest.approx(1.5)


def test_the_overlap_of_a_claim_can_take_its_verdict_away() -> None:
    """The mean is 0.915, the interval of independent seeds begins at 0.8946, that of splits of 10 to 90 at 0.8903."""
    independent = Claim("x", "x", None, lambda records: records.groupby("seed")["test_accuracy"].mean(), low=0.893)
    assert judge(independent, RECORDS)["verdict"] == "reproduced"
    assert judge(replace(independent, overlap=1 / 9), RECORDS)["verdict"] == "inconclusive"


def test_claims_of_other_data_sets_are_not_judged_and_those_of_one_see_only_its_rows() -> None:
    def seen(records: pd.DataFrame) -> pd.Series:
        assert set(records["dataset"]) == {"glass"}
        return records.groupby("seed")["test_accuracy"].mean()

    claims = [Claim("here", "x", None, seen, datasets=("glass",)), Claim("there", "x", None, seen, datasets=("soybean",))]
    assert judge_all(claims, RECORDS)["claim"].to_list() == ["here"]


def test_a_table_may_show_the_standard_error() -> None:
    paper = pd.DataFrame()
    shown = [lay(Table("t", "T", "test_accuracy", columns="dataset", spread=spread), RECORDS, paper) for spread in ("std", "standard_error")]  # type: ignore[arg-type]
    deviation = float(np.std([0.0, 1, 2, 3], ddof=1))
    assert shown[0] is not None and shown[1] is not None
    assert shown[0].rows[0][1] == f"91.50 ± {deviation:.2f}" and "standard deviation" in shown[0].note
    assert shown[1].rows[0][1] == f"91.50 ± {deviation / 2:.2f}" and "standard error" in shown[1].note
    assert shown[1].cells["std"].iloc[0] == pytest.approx(deviation / 100)


def test_a_band_may_be_the_standard_error() -> None:
    heights = []
    for band in ("std", "standard_error"):
        lines = Lines("l", "L", (Panel("test_accuracy", "y"),), x="level", series="dataset", band=band)  # type: ignore[arg-type]
        figure = draw(lines, RECORDS.assign(level=1.0 + (RECORDS["arm"] == "cart")), pd.DataFrame())
        assert figure is not None and ("standard error" in figure.texts[1].get_text()) == (band == "standard_error")
        vertices = figure.axes[0].collections[0].get_paths()[0].vertices
        heights.append(np.ptp(np.asarray(vertices)[:, 1]))
    assert heights[0] == pytest.approx(2 * heights[1])


def test_published_values_are_found_by_their_data_set() -> None:
    same = {"model": "cart", "arm": "cart", "density": np.nan, "metric": "test_accuracy"}
    paper = pd.DataFrame([{**same, "dataset": dataset, "value": value} for dataset, value in (("glass", 0.7), ("sonar", 0.6))])
    laid = lay(Table("t", "T", "test_accuracy", columns="dataset", where={"arm": ("cart",)}), RECORDS, paper)
    assert laid is not None and [cell.partition("(")[2] for cell in laid.rows[0][1:]] == ["paper 70.00)", "paper 60.00)"]


def keep(folder: Path, key: str, prefix: str) -> None:
    """A tree with three leaves: a number, then a category."""
    words = json.dumps({"features": ["size", "colour = red"], "classes": ["no", "yes"]}).encode()
    arrays = {
        "feature": np.array([0, 1, -1, -1, -1]), "threshold": np.array([2.5, 0.5, 0, 0, 0]), "left": np.array([1, 2, -1, -1, -1]),
        "right": np.array([4, 3, -1, -1, -1]), "answer": np.array([0, 0, 0, 1, 1]), "share": np.array([1, 0.6, 0.35, 0.25, 0.4]),
    }  # fmt: skip
    np.savez_compressed(folder / f"{key}.npz", words=np.frombuffer(words, np.uint8), **{f"{prefix}/{k}": v for k, v in arrays.items()})


FIGURE = Trees("trees", "Two trees", (TreePanel("Born again", "small", {"arm": ("born",)}), TreePanel("CART", "tree", {"arm": ("cart",)})))


def test_trees_are_drawn_with_their_conditions_and_answers(tmp_path: Path) -> None:
    keep(tmp_path, "born1", "small")
    keep(tmp_path, "cart1", "tree")
    keep(tmp_path, "cart0", "tree")  # of a seed that the other has not
    figure = draw(FIGURE, RECORDS[RECORDS["dataset"] == "glass"], pd.DataFrame(), tmp_path)
    assert figure is not None
    for axes, name in zip(figure.axes, ("Born again", "CART"), strict=True):
        assert [text.get_text() for text in axes.texts] == [
            "size ≤\N{NO-BREAK SPACE}2.5",
            "not colour = red",
            "no\n35 %",
            "yes\n25 %",
            "yes\n40 %",
        ]
        place = [text.get_position() for text in axes.texts]
        assert place == [(1.25, 0), (0.5, -1), (0, -2), (1, -2), (2, -1)]
        assert axes.get_title(loc="left") == f"{name}: 9 % test error on this split"
    assert "Split 1;" in figure.texts[1].get_text() and figure.texts[1].get_text().startswith("Glass.")


def test_without_both_trees_there_is_no_figure(tmp_path: Path) -> None:
    assert draw(FIGURE, RECORDS, pd.DataFrame()) is None
    keep(tmp_path, "cart1", "tree")
    assert draw(FIGURE, RECORDS, pd.DataFrame(), tmp_path) is None
