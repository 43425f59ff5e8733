"""Everything that is made from `results/records` and `results/curves`: tables, figures, verdicts and the overview `results/README.md`.

Nothing here trains or imports torch. Whatever is missing (a run still going, a few seeds only) is left out of the report, not an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nncompress.errors import UserError, suggestion
from nncompress.report.claims import VERDICTS, judge_all
from nncompress.report.declare import Matrices, MixtureCourse
from nncompress.report.experiments import Described, read_experiments
from nncompress.report.figures import animation, draw, save
from nncompress.report.files import write
from nncompress.report.records import comparable, left_out, of_variant, read_curves, read_published, read_records, scale_of
from nncompress.report.tables import CSV_COLUMNS, Laid, by_kind, estimate, lay, ledger, markdown, pipes, text, verdicts_markdown
from nncompress.report.words import span, spoken, with_unit
from nncompress.scales import SCALES

__all__ = ["Described", "draw_all", "fill_readme", "overview", "read_experiments", "render_text", "report"]

COUNTED = "Other claims: what was claimed of other nets or data, tried here, and our own."
TIMES = "`seconds` are a replicate's share of its stack's wall time; several processes ran at once, other work on the machine included"
TIMES_WITHOUT_NETS = "`seconds` are wall time; several processes ran at once, other work on the machine included"
MARKERS = ("<!-- results:begin", "<!-- results:end -->")


@dataclass(frozen=True)
class _Recorded:
    """An experiment with its comparable records, what of the others is left out ('12 rows at 20min'), and its verdicts."""

    described: Described
    records: pd.DataFrame
    left_out: str
    verdicts: pd.DataFrame


def report(results: Path, experiments: Sequence[Described], experiment: str | None = None, *, figures: bool = True) -> list[Path]:
    """Regenerate tables, figures and claims of one experiment, or of all that have records, and the overview `README.md`.

    Args:
        figures: whether to draw; the overview links to those that are there.

    Returns: the paths written, in order.
    Raises: UserError for an experiment that is not described, or a folder that cannot be written.
    """
    selected = [e for e in experiments if experiment in (None, e.name)]
    if not selected:
        raise UserError(f"no experiment {experiment!r} to report on{suggestion(str(experiment), [e.name for e in experiments])}")
    paths: list[Path] = []
    try:
        for described in selected:
            if (recorded := _recorded(results, described)) is not None:
                paths += _report_one(results, recorded, figures)
        paths.append(write(results / "README.md", overview(results, experiments)))
    except OSError as error:
        raise UserError(
            f"cannot write the report to {results}: {error.strerror or error}; choose another folder with lab.results=..."
        ) from error
    return paths


def render_text(results: Path, described: Described, variant: str = "") -> str:
    """What a terminal shows at the end of a run: the first table that has numbers, and the verdicts. `variant`: of one point of a sweep."""
    recorded = _recorded(results, described, variant)
    if recorded is None:
        return f"{described.name}: no records {f'of {variant}' if variant else 'of the experiment as written'} yet"
    records, paper = recorded.records, read_published(results, described.recipe)
    main = next((laid for table in described.tables if (laid := lay(table, records, paper)) is not None), None)
    parts = [text(main)] if main is not None else []
    scale = f"scale: {scale_of(records)}" + (f"; left out: {recorded.left_out}" if recorded.left_out else "")
    width = max(map(len, recorded.verdicts["claim"]), default=0)
    for heading, verdicts in by_kind(recorded.verdicts):
        lines = [f"{heading} ({_counts(verdicts)}; {scale})"]
        for row in verdicts.to_dict("records"):
            ours = f"ours {estimate(row)}" if row["n"] else "not recorded"
            published = f", paper {with_unit(row['paper'], row['unit'])}" if pd.notna(row["paper"]) else ""
            lines.append(f"  {row['verdict']:<14}  {row['claim']:<{width}}  {ours}{published} (n = {row['n']})")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def draw_all(results: Path, described: Described, variant: str, folder: Path) -> list[Path]:
    """The figures of one point of a sweep, PNG and SVG in `folder`: the committed ones are of the experiment as written."""
    recorded = _recorded(results, described, variant)
    if recorded is None:
        return []
    return _draw(results, recorded, _curves(results, recorded), folder / described.name.replace("/", "_"))


def overview(results: Path, experiments: Sequence[Described]) -> str:
    """`results/README.md`: every experiment that has records, its verdicts, its scale, its devices, with links."""
    head = "# Results\n\nGenerated from `records/` by `python run.py report`; edit nothing here by hand."
    recorded = _all_recorded(results, experiments)
    return "\n\n".join([head, _summary(recorded, ""), *(_section(results, each) for each in recorded)]) + "\n"


def fill_readme(readme: Path, results: Path, experiments: Sequence[Described]) -> bool:
    """Put the summary of all experiments between the markers of the project's README. Returns: whether it has such markers."""
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    begin, end = text.find(MARKERS[0]), text.find(MARKERS[1])
    if begin < 0 or end < begin:
        return False
    begin = text.index("\n", begin) + 1
    summary = _summary(_all_recorded(results, experiments), f"{results.name}/README.md")
    write(readme, text[:begin] + summary + "\n" + text[end:])
    return True


def _recorded(results: Path, described: Described, variant: str = "") -> _Recorded | None:
    """None if nothing of the experiment as written, or of the variant, is recorded yet."""
    every = of_variant(read_records(results, described.name), variant)
    records = comparable(every)
    return None if records.empty else _Recorded(described, records, left_out(every), judge_all(described.claims, records))


def _all_recorded(results: Path, experiments: Sequence[Described]) -> list[_Recorded]:
    """The experiments that have records, largest scale first."""
    found = [recorded for described in experiments if (recorded := _recorded(results, described)) is not None]
    scales = {name: place for place, name in enumerate(SCALES)}
    return sorted(found, key=lambda each: (scales.get(each.described.scale, len(scales)), each.described.name))


def _summary(recorded: Sequence[_Recorded], page: str) -> str:
    """One row an experiment: paper, scale, seeds, counts of the verdicts; its name links to its section of `page`."""
    if not recorded:
        return "Nothing is recorded yet."
    rows = []
    for each in recorded:
        e, verdicts = each.described, each.verdicts
        counts = [_short_counts(of) for of in (verdicts[verdicts["kind"] == "paper"], verdicts[verdicts["kind"] != "paper"])]
        name = f"[{e.name}]({page}#{_anchor(e.name)})"
        rows.append([name, e.about.get("paper", ""), scale_of(each.records), _seeds(each.records), *counts])
    return pipes(["experiment", "paper", "scale", "seeds", "claims of the paper", "other claims"], rows) + f"\n\n{COUNTED}"


def _report_one(results: Path, recorded: _Recorded, figures: bool) -> list[Path]:
    described, records = recorded.described, recorded.records
    name, paper = described.name, read_published(results, described.recipe)
    curves = _curves(results, recorded)
    laid = [*(lay(table, records, paper, curves) for table in described.tables), ledger(records)]
    tables = [table for table in laid if table is not None]
    cells = pd.concat([t.cells for t in tables]) if tables else pd.DataFrame(columns=list(CSV_COLUMNS))
    paths = [
        write(results / "tables" / f"{name}.md", _tables_page(recorded, tables)),
        write(results / "tables" / f"{name}.csv", _csv(cells)),
        write(results / "claims" / f"{name}.csv", _csv(recorded.verdicts)),
    ]
    return paths + (_draw(results, recorded, curves, results / "figures" / name) if figures else [])


def _curves(results: Path, recorded: _Recorded) -> pd.DataFrame:
    return read_curves(results, recorded.described.name, recorded.records, recorded.described.identity)


def _draw(results: Path, recorded: _Recorded, curves: pd.DataFrame, stem: Path) -> list[Path]:
    """The experiment's figures, `<stem>_<figure>` as PNG and SVG; of matrices, which are bitmaps of many pixels, no SVG."""
    described, records = recorded.described, recorded.records
    arrays = results / "arrays" / described.name
    paper = read_published(results, described.recipe)
    drawn = [(declared, figure) for declared in described.figures if (figure := draw(declared, records, curves, arrays, paper)) is not None]
    paths = []
    for declared, figure in drawn:
        paths += save(figure, stem.with_name(f"{stem.name}_{declared.name}"), vector=not isinstance(declared, Matrices))
    for course in described.figures:
        if isinstance(course, MixtureCourse) and (content := animation(course, records, arrays)) is not None:
            paths.append(write(stem.with_name(f"{stem.name}_{course.name}.gif"), content))
    return paths


def _section(results: Path, recorded: _Recorded) -> str:
    e, records = recorded.described, recorded.records
    facts = [
        ("shows", e.about.get("shows", "")),
        ("scale", scale_of(records)),
        ("left out", recorded.left_out and f"{recorded.left_out}, which a run at the larger scale has not overwritten yet"),
        ("model and data", " on ".join(", ".join(map(spoken, _distinct(records, c))) for c in ("model", "dataset"))),
        ("seeds", _seeds(records)),
        ("device", "; ".join(_distinct(records, "device"))),
        ("commits", ", ".join(_distinct(records, "commit"))),
        ("times", (TIMES if records["steps"].notna().any() else TIMES_WITHOUT_NETS) if records["seconds"].notna().any() else ""),
    ]
    parts = [f"## {e.name}", "\n".join(f"- {name}: {value}" for name, value in facts if value)]
    for heading, verdicts in by_kind(recorded.verdicts):
        parts += [f"### {heading}", verdicts_markdown(verdicts)]
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


def _tables_page(recorded: _Recorded, tables: Sequence[Laid]) -> str:
    described = recorded.described
    about = ": ".join(described.about[word].removesuffix(".") for word in ("paper", "shows") if word in described.about)
    missing = f"Left out: {recorded.left_out}." if recorded.left_out else ""
    parts = [f"# {described.name}\n", *(f"{part}\n" for part in (about and about + ".", missing) if part), *map(markdown, tables)]
    if described.deviations:
        parts.append("## Deviations from the paper\n\n" + "\n".join(f"- {sentence}" for sentence in described.deviations) + "\n")
    return "\n".join(parts)


def _distinct(records: pd.DataFrame, column: str) -> list[str]:
    """The words of a column, once each."""
    return sorted(set(records[column]) - {""})


def _seeds(records: pd.DataFrame) -> str:
    return span([int(n) for n in records.groupby("arm")["seed"].nunique()])


def _counts(verdicts: pd.DataFrame) -> str:
    return ", ".join(f"{int((verdicts['verdict'] == verdict).sum())} {verdict}" for verdict in VERDICTS)


def _short_counts(verdicts: pd.DataFrame) -> str:
    """'3 of 9 reproduced, 6 inconclusive'; verdicts that no claim got are left out."""
    if verdicts.empty:
        return "–"
    counts = verdicts["verdict"].value_counts()
    others = [f"{counts[verdict]} {verdict.removesuffix(' reproduced')}" for verdict in VERDICTS[1:] if verdict in counts]
    return ", ".join([f"{counts.get(VERDICTS[0], 0)} of {len(verdicts)} reproduced", *others])


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.8g", lineterminator="\n")


def _anchor(name: str) -> str:
    return "".join(c for c in name.lower().replace(" ", "-") if c.isalnum() or c in "-_")
