"""What can be had at which size: the points of many methods, and the frontier that they leave."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from nncompress.report.declare import Frontier
from nncompress.report.words import spoken

INK, EDGE = "#444444", "#C4C4C4"
SUBS = (1.0, 2.0, 5.0)
"""Ticks of a decade."""
CORNERS = ((-1, -1), (1, 1), (1, -1), (-1, 1))
"""Right (1) or left, above (1) or below a star: where its name may stand."""
FEW = 5
"""Ticks of an axis below which it is ticked more densely."""


def frontier(sizes: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Which points are on the frontier: those of which no other is as small and errs less, or smaller and errs as little. (N,) bool."""
    x, y = sizes[:, None], errors[:, None]
    beaten = (sizes <= x) & (errors <= y) & ((sizes < x) | (errors < y))
    return np.logical_not(beaten.any(axis=1))


def points(declared: Frontier, rows: pd.DataFrame) -> pd.DataFrame:
    """One row per point: `series`; the mean over seeds of `x`, of `y` in percent and of what is `chosen_by`; `x_std`, `y_std`, `count` of
    seeds."""
    by_seed = rows.groupby([declared.series, *declared.point, "seed"])[[declared.x, declared.metric, declared.chosen_by]].mean().reset_index()
    groups = by_seed.dropna(subset=[declared.x, declared.metric]).groupby([declared.series, *declared.point])
    means, deviations = groups.mean(numeric_only=True), groups.std(numeric_only=True).fillna(0.0)
    found = {
        "x": means[declared.x],
        "y": 100 * means[declared.metric],
        "chosen_by": means[declared.chosen_by],
        "x_std": deviations[declared.x],
        "y_std": 100 * deviations[declared.metric],
        "count": groups.size(),
    }
    return pd.DataFrame(found).reset_index().rename(columns={declared.series: "series"})


def published(declared: Frontier, paper: pd.DataFrame | None) -> list[tuple[str, str, float, float]]:
    """Of each published arm that has both: the series, what it is called, x, and y in percent."""
    if paper is None or paper.empty:
        return []
    found = []
    for arm, series in declared.published.items():
        own = {str(row["metric"]): row for row in paper[paper["arm"] == arm].to_dict("records")}
        if {declared.x, declared.metric} <= own.keys():
            x, y = own[declared.x], own[declared.metric]
            found.append((series, str(y["note"]).partition(" (")[0], float(x["value"]), 100 * float(y["value"])))
    return found


def draw_frontier(
    figure: Figure,
    declared: Frontier,
    found: pd.DataFrame,
    styles: Mapping[str, Mapping[str, Any]],
    stars: list[tuple[str, str, float, float]],
) -> None:
    """The points of each series, joined in the order of their size; the frontier; published points. `styles`: series -> colour and marker."""
    axes = figure.subplots()
    for name, style in styles.items():
        own = found[found["series"] == name].sort_values("x")
        axes.plot(own["x"], own["y"], color=style["color"], linewidth=0.8, alpha=0.45, zorder=1.5)
        axes.errorbar(
            own["x"], own["y"], xerr=own["x_std"], yerr=own["y_std"], fmt=style["marker"], color=style["color"], label=spoken(name),
            markersize=5, markeredgewidth=0, elinewidth=0.8, zorder=2.5,
        )  # fmt: skip
    reachable = found.dropna(subset=["chosen_by"])
    edge = reachable[frontier(reachable["x"].to_numpy(), reachable["chosen_by"].to_numpy())].sort_values("x")
    if len(edge):
        ends = np.append(edge["x"], max(found["x"].max(), edge["x"].max()))
        axes.step(ends, np.append(edge["y"], edge["y"].iloc[-1]), where="post", color=EDGE, linewidth=4, label="frontier", zorder=1.2)
    for place, (series, _, x, y) in enumerate(stars):
        colour = styles[series]["color"] if series in styles else INK
        label = "as published" if place == 0 else "_published"
        axes.plot(x, y, marker="*", markersize=13, markerfacecolor="none", markeredgecolor=colour, linestyle="none", label=label, zorder=3)
    axes.set(xscale="log", yscale="log", xlabel=declared.x_label, ylabel=declared.label)
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        decades = np.log10(high / low)
        axis.set_major_locator(LogLocator(subs=SUBS if decades * len(SUBS) >= FEW else tuple(np.arange(1.0, 10.0))))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    _legend(figure, axes, stars)
    _name_stars(figure, axes, styles, stars)


def _name_stars(figure: Figure, axes: Axes, styles: Mapping[str, Mapping[str, Any]], stars: list[tuple[str, str, float, float]]) -> None:
    """What is published, beside its star: in the corner where the name covers least of what is drawn."""
    figure.draw_without_rendering()  # lays it out
    drawn = np.concatenate([_sampled(axes.transData.transform(line.get_xydata())) for line in axes.lines] or [np.empty((0, 2))])
    for series, note, x, y in stars:
        look: dict[str, Any] = {"fontsize": 8, "color": styles[series]["color"] if series in styles else INK, "zorder": 2.2}
        look["path_effects"] = [withStroke(linewidth=3, foreground="white")]
        names = []
        for right, up in CORNERS:
            aligned: dict[str, Any] = {"ha": "left" if right > 0 else "right", "va": "bottom" if up > 0 else "top"}
            names.append(axes.annotate(note, (x, y), (5 * right, 6 * up), textcoords="offset points", **aligned, **look))
        best = min(names, key=lambda name: _covered(name.get_window_extent(), axes.bbox, drawn))
        for name in names:
            if name is not best:
                name.remove()
        drawn = np.concatenate([drawn, _filled(best.get_window_extent())])  # later names keep off it


def _filled(box: Bbox) -> np.ndarray:
    """Points within `box` (N, 2), about two pixels apart: as many as one line of the same length has, several times over."""
    across, up = np.arange(box.x0, box.x1, 2.0), np.arange(box.y0, box.y1, 2.0)
    return np.stack(np.meshgrid(across, up), -1).reshape(-1, 2)


def _covered(box: Bbox, within: Bbox, drawn: np.ndarray) -> tuple[bool, int]:
    """Whether `box` sticks out, and how many points of `drawn` (N, 2) it covers: less is better."""
    inside = Bbox.intersection(box, within)
    return inside is None or inside.bounds != box.bounds, box.count_contains(drawn)


def _sampled(path: np.ndarray) -> np.ndarray:
    """Points along the straight pieces of `path` (N, 2), about two pixels apart."""
    pieces = [path[-1:]]
    for start, end in pairwise(path):
        share = np.linspace(0.0, 1.0, 1 + int(np.hypot(*(end - start)) / 2), endpoint=False)[:, None]
        pieces.append(start + share * (end - start))
    return np.concatenate(pieces)


def _legend(figure: Figure, axes: Axes, stars: list[tuple[str, str, float, float]]) -> None:
    """Below the axes; the mark of published points in grey, since they have the colours of their methods."""
    handles, labels = axes.get_legend_handles_labels()
    for columns in (4, 3, 2, 1):
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    if stars:
        legend.legend_handles[labels.index("as published")].set_markeredgecolor(INK)  # type: ignore[union-attr]
