"""What the recipe on soft targets as regularisers claims, tabulates and draws. Imports neither pandas nor torch.

As in the paper's Table 5, a net that learns the labels of little data is stopped early, here at the minimum of its validation loss; the others
are measured after their last step. Since a net may be right more often after that minimum, it stands beside it as it is after its last step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from nncompress.report.declare import Claim, Lines, Panel, Published, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"
ALL, FEW, SOFT = ORDER = ("labels_of_all", "labels_of_few", "soft_targets_of_few")


def as_in_the_paper(records: DataFrame) -> DataFrame:
    """The records with `reported_train_accuracy` and `reported_test_accuracy`: at the early stop, of the arm that is stopped early."""
    early = records["arm"] == FEW
    train = records["train_accuracy"].where(~early, records["early_stop_train_accuracy"])
    test = records["test_accuracy"].where(~early, records["early_stop_accuracy"])
    return records.assign(reported_train_accuracy=train, reported_test_accuracy=test)


def by_split(records: DataFrame) -> DataFrame:
    """One row per arm, seed and split: `reported_accuracy`."""
    from pandas import concat

    reported = as_in_the_paper(records)
    return concat([reported.assign(split=name, reported_accuracy=reported[f"reported_{name}_accuracy"]) for name in ("train", "test")])


def after_the_last_step(records: DataFrame) -> DataFrame:
    """One row per arm, seed and split: `accuracy` after the last step, of the arm that is stopped early, too."""
    from pandas import concat

    return concat([records.assign(split=name, accuracy=records[f"{name}_accuracy"]) for name in ("train", "test")])


def by_seed(records: DataFrame, arm: str, metric: str) -> Series:
    rows = as_in_the_paper(records)
    return rows[rows["arm"] == arm].groupby("seed")[metric].mean()


def accuracy(records: DataFrame, arm: str) -> Series:
    return by_seed(records, arm, "reported_test_accuracy")


def errors_over_those_of_all(records: DataFrame) -> Series:
    """Test error with labels of little data over that with the labels of all."""
    return (1 - accuracy(records, FEW)) / (1 - accuracy(records, ALL))


def gap_recovered(records: DataFrame) -> Series:
    """Share of the accuracy that little data cost which soft targets bring back."""
    few = accuracy(records, FEW)
    return (accuracy(records, SOFT) - few) / (accuracy(records, ALL) - few)


def overfit(records: DataFrame, arm: str) -> Series:
    """Train accuracy minus test accuracy."""
    return by_seed(records, arm, "reported_train_accuracy") - accuracy(records, arm)


def gained_over_labels_to_the_end(records: DataFrame) -> Series:
    """Test accuracy of soft targets minus that of labels of little data, both after their last step."""
    return by_seed(records, SOFT, "test_accuracy") - by_seed(records, FEW, "test_accuracy")


def lost_after_early_stop(records: DataFrame) -> Series:
    """Validation accuracy of soft targets at the minimum of the validation loss minus that after the last step."""
    return by_seed(records, SOFT, "early_stop_validation_accuracy") - by_seed(records, SOFT, "validation_accuracy")


OF_SPEECH = "Hinton et al. 2015, of speech:"
CLAIMS = (
    Claim(
        "little_data_cost", f"{OF_SPEECH} with 3 % of the data labels alone, stopped early, make at least 1.175 times the errors that they "
        "make with all, half of what the paper's net lost.",
        1.35, errors_over_those_of_all, low=1.175, unit="×", geometric=True, kind="transferred",
    ),
    Claim(
        "soft_targets_better", f"{OF_SPEECH} with 3 % of the data soft targets are better than labels.",
        0.125, lambda records: accuracy(records, SOFT) - accuracy(records, FEW), low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "gap_recovered", f"{OF_SPEECH} soft targets bring back at least 75 % of the accuracy that 3 % of the data cost.",
        0.868, gap_recovered, low=0.75, unit="%", kind="transferred",
    ),
    Claim(
        "less_overfit", f"{OF_SPEECH} with 3 % of the data, soft targets leave less between train and test accuracy than labels do.",
        0.144, lambda records: overfit(records, FEW) - overfit(records, SOFT), low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "no_early_stopping", f"{OF_SPEECH} soft targets need no early stopping: at the end of training they are at most a point less accurate "
        "on the validation split than at the minimum of its loss.",
        None, lost_after_early_stop, high=0.01, unit="pp", kind="transferred",
    ),
    Claim(
        "better_without_early_stop", "With 3 % of the data soft targets are better than labels, too, where labels are learnt to the last step.",
        None, gained_over_labels_to_the_end, low=0, unit="pp", kind="ours",
    ),
)  # fmt: skip
TABLES = (
    Table("accuracy", "Accuracy, labels of few stopped early, %", "reported_accuracy", columns="split", order=ORDER, derive=by_split),
    Table("last_step", "Accuracy after the last step, where no net is stopped early, %", "accuracy", columns="split", order=ORDER,
          derive=after_the_last_step),
    Table("early_stop_step", "Step of the lowest validation loss", "early_stop_step", unit="steps", columns="dataset", order=ORDER,
          where={"arm": (FEW, SOFT)}),
    Published("paper", "The paper's numbers beside ours", {"reported_train_accuracy": "%", "reported_test_accuracy": "%"},
              derive=as_in_the_paper),
)  # fmt: skip
FIGURES = (
    Lines(
        "validation", "Validation during training on 3 % of the data",
        (Panel("validation_accuracy", "validation accuracy, %", "%", zoom=True), Panel("validation_loss", "validation loss")),
        x="step", x_label="training step", order=ORDER, source="curves",
    ),
)  # fmt: skip
