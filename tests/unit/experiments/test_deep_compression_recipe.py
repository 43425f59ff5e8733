"""The recipe of Deep Compression: what it declares, and that every claim can come out each way."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import pandas as pd
import pytest

import run
from experiments.deep_compression import ARMS, HEADLINE, Config, check, rows, smaller
from experiments.deep_compression_claims import CLAIMS, FIGURES, as_shares, best_within, by_layer, by_part, sized, with_totals
from experiments.han_pruning import Config as Pruning
from experiments.han_pruning import rows as pruning_rows
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.pretrained import PretrainedWeights
from nncompress.lab.quantizing import CompressedFile, SharedWeights
from nncompress.lab.stages import Fit
from nncompress.models import layer_operations
from nncompress.prune import gaussian_share
from nncompress.report.claims import judge
from nncompress.report.figures import draw
from nncompress.report.records import tidy

PAPER: Config = request(run.CONF, ["experiment=deep_compression"]).config
HAN: Pruning = request(run.CONF, ["experiment=han_pruning"]).config
PRINTED = {
    "lenet_300_100": (0.0164, 0.0158, 1 / 0.031, 40.2),
    "lenet_5_relu": (0.0080, 0.0074, 1 / 0.0305, 39.2),
    "alexnet": (0.4278, 0.4278, 1 / 0.037, 34.7),
    "vgg_16": (0.3150, 0.3117, 1 / 0.032, 48.9),
}


def records(model: str, **changes: Any) -> pd.DataFrame:
    """What the paper prints of a net, curves that cross as its Figure 6, and centroids as its Figure 7; `changes` say otherwise."""
    reference, compressed, quantized, rate = PRINTED[model]
    values: dict[str, Any] = {"reference": reference, "compressed": compressed, "quantized": quantized, "rate": rate}
    values |= {"alone": 0.03, "together": 0.017, "linear": 0.017, "other": 0.02} | changes
    found = []
    for seed in range(5):
        wobble = (seed - 2) * 1e-5
        common = {"seed": seed, "model": model, "dataset": "mnist", "scale": "paper", "variant": ""}

        def row(arm: str, error: float, rate: float, **rest: Any) -> dict[str, Any]:
            size = 1e6 / rate
            right = 1 - error - wobble  # noqa: B023
            measured = {"test_accuracy": right, "validation_accuracy": right, "rate": rate + wobble, "file_bytes": size}  # noqa: B023
            return {**common, "arm": arm, **measured, **rest}  # noqa: B023

        found += [row("reference", values["reference"], 1), row("deep_compression", values["compressed"], values["rate"])]
        layer = {"code_bits_fc1.weight": 6.0, "kept_fc1.weight": 0.08, "share_of_fc1.weight": 0.031}
        found += [row("pruned_and_quantized", values["compressed"], values["quantized"], **layer, bytes_codes=10, weight_density=0.083)]
        for arm in ("pruning_only", "quantization_only", "pruning_and_quantization"):
            error = values["together"] if arm == "pruning_and_quantization" else values["alone"]
            found += [row(arm, 0.1, 100, depth=2.0), row(arm, error, 26, depth=1.0), row(arm, 0.01, 5, depth=0.5)]
        for initial in ("linear", "density", "random"):
            error = values["linear"] if initial == "linear" else values["other"]
            found += [row("bits", error * (2 if bits < 4 else 1), 40, bits=bits, initial=initial) for bits in (2, 4, 8)]
    return pd.DataFrame(found)


def verdicts(model: str, **changes: Any) -> dict[str, str]:
    found = records(model, **changes)
    mine = [claim for claim in CLAIMS if not claim.models or any(fnmatch(model, pattern) for pattern in claim.models)]
    return {claim.id.removeprefix(f"{model}_"): str(judge(claim, found)["verdict"]) for claim in mine}


def test_the_recipe_is_declared_without_torch_or_pandas() -> None:
    code = "import sys; sys.path[:0] = ['src', '.']; import experiments.deep_compression; sys.exit(bool({'torch', 'pandas'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=run.ROOT).returncode == 0


@pytest.mark.parametrize("model", PRINTED)
def test_the_papers_own_numbers_bear_out_every_claim(model: str) -> None:
    found = verdicts(model)
    assert len(found) == {"lenet_300_100": 8, "vgg_16": 4}.get(model, 5) and set(found.values()) == {"reproduced"}, found


@pytest.mark.parametrize("model", PRINTED)
def test_the_contrary_refutes_every_claim(model: str) -> None:
    worse = PRINTED[model][0] + 0.0136
    found = verdicts(model, compressed=worse, quantized=20, rate=21, alone=0.02, together=0.03, linear=0.03, other=0.02)
    assert set(found.values()) == {"not reproduced"}, found


def test_the_best_file_within_a_size_is_chosen_on_the_validation_split() -> None:
    lucky = records("lenet_300_100").query("arm == 'pruning_only'")
    lucky.loc[lucky["depth"] == 1.0, ["test_accuracy", "validation_accuracy"]] = [0.97, 0.98]
    lucky.loc[lucky["depth"] == 2.0, ["test_accuracy", "validation_accuracy"]] = [0.99, 0.90]
    assert best_within("pruning_only", 0.04)(lucky).tolist() == pytest.approx([0.03] * 5)


def test_what_is_not_recorded_is_inconclusive() -> None:
    few = records("lenet_300_100").query("arm == 'reference'").drop(columns=["bits", "initial", "depth", "rate", "file_bytes"])
    few["file_bytes"] = 1.0
    assert {str(judge(claim, few)["verdict"]) for claim in CLAIMS} == {"inconclusive"}


def test_every_arm_has_its_seeds_and_points() -> None:
    found = Counter(str(row.columns["arm"]) for row in rows(PAPER))
    seeds, controls, layers = 5, 3, 3
    assert found == {
        **dict.fromkeys(HEADLINE, seeds), "codes": controls * layers, "bits": controls * len(PAPER.bits) * 3,
        **dict.fromkeys(("pruning_only", "pruning_and_quantization"), controls * len(PAPER.depths)),
        "quantization_only": controls * len(PAPER.bits), "low_rank": controls * len(PAPER.ranks),
    }  # fmt: skip
    assert set(PAPER.arms) == set(ARMS)


def test_the_pruned_nets_are_those_of_the_pruning_recipe_and_the_codebooks_train_on_their_assignments() -> None:
    by_arm = {str(row.columns["arm"]): row.stage for row in rows(PAPER) if row.columns["seed"] == 1}
    pruned = {row.stage for row in pruning_rows(HAN) if row.columns["arm"] == "pruned"}
    file = by_arm["deep_compression"]
    assert isinstance(file, CompressedFile) and isinstance(file.net, Fit) and isinstance(file.codebook, SharedWeights)
    assert file.codebook.fit in pruned
    assert file.net.start == file.net.mask == file.net.codebook == file.codebook and file.net.training == PAPER.tuning
    untuned = by_arm["untuned"]
    assert isinstance(untuned, CompressedFile) and untuned.net == untuned.codebook == file.codebook
    coders = {arm: stage.coder for arm, stage in by_arm.items() if isinstance(stage, CompressedFile)}
    assert (coders["pruned_and_quantized"], coders["deep_compression"], coders["deep_compression_ans"]) == ("fixed", "huffman", "ans")


@pytest.mark.parametrize("name", ["alexnet", "vgg_16"])
def test_of_imagenet_torchvisions_net_is_measured_pruned_retrained_and_quantised(name: str) -> None:
    asked = request(run.CONF, [f"experiment=deep_compression_{name}"])
    by_arm = {str(row.columns["arm"]): row.stage for row in asked.recipe.rows(asked.config) if row.columns["seed"] == 0}
    reference, pruned, file = (by_arm[arm] for arm in ("reference", "pruned", "deep_compression"))
    assert isinstance(reference, CompressedFile) and isinstance(pruned, CompressedFile) and isinstance(file, CompressedFile)
    dense, kept, tuned = reference.net, pruned.net, file.net
    assert isinstance(dense, Fit) and isinstance(kept, Fit) and isinstance(tuned, Fit)
    assert dense.start == PretrainedWeights(asked.config.model, "imagenet1k_v1") and dense.steps == 0
    assert kept.start == dense and kept.steps == asked.config.retraining.steps and kept.adjust_dropout
    assert tuned.steps == asked.config.tuning.steps and asked.settings.stack == 1
    layers = list(layer_operations(asked.config.model))
    for numbers in (asked.config.quality, asked.config.kept, asked.config.weight_bits, asked.config.index_bits):
        assert list(numbers) == layers
    for layer, quality in asked.config.quality.items():
        assert gaussian_share(quality) == pytest.approx(asked.config.kept[layer], abs=0.005)


def test_quantisation_of_a_net_that_is_only_measured_is_trained_all_the_same() -> None:
    config = request(run.CONF, ["experiment=deep_compression_alexnet", "arms=[quantization_only]"]).config
    for row in rows(config):
        assert isinstance(row.stage, CompressedFile) and isinstance(row.stage.net, Fit) and row.stage.net.steps == config.tuning.steps


def test_the_accounts_are_laid_out_by_layer_and_by_part() -> None:
    found = records("lenet_300_100")
    laid = by_layer(found).dropna(subset="value")
    before = laid[~laid["quantity"].str.endswith(", Huffman")].groupby(["layer", "quantity"])["value"].mean().to_dict()
    assert before == pytest.approx({
        ("fc1", "code bits"): 6.0, ("fc1", "kept, %"): 8.0, ("fc1", "size, %"): 3.1, ("total", "kept, %"): 8.3,
        ("whole file", "size, %"): 3.1,
    }, rel=1e-4)  # fmt: skip
    assert set(laid[laid["quantity"] == "size, %, Huffman"]["layer"]) == {"whole file"}
    assert set(by_part(found)["part"]) == {"codes", "file"}
    points = sized(found[found["arm"] == "pruning_only"])
    assert sorted(points["size_percent"].round(2).unique()) == [1.0, 3.85, 20.0]


def histograms() -> pd.DataFrame:
    """Codes and gaps of two layers: seed 1 has no third code in the convolution, and no curve of the other layer."""
    counts = {("conv1", 0): ([1, 1, 2], [3, 1, None]), ("conv1", 1): ([1, 3], [4, 0]), ("fc1", 0): ([5, 5], [None, None])}
    return pd.DataFrame([
        {"arm": "codes", "layer": layer, "seed": seed, "symbol": symbol, "codes": code, "gaps": gap}
        for (layer, seed), (codes, gaps) in counts.items()
        for symbol, (code, gap) in enumerate(zip(codes, gaps, strict=True))
    ]).astype({"gaps": float})  # fmt: skip


def test_a_symbol_that_a_seed_does_not_use_has_no_share_of_its_file() -> None:
    found = as_shares(histograms()).set_index(["layer", "seed", "symbol"]).sort_index()
    assert {layer: found.loc[layer, "codes"].to_dict() for layer in ("conv1", "fc1")} == {
        "conv1": {(0, 0): 0.25, (0, 1): 0.25, (0, 2): 0.5, (1, 0): 0.25, (1, 1): 0.75, (1, 2): 0},
        "fc1": {(0, 0): 0.5, (0, 1): 0.5},
    }
    assert found["gaps"].dropna().to_dict() == {
        ("conv1", 0, 0): 0.75, ("conv1", 0, 1): 0.25, ("conv1", 1, 0): 1, ("conv1", 1, 1): 0,
    }  # fmt: skip
    assert list(as_shares(histograms().drop(columns="gaps"))["codes"]) == list(as_shares(histograms())["codes"])


def test_codes_of_convolutions_and_of_fully_connected_layers_stand_apart() -> None:
    figure = draw(next(each for each in FIGURES if each.name == "codes"), tidy(records("lenet_5_relu")), histograms())
    assert figure is not None
    assert [[str(line.get_label()) for line in axes.get_lines()] for axes in figure.axes] == [["conv1"], ["fc1"], ["conv1"]]
    assert figure.axes[0].get_lines()[0].get_ydata().tolist() == [25, 50, 25]  # the mean of both seeds, not of those that use the code


def test_the_curve_of_low_rank_says_that_its_bytes_are_counted() -> None:
    found = records("lenet_300_100")
    found = pd.concat([found, found[found["arm"] == "pruning_only"].assign(arm="low_rank", rank_share=found["depth"])])
    figure = draw(next(each for each in FIGURES if each.name == "curves"), tidy(found), pd.DataFrame())
    assert figure is not None
    labels = [str(line.get_label()) for line in figure.axes[0].get_lines()]
    assert [label for label in labels if "counted" in label] == ["SVD, low rank (bytes counted)"] and "pruning only" in labels


def test_the_totals_are_of_the_weights_and_bits_the_layers_mean_weighted_by_kept_weights() -> None:
    layers = {"fc1": (1000, 0.1, 6.0, 5.0), "fc2": (200, 0.5, 3.0, 4.0)}  # weights, share kept, bits of a code and of a gap
    row: dict[str, float] = {}
    for layer, (weights, kept, code, gap) in layers.items():
        row |= {f"bytes_of_{layer}.weight": 300, f"share_of_{layer}.weight": 300 / (4 * weights), f"kept_{layer}.weight": kept}
        row |= {f"code_bits_{layer}.weight": code, f"index_bits_{layer}.weight": gap}
    found = with_totals(pd.DataFrame([row])).iloc[0]
    assert (found["weights_fc1.weight"], found["weights_total"]) == (1000, 1200)
    assert found["share_of_total"] == pytest.approx(600 / 4800)
    assert (found["code_bits_total"], found["index_bits_total"]) == (4.5, 4.5)  # of 100 weights each


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"arms": ["deep_compresion"]}, "arms: there is no arm 'deep_compresion'; did you mean 'deep_compression'?"),
        ({"bits": [4, 4]}, "bits = [4, 4]: 4 is there twice; give each once"),
        ({"weight_bits": {"fc1": 6}}, "weight_bits and index_bits must name the same layers; fc2 is in one of them only"),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line


def test_ever_smaller_experiments_keep_the_arms_of_the_table() -> None:
    sizes = list(smaller(PAPER))
    assert sizes[0] == PAPER
    assert all(config.arms[:4] == list(HEADLINE[:4]) and len(config.seeds) >= 3 for config in sizes)
