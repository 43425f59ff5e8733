"""The frontier of size and error: which points are on it, and the figure of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Annotation, Text

from nncompress.report.declare import Frontier
from nncompress.report.figures import MANY, OKABE_ITO, draw
from nncompress.report.frontier import EDGE, frontier, marked, points, published
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
    box = Text.get_window_extent(name)
    assert not any(
        box.count_contains(axes.transData.transform(line.get_xydata())) for line in axes.lines if not line.get_label().startswith("_p")
    )


def test_a_name_keeps_off_the_bars_of_the_points_beside_it() -> None:
    """Points whose bars, many times as long as the points are wide, go through every place right at the star."""
    row = {"arm": "small", "method": "small", "model": "mlp", "dataset": "mnist", "scale": "paper", "variant": ""}
    crowd = [
        {**row, "point": str(size), "seed": seed, "size": 27.0 * size, "error": 0.0158 * error, "validation_error": 0.02}
        for size in (0.02, 0.4, 0.55, 0.7, 0.85, 1.18, 1.4, 1.7, 2.0, 40.0)
        for seed, error in ((0, 0.7), (1, 1.4))
    ]
    figure = draw(DECLARED, tidy(pd.DataFrame(crowd)), pd.DataFrame(), None, PAPER[PAPER["arm"] == "a"])
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    [name] = axes.texts
    figure.draw_without_rendering()
    box = Text.get_window_extent(name)  # without its leader
    bars = [axes.transData.transform(bar) for found in axes.collections for bar in found.get_segments()]
    assert len(bars) == 20
    assert not any(Path(bar).intersects_bbox(box) for bar in bars if len(bar) == 2)


def test_names_of_a_crowd_of_stars_overlap_neither_one_another_nor_the_lines_to_their_stars() -> None:
    arms = [f"a{i}" for i in range(6)]
    crowd = pd.concat(
        [PAPER[PAPER["arm"] == "a"].assign(arm=arm, value=lambda rows, i=i: rows["value"] * 1.03**i) for i, arm in enumerate(arms)]
    )
    figure = draw(replace(DECLARED, published=dict.fromkeys(arms, "small")), records(), pd.DataFrame(), None, crowd)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [Text.get_window_extent(name) for name in axes.texts]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2)) and len(boxes) == 6
    for i, name in enumerate(axes.texts):
        assert isinstance(name, Annotation)
        if name.arrow_patch is not None:
            leader = name.arrow_patch.get_path().transformed(name.arrow_patch.get_transform())
            assert not any(leader.intersects_bbox(box) for box in boxes[:i])
    assert sum(name.arrow_patch is not None for name in axes.texts) >= 2


def test_a_marked_row_is_a_filled_star_with_a_name_and_no_point() -> None:
    declared = replace(DECLARED, mark="mark")
    plain = records().assign(mark="")
    chosen = plain.iloc[:1].assign(mark="the smallest", size=2.0, error=0.03, validation_error=0.0)
    both = pd.concat([plain, chosen], ignore_index=True)
    assert marked(declared, both) == [("small", "the smallest", 2.0, 3.0)] and marked(DECLARED, both) == marked(declared, plain) == []
    figure = draw(declared, tidy(both), pd.DataFrame(), None, PAPER)
    assert figure is not None
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == {"A et al., 40×", "b", "the smallest"}
    stars = [(float(line.get_xdata()[0]), line.get_markerfacecolor()) for line in axes.lines if line.get_marker() == "*"]
    assert stars == [(27, "none"), (16, "none"), (2, OKABE_ITO[1])]
    (line,) = [line for line in axes.get_lines() if line.get_label() == "frontier"]
    assert line.get_xdata()[0] == 11  # small though it is, and errs on no validation image


def test_colours_of_many_series_are_told_apart_also_without_red_or_green() -> None:
    least = {"normal": 0.13, "without red": 0.06, "without green": 0.06}
    for vision, seen in VISIONS.items():
        places = [_lab(np.array(seen) @ _linear(colour)) for colour in MANY]
        apart = min(float(np.linalg.norm(a - b)) for a, b in combinations(places, 2))
        assert apart > least[vision], vision
        assert min(float(np.linalg.norm(place - _lab(np.ones(3)))) for place in places) > 0.2, "seen on white"
    band = _lab(_linear(EDGE))
    assert min(float(np.linalg.norm(_lab(_linear(colour)) - band)) for colour in MANY) > 0.1


VISIONS = {
    "normal": np.eye(3),
    "without red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "without green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
"""Linear light as it is seen: Machado, Oliveira & Fernandes 2009, severity 1."""


def _linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray) -> np.ndarray:
    """Oklab (Ottosson 2020), in which equal distances look about equal."""
    cones = np.cbrt(
        np.array([[0.41222147, 0.53633254, 0.05144599], [0.21190350, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.62997870]])
        @ np.clip(linear, 0, 1)
    )
    return (
        np.array([[0.21045426, 0.79361779, -0.00407205], [1.97799850, -2.42859221, 0.45059371], [0.02590404, 0.78277177, -0.80867577]]) @ cones
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
    first, second = (Text.get_window_extent(text) for text in figure.axes[0].texts)  # without leaders
    assert not first.overlaps(second)
    assert figure.legends[0].get_window_extent().width <= figure.bbox.width and len(figure.legends) == 1


def test_nothing_is_drawn_without_points() -> None:
    assert draw(DECLARED, records().drop(columns="size"), pd.DataFrame()) is None
    assert draw(DECLARED, records(error=np.nan), pd.DataFrame()) is None


def test_methods_without_a_validation_split_are_drawn_but_not_on_the_frontier() -> None:
    figure = draw(DECLARED, records(validation_error=np.nan), pd.DataFrame())
    assert figure is not None
    assert not [line for line in figure.axes[0].get_lines() if line.get_label() == "frontier"]
