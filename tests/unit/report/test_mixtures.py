"""Figures of a mixture's course, of weights before and after, and of matrices: drawn from arrays that a row keeps."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nncompress.report.declare import Joint, Matrices, MixtureCourse
from nncompress.report.figures import animation, draw
from nncompress.report.mixtures import FRAMES, frames, why_apart
from nncompress.report.records import tidy

WHERE = {"arm": ("shared",)}
JOINT = Joint("joint", "Before and after", "joint", "edges", "before", "after", WHERE)
COURSE = MixtureCourse("mixture", "The mixture", WHERE)
MATRICES = Matrices("matrices", "Matrices", "matrices", ("before", "after"), "input", "unit", WHERE)
RECORDS = tidy(
    pd.DataFrame([{"arm": "shared", "seed": seed, "key": f"k{seed}", "model": "mlp", "dataset": "mnist", "scale": "quick"} for seed in (1, 0)])
)


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    kept = {
        "joint": np.array([[3, 1], [0, 2]]), "edges": np.array([-1.0, 0.0, 1.0]),
        "matrices": np.array([[[-127, 64], [1, 0]], [[-127, 0], [0, 0]]], np.int8),
        "mixture/step": np.array([0, 10, 20]), "mixture/epoch": np.array([0, 2.5, 5]),
        "mixture/means": np.array([[0, 0.5], [0, 0.4], [0, 0.3]]),
        "mixture/log_precisions": np.array([[2.0, 2], [4, 2], [6, 2]]), "mixture/log_shares": np.log([[0.9, 0.1]] * 3),
        "mixture/counts": np.array([[1, 5, 1], [0, 6, 1], [0, 7, 0]]), "mixture/edges": np.linspace(-1, 1, 4),
    }  # fmt: skip
    np.savez(tmp_path / "k0.npz", **kept)
    return tmp_path


def test_the_marginals_of_a_joint_picture_are_its_sums(arrays: Path) -> None:
    figure = draw(JOINT, RECORDS, pd.DataFrame(), arrays)
    assert figure is not None
    top, _, main, side, bar = figure.axes
    shown = main.collections[0].get_array()
    assert shown is not None and np.ma.filled(shown, 0).tolist() == [[3, 0], [1, 2]]  # rows upward are values after
    heights = [
        {round(float(y)) for _, y in top.collections[0].get_paths()[0].vertices},
        {round(float(x)) for x, _ in side.collections[0].get_paths()[0].vertices},
    ]
    assert heights == [{0, 4, 2}, {0, 3}]
    assert figure.texts[1].get_text().endswith("Seed 0.")
    assert bar.get_xlabel() == "weights in a cell" and bar.get_xscale() == "log"


def test_the_course_of_a_mixture_has_a_line_for_each_component(arrays: Path) -> None:
    figure = draw(COURSE, RECORDS, pd.DataFrame(), arrays)
    assert figure is not None
    left, right = figure.axes
    assert [line.get_ydata()[-1] for line in left.lines] == [0, 0.3]
    assert left.lines[0].get_xdata().tolist() == [0, 2.5, 5] and left.get_xlabel() == right.get_xlabel() == "epoch"
    assert [line.get_ydata()[-1] for line in right.lines] == pytest.approx([np.exp(-3), np.exp(-1)])


def test_an_animation_has_a_frame_for_each_note_and_is_the_same_bytes_again(arrays: Path) -> None:
    content = animation(COURSE, RECORDS, arrays)
    assert content is not None and content == animation(COURSE, RECORDS, arrays)
    with Image.open(io.BytesIO(content)) as film:
        assert film.format == "GIF" and getattr(film, "n_frames", 1) == 3


def test_a_long_course_is_thinned_to_its_first_and_last_notes_and_some_between() -> None:
    chosen = frames({"mixture/step": np.arange(101)})
    assert len(chosen) == FRAMES and (chosen[0], chosen[-1]) == (0, 100)
    assert frames({"mixture/step": np.arange(1)}) == [0]


def test_of_matrices_whatever_is_not_zero_is_seen(arrays: Path) -> None:
    figure = draw(MATRICES, RECORDS, pd.DataFrame(), arrays)
    assert figure is not None
    before, after = (axes.images[0].get_array() for axes in figure.axes)
    assert before is not None and after is not None
    assert np.sign(before).tolist() == [[-1, 1], [1, 0]] and before[1, 0] > 0.3 and after.tolist() == [[-1, 0], [0, 0]]
    assert figure.axes[0].get_title(loc="left") == "before: 75 % not zero"
    assert "Red: negative; blue: positive; white: zero." in figure.texts[1].get_text().replace("\n", " ")
    red, white, blue = figure.axes[0].images[0].cmap([0.1, 0.5, 0.9])
    assert red[0] > red[2] and blue[2] > blue[0] and min(white[:3]) > 0.95  # as the caption says


def test_an_animation_says_why_its_curve_lies_below_the_histogram(arrays: Path) -> None:
    with np.load(arrays / "k0.npz") as file:
        kept = dict(file)
    middles = np.linspace(-0.95, 0.95, 20)
    at, beside = int(np.abs(middles - 0.05).argmin()), int(np.abs(middles - 0.55).argmin())
    counts = np.zeros((3, 20), int)
    counts[:, at], counts[:, beside] = 700, 300
    kept |= {"mixture/edges": np.linspace(-1, 1, 21), "mixture/counts": counts, "mixture/means": np.array([[0, 0.55]] * 3)}
    kept["mixture/log_precisions"] = np.full((3, 2), 2 * np.log(50))  # standard deviations of 0.02: a bin holds what is near it
    kept["mixture/log_shares"] = np.log([[0.99, 0.01]] * 3)
    times = 300 / (1000 * 0.1 * 0.01 * 50 / np.sqrt(2 * np.pi))
    assert why_apart(kept) == f"The share of component 0 is fixed at 0.99: away from zero the curve ends {times:.0f} times below the histogram."
    fewer = counts.copy()
    fewer[:, beside] = 20
    assert why_apart(kept | {"mixture/counts": fewer}) == "The share of component 0 is fixed at 0.99."
    assert why_apart(kept | {"mixture/log_shares": np.log([[0.9, 0.1], [0.95, 0.05], [0.99, 0.01]])}) == ""


def test_without_arrays_there_is_nothing_to_draw(tmp_path: Path) -> None:
    for figure in (JOINT, COURSE, MATRICES):
        assert draw(figure, RECORDS, pd.DataFrame(), tmp_path) is None
        assert draw(figure, RECORDS, pd.DataFrame()) is None
    assert animation(COURSE, RECORDS, tmp_path) is None
