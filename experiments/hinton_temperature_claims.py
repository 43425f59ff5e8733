"""What the temperature recipe claims, tabulates and draws. Imports neither pandas nor torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from experiments.hinton_mnist_claims import with_errors
from nncompress.report.declare import Claim, HeatMap, Lines, Panel, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def errors(records: DataFrame, units: int, low: float, high: float) -> Series:
    """Mean test errors of the students with so many units at temperatures in [low, high], by seed."""
    rows = with_errors(records)
    rows = rows[(rows["arm"] == "temperature") & (rows["units"] == units) & rows["temperature"].between(low, high)]
    return rows.groupby("seed")["test_errors"].mean()


def from_8_on(units: int) -> Callable[[DataFrame], Series]:
    """Errors at temperature 8 minus the mean of those at higher ones, by seed."""
    return lambda records: errors(records, units, 8, 8) - errors(records, units, 8.001, 1000)


CLAIMS = (
    Claim(
        "small_nets_want_low_temperatures", "With 30 units, temperatures from 2.5 to 4 give fewer errors than temperatures of 20 and more.",
        None, lambda records: errors(records, 30, 20, 1000) - errors(records, 30, 2.5, 4), low=0,
    ),
    Claim(
        "small_nets_want_soft_targets", "With 30 units, temperatures from 2.5 to 4 give fewer errors than temperature 1.",
        None, lambda records: errors(records, 30, 1, 1) - errors(records, 30, 2.5, 4), low=0,
    ),
    Claim(
        "wide_nets_do_not_care_300", "With 300 units, temperature 8 and higher ones differ by less than 10 errors.",
        None, from_8_on(300), low=-10, high=10,
    ),
    Claim(
        "wide_nets_do_not_care_800", "With 800 units, temperature 8 and higher ones differ by less than 10 errors.",
        None, from_8_on(800), low=-10, high=10,
    ),
)  # fmt: skip
TABLES = (
    Table(
        "temperature", "Test errors of students by units (rows) and temperature", "test_errors", unit="", index="units", columns="temperature",
        where={"arm": ("temperature",)}, derive=with_errors,
    ),
    Table(
        "plain", "Test errors of nets that learn the labels alone, by units", "test_errors", unit="", columns="units",
        where={"arm": ("plain",)}, derive=with_errors,
    ),
    Table(
        "hard_weight", "Test errors of the widest student by the weight of the hard labels", "test_errors", unit="", columns="hard_weight",
        where={"arm": ("hard_weight",)}, derive=with_errors,
    ),
)  # fmt: skip
FIGURES = (
    HeatMap(
        "temperature", "Test errors by temperature and units", "test_errors", "test errors", "temperature", "units",
        "temperature", "units in each hidden layer", where={"arm": ("temperature",)}, derive=with_errors,
    ),
    Lines(
        "hard_weight", "Test errors by the weight of the hard labels",
        (Panel("test_errors", "test errors"),), x="hard_weight", x_label="weight of the hard labels",
        where={"arm": ("hard_weight",)}, derive=with_errors,
    ),
)  # fmt: skip
