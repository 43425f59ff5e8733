"""Everything that is made from `results/records` and `results/curves`: tables, figures, verdicts and the overview `results/README.md`.

Nothing here trains or imports torch. Whatever is missing (a run still going, a few seeds only) is left out of the report, not an error.
"""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from nncompress.errors import UserError
from nncompress.report.claims import VERDICTS, judge_all
from nncompress.report.declare import Claim, Lines, Published, Table
from nncompress.report.figures import draw, save
from nncompress.report.records import as_written, read_curves, read_records, read_table, scale_of
from nncompress.report.tables import CSV_COLUMNS, Laid, lay, ledger, markdown, pipes, text
from nncompress.report.words import number, span, spoken, with_unit

SCALES = ("paper", "quick", "smoke")


@dataclass(frozen=True)
class Described:
    """An experiment as the report sees it: the words of its YAML file and the declarations of its recipe.

    `about`: `paper`, `shows`, `cost`, each a sentence. `deviations`: how it differs from the paper, a sentence each.
    """

    name: str
    recipe: str
    scale: str = "paper"
    about: dict[str, str] = field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    tables: tuple[Table | Published, ...] = ()
    figures: tuple[Lines, ...] = ()


MARKERS = ("<!-- results:begin", "<!-- results:end -->")


def read_experiments(conf: Path) -> list[Described]:
    """Every experiment of `<conf>/experiment`, with the claims, tables and figures of its recipe `experiments.<recipe>`.

    A file's `defaults:` that name other experiments are followed, the file's own words come first.
    Raises: UserError if a file is no YAML or its recipe cannot be found.
    """
    folder = conf / "experiment"
    found = []
    for path in sorted(folder.rglob("*.yaml")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        words = _read_inherited(folder, name)
        if "recipe" in words:
            found.append(_described(name, words))
    return found


def report(results: Path, experiments: Sequence[Described], experiment: str | None = None) -> list[Path]:
    """Regenerate tables, figures and claims of one experiment, or of all that have records, and the overview `README.md`.

    Returns: the paths written, in order.
    Raises: UserError for an experiment that is not described, or a folder that cannot be written.
    """
    selected = [e for e in experiments if experiment in (None, e.name)]
    if not selected:
        near = difflib.get_close_matches(str(experiment), [e.name for e in experiments], 1)
        raise UserError(f"no experiment {experiment!r} to report on" + (f"; did you mean {near[0]!r}?" if near else ""))
    paths: list[Path] = []
    try:
        for described in selected:
            paths += _report_one(results, described)
        paths.append(_write(results / "README.md", overview(results, experiments)))
    except OSError as error:
        raise UserError(
            f"cannot write the report to {results}: {error.strerror or error}; choose another folder with lab.results=..."
        ) from error
    return paths


def render_text(results: Path, described: Described) -> str:
    """What a terminal shows at the end of a run: the first table that has numbers, and the verdicts."""
    records = as_written(read_records(results, described.name))
    if records.empty:
        return f"{described.name}: no records of the experiment as written yet"
    paper = _published(results, described.recipe)
    main = next((laid for table in described.tables if (laid := lay(table, records, paper)) is not None), None)
    verdicts = judge_all(described.claims, records)
    parts = [text(main)] if main is not None else []
    if len(verdicts):
        lines = [f"Claims ({_counts(verdicts)}; scale: {scale_of(records)})"]
        width = max(len(claim) for claim in verdicts["claim"])
        for row in verdicts.to_dict("records"):
            ours = f"ours {_estimate(row)}" if row["n"] else "not recorded"
            published = f", paper {with_unit(row['paper'], row['unit'])}" if pd.notna(row["paper"]) else ""
            lines.append(f"  {row['verdict']:<14}  {row['claim']:<{width}}  {ours}{published} (n = {row['n']})")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def overview(results: Path, experiments: Sequence[Described]) -> str:
    """`results/README.md`: every experiment that has records, its verdicts, its scale, its devices, with links."""
    head = "# Results\n\nGenerated from `records/` by `python run.py report`; edit nothing here by hand."
    recorded = _recorded(results, experiments)
    sections = [_section(results, e, records, verdicts) for e, records, verdicts in recorded]
    return "\n\n".join([head, _summary(recorded, "") if recorded else "Nothing is recorded yet.", *sections]) + "\n"


def fill_readme(readme: Path, results: Path, experiments: Sequence[Described]) -> bool:
    """Put the summary of all experiments between the markers of the project's README. Returns: whether it has such markers."""
    text = readme.read_text() if readme.exists() else ""
    begin, end = text.find(MARKERS[0]), text.find(MARKERS[1])
    if begin < 0 or end < begin:
        return False
    begin = text.index("\n", begin) + 1
    recorded = _recorded(results, experiments)
    summary = _summary(recorded, f"{results.name}/README.md") if recorded else "Nothing is recorded yet."
    _write(readme, text[:begin] + summary + "\n" + text[end:])
    return True


def _recorded(results: Path, experiments: Sequence[Described]) -> list[tuple[Described, pd.DataFrame, pd.DataFrame]]:
    """The experiments that have records, largest scale first, with their records and verdicts."""
    found = [(e, records, judge_all(e.claims, records)) for e in experiments if len(records := as_written(read_records(results, e.name)))]
    return sorted(found, key=lambda each: (SCALES.index(each[0].scale) if each[0].scale in SCALES else len(SCALES), each[0].name))


def _summary(recorded: Sequence[tuple[Described, pd.DataFrame, pd.DataFrame]], page: str) -> str:
    """One row an experiment: paper, scale, seeds, counts of verdicts; its name links to its section of `page`."""
    rows = []
    for e, records, verdicts in recorded:
        counts = [str(int((verdicts["verdict"] == verdict).sum())) for verdict in VERDICTS]
        seeds = span([int(n) for n in records.groupby("arm")["seed"].nunique()])
        rows.append([f"[{e.name}]({page}#{_anchor(e.name)})", e.about.get("paper", ""), scale_of(records), seeds, *counts])
    return pipes(["experiment", "paper", "scale", "seeds", *VERDICTS], rows)


def _report_one(results: Path, described: Described) -> list[Path]:
    records = as_written(read_records(results, described.name))
    if records.empty:
        return []
    name, paper = described.name, _published(results, described.recipe)
    laid = [*(lay(table, records, paper) for table in described.tables), ledger(records)]
    tables = [table for table in laid if table is not None]
    verdicts = judge_all(described.claims, records)
    paths = [
        _write(results / "tables" / f"{name}.md", _tables_page(described, records, tables)),
        _write(
            results / "tables" / f"{name}.csv",
            _csv(pd.concat([t.cells for t in tables]) if tables else pd.DataFrame(columns=list(CSV_COLUMNS))),
        ),
        _write(results / "claims" / f"{name}.csv", _csv(verdicts)),
    ]
    curves = read_curves(results, name, records)
    for lines in described.figures:
        figure = draw(lines, records, curves)
        if figure is not None:
            paths += save(figure, results / "figures" / f"{name}_{lines.name}")
    return paths


def _section(results: Path, e: Described, records: pd.DataFrame, verdicts: pd.DataFrame) -> str:
    facts = [
        ("shows", e.about.get("shows", "")),
        ("scale", scale_of(records)),
        ("model and data", " on ".join(", ".join(map(spoken, sorted(set(records[c]) - {""}))) for c in ("model", "dataset"))),
        ("seeds", span([int(n) for n in records.groupby("arm")["seed"].nunique()])),
        ("device", ", ".join(sorted(set(records["device"]) - {""}))),
    ]
    parts = [f"## {e.name}", "\n".join(f"- {name}: {value}" for name, value in facts if value)]
    if len(verdicts):
        rows = [
            [r["statement"], with_unit(r["paper"], r["unit"]), _estimate(r), str(r["n"]), f"**{r['verdict']}**"]
            for r in verdicts.to_dict("records")
        ]
        parts.append(pipes(["claim", "paper", "ours, mean and 95 % interval", "n", "verdict"], rows))
    kinds = {"records": "records", "tables": "tables", "claims": "claims", "curves": "learning curves"}
    links = [
        f"[{what}]({folder}/{e.name}.{end})"
        for folder, what in kinds.items()
        for end in (("md",) if folder == "tables" else ("csv",))
        if (results / folder / f"{e.name}.{end}").exists()
    ]
    figures = [
        (lines, f"figures/{e.name}_{lines.name}.png") for lines in e.figures if (results / f"figures/{e.name}_{lines.name}.png").exists()
    ]
    links += [f"[figure: {spoken(lines.name)}]({path})" for lines, path in figures]
    parts.append(" · ".join(links))
    if figures:
        parts.append(f"![{figures[0][0].title}]({figures[0][1]})")
    return "\n\n".join(part for part in parts if part)


def _tables_page(described: Described, records: pd.DataFrame, tables: Sequence[Laid]) -> str:
    about = " ".join(described.about[word] for word in ("paper", "shows") if word in described.about)
    parts = [f"# {described.name}\n", *([about + "\n"] if about else []), *(markdown(table) for table in tables)]
    if described.deviations:
        parts.append("## Deviations from the paper\n\n" + "\n".join(f"- {sentence}" for sentence in described.deviations) + "\n")
    return "\n".join(parts)


def _estimate(row: Mapping[Any, Any]) -> str:
    """'0.31 [0.12, 0.50] pp'."""
    unit = row["unit"]
    bounds = f" [{number(row['ci_low'], unit)}, {number(row['ci_high'], unit)}]" if pd.notna(row["ci_low"]) else ""
    return "–" if not row["n"] else f"{number(row['ours'], unit)}{bounds}{'' if unit in ('', '×') else ' ' + unit}{'×' if unit == '×' else ''}"


def _counts(verdicts: pd.DataFrame) -> str:
    return ", ".join(f"{int((verdicts['verdict'] == verdict).sum())} {verdict}" for verdict in VERDICTS)


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.8g", lineterminator="\n")


def _published(results: Path, recipe: str) -> pd.DataFrame:
    table = read_table(results / "paper" / f"{recipe}.csv")
    return table.assign(note=table["note"].fillna(""), source=table["source"].fillna("")) if len(table) else table


def _write(path: Path, content: str) -> Path:
    """Whole or not at all, so that two reports at once never leave half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(content, encoding="utf-8")
    part.replace(path)
    return path


def _anchor(name: str) -> str:
    return "".join(c for c in name.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _described(name: str, words: dict[str, Any]) -> Described:
    recipe = str(words["recipe"])
    try:
        module = importlib.import_module(f"experiments.{recipe}")
    except ModuleNotFoundError as error:
        raise UserError(
            f"conf/experiment/{name}.yaml names the recipe {recipe!r}, but importing experiments/{recipe}.py failed: {error}"
        ) from error
    declared = {word: tuple(getattr(module, word.upper(), ())) for word in ("claims", "tables", "figures")}
    about = {str(word): str(value).strip() for word, value in (words.get("about") or {}).items()}
    return Described(name, recipe, str(words.get("scale", "paper")), about, tuple(words.get("deviations") or ()), **declared)


def _read_inherited(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.yaml"
    try:
        own = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"conf/experiment/{name}.yaml is not valid YAML: {' '.join(str(error).split())}") from error
    words: dict[str, Any] = {}
    for entry in own.get("defaults", []):
        for parent in _parents(entry, name):
            if (folder / f"{parent}.yaml").exists() and parent != name:
                words |= _read_inherited(folder, parent)
    about = {**(words.get("about") or {}), **(own.get("about") or {})}
    return words | {word: value for word, value in own.items() if word in ("recipe", "scale", "deviations")} | {"about": about}


def _parents(entry: Any, name: str) -> list[str]:
    """The experiments that an entry of Hydra's defaults list may mean: `/experiment/a`, `/experiment: a`, or `a` beside the file."""
    if isinstance(entry, dict):
        entry = next((f"{group.split('@')[0]}/{option}" for group, option in entry.items()), "")
    entry = str(entry).split("@")[0].strip().removeprefix("override ").strip()
    if entry.lstrip("/").startswith("experiment/"):
        return [entry.lstrip("/").removeprefix("experiment/")]
    beside = os.path.normpath(Path(name).parent / entry)
    return [] if entry in ("", "_self_") or entry.startswith("/") else [beside]
