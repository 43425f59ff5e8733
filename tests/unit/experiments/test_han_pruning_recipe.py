"""The recipe of Han et al. 2015: what it declares, and that every claim can come out each way."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import run
from experiments.han_pruning import ARMS, TRADE_OFF, Config, check, rows, smaller
from experiments.han_pruning_claims import CLAIMS, FIGURES, by_layer, qualities
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.pruning import PruningAccount, QualityParameters, ThresholdMask, WeightHistogram
from nncompress.lab.stages import Fit
from nncompress.report.claims import judge
from nncompress.report.figures import draw
from nncompress.report.records import tidy

PAPER: Config = request(run.CONF, ["experiment=han_pruning"]).config
LENET_5: Config = request(run.CONF, ["experiment=han_pruning_lenet_5"]).config
SHARES = (0.5, 0.2, 0.1, 0.05, 0.03)
PRINTED = {"lenet_300_100": (0.0164, 0.0159, 12.1, 0.08, 0.46), "lenet_5_relu": (0.0080, 0.0077, 12.1, 0.16, 0.77)}


def records(model: str, **changes: Any) -> pd.DataFrame:
    """What the paper prints of a net, the ordering of Figure 5, and a sensitive first layer; `changes` say otherwise."""
    reference, pruned, rate, flops, activation = PRINTED[model]
    values: dict[str, Any] = {"reference": reference, "pruned": pruned, "rate": rate, "flops_kept": flops, "activation": activation}
    values |= {"curves": [0.06, 0.05, 0.019, 0.018, 0.017], "sensitivity": [0.3, 0.1, 0.05]} | changes
    found = []
    for seed in range(5):
        wobble = (seed - 2) * 1e-5
        common = {"seed": seed, "model": model, "dataset": "mnist", "scale": "paper", "variant": ""}
        found += [{**common, "arm": arm, "density": 1.0, "test_accuracy": 1 - values[arm] - wobble} for arm in ("reference", "pruned")]
        found += [{**common, "arm": "pruned_iteratively", "round": i, "test_accuracy": 1 - i * values["pruned"] / 2 - wobble} for i in (1, 2)]
        account = {name: values[name] + wobble for name in ("rate", "flops_kept", "activation")}
        found.append({**common, "arm": "account", "density": 0.08, **account, "kept_fc1": 0.08, "weights_dense_fc1": 235_200, "kept": 0.083})
        for arm, error in zip(TRADE_OFF, values["curves"], strict=True):
            found += [
                {**common, "arm": arm, "depth": 1 / share, "density": share, "test_accuracy": 1 - error * (1 + 0.01 / share) - wobble}
                for share in SHARES
            ]
        layers = ("conv1", "conv2", "fc1") if model == "lenet_5_relu" else ("fc1", "fc2", "fc3")
        for layer, lost in zip(layers, values["sensitivity"], strict=True):
            found += [
                {**common, "arm": "sensitivity", "layer": layer, "kept_share": share, "test_accuracy": 1 - lost * (1 - share) - wobble}
                for share in (0.5, 0.1)
            ]
    return pd.DataFrame(found)


def verdicts(model: str, **changes: Any) -> dict[str, str]:
    found = records(model, **changes)
    mine = [claim for claim in CLAIMS if not claim.models or model in claim.models]
    return {claim.id.removeprefix(f"{model}_"): str(judge(claim, found)["verdict"]) for claim in mine}


def test_the_recipe_is_declared_without_torch_or_pandas() -> None:
    code = "import sys; sys.path[:0] = ['src', '.']; import experiments.han_pruning; sys.exit(bool({'torch', 'pandas'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=run.ROOT).returncode == 0


@pytest.mark.parametrize("model", PRINTED)
def test_the_papers_own_numbers_bear_out_every_claim(model: str) -> None:
    curves = dict(zip(TRADE_OFF, [0.06, 0.05, 0.018, 0.019, 0.017], strict=True))
    assert list(curves) == ["l2_without_retraining", "l1_without_retraining", "l2_retrained", "l1_retrained", "l2_iterative"]
    found = verdicts(model, curves=list(curves.values()))
    assert set(found.values()) == {"reproduced"}, found
    assert ("first_layer_most_sensitive" in found) == (model == "lenet_5_relu")


@pytest.mark.parametrize("model", PRINTED)
def test_the_contrary_refutes_every_claim(model: str) -> None:
    contrary = {"reference": 0.03, "pruned": 0.04, "rate": 8.0, "flops_kept": 0.3, "activation": 0.2, "sensitivity": [0.05, 0.1, 0.3]}
    found = verdicts(model, **contrary, curves=[0.02, 0.03, 0.06, 0.05, 0.07])
    assert set(found.values()) == {"not reproduced"}, found


def test_what_is_not_recorded_is_inconclusive() -> None:
    found = records("lenet_300_100")
    few = found[(found["arm"].isin(["reference", "l2_retrained"]))].drop(columns=["rate", "flops_kept", "activation"])
    assert {str(judge(claim, few)["verdict"]) for claim in CLAIMS if claim.id != "lenet_300_100_reference"} == {"inconclusive"}


def test_every_arm_has_its_seeds() -> None:
    found = Counter(str(row.columns["arm"]) for row in rows(PAPER))
    seeds, controls, layers = 5, 3, 3
    assert found == {
        **dict.fromkeys(("reference", "quality", "pruned", "account"), seeds), "pruned_iteratively": seeds * PAPER.rounds,
        **dict.fromkeys(TRADE_OFF, controls * len(PAPER.depths)),
        "sensitivity": controls * layers * len(PAPER.sensitivity),
        "weights_before": controls * layers, "weights_after": controls * layers,
        **dict.fromkeys(("dropout_reference", "dropout_adjusted", "dropout_unadjusted"), controls),
    }  # fmt: skip
    assert set(PAPER.arms) == set(ARMS)


def test_the_pruned_net_is_the_dense_one_pruned_below_the_thresholds_and_trained_on_at_a_tenth_of_the_rate() -> None:
    by_arm = {str(row.columns["arm"]): row.stage for row in rows(PAPER) if row.columns["seed"] == 1}
    dense, pruned = by_arm["reference"], by_arm["pruned"]
    assert isinstance(pruned, Fit) and isinstance(dense, Fit) and pruned.start == dense and pruned.adjust_dropout
    assert pruned.mask == ThresholdMask(dense, {f"{layer}.weight": value for layer, value in PAPER.quality.items()}, dense)
    assert pruned.training == replace(dense.training, learning_rate=dense.training.learning_rate / 10)
    assert by_arm["account"] == PruningAccount(pruned)


def test_weights_after_pruning_are_measured_as_those_before_in_standard_deviations_of_the_dense_layer() -> None:
    for cfg in (PAPER, LENET_5):
        found = [row for row in rows(cfg) if row.columns["seed"] == 1]
        by_arm = {str(row.columns["arm"]): row.stage for row in found}
        for arm, net in (("weights_before", "reference"), ("weights_after", "pruned")):
            stages = [row.stage for row in found if row.columns["arm"] == arm]
            assert [stage.layer for stage in stages if isinstance(stage, WeightHistogram)] == list(cfg.kept)
            assert {(stage.fit, stage.dense) for stage in stages if isinstance(stage, WeightHistogram)} == {(by_arm[net], by_arm["reference"])}


def test_sensitivity_is_drawn_in_percent_with_bands_that_stay_above_zero() -> None:
    found = tidy(records("lenet_5_relu"))
    errors = [90.0, 2.0, 1.5, 1.0, 1.2]
    assert np.mean(errors) < np.std(errors)  # a band of standard deviations would reach below zero
    found.loc[(found["layer"] == "conv1") & (found["kept_share"] == 0.1), "test_accuracy"] = 1 - np.array(errors) / 100
    figure = draw(next(each for each in FIGURES if each.name == "sensitivity"), found, pd.DataFrame())
    assert figure is not None
    [axes] = figure.axes
    assert axes.get_yscale() == "log" and axes.get_xticks().tolist() == [10, 50]
    edges = axes.collections[0].get_paths()[0].vertices
    assert sorted({round(float(y), 6) for x, y in edges if x == 10}) == [1, 90]


def test_the_iterative_curve_keeps_at_each_depth_what_the_others_keep() -> None:
    cfg = replace(LENET_5, arms=list(TRADE_OFF), control_seeds=[0])
    by_arm = {arm: [row.stage for row in rows(cfg) if row.columns["arm"] == arm] for arm in TRADE_OFF}
    for at_once, iterative, depth in zip(by_arm["l2_retrained"], by_arm["l2_iterative"], LENET_5.depths, strict=True):
        assert isinstance(at_once, Fit) and isinstance(iterative, Fit) and at_once.mask is not None and iterative.mask is not None
        kept = {f"{layer}.weight": share**depth for layer, share in LENET_5.kept.items()}
        assert at_once.mask.expected_shares() == pytest.approx(kept)  # type: ignore[attr-defined]
        assert iterative.mask.expected_shares() == pytest.approx(kept)  # type: ignore[attr-defined]
    assert {stage.steps for stage in by_arm["l1_without_retraining"] if isinstance(stage, Fit)} == {0}
    assert {stage.training.l1 for stage in by_arm["l1_retrained"] if isinstance(stage, Fit)} == {LENET_5.l1}


def test_the_account_is_laid_out_by_layer() -> None:
    laid = by_layer(records("lenet_300_100"))
    found = laid.groupby(["layer", "quantity"])["value"].mean().to_dict()
    assert found["fc1", "weights kept, %"] == pytest.approx(8) and found["fc1", "weights, K"] == pytest.approx(235.2)
    assert found["fc1", "weights left, K"] == pytest.approx(0.08 * 235.2)
    assert ("total", "operations left, %") in found and ("total", "outputs not zero, %") in found


def test_the_quality_of_each_layer_is_the_one_that_keeps_its_share() -> None:
    by_arm = {str(row.columns["arm"]): row.stage for row in rows(PAPER) if row.columns["seed"] == 1}
    assert by_arm["quality"] == QualityParameters(by_arm["reference"], {"fc1.weight": 0.08, "fc2.weight": 0.09, "fc3.weight": 0.26})  # type: ignore[arg-type]
    laid = qualities(pd.DataFrame({"arm": ["quality"], "seed": [0], "quality_fc1": [1.9], "quality_fc3": [1.1]}))
    assert dict(zip(laid["layer"], laid["quality"], strict=True)) == {"fc1": 1.9, "fc3": 1.1}


def test_other_depths_make_other_records_since_the_iterative_curve_depends_on_them() -> None:
    assert request(run.CONF, ["experiment=han_pruning", "depths=[0.5,1.0]"]).variant


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"arms": ["prund"]}, "arms: there is no arm 'prund'; did you mean 'pruned'?"),
        ({"arms": ["account"]}, "arms: 'account' is of the pruned net; give 'pruned' too"),
        ({"seeds": [1, 1]}, "seeds = [1, 1]: 1 is there twice; give each once"),
        ({"depths": [1.0, 0.5]}, "depths = [1.0, 0.5]: give them rising, since the iterative arm prunes from one to the next"),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line


def test_ever_smaller_experiments_keep_the_arms_of_the_table() -> None:
    sizes = list(smaller(PAPER))
    assert sizes[0] == PAPER
    assert all(config.arms[:4] == ["reference", "quality", "pruned", "account"] and len(config.seeds) >= 3 for config in sizes)
    costs = [sum(row.stage.steps for row in rows(config) if isinstance(row.stage, Fit)) for config in sizes]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("experiment", ["han_pruning", "han_pruning_lenet_5"])
def test_nets_are_pruned_by_the_quality_parameters_that_were_measured_of_the_dense_nets(experiment: str) -> None:
    config: Config = request(run.CONF, [f"experiment={experiment}"]).config
    recorded = pd.read_csv(run.ROOT / "results" / "records" / f"{experiment}.csv")
    measured = recorded[recorded["arm"] == "quality"].filter(regex="^quality_").mean()
    assert {layer: pytest.approx(measured[f"quality_{layer}"], abs=6e-4) for layer in config.quality} == config.quality
