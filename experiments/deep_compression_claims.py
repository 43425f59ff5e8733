"""What the recipe of Deep Compression (Han, Mao & Dally 2016) claims, tabulates and draws. Imports neither pandas nor torch.

Sizes are those of files; a rate is the float32 bytes of all parameters over them. Errors are of the net that was read back from the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.compressed_files import TRADED_OFF, Statistic, error_over_reference, of, with_error
from nncompress.report.declare import Claim, Lines, Panel, Published, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

LENET_300_100, LENET_5, ALEXNET, VGG_16 = ("lenet_300_100",), ("lenet_5_relu",), ("alexnet",), ("vgg_16",)
LAYERS = (
    *("conv1", "conv2", "fc1", "fc2", "fc3", "conv3", "conv4", "conv5"),
    *("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3"),
    *("conv4_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3"),
    *("fc6", "fc7", "fc8"),
)
"""Of all nets; those of each in their order."""
CONVOLUTIONS = tuple(layer for layer in LAYERS if layer.startswith("conv"))
FULLY_CONNECTED = tuple(layer for layer in LAYERS if layer.startswith("fc"))
HEADLINE = ("reference", "pruned", "pruned_and_quantized", "deep_compression", "deep_compression_ans", "untuned")
CURVES = ("pruning_only", "quantization_only", "pruning_and_quantization", "low_rank")
INITIALS = ("linear", "density", "random")


def size_share(arm: str) -> Statistic:
    """Bytes of the file over the float32 bytes of all parameters."""
    return lambda records: of(arm, "rate")(records).rdiv(1)


def huffman_saving(records: DataFrame) -> Series:
    """Share of the file that Huffman coding saves."""
    return (of("deep_compression", "file_bytes")(records) / of("pruned_and_quantized", "file_bytes")(records)).rsub(1)


def best_within(arm: str, share: float) -> Statistic:
    """By seed the test error of that one of the arm's files of at most this share of the dense net's bytes that is best on the validation
    split."""

    def statistic(records: DataFrame) -> Series:
        rows = records[(records["arm"] == arm) & (records["rate"] * share >= 1)] if "rate" in records else records.iloc[:0]
        best_last = rows.sort_values("validation_accuracy", kind="stable") if len(rows) else rows
        return best_last.groupby("seed")["test_accuracy"].last().rsub(1)

    return statistic


def lead_of_both(share: float) -> Statistic:
    """Error of the better of pruning and quantisation alone minus that of both together, within the same share of the bytes."""

    def statistic(records: DataFrame) -> Series:
        from pandas import concat

        alone = [best_within(arm, share)(records) for arm in ("pruning_only", "quantization_only")]
        together = best_within("pruning_and_quantization", share)(records)
        # A method that has no file so small is not in the comparison.
        found = concat([series for series in alone if len(series)] or alone, axis=1).min(axis=1)
        return (found - together).dropna()

    return statistic


def linear_over(initial: str) -> Statistic:
    """Test accuracy with linear starts minus that with others, mean over widths of 4 bits and more."""

    def statistic(records: DataFrame) -> Series:
        rows = (
            records[(records["arm"] == "bits") & (records["bits"] >= 4)] if "bits" in records else records.iloc[:0].assign(bits=0, initial="")
        )
        table = rows.pivot_table(index="seed", columns="initial", values="test_accuracy")
        return table["linear"] - table[initial] if {"linear", initial} <= set(table) else rows.groupby("seed")["test_accuracy"].mean().iloc[:0]

    return statistic


def headline(
    name: str, models: tuple[str, ...], rate: float, least: float, allowed: float, shares: tuple[float, float], change: float
) -> tuple[Claim, ...]:
    """The claims on one net. `rate`: printed, `least`: what counts as that. `allowed`: rise of the error that still counts as none, `change`:
    the printed one. `shares`: printed size after quantisation, and after Huffman coding, over the dense net's."""
    quantized, coded = shares
    return (
        Claim(
            f"{models[0]}_rate", f"The file of {name}, biases and headers included, is at least {least:g} times smaller than its float32 "
            "parameters.", rate, of("deep_compression", "rate"), low=least, unit="×", models=models, geometric=True,
        ),
        Claim(
            f"{models[0]}_no_loss", f"The {name} read back from it errs at most {100 * allowed:g} pp more often than the dense net.",
            change, error_over_reference("deep_compression"), high=allowed, unit="pp", models=models,
        ),
        Claim(
            f"{models[0]}_quantized", f"Pruned and quantised, without Huffman coding, the file of {name}, biases and headers included, takes "
            f"{100 * quantized - 0.3:.2f} to {100 * quantized + 0.3:.2f} % of its bytes.",
            quantized, size_share("pruned_and_quantized"), low=quantized - 0.003, high=quantized + 0.003, unit="%", models=models,
        ),
        Claim(
            f"{models[0]}_coded", f"With Huffman coding the file of {name}, biases and headers included, takes {100 * coded - 0.3:.2f} to "
            f"{100 * coded + 0.3:.2f} % of its bytes.",
            coded, size_share("deep_compression"), low=coded - 0.003, high=coded + 0.003, unit="%", models=models,
        ),
    )  # fmt: skip


CLAIMS = (
    *headline("LeNet-300-100", LENET_300_100, 40, 38, 0.0015, (0.031, 0.0249), -0.0006),
    *headline("LeNet-5", LENET_5, 39, 37, 0.0010, (0.0305, 0.0255), -0.0006),
    *headline("AlexNet", ALEXNET, 35, 33, 0.0030, (0.037, 0.0288), 0.0),
    *headline("VGG-16", VGG_16, 49, 46, 0.0030, (0.032, 0.0205), -0.0033),
    Claim(
        "huffman_saves", "Huffman coding saves 15 to 30 % of the file.", None, huffman_saving, low=0.15, high=0.30, unit="%",
        models=("lenet_*", "alexnet", "mlp", "conv_*"),  # of VGG-16 the paper's own tables make it 36 %
    ),
    Claim(
        "both_beat_either", "At 5 % of the bytes, pruning and quantisation together err less than either alone.",
        None, lead_of_both(0.05), low=0, unit="pp", models=TRADED_OFF,
    ),
    Claim(
        "linear_beats_density", "With 4 bits and more, centroids that start linearly are at least as accurate as those that start by density.",
        None, linear_over("density"), low=0, unit="pp", models=TRADED_OFF,
    ),
    Claim(
        "linear_beats_random", "With 4 bits and more, centroids that start linearly are at least as accurate as those that start at random.",
        None, linear_over("random"), low=0, unit="pp", models=TRADED_OFF,
    ),
)  # fmt: skip


def with_share(records: DataFrame) -> DataFrame:
    """The records with their errors and `size_share`, bytes of the file over those of the float32 parameters."""
    return with_error(records).assign(size_share=1 / records["rate"] if "rate" in records else None)


def sized(records: DataFrame) -> DataFrame:
    """The records with `test_error` and `size_percent`, the mean over seeds of what the points of a curve take."""
    found = with_error(records).assign(size_percent=100 / records["rate"])
    point = [column for column in ("arm", "bits", "depth", "rank_share") if column in found]
    return found.assign(size_percent=found.groupby(point, dropna=False)["size_percent"].transform("mean"))


def by_layer(records: DataFrame) -> DataFrame:
    """Of the file before and after Huffman coding, one row per layer (and for the whole net), quantity and seed: `value`, as Tables 2 and 3
    print it."""
    from pandas import concat

    named = {
        "weights": ("#W", 1), "kept": ("kept, %", 100), "code_bits": ("code bits", 1), "index_bits": ("gap bits", 1),
        "share_of": ("size, %", 100),
    }  # fmt: skip
    columns = [(layer, metric, f"{metric}_{layer}.weight") for layer in LAYERS for metric in named]
    columns += [("total", metric, f"{metric}_total") for metric in ("weights", "code_bits", "index_bits", "share_of")]
    columns += [("total", "kept", "weight_density"), ("whole file", "share_of", "size_share")]
    parts = [
        rows.assign(layer=layer, quantity=named[metric][0] + coded, value=named[metric][1] * rows[column])
        for arm, coded in (("pruned_and_quantized", ""), ("deep_compression", ", Huffman"))
        for rows in (with_totals(with_share(records[records["arm"] == arm])),)
        for layer, metric, column in columns
        if column in rows and not (metric in ("weights", "kept") and coded)
    ]
    return concat(parts, ignore_index=True) if parts else records.assign(layer="", quantity="", value=0.0)


def with_totals(records: DataFrame) -> DataFrame:
    """The records with `weights_<layer>.weight` and, of all layers, `weights_total`, `share_of_total`, `code_bits_total` and
    `index_bits_total`. The share is of the weights alone: of all that is stored of them over their float32 bytes, biases and the file's own
    header left out. Bits of a layer are means over its stored entries, fillers included, those of all layers means weighted by their kept
    weights (how many entries a layer has is not in the records)."""
    measured = ("bytes_of", "share_of", "kept", "code_bits")
    names = [f"{layer}.weight" for layer in LAYERS if all(f"{metric}_{layer}.weight" in records for metric in measured)]
    if not names:
        return records
    weights = {name: (records[f"bytes_of_{name}"] / (4 * records[f"share_of_{name}"])).round() for name in names}
    kept = {name: weights[name] * records[f"kept_{name}"] for name in names}
    total = sum(weights.values())
    found: dict[str, Any] = {f"weights_{name}": count for name, count in weights.items()} | {"weights_total": total}
    found["share_of_total"] = sum(records[f"bytes_of_{name}"] for name in names) / (4 * total)
    for bits in ("code_bits", "index_bits"):
        if all(f"{bits}_{name}" in records for name in names):
            found[f"{bits}_total"] = sum(kept[name] * records[f"{bits}_{name}"] for name in names) / sum(kept.values())
    return records.assign(**found)


def as_shares(curves: DataFrame) -> DataFrame:
    """The curves of codes and gaps as shares of all that their layer has: 0 where only files of other seeds have a symbol, which would else
    be left out of its mean."""
    from pandas import DataFrame, concat

    parts = []
    for layer, rows in curves.groupby("layer"):
        kinds = [kind for kind in ("codes", "gaps") if kind in rows]
        counts = {kind: rows.pivot_table(index="symbol", columns="seed", values=kind).fillna(0) for kind in kinds}
        shares = {kind: (count / count.sum()).unstack() for kind, count in counts.items()}
        parts.append(DataFrame(shares).reset_index().assign(layer=layer))
    return concat(parts, ignore_index=True)


def by_part(records: DataFrame) -> DataFrame:
    """Of each file, one row per part of the account and seed: `bytes`."""
    from pandas import concat

    parts = ("codes", "indices", "fillers", "codebook", "tables", "floats", "header")
    found = [records.assign(part=part, bytes=records[f"bytes_{part}"]) for part in parts if f"bytes_{part}" in records]
    found += [records.assign(part="file", bytes=records["file_bytes"])] if "file_bytes" in records else []
    return concat(found, ignore_index=True) if found else records.assign(part="", bytes=0.0)


FILES = {"arm": HEADLINE}
UNITS = {
    "test_error": "%", "error_over_reference": "pp", "rate": "×", "size_share": "%",
    **{f"{metric}_{layer}.weight": unit for metric, unit in (("code_bits", ""), ("index_bits", ""), ("share_of", "%")) for layer in LAYERS},
}  # fmt: skip
TABLES = (
    Table(
        "error", "Test error of the net read back from the file, %", "test_error", columns="dataset", order=HEADLINE, where=FILES,
        derive=with_error,
    ),
    Table("rate", "Bytes of the float32 parameters over those of the file", "rate", unit="×", columns="dataset", order=HEADLINE, where=FILES),
    Table("parts", "What the bytes of the files are spent on", "bytes", unit="", columns="part", order=HEADLINE, where=FILES, derive=by_part),
    Table(
        "layers",
        "Layers before and after Huffman coding (Tables 2 and 3); size: of 32 bits a weight, with the codebook, tables and header of the "
        "layer (total: of all layers' weights; whole file: with biases and the file's header, of all parameters); bits: per stored entry, "
        "fillers included (total: the layers' mean, weighted by kept weights)",
        "value", unit="", index="layer",
        columns="quantity", order=(*LAYERS, "total", "whole file"), where={"arm": ("pruned_and_quantized", "deep_compression")},
        derive=by_layer,
    ),
    Table(
        "bits", "Test error, %, by start of the centroids and bits of a code", "test_error", index="initial", columns="bits", order=INITIALS,
        where={"arm": ("bits",)}, derive=with_error,
    ),
    Published("paper", "The paper's numbers beside ours", UNITS, derive=with_share),  # type: ignore[arg-type]
)  # fmt: skip
FIGURES = (
    Lines(
        "curves", "Accuracy against the size of the file", (Panel("test_accuracy", "test accuracy, %", "%", zoom=True),), x="size_percent",
        x_label="bytes, % of the float32 parameters", logarithmic=True, order=CURVES, where={"arm": CURVES}, derive=sized,
        baseline={"arm": ("reference",)},
    ),
    Lines(
        "bits", "Accuracy by bits of a code and start of the centroids", (Panel("test_accuracy", "test accuracy, %", "%", zoom=True),),
        x="bits", x_label="bits of a code", series="initial", order=INITIALS, where={"arm": ("bits",)},
    ),
    Lines(
        "codes", "How often each code and each gap is stored",
        (
            # Apart, since codes of convolutions are wider.
            Panel("codes", "% of a convolution's codes (0: fillers)", "%", {"layer": CONVOLUTIONS}),
            Panel("codes", "% of a fully connected layer's codes (0: fillers)", "%", {"layer": FULLY_CONNECTED}),
            Panel("gaps", "% of a layer's gaps (symbol: gap less one)", "%"),
        ),
        x="symbol", x_label="symbol", series="layer", order=LAYERS, source="curves", where={"arm": ("codes",)}, derive=as_shares, band="range",
    ),
)  # fmt: skip
