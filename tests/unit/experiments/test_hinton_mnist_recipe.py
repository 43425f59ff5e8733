"""The MNIST recipe of Hinton et al. 2015: what it declares, and that every claim can come out each way."""

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
from experiments.hinton_mnist import ARMS, Config, check, rows, smaller
from experiments.hinton_mnist_claims import CLAIMS, by_match
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.stages import Fit, Logits, fit_of
from nncompress.models import initial_weights
from nncompress.report.claims import judge

PAPER: Config = request(run.CONF, ["experiment=hinton_mnist"]).config
PUBLISHED = {"teacher": 67, "plain": 146, "distilled": 74}


def records(**errors: list[int]) -> pd.DataFrame:
    """One row per arm and seed with these errors of 10,000."""
    found = [
        {"arm": arm, "seed": seed, "dataset": "mnist", "model": "mlp", "scale": "paper", "variant": "", "test_accuracy": 1 - count / 10_000}
        for arm, counts in errors.items()
        for seed, count in enumerate(counts)
    ]
    return pd.DataFrame(found)


def near(count: int) -> list[int]:
    return [count - 1, count, count + 1, count, count]


def verdicts(**errors: list[int]) -> dict[str, str]:
    found = records(**errors)
    return {claim.id: str(judge(claim, found)["verdict"]) for claim in CLAIMS}


def test_the_recipe_is_declared_without_torch_or_pandas() -> None:
    code = "import sys; sys.path[:0] = ['src', '.']; import experiments.hinton_mnist; sys.exit(bool({'torch', 'pandas'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=run.ROOT).returncode == 0


INGREDIENTS = ("jitter", "dropout", "max_norm")
OURS = {"labels_not_needed", "ensemble_teaches_better", *(f"teacher_needs_{name}" for name in INGREDIENTS)}


def arms(teacher: int, plain: int, distilled: int, without: int, together: int, lacking: int) -> dict[str, list[int]]:
    """Errors. `without`: of students without labels, of one teacher; `together`: of several; `lacking`: of teachers that lack something, while
    a whole one of their length makes 80."""
    counts = {"teacher": teacher, "plain": plain, "distilled": distilled, "teacher_short": 80}
    counts |= {"distilled_without_labels": without, "distilled_from_ensemble": together}
    counts |= {f"teacher_without_{name}": lacking for name in INGREDIENTS}
    return {arm: [count + apart * (1 + place) for apart in (-1, 0, 1, 0, 0)] for place, (arm, count) in enumerate(counts.items())}


def test_the_papers_own_numbers_bear_out_every_claim_but_the_wish_for_fewer_than_70() -> None:
    found = verdicts(**arms(**PUBLISHED, without=76, together=70, lacking=110))
    assert found.pop("below_70") == "not reproduced"
    assert set(found.values()) == {"reproduced"}


@pytest.mark.parametrize("claim", [claim.id for claim in CLAIMS if claim.id not in OURS | {"below_70"}])
def test_a_teacher_that_is_no_better_and_teaches_nothing_refutes_every_claim(claim: str) -> None:
    assert verdicts(teacher=near(195), plain=near(200), distilled=[190, 205, 210, 206, 210])[claim] in ("not reproduced", "inconclusive")
    assert verdicts(teacher=near(190), plain=near(170), distilled=near(180))[claim] == "not reproduced"


@pytest.mark.parametrize("without", [20, 120])
def test_students_that_do_otherwise_without_labels_and_teachers_that_do_better_without_refute_ours(without: int) -> None:
    found = verdicts(**arms(**PUBLISHED, without=without, together=without + 10, lacking=60))
    assert {found[claim] for claim in OURS} == {"not reproduced"}


def test_the_table_of_matches_has_a_row_for_each_measure_that_is_recorded() -> None:
    found = records(distilled=[70, 71], plain=[140, 141]).assign(train_divergence=0.1, test_divergence=0.2, test_same_answers=0.99)
    tidy = by_match(found)
    assert tidy.groupby("measure")["value"].mean().to_dict() == {
        "divergence, nats, train": 0.1, "divergence, nats, test": 0.2, "share of same answers, test": 0.99,
    }  # fmt: skip
    assert set(tidy["arm"]) == {"distilled"} and by_match(records(plain=[140])).empty


def test_a_better_student_than_the_papers_is_below_70() -> None:
    assert verdicts(teacher=near(60), plain=near(140), distilled=near(65))["below_70"] == "reproduced"


def test_two_seeds_are_too_few() -> None:
    assert set(verdicts(teacher=[67, 67], plain=[146, 146], distilled=[74, 74]).values()) == {"inconclusive"}


def test_every_arm_has_its_seeds() -> None:
    assert Counter(str(row.columns["arm"]) for row in rows(PAPER)) == dict.fromkeys(ARMS, 5)


def of_seed_1() -> dict[str, Fit]:
    return {str(row.columns["arm"]): fit_of(row.stage) for row in rows(PAPER) if row.columns["seed"] == 1}


def test_plain_and_distilled_differ_in_what_they_learn_from_and_in_their_rate_alone() -> None:
    by_arm = of_seed_1()
    plain, distilled, teacher = (by_arm[arm] for arm in ("plain", "distilled", "teacher"))
    assert replace(distilled, distillation=None, teacher=None, training=plain.training) == plain
    assert distilled.training == replace(plain.training, learning_rate=PAPER.taught_learning_rate)
    assert distilled.teacher == Logits((teacher,), distilled.dataset)
    assert teacher.dataset.augmentation.shift == 2 and distilled.dataset.augmentation.shift == 0
    longer = replace(PAPER, taught_steps=99).taught(plain, PAPER.distillation, Logits((teacher,), distilled.dataset))
    assert longer == replace(distilled, training=replace(distilled.training, steps=99))
    ensemble = by_arm["distilled_from_ensemble"]
    assert isinstance(ensemble.teacher, Logits) and len(ensemble.teacher.fits) == 5
    assert ensemble.distillation is not None and ensemble.distillation.hard_weight == 0


def test_fewer_seeds_leave_the_teachers_of_an_ensemble_as_they_are() -> None:
    fewer = {row.stage for row in rows(replace(PAPER, seeds=[1], arms=["distilled_from_ensemble"]))}
    assert fewer < {row.stage for row in rows(PAPER)}


def test_teachers_without_an_ingredient_differ_in_it_alone_from_a_whole_one_of_their_length() -> None:
    by_arm = of_seed_1()
    whole, jitter, dropout, norm = (by_arm[f"teacher_{arm}"] for arm in ("short", *(f"without_{name}" for name in INGREDIENTS)))
    assert whole.training.steps < PAPER.teacher_training.steps
    assert replace(whole, training=PAPER.teacher_training) == by_arm["teacher"]
    assert replace(jitter, dataset=whole.dataset) == whole != jitter
    assert replace(dropout, model=whole.model, start=whole.start) == whole != dropout
    assert replace(norm, training=whole.training) == whole != norm


def test_a_student_and_its_teacher_share_no_draw() -> None:
    """Streams are named by seed and parameter: with the same seed the rows of one would be rows of the other."""
    teacher, plain = (initial_weights(fit.model, fit.seed) for fit in (PAPER.teacher_fit(1), PAPER.plain_fit(1)))
    same = initial_weights(PAPER.teacher, PAPER.plain_fit(1).seed)
    ours, theirs, shared = (weights["fc1.weight"][:800].ravel() for weights in (plain, teacher, same))
    assert abs(np.corrcoef(ours, theirs)[0, 1]) < 0.01 < 0.99 < np.corrcoef(ours, shared)[0, 1]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"arms": ["teecher"]}, "arms: there is no arm 'teecher'; did you mean 'teacher'?"),
        ({"seeds": [1, 1]}, "seeds = [1, 1]: 1 is there twice; give each once"),
        ({"seeds": []}, "seeds is empty: give at least one"),
        ({"ensemble_seeds": []}, "ensemble_seeds is empty: give at least one"),
        ({"ablation_seeds": [1001]}, "teacher_offset = 1000 leads from one seed to another (1001); choose a larger one"),
        ({"teacher_offset": 1}, "teacher_offset = 1 leads from one seed to another (1); choose a larger one"),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line


def test_ever_smaller_experiments_keep_the_three_arms_of_the_table() -> None:
    sizes = list(smaller(PAPER))
    assert sizes[0] == PAPER
    assert all(config.arms[:3] == ["teacher", "plain", "distilled"] and len(config.seeds) >= 3 for config in sizes)
    costs = [sum(fit_of(row.stage).steps for row in rows(config)) for config in sizes]
    assert costs == sorted(costs, reverse=True) and len(set(costs)) == len(costs)
