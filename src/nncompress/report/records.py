"""Reading records: whatever is there, in the types and columns that the report counts on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nncompress.errors import UserError
from nncompress.report.declare import Where
from nncompress.scales import size

SAME = ("experiment", "dataset", "model", "variant", "arm", "round", "rewind_step", "seed")
"""Columns by which a learning curve finds its record: those that the lab knows the records of all recipes by."""
WORDS = ("experiment", "scale", "dataset", "model", "variant", "arm", "precision", "key", "device", "commit")
NUMBERS = (  # what the lab and its stages record; a file lacks those that none of its arms has, and what is declared asks for them all the same
    "round", "rewind_step", "seed", "density", "steps", "validation_loss", "validation_accuracy", "train_loss", "train_accuracy",
    "test_loss", "test_accuracy", "early_stop_step", "early_stop_validation_loss", "early_stop_loss", "early_stop_accuracy", "instability",
    "train_instability", "overlap", "overlap_by_chance", "overlap_by_chance_per_input",
    "train_flops", "total_flops", "seconds", "total_seconds",
)  # fmt: skip


def tidy(records: pd.DataFrame) -> pd.DataFrame:
    """The records with every standard column, words as text ('' where empty), numbers as floats (NaN where empty or unreadable).

    `level` is added: the mean density of the rows of one round, so that arms that differ by a few weights share a place on the axis.
    """
    records = records.reindex(columns=[*records.columns, *(c for c in (*WORDS, *NUMBERS) if c not in records.columns)])
    records = _typed(records).copy()  # in one piece: records of many layers have hundreds of columns
    per_round = records.groupby(["model", "scale", "variant", "round"])["density"].transform("mean") if len(records) else records["density"]
    return records.assign(level=per_round.where(per_round.notna(), records["density"]))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The standard columns that there are as text and as floats."""
    words = {c: frame[c].astype(object).where(frame[c].notna(), "").astype(str) for c in WORDS if c in frame}
    numbers = [c for c in frame if c in NUMBERS or str(c).startswith("density_")]
    return frame.assign(**words, **{str(c): pd.to_numeric(frame[c], errors="coerce").astype(float) for c in numbers})


def read_table(path: Path) -> pd.DataFrame:
    """A CSV as it is; an empty frame if there is no such file, or nothing in it.

    Raises: UserError if the file is no table.
    """
    try:
        return pd.read_csv(path, low_memory=False, dtype={"key": str, "commit": str})
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return pd.DataFrame()
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no table ({' '.join(str(error).split())}): mend or remove it") from error


def read_published(results: Path, recipe: str) -> pd.DataFrame:
    """`paper/<recipe>.csv`, the published numbers; notes and sources that are left out are ''."""
    table = read_table(results / "paper" / f"{recipe}.csv")
    return table.assign(note=table["note"].fillna(""), source=table["source"].fillna("")) if len(table) else table


def read_records(results: Path, experiment: str) -> pd.DataFrame:
    """`records/<experiment>.csv`, tidied; empty if nothing is recorded yet."""
    return tidy(read_table(results / "records" / f"{experiment}.csv"))


def read_curves(results: Path, experiment: str, records: pd.DataFrame, identity: Sequence[str] = ()) -> pd.DataFrame:
    """The learning curves `curves/<experiment>.csv` of the comparable rows of `records`, each point with the density `level` of its record.

    `identity`: further columns that tell the recipe's records apart.
    """
    curves = _typed(read_table(results / "curves" / f"{experiment}.csv"))
    same = [column for column in (*SAME, *identity) if column in curves and column in records]
    if curves.empty or not {"arm", "seed"} <= set(same):
        return pd.DataFrame(columns=["arm", "round", "seed", "level"])
    rows = comparable(records).drop_duplicates(same)[[*same, "level"]]
    unlike = {column: object for column in same if curves[column].dtype != rows[column].dtype}  # a column that is empty in one of the files
    return curves.astype(unlike).merge(rows.astype(unlike), on=same)


def comparable(records: pd.DataFrame) -> pd.DataFrame:
    """The rows that may stand beside each other: those of one variant, and of these the rows of the largest scale.

    Sweeps' rows are left out, unless the records are all of one variant (`of_variant`). A run shrunk to a budget may have trained for fewer
    steps, and a longer run overwrites its rows only as it goes on; so a file holds both until the longer run is done.
    """
    records = _of_one_variant(records)
    return records[records["scale"] == max(records["scale"], key=size, default="")]


def left_out(records: pd.DataFrame) -> str:
    """'12 rows at 20min': what of the experiment as written is not `comparable`, by scale; '' where nothing is left out."""
    records = _of_one_variant(records)
    counts = records["scale"].value_counts().drop(comparable(records)["scale"].unique())
    rows = [f"{counts[scale]} row{'s' * bool(counts[scale] > 1)} at {scale or 'an unknown scale'}" for scale in sorted(counts.index, key=size)]
    return ", ".join(reversed(rows))


def of_variant(records: pd.DataFrame, variant: str) -> pd.DataFrame:
    """The rows of the experiment as written (''), or of one point of a sweep."""
    return records[records["variant"] == variant]


def _of_one_variant(records: pd.DataFrame) -> pd.DataFrame:
    return records if records["variant"].nunique() == 1 else of_variant(records, "")


def chosen(records: pd.DataFrame, where: Where) -> pd.DataFrame:
    """The rows whose columns hold one of the values named in `where`."""
    for column, values in where.items():
        records = records[records[column].isin(values)]
    return records


def scale_of(records: pd.DataFrame) -> str:
    """The scale of the records, joined where they hold several: comparable ones do not."""
    return " + ".join(sorted(set(records["scale"]) - {""}, key=size, reverse=True)) or "unknown"


def nearest(values: list[float], wanted: tuple[float, ...]) -> list[float]:
    """Of `values`, those nearest (as a ratio) to each of `wanted`, each once, in their order; all of them if no fewer are wanted."""
    if not wanted or len(values) <= len(wanted):
        return values
    picked = {min(values, key=lambda value: abs(value - w) / max(value, w, 1e-12)) for w in wanted}
    return [value for value in values if value in picked]
