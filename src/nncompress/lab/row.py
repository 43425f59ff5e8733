"""A row of a table before it is measured: the stage that yields its numbers, and the columns that identify it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nncompress.lab.stage import Stage

Value: TypeAlias = str | int | float


@dataclass(frozen=True)
class Row:
    """`columns` identify the row among its experiment's (arm, round, seed, ...); the numbers are the stage's metrics.

    `keep_curves`: also write the stage's learning curves to the results. `keep_arrays`: names of small arrays of the stage that are written
    there too, for pictures. `keep_file`: the name under which the bytes of its array `file` are.
    """

    stage: Stage
    columns: dict[str, Value]
    keep_curves: bool = False
    keep_arrays: tuple[str, ...] = ()
    keep_file: str = ""

    @property
    def label(self) -> str:
        """What a person calls this row: 'winning_ticket round=3 seed=0'."""
        return " ".join(str(value) if name == "arm" else f"{name}={value}" for name, value in self.columns.items())
