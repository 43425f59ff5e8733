"""Tidy records: CSV files in which every row is known by its identifying columns, so that a later run refines what an earlier one left."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from nncompress.errors import UserError
from nncompress.files import replace_file, writing
from nncompress.scales import size

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = ("experiment", "dataset", "model", "variant", "arm", "round", "rewind_step", "seed")
"""What makes a record the same record. The scale does not: the paper's scale takes the place of a shorter run of the same row."""

COLUMNS = (
    *("experiment", "scale", "dataset", "model", "variant", "arm", "round", "rewind_step", "seed", "step"),
    *("density", "density_*", "steps", "precision"),
    *("validation_loss", "validation_accuracy", "train_loss", "train_accuracy", "test_loss", "test_accuracy"),
    *("early_stop_step", "early_stop_validation_loss", "early_stop_loss", "early_stop_accuracy"),
    *("early_stop_train_accuracy", "early_stop_validation_accuracy", "instability", "train_instability"),
    *("train_flops", "total_flops", "seconds", "total_seconds"),
    *("key", "device", "commit", "torch", "date"),
)
"""The order of columns; `density_*` stands for every layer's. Other columns follow in alphabetical order."""

MEND = "choose another folder with lab.results=FOLDER"
_DIGITS = 8
"""Significant digits of a fraction: more than float32 measures."""

_Group = dict[tuple[str, ...], dict[str, str]]


def upsert(path: Path, rows: Iterable[Mapping[str, Any]], identity: Sequence[str] = IDENTITY, along: Sequence[str] = ()) -> None:
    """Write rows into a CSV file: they take the place of rows with the same identity, the others stay.

    A row never replaces one of a larger scale, nor within a scale one of a longer run: what counts is `scale`, then `steps` (for curves the
    last `step`); between equals the new one stands. The file depends only on the rows in it (sorted, canonical numbers), so writing the same
    rows again changes no byte. Several processes may write at once.

    Args:
        path: the CSV file, made with its folder when missing.
        rows: column -> value; None and NaN are empty cells.
        identity: columns that identify a record.
        along: columns that tell apart the rows of one identity, `("step",)` for curves; all rows of an identity are then replaced together.

    Raises: UserError when the folder cannot be written, the disk is full or the file is no table.
    """
    new = _grouped(({name: text(value) for name, value in row.items()} for row in rows), identity, along)
    if not new:
        return
    path = Path(path)
    with writing(path.parent, MEND):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            old_content = path.read_bytes() if path.exists() else b""
            groups = _grouped(_parse(path, old_content), identity, along)
            for name, group in new.items():
                if name not in groups or _rank(group) >= _rank(groups[name]):
                    groups[name] = group
            content = _render([row for group in groups.values() for row in group.values()], identity, along)
            if content != old_content:
                replace_file(path, content, path.with_name(f".{path.name}.tmp"))


def read(path: Path) -> pd.DataFrame:
    """The records as a frame: numbers as numbers, empty cells as NaN, but an empty `variant` as ''.

    Raises: UserError when there is no such file.
    """
    import pandas as pd

    if not Path(path).exists():
        raise UserError(f"there are no records at {path}: run the experiment first")
    words = dict.fromkeys(("variant", "key", "commit"), str)
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=words, float_precision="round_trip")
    if "variant" in frame:
        frame["variant"] = frame["variant"].fillna("")
    return frame


def text(value: Any) -> str:
    """A cell: the same value always gives the same text, 8 significant digits for fractions, words on one line; None and NaN are empty."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, Real):
        return " ".join(str(value).splitlines())
    if isinstance(value, Integral):
        return str(int(value))
    number = float(value)
    if math.isnan(number):
        return ""
    if not number.is_integer() and math.isfinite(number):
        number = float(f"{number:.{_DIGITS}g}")
    if number.is_integer() and abs(number) < 2**53:
        return str(int(number))
    return f"{number:.{_DIGITS}g}"


def _grouped(rows: Iterable[Mapping[str, str]], identity: Sequence[str], along: Sequence[str]) -> dict[tuple[str, ...], _Group]:
    """Rows by identity, then by the columns `along`; of equal ones the last of the longest run stands."""
    groups: dict[tuple[str, ...], _Group] = {}
    for row in rows:
        group = groups.setdefault(tuple(row.get(name, "") for name in identity), {})
        place = tuple(row.get(name, "") for name in along)
        if place not in group or _rank({place: dict(row)}) >= _rank({place: group[place]}):
            group[place] = dict(row)
    return groups


def _rank(group: _Group) -> tuple[tuple[int, float, str], float]:
    """How much a record is worth: its scale, then the length of its run."""
    rows = group.values()
    return max(size(row.get("scale", "")) for row in rows), max(_number(row.get("steps") or row.get("step")) for row in rows)


def _number(cell: str | None) -> float:
    try:
        return float(cell or 0)
    except ValueError:
        return 0.0


def _parse(path: Path, content: bytes) -> list[dict[str, str]]:
    try:
        lines = list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no table ({error}): mend or remove it") from error
    header = lines[0] if lines else []
    for number, line in enumerate(lines, start=1):
        if len(line) != len(header):
            raise UserError(f"{path} is no table (row {number} has {len(line)} cells, the header {len(header)}): mend or remove it")
    return [dict(zip(header, line, strict=True)) for line in lines[1:]]


def _render(rows: list[dict[str, str]], identity: Sequence[str], along: Sequence[str]) -> bytes:
    keys = [*identity, *along]
    filled = {name for row in rows for name, cell in row.items() if cell != ""}
    columns = sorted(filled | set(identity), key=lambda name: _column_order(name, keys))
    rows = sorted(rows, key=lambda row: [_cell_order(row.get(name, "")) for name in keys])
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def _column_order(name: str, keys: Sequence[str]) -> tuple[float, str]:
    pattern = "density_*" if name.startswith("density_") else name
    if pattern in COLUMNS:
        return COLUMNS.index(pattern), name
    if name in keys:  # a column by which another recipe identifies its rows, such as `temperature`: beside the seed
        return COLUMNS.index("seed") - 0.5, f"{keys.index(name):04d}"
    return len(COLUMNS), name


def _cell_order(cell: str) -> tuple[bool, float, str]:
    """Numbers by size, before words; empty first."""
    try:
        number = float(cell or "-inf")
    except ValueError:
        number = math.nan
    return (True, 0.0, cell) if math.isnan(number) else (False, number, cell)
