"""Figures of weights that were drawn to a mixture of Gaussians: before and after, the mixture's course, matrices. These are the axes; titles
and captions are in `figures`."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from nncompress.report.declare import Joint, Matrices

FRAMES = 40
"""Of an animation, at most."""
AWAY = 6
"""Standard deviations of component 0 from zero, beyond which it has no weights."""
FIXED = 1e-6
"""A logarithm of a share that moves by less does not move."""
INK, ACCENT = "#0072B2", "#D55E00"
Arrays = Mapping[str, np.ndarray]


def draw_joint(figure: Figure, joint: Joint, kept: Arrays) -> None:
    """Counts over pairs of values, and their sums along each axis on top and on the right."""
    counts, edges = kept[joint.array], kept[joint.edges]
    middles = (edges[:-1] + edges[1:]) / 2
    (top, corner), (main, side) = figure.subplots(2, 2, width_ratios=(5, 1), height_ratios=(1, 5), sharex="col", sharey="row")
    corner.set_axis_off()
    cells = np.ma.masked_equal(counts.T, 0)
    mesh = main.pcolormesh(edges, edges, cells, norm=LogNorm(1, max(2, counts.max())), cmap="viridis_r", rasterized=True)
    bar = figure.colorbar(mesh, ax=(top, corner, main, side), location="bottom", shrink=0.6, aspect=40, label="weights in a cell")
    bar.ax.grid(visible=False)
    main.set_xlabel(joint.x_label)
    main.set_ylabel(joint.y_label)
    top.fill_between(middles, counts.sum(1), step="mid", color=INK, linewidth=0)
    side.fill_betweenx(middles, counts.sum(0), step="mid", color=INK, linewidth=0)
    for axes, axis in ((top, "y"), (side, "x")):
        axes.set(**{f"{axis}scale": "log", f"{axis}lim": (0.7, None)})
    top.set_ylabel("weights")
    side.set_xlabel("weights")


def draw_course(figure: Figure, kept: Arrays) -> None:
    """Means with bands of two standard deviations, and standard deviations, over epochs; component 0 in its own colour."""
    epochs, means = kept["mixture/epoch"], kept["mixture/means"]
    stds = np.exp(-kept["mixture/log_precisions"] / 2)
    left, right = figure.subplots(1, 2)
    for j, colour in enumerate(_colours(means.shape[1])):
        left.plot(epochs, means[:, j], color=colour)
        left.fill_between(epochs, means[:, j] - 2 * stds[:, j], means[:, j] + 2 * stds[:, j], color=colour, alpha=0.15, linewidth=0)
        right.plot(epochs, stds[:, j], color=colour, label="component 0" if j == 0 else "_other")
    bound = 1.2 * np.abs(means).max()
    left.set_ylim(-bound, bound)
    left.set_title("means", loc="left")
    right.set_title("standard deviations", loc="left")
    right.set_yscale("log")
    right.legend()
    for axes in (left, right):
        axes.set_xlabel("epoch")


def frames(kept: Arrays) -> list[int]:
    """The notes of the course that an animation shows, the first and the last among them."""
    noted = len(kept["mixture/step"])
    return sorted({round(place) for place in np.linspace(0, noted - 1, min(noted, FRAMES))})


def draw_frame(figure: Figure, kept: Arrays, place: int) -> None:
    """One note of the course: the histogram of the weights, and over it the density of the mixture, both as counts on a logarithmic axis."""
    counts, edges, means = kept["mixture/counts"], kept["mixture/edges"], kept["mixture/means"][place]
    middles, expected = _expected(kept, place)
    axes = figure.subplots()
    axes.fill_between(middles, counts[place], step="mid", color="#BBBBBB", linewidth=0, label="weights")
    axes.plot(middles, expected, color=ACCENT, linewidth=1.0, label="mixture")
    axes.set(yscale="log", xlim=(edges[0], edges[-1]), ylim=(0.5, 2 * counts.max()), ylabel="count")
    axes.set_xlabel("weight (what lies beyond is counted in the outermost bars)")
    seen = means[1:][(means[1:] >= edges[0]) & (means[1:] <= edges[-1])]
    axes.plot(seen, np.full(len(seen), 0.6), "|", color=INK, label="means", clip_on=False)
    axes.legend(loc="upper right")


def why_apart(kept: Arrays) -> str:
    """Why the mixture does not lie on the histogram, where the share of component 0 is fixed: a sentence, else nothing."""
    log_share = kept["mixture/log_shares"][:, 0]
    middles, expected = _expected(kept, -1)
    away = np.abs(middles) > AWAY * np.exp(-kept["mixture/log_precisions"][-1, 0] / 2)
    if np.ptp(log_share) > FIXED or not expected[away].sum():
        return ""
    below = kept["mixture/counts"][-1][away].sum() / expected[away].sum()
    fixed = f"The share of component 0 is fixed at {np.exp(log_share[0]):.3g}"
    return f"{fixed}: away from zero the curve ends {below:.0f} times below the histogram." if below > 1.5 else f"{fixed}."


def _expected(kept: Arrays, place: int) -> tuple[np.ndarray, np.ndarray]:
    """The middles of the bins of the histogram, and how many weights the mixture puts into each."""
    edges, numbers = kept["mixture/edges"], kept["mixture/counts"][place].sum()
    middles, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    means, log_precisions, log_shares = (kept[f"mixture/{name}"][place] for name in ("means", "log_precisions", "log_shares"))
    apart = middles[:, None] - means
    parts = np.exp(log_shares + (log_precisions - np.log(2 * np.pi) - np.exp(log_precisions) * apart**2) / 2)
    return middles, numbers * width * parts.sum(1)


def draw_matrices(figure: Figure, matrices: Matrices, kept: Arrays) -> None:
    """Side by side, on one scale. Whatever is not zero is at least a third as dark as the darkest, so that single weights are seen."""
    shown = kept[matrices.array].astype(float)
    bound = np.abs(shown).max() or 1.0
    shown = np.sign(shown) * np.where(shown != 0, (1 + 2 * np.abs(shown) / bound) / 3, 0)
    for axes, name, matrix in zip(np.atleast_1d(figure.subplots(1, len(shown))), matrices.names, shown, strict=True):
        axes.grid(visible=False)
        axes.imshow(matrix, cmap="RdBu", aspect="auto", interpolation="nearest", vmin=-1, vmax=1)
        axes.set_title(f"{name}: {100 * np.mean(matrix != 0):.3g} % not zero", loc="left")
        axes.set_xlabel(matrices.x_label)
        axes.set_ylabel(matrices.y_label)


def _colours(count: int) -> list[tuple[float, ...] | str]:
    """Component 0's, then a sequence for the others."""
    return [ACCENT, *(tuple(shade) for shade in matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, count - 1)))]
