"""What the born-again recipe claims, tabulates and draws. Imports neither pandas nor torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from nncompress.report.declare import Claim, Lines, Panel, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"
ORDER = ("single", "ensemble")


def error(records: DataFrame, arm: str, generation: int) -> Series:
    """Test error, by seed."""
    rows = records[(records["arm"] == arm) & (records["generation"] == generation)]
    return 1 - rows.groupby("seed")["test_accuracy"].mean()


def gain(arm: str, generation: int, over: int = 0) -> Statistic:
    """Test error of a single net of the generation `over` minus that of the arm's `generation`."""
    return lambda records: error(records, "single", over) - error(records, arm, generation)


def with_error(records: DataFrame) -> DataFrame:
    """The records with `test_error`."""
    return records.assign(test_error=1 - records["test_accuracy"])


CLAIMS = (
    Claim(
        "born_again_better",
        "Furlanello et al. 2018, of DenseNet-80-80 on CIFAR-100: the first born-again net has fewer errors than its teacher.",
        0.009, gain("single", 1), low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "third_generation_better",
        "Furlanello et al. 2018, of DenseNet-80-80 on CIFAR-100: the third generation has fewer errors than the first net.",
        0.0166, gain("single", 3), low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "ensemble_better",
        "Furlanello et al. 2018, of DenseNet-80-80 on CIFAR-100: three generations together have fewer errors than the third alone.",
        0.0036, gain("ensemble", 3, over=3), low=0, unit="pp", kind="transferred",
    ),
)  # fmt: skip
TABLES = (
    Table(
        "error", "Test error, %, by generation (0: the first net)", "test_error", columns="generation", order=ORDER, where={"arm": ORDER},
        derive=with_error,
    ),
    Table("temperature", "Test error of the first born-again net, %, by temperature", "test_error", columns="temperature", derive=with_error),
    Table("loss", "Test loss, by generation", "test_loss", unit="", columns="generation", order=ORDER, where={"arm": ORDER}),
)  # fmt: skip
FIGURES = (
    Lines(
        "generations", "Born-again generations, alone and together",
        (Panel("test_error", "test error, %", "%", zoom=True), Panel("test_loss", "test loss")),
        x="generation", x_label="generation", order=ORDER, where={"arm": ORDER}, derive=with_error,
    ),
)  # fmt: skip
