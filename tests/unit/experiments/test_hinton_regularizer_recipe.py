"""The recipe on soft targets as regularisers: what it declares, and that every claim can come out each way."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import run
from experiments.hinton_regularizer import Config, check, rows, smaller
from experiments.hinton_regularizer_claims import ALL, CLAIMS, FEW, SOFT, after_the_last_step, as_in_the_paper, by_split
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.stages import Fit, Logits
from nncompress.report.claims import judge
from nncompress.types import Distillation

EXPERIMENTS = {name: request(run.CONF, [f"experiment=hinton_regularizer_{name}"]).config for name in ("mnist", "speech")}
PAPER: Config = EXPERIMENTS["mnist"]
SHARED = {"mnist": ("hinton_mnist", "plain"), "speech": ("hinton_speech", "baseline")}


def records(train: dict[str, float], test: dict[str, float], lost: float = 0.0) -> pd.DataFrame:
    """Five seeds a little apart. `train`, `test`: accuracies as the paper reports them; `lost`: of soft targets after their early stop."""
    common = {"dataset": "fsdd", "model": "mlp", "scale": "paper", "variant": ""}
    found = []
    for place, arm in enumerate(train):
        for seed, apart in enumerate((-1, 0, 1, 0, 0)):
            own = apart * (1 + place) / 1e5
            # Labels of little data end elsewhere than where they are stopped.
            end, stop = ("", "early_stop_") if arm != FEW else ("early_stop_", "")
            found.append(
                {
                    **common, "arm": arm, "seed": seed,
                    f"{end}train_accuracy": train[arm] - own, f"{stop}train_accuracy": 1.0,
                    "early_stop_accuracy" if arm == FEW else "test_accuracy": test[arm] + own,
                    "test_accuracy" if arm == FEW else "early_stop_accuracy": test[arm] + 0.01 - 2 * own,
                    "early_stop_validation_accuracy": 0.5, "validation_accuracy": 0.5 - lost + own,
                }
            )  # fmt: skip
    return pd.DataFrame(found)


def verdicts(*given: Any) -> dict[str, str]:
    found = records(*given)
    return {claim.id: str(judge(claim, found)["verdict"]) for claim in CLAIMS}


TRAIN, TEST = {ALL: 0.634, FEW: 0.673, SOFT: 0.654}, {ALL: 0.589, FEW: 0.445, SOFT: 0.57}


def test_the_recipe_is_declared_without_torch_or_pandas() -> None:
    code = (
        "import sys; sys.path[:0] = ['src', '.']; import experiments.hinton_regularizer; sys.exit(bool({'torch', 'pandas'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=run.ROOT).returncode == 0


def test_the_papers_own_numbers_bear_out_every_claim() -> None:
    assert set(verdicts(TRAIN, TEST).values()) == {"reproduced"}
    found = records(TRAIN, TEST)
    values = {claim.id: judge(claim, found)["ours"] for claim in CLAIMS if claim.paper is not None}
    assert values == {claim.id: pytest.approx(claim.paper, rel=0.002) for claim in CLAIMS if claim.paper is not None}


def test_labels_that_do_not_suffer_and_soft_targets_that_do_not_help_refute_every_claim() -> None:
    assert set(verdicts({ALL: 0.634, FEW: 0.6, SOFT: 0.7}, {ALL: 0.589, FEW: 0.57, SOFT: 0.55}, 0.03).values()) == {"not reproduced"}


def test_soft_targets_that_bring_back_half_refute_the_share_alone() -> None:
    found = verdicts(TRAIN, {ALL: 0.589, FEW: 0.445, SOFT: 0.517})
    assert found.pop("gap_recovered") == "not reproduced" and set(found.values()) == {"reproduced"}


def test_labels_of_little_data_are_reported_at_their_early_stop_and_the_others_at_their_end() -> None:
    found = as_in_the_paper(records(TRAIN, TEST)).groupby("arm")[["reported_train_accuracy", "reported_test_accuracy"]].mean()
    for arm in (ALL, FEW, SOFT):
        assert found.loc[arm].tolist() == pytest.approx([TRAIN[arm], TEST[arm]])
    tidy = by_split(records(TRAIN, TEST))
    assert tidy.groupby(["arm", "split"])["reported_accuracy"].mean()[FEW].to_dict() == pytest.approx({"train": 0.673, "test": 0.445})


def test_all_are_shown_after_their_last_step_too() -> None:
    tidy = after_the_last_step(records(TRAIN, TEST)).groupby(["arm", "split"])["accuracy"].mean()
    assert tidy[SOFT].to_dict() == pytest.approx({"train": 0.654, "test": 0.57})
    assert tidy[FEW].to_dict() == pytest.approx({"train": 1.0, "test": 0.455})


def test_labels_that_catch_up_after_their_early_stop_refute_that_claim_alone() -> None:
    late = records(TRAIN, TEST)
    late.loc[late["arm"] == FEW, "test_accuracy"] += 0.2
    found = {claim.id: judge(claim, late)["verdict"] for claim in CLAIMS}
    assert found.pop("better_without_early_stop") == "not reproduced" and set(found.values()) == {"reproduced"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_arms_differ_in_their_data_and_in_what_they_learn_from_and_nothing_else(name: str) -> None:
    cfg = EXPERIMENTS[name]
    found = list(rows(cfg))
    assert Counter(str(row.columns["arm"]) for row in found) == {ALL: 5, FEW: 5, SOFT: 5}
    stages = {str(row.columns["arm"]): row.stage for row in found if row.columns["seed"] == 3}
    everything, few, soft = stages[ALL], stages[FEW], stages[SOFT]
    assert isinstance(everything, Fit) and isinstance(few, Fit) and isinstance(soft, Fit)
    assert replace(soft, distillation=None, teacher=None, training=few.training) == few
    assert soft.training == replace(few.training, learning_rate=cfg.taught_learning_rate)
    assert soft.teacher == Logits((everything,), few.dataset) and soft.distillation is not None and soft.distillation.hard_weight == 0
    again = replace(few, dataset=everything.dataset, training=everything.training, start=everything.start, seed=everything.seed)
    assert again == everything and few.seed == everything.seed + cfg.few_offset == getattr(few.start, "seed", None)
    assert replace(few.training, steps=everything.training.steps, evaluate_every=everything.training.evaluate_every) == everything.training


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_nets_of_all_data_are_those_of_the_main_tables(name: str) -> None:
    experiment, arm = SHARED[name]
    main = request(run.CONF, [f"experiment={experiment}"])
    theirs = {
        row.stage if isinstance(row.stage, Fit) else row.stage.upstream[0] for row in main.recipe.rows(main.config) if row.columns["arm"] == arm
    }
    assert {row.stage for row in rows(EXPERIMENTS[name]) if row.columns["arm"] == ALL} == theirs


def test_little_data_are_three_percent() -> None:
    mnist, speech = (cfg.few_fit(0).dataset for cfg in EXPERIMENTS.values())
    assert (mnist.train_examples, mnist.train_recordings, mnist.validation) == (1800, None, 5000)
    assert (speech.train_examples, speech.train_recordings, speech.validation_speakers) == (None, 45, ("nicolas",))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"seeds": []}, "seeds is empty: give at least one"),
        ({"few_offset": 2}, "few_offset = 2 leads from one seed to another (2); choose a larger one"),
        ({"few": replace(PAPER.few, recordings=5)}, "few.examples = 1800 and few.recordings = 5: give one of them, recordings of speech"),
        ({"few": replace(PAPER.few, examples=None)}, "few.examples = None and few.recordings = None: give one of them, recordings of speech"),
        (
            {"few": replace(PAPER.few, validation=0)},
            "few.validation = 0: labels on little data are stopped early; hold out some examples, such as few.validation=5000",
        ),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line


def test_ever_smaller_experiments_keep_three_seeds() -> None:
    sizes = list(smaller(PAPER))
    assert sizes[0] == PAPER and all(len(config.seeds) >= 3 for config in sizes)
    costs = [sum(row.stage.steps for row in rows(config) if isinstance(row.stage, Fit)) for config in sizes]
    assert costs == sorted(costs, reverse=True) and costs[-1] < costs[0] / 10


def test_soft_targets_alone_are_the_default_of_both() -> None:
    assert {name: cfg.distillation for name, cfg in EXPERIMENTS.items()} == {
        "mnist": Distillation(temperature=20), "speech": Distillation(temperature=2),
    }  # fmt: skip


def test_the_papers_claims_say_what_they_are_of_and_are_only_tried_here() -> None:
    theirs = [claim for claim in CLAIMS if claim.kind != "ours"]
    assert theirs and all(c.kind == "transferred" and c.statement.startswith("Hinton et al. 2015, of speech: ") for c in theirs)
