"""What the temperature recipe claims, tabulates and draws. Imports neither pandas nor torch."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from experiments.hinton_mnist_claims import with_errors
from nncompress.report.declare import Claim, HeatMap, Lines, Panel, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def by_temperature(records: DataFrame, units: int, low: float = 0, high: float = inf) -> DataFrame:
    """The students with so many units at temperatures in [low, high], with `test_errors`."""
    rows = with_errors(records)
    return rows[(rows["arm"] == "temperature") & (rows["units"] == units) & rows["temperature"].between(low, high)]


def errors(records: DataFrame, units: int, low: float, high: float = inf) -> Series:
    """Mean test errors of the students with so many units at temperatures in [low, high], by seed."""
    return by_temperature(records, units, low, high).groupby("seed")["test_errors"].mean()


def spread_from_8_on(units: int) -> Callable[[DataFrame], Series]:
    """The most errors minus the fewest of the students with so many units at temperatures of 8 and more, by seed."""

    def statistic(records: DataFrame) -> Series:
        errors = by_temperature(records, units, 8).groupby("seed")["test_errors"]
        return errors.max() - errors.min()

    return statistic


def best_from_2_to_5(records: DataFrame) -> Series:
    """With 30 units, the fewest errors at any temperature outside of 2 to 5 minus the fewest within, by seed."""
    rows = by_temperature(records, 30)
    within = rows["temperature"].between(2, 5)
    return rows[~within].groupby("seed")["test_errors"].min() - rows[within].groupby("seed")["test_errors"].min()


def of_the_widest(records: DataFrame) -> DataFrame:
    """The records of the widest students alone, with `test_errors`: a run of fewer widths tries the weight of the labels on another."""
    return with_errors(records[records["units"] == records["units"].max()])


CLAIMS = (
    Claim(
        "small_nets_want_low_temperatures", "With 30 units, temperatures from 2.5 to 4 give fewer errors than temperatures of 8 and more.",
        None, lambda records: errors(records, 30, 8) - errors(records, 30, 2.5, 4), low=0,
    ),
    Claim(
        "small_nets_want_soft_targets", "With 30 units, temperatures from 2.5 to 4 give fewer errors than temperature 1.",
        None, lambda records: errors(records, 30, 1, 1) - errors(records, 30, 2.5, 4), low=0,
    ),
    Claim(
        "small_nets_best_from_2_to_5", "With 30 units, the best temperature lies between 2 and 5: any other has more errors.",
        None, best_from_2_to_5, low=0, kind="ours",
    ),
    *(
        Claim(
            f"wide_nets_do_not_care_{units}",
            f"With {units} units, temperatures from 8 on give about the same: most and fewest errors are at most 10 apart, a bound of ours.",
            None, spread_from_8_on(units), high=10, bounds=(0, inf),
        )
        for units in (300, 800)
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
        where={"arm": ("hard_weight",)}, derive=of_the_widest,
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
        where={"arm": ("hard_weight",)}, derive=of_the_widest,
    ),
)  # fmt: skip
