"""Figures: lines with bands over seeds, in colours that colour-blind readers tell apart, the same bytes on every run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from io import BytesIO
from math import inf
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from PIL import Image

from nncompress.report.declare import Dots, Frontier, HeatMap, Joint, Lines, Matrices, MixtureCourse, Panel, Picture, TreePanel, Trees
from nncompress.report.declare import Figure as Declared
from nncompress.report.files import write
from nncompress.report.frontier import draw_frontier, marked, points, published
from nncompress.report.mixtures import draw_course, draw_frame, draw_joint, draw_matrices, frames, why_apart
from nncompress.report.records import chosen, comparable, nearest, scale_of
from nncompress.report.words import natural, percent, span, spoken

__all__ = [
    "Dots", "Frontier", "HeatMap", "Joint", "Lines", "Matrices", "MixtureCourse", "Panel", "Picture", "TreePanel", "Trees", "animation", "draw",
    "in_palette", "save",
]  # fmt: skip

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C")
MANY = (*OKABE_ITO[:7], "#332288", "#AA4499", "#661100", "#8F00FF", "#8B4A1B", "#004D40")
"""For figures of more series: as far apart as thirteen colours get, to those who see no red or no green too; none is grey."""
PALE = ("#CFE3F1", "#F7D9C4", "#CDEBDF", "#F2DEEA", "#FAE8C4", "#DDF0FA")
MARKERS = "osD^vPXh"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "svg.hashsalt": "nncompress",
}
FEWEST_POINTS = 10
"""A shorter x axis must leave a line this many points: the curve of a run of a few evaluations is shown whole."""
MOST_MARKERS = 40
"""A line of more points is marked at places as far apart as tell it from others, lest its markers make a rope of it."""
LETTERS = 17
"""Of a caption, an inch."""
MARKERS_APART = 0.08
"""Of the diagonal of the axes."""
MOST_TICKS = 10
"""A logarithmic axis has no more of them at its values, and none at values of more than three figures."""
SHADES = "Red: negative; blue: positive; white: zero. Whatever is not zero is drawn at least a third as dark as the darkest, to be seen."
BELOW = "▼: below the frame"
TICKS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)


def draw(
    figure: Declared, records: pd.DataFrame, curves: pd.DataFrame, arrays: Path | None = None, paper: pd.DataFrame | None = None
) -> Figure | None:
    """Draw a declared figure from tidied records (or curves, or the folder of arrays that rows kept) and, of a frontier, the published values;
    None if there is nothing to draw."""
    records = comparable(records)
    if isinstance(figure, Frontier):
        return _draw_frontier(figure, records, paper)
    if isinstance(figure, Picture):
        return _draw_picture(figure, records, arrays)
    if isinstance(figure, Trees):
        return _draw_trees(figure, records, arrays)
    if isinstance(figure, Joint | MixtureCourse | Matrices):
        return _draw_kept(figure, records, arrays)
    if isinstance(figure, Dots):
        return _draw_dots(figure, records)
    return _draw_heat_map(figure, records) if isinstance(figure, HeatMap) else _draw_lines(figure, records, curves)


def animation(course: MixtureCourse, records: pd.DataFrame, arrays: Path | None = None) -> bytes | None:
    """The course of a mixture as an animated GIF; None if there is nothing to draw."""
    records = comparable(records)
    if (found := _kept(course, records, arrays)) is None:
        return None
    kept, caption = found
    images = []
    with _style():
        for place in frames(kept):
            figure, canvas = _titled(5.2, 3.8, course.title, f"{caption} Epoch {kept['mixture/epoch'][place]:.0f}.\n{why_apart(kept)}")
            draw_frame(figure, kept, place)
            canvas.draw()
            images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("P", palette=Image.Palette.ADAPTIVE, colors=32))
    content = BytesIO()
    durations = [150] * (len(images) - 1) + [2000]  # milliseconds
    images[0].save(content, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return content.getvalue()


def _kept(declared: Joint | MixtureCourse | Matrices, records: pd.DataFrame, arrays: Path | None) -> tuple[dict[str, np.ndarray], str] | None:
    """The arrays that the first seed's row keeps, and what they are of."""
    rows = chosen(records, declared.where).sort_values("seed")
    paths = [arrays / f"{key}.npz" for key in rows["key"]] if arrays is not None else []
    if not paths or not paths[0].exists():
        return None
    with np.load(paths[0], allow_pickle=False) as file:
        return dict(file), f"{_what(records)} Seed {rows['seed'].iloc[0]:.0f}."


def _titled(width: float, height: float, title: str, caption: str) -> tuple[Figure, FigureCanvasAgg]:
    """An empty figure of so many inches under its title and caption, whose long lines are broken."""
    figure = Figure(figsize=(width, height), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    _head(figure, title, caption)
    return figure, canvas


def _head(figure: Figure, title: str, caption: str) -> None:
    """Title and caption, whose long lines are broken, above the space that the axes share. The figure has its constrained layout before: colour
    bars ask for it when they are made."""
    width, height = figure.get_size_inches()
    caption = "\n".join(fill(line, int(LETTERS * (width - 0.2))) for line in caption.splitlines())
    figure.set_layout_engine("constrained", rect=(0.0, 0.0, 1.0, 1 - (0.55 + 0.14 * caption.count("\n")) / height))
    figure.text(0.1 / width, 1 - 0.1 / height, title, va="top", fontsize=11, fontweight="bold")
    figure.text(0.1 / width, 1 - 0.34 / height, caption, va="top", fontsize=8, color="#555555")


def _draw_kept(declared: Joint | MixtureCourse | Matrices, records: pd.DataFrame, arrays: Path | None) -> Figure | None:
    if (found := _kept(declared, records, arrays)) is None:
        return None
    kept, caption = found
    with _style():
        if isinstance(declared, Joint):
            figure, _ = _titled(6.4, 7.4, declared.title, caption)
            draw_joint(figure, declared, kept)
        elif isinstance(declared, MixtureCourse):
            figure, _ = _titled(9.6, 4.2, declared.title, f"{caption} Bands: ± two standard deviations.")
            draw_course(figure, kept)
        else:
            figure, _ = _titled(9.6, 4.8, declared.title, f"{caption}\n{SHADES}")
            draw_matrices(figure, declared, kept)
    return figure


def _draw_picture(picture: Picture, records: pd.DataFrame, arrays: Path | None) -> Figure | None:
    rows = chosen(records, picture.where).sort_values("seed")
    kept = [arrays / f"{key}.npz" for key in rows["key"]] if arrays is not None else []
    if not kept or not kept[0].exists():
        return None
    with np.load(kept[0], allow_pickle=False) as file:
        shown = file[picture.array] != 0
    with _style():
        width, height = 8.4, 1.3 + 6.8 * min(1.0, shown.shape[0] / shown.shape[1])
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.grid(visible=False)
        axes.imshow(shown, cmap="gray_r", aspect="auto", interpolation="nearest", vmin=0, vmax=1)
        axes.set_xlabel(picture.x_label)
        axes.set_ylabel(picture.y_label)
        caption = f"{_what(records)} Seed {rows['seed'].iloc[0]:.0f}; black: {percent(float(shown.mean()))} of the weights."
        _head(figure, picture.title, caption)
    return figure


def _draw_trees(trees: Trees, records: pd.DataFrame, arrays: Path | None) -> Figure | None:
    if arrays is None:
        return None
    every = [chosen(records, panel.where).to_dict("records") for panel in trees.panels]
    kept = [{int(row["seed"]): row for row in rows if (arrays / f"{row['key']}.npz").exists()} for rows in every]
    seeds = set.intersection(*map(set, kept))
    if not seeds:
        return None
    rows = [mine[min(seeds)] for mine in kept]
    found = []
    for row in rows:
        with np.load(arrays / f"{row['key']}.npz", allow_pickle=False) as file:
            found.append(dict(file))
    heights = [0.9 + 0.72 * _levels(panel.prefix, held) for panel, held in zip(trees.panels, found, strict=True)]
    with _style():
        width, height = 9.6, 0.7 + sum(heights)
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        all_axes = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, panel, row, held in zip(all_axes, trees.panels, rows, found, strict=True):
            _draw_tree(axes, panel, held)
            size = f"{(held[f'{panel.prefix}/feature'] < 0).sum()} leaves"
            size += f" (of {row[panel.uncut]:.0f} before the cut)" if panel.uncut else ""
            error = f"{percent(1 - row[panel.accuracy])} test error on this split"
            axes.set_title(f"{panel.label}: {size}, {error}; %: share of the {panel.cases}", loc="left")
        data = ", ".join(sorted({spoken(row["dataset"]) for row in rows}))
        caption = f"{data[:1].upper()}{data[1:]}. Scale: {scale_of(records)}. Split {min(seeds)}; left where the condition holds."
        _head(figure, trees.title, caption)
    return figure


def _levels(prefix: str, held: dict[str, np.ndarray]) -> int:
    """Splits on the longest way from the root to a leaf."""
    depth = np.zeros(len(held[f"{prefix}/feature"]), int)
    for node in np.flatnonzero(held[f"{prefix}/feature"] >= 0):
        depth[[held[f"{prefix}/left"][node], held[f"{prefix}/right"][node]]] = depth[node] + 1
    return int(depth.max())


def _draw_tree(axes: Axes, panel: TreePanel, held: dict[str, np.ndarray]) -> None:
    """Leaves side by side in their order, each node above the middle of its children."""
    feature, threshold, left, right, answer, share = (
        held[f"{panel.prefix}/{name}"] for name in ("feature", "threshold", "left", "right", "answer", "share")
    )
    words = json.loads(held["words"].tobytes())
    place, depth, pending, leaves = np.zeros(len(feature)), np.zeros(len(feature), int), [0], 0
    while pending:
        node = pending.pop()
        if feature[node] < 0:
            place[node], leaves = leaves, leaves + 1
            continue
        depth[[left[node], right[node]]] = depth[node] + 1
        pending += [int(right[node]), int(left[node])]
    for parent in np.flatnonzero(feature >= 0)[::-1]:  # children come after their parents
        place[parent] = (place[left[parent]] + place[right[parent]]) / 2
        for child in (left[parent], right[parent]):
            axes.plot([place[parent], place[child]], [-depth[parent], -depth[child]], color="#8C8C8C", linewidth=1.0, zorder=1)
    for node in range(len(feature)):
        if feature[node] >= 0:
            name = words["features"][feature[node]]
            condition = f"not {name}" if " = " in name else f"{name} ≤\N{NO-BREAK SPACE}{threshold[node]:.4g}"
            text, colour = fill(condition, 22), "#FFFFFF"
        else:
            text = f"{words['classes'][answer[node]]}\n{percent(float(share[node]))}"
            colour = PALE[answer[node] % len(PALE)]
        box = {"boxstyle": "round,pad=0.3", "facecolor": colour, "edgecolor": "#444444", "linewidth": 0.8}
        axes.text(place[node], -depth[node], text, ha="center", va="center", fontsize=7, bbox=box, zorder=2)
    axes.set_xlim(-0.6, max(leaves - 0.4, 0.6))
    axes.set_ylim(-depth.max() - 0.5, 0.5)
    axes.axis("off")


def _draw_dots(dots: Dots, records: pd.DataFrame) -> Figure | None:
    rows = chosen(records, dots.where)
    if dots.derive is not None and len(rows):
        rows = dots.derive(rows)
    if rows.empty or not {dots.x, dots.metric, "seed"} <= set(rows):
        return None
    by_seed = rows.groupby([dots.x, "seed"])[dots.metric].mean().dropna() * _factor(dots)
    if by_seed.empty:
        return None
    there = set(by_seed.index.get_level_values(0))
    names = [name for name in dots.order if name in there] + sorted(there - set(dots.order), key=natural)
    with _style():
        width, height = 6.4, 1.5 + 0.38 * len(names)
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for place, name in enumerate(names):
            values = by_seed[name]
            deviation = values.std() if len(values) > 1 else 0.0
            axes.plot(values, [place - 0.14] * len(values), "o", color=OKABE_ITO[0], alpha=0.45, markeredgewidth=0)
            axes.errorbar(values.mean(), place + 0.14, xerr=deviation, fmt="o", color=OKABE_ITO[0], capsize=3)
            if name in dots.published:
                published = dots.published[name] * _factor(dots)
                axes.vlines(published, place - 0.36, place + 0.36, color=OKABE_ITO[1], linewidth=1.8)
        axes.set_yticks(range(len(names)), [spoken(name) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)  # the first on top
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(dots.label)
        counts = by_seed.groupby(level=0).count().to_list()
        marks = "; lines: the paper" if there & dots.published.keys() else ""
        caption = f"{_what(records)} Dots: seeds; bars: ± one standard deviation, {_seeds(counts)}{marks}."
        _head(figure, dots.title, caption)
    return figure


def _draw_frontier(declared: Frontier, records: pd.DataFrame, paper: pd.DataFrame | None) -> Figure | None:
    rows = chosen(records, declared.where)
    if declared.derive is not None and len(rows):
        rows = declared.derive(rows)
    if rows.empty or not {declared.series, *declared.point, declared.x, declared.metric, declared.chosen_by, "seed"} <= set(rows):
        return None
    found = points(declared, rows)
    if found.empty:
        return None
    there = set(found["series"])
    names = [name for name in declared.order if name in there] + sorted(there - set(declared.order), key=natural)
    places = {name: declared.order.index(name) if name in declared.order else len(declared.order) + i for i, name in enumerate(names)}
    styles = {name: _point(place) for name, place in places.items()}
    with _style():
        caption = f"{_what(records)} Points: mean of {_seeds(found['count'].to_list())}; bars: ± one standard deviation; line: the frontier, "
        figure, _ = _titled(9.6, 6.4, declared.title, f"{caption}chosen on validation images.")
        draw_frontier(figure, declared, found, styles, published(declared, paper), marked(declared, rows))
    return figure


def _point(place: int) -> dict[str, Any]:
    """How the points of the series at this place look: no two alike, so long as there are colours."""
    colour, again = MANY[place % len(MANY)], place // len(MARKERS) % 2
    face = {"markerfacecolor": "white", "markeredgewidth": 1.2} if again else {"markeredgewidth": 0}
    return {"color": colour, "marker": MARKERS[place % len(MARKERS)], **face}


def _draw_heat_map(heat: HeatMap, records: pd.DataFrame) -> Figure | None:
    rows = chosen(records, heat.where)
    if heat.derive is not None and len(rows):
        rows = heat.derive(rows)
    if rows.empty or not {heat.x, heat.y, heat.metric, "seed"} <= set(rows):
        return None
    rows = rows[rows[heat.metric].notna() & rows[heat.x].notna() & rows[heat.y].notna()]
    if rows.empty:
        return None
    by_seed = rows.groupby([heat.y, heat.x, "seed"])[heat.metric].mean() * _factor(heat)
    cells = by_seed.groupby([heat.y, heat.x]).mean().unstack()
    with _style():
        width, height = max(6.4, 1.9 + 0.62 * cells.shape[1]), 1.7 + 0.42 * cells.shape[0]
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.grid(visible=False)
        image = axes.imshow(cells.to_numpy(), cmap="viridis", aspect="auto", origin="lower")
        figure.colorbar(image, ax=axes, label=heat.label)
        middle = (np.nanmin(cells) + np.nanmax(cells)) / 2
        for j, (_, row) in enumerate(cells.iterrows()):
            best = row.argmin() if heat.best == "smallest" else row.argmax()
            for i, value in enumerate(row):
                if np.isfinite(value):
                    axes.text(i, j, f"{value:.4g}", ha="center", va="center", fontsize=8, color="black" if value > middle else "white")
            axes.add_patch(Rectangle((best - 0.47, j - 0.46), 0.94, 0.92, fill=False, edgecolor="#D55E00", linewidth=1.8))
        axes.set_xticks(range(cells.shape[1]), [f"{value:g}" for value in cells.columns])
        axes.set_yticks(range(cells.shape[0]), [f"{value:g}" for value in cells.index])
        axes.set_xlabel(heat.x_label)
        axes.set_ylabel(heat.y_label)
        counts = by_seed.groupby([heat.y, heat.x]).count().to_list()
        caption = f"{_what(records)} Mean of {_seeds(counts)}; framed: the {heat.best} of each row."
        _head(figure, heat.title, caption)
    return figure


def _draw_lines(lines: Lines, records: pd.DataFrame, curves: pd.DataFrame) -> Figure | None:
    rows = chosen(records if lines.source == "records" else curves, lines.where)
    if lines.derive is not None and len(rows):
        rows = lines.derive(rows)
    if lines.beside is not None and len(rows):
        rows = lines.beside(rows, records)
    x = "level" if lines.x == "density" else lines.x
    if rows.empty or not {x, lines.series, "seed"} <= set(rows):
        return None
    rows = rows[rows[x].notna() & rows[lines.series].notna() & rows["seed"].notna()]
    if not set(lines.needs) <= set(rows[lines.series]):
        return None
    panels = [panel for panel in lines.panels if panel.metric in rows and chosen(rows, panel.where)[panel.metric].notna().any()]
    if not panels:
        return None
    if lines.at:
        rows = rows[rows[lines.series].isin(nearest(sorted(rows[lines.series].unique(), reverse=True), lines.at))]
    with _style():
        width, height = max(4.2 * len(panels), 6.4), 4.2
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        styles = _styles(lines, rows)
        seeds: list[float] = []
        points: list[pd.DataFrame] = []
        fixed: list[float] = []
        alike = lines.one_range and len({(panel.metric, panel.zoom, panel.logarithmic) for panel in panels}) == 1
        for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels), sharey=alike)), panels, strict=True):
            points.append(_draw_panel(axes, lines, panel, chosen(rows, panel.where), records, x, styles))
            fixed = fixed * alike + _draw_horizontals(axes, lines, panel, records)
            seeds += points[-1]["count"].to_list()
            _limit(axes, panel, pd.concat(points if alike else points[-1:]), fixed)
        # Panels may share their range, which is known only now. Learning curves come from below the frame, as anybody sees.
        for axes, seen in zip(figure.axes if lines.source == "records" else [], points, strict=False):
            _mark_below(axes, seen)
        handles: dict[str, Any] = {}
        for axes in figure.axes:
            handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        if len(handles) > 1:
            columns = int(width / (0.6 + 0.075 * max(map(len, handles))))  # inches: the line, and a letter
            figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=max(1, min(len(handles), columns)))
        _head(figure, lines.title, _caption(lines, records, seeds))
    return figure


def save(figure: Figure, stem: Path, vector: bool = True) -> list[Path]:
    """Write `<stem>.png` and, where `vector`, `<stem>.svg`, without dates, each whole or not at all."""
    paths = []
    kinds: dict[str, dict[str, None]] = {"png": {"Software": None}}
    if vector:
        kinds["svg"] = {"Date": None, "Creator": None}
    with _style():
        for kind, metadata in kinds.items():
            content = BytesIO()
            figure.savefig(content, format=kind, metadata=metadata)
            figure.set_layout_engine("none")  # the places found for the first file stand
            written = in_palette(content.getvalue()) if kind == "png" else content.getvalue()
            paths.append(write(stem.with_name(f"{stem.name}.{kind}"), written))
    return paths


def in_palette(png: bytes) -> bytes:
    """The same picture as a PNG of 256 colours, about a quarter of the bytes: results are committed with the code."""
    content = BytesIO()
    with Image.open(BytesIO(png)) as picture:
        colours = picture.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours.save(content, "PNG", optimize=True)
    return content.getvalue()


def _style() -> AbstractContextManager[None]:
    """Our style upon matplotlib's defaults, whatever the user's own settings are; the backend stays."""
    return matplotlib.rc_context({**{name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}, **STYLE})


def series_label(series: str, name: object) -> str:
    """What a line is called: 'winning ticket'; of a series of numbers with what they count, 'entries: 6'."""
    return f"{spoken(series)}: {name:g}" if isinstance(name, int | float) else spoken(name)


def _tick(value: float, _: int | None) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _draw_panel(
    axes: Axes, lines: Lines, panel: Panel, rows: pd.DataFrame, records: pd.DataFrame, x: str, styles: dict[Any, dict[str, Any]]
) -> pd.DataFrame:
    """Draw the panel's lines, of `rows`; what its title sums up is of all records. Returns `mean`, `high` (the upper edge of the band),
    `count`, `colour` of all their points by x, in the panel's unit."""
    factor = _factor(panel)
    drawn = [pd.DataFrame(columns=["mean", "high", "count", "colour"]).astype({"mean": float, "high": float, "count": float})]
    for name, style in styles.items():
        mine = rows[(rows[lines.series] == name) & rows[panel.metric].notna()]
        over = (mine.groupby([x, "seed"])[panel.metric].mean() * factor).groupby(x).agg(["mean", "std", "min", "max", "count"])
        shown = over[over.index <= lines.x_max * rows[x].max()]
        over = shown if len(shown) >= FEWEST_POINTS else over
        if over.empty:
            continue
        label = f"{percent(name)} of weights" if lines.series == "level" else lines.names.get(name) or series_label(lines.series, name)
        hides = any(len(line) == len(over) and (line["mean"] - over["mean"]).abs().max() < 0.01 * np.ptp(over["mean"]) for line in drawn)
        apart = MARKERS_APART if len(over) > MOST_MARKERS else None
        horizontal = name in lines.horizontals
        look = style | ({"marker": ""} if horizontal else {})
        dashed = "--" if hides or horizontal else "-"  # what lies under dashes shows
        axes.plot(over.index, over["mean"], label=label, linestyle=dashed, markevery=apart, **look)
        half = over["std"] / np.sqrt(over["count"]) if lines.band == "standard_error" else over["std"]
        low, high = (over["min"], over["max"]) if lines.band == "range" else (over["mean"] - half, over["mean"] + half)
        axes.fill_between(over.index, low, high, color=style["color"], alpha=0.18, linewidth=0)
        edges = {"low": low.fillna(over["mean"]), "high": high.fillna(over["mean"])}
        drawn.append(over[["mean", "count"]].assign(**edges, colour=[style["color"]] * len(over)))
    if x == "level":
        _density_axis(axes, rows["level"])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=bool((rows[x] % 1 == 0).all())))  # half a generation is none
        if lines.logarithmic:
            axes.set_xscale("log")
            values = sorted(rows[x].unique())
            short = len(values) <= MOST_TICKS and all(float(f"{value:.3g}") == value for value in values)
            axes.xaxis.set_major_locator(FixedLocator(values) if short else LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(_tick))
    if panel.logarithmic:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 20 * low else (1, 1.5, 2, 3, 4, 5, 7)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(_tick))
    axes.set_xlabel(lines.x_label)
    summary = f"\n{panel.summary[0]}: {panel.summary[1](records).mean():.3f}" if panel.summary is not None else ""
    axes.set_title(panel.label + summary, loc="left")
    if panel.unit == "steps":
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return pd.concat([frame for frame in drawn if len(frame)] or drawn)


def _draw_horizontals(axes: Axes, lines: Lines, panel: Panel, records: pd.DataFrame) -> list[float]:
    """Draw the baseline and the panel's reference. Returns: their heights, in the panel's unit."""
    base = chosen(records, lines.baseline)[panel.metric].mean() if lines.baseline and panel.metric in records else np.nan
    found = [(base, ":", lines.baseline_label)] if np.isfinite(base) else []
    found += [(panel.reference[0], "--", panel.reference[1])] if panel.reference is not None else []
    for height, style, label in found:
        axes.axhline(height * _factor(panel), color="#444444", linestyle=style, linewidth=1.0, label=label, zorder=1)
    return [height * _factor(panel) for height, _, _ in found]


def _factor(panel: Panel | HeatMap | Dots) -> int:
    return 100 if panel.unit in ("%", "pp") else 1


def _limit(axes: Axes, panel: Panel, points: pd.DataFrame, fixed: list[float]) -> None:
    """The y range: from zero for steps and differences; where the panel zooms, down to the lowest point that is no outlier, if that at
    least halves the range, else to the lower edge of the bands, and up to their upper edge.

    An outlier lies more than one and a half interquartile ranges below the lower quartile. `fixed`: heights that are always in the range.
    """
    heights = points["mean"].to_list()
    if not heights:
        return
    if panel.unit in ("steps", "pp") and not panel.logarithmic:
        axes.set_ylim(bottom=0 if min(heights) >= 0 else None)
    if panel.zoom:
        lower, upper = np.quantile(heights, [0.25, 0.75])
        fence = lower - 1.5 * (upper - lower) if upper > lower else -inf
        lowest, floor, top = min(heights + fixed), min([height for height in heights if height >= fence] + fixed), max(heights + fixed)
        floor = floor if top - lowest > 2 * (top - floor) else lowest
        height = max(top - floor, 0.01 * abs(top), 1e-6)  # of points that agree, the ticks should not show how a float is rounded
        bottom = points["low"].min() if floor == lowest else floor  # a band is cut off only beside points that are
        edge = points["high"][points["mean"] >= floor].max()
        axes.set_ylim(min(floor - 0.15 * height, bottom - 0.03 * height), max(top + 0.12 * height, edge + 0.03 * height))


def _mark_below(axes: Axes, points: pd.DataFrame) -> None:
    """A triangle at the lower edge at each x where a line's mean lies below the frame, line upon line, and what it means under the axis."""
    below = points[points["mean"] < axes.get_ylim()[0]]
    for place, (colour, mine) in enumerate(below.groupby("colour", sort=False)):
        height = np.full(len(mine), 0.015 + 0.025 * place)
        style: dict[str, Any] = {"color": colour, "marker": "v", "linestyle": "none", "markersize": 3.5, "markeredgewidth": 0}
        axes.plot(mine.index, height, transform=axes.get_xaxis_transform(), label="_below", clip_on=False, zorder=4, **style)
    if len(below):
        axes.set_xlabel(f"{axes.get_xlabel()} ({BELOW})")


def _density_axis(axes: Axes, levels: pd.Series) -> None:
    """Percent on a logarithmic axis, dense on the left, as in Frankle & Carbin 2019."""
    axes.set_xscale("log")
    smallest = float(levels[levels > 0].min())
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if tick >= 0.7 * smallest]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(1.12, 0.9 * smallest)


def _styles(lines: Lines, rows: pd.DataFrame) -> dict[Any, dict[str, Any]]:
    """Series -> how its line looks: numbers along a sequential palette, names by their place in the order, others take what is free."""
    names = list(rows[lines.series].unique())
    if all(isinstance(name, float | int | np.number) for name in names):
        names.sort(reverse=True)
        shades = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, len(names)))
        return {name: {"color": tuple(shade)} for name, shade in zip(names, shades, strict=True)}
    known = [name for name in lines.order if name in names]
    place = {name: lines.order.index(name) for name in known}
    free = [i for i in range(len(OKABE_ITO)) if i not in place.values()]
    for i, name in enumerate(sorted((n for n in names if n not in known), key=natural)):
        place[name] = free[i % len(free)] if free else i
    return {
        name: {"color": OKABE_ITO[i % len(OKABE_ITO)], "marker": MARKERS[i % len(MARKERS)], "markeredgewidth": 0} for name, i in place.items()
    }


def _caption(lines: Lines, records: pd.DataFrame, counts: list[float]) -> str:
    bands = {"std": "± one standard deviation", "standard_error": "± one standard error", "range": "minimum to maximum"}
    return f"{_what(records)} Mean of {_seeds(counts)}, band: {bands[lines.band]}."


def _what(records: pd.DataFrame) -> str:
    nets = " on ".join(", ".join(spoken(value) for value in sorted(set(records[column]) - {""})) for column in ("model", "dataset"))
    return f"{nets}. Scale: {scale_of(records)}."


def _seeds(counts: Sequence[float]) -> str:
    n = span([int(count) for count in counts]) if counts else "0"
    return f"{n} {'seed' if n == '1' else 'seeds'}"
