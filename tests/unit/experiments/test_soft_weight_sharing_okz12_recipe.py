"""The recipe of okz12's soft weight sharing: its numbers, and that every claim can come out each way."""

from __future__ import annotations

import pandas as pd
import pytest

import run
from experiments.soft_weight_sharing import Config, rows
from experiments.soft_weight_sharing_okz12_claims import CLAIMS, with_sparsity
from nncompress.lab.configuration import request
from nncompress.lab.sharing import SoftSharedFile
from nncompress.report.claims import judge

PAPER: Config = request(run.CONF, ["experiment=soft_weight_sharing_okz12"]).config


def records(sparsity: float, before: float, after: float) -> pd.DataFrame:
    common = {"arm": "soft_weight_sharing", "model": "lenet_300_100", "dataset": "mnist", "scale": "paper", "variant": ""}
    return pd.DataFrame(
        [
            {**common, "seed": seed, "density": 1 - sparsity - w, "test_accuracy": after + w, "test_accuracy_before": before + w}
            for seed, w in enumerate((-1e-5, 0, 1e-5))
        ]
    )


def verdicts(*numbers: float) -> dict[str, str]:
    found = records(*numbers)
    return {claim.id: str(judge(claim, found)["verdict"]) for claim in CLAIMS}


def test_the_pages_numbers_bear_out_all_claims_and_worse_ones_none() -> None:
    assert set(verdicts(0.981, 0.970, 0.9695).values()) == {"reproduced"}
    dense = verdicts(0.90, 0.95, 0.99)  # whose accuracy is not that of a net without 95 % of its weights
    assert {claim for claim, verdict in dense.items() if verdict == "inconclusive"} == {"page_accuracy", "logs_accuracy"}
    assert {verdict for claim, verdict in dense.items() if not claim.endswith("_accuracy")} == {"not reproduced"}
    assert set(verdicts(0.981, 0.95, 0.94).values()) == {"reproduced", "not reproduced"}
    assert verdicts(0.981, 0.95, 0.94)["page_accuracy"] == "not reproduced"
    assert {str(judge(claim, records(0.98, 0.97, 0.97).iloc[:0])["verdict"]) for claim in CLAIMS} == {"inconclusive"}


def test_the_numbers_of_the_logs_do_not_bear_out_the_page() -> None:
    found = verdicts(0.9589, 0.9689, 0.9640)
    assert {claim for claim, verdict in found.items() if verdict == "reproduced"} == {"logs_sparsity", "logs_accuracy_before", "logs_accuracy"}


def test_the_log_prior_is_multiplied_as_there_and_the_gamma_priors_have_the_printed_moments() -> None:
    assert PAPER.sharing.tau / (60_000 - PAPER.dataset.validation) == pytest.approx(1e-6)
    for prior, mean, variance in ((PAPER.sharing.zero_precision, 2500, 1250), (PAPER.sharing.precisions, 100, 10)):
        assert prior is not None
        assert (prior.alpha / prior.beta, prior.alpha / prior.beta**2) == pytest.approx((mean, variance))


def test_it_is_the_recipe_of_soft_weight_sharing_with_other_numbers() -> None:
    files = [row.stage for row in rows(PAPER) if row.columns["arm"] == "soft_weight_sharing"]
    assert len(files) == 5 and all(isinstance(file, SoftSharedFile) and file.fit.sharing == PAPER.sharing for file in files)


def test_sparsity_is_what_is_not_kept() -> None:
    assert with_sparsity(records(0.96, 0.97, 0.96))["sparsity"].mean() == pytest.approx(0.96)
