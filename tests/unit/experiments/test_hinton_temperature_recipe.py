"""The temperature recipe: what it declares, and that every claim can come out each way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import run
from experiments.hinton_temperature import Config, check, rows
from experiments.hinton_temperature_claims import CLAIMS
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.stages import Fit, fit_of
from nncompress.report.claims import judge

PAPER: Config = request(run.CONF, ["experiment=hinton_temperature"]).config


def verdicts(errors: Any) -> dict[str, str]:
    """Of five seeds a little apart. `errors(units, temperature)`: test errors of 10,000."""
    found = [
        {
            "arm": "temperature", "units": units, "temperature": temperature, "seed": seed, "dataset": "mnist", "model": "mlp",
            "scale": "paper", "variant": "", "test_accuracy": 1 - (errors(units, temperature) + apart) / 10_000,
        }
        for units in (30, 300, 800)
        for temperature in (1, 2.5, 4, 8, 20, 50)
        for seed, apart in enumerate((-1, 0, 1, 0, 0))
    ]  # fmt: skip
    return {claim.id: str(judge(claim, pd.DataFrame(found))["verdict"]) for claim in CLAIMS}


def test_small_nets_best_from_2_5_to_4_and_wide_ones_flat_from_8_bear_out_every_claim() -> None:
    assert set(verdicts(lambda units, t: 300 + (30 if t not in (2.5, 4) else 0) if units == 30 else 100).values()) == {"reproduced"}


def test_the_contrary_refutes_every_claim() -> None:
    assert set(verdicts(lambda units, t: 300 + (30 if t in (2.5, 4) else 0) if units == 30 else 100 + 2 * t).values()) == {"not reproduced"}


def test_the_grid_is_whole_and_students_of_a_seed_share_their_teacher() -> None:
    found = list(rows(PAPER))
    seeds, units, temperatures, weights = 5, 4, 6, 5
    assert Counter(str(row.columns["arm"]) for row in found) == {
        "plain": seeds * units, "temperature": seeds * units * temperatures, "hard_weight": seeds * weights,
    }  # fmt: skip
    taught = [row.stage for row in found if row.columns["arm"] != "plain"]
    assert len({stage.teacher for stage in taught if isinstance(stage, Fit)}) == seeds
    assert {stage.model.widths[1:-1] for stage in taught if isinstance(stage, Fit)} == {(n, n) for n in (30, 100, 300, 800)}


def test_the_student_of_the_main_table_is_in_the_grid() -> None:
    mnist = request(run.CONF, ["experiment=hinton_mnist"])
    theirs = {fit_of(row.stage).key for row in mnist.recipe.rows(mnist.config) if row.columns["arm"] in ("plain", "distilled")}
    assert theirs <= {row.stage.key for row in rows(PAPER)}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"units": []}, "units is empty: give at least one"),
        ({"temperatures": [2.0, 2.0]}, "temperatures = [2.0, 2.0]: 2.0 is there twice; give each once"),
        ({"student": replace(PAPER.student, widths=(784, 10))}, "student.widths = [784, 10]: the student needs a hidden layer"),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert line in str(refusal.value)
