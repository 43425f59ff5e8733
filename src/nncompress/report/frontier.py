"""What can be had at which size: the points of many methods, and the frontier that they leave."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from nncompress.report.declare import Frontier
from nncompress.report.words import spoken

Star: TypeAlias = tuple[str, str, float, float]
"""A single point: the series whose colour it has, what it is called, x, y."""
INK, EDGE = "#444444", "#C4C4C4"
SUBS = (1.0, 2.0, 5.0)
"""Ticks of a decade."""
DISTANCES, DIRECTIONS = (9, 16, 24, 33, 43, 54, 66, 80, 95), 24
"""In points from a star, and how many ways: where its name may stand."""
RADIUS, MARGIN = 8, 3
"""Pixels that are kept free about a star and about a name."""
SIDES = {"left": 0.0, "bottom": 0.0, "center": 0.5, "right": 1.0, "top": 1.0}
"""Where on a name the side is by which it is aligned, as a share of its width or height."""
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
    rows = rows[rows[declared.mark] == ""] if declared.mark in rows else rows
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


def marked(declared: Frontier, rows: pd.DataFrame) -> list[Star]:
    """Of each mark the means of x and of y in percent."""
    if not declared.mark or declared.mark not in rows:
        return []
    means = rows[rows[declared.mark] != ""].groupby([declared.series, declared.mark])[[declared.x, declared.metric]].mean().dropna()
    return [(series, mark, float(x), 100 * float(y)) for (series, mark), x, y in means.itertuples()]


def published(declared: Frontier, paper: pd.DataFrame | None) -> list[Star]:
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
    stars: list[Star],
    own_stars: list[Star],
) -> None:
    """The points of each series, joined in the order of their size; the frontier; published points as hollow stars, `own_stars` as filled ones.
    `styles`: series -> how its points look."""
    axes = figure.subplots()
    for name, style in styles.items():
        own = found[found["series"] == name].sort_values("x")
        axes.plot(own["x"], own["y"], color=style["color"], linewidth=0.8, alpha=0.45, zorder=1.5)
        axes.errorbar(
            own["x"], own["y"], xerr=own["x_std"], yerr=own["y_std"], linestyle="none", label=spoken(name), markersize=5, elinewidth=0.8,
            zorder=2.5, **style,
        )  # fmt: skip
    reachable = found.dropna(subset=["chosen_by"])
    edge = reachable[frontier(reachable["x"].to_numpy(), reachable["chosen_by"].to_numpy())].sort_values("x")
    if len(edge):
        ends = np.append(edge["x"], max(found["x"].max(), edge["x"].max()))
        axes.step(ends, np.append(edge["y"], edge["y"].iloc[-1]), where="post", color=EDGE, linewidth=4, label="frontier", zorder=1.2)
    colours = [styles[series]["color"] if series in styles else INK for series, *_ in stars + own_stars]
    for place, ((_, _, x, y), colour) in enumerate(zip(stars + own_stars, colours, strict=True)):
        face = "none" if place < len(stars) else colour
        label = "as published" if stars and place == 0 else "_star"
        axes.plot(x, y, marker="*", markersize=13, markerfacecolor=face, markeredgecolor=colour, linestyle="none", label=label, zorder=3)
    axes.set(xscale="log", yscale="log", xlabel=declared.x_label, ylabel=declared.label)
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        decades = np.log10(high / low)
        axis.set_major_locator(LogLocator(subs=SUBS if decades * len(SUBS) >= FEW else tuple(np.arange(1.0, 10.0))))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    _legend(figure, axes, stars)
    _name_stars(figure, axes, stars + own_stars, colours)


def _name_stars(figure: Figure, axes: Axes, stars: list[Star], colours: list[Any]) -> None:
    """What a star is called, beside it: at the nearest place where the name covers nothing that is drawn, else where it covers least; from
    afar with a thin line to its star, which crosses no other name."""
    figure.draw_without_rendering()  # lays it out
    pixels = figure.dpi / 72
    marks = [axes.transData.transform((x, y)) for _, _, x, y in stars]
    drawn = [axes.transData.transform(line.get_xydata()) for line in axes.lines]
    drawn += [axes.transData.transform(bar) for bars in axes.collections if isinstance(bars, LineCollection) for bar in bars.get_segments()]
    taken = np.concatenate([np.empty((0, 2)), *map(_sampled, drawn), *(_filled(Bbox([mark - RADIUS, mark + RADIUS])) for mark in marks)])
    named: list[Bbox] = []
    for (_, note, x, y), colour, mark in zip(stars, colours, marks, strict=True):
        look: dict[str, Any] = {"fontsize": 8, "color": colour, "zorder": 3.5, "path_effects": [withStroke(linewidth=3, foreground="white")]}
        size = (measured := axes.annotate(note, (x, y), **look)).get_window_extent()
        measured.remove()
        places = [(distance, angle) for distance in DISTANCES for angle in np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)]
        boxes = [_beside(mark, distance * pixels, angle, size.width, size.height) for distance, angle in places]
        ways = [(distance * np.cos(angle), distance * np.sin(angle)) for distance, angle in places]
        leaders = [Path([mark, mark + np.multiply(way, pixels)]) for way in ways]
        crossing = [any(leader.intersects_bbox(name) for name in named) for leader in leaders]
        best = min(range(len(places)), key=lambda i: (crossing[i], *_covered(boxes[i], axes.bbox, taken)))  # of equals the nearest
        (distance, angle), box, away = places[best], boxes[best], ways[best]
        aligned: dict[str, Any] = dict(zip(("ha", "va"), _alignment(angle), strict=True))
        if distance > DISTANCES[0]:
            line = {"arrowstyle": "-", "color": colour, "linewidth": 0.8, "linestyle": ":", "shrinkA": 1, "shrinkB": 6}
            look["arrowprops"] = {**line, "relpos": (SIDES[aligned["ha"]], SIDES[aligned["va"]])}
            taken = np.concatenate([taken, _sampled(np.asarray(leaders[best].vertices))])
        axes.annotate(note, (x, y), away, textcoords="offset points", **aligned, **look)
        taken = np.concatenate([taken, _filled(box)])  # later names keep off it
        named.append(box)


def _alignment(angle: float) -> tuple[str, str]:
    """Which of its sides a name turns to what it names, which it stands from at this angle."""
    right, up = (round(1.2 * share) for share in (np.cos(angle), np.sin(angle)))
    return {-1: "right", 0: "center", 1: "left"}[right], {-1: "top", 0: "center", 1: "bottom"}[up]


def _beside(mark: np.ndarray, distance: float, angle: float, width: float, height: float) -> Bbox:
    """The box of so many pixels at that place beside `mark`, (2,), with its margin."""
    across, up = _alignment(angle)
    left = mark[0] + distance * np.cos(angle) - width * SIDES[across]
    low = mark[1] + distance * np.sin(angle) - height * SIDES[up]
    return Bbox.from_bounds(left - MARGIN, low - MARGIN, width + 2 * MARGIN, height + 2 * MARGIN)


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


def _legend(figure: Figure, axes: Axes, stars: list[Star]) -> None:
    """Below the axes; the mark of published points in grey, since they have the colours of their methods."""
    handles, labels = axes.get_legend_handles_labels()
    for columns in (4, 3, 2, 1):
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    if stars:
        legend.legend_handles[labels.index("as published")].set_markeredgecolor(INK)  # type: ignore[union-attr]
