"""The speech recipe: what it declares, and that every claim can come out each way."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import run
from experiments.hinton_speech import Config, check, rows, smaller
from experiments.hinton_speech_claims import CLAIMS
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.stage import ancestors
from nncompress.lab.stages import Fit, Logits, Utterances
from nncompress.report.claims import judge

PAPER: Config = request(run.CONF, ["experiment=hinton_speech"]).config


def verdicts(frames: dict[str, float], words: dict[str, float]) -> dict[str, str]:
    """Of five seeds a little apart, each arm by another share of it. `frames`: test accuracy; `words`: test utterance error."""
    common = {"dataset": "fsdd", "model": "mlp", "scale": "paper", "variant": ""}
    found = [
        {**common, "arm": arm, "seed": seed, "test_accuracy": frames[arm] + own, "test_utterance_error": words[arm] - own}
        for place, arm in enumerate(frames)
        for seed, apart in enumerate((-1, 0, 1, 0, 0))
        for own in (apart * (1 + place) / 1e5,)
    ]
    return {claim.id: str(judge(claim, pd.DataFrame(found))["verdict"]) for claim in CLAIMS}


def test_the_recipe_is_declared_without_torch_or_pandas() -> None:
    code = "import sys; sys.path[:0] = ['src', '.']; import experiments.hinton_speech; sys.exit(bool({'torch', 'pandas'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=run.ROOT).returncode == 0


def test_the_papers_own_numbers_bear_out_every_claim() -> None:
    frames = {"baseline": 0.589, "ensemble": 0.611, "distilled": 0.608}
    assert set(verdicts(frames, {"baseline": 0.109, "ensemble": 0.107, "distilled": 0.107}).values()) == {"reproduced"}


def test_nets_that_do_not_help_each_other_and_teach_nothing_refute_every_claim() -> None:
    frames = {"baseline": 0.589, "ensemble": 0.58, "distilled": 0.586}
    assert set(verdicts(frames, {"baseline": 0.109, "ensemble": 0.11, "distilled": 0.12}).values()) == {"not reproduced"}


def test_a_student_that_keeps_half_of_the_gain_refutes_the_share_alone() -> None:
    found = verdicts({"baseline": 0.589, "ensemble": 0.611, "distilled": 0.6}, {"baseline": 0.109, "ensemble": 0.105, "distilled": 0.107})
    assert found.pop("gain_kept") == "not reproduced" and set(found.values()) == {"reproduced"}


def test_every_seed_has_its_arms_and_ten_nets_of_its_own() -> None:
    found = list(rows(PAPER))
    assert Counter(str(row.columns["arm"]) for row in found) == {"baseline": 5, "ensemble": 5, "distilled": 5, "temperature": 20}
    ensembles = [row.stage.fits for row in found if isinstance(row.stage, Utterances) and row.columns["arm"] == "ensemble"]
    assert {len(fits) for fits in ensembles} == {10} and len({fit for fits in ensembles for fit in fits}) == 50


def test_the_nets_of_an_ensemble_differ_in_their_initial_weights_only_and_the_baseline_is_the_first() -> None:
    stages = {str(row.columns["arm"]): row.stage for row in rows(PAPER) if row.columns["seed"] == 2}
    baseline, ensemble = stages["baseline"], stages["ensemble"]
    assert isinstance(baseline, Utterances) and isinstance(ensemble, Utterances)
    assert baseline.fits == ensemble.fits[:1]
    assert {replace(fit, start=ensemble.fits[0].start) for fit in ensemble.fits} == set(baseline.fits)


def test_the_student_is_the_baseline_but_for_its_own_start_and_rate_and_what_it_learns_from() -> None:
    stages = [row.stage for row in rows(PAPER) if row.columns["seed"] == 2]
    baseline, ensemble, distilled, *others = stages
    assert isinstance(baseline, Utterances) and isinstance(ensemble, Utterances) and isinstance(distilled, Utterances)
    [student] = distilled.fits
    as_baseline = replace(student.training, learning_rate=PAPER.training.learning_rate)
    assert replace(student, start=baseline.fits[0].start, training=as_baseline, distillation=None, teacher=None) == baseline.fits[0]
    assert student.start not in {fit.start for fit in ensemble.fits}
    assert student.teacher == Logits(ensemble.fits, PAPER.dataset)
    assert student.distillation is not None and (student.distillation.temperature, round(student.distillation.hard_weight, 3)) == (2, 0.333)
    assert distilled in others  # at temperature 2, so that it is trained once


def test_no_speaker_of_the_test_split_is_trained_or_chosen_on() -> None:
    from nncompress.data import DATASETS

    assert PAPER.dataset.validation_speakers == ("nicolas",) and PAPER.dataset.validation == 0
    assert not set(DATASETS[PAPER.dataset.name].test_speakers) & set(PAPER.dataset.validation_speakers)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"seeds": [1, 1]}, "seeds = [1, 1]: 1 is there twice; give each once"),
        ({"temperatures": [2.0, 2.0]}, "temperatures = [2.0, 2.0]: 2.0 is there twice; give each once"),
        ({"member_offset": 1}, "member_offset = 1 leads from one seed to another (1); choose a larger one"),
        (
            {"student_offset": 3000},
            "student_offset = 3000 leads from a seed to that of an ensemble's net (3000); choose another, such as 10000",
        ),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line


def test_ever_smaller_experiments_keep_the_three_arms_of_the_table_and_three_seeds() -> None:
    sizes = list(smaller(PAPER))
    assert sizes[0] == PAPER and all(len(config.seeds) >= 3 and config.members == 10 for config in sizes)
    costs = []
    for config in sizes:
        stages = ancestors([row.stage for row in rows(config)])
        costs.append(sum(stage.steps for stage in stages if isinstance(stage, Fit)))
    assert costs == sorted(costs, reverse=True) and costs[-1] < costs[0] / 10


def test_the_papers_claims_say_what_they_are_of_and_are_only_tried_here() -> None:
    theirs = [claim for claim in CLAIMS if claim.kind != "ours"]
    assert theirs and all(c.kind == "transferred" and c.statement.startswith("Hinton et al. 2015, of speech: ") for c in theirs)
