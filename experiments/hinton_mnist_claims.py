"""What the MNIST recipe of Hinton et al. 2015 claims and tabulates. Imports neither pandas nor torch.

Errors are counted on the test split after the last step, of 10,000 images; students are paired with the teacher of their seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from nncompress.report.declare import Claim, Dots, Published, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"
TEST_IMAGES = {"mnist": 10_000, "digits": 500}
DISTILLED = ("distilled", "distilled_without_labels", "distilled_from_ensemble")
ARM_ORDER = ("teacher", "plain", *DISTILLED, "teacher_short")
INGREDIENTS = {"jitter": "jitter of the images", "dropout": "dropout", "max_norm": "the bound on the norms of its weights"}
PUBLISHED = {"teacher": 67.0, "plain": 146.0, "distilled": 74.0}
MATCHES = {"logit_distance": "distance of logits", "divergence": "divergence, nats", "same_answers": "share of same answers"}


def with_errors(records: DataFrame) -> DataFrame:
    """The records with `test_errors`, the count of wrong answers on the test split."""
    images = records["dataset"].map(TEST_IMAGES)
    return records.assign(test_errors=((1 - records["test_accuracy"]) * images).round())


def errors(records: DataFrame, arm: str) -> Series:
    """The arm's test errors, by seed."""
    counted = with_errors(records)
    return counted[counted["arm"] == arm].groupby("seed")["test_errors"].mean()


def of(arm: str) -> Statistic:
    return lambda records: errors(records, arm)


def fewer(first: str, second: str) -> Statistic:
    """How many errors fewer the first arm makes than the second."""
    return lambda records: errors(records, second) - errors(records, first)


def gap_closed(records: DataFrame) -> Series:
    """Share of the way from the plain net to its teacher that the distilled net goes."""
    plain = errors(records, "plain")
    return (plain - errors(records, "distilled")) / (plain - errors(records, "teacher"))


def by_match(records: DataFrame) -> DataFrame:
    """One row per distilled arm, seed and `measure` on a split, its `value`: how well the student matches its teacher."""
    from pandas import concat

    students = records[records["arm"].isin(DISTILLED)]
    found = [
        students.assign(measure=f"{words}, {split}", value=students[f"{split}_{name}"])
        for name, words in MATCHES.items()
        for split in ("train", "validation", "test")
        if f"{split}_{name}" in students
    ]
    return concat(found, ignore_index=True) if found else students


CLAIMS = (
    Claim("teacher_errors", "The teacher makes 55 to 79 errors.", 67, of("teacher"), low=55, high=79),
    Claim("plain_errors", "The plain net makes 126 to 166 errors.", 146, of("plain"), low=126, high=166),
    Claim("distilled_errors", "The distilled net makes 59 to 89 errors.", 74, of("distilled"), low=59, high=89),
    Claim("distilled_beats_plain", "The distilled net makes fewer errors than the plain net.", 72, fewer("distilled", "plain"), low=0),
    Claim("teacher_beats_distilled", "The teacher makes fewer errors than the distilled net.", 7, fewer("teacher", "distilled"), low=0),
    Claim(
        "gap_closed",
        "Distillation closes at least 75 % of the gap between the plain net and its teacher.",
        0.911, gap_closed, low=0.75, unit="%",
    ),
    Claim(
        "below_70",
        "A distilled net without augmentation of its own makes fewer than 70 errors.",
        None, of("distilled"), high=70, kind="ours",
    ),
    Claim(
        "labels_not_needed", "A student that sees no labels makes within 15 errors of what the distilled net makes.",
        None, fewer("distilled", "distilled_without_labels"), low=-15, high=15, kind="ours",
    ),
    Claim(
        "ensemble_teaches_better", "Without labels, a student of several teachers together makes fewer errors than a student of one.",
        None, fewer("distilled_from_ensemble", "distilled_without_labels"), low=0, kind="ours",
    ),
    *(
        Claim(
            f"teacher_needs_{name}", f"A teacher without {words} makes more errors than a whole one that is trained as long.",
            None, fewer("teacher_short", f"teacher_without_{name}"), low=0, kind="ours",
        )
        for name, words in INGREDIENTS.items()
    ),
)  # fmt: skip
TABLES = (
    Table("errors", "Test errors", "test_errors", unit="", columns="dataset", order=ARM_ORDER, derive=with_errors),
    Table(
        "match",
        "How well students match their teachers: logits less their mean, distributions at the temperature of the distillation",
        "value",
        unit="",
        columns="measure",
        order=DISTILLED,
        derive=by_match,
    ),
    Published("paper", "The paper's numbers beside ours", {"test_errors": ""}, derive=with_errors),
)
FIGURES = (
    Dots(
        "errors", "Test errors by arm", "test_errors", "test errors",
        order=(*ARM_ORDER, *(f"teacher_without_{name}" for name in INGREDIENTS)), published=PUBLISHED, derive=with_errors,
    ),
)  # fmt: skip
