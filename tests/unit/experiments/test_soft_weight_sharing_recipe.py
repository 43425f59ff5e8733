"""The recipe of soft weight sharing: what it declares, and that every claim can come out each way."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import run
from experiments.han_pruning import Config as Pruning
from experiments.soft_weight_sharing import ARMS, HEADLINE, Config, check, rows, smaller
from experiments.soft_weight_sharing_claims import CLAIMS, by_layer, with_errors
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.quantizing import CompressedFile
from nncompress.lab.sharing import MixtureMeans, SoftSharedFile
from nncompress.lab.stages import Fit
from nncompress.report.claims import judge

PAPER: Config = request(run.CONF, ["experiment=soft_weight_sharing"]).config
HAN: Pruning = request(run.CONF, ["experiment=han_pruning"]).config
PRINTED = {"lenet_300_100": (0.0189, 0.0194, 64.0, 0.043), "lenet_5_relu": (0.0088, 0.0097, 162.0, 0.005)}
"""Errors of the dense and the compressed net, rate, share kept."""


def records(model: str, **changes: Any) -> pd.DataFrame:
    """What the paper prints of a net, its hyper-priors making no difference; `changes` say otherwise."""
    reference, error, rate, kept = PRINTED[model]
    values = {"error": error, "rate": rate, "kept": kept, "before": error - 0.0001, "nearest": kept + 0.3} | changes
    found = []
    for seed in range(5):
        wobble = (seed - 2) * 1e-5
        common = {"seed": seed, "model": model, "dataset": "mnist", "scale": "paper", "variant": ""}
        found.append({**common, "arm": "reference", "test_accuracy": 1 - reference, "rate": 1.0})
        measured = {
            "test_accuracy": 1 - values["error"] - wobble,
            "test_accuracy_before": 1 - values["before"],
            "rate": values["rate"] + wobble,
        }
        for arm in ("soft_weight_sharing", "no_hyper_priors"):
            found.append({**common, **measured, "arm": arm, "density": values["kept"] + wobble, "density_fc1": values["kept"]})
        found.append({**common, **measured, "arm": "nearest_mean", "density": values["nearest"]})
    return pd.DataFrame(found)


def verdicts(model: str, **changes: Any) -> dict[str, str]:
    found = records(model, **changes)
    return {claim.id: str(judge(claim, found)["verdict"]) for claim in CLAIMS if not claim.models or model in claim.models}


def test_the_recipe_is_declared_without_torch_or_pandas() -> None:
    code = (
        "import sys; sys.path[:0] = ['src', '.']; import experiments.soft_weight_sharing; sys.exit(bool({'torch', 'pandas'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=run.ROOT).returncode == 0


@pytest.mark.parametrize(("model", "count"), [("lenet_300_100", 8), ("lenet_5_relu", 4)])
def test_the_papers_own_numbers_bear_out_every_claim(model: str, count: int) -> None:
    found = verdicts(model)
    assert len(found) == count and set(found.values()) == {"reproduced"}, found


@pytest.mark.parametrize("model", PRINTED)
def test_the_contrary_refutes_every_claim(model: str) -> None:
    found = verdicts(model, error=0.03, rate=30.0, kept=0.1, before=0.02, nearest=0.05)
    assert set(found.values()) == {"not reproduced"}, found


def test_what_is_not_recorded_is_inconclusive() -> None:
    few = records("lenet_300_100").query("arm == 'reference'").drop(columns=["density", "rate", "test_accuracy_before"])
    assert {str(judge(claim, few)["verdict"]) for claim in CLAIMS} == {"inconclusive"}


def test_every_arm_has_its_seeds() -> None:
    found = Counter(str(row.columns["arm"]) for row in rows(PAPER))
    assert found == {
        **dict.fromkeys(HEADLINE, 5),
        "even_starts": 3,
        "no_hyper_priors_as_tutorial": 3,
        "learnt_zero_share": 3,
        "tau": 3 * len(PAPER.taus),
    }
    assert set(PAPER.arms) == set(ARMS)


def test_the_dense_nets_are_those_of_the_pruning_recipe_and_are_trained_on_under_the_mixture() -> None:
    by_arm = {str(row.columns["arm"]): row.stage for row in rows(PAPER) if row.columns["seed"] == 1}
    reference, file = by_arm["reference"], by_arm["soft_weight_sharing"]
    assert isinstance(reference, CompressedFile) and reference.net == HAN.dense_fit(1)
    assert isinstance(file, SoftSharedFile) and isinstance(file.net, MixtureMeans) and file.codebook == file.net
    assert file.fit == replace(HAN.dense_fit(1), start=HAN.dense_fit(1), training=PAPER.retraining, sharing=PAPER.sharing)
    assert isinstance(file.fit.start, Fit) and file.fit.sharing == PAPER.sharing
    bare = by_arm["no_hyper_priors"]
    as_tutorial = by_arm["no_hyper_priors_as_tutorial"]
    assert isinstance(as_tutorial, SoftSharedFile)
    assert as_tutorial.fit.sharing == replace(PAPER.sharing, zero_precision=None, precisions=None)
    even = by_arm["even_starts"]
    as_printed = replace(PAPER.sharing, reach=None, initial_std=None, mean_rate=5e-4, precision_rate=5e-4, share_rate=5e-4)
    assert isinstance(even, SoftSharedFile) and even.fit.sharing == as_printed
    assert isinstance(bare, SoftSharedFile) and bare.fit.sharing == replace(as_printed, zero_precision=None, precisions=None)


def test_what_the_nearest_mean_is_compared_with_is_the_same_fit() -> None:
    fits = {str(row.columns["arm"]): row.stage for row in rows(PAPER) if row.columns["seed"] == 0}
    nearest, file = fits["nearest_mean"], fits["soft_weight_sharing"]
    assert isinstance(nearest, SoftSharedFile) and isinstance(file, SoftSharedFile)
    assert nearest.fit == file.fit and nearest != file


def test_pictures_and_the_file_are_kept_of_the_first_seed_only() -> None:
    kept = [(row.columns["seed"], row.columns["arm"]) for row in rows(PAPER) if row.keep_arrays or row.keep_file]
    assert kept == [(0, "soft_weight_sharing")]


def test_errors_and_layers_are_laid_out_for_the_tables() -> None:
    found = records("lenet_300_100")
    shared = with_errors(found).query("arm == 'soft_weight_sharing'")
    assert shared["error_over_reference"].mean() == pytest.approx(0.0005) and shared["quantizing_error"].mean() == pytest.approx(0.0001)
    assert set(by_layer(found.query("arm == 'soft_weight_sharing'"))["layer"]) == {"fc1", "all, with biases"}
    assert with_errors(found.drop(columns="test_accuracy_before"))["quantizing_error"].isna().all()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"arms": ["nearest_means"]}, "arms: there is no arm 'nearest_means'; did you mean 'nearest_mean'?"),
        ({"taus": [0.05, 0.05]}, "taus = [0.05, 0.05]: 0.05 is there twice; give each once"),
        ({"seeds": []}, "seeds is empty: give at least one"),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line


def test_a_share_of_component_0_out_of_range_is_refused_when_the_configuration_is_read() -> None:
    with pytest.raises(UserError, match=r"sharing\.zero_share"):
        request(run.CONF, ["experiment=soft_weight_sharing", "sharing.zero_share=1.0"])


def test_ever_smaller_experiments_keep_the_arms_of_the_claims() -> None:
    sizes = list(smaller(PAPER))
    assert sizes[0] == PAPER
    assert all(config.arms[:2] == list(HEADLINE[:2]) and len(config.seeds) >= 3 for config in sizes)
