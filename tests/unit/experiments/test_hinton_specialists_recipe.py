"""The recipe of the specialists: what it declares, and that every claim can come out each way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest

import run
from experiments.hinton_specialists import Config, check, rows, smaller
from experiments.hinton_specialists_claims import (
    CLAIMS,
    TABLES,
    beside_jft,
    by_coverage,
    by_coverage_of_most,
    by_measure,
    counts,
    of_one_specialist,
)
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.stages import Consultation, Ensemble, Fit, InitialWeights, Logits, SpecialistWeights, Specialty
from nncompress.report.claims import judge
from nncompress.report.declare import Published
from nncompress.report.records import tidy
from nncompress.report.tables import lay
from nncompress.types import Augmentation, Model

PAPER: Config = request(run.CONF, ["experiment=hinton_specialists"]).config
CIFAR: Config = request(run.CONF, ["experiment=hinton_specialists_cifar100"]).config

EXAMPLES = (2000, 1000, 600, 400)
RIGHT = (1600, 800, 500, 300)
"""Test examples by how many specialists cover their class, and how many of them a generalist gets right."""


def records(changes: tuple[float, ...], conditional: float, trained_on: float, soft: float) -> pd.DataFrame:
    """Of five seeds a little apart. `changes`: in the count of right answers, by coverage; `conditional`: accuracy with specialists, 0.8
    without; `trained_on`: accuracy; `soft`: how much better soft targets do in each respect."""
    found: list[dict[str, Any]] = []
    for seed, apart in enumerate((-1, 0, 1, 0, 0)):
        common = {"seed": seed, "dataset": "letters", "model": "mlp", "scale": "paper", "variant": ""}
        accuracy = (sum(RIGHT) + sum(changes) + apart) / sum(EXAMPLES)
        covered: dict[str, float] = {}
        for k, (examples, right, change) in enumerate(zip(EXAMPLES, RIGHT, changes, strict=True)):
            covered |= {
                f"covered_{k}_examples": examples,
                f"covered_{k}_generalist_right": right,
                f"covered_{k}_right": right + change + apart * (k > 0),
            }
        found.append({**common, "arm": "generalist", "test_accuracy": sum(RIGHT) / sum(EXAMPLES)})
        for arm in ("generalist_trained_on", "generalists_together"):
            found.append({**common, "arm": arm, "test_accuracy": trained_on})
        for arm, better in (("specialists", 0.0), ("full_softmax", 0.0), ("full_softmax_soft", soft + apart / 1e4)):
            found.append(
                {
                    **common, **covered, "arm": arm, "test_accuracy": accuracy + better, "generalist_test_accuracy": sum(RIGHT) / sum(EXAMPLES),
                    "conditional_accuracy": conditional + apart / 1e4, "generalist_conditional_accuracy": 0.8, "set_accuracy": 0.9,
                    "generalist_set_accuracy": 0.85, "specialist_others_accuracy": 0.9 + better, "specialist_special_accuracy": 0.95,
                    "specialist_train_loss": 0.2 + better, "specialist_test_loss": 0.4 - better,
                }
            )  # fmt: skip
    return pd.DataFrame(found)


def verdicts(*given: Any) -> dict[str, str]:
    return {claim.id: str(judge(claim, records(*given))["verdict"]) for claim in CLAIMS}


def test_specialists_as_in_the_paper_bear_out_every_claim() -> None:
    assert set(verdicts((0, 27, 37, 30), 0.83, 0.805, 0.01).values()) == {"reproduced"}


def test_specialists_that_harm_most_where_they_are_many_refute_every_claim() -> None:
    assert set(verdicts((20, -27, -37, -30), 0.77, 0.85, -0.01).values()) == {"not reproduced"}


def test_the_slope_is_that_of_least_squares_weighted_by_examples() -> None:
    """Relative changes 27/800, 37/500, 30/300 at 1, 2, 3 with weights 1000, 600, 400."""
    import numpy as np

    claim = next(claim for claim in CLAIMS if claim.id == "more_with_more_specialists")
    found = claim.statistic(tidy(records((0, 27, 37, 30), 0.83, 0.805, 0.01)))
    expected = np.polyfit([1, 2, 3], [27 / 800, 37 / 500, 30 / 300], 1, w=np.sqrt([1000, 600, 400]))[0]
    assert found[1] == pytest.approx(expected)


def test_the_paper_has_the_slope_that_its_own_table_gives() -> None:
    published = pd.read_csv(run.ROOT / "results/paper/hinton_specialists.csv").set_index("metric")["value"]
    lines = {f"covered_{k}_examples": published[f"covered_{k}_examples"] for k in range(11)}
    for k in range(11):  # so many right before that the change is the relative one
        lines[f"covered_{k}_generalist_right"] = 1000
        lines[f"covered_{k}_right"] = 1000 * (1 + published[f"covered_{k}_relative_change"])
    [slope] = next(claim for claim in CLAIMS if claim.id == "more_with_more_specialists").statistic(
        pd.DataFrame([{"arm": "specialists", "seed": 0, **lines}])
    )
    assert slope == pytest.approx(published["relative_change_per_specialist"], abs=5e-5)


def test_the_figure_leads_no_line_through_what_one_seed_alone_has() -> None:
    frame = records((0, 27, 37, 30), 0.83, 0.805, 0.01)
    of_one = pd.DataFrame({f"covered_4_{name}": frame["seed"].eq(0) * 10.0 for name in ("examples", "right", "generalist_right")})
    found = frame.join(of_one)
    assert set(by_coverage(found)["covering"]) == {0, 1, 2, 3, 4} and set(by_coverage_of_most(found)["covering"]) == {0, 1, 2, 3}
    assert set(by_coverage_of_most(found[found["seed"] == 0])["covering"]) == {0, 1, 2, 3, 4}


def test_tables_show_examples_nobody_covers_and_leave_out_numbers_of_specialists_that_no_class_has() -> None:
    frame = records((0, 27, 37, 30), 0.83, 0.805, 0.01).assign(covered_4_examples=0.0, covered_4_right=0, covered_4_generalist_right=0)
    found = by_coverage(frame)
    assert sorted(found["covering"].unique()) == [0, 1, 2, 3]
    shown = counts(frame)
    assert shown[(shown["covering"] == 1) & (shown["seed"] == 1)].set_index("quantity")["count"].to_dict() == {
        "test examples": 1000, "right without specialists": 800, "change with specialists": 27,
    }  # fmt: skip
    measures = by_measure(frame).groupby(["arm", "measure"])["accuracy"].mean()
    assert measures["generalist", "special classes, answers among them"] == pytest.approx(0.8)
    assert measures["specialists", "special classes, answers among them"] == pytest.approx(0.83)
    assert measures["generalist", "all classes"] == pytest.approx(0.8) and measures["generalist_trained_on", "all classes"] == 0.805
    alone = of_one_specialist(frame).groupby(["arm", "quantity"])[["share", "loss"]].mean()
    assert alone.loc[("full_softmax", "on the others"), "share"] == pytest.approx(0.9)
    assert alone.loc[("full_softmax", "test split"), "loss"] == pytest.approx(0.4)


def stages(cfg: Config, seed: int = 2) -> dict[str, Any]:
    return {str(row.columns["arm"]): row.stage for row in rows(cfg) if row.columns["seed"] == seed}


def test_specialists_of_a_seed_go_on_from_its_generalist_each_with_classes_and_a_batch_order_of_its_own() -> None:
    found = stages(PAPER)
    generalist, consultation = found["generalist"], found["specialists"]
    assert isinstance(generalist, Fit) and isinstance(consultation, Consultation)
    assert Counter(str(row.columns["arm"]) for row in rows(PAPER)) == dict.fromkeys(PAPER.arms, 5)
    assert (consultation.generalist, consultation.top, len(consultation.specialists)) == (generalist, 1, 8)
    assert consultation.classes.logits == Logits((generalist,), PAPER.dataset)
    for place, fit in enumerate(consultation.specialists):
        assert fit.specialty == Specialty(consultation.classes, place)
        assert fit.start == SpecialistWeights(generalist, fit.specialty)
        assert (fit.model.widths, fit.training) == ((16, 16, 27), PAPER.specialist_training)
    assert len({fit.seed for fit in consultation.specialists} | {generalist.seed}) == 9
    every = [fit for seed in PAPER.seeds for fit in stages(PAPER, seed)["specialists"].specialists]
    assert len({fit.shared for fit in every}) == 1 and len(set(every)) == 40
    assert replace(every[0], specialty=None).shared != every[0].shared


def test_specialists_over_all_classes_have_no_dustbin_and_soft_targets_are_all_that_tells_them_apart() -> None:
    found = stages(PAPER)
    for hard, soft in zip(found["full_softmax"].specialists, found["full_softmax_soft"].specialists, strict=True):
        assert hard.model == PAPER.model and hard.start == found["generalist"]
        assert replace(soft, distillation=None, teacher=None) == hard
        assert soft.teacher == Logits((found["generalist"],), PAPER.dataset)
    trained_on = found["generalist_trained_on"]
    assert trained_on == replace(found["full_softmax"].specialists[0], seed=2, specialty=None)


def test_as_many_generalists_answer_together_as_there_are_nets_with_specialists() -> None:
    together = stages(PAPER)["generalists_together"]
    assert isinstance(together, Ensemble) and together.fits[0] == stages(PAPER)["generalist"]
    assert len(together.fits) == 1 + PAPER.specialists
    every = [fit for seed in PAPER.seeds for fit in stages(PAPER, seed)["generalists_together"].fits]
    assert len({fit.start for fit in every}) == 45 and all(fit.start == InitialWeights(PAPER.model, fit.seed) for fit in every)


def test_a_class_has_as_many_specialists_on_average_as_in_the_paper() -> None:
    paper = 61 * 300 / 15_000
    assert PAPER.specialists * PAPER.special_classes / 26 == pytest.approx(paper, abs=0.05)
    assert CIFAR.specialists * CIFAR.special_classes / 100 == pytest.approx(paper, abs=0.05)


def test_convolutional_specialists_have_an_output_more() -> None:
    assert {fit.model.classes for fit in stages(CIFAR)["specialists"].specialists} == {101}
    assert "full_softmax_soft" not in CIFAR.arms and CIFAR.dataset.augmentation != Augmentation()


def test_smaller_experiments_keep_the_specialists_and_end() -> None:
    sizes = list(smaller(PAPER))
    assert sizes[0] == PAPER and all("specialists" in cfg.arms for cfg in sizes)
    assert len(sizes[-1].seeds) == 3 and sizes[-1].training.steps <= 500
    assert all(a != b for a, b in pairwise(sizes))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"arms": ["specialist"]}, "arms: there is no arm 'specialist'; did you mean 'specialists'?"),
        ({"arms": []}, "arms is empty: give at least one"),
        ({"seeds": [1, 1]}, "seeds = [1, 1]: 1 is there twice; give each once"),
        (
            {"special_classes": 26},
            "special_classes = 26 of a model with 26 outputs: a specialist must leave classes to its dustbin; give at most 25",
        ),
        ({"specialists": 27}, "specialists = 27 of a model with 26 outputs: their classes come from clusters of the classes; give at most 26"),
        ({"specialist_offset": 1}, "specialist_offset = 1 leads from one seed to another (1); choose a larger one"),
        ({"top_classes": 11, "model": Model("conv_2")}, "top_classes = 11 of a model with 10 outputs: there are no more; give at most 10"),
        (
            {"specialist_training": replace(PAPER.specialist_training, batch_size=25)},
            "specialist_training.batch_size = 25: half of it is special; give an even number",
        ),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line


def test_the_papers_numbers_stand_beside_ours_whatever_our_net_is_called() -> None:
    found = records((0.0, 10.0, 30.0, 60.0), 0.84, 0.7, 0.1)
    paper = pd.read_csv(run.ROOT / "results/paper/hinton_specialists.csv")
    [table] = [table for table in TABLES if isinstance(table, Published)]
    laid = lay(table, tidy(found), paper)
    assert laid is not None
    cells = laid.cells.set_index(["row", "metric"])
    assert cells.loc[("generalist", "conditional_accuracy"), ["mean", "paper"]].to_list() == pytest.approx([0.8, 0.431])
    assert cells.loc[("specialists", "conditional_accuracy"), ["mean", "paper"]].to_list() == pytest.approx([0.84, 0.459], abs=1e-4)
    shares = [cells.loc[("specialists", f"covered_{k}_relative_change"), "paper"] for k in range(4)]
    assert shares == [0, 0.034, 0.074, 0.088]
    assert beside_jft(found[found["arm"] == "generalist"]).empty


def test_the_papers_claims_say_what_they_are_of_and_are_only_tried_here() -> None:
    theirs = [claim for claim in CLAIMS if claim.kind != "ours"]
    assert theirs and all(c.kind == "transferred" and c.statement.startswith("Hinton et al. 2015, of JFT: ") for c in theirs)
