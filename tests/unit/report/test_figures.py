from __future__ import annotations

from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure

from experiments.lottery_ticket_claims import FIGURES
from nncompress.report.figures import OKABE_ITO, Lines, Panel, draw, save
from nncompress.report.records import read_curves, tidy
from tests.unit.report.fake import fake_curves, fake_interpolations, fake_records, write_results

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


def test_the_density_axis_runs_from_dense_to_sparse_on_a_logarithmic_scale() -> None:
    axes = drawn("tickets", fake_records()).axes
    assert len(axes) == 3
    assert all(a.get_xscale() == "log" and a.get_xlim()[0] > a.get_xlim()[1] for a in axes)


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


def test_nothing_recorded_is_no_figure() -> None:
    assert all(draw(lines, tidy(pd.DataFrame()), NO_CURVES) is None for lines in FIGURES)


def test_drawing_leaves_the_users_settings_alone() -> None:
    with matplotlib.rc_context({"font.size": 17, "svg.hashsalt": "mine"}):
        drawn("tickets", fake_records(rounds=(0, 1)))
        assert (matplotlib.rcParams["font.size"], matplotlib.rcParams["svg.hashsalt"]) == (17, "mine")
