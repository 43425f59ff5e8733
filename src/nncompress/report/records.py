"""Reading records: whatever is there, in the types and columns that the report counts on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from nncompress.errors import UserError
from nncompress.report.declare import Where

WORDS = ("experiment", "scale", "dataset", "model", "variant", "arm", "precision", "key", "device")
NUMBERS = (
    "round", "rewind_step", "seed", "density", "steps", "validation_loss", "validation_accuracy", "train_loss", "train_accuracy",
    "test_loss", "test_accuracy", "early_stop_step", "early_stop_validation_loss", "early_stop_loss", "early_stop_accuracy", "instability",
    "train_instability", "train_flops", "total_flops", "seconds", "total_seconds",
)  # fmt: skip


def tidy(records: pd.DataFrame) -> pd.DataFrame:
    """The records with every standard column, words as text ('' where empty), numbers as floats (NaN where empty or unreadable).

    `level` is added: the mean density of the rows of one round, so that arms that differ by a few weights share a place on the axis.
    """
    records = records.reindex(columns=[*records.columns, *(c for c in (*WORDS, *NUMBERS) if c not in records.columns)])
    for column in WORDS:
        records[column] = records[column].astype(object).where(records[column].notna(), "").astype(str)
    for column in {*NUMBERS, *(c for c in records.columns if c.startswith("density_"))}:
        records[column] = pd.to_numeric(records[column], errors="coerce").astype(float)
    per_round = records.groupby(["model", "variant", "round"])["density"].transform("mean") if len(records) else records["density"]
    return records.assign(level=per_round.where(per_round.notna(), records["density"]))


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


def read_records(results: Path, experiment: str) -> pd.DataFrame:
    """`records/<experiment>.csv`, tidied; empty if nothing is recorded yet."""
    return tidy(read_table(results / "records" / f"{experiment}.csv"))


def read_curves(results: Path, experiment: str, records: pd.DataFrame) -> pd.DataFrame:
    """`curves/<experiment>.csv` with the density `level` of the records they belong to."""
    curves = read_table(results / "curves" / f"{experiment}.csv")
    if curves.empty or not {"arm", "round", "seed"} <= set(curves):
        return pd.DataFrame(columns=["arm", "round", "seed", "level"])
    if "variant" in curves:
        curves = curves[curves["variant"].isna() | (curves["variant"] == "")]
    levels = as_written(records).groupby("round")["level"].mean()
    return curves.assign(level=curves["round"].map(levels))


def as_written(records: pd.DataFrame) -> pd.DataFrame:
    """The rows of the experiment as written: none of a sweep's."""
    return records[records["variant"] == ""]


def chosen(records: pd.DataFrame, where: Where) -> pd.DataFrame:
    """The rows whose columns hold one of the values named in `where`."""
    for column, values in where.items():
        records = records[records[column].isin(values)]
    return records


def scale_of(records: pd.DataFrame) -> str:
    """The scale of the records, joined where they hold several."""
    return " + ".join(sorted(set(records["scale"]) - {""})) or "unknown"


def nearest(values: list[float], wanted: tuple[float, ...]) -> list[float]:
    """Of `values`, those nearest (as a ratio) to each of `wanted`, each once, in their order; all of them if no fewer are wanted."""
    if not wanted or len(values) <= len(wanted):
        return values
    picked = {min(values, key=lambda value: abs(value - w) / max(value, w, 1e-12)) for w in wanted}
    return [value for value in values if value in picked]
