"""Dots: every seed, the mean with its bar, and the published value."""

from __future__ import annotations

import pandas as pd
import pytest

from nncompress.report.declare import Dots
from nncompress.report.figures import draw
from nncompress.report.records import tidy

DOTS = Dots("errors", "Errors by arm", "errors", "errors", order=("teacher", "plain"), published={"teacher": 67.0, "distilled": 74.0})
COMMON = {"model": "mlp", "dataset": "mnist", "scale": "quick"}
COUNTS = {"plain": (140, 150), "another": (99,), "teacher": (60, 64)}
RECORDS = tidy(pd.DataFrame([{**COMMON, "arm": arm, "seed": s, "errors": n} for arm, counts in COUNTS.items() for s, n in enumerate(counts)]))


def test_each_arm_has_its_seeds_their_mean_and_what_was_published() -> None:
    figure = draw(DOTS, RECORDS, pd.DataFrame())
    assert figure is not None
    [axes] = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["teacher", "plain", "another"]
    assert axes.yaxis_inverted()  # the first on top
    seeds = [line.get_xdata().tolist() for line in axes.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"]
    assert seeds == [[60, 64], [140, 150]]
    means = [container.lines[0].get_xdata().tolist() for container in axes.containers]
    assert means == [[62], [145], [99]]
    bar = axes.containers[0].lines[2][0].get_segments()[0]
    assert bar[:, 0].tolist() == pytest.approx([62 - 8**0.5, 62 + 8**0.5])
    marks = [line.get_segments()[0][0, 0] for line in axes.collections if line.get_linewidth()[0] == 1.8]
    assert marks == [67]  # nothing of the arm that is not recorded
    assert figure.texts[1].get_text().endswith("Dots: seeds; bars: ± one standard deviation, 1–2 seeds; lines: the paper.")


def test_nothing_recorded_is_no_figure() -> None:
    assert draw(DOTS, RECORDS.drop(columns="errors"), pd.DataFrame()) is None
    assert draw(DOTS, RECORDS.assign(errors=float("nan")), pd.DataFrame()) is None
