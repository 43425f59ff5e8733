"""What the search over hinton_mnist's recipe tabulates and draws: the validation split alone. Imports neither pandas nor torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.hinton_mnist_claims import ARM_ORDER
from nncompress.report.declare import Claim, Lines, Panel, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def with_validation_error(records: DataFrame) -> DataFrame:
    """The records with `validation_error`, after the last step."""
    return records.assign(validation_error=1 - records["validation_accuracy"])


def distilled_is_better(records: DataFrame) -> Series:
    """Validation error of the plain net minus that of the distilled net, by seed."""
    counted = with_validation_error(records)
    plain, distilled = (counted[counted["arm"] == arm].groupby("seed")["validation_error"].mean() for arm in ("plain", "distilled"))
    return plain - distilled


CLAIMS = (
    Claim(
        "distilled_beats_plain", "On validation images the distilled net makes fewer errors than the plain net.",
        None, distilled_is_better, low=0, minimum_seeds=2, unit="pp", kind="ours",
    ),
)  # fmt: skip
TABLES = (
    Table("error", "Validation error, %", "validation_error", columns="dataset", order=ARM_ORDER, derive=with_validation_error),
    Table("loss", "Validation loss", "validation_loss", unit="", columns="dataset", order=ARM_ORDER),
    Table("divergence", "KL from teacher to student on validation images, nats", "validation_divergence", unit="", columns="dataset"),
)
FIGURES = (
    Lines(
        "validation", "Validation during training",
        (Panel("validation_accuracy", "validation accuracy, %", "%", zoom=True), Panel("validation_loss", "validation loss", zoom=True)),
        x="step", x_label="training step", order=ARM_ORDER, source="curves",
    ),
)  # fmt: skip
