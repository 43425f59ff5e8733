"""What the report knows of random splits of one data set, and figures of trees."""

from __future__ import annotations

import json
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from nncompress.report.claims import interval, judge_all, p_value
from nncompress.report.declare import Claim, Lines, Paired, Panel, Table, TreePanel, Trees
from nncompress.report.figures import draw
from nncompress.report.records import tidy
from nncompress.report.tables import lay, markdown

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
                "leaves": 17,
            }
            for arm in ("cart", "born")
            for seed in range(4)
            for dataset in ("glass", "sonar")
        ]
    )
)


def test_p_is_that_of_the_t_test_and_agrees_with_the_interval() -> None:
    values = [0.3, 0.1, -0.2, 0.4, 0.25, 0.0, 0.1]
    assert p_value(values) == pytest.approx(ttest_1samp(values, 0).pvalue)
    low, _ = interval(values, 1 - p_value(values))  # at this confidence zero is the interval's end
    assert low == pytest.approx(0, abs=1e-9)


def test_p_of_overlapping_splits_is_larger_as_nadeau_and_bengio_have_it() -> None:
    values = [0.3, 0.1, -0.2, 0.4, 0.25, 0.0, 0.1]
    n, overlap = len(values), 1 / 9
    t = np.mean(values) / (np.std(values, ddof=1) * sqrt(1 / n + overlap))
    assert p_value(values, overlap) == pytest.approx(2 * student.sf(t, n - 1))
    assert p_value(values) < p_value(values, 1 / 9) < p_value(values, 0.5)
    assert p_value([0.0, 0.0]) == 1 and p_value([0.5, 0.5]) == 0 and np.isnan(p_value([0.5]))


DIFFER = tidy(
    pd.DataFrame(
        [
            {"arm": arm, "seed": seed, "dataset": "glass", "model": "cart", "scale": "quick", "error": error}
            for arm, errors in {"cart": (0.2, 0.3, 0.3, 0.1), "born": (0.1, 0.1, 0.1 + 0.2, 0.2, 0.9)}.items()
            for seed, error in enumerate(errors)
        ]
    )
)
"""Differences -10, -20, 0 (but for rounding) and +10 pp, of mean -5 and standard deviation 12.9; the last seed has no pair."""


def test_paired_differences_by_hand() -> None:
    """t = -5 / (12.91 / 2) = -0.775 of 3 degrees of freedom: p = 0.495; with overlap 3/4 the standard error is 12.91: t = -0.387, p = 0.724."""
    same = {"model": "cart", "dataset": "glass", "density": np.nan, "metric": "error"}
    paper = pd.DataFrame([{**same, "arm": arm, "value": value} for arm, value in (("born", 0.25), ("cart", 0.32))])
    table = Paired("p", "P", "error", (("born", "cart"), ("born", "arced")), overlap=0.75, note="Why.")
    laid = lay(table, DIFFER, paper)
    assert laid is not None
    assert markdown(laid) == (
        "## P\n\n"
        "| difference | dataset | mean, pp | better / equal / worse | n | p, seeds independent | p, corrected |\n"
        "| --- | --- | --: | --: | --: | --: | --: |\n"
        "| born − CART | glass | −5.00 ± 6.45 (paper −7.00) | 2 / 1 / 1 | 4 | 0.495 | 0.724 |\n\n"
        "Mean ± standard error over n seeds, of the first minus the second on the same seed; better: less; scale: quick. Why.\n"
    )
    cells = laid.cells.set_index("metric")
    assert cells["mean"].to_dict() == pytest.approx(
        {"error": -0.05, "better": 2, "equal": 1, "worse": 1, "p": 0.4950, "p_corrected": 0.7243}, abs=1e-4
    )
    assert cells.loc["error", "std"] == pytest.approx(0.1291, abs=1e-4) and cells.loc["error", "paper"] == pytest.approx(-0.07)
    assert set(cells["n"]) == {4} and set(cells["row"]) == {"born - cart"} and set(cells["column"]) == {"glass"}


def test_without_overlap_there_is_one_p() -> None:
    laid = lay(Paired("p", "P", "error", (("born", "cart"),)), DIFFER, pd.DataFrame())
    assert laid is not None and laid.head[-1] == "p" and laid.rows[0][-1] == "0.495" and "p_corrected" not in set(laid.cells["metric"])


def test_where_more_is_better_the_first_arm_is_better_where_it_has_more() -> None:
    laid = lay(Paired("p", "P", "error", (("born", "cart"),), 0.75, "more"), DIFFER, pd.DataFrame())
    assert laid is not None and laid.rows[0][3] == "1 / 1 / 2"


def test_without_a_pair_or_the_metric_there_is_no_table_of_differences() -> None:
    for records, metric in ((DIFFER[DIFFER["arm"] == "cart"], "error"), (DIFFER, "agreement"), (DIFFER.query("seed == 4"), "error")):
        assert lay(Paired("p", "P", metric, (("born", "cart"),), 0.75), records, pd.DataFrame()) is None


def test_a_table_may_show_sums() -> None:
    counted = DIFFER.assign(chose=(DIFFER["error"] > 0.15).astype(float))
    laid = lay(Table("t", "T", "chose", unit="", columns="dataset", total=True), counted, pd.DataFrame())
    assert laid is not None
    assert laid.rows == [["born (n = 5)", "3"], ["CART (n = 4)", "3"]]
    assert laid.note == "Sum over n seeds; scale: quick."


def test_a_table_may_be_of_curves() -> None:
    curves = pd.DataFrame(
        [{"seed": seed, "dataset": "glass", "scale": "quick", "x": x, "error": 0.1 + x / 10 + seed / 50} for seed in (0, 1) for x in (0.0, 1.0)]
    )
    table = Table("t", "T", "error", index="dataset", columns="x", source="curves")
    laid = lay(table, DIFFER, pd.DataFrame(), curves)
    assert laid is not None and laid.head == ["dataset", "0", "1"] and laid.rows == [["glass (n = 2)", "11.00 ± 1.41", "21.00 ± 1.41"]]
    assert lay(table, DIFFER, pd.DataFrame()) is None


def test_lines_may_be_drawn_of_curves_beside_the_records() -> None:
    curves = pd.DataFrame([{"seed": seed, "dataset": "glass", "x": x, "error": 0.5 + x} for seed in (0, 1) for x in (0.0, 1.0)])

    def less_the_smallest(rows: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(above=rows["error"] - records["error"].min())

    lines = Lines("l", "L", (Panel("above", "y"),), x="x", series="dataset", source="curves", beside=less_the_smallest)
    figure = draw(lines, DIFFER, curves)
    assert figure is not None and figure.axes[0].lines[0].get_ydata() == pytest.approx([0.4, 1.4])


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


FIGURE = Trees(
    "trees",
    "Two trees",
    (
        TreePanel("Born again", "small", {"arm": ("born",)}, "smeared cases", uncut="leaves"),
        TreePanel("CART", "tree", {"arm": ("cart",)}, "training cases"),
    ),
)


def test_trees_are_drawn_with_their_conditions_and_answers(tmp_path: Path) -> None:
    keep(tmp_path, "born1", "small")
    keep(tmp_path, "cart1", "tree")
    keep(tmp_path, "cart0", "tree")  # of a seed that the other has not
    figure = draw(FIGURE, RECORDS[RECORDS["dataset"] == "glass"], pd.DataFrame(), tmp_path)
    assert figure is not None
    titles = (
        "Born again: 3 leaves (of 17 before the cut), 9 % test error on this split; %: share of the smeared cases",
        "CART: 3 leaves, 9 % test error on this split; %: share of the training cases",
    )
    for axes, title in zip(figure.axes, titles, strict=True):
        assert [text.get_text() for text in axes.texts] == [
            "size ≤\N{NO-BREAK SPACE}2.5",
            "not colour = red",
            "no\n35 %",
            "yes\n25 %",
            "yes\n40 %",
        ]
        place = [text.get_position() for text in axes.texts]
        assert place == [(1.25, 0), (0.5, -1), (0, -2), (1, -2), (2, -1)]
        assert axes.get_title(loc="left") == title
    assert "Split 1;" in figure.texts[1].get_text() and figure.texts[1].get_text().startswith("Glass.")


def test_without_both_trees_there_is_no_figure(tmp_path: Path) -> None:
    assert draw(FIGURE, RECORDS, pd.DataFrame()) is None
    keep(tmp_path, "cart1", "tree")
    assert draw(FIGURE, RECORDS, pd.DataFrame(), tmp_path) is None
