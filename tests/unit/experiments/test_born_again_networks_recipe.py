"""The born-again recipe: what it declares, and that every claim can come out each way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest

import run
from experiments.born_again_networks import Config, check, rows
from experiments.born_again_networks_claims import CLAIMS
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.stages import Ensemble, Fit, Logits
from nncompress.report.claims import judge

PAPER: Config = request(run.CONF, ["experiment=born_again_networks"]).config


PUBLISHED = ([0.1716, 0.1626, 0.163, 0.155], 0.1514)


def judged(single: list[float], together: float) -> dict[str, dict[str, Any]]:
    """Verdicts on five seeds a little apart. `single`: test error of each generation; `together`: of three generations."""
    errors = {("single", generation): error for generation, error in enumerate(single)} | {("ensemble", 3): together}
    common = {"dataset": "mnist", "model": "mlp", "scale": "paper", "variant": ""}
    found = [
        {**common, "arm": arm, "generation": generation, "seed": seed, "test_accuracy": 1 - error - apart * (1 + generation) / 1e5}
        for (arm, generation), error in errors.items()
        for seed, apart in enumerate((-1, 0, 1, 0, 0))
    ]
    return {claim.id: judge(claim, pd.DataFrame(found)) for claim in CLAIMS}


def test_the_papers_own_numbers_bear_out_every_claim_and_worse_students_refute_them() -> None:
    assert {row["verdict"] for row in judged(*PUBLISHED).values()} == {"reproduced"}
    assert {row["verdict"] for row in judged([0.15, 0.16, 0.165, 0.17], 0.18).values()} == {"not reproduced"}


def test_the_gains_beside_ours_are_those_of_the_papers_errors() -> None:
    found = judged(*PUBLISHED)
    assert {name: row["ours"] for name, row in found.items()} == {name: pytest.approx(row["paper"], rel=0.01) for name, row in found.items()}


def test_each_generation_is_taught_by_the_one_before_and_differs_in_nothing_else_but_the_draw() -> None:
    found = [row for row in rows(PAPER) if row.columns["seed"] == 2]
    assert Counter(str(row.columns["arm"]) for row in found) == {"single": 4, "ensemble": 2, "temperature": 1}
    singles = [row.stage for row in found if row.columns["arm"] == "single"]
    for before, after in pairwise(singles):
        assert isinstance(before, Fit) and isinstance(after, Fit)
        assert after.teacher == Logits((before,), PAPER.dataset)
        assert replace(after, distillation=None, teacher=None, start=before.start, seed=before.seed) == replace(
            before, distillation=None, teacher=None
        )
    [hot] = [row.stage for row in found if row.columns["arm"] == "temperature"]
    assert isinstance(hot, Fit) and hot.distillation is not None and hot.distillation.temperature == 2
    assert replace(hot, distillation=PAPER.distillation) == singles[1]
    together = [row.stage for row in found if row.columns["arm"] == "ensemble"]
    assert [stage.fits for stage in together if isinstance(stage, Ensemble)] == [tuple(singles[1:3]), tuple(singles[1:])]


def test_the_first_net_is_the_plain_net_of_the_distillation_table() -> None:
    mnist = request(run.CONF, ["experiment=hinton_mnist"])
    plain = {row.stage.key for row in mnist.recipe.rows(mnist.config) if row.columns["arm"] == "plain"}
    assert {row.stage.key for row in rows(PAPER) if row.columns["generation"] == 0} == plain


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"temperatures": [20.0, 20.0]}, "temperatures = [20.0, 20.0]: 20.0 is there twice; give each once"),
        ({"seeds": [1, 1]}, "seeds = [1, 1]: 1 is there twice; give each once"),
        ({"generation_offset": 1}, "generation_offset = 1 leads from one seed to another (1); choose a larger one"),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line
