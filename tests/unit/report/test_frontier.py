"""The frontier of size and error: which points are on it, and the figure of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from nncompress.report.declare import Frontier
from nncompress.report.figures import draw
from nncompress.report.frontier import frontier, points, published
from nncompress.report.records import tidy

DECLARED = Frontier(
    "frontier", "Error against size", "size", "error", "KB", "error, %", "method", ("arm", "point"), "validation_error", ("pruned", "small"),
    published={"a": "small", "b": "absent", "lacking": "small"},
)  # fmt: skip
PAPER = pd.DataFrame(
    [
        {"arm": "a", "metric": "size", "value": 27.0, "note": "A et al."},
        {"arm": "a", "metric": "error", "value": 0.0158, "note": "A et al., 40× (derived)"},
        {"arm": "b", "metric": "error", "value": 0.02, "note": "b"},
        {"arm": "b", "metric": "size", "value": 16.0, "note": "b"},
        {"arm": "lacking", "metric": "size", "value": 1.0, "note": ""},
    ]
)


POINTS = (
    ("small", "p", 10.0, 0.04, 0.04),
    ("small", "q", 100.0, 0.02, 0.02),
    ("pruned", "p", 20.0, 0.015, 0.03),
    ("pruned", "q", 50.0, 0.03, 0.035),
)
"""Method, point, size, test error, validation error."""


def records(**changes: Any) -> pd.DataFrame:
    rows = []
    for seed in (0, 1, 2):
        for method, point, size, error, validation in POINTS:
            row = {
                "arm": method,
                "method": method,
                "point": point,
                "seed": seed,
                "size": size + seed,
                "error": error,
                "validation_error": validation,
            }
            rows.append({**row, "model": "mlp", "dataset": "mnist", "scale": "paper", "variant": "", **changes})
    return tidy(pd.DataFrame(rows))


def test_the_frontier_of_a_case_worked_by_hand() -> None:
    sizes, errors = np.array([1, 2, 2, 3, 4, 5, 5]), np.array([9, 5, 6, 5, 4, 4, 3])
    np.testing.assert_array_equal(frontier(sizes, errors), [True, True, False, False, True, False, True])
    assert frontier(np.array([1, 1]), np.array([2, 2])).all()  # neither of two equals beats the other


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=20))
def test_what_is_left_out_is_beaten_by_what_is_on_the_frontier_and_nothing_on_it_is(found: list[tuple[int, int]]) -> None:
    sizes, errors = (np.array(values) for values in zip(*found, strict=True))
    kept = frontier(sizes, errors)

    def beaten(i: int) -> bool:
        return any(sizes[j] <= sizes[i] and errors[j] <= errors[i] and found[j] != found[i] for j in np.flatnonzero(kept))

    assert [beaten(i) for i in range(len(found))] == [not on for on in kept]


def test_points_are_means_over_seeds_in_percent() -> None:
    found = points(DECLARED, records()).set_index(["series", "point"])
    assert len(found) == 4
    q = found.loc[("small", "q")]
    assert (q["x"], q["y"], q["count"]) == (101.0, 2.0, 3) and q["x_std"] == 1.0


def test_published_points_are_those_that_have_both_numbers_named_without_their_parenthesis() -> None:
    assert published(DECLARED, PAPER) == [("small", "A et al., 40×", 27.0, 1.58), ("absent", "b", 16.0, 2.0)]
    assert published(DECLARED, None) == [] == published(DECLARED, pd.DataFrame())


def test_the_figure_draws_every_point_and_leads_its_line_over_the_frontier_of_the_validation_split() -> None:
    figure = draw(DECLARED, records(), pd.DataFrame(), None, PAPER)
    assert figure is not None
    (axes,) = figure.axes
    (line,) = [line for line in axes.get_lines() if line.get_label() == "frontier"]
    # By test error 'small q' (2 %) would not be on it, which is best on validation images.
    np.testing.assert_allclose(np.column_stack(line.get_data()), [[11, 4], [21, 1.5], [101, 2], [101, 2]])
    assert {text.get_text() for text in axes.texts} == {"A et al., 40×", "b"}
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == {"small", "pruned", "frontier", "as published"}
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_the_name_of_a_published_point_stands_where_it_covers_nothing() -> None:
    """Below and to the left, where names stand by default, lies the dense series of a method."""
    row = {"arm": "small", "method": "small", "model": "mlp", "dataset": "mnist", "scale": "paper", "variant": "", "seed": 0}
    crowd = [{**row, "point": str(i), "size": 27.0 * 0.9**i, "error": 0.0158 * 0.97**i, "validation_error": 0.02} for i in range(20)]
    figure = draw(
        DECLARED, tidy(pd.DataFrame([*crowd, {**crowd[0], "point": "far", "size": 300.0, "error": 0.05}])), pd.DataFrame(), None, PAPER
    )
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    name = next(text for text in axes.texts if text.get_text() == "A et al., 40×")
    assert (name.get_ha(), name.get_va()) != ("right", "top")
    figure.draw_without_rendering()
    box = name.get_window_extent()
    assert not any(
        box.count_contains(axes.transData.transform(line.get_xydata())) for line in axes.lines if not line.get_label().startswith("_p")
    )


def test_names_of_near_points_and_the_legend_of_long_ones_are_whole() -> None:
    long = {name: f"{name}, of which there is a good deal to be said in a legend" for name in ("pruned", "small")}
    more = records().replace(long)
    many = pd.concat([more, *(more.assign(method=f"{more['method'].iloc[0]} {i}", point=f"{i}") for i in range(4))])
    both = replace(DECLARED, published={"a": long["small"], "c": long["small"]})
    near = PAPER[PAPER["arm"] == "a"].assign(arm="c", value=lambda rows: rows["value"] * 1.01, note="B et al., 41×")
    figure = draw(both, tidy(many), pd.DataFrame(), None, pd.concat([PAPER, near]))
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    first, second = (text.get_window_extent() for text in figure.axes[0].texts)
    assert not first.overlaps(second)
    assert figure.legends[0].get_window_extent().width <= figure.bbox.width and len(figure.legends) == 1


def test_nothing_is_drawn_without_points() -> None:
    assert draw(DECLARED, records().drop(columns="size"), pd.DataFrame()) is None
    assert draw(DECLARED, records(error=np.nan), pd.DataFrame()) is None


def test_methods_without_a_validation_split_are_drawn_but_not_on_the_frontier() -> None:
    figure = draw(DECLARED, records(validation_error=np.nan), pd.DataFrame())
    assert figure is not None
    assert not [line for line in figure.axes[0].get_lines() if line.get_label() == "frontier"]
