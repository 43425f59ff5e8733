"""The recipe on what to match: what it declares, and that every claim can come out each way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import run
from experiments.mimic_mnist import Config, check, rows, smaller
from experiments.mimic_mnist_claims import CLAIMS
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.stages import Fit, GradientLimit, fit_of
from nncompress.report.claims import judge

PAPER: Config = request(run.CONF, ["experiment=mimic_mnist"]).config


def verdicts(**errors: int) -> dict[str, str]:
    """Of five seeds a little apart, of 10,000 test images."""
    common = {"dataset": "mnist", "model": "mlp", "scale": "paper", "variant": ""}
    found = [
        {**common, "arm": arm, "seed": seed, "test_accuracy": 1 - (count + apart * (1 + place)) / 10_000}
        for place, (arm, count) in enumerate(errors.items())
        for seed, apart in enumerate((-1, 0, 1, 0, 0))
    ]
    return {claim.id: str(judge(claim, pd.DataFrame(found))["verdict"]) for claim in CLAIMS}


def test_logits_ahead_bear_out_every_claim_and_logits_behind_refute_them() -> None:
    assert set(verdicts(logits=80, soft_targets_20=82, soft_targets_1=100, probabilities=120).values()) == {"reproduced"}
    assert set(verdicts(logits=150, soft_targets_20=90, soft_targets_1=100, probabilities=120).values()) == {"not reproduced"}


def test_students_differ_in_what_they_match_and_its_rate_only() -> None:
    stages = {str(row.columns["arm"]): row.stage for row in rows(PAPER) if row.columns["seed"] == 0}
    plain = stages["plain"]
    assert isinstance(plain, Fit)
    for arm, match in PAPER.matches.items():
        student = stages[arm]
        assert isinstance(student, Fit) and student.distillation == match.distillation and student.teacher is not None
        assert replace(student, training=plain.training, distillation=None, teacher=None) == plain
    limit = stages["gradient_limit"]
    assert isinstance(limit, GradientLimit) and limit.fit == plain


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"seeds": []}, "seeds is empty: give at least one"),
        ({"matches": {"plain": PAPER.matches["logits"]}}, "matches.plain: this name is that of another arm; choose another"),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line


def test_ever_smaller_experiments_keep_three_seeds_and_what_is_compared() -> None:
    sizes = list(smaller(PAPER))
    assert sizes[0] == PAPER and all(len(config.seeds) >= 3 for config in sizes)
    assert all(list(config.matches)[:3] == ["logits", "probabilities", "soft_targets_1"] for config in sizes)  # which the claims compare
    costs = [sum(fit_of(row.stage).steps for row in rows(config)) for config in sizes]
    assert costs == sorted(costs, reverse=True) and costs[-1] < costs[0] / 10
