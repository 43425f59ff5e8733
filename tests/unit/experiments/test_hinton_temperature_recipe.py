"""The temperature recipe: what it declares, and that every claim can come out each way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import run
from experiments.hinton_temperature import Config, check, rows
from experiments.hinton_temperature_claims import CLAIMS, of_the_widest
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


@pytest.mark.parametrize(("temperature", "refuted"), [(8, "small_nets_want_low_temperatures"), (1, "small_nets_want_soft_targets")])
def test_one_better_temperature_on_either_side_refutes_that_side_and_the_best(temperature: float, refuted: str) -> None:
    """Temperature 8 is higher, too: with it far ahead the mean from 8 on is ahead of that from 2.5 to 4."""
    found = verdicts(lambda units, t: 300 - (100 if t == temperature else 0) + (30 if t not in (2.5, 4) else 0) if units == 30 else 100)
    assert {claim for claim, verdict in found.items() if verdict == "not reproduced"} == {refuted, "small_nets_best_from_2_to_5"}


@pytest.mark.parametrize("odd", [8, 20, 50])
def test_one_temperature_that_is_apart_refutes_that_wide_nets_do_not_care(odd: float) -> None:
    found = verdicts(lambda units, t: 300 + (30 if t not in (2.5, 4) else 0) if units == 30 else 100 + (20 if t == odd else 0))
    assert {claim for claim, verdict in found.items() if verdict == "not reproduced"} == {f"wide_nets_do_not_care_{n}" for n in (300, 800)}


def test_the_weight_of_the_labels_is_shown_of_the_widest_students_alone() -> None:
    """A run with units=[30] leaves rows of that width beside those of 800."""
    common = {"arm": "hard_weight", "hard_weight": 0.5, "seed": 0, "dataset": "mnist"}
    found = of_the_widest(pd.DataFrame([{**common, "units": 30, "test_accuracy": 0.9}, {**common, "units": 800, "test_accuracy": 0.99}]))
    assert found["test_errors"].to_list() == [100]


def test_the_grid_is_whole_and_students_of_a_seed_share_their_teacher() -> None:
    found = list(rows(PAPER))
    seeds, units, temperatures, weights = 5, 3, 6, 5
    assert Counter(str(row.columns["arm"]) for row in found) == {
        "plain": seeds * units, "temperature": seeds * units * temperatures, "hard_weight": seeds * weights,
    }  # fmt: skip
    taught = [row.stage for row in found if row.columns["arm"] != "plain"]
    assert len({stage.teacher for stage in taught if isinstance(stage, Fit)}) == seeds
    assert {stage.model.widths[1:-1] for stage in taught if isinstance(stage, Fit)} == {(n, n) for n in (30, 300, 800)}


def test_the_student_of_the_main_table_is_in_the_grid() -> None:
    mnist = request(run.CONF, ["experiment=hinton_mnist"])
    theirs = {fit_of(row.stage).key for row in mnist.recipe.rows(mnist.config) if row.columns["arm"] in ("plain", "distilled")}
    assert theirs <= {row.stage.key for row in rows(PAPER)}


def test_a_student_has_the_rate_of_its_width_and_temperature_or_else_that_of_all() -> None:
    cfg = replace(PAPER, taught_learning_rate=0.02, taught_learning_rates={30: {1.0: 0.5}})
    rates = {
        (row.columns["units"], row.columns["temperature"]): fit_of(row.stage).training.learning_rate
        for row in rows(cfg)
        if row.columns["arm"] != "plain"
    }
    assert rates.pop((30, 1)) == 0.5 and set(rates.values()) == {0.02}


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
