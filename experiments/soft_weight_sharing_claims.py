"""What the recipe of soft weight sharing (Ullrich, Meeds & Welling 2017) claims, tabulates and draws. Imports neither pandas nor torch.

Sizes are those of files; a rate is the float32 bytes of all parameters over them. Errors are of the net that was read back from the file.
Shares of weights that are kept count biases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.compressed_files import error_over_reference, of, with_error
from nncompress.report.declare import Claim, Joint, Kind, Lines, Matrices, MixtureCourse, Panel, Published, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

LENET_300_100, LENET_5 = ("lenet_300_100",), ("lenet_5_relu",)
LAYERS = ("conv1", "conv2", "fc1", "fc2", "fc3")
HEADLINE = ("reference", "soft_weight_sharing", "no_hyper_priors", "nearest_mean")
FILED = (*HEADLINE, "even_starts", "no_hyper_priors_as_tutorial", "learnt_zero_share")
SHARED = FILED[1:]


def error_of_quantizing(records: DataFrame) -> Series:
    """Test error at the means of the mixture minus that of the weights as they were trained under it."""
    return of("soft_weight_sharing", "test_accuracy_before")(records) - of("soft_weight_sharing", "test_accuracy")(records)


def kept_more_by_the_nearest_mean(records: DataFrame) -> Series:
    """Share of weights that the nearest mean keeps minus the share that responsibility keeps."""
    return of("nearest_mean", "density")(records) - of("soft_weight_sharing", "density")(records)


def headline(
    name: str, model: tuple[str, ...], arm: str, kind: Kind, rate: float, least: float, kept: float, most: float, change: float
) -> tuple[Claim, ...]:
    """The claims on one net, of one arm. `rate`, `kept`, `change`: the printed size ratio, share of weights, rise of the error; `least`,
    `most`: what counts as the first two."""
    return (
        Claim(
            f"{model[0]}_{arm}_rate", f"The file of {name} is at least {least:g} times smaller than its float32 parameters.",
            rate, of(arm, "rate"), low=least, unit="×", models=model, geometric=True, kind=kind,
        ),
        Claim(
            f"{model[0]}_{arm}_kept", f"At most {100 * most:g} % of the weights and biases of {name} are kept.",
            kept, of(arm, "density"), high=most, unit="%", models=model, kind=kind,
        ),
        Claim(
            f"{model[0]}_{arm}_little_loss", f"The {name} read back from it errs at most 0.2 pp more often than the dense net.",
            change, error_over_reference(arm), high=0.002, unit="pp", models=model, kind=kind,
        ),
    )  # fmt: skip


CLAIMS = (
    # The numbers printed for LeNet-300-100 are of the trial without priors on the precisions; those priors are the authors' of another net.
    *headline("LeNet-300-100", LENET_300_100, "no_hyper_priors", "paper", 64.2, 55, 0.043, 0.06, 0.0005),
    *headline("LeNet-300-100 with precisions under priors", LENET_300_100, "soft_weight_sharing", "transferred", 64.2, 55, 0.043, 0.06, 0.0005),
    *headline("LeNet-5", LENET_5, "soft_weight_sharing", "paper", 162, 100, 0.005, 0.015, 0.0009),
    Claim(
        "quantizing_costs_nothing", "Putting the weights at the means raises the error by at most 0.1 pp.",
        None, error_of_quantizing, high=0.001, unit="pp", kind="transferred",  # printed in the authors' tutorial, of another net: 0.01 pp
    ),
    Claim(
        "responsibility_prunes_more", "Responsibility prunes more weights than the nearest mean does.",
        None, kept_more_by_the_nearest_mean, low=0, unit="pp", kind="ours", models=(*LENET_300_100, "mlp"),
    ),
)  # fmt: skip


def with_errors(records: DataFrame) -> DataFrame:
    """The records with their errors and `quantizing_error`, by how much the test error exceeds that of the weights as trained."""
    before = records.get("test_accuracy_before")
    found = with_error(records)
    return found.assign(quantizing_error=None if before is None else before - records["test_accuracy"])


def by_layer(records: DataFrame) -> DataFrame:
    """Of each file, one row per layer and seed: `density` of its weights."""
    from pandas import concat

    parts = [records.assign(layer=layer, density=records[column]) for layer in LAYERS if (column := f"density_{layer}") in records]
    whole = [records.assign(layer="all, with biases")] if "density" in records else []
    return concat(parts + whole, ignore_index=True) if parts + whole else records.assign(layer="", density=0.0)


FILES = {"arm": FILED}
UNITS = {
    "test_error": "%",
    "error_over_reference": "pp",
    "rate": "×",
    "density": "%",
    "density_fc1": "%",
    "density_fc2": "%",
    "density_fc3": "%",
}
TABLES = (
    Table(
        "error", "Test error of the net read back from the file, %", "test_error", columns="dataset", order=FILED, where=FILES,
        derive=with_errors,
    ),
    Table("rate", "Bytes of the float32 parameters over those of the file", "rate", unit="×", columns="dataset", order=FILED, where=FILES),
    Table("kept", "Weights that are kept, %", "density", columns="layer", order=SHARED, where={"arm": SHARED}, derive=by_layer),
    Table(
        "quantizing", "Rise of the test error when weights are put at the means, pp", "quantizing_error", unit="pp", columns="dataset",
        order=SHARED, where={"arm": SHARED}, derive=with_errors,
    ),
    Table(
        "means", "Values that the kept weights have", "means", unit="", columns="dataset", order=SHARED, where={"arm": SHARED},
    ),
    Table(
        "taus", "Test error, %, by the weight of the prior", "test_error", columns="tau", where={"arm": ("tau",)}, derive=with_errors,
    ),
    Table("tau_rates", "Bytes over those of the file, by the weight of the prior", "rate", unit="×", columns="tau", where={"arm": ("tau",)}),
    Published("paper", "The paper's numbers beside ours", UNITS, derive=with_errors),  # type: ignore[arg-type]
)  # fmt: skip
PICTURED = {"arm": ("soft_weight_sharing",)}
FIGURES = (
    Joint("joint", "Weights before and after", "joint", "edges", "weight before", "weight after", where=PICTURED),
    MixtureCourse("mixture", "The mixture while it is trained", where=PICTURED),
    Matrices("matrices", "The largest matrix", "matrices", ("before", "at the means"), "input", "unit", where=PICTURED),
    Lines(
        "taus", "The weight of the prior", (Panel("test_accuracy", "test accuracy, %", "%"), Panel("rate", "rate, ×")),
        x="tau", x_label="tau", logarithmic=True, where={"arm": ("tau",)},
    ),
)  # fmt: skip
