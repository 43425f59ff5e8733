"""Heat maps: cells are means over seeds, the best of each row is framed."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from nncompress.report.declare import HeatMap, Lines, Panel
from nncompress.report.figures import draw
from nncompress.report.records import tidy

HEAT = HeatMap("grid", "Errors", "errors", "errors", "temperature", "units", "temperature", "units", where={"arm": ("distilled",)})
CELLS = {(1, 30): (10, 12), (4, 30): (7, 9), (1, 300): (3, 5), (4, 300): (6, 6)}
COMMON = {"arm": "distilled", "model": "mlp", "dataset": "mnist", "scale": "quick"}
ROWS = [
    {**COMMON, "temperature": temperature, "units": units, "seed": seed, "errors": value}
    for (temperature, units), values in CELLS.items()
    for seed, value in enumerate(values)
]
RECORDS = tidy(pd.DataFrame(ROWS))


@pytest.mark.parametrize(("best", "framed"), [("smallest", [(1, 0), (0, 1)]), ("largest", [(0, 0), (1, 1)])])
def test_cells_are_means_and_the_best_of_each_row_is_framed(best: str, framed: list[tuple[int, int]]) -> None:
    figure = draw(HeatMap(**{**HEAT.__dict__, "best": best}), RECORDS, pd.DataFrame())
    assert figure is not None
    axes = figure.axes[0]
    assert axes.images[0].get_array().tolist() == [[11, 8], [4, 6]]  # 30 units below, 300 above
    assert sorted(text.get_text() for text in axes.texts) == ["11", "4", "6", "8"]
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [(round(box.get_x() + 0.47), round(box.get_y() + 0.46)) for box in boxes] == framed
    assert "Mean of 2 seeds" in figure.texts[1].get_text()


def test_nothing_recorded_is_no_figure() -> None:
    assert draw(HEAT, RECORDS[RECORDS["arm"] == "plain"], pd.DataFrame()) is None
    assert draw(HEAT, RECORDS.drop(columns="errors"), pd.DataFrame()) is None


def test_lines_without_what_they_are_about_are_no_figure() -> None:
    lines = Lines("x", "X", (Panel("errors", "errors"),), x="temperature", needs=("one_shot",))
    assert draw(lines, RECORDS, pd.DataFrame()) is None
    assert draw(Lines(**{**lines.__dict__, "needs": ("distilled",)}), RECORDS, pd.DataFrame()) is not None
