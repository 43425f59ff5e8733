"""Tables: mean ± std over seeds, and paired tests, in Markdown to read, in CSV to compute with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import pandas as pd

from nncompress.report.claims import ROUNDING, p_value
from nncompress.report.declare import Paired, Published, Table
from nncompress.report.records import chosen, comparable, nearest, scale_of
from nncompress.report.words import mean_and_spread, natural, number, percent, span, spoken, with_unit

__all__ = [
    "CSV_COLUMNS", "Laid", "Paired", "Published", "Table", "by_kind", "estimate", "lay", "ledger", "markdown", "pipes", "text",
    "verdicts_markdown",
]  # fmt: skip

LAST = ("average", "geometric mean")
"""Columns that stand after the others."""
CSV_COLUMNS = ("table", "row", "column", "metric", "mean", "std", "n", "paper", "scale")
NUMERIC = ("", *"0123456789–−+∞≥<")
KINDS = {"paper": "Claims of the paper", "transferred": "Claims made of other nets or data, tried here", "ours": "Our own"}
SAME_DENSITY = 0.03
"""Two densities are one if they differ by at most this share: the papers print two or three figures."""


@dataclass(frozen=True)
class Laid:
    """A table ready to be printed. `cells`: tidy, in `CSV_COLUMNS`, numbers as stored. `note`: what the numbers are."""

    title: str
    head: list[str]
    rows: list[list[str]]
    note: str
    cells: pd.DataFrame


def lay(table: Table | Paired | Published, records: pd.DataFrame, paper: pd.DataFrame, curves: pd.DataFrame | None = None) -> Laid | None:
    """Fill a declared table from tidied records, or their curves, and the published values; None if these hold nothing for it."""
    records = comparable(records)
    if isinstance(table, Published):
        return _beside_paper(table, records, paper)
    if isinstance(table, Paired):
        return _paired(table, records, paper)
    if table.source == "curves":
        if curves is None:
            return None
        records = curves
    records = chosen(records, table.where)
    if table.derive is not None and len(records):
        records = table.derive(records)
    index, columns = _key(table.index), _key(table.columns)
    if not {table.metric, index, columns} <= set(records):
        return None
    records = records[records[table.metric].notna() & records[index].notna() & records[columns].notna()]
    if records.empty:
        return None
    shown = sorted(records[columns].unique(), reverse=columns == "level", key=lambda value: (value in LAST, value))
    shown = nearest(shown, table.at)
    by_seed = records.groupby([index, columns, "seed"])[table.metric].mean()
    values = pd.DataFrame(by_seed.groupby([index, columns]).agg(["mean", "std", "count"]))
    late = records[table.metric] > 0.95 * records[table.cut_off] if table.cut_off in records else pd.Series(False, records.index)
    values["bound"] = late.groupby([records[index], records[columns]]).any()
    names = _in_order(records[index].unique(), table.order, descending=index == "level")
    cells, rows = [], []
    for name in names:
        own = values.loc[[name]].droplevel(index).to_dict("index")
        found = {column: own[column] for column in shown if column in own}
        if not found:
            continue
        counts = [int(cell["count"]) for cell in found.values()]
        row = [f"{_named(index, name)} (n = {span(counts)})"]
        for column in shown:
            if column not in found:
                row.append("")
                continue
            cell = found[column]
            published = _published(paper, records, table.metric, {index: name, columns: column})
            spread = cell["std"] / sqrt(cell["count"]) if table.spread == "standard_error" else cell["std"]
            total = number(cell["mean"] * cell["count"], table.unit)
            row.append(
                ("≥ " if cell["bound"] else "")
                + (total if table.total else mean_and_spread(cell["mean"], spread, table.unit))
                + (f" (paper {number(published, table.unit)})" if published is not None else "")
            )
            cells.append((table.name, name, column, table.metric, cell["mean"], cell["std"], int(cell["count"]), published, scale_of(records)))
        rows.append(row)
    head = [spoken(table.index), *(_named(columns, column) for column in shown)]
    spread = "standard error" if table.spread == "standard_error" else "standard deviation"
    note = f"{'Sum' if table.total else f'Mean ± {spread}'} over n seeds; scale: {scale_of(records)}."
    if any(cell.startswith("≥") for row in rows for cell in row):
        note += " ≥: in a seed or more the value lies in the last 5 % of the training, which may have cut it off."
    return Laid(table.title, head, rows, note, _cells(cells))


def ledger(records: pd.DataFrame) -> Laid | None:
    """What the results cost, by arm: training FLOPs and seconds of its own fits, and of its dearest row with all that the row stands on. An arm
    may show no fit, only what was made of some."""
    records = comparable(records)
    if records[["train_flops", "total_flops"]].isna().all(axis=None):
        return None
    records = records[records["train_flops"].notna() | records["total_flops"].notna()]
    once = records[~records["key"].duplicated() | (records["key"] == "")]
    rows, cells = [], []
    for arm in [*pd.unique(records["arm"]), None]:
        own = once if arm is None else records[records["arm"] == arm].drop_duplicates("key" if (records["key"] != "").all() else None)
        name = "all fits that rows show, each once" if arm is None else spoken(arm)
        fits, trained = int(own["train_flops"].notna().sum()), own["train_flops"].sum(min_count=1)
        numbers = [trained, own["seconds"].sum() / 3600, own["total_flops"].max(), own["total_seconds"].max() / 3600]
        rows.append([name, str(fits), _flops(numbers[0]), f"{numbers[1]:.2f}", _flops(numbers[2]), number(numbers[3], "×")])
        for metric, value in zip(("train_flops", "hours", "largest_total_flops", "largest_total_hours"), numbers, strict=True):
            cells.append(("ledger", "all" if arm is None else arm, "", metric, value, None, fits, None, scale_of(records)))
    head = ["arm", "fits", "training FLOPs", "process-hours", "FLOPs of one row with all before it, at most", "process-hours of one such row"]
    devices = ", ".join(sorted(set(records["device"]) - {""})) or "unknown device"
    return Laid(
        "Compute",
        head,
        rows,
        f"On {devices}; scale: {scale_of(records)}. Fits that no row shows count only in the totals of the rows that stand on them. FLOPs are "
        "two for each multiply-accumulate of the dense net forward and four backward, whatever its mask; evaluation is not counted. Hours are "
        "of the processes that trained, several at once: a replicate's share of its stack, other work on the machine included.",
        _cells(cells),
    )


def markdown(table: Laid) -> str:
    """The table as a section of Markdown."""
    return f"## {table.title}\n\n{pipes(table.head, table.rows)}\n\n{table.note}\n"


def pipes(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: columns of numbers to the right."""
    rows = list(rows)
    rule = ["--:" if all(row[i][:1] in NUMERIC for row in rows) else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [head, rule, *rows])


def text(table: Laid) -> str:
    """The table for a terminal."""
    widths = [max(len(row[i]) for row in [table.head, *table.rows]) for i in range(len(table.head))]
    lines = (
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        for row in [table.head, *table.rows]
    )
    return "\n".join([table.title, *(line.rstrip() for line in lines), table.note])


def _beside_paper(table: Published, records: pd.DataFrame, paper: pd.DataFrame) -> Laid | None:
    if records.empty or paper.empty:
        return None
    if table.derive is not None:
        records = table.derive(records)
    rows, cells = [], []
    for line in paper[paper["model"].isin(set(records["model"]))].to_dict("records"):
        metric, arm, density = line["metric"], line["arm"], line["density"]
        if metric not in table.units or metric not in records:
            continue
        mine = records[(records["arm"] == arm) & records[metric].notna()]
        if pd.notna(density):
            mine = mine[_near(mine["level"], density)]
        values = mine.groupby("seed")[metric].mean()
        if values.empty:
            continue
        unit = table.units[metric]
        ours = mean_and_spread(values.mean(), values.std(), unit)
        place = percent(density) if pd.notna(density) else ""
        what = line["note"] or spoken(metric)
        rows.append([what, spoken(arm), place, with_unit(line["value"], unit), ours, str(len(values)), line["source"]])
        cells.append((table.name, arm, density, metric, values.mean(), values.std(), len(values), line["value"], scale_of(mine)))
    if not rows:
        return None
    head = ["what", "arm", "weights remaining", "paper", "ours", "n", "source"]
    if not any(row[2] for row in rows):  # a paper that prunes nothing
        head, rows = [*head[:2], *head[3:]], [[*row[:2], *row[3:]] for row in rows]
    note = " ".join([f"Ours: mean ± standard deviation over n seeds; scale: {scale_of(records)}.", *([table.note] if table.note else [])])
    return Laid(table.title, head, rows, note, _cells(cells))


def _paired(table: Paired, records: pd.DataFrame, paper: pd.DataFrame) -> Laid | None:
    if table.derive is not None and len(records):
        records = table.derive(records)
    if not {table.index, table.metric} <= set(records):
        return None
    names = _in_order(records[table.index].unique(), table.order, descending=False)
    rows: list[list[str]] = []
    cells: list[tuple[object, ...]] = []
    for first, second in table.pairs:
        for name in names:
            by_arm = records[records[table.index] == name].pivot_table(index="seed", columns="arm", values=table.metric)
            differences = (by_arm[first] - by_arm[second]).dropna() if {first, second} <= set(by_arm) else pd.Series(dtype=float)
            if differences.empty:
                continue
            differences = differences.where(differences.abs() > ROUNDING, 0.0)
            n = len(differences)
            less, more = int((differences < 0).sum()), int((differences > 0).sum())
            better, worse = (less, more) if table.better == "less" else (more, less)
            tests = {"p": p_value(differences.to_list())}
            if table.overlap is not None:
                tests["p_corrected"] = p_value(differences.to_list(), table.overlap)
            mean, deviation = differences.mean(), differences.std()
            printed = [_published(paper, records, table.metric, {table.index: name, "arm": arm}) for arm in (first, second)]
            published = None if None in printed else printed[0] - printed[1]  # type: ignore[operator]
            shown = f"{number(mean, table.unit, signed=True)} ± {number(deviation / sqrt(n), table.unit)}"
            shown += f" (paper {number(published, table.unit, signed=True)})" if published is not None else ""
            counts = f"{better} / {n - better - worse} / {worse}"
            rows.append(
                [f"{spoken(first)} − {spoken(second)}", _named(table.index, name), shown, counts, str(n), *map(_probability, tests.values())]
            )
            place, scale = (table.name, f"{first} - {second}", name), scale_of(records)
            cells.append((*place, table.metric, mean, deviation, n, published, scale))
            others = {"better": better, "equal": n - better - worse, "worse": worse, **tests}
            cells += [(*place, metric, value, None, n, None, scale) for metric, value in others.items()]
    if not rows:
        return None
    head = [
        "difference",
        spoken(table.index),
        f"mean, {table.unit}",
        "better / equal / worse",
        "n",
        *(["p"] if table.overlap is None else ["p, seeds independent", "p, corrected"]),
    ]
    note = f"Mean ± standard error over n seeds, of the first minus the second on the same seed; better: {table.better}; scale: "
    return Laid(table.title, head, rows, " ".join([f"{note}{scale_of(records)}.", *([table.note] if table.note else [])]), _cells(cells))


def _probability(value: float) -> str:
    return "–" if pd.isna(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cells(cells: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    numbers = {"mean": float, "std": float, "paper": float, "n": int}
    return pd.DataFrame(cells, columns=list(CSV_COLUMNS)).astype(numbers)


def _flops(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.2e}"


def _key(column: str) -> str:
    return "level" if column == "density" else column


def _named(column: str, value: object) -> str:
    return percent(float(str(value))) if column == "level" else spoken(f"{value:g}" if isinstance(value, float) else value)


def _in_order(values: Iterable[object], order: tuple[str, ...], *, descending: bool) -> list[object]:
    first = [value for value in order if value in set(values)]
    return first + sorted((value for value in values if value not in first), key=natural, reverse=descending)


def _near(levels: pd.Series, density: float) -> pd.Series:
    return (levels / density - 1).abs() <= SAME_DENSITY


def _published(paper: pd.DataFrame, records: pd.DataFrame, metric: str, place: dict[str, object]) -> float | None:
    """The paper's value of a cell, where it gives one."""
    if paper.empty:
        return None
    rows = paper[(paper["metric"] == metric) & paper["model"].isin(set(records["model"]))]
    for column, value in place.items():
        if column == "level":
            rows = rows[_near(rows["density"], float(str(value)))]
        elif column in rows:
            rows = rows[rows[column] == value]
        else:
            return None
    return None if rows.empty else float(rows["value"].iloc[0])


def by_kind(verdicts: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The verdicts on claims of the paper, claims made of other nets or data, and our own, as far as there are any, each with a heading."""
    for kind, heading in KINDS.items():
        if len(own := verdicts[verdicts["kind"] == kind]):
            yield heading, own


def verdicts_markdown(verdicts: pd.DataFrame) -> str:
    """A row a claim: its statement, the paper's value, ours with its interval, n and the verdict."""
    rows = [
        [r["statement"], with_unit(r["paper"], r["unit"]), estimate(r), str(r["n"]), f"**{r['verdict']}**"] for r in verdicts.to_dict("records")
    ]
    return pipes(["claim", "paper", "ours, mean and 95 % interval", "n", "verdict"], rows)


def estimate(row: Mapping[Any, Any]) -> str:
    """'0.31 [0.12, 0.50] pp', '2.51 [2.02, 3.12]× (geometric mean)'."""
    if not row["n"]:
        return "–"
    unit, bounds = row["unit"], ""
    if pd.notna(row["ci_low"]):
        bounds = f" [{number(row['ci_low'], unit)}, {number(row['ci_high'], unit)}]"
    name = "×" if unit == "×" else f" {unit}" if unit else ""
    return number(row["ours"], unit) + bounds + name + (" (geometric mean)" if row["mean"] == "geometric" else "")
