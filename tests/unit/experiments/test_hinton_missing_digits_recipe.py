"""The recipe of the digits never seen: what it declares, and that every claim can come out each way."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

import run
from experiments.hinton_missing_digits import Config, TransferSet, check, rows, smaller
from experiments.hinton_missing_digits_claims import CLAIMS
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.stages import BiasShift, Fit, fit_of
from nncompress.report.claims import judge

PAPER: Config = request(run.CONF, ["experiment=hinton_missing_digits"]).config


def verdicts(threes_wrong: dict[str, int], errors_after: int, wrong_after: float) -> dict[str, str]:
    """Of five seeds a little apart. `threes_wrong`: of 1,010, by correction."""
    found = []
    for seed, apart in enumerate((-1, 0, 1, 0, 0)):
        words = {"seed": seed, "dataset": "mnist", "model": "mlp", "scale": "paper", "variant": ""}
        classes = {f"class_errors_{suffix}": count + apart for suffix, count in threes_wrong.items()}
        found.append({**words, "arm": "without_3", "class_examples": 1010, **classes, "test_errors_tuned": errors_after + apart})
        found.append({**words, "arm": "only_7_and_8", "class_examples": 2002, "test_accuracy_tuned": 1 - wrong_after + apart / 1000})
    return {claim.id: str(judge(claim, pd.DataFrame(found))["verdict"]) for claim in CLAIMS}


def test_the_papers_own_numbers_bear_out_every_claim() -> None:
    assert set(verdicts({"before": 133, "tuned": 14, "matched": 20}, 109, 0.132).values()) == {"reproduced"}


def test_a_student_that_never_guesses_a_three_refutes_every_claim() -> None:
    assert set(verdicts({"before": 1005, "tuned": 500, "matched": 600}, 700, 0.5).values()) == {"not reproduced"}


def test_students_see_the_classes_of_their_transfer_set_only_and_teachers_all() -> None:
    stages = {str(row.columns["arm"]): row.stage for row in rows(PAPER) if row.columns["seed"] == 0}
    teacher, without, only = stages["teacher"], stages["without_3"], stages["only_7_and_8"]
    assert isinstance(teacher, Fit) and isinstance(without, BiasShift) and isinstance(only, BiasShift)
    assert teacher.dataset.train_classes == () and without.fit.dataset.train_classes == (0, 1, 2, 4, 5, 6, 7, 8, 9)
    assert (without.classes, only.classes, only.fit.dataset.train_classes) == ((3,), (7, 8), (7, 8))
    assert without.whole.train_classes == () and without.fit.distillation is not None and without.fit.distillation.hard_weight == 0


def test_the_teachers_are_those_of_the_main_table() -> None:
    mnist = request(run.CONF, ["experiment=hinton_mnist"])
    theirs = {row.stage.key for row in mnist.recipe.rows(mnist.config) if row.columns["arm"] == "teacher"}
    assert {row.stage.key for row in rows(PAPER) if row.columns["arm"] == "teacher"} == theirs


@pytest.mark.parametrize("classes", [(), (3, 3), (-1,)])
def test_a_transfer_set_without_classes_is_refused(classes: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"transfer_sets\.odd\.shifted = .*: name at least one class, each once"):
        check(replace(PAPER, transfer_sets={"odd": TransferSet((1, 2), classes)}))


def test_ever_smaller_experiments_keep_three_seeds_and_what_is_compared() -> None:
    sizes = list(smaller(PAPER))
    assert sizes[0] == PAPER and all(len(config.seeds) >= 3 for config in sizes)
    costs = [sum(fit_of(row.stage).steps for row in rows(config)) for config in sizes]
    assert costs == sorted(costs, reverse=True) and costs[-1] < costs[0] / 10
