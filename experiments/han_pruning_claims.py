"""What the recipe of Han et al. 2015 claims, tabulates and draws. Imports neither pandas nor torch.

Errors are of the test split after the last step; nets are paired with the dense net of their seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.compressed_files import TRADED_OFF, Statistic, with_error
from nncompress.report.declare import Claim, Lines, Panel, Picture, Published, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

LENET_300_100, LENET_5 = ("lenet_300_100",), ("lenet_5_relu",)
TRADE_OFF = ("l2_without_retraining", "l1_without_retraining", "l1_retrained", "l2_retrained", "l2_iterative")
ARM_ORDER = ("reference", "pruned", "pruned_iteratively", *TRADE_OFF)
LAYERS = ("conv1", "conv2", "fc1", "fc2", "fc3")


def of(arm: str, metric: str) -> Statistic:
    """The arm's metric by seed; in its last round, where it has several."""

    def statistic(records: DataFrame) -> Series:
        rows = records[records["arm"] == arm].sort_values("round") if metric in records else records.iloc[:0].assign(**{metric: 0.0})
        return rows.groupby("seed")[metric].last()

    return statistic


def error(arm: str) -> Statistic:
    return lambda records: of(arm, "test_accuracy")(records).rsub(1)


def error_over_reference(arm: str) -> Statistic:
    """Test error of the arm minus that of its seed's dense net."""
    return lambda records: error(arm)(records) - error("reference")(records)


def lead(first: str, second: str, low: float, high: float) -> Statistic:
    """Test accuracy of one curve of the trade-off minus another's, mean over the shares of weights in [low, high]."""

    def curve(records: DataFrame, arm: str) -> DataFrame:
        rows = records[(records["arm"] == arm) & records["density"].between(low, high)]
        return rows.pivot_table(index="depth", columns="seed", values="test_accuracy")

    def statistic(records: DataFrame) -> Series:
        return (curve(records, first) - curve(records, second)).dropna(axis=1).mean()

    return statistic


def with_one_density_of_a_depth(records: DataFrame) -> DataFrame:
    """Nets of one depth stand in one column, though pruning in rounds leaves a few weights more or fewer than pruning at once."""
    rows = with_error(records)
    return rows.assign(level=rows.groupby("depth")["density"].transform("mean"))


def sensitivity_of_the_first_layer(records: DataFrame) -> Series:
    """Accuracy lost by pruning the first layer alone minus that by the most sensitive of the others, mean over the shares kept."""
    rows = records[records["arm"] == "sensitivity"]
    table = rows.pivot_table(index="kept_share", columns=["layer", "seed"], values="test_accuracy")
    layers = [layer for layer in LAYERS if layer in table.columns.get_level_values(0)]
    if len(layers) < 2:
        return rows.groupby("seed")["test_accuracy"].mean().iloc[:0]
    lost = -table.mean().unstack("layer")
    return lost[layers[0]] - lost[layers[1:]].max(axis=1)


def headline(
    name: str,
    models: tuple[str, ...],
    error_range: tuple[float, float],
    printed: tuple[float, float],
    allowed: float,
    totals: tuple[float, ...],
) -> tuple[Claim, ...]:
    """The claims on one net. `printed`: error of the dense net, and by how much the pruned net's differs. `allowed`: rise of the error
    that still counts as none.
    `totals`: share of operations, its tolerance, share of outputs that are not zero."""
    flops, tolerance, activation = totals
    reference, change = printed
    return (
        Claim(
            f"{models[0]}_reference", f"The dense {name} errs on {100 * error_range[0]:g} to {100 * error_range[1]:g} % of the test images.",
            reference, error("reference"), *error_range, unit="%", models=models,
        ),
        Claim(
            f"{models[0]}_rate", f"The pruned {name} has at most a twelfth of the weights.",
            12, of("account", "rate"), low=12, unit="×", models=models, geometric=True,
        ),
        Claim(
            f"{models[0]}_no_loss", f"The pruned {name} errs at most {100 * allowed:g} pp more often than the dense net.",
            change, error_over_reference("pruned"), high=allowed, unit="pp", models=models,
        ),
        Claim(
            f"{models[0]}_operations",
            f"With zero weights and zero inputs skipped, the pruned {name} needs {100 * (flops - tolerance):g} to "
            f"{100 * (flops + tolerance):g} % of the operations.",
            flops, of("account", "flops_kept"), low=flops - tolerance, high=flops + tolerance, unit="%", models=models,
        ),
        Claim(
            f"{models[0]}_activation",
            f"Of the outputs of the pruned {name}, {100 * activation - 10:g} to {100 * activation + 10:g} % are not zero.",
            activation, of("account", "activation"), low=activation - 0.1, high=activation + 0.1, unit="%", models=models,
        ),
    )  # fmt: skip


CLAIMS = (
    *headline("LeNet-300-100", LENET_300_100, (0.014, 0.020), (0.0164, -0.0005), 0.0015, (0.08, 0.02, 0.46)),
    *headline("LeNet-5", LENET_5, (0.007, 0.010), (0.0080, -0.0003), 0.0010, (0.16, 0.03, 0.77)),
    *(
        Claim(
            identity, f"Pruned in rounds, by thresholds that rise to the same, {name} errs at most {100 * allowed:g} pp more often than the "
            "dense net.",
            change, error_over_reference("pruned_iteratively"), high=allowed, unit="pp", models=models,
        )
        for identity, name, models, change, allowed in (
            ("iterative_no_loss", "LeNet-300-100", TRADED_OFF, -0.0005, 0.0015),
            ("lenet_5_relu_iterative_no_loss", "LeNet-5", LENET_5, -0.0003, 0.0010),
        )
    ),
    Claim(
        "retraining_helps", "With 5 to 20 % of the weights, nets retrained after pruning are more accurate than those that are not.",
        None, lead("l2_retrained", "l2_without_retraining", 0.05, 0.2), low=0, unit="pp", models=TRADED_OFF,
    ),
    Claim(
        "l1_better_before_retraining", "Without retraining, nets trained with L1 are more accurate with 5 to 20 % of the weights than with L2.",
        None, lead("l1_without_retraining", "l2_without_retraining", 0.05, 0.2), low=0, unit="pp", models=TRADED_OFF,
    ),
    Claim(
        "l2_better_after_retraining", "After retraining, nets trained with L2 are more accurate with 5 to 20 % of the weights than with L1.",
        None, lead("l2_retrained", "l1_retrained", 0.05, 0.2), low=0, unit="pp", models=TRADED_OFF,
    ),
    Claim(
        "iterative_goes_further", "With less than 5 % of the weights, iterative pruning is more accurate than pruning at once.",
        None, lead("l2_iterative", "l2_retrained", 0, 0.05), low=0, unit="pp", models=TRADED_OFF,
    ),
    Claim(
        "first_layer_most_sensitive", "Pruning the first convolution alone costs more accuracy than pruning any other layer alone.",
        None, sensitivity_of_the_first_layer, low=0, unit="pp", models=(*LENET_5, "conv_*"),
    ),
)  # fmt: skip


def by_layer(records: DataFrame) -> DataFrame:
    """The account of the pruned net, one row per layer (and for all), quantity and seed: `value`, as Tables 2 and 3 print it."""
    from pandas import concat

    named = {
        "weights_dense": ("weights, K", 1e-3), "flops_dense": ("operations, K", 1e-3), "activation": ("outputs not zero, %", 100),
        "kept": ("weights kept, %", 100), "flops_kept": ("operations left, %", 100), "weights_left": ("weights left, K", 1e-3),
    }  # fmt: skip
    rows = records[records["arm"] == "account"]
    for suffix in ("", *(f"_{layer}" for layer in LAYERS)):
        if f"weights_dense{suffix}" in rows:
            rows = rows.assign(**{f"weights_left{suffix}": rows[f"weights_dense{suffix}"] * rows[f"kept{suffix}"]})
    parts = [
        rows.assign(layer=layer or "total", quantity=words, value=factor * rows[column])
        for metric, (words, factor) in named.items()
        for layer in (*LAYERS, "")
        if (column := f"{metric}_{layer}".rstrip("_")) in rows
    ]
    return concat(parts, ignore_index=True) if parts else rows.assign(layer="", quantity="", value=0.0)


def with_kept_percent(records: DataFrame) -> DataFrame:
    """The records with their errors and `kept_percent`, rounded lest a tick show that 0.07 is no binary fraction."""
    return with_error(records).assign(kept_percent=(100 * records["kept_share"]).round(6))


def qualities(records: DataFrame) -> DataFrame:
    """Of each dense net one row per layer: `quality`, the parameter that keeps the layer's share."""
    from pandas import concat

    parts = [records.assign(layer=layer, quality=records[column]) for layer in LAYERS if (column := f"quality_{layer}") in records]
    return concat(parts, ignore_index=True) if parts else records.assign(layer="", quality=None)


UNITS = {
    "test_error": "%", "error_over_reference": "pp", "rate": "×", "kept": "%", "activation": "%", "flops_kept": "%",
    **{f"{metric}_{layer}": "%" for metric in ("kept", "activation", "flops_kept") for layer in LAYERS},
}  # fmt: skip
TABLES = (
    Table(
        "error", "Test error, % (Table 1)", "test_error", columns="dataset", order=ARM_ORDER, derive=with_error,
        where={"arm": ("reference", "pruned", "dropout_reference", "dropout_adjusted", "dropout_unadjusted")},
    ),
    Table(
        "layers", "What is left of each layer, without the connections of dead units (Tables 2 and 3)", "value", unit="", index="layer",
        columns="quantity", order=(*LAYERS, "total"), derive=by_layer, where={"arm": ("account",)},
    ),
    Table(
        "quality", "Quality parameters whose thresholds keep the shares of Tables 2 and 3 of the dense nets", "quality", unit="", index="layer",
        columns="dataset", order=LAYERS, derive=qualities, where={"arm": ("quality",)},
    ),
    Table(
        "trade_off", "Test error, %, by share of weights remaining (Figure 5)", "test_error", order=TRADE_OFF, where={"arm": TRADE_OFF},
        derive=with_one_density_of_a_depth,
    ),
    Table(
        "iterative", "Test error, %, of iterative pruning by thresholds, by round", "test_error", columns="round", derive=with_error,
        where={"arm": ("pruned_iteratively",)},
    ),
    Published("paper", "The paper's numbers beside ours", UNITS, derive=with_error),  # type: ignore[arg-type]
)  # fmt: skip
FIGURES = (
    Picture(
        "mask", "Connections of the first fully connected layer that survive", "mask/fc1.weight", "input", "unit of fc1",
        where={"arm": ("pruned",)},
    ),
    Lines(
        "trade_off", "What pruning costs, with and without retraining",
        (
            Panel("test_accuracy", "test accuracy, %", "%"),
            Panel("test_accuracy", "with retraining, %", "%", {"arm": ("l1_retrained", "l2_retrained", "l2_iterative")}, zoom=True),
        ),
        order=ARM_ORDER, where={"arm": TRADE_OFF}, baseline={"arm": ("reference",)},
    ),
    Lines(
        "sensitivity", "Sensitivity to pruning one layer, without retraining",
        (Panel("test_error", "test error, %", "%", logarithmic=True),), x="kept_percent", x_label="weights of the layer kept, %",
        series="layer", order=LAYERS, where={"arm": ("sensitivity",)}, band="range", derive=with_kept_percent, logarithmic=True,
    ),
    Lines(
        "weights", "Weights before and after pruning and retraining",
        (
            Panel("share", "before, % of the layer's weights", where={"arm": ("weights_before",)}),
            Panel("share", "after, % of those that are left", where={"arm": ("weights_after",)}),
        ),
        x="weight", x_label="weight, in standard deviations of its layer before pruning\n(bins of 0.2; the outermost hold all beyond ±8)",
        series="layer", order=LAYERS, band="range", source="curves", one_range=False,
    ),
)  # fmt: skip
