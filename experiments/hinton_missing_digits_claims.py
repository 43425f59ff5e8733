"""What the recipe of the missing digits claims, tabulates and draws. Imports neither pandas nor torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from nncompress.report.declare import Claim, Lines, Panel, Published, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"
CORRECTIONS = {"before": "no shift", "matched": "matched to the prior", "tuned": "tuned on the test split"}


def metric(arm: str, name: str) -> Statistic:
    """The arm's metric, by seed."""
    return lambda records: records[records["arm"] == arm].groupby("seed")[name].mean()


def right(arm: str, suffix: str) -> Statistic:
    """Share of the missing class that is right."""

    def statistic(records: DataFrame) -> Series:
        mine = records[records["arm"] == arm].set_index("seed")
        return 1 - mine[f"class_errors_{suffix}"] / mine["class_examples"]

    return statistic


def error_rate(arm: str, suffix: str) -> Statistic:
    return lambda records: 1 - metric(arm, f"test_accuracy_{suffix}")(records)


def by_correction(records: DataFrame) -> DataFrame:
    """One row per arm, seed and correction: `errors` on the test split, `class_right` (share of the shifted classes)."""
    from pandas import concat

    measured = records[records["class_examples"].notna()]
    return concat(
        [
            measured.assign(
                correction=words,
                errors=measured[f"test_errors_{suffix}"],
                class_right=1 - measured[f"class_errors_{suffix}"] / measured["class_examples"],
                bias_shift=measured[f"shift_{suffix}"] if suffix != "before" else None,
            )
            for suffix, words in CORRECTIONS.items()
        ],
        ignore_index=True,
    )


def near_the_valley(curves: DataFrame) -> DataFrame:
    """The curves where shifts are at most 10: beyond, errors are many, and the valley is lost beside them."""
    return curves[curves["shift"].abs() <= 10]


WITHOUT, ONLY = "without_3", "only_7_and_8"
CLAIMS = (
    Claim(
        "threes_before", "Taught without a three, the student gets at least 80 % of the test threes right, its biases as they are.",
        0.868, right(WITHOUT, "before"), low=0.8, unit="%",
    ),
    Claim(
        "threes_after", "After the shift of the bias that is best on the test split, as in the paper, at least 97 % of the threes are right.",
        0.986, right(WITHOUT, "tuned"), low=0.97, unit="%",
    ),
    Claim(
        "errors_after", "After that shift the student makes at most 130 errors in all.",
        109, metric(WITHOUT, "test_errors_tuned"), high=130,
    ),
    Claim(
        "only_7_and_8_after", "Taught by sevens and eights alone, after the shift that is best on the test split less than 20 % are wrong.",
        0.132, error_rate(ONLY, "tuned"), high=0.2, unit="%",
    ),
    Claim(
        "threes_after_without_test_data", "A shift that makes the mean probability of a three its known frequency, for which no test image is "
        "looked at, leaves at least 97 % of the threes right, too.",
        None, right(WITHOUT, "matched"), low=0.97, unit="%", kind="ours",
    ),
)  # fmt: skip
ARMS = ("without_3", "only_7_and_8")
TABLES = (
    Table("errors", "Test errors, by how the bias was shifted", "errors", unit="", columns="correction", order=ARMS, derive=by_correction),
    Table(
        "class_right", "Share right of the classes whose bias is shifted, %", "class_right",
        columns="correction", order=ARMS, derive=by_correction,
    ),
    Table("shift", "The shift", "bias_shift", unit="", columns="correction", order=ARMS, derive=by_correction),
    Published(
        "paper", "The paper's numbers beside ours",
        {"test_errors_before": "", "test_errors_tuned": "", "class_errors_before": "", "class_errors_tuned": "", "shift_tuned": "",
         "test_accuracy_before": "%", "test_accuracy_tuned": "%"},
    ),
)  # fmt: skip
FIGURES = (
    Lines(
        "shift", "Test error against the shift of the bias",
        (
            Panel("test_error", "without 3: test error, %", "%", where={"arm": (WITHOUT,)}),
            Panel("test_error", "only 7 and 8: test error, %", "%", where={"arm": (ONLY,)}),
            Panel("class_error", "error on the shifted classes, %", "%"),
        ),
        x="shift", x_label="shift", order=ARMS, source="curves", derive=near_the_valley,
    ),
)  # fmt: skip
