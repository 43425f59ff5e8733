"""What the recipe of okz12's soft weight sharing claims, tabulates and draws. Imports neither pandas nor torch.

Sparsity counts weights and biases; accuracies are of the net that was read back from the file, or of the net before it was put at the means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.compressed_files import Statistic, of
from experiments.soft_weight_sharing_claims import FIGURES, FILES, HEADLINE, SHARED, by_layer, with_errors
from nncompress.report.declare import Claim, Published, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

__all__ = ["CLAIMS", "FIGURES", "TABLES"]


def sparsity(records: DataFrame) -> Series:
    """Share of weights and biases that are pruned."""
    return of("soft_weight_sharing", "density")(records).rsub(1)


def accuracy_if_sparse(least: float) -> Statistic:
    """Test accuracy of the nets that are at least so sparse; those that are not say nothing of it."""

    def statistic(records: DataFrame) -> Series:
        return of("soft_weight_sharing", "test_accuracy")(records)[sparsity(records) >= least]

    return statistic


CLAIMS = (
    Claim("page_sparsity", "At least 98 % of the weights are pruned.", 0.98, sparsity, low=0.98, unit="%"),
    Claim(
        "page_accuracy", "A net without 98 % of its weights answers 96.9 % of the test images rightly, or more.",
        0.969, accuracy_if_sparse(0.98), low=0.969, unit="%",
    ),
    Claim("logs_sparsity", "At least 95.5 % of the weights are pruned.", 0.9589, sparsity, low=0.955, unit="%"),
    Claim(
        "logs_accuracy_before", "Before pruning the net answers 96.4 to 97.4 % of the test images rightly.",
        0.9689, of("soft_weight_sharing", "test_accuracy_before"), low=0.964, high=0.974, unit="%",
    ),
    Claim(
        "logs_accuracy", "A net without 95.5 % of its weights answers at least 96.3 % of the test images rightly.",
        0.9627, accuracy_if_sparse(0.955), low=0.963, unit="%",
    ),
)  # fmt: skip


def with_sparsity(records: DataFrame) -> DataFrame:
    """The records with `sparsity`, and the columns of `with_errors`."""
    return with_errors(records).assign(sparsity=1 - records["density"] if "density" in records else None)


UNITS = {"test_accuracy": "%", "test_accuracy_before": "%", "sparsity": "%"}
NOTE = (
    "The page's 96.9 % is its logs' accuracy before pruning, and its 98.0 % is nowhere in them: their highest is 97.25 %, at epochs 62 to 64."
)
TABLES = (
    Table("accuracy", "Test accuracy of the net read back from the file, %", "test_accuracy", columns="dataset", order=HEADLINE, where=FILES),
    Table("kept", "Weights that are kept, %", "density", columns="layer", order=SHARED, where={"arm": SHARED}, derive=by_layer),
    Table("rate", "Bytes of the float32 parameters over those of the file", "rate", unit="×", columns="dataset", order=HEADLINE, where=FILES),
    Published("paper", "The repository's numbers beside ours", UNITS, derive=with_sparsity, note=NOTE),  # type: ignore[arg-type]
)  # fmt: skip
