"""The graph that the lottery-ticket recipe declares, before anything is trained."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

import run
from experiments.lottery_ticket import ARMS, SELECTS, Config, check, rows, smaller
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.stage import ancestors
from nncompress.lab.stages import Fit

PAPER: Config = request(run.CONF, ["experiment=lottery_ticket"]).config


def test_the_recipe_is_declared_without_torch_or_pandas() -> None:
    code = "import sys; sys.path[:0] = ['src', '.']; import experiments.lottery_ticket; sys.exit(bool({'torch', 'pandas'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=run.ROOT)
    assert done.returncode == 0


def test_every_row_has_a_label_of_its_own() -> None:
    labels = [row.label for row in rows(PAPER)]
    assert len(labels) == len(set(labels))
    assert {"winning_ticket round=0 seed=4", "rewinding seed=2 round=10 rewind_step=500"} <= set(labels)


def test_the_paper_s_scale_has_every_arm_round_and_seed() -> None:
    seeds, controls, rounds, retraining, float32 = 5, 3, 20, 10, 13
    assert Counter(str(row.columns["arm"]) for row in rows(PAPER)) == {
        "winning_ticket": seeds * (rounds + 1),
        "random_reinit": seeds * rounds,
        "random_mask": controls * rounds,
        "one_shot": controls * rounds,
        "rewinding": controls * retraining * 2,
        "learning_rate_rewinding": controls * retraining,
        "fine_tuning": controls * retraining,
        "float32": controls * (float32 + 1),
        "instability": controls * 3,
        "overlap_of_seeds": controls * rounds,
        "overlap_with_one_shot": controls * (rounds - 1),
        "overlap_with_float32": controls * float32,
    }
    assert set(PAPER.arms) == set(ARMS)


@pytest.mark.parametrize(
    "change",
    [
        {"arms": ["one_shot"], "seeds": [3, 0], "rounds": 4},
        {"seeds": [0, 2, 4]},
        {"seeds": [4], "control_seeds": [2]},
        {"control_seeds": [0]},
        {"arms": ["overlap", "instability"], "instability_rounds": [14]},
        {"rewind_steps": [500]},
        {"last_round": {"rewinding": 4, "learning_rate_rewinding": 3, "fine_tuning": 2, "float32": 4}},
    ],
)
def test_what_chooses_among_the_rows_leaves_those_chosen_as_they_are(change: dict[str, Any]) -> None:
    whole = {row.label: row.stage.key for row in rows(PAPER)}
    part = {row.label: row.stage.key for row in rows(replace(PAPER, **change))}
    assert set(change) <= set(SELECTS)
    assert part.items() < whole.items()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"arms": ["winning_ticket", "one_shoot"]}, "arms: there is no arm 'one_shoot'; did you mean 'one_shot'?"),
        ({"arms": ["xyz"]}, "arms: there is no arm 'xyz'; there are winning_ticket, random_reinit, "),
        ({"last_round": {"one_shot": 5}}, "last_round: 'one_shot' is none of the arms that can end early: rewinding, "),
        ({"seeds": [0, 1, 0]}, "seeds = [0, 1, 0]: 0 is there twice; give each once"),
        ({"control_seeds": [2, 2]}, "control_seeds = [2, 2]: 2 is there twice; give each once"),
        ({"arms": ["one_shot", "one_shot"]}, "one_shot is there twice"),
        ({"rewind_steps": [100, 100]}, "rewind_steps = [100, 100]: 100 is there twice"),
        ({"rewind_steps": [50_000]}, "rewind_steps: 50000 is not below training.steps = 50000"),
        ({"instability_rounds": [0, 21]}, "instability_rounds: 21 is outside 0 .. rounds = 20"),
        ({"instability_rounds": [-1]}, "instability_rounds: -1 is outside 0 .. rounds = 20"),
        ({"seeds": []}, "seeds is empty: give at least one"),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_ever_smaller_experiments_are_each_cheaper_and_checked() -> None:
    def steps(config: Config) -> int:
        return sum(stage.steps for stage in ancestors([row.stage for row in rows(config)]) if isinstance(stage, Fit))

    sizes = list(smaller(PAPER))
    assert sizes[0] == PAPER
    for config in sizes:
        check(config)
    costs = [steps(config) for config in sizes]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0] / 1000
    assert sizes[-1].training.steps <= 500
    assert {"winning_ticket", "random_reinit"} <= set(sizes[-1].arms)


def test_arms_seeds_and_rounds_are_given_up_before_steps_so_that_what_is_trained_is_reused() -> None:
    whole = {stage.key for stage in ancestors([row.stage for row in rows(PAPER)])}
    for config in smaller(PAPER):
        shared = {stage.key for stage in ancestors([row.stage for row in rows(config)])} <= whole
        assert shared == (config.training.steps == PAPER.training.steps)
