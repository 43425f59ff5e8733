from __future__ import annotations

from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from experiments.lottery_ticket_claims import FIGURES
from nncompress.report.figures import MARKERS_APART, OKABE_ITO, Lines, Panel, draw, save, series_label
from nncompress.report.records import read_curves, tidy
from tests.unit.report.fake import fake_curves, fake_interpolations, fake_records, write_results

ROOT = Path(__file__).parents[3]

NO_CURVES = pd.DataFrame(columns=["arm", "round", "seed", "level"])
named = {lines.name: lines for lines in FIGURES}


def drawn(name: str, records: pd.DataFrame, curves: pd.DataFrame = NO_CURVES) -> Figure:
    figure = draw(named[name], tidy(records), curves)
    assert figure is not None
    return figure


def test_every_declared_figure_is_made_and_again_byte_for_byte(tmp_path: Path) -> None:
    rounds = (0, 3, 7, 14)
    write_results(tmp_path, "e", fake_records(rounds=rounds, seeds=(0, 1)), pd.concat([fake_curves(rounds, (0, 1)), fake_interpolations()]))
    records = tidy(pd.read_csv(tmp_path / "records" / "e.csv"))
    curves = read_curves(tmp_path, "e", records)
    for lines in FIGURES:
        contents = []
        for _ in range(2):
            figure = draw(lines, records, curves)
            assert figure is not None, lines.name
            paths = save(figure, tmp_path / f"e_{lines.name}")
            contents.append([path.read_bytes() for path in paths])
        assert contents[0] == contents[1], lines.name
        assert contents[0][0].startswith(b"\x89PNG") and b"<dc:date>" not in contents[0][1] and b"</svg>" in contents[0][1]


def test_a_picture_in_a_palette_is_the_same_picture_in_fewer_bytes(tmp_path: Path) -> None:
    figure = drawn("tickets", fake_records())
    (path,) = save(figure, tmp_path / "e", vector=False)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=150)
    with Image.open(path) as written, Image.open(content) as full:
        away = np.abs(np.asarray(written.convert("RGB"), float) - np.asarray(full.convert("RGB"), float))
    assert path.suffix == ".png" and path.stat().st_size < len(content.getvalue()) / 2
    assert away.max() < 64 and away.mean() < 1  # of 255


def test_the_density_axis_runs_from_dense_to_sparse_on_a_logarithmic_scale() -> None:
    axes = drawn("tickets", fake_records()).axes
    assert len(axes) == 3
    assert all(a.get_xscale() == "log" and a.get_xlim()[0] > a.get_xlim()[1] for a in axes)


def test_a_logarithmic_axis_has_its_ticks_at_the_values() -> None:
    records = tidy(pd.DataFrame([{"arm": "a", "seed": 0, "scale": "paper", "cases": n, "error": 1 / n} for n in (4000, 25000, 400000)]))
    lines = Lines("sizes", "Sizes", (Panel("error", "error"),), x="cases", x_label="cases", logarithmic=True)
    figure = draw(lines, records, pd.DataFrame())
    assert figure is not None
    [axes] = figure.axes
    assert axes.get_xscale() == "log" and axes.get_xticks().tolist() == [4000, 25000, 400000]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["4,000", "25,000", "400,000"]


@pytest.mark.parametrize(("counts", "whole"), [([0, 1, 2, 3, 4, 5], True), ([0, 0.5, 1, 1.5], False)])
def test_an_axis_of_counts_has_ticks_at_whole_numbers(counts: list[float], whole: bool) -> None:
    rows = [{"arm": "a", "seed": 0, "scale": "smoke", "generations": count, "error": count} for count in counts]
    lines = Lines("born", "Born", (Panel("error", "error"),), x="generations", x_label="generations")
    figure = draw(lines, tidy(pd.DataFrame(rows)), pd.DataFrame())
    assert figure is not None
    assert all(tick % 1 == 0 for tick in figure.axes[0].get_xticks()) == whole


def test_a_logarithmic_axis_of_many_values_has_few_ticks() -> None:
    values = [1.3 * 1.2**i for i in range(20)]
    records = tidy(pd.DataFrame([{"arm": "a", "seed": 0, "scale": "paper", "size": x, "error": 1 / x} for x in values]))
    figure = draw(Lines("sizes", "Sizes", (Panel("error", "error"),), x="size", x_label="size", logarithmic=True), records, pd.DataFrame())
    assert figure is not None
    [axes] = figure.axes
    assert axes.get_xscale() == "log" and {2, 5, 10, 20} <= set(axes.get_xticks()) and len(axes.get_xticks()) < len(values)


def test_a_panel_that_zooms_has_a_range_of_its_own() -> None:
    found = [
        {"arm": "a", "seed": 0, "scale": "paper", "step": i, "accuracy": y} for i, y in enumerate([0.2, 0.97, 0.98, 0.98, 0.985, 0.98, 0.99])
    ]
    panels = (Panel("accuracy", "accuracy, %", "%"), Panel("accuracy", "nearer, %", "%", zoom=True))
    figure = draw(Lines("x", "x", panels, x="step", x_label="step"), tidy(pd.DataFrame(found)), pd.DataFrame())
    assert figure is not None
    whole, nearer = (axes.get_ylim()[0] for axes in figure.axes)
    assert whole < 20 and nearer > 90


@pytest.mark.parametrize(("highest", "ticks"), [(0.5, {1, 2, 5, 10, 20, 50}), (0.05, {1, 1.5, 2, 3, 4, 5})])
def test_a_panel_may_be_logarithmic_with_ticks_enough(highest: float, ticks: set[float]) -> None:
    errors = {1: highest, 2: 0.03, 3: 0.009}
    rows = [{"arm": "a", "seed": seed, "scale": "paper", "kept": x, "error": y * (1 + seed)} for x, y in errors.items() for seed in (0, 0.05)]
    lines = Lines("e", "E", (Panel("error", "error, %", "%", logarithmic=True),), x="kept", x_label="kept")
    figure = draw(lines, tidy(pd.DataFrame(rows)), pd.DataFrame())
    assert figure is not None
    [axes] = figure.axes
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log" and {tick for tick in axes.get_yticks() if low <= tick <= high} == ticks
    assert [axes.yaxis.get_major_formatter()(tick) for tick in (1.5, 20)] == ["1.5", "20"]


@pytest.mark.parametrize("one_range", [True, False])
def test_panels_of_one_metric_share_their_range_unless_told_otherwise(one_range: bool) -> None:
    rows = [{"arm": arm, "seed": 0, "scale": "paper", "place": x, "share": top * x} for arm, top in (("a", 50), ("b", 5)) for x in (0, 1)]
    panels = tuple(Panel("share", arm, where={"arm": (arm,)}) for arm in ("a", "b"))
    figure = draw(Lines("s", "S", panels, x="place", x_label="place", one_range=one_range), tidy(pd.DataFrame(rows)), pd.DataFrame())
    assert figure is not None
    left, right = (axes.get_ylim()[1] for axes in figure.axes)
    assert (left, right) == pytest.approx((52.5, 52.5 if one_range else 5.25))


def test_lines_are_means_over_seeds_in_the_unit_of_the_panel() -> None:
    steps, accuracy, _ = drawn("tickets", fake_records()).axes
    ticket = accuracy.get_lines()[0]
    assert (ticket.get_label(), ticket.get_color()) == ("winning ticket", OKABE_ITO[0])
    assert ticket.get_xydata()[-1] == pytest.approx((1.0, 98.0))  # points run from sparse to dense
    assert steps.get_lines()[0].get_ydata()[0] == pytest.approx(3100)


def test_the_caption_says_what_the_band_is_and_how_many_seeds() -> None:
    records = fake_records(seeds=(0, 1, 2))
    records = records[(records["arm"] != "random_mask") | (records["seed"] < 1)]
    words = " ".join(text.get_text() for text in drawn("tickets", records).texts)
    assert "LeNet-300-100 on MNIST. Scale: paper. Mean of 1–3 seeds, band: ± one standard deviation." in words


def test_the_band_may_be_the_range() -> None:
    lines = Lines("a", "A", (Panel("early_stop_accuracy", "accuracy", "%"),), where={"arm": ("winning_ticket",)}, band="range")
    figure = draw(lines, tidy(fake_records(rounds=(0, 1))), NO_CURVES)
    assert figure is not None and "band: minimum to maximum" in figure.texts[1].get_text()
    heights = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((97.98, 98.32))


@pytest.mark.parametrize(("points", "apart"), [(40, None), (300, MARKERS_APART)])
def test_a_line_of_many_points_is_marked_at_some_of_them(points: int, apart: float | None) -> None:
    curves = pd.DataFrame([{"arm": "a", "seed": 0, "shift": x / 10, "error": x**2} for x in range(points)])
    figure = draw(Lines("e", "E", (Panel("error", "error"),), x="shift", x_label="shift", source="curves"), tidy(pd.DataFrame()), curves)
    assert figure is not None
    [line] = figure.axes[0].get_lines()
    assert line.get_marker() == "o" and line.get_markevery() == apart and len(line.get_xdata()) == points


def test_a_line_that_hides_another_is_dashed() -> None:
    records = fake_records()
    records["density_fc2.weight"] = records["density_fc1.weight"]
    lines = {str(line.get_label()): line.get_linestyle() for line in drawn("layers", records).axes[0].get_lines()}
    assert lines == {"fc1": "-", "fc2": "--", "fc3": "-"}
    assert {line.get_linestyle() for line in drawn("tickets", fake_records()).axes[1].get_lines()[:3]} == {"-"}


def test_titles_fit_their_figures() -> None:
    claims = [import_module(f"experiments.{path.stem}") for path in (ROOT / "experiments").glob("*_claims.py")]
    figures = [figure for module in claims for figure in getattr(module, "FIGURES", ())]
    assert figures
    for figure in figures:
        inches = max(6.4, 4.2 * len(figure.panels)) if isinstance(figure, Lines) else 6.4
        assert len(figure.title) <= 9.5 * inches, figure.title  # about as many bold letters fit


def test_an_arm_keeps_its_colour_over_the_figures() -> None:
    for name in ("tickets", "one_shot", "retraining", "precision"):
        colours = {str(line.get_label()): line.get_color() for line in drawn(name, fake_records()).axes[0].get_lines()}
        assert colours["winning ticket"] == OKABE_ITO[0] and colours.get("random reinit", OKABE_ITO[1]) == OKABE_ITO[1], name


def test_rewinding_steps_are_lines_of_their_own_in_the_order_of_steps() -> None:
    records = fake_records(rounds=(0, 1))
    records = pd.concat([records, records[records["rewind_step"] == 500].assign(rewind_step=2000)])
    labels = [str(line.get_label()) for line in drawn("retraining", records).axes[0].get_lines()]
    assert [label for label in labels if label.startswith("rewinding")] == [f"rewinding to step {k}" for k in (100, 500, 2000)]


@pytest.mark.parametrize("missing", ["early_stop_step", "test_accuracy", "density", "seed", "arm"])
def test_a_missing_column_leaves_out_what_needs_it(missing: str) -> None:
    for lines in FIGURES:
        draw(lines, tidy(fake_records(rounds=(0, 1), seeds=(0, 1)).drop(columns=missing)), NO_CURVES)


@pytest.mark.parametrize("steps", [[10], [10, 20], [100 * i for i in range(1, 501)]], ids=len)
def test_learning_curves_of_any_length_are_drawn(steps: list[int]) -> None:
    """Long ones to two fifths of their length, where nets differ; short ones whole."""
    curves = pd.DataFrame({"arm": "winning_ticket", "round": 0, "seed": 0, "level": 1.0, "step": steps, "validation_accuracy": 0.9})
    shown = drawn("learning_curves", fake_records(rounds=(0,), seeds=(0,)), curves).axes[0].get_lines()[0].get_xdata()
    assert (len(shown), shown[-1]) == ((200, 20000) if len(steps) == 500 else (len(steps), steps[-1]))


def zoomed(heights: dict[str, list[float]], panels: int = 1, reference: float | None = None) -> Figure:
    """One zoomed panel, or several with one range, of `arm` against `step`, in percent."""
    rows = [
        {"arm": arm, "seed": 0, "step": step, "accuracy": height / 100} for arm, values in heights.items() for step, height in enumerate(values)
    ]
    line = None if reference is None else (reference / 100, "reference")
    each = [Panel("accuracy", "accuracy, %", "%", {"arm": (arm,)} if panels > 1 else {}, line, zoom=True) for arm in heights]
    order = tuple(heights)
    figure = draw(Lines("a", "A", tuple(each[:panels]), x="step", x_label="step", order=order), tidy(pd.DataFrame(rows)), NO_CURVES)
    assert figure is not None
    return figure


def marks(figure: Figure) -> list[dict[str, list[float]]]:
    """Of each panel: colour -> the steps marked as below the frame."""
    return [{str(line.get_color()): list(line.get_xdata()) for line in axes.get_lines() if line.get_marker() == "v"} for axes in figure.axes]


def test_zoom_leaves_out_a_steep_beginning_and_marks_where_a_line_leaves_the_frame() -> None:
    high = [97.0, 97.5, 98.0, 98.0, 98.5, 98.0, 98.0, 97.5]
    figure = zoomed({"a": [10.0, 60.0, *high], "b": [20.0, *high, 97.0]})
    (axes,) = figure.axes
    bottom, top = axes.get_ylim()
    assert (bottom, top) == pytest.approx((97.0 - 0.15 * 1.5, 98.5 + 0.12 * 1.5), abs=1e-5)
    assert marks(figure) == [{OKABE_ITO[0]: [0, 1], OKABE_ITO[1]: [0]}]
    assert axes.get_xlabel() == "step (▼: below the frame)"
    edge = [line.get_ydata()[0] for line in axes.get_lines() if line.get_marker() == "v"]
    assert 0 < edge[0] < edge[1] < 0.1  # as shares of the frame's height, one line's marks above the other's
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_zoom_leaves_room_for_the_bands() -> None:
    steps = [{"arm": "a", "seed": seed, "step": step, "accuracy": (50 + wide) / 100} for step in (0, 1) for seed, wide in ((0, -9), (1, 9))]
    lines = Lines("x", "x", (Panel("accuracy", "accuracy, %", "%", zoom=True),), x="step", x_label="step")
    figure = draw(lines, tidy(pd.DataFrame(steps).assign(model="mlp", dataset="digits", scale="smoke")), pd.DataFrame())
    assert figure is not None
    low, high = figure.axes[0].get_ylim()
    assert low < 50 - 9 * 2**0.5 and high > 50 + 9 * 2**0.5


@pytest.mark.parametrize(
    "heights",
    [
        {"a": [98.0, 98.1, 97.9, 98.0], "b": [97.7, 97.6, 97.8, 97.7]},  # few points: no whole line may be cut off
        {"a": [98.0, 98.1, 98.2, 98.3, 98.4, 98.3, 98.2, 98.1, 97.6]},  # an outlier, but room for it
        {"a": [98.0]},
        {"a": [98.0] * 8 + [50.0]},
    ],
    ids=["few", "near", "one", "constant"],
)
def test_zoom_hides_nothing_where_that_gains_little(heights: dict[str, list[float]]) -> None:
    figure = zoomed(heights)
    bottom, top = figure.axes[0].get_ylim()
    points = [height for values in heights.values() for height in values]
    assert bottom < min(points) <= max(points) < top
    assert marks(figure) == [{}] and figure.axes[0].get_xlabel() == "step"


def test_panels_of_one_range_are_marked_by_that_range() -> None:
    high = [97.0, 97.5, 98.0, 98.0, 98.5, 98.0, 98.0, 97.5]
    figure = zoomed({"a": high, "b": [20.0, *high]}, panels=2)
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert marks(figure) == [{}, {OKABE_ITO[1]: [0]}]
    assert [axes.get_xlabel() for axes in figure.axes] == ["step", "step (▼: below the frame)"]


def test_a_reference_line_stays_in_the_frame() -> None:
    figure = zoomed({"a": [10.0, 97.0, 97.5, 98.0, 98.0, 98.5, 98.0, 98.0, 97.5]}, reference=95.0)
    assert 90 < figure.axes[0].get_ylim()[0] < 95.0
    assert marks(figure) == [{OKABE_ITO[0]: [0]}]


def test_a_marked_figure_is_the_same_again_byte_for_byte(tmp_path: Path) -> None:
    heights = {"a": [10.0, 97.0, 97.5, 98.0, 98.0, 98.5, 98.0, 98.0, 97.5]}
    first, second = ([path.read_bytes() for path in save(zoomed(heights), tmp_path / "a")] for _ in range(2))
    assert first == second


def test_a_figure_that_cannot_be_drawn_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {path: path.read_bytes() for path in save(zoomed({"a": [1.0, 2.0]}), tmp_path / "figures" / "a")}
    figure = zoomed({"a": [2.0, 1.0]})

    def half(file: Any, **_: object) -> None:
        file.write(b"half a fig")
        raise OSError("no space left")

    monkeypatch.setattr(figure, "savefig", half)
    with pytest.raises(OSError, match="no space left"):
        save(figure, tmp_path / "figures" / "a")
    assert {path: path.read_bytes() for path in (tmp_path / "figures").iterdir()} == old


def test_nothing_recorded_is_no_figure() -> None:
    assert all(draw(lines, tidy(pd.DataFrame()), NO_CURVES) is None for lines in FIGURES)


def test_drawing_leaves_the_users_settings_alone() -> None:
    with matplotlib.rc_context({"font.size": 17, "svg.hashsalt": "mine"}):
        drawn("tickets", fake_records(rounds=(0, 1)))
        assert (matplotlib.rcParams["font.size"], matplotlib.rcParams["svg.hashsalt"]) == (17, "mine")


def test_a_panel_sums_up_all_records_in_its_title_and_names_stand_in_the_legend() -> None:
    rows = [{"arm": arm, "seed": seed, "size": size, "error": 0.1 * size + seed} for arm in "ab" for seed in (0, 1) for size in (1, 2)]
    records = tidy(pd.DataFrame(rows).assign(model="mlp", dataset="mnist", scale="paper", variant=""))
    panel = Panel("error", "error", summary=("mean error of a and b", lambda found: found.groupby("seed")["error"].mean()))
    lines = Lines("s", "S", (panel,), x="size", x_label="size", where={"arm": ("a",)}, names={"a": "a: the first"})
    figure = draw(lines, records.assign(error=records["error"] + 10 * (records["arm"] == "b")), pd.DataFrame())
    assert figure is not None
    [axes] = figure.axes
    assert axes.get_title(loc="left") == "error\nmean error of a and b: 5.650"
    assert axes.get_legend_handles_labels()[1] == ["a: the first"]


def test_lines_of_numbers_say_what_they_count() -> None:
    assert [series_label("entries", 6.0), series_label("weight_bits", 4), series_label("arm", "winning_ticket")] == [
        "entries: 6", "weight bits: 4", "winning ticket",
    ]  # fmt: skip
