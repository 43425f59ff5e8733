"""The recipe of pruning units: what it declares, and that every claim can come out each way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import run
from experiments.neuron_pruning import Config, check, rows, smaller
from experiments.neuron_pruning_claims import (
    CLAIMS,
    FIGURES,
    HU,
    UNITS,
    as_accurate,
    faster_at_the_same_accuracy,
    quantities_at_the_same_accuracy,
)
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.neurons import SmallerWeights, Speed
from nncompress.lab.stages import PrunedMask
from nncompress.report.claims import judge
from nncompress.report.figures import draw
from nncompress.report.records import read_table, tidy

PAPER: Config = request(run.CONF, ["experiment=neuron_pruning"]).config


def verdicts(lost: float, random_before: float, sparse: float, small: float, of_bytes: float, by_output: float = 0.92) -> dict[str, str]:
    """Of five seeds: the accuracy that pruning units costs, that of random units before retraining, the speed-ups of a tenth of the weights
    sparse and small, by how much of their compression the smaller nets are faster, and the accuracy before retraining of those by output."""
    found: list[dict[str, Any]] = []

    def add(arm: str, share: float, weights: float, accuracy: float, compression: float, speed: float, before: float | None = None) -> None:
        found.append(
            {
                "model": "mlp", "dataset": "mnist", "scale": "paper", "variant": "", "seed": seed, "arm": arm, "share": share,
                "weights": weights, "test_accuracy": accuracy + apart, "validation_accuracy": accuracy + apart,
                "compression": compression, "speedup_64": speed * (1 + apart), "speedup_1": speed * (1 - apart),
                "before_retraining_test_accuracy": before,
            }
        )  # fmt: skip

    for seed in range(5):
        apart = (seed - 2) * 1e-4
        add("dense", 1, 1000, 0.98 + apart, 1, 1)
        add("int8", 1, 1000, 0.98, 4, 1.2)
        for arm in UNITS:
            before = {"units_at_random": random_before, "units_by_output": by_output}.get(arm, 0.9)
            add(arm, 0.83, 800, 0.98 - lost, 1.2, 1.2**of_bytes, before)
            add(arm, 0.75, 700, 0.98 - lost, 1.4, 1.4**of_bytes, before)
            add(arm, 0.5, 350, 0.98 - lost, 2.0, 2.0**of_bytes, before)
            add(arm, 0.25, 100, 0.9, 10, small, 0.5)
        add("single_weights", 0.75, 700, 0.98, 0.7, 0.5)
        add("single_weights", 0.25, 100, 0.98, 5, sparse)
    return {claim.id: str(judge(claim, pd.DataFrame(found))["verdict"]) for claim in CLAIMS}


def test_every_claim_can_come_out_each_way() -> None:
    assert set(verdicts(lost=0.001, random_before=0.5, sparse=0.5, small=8, of_bytes=1).values()) == {"reproduced"}
    refuted = verdicts(lost=0.01, random_before=0.95, sparse=8, small=6, of_bytes=1, by_output=0.8)
    assert {claim for claim, verdict in refuted.items() if verdict == "not reproduced"} == {
        "trimmed_harmless", "trimmed_beats_random", "activity_harmless", "activity_beats_random", "output_beats_random",
        "output_beats_weights", "single_weights_slow", "units_faster", "bytes_are_not_time_1", "bytes_are_not_time_64",
        "units_faster_at_the_same_accuracy",  # no net without units is as accurate: the dense one stands for them
    }  # fmt: skip
    fast_when_sparse = verdicts(lost=0.001, random_before=0.5, sparse=8, small=8, of_bytes=1)
    assert fast_when_sparse["units_faster_at_the_same_accuracy"] == "not reproduced"
    slower = verdicts(lost=0, random_before=0.5, sparse=0.5, small=0.2, of_bytes=-1)
    assert slower["bytes_are_time_for_units_1"] == slower["bytes_are_time_for_units_64"] == "not reproduced"


def test_both_halves_of_what_is_said_of_seldom_active_units_are_of_one_kind() -> None:
    kinds = {claim.id: claim.kind for claim in CLAIMS if claim.statement.startswith(HU)}
    assert kinds == {"trimmed_harmless": "transferred", "trimmed_beats_random": "transferred"}


def test_the_smallest_net_of_the_same_accuracy_is_chosen_on_the_validation_split() -> None:
    common = {"seed": 0, "speedup_1": 1.0, "test_accuracy": 0.9}
    found = pd.DataFrame([
        {**common, "arm": "dense", "share": 1.0, "validation_accuracy": 0.98, "compression": 1.0, "speedup_64": 1.0},
        {**common, "arm": "units_by_activity", "share": 0.5, "validation_accuracy": 0.979, "compression": 2.0, "speedup_64": 1.8},
        {**common, "arm": "units_by_activity", "share": 0.2, "validation_accuracy": 0.97, "compression": 5.0, "speedup_64": 4.0},
        {**common, "arm": "single_weights", "share": 0.2, "validation_accuracy": 0.985, "compression": 2.5, "speedup_64": 0.6},
    ])  # fmt: skip
    wrong = found.assign(validation_accuracy=found["validation_accuracy"].where(found["arm"] == "dense", 0.9))
    assert (as_accurate(wrong)["share"] == 1).all() and set(as_accurate(wrong)["arm"]) == set(found["arm"])  # then none but the dense one
    assert as_accurate(found).set_index("arm")["share"].to_dict() == {"dense": 1.0, "units_by_activity": 0.5, "single_weights": 0.2}
    assert faster_at_the_same_accuracy(found).to_dict() == {0: pytest.approx(3.0)}
    laid = quantities_at_the_same_accuracy(found).set_index(["arm", "quantity"])["value"]
    assert laid["units_by_activity", "units left, %"] == 50 and laid["single_weights", "speed-up, 64, ×"] == 0.6
    assert ("single_weights", "units left, %") not in laid  # it leaves all: its share is that of the net with as many weights


def test_the_figure_of_speed_gives_the_correlations_that_the_claims_judge() -> None:
    records = tidy(read_table(run.ROOT / "results" / "records" / "neuron_pruning.csv"))
    figure = draw(FIGURES[0], records, pd.DataFrame())
    assert figure is not None
    given = [float(axes.get_title(loc="left").rpartition(": ")[2]) for axes in figure.axes]
    judged = {claim.id: judge(claim, records)["ours"] for claim in CLAIMS}
    assert given == pytest.approx([judged["bytes_are_not_time_1"], judged["bytes_are_not_time_64"]], abs=0.000501)
    for axes in figure.axes:
        [dense] = [line for line in axes.lines if line.get_label() == "dense net"]
        assert dense.get_ydata()[0] == pytest.approx(1, abs=0.02) and dense.get_linestyle() == ":"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "fresh: trained from scratch at that size" in labels and "fresh" not in labels


def test_rounds_prune_what_the_one_before_has_left() -> None:
    stages = {(str(r.columns["arm"]), r.columns["share"]): r.stage for r in rows(PAPER) if r.columns["seed"] == 0}
    first, second = stages["units_by_activity", 0.75], stages["units_by_activity", 0.5]
    assert isinstance(first, Speed) and isinstance(second, Speed)
    assert first.fit.model.widths == (784, 225, 75, 10) and second.fit.model.widths == (784, 150, 50, 10)
    assert isinstance(second.fit.start, SmallerWeights) and second.fit.start.fit == first.fit and second.dense == first.dense
    fresh = stages["fresh", 0.5]
    assert isinstance(fresh, Speed)
    assert fresh.fit.model == second.fit.model and fresh.fit.training == PAPER.training


def test_a_trimmed_net_is_pruned_from_the_dense_one_at_once() -> None:
    stages = {(str(r.columns["arm"]), r.columns["share"]): r.stage for r in rows(PAPER) if r.columns["seed"] == 0}
    trimmed, dense = stages["units_by_activity", 0.83], stages["dense", 1.0]
    assert isinstance(trimmed, Speed) and isinstance(trimmed.fit.start, SmallerWeights) and isinstance(dense, Speed)
    assert trimmed.fit.model.widths == (784, 249, 83, 10) and trimmed.fit.start.fit == dense.fit
    assert trimmed.fit.training == PAPER.retraining and ("fresh", 0.83) not in stages


def test_single_weights_keeps_as_many_of_each_layer_as_the_smaller_net_has() -> None:
    stages = {(str(r.columns["arm"]), r.columns["share"]): r.stage for r in rows(PAPER) if r.columns["seed"] == 0}
    for share in PAPER.shares:
        speed = stages["single_weights", share]
        assert isinstance(speed, Speed) and speed.form == "csr" and isinstance(speed.fit.mask, PrunedMask)
        kept = speed.fit.mask.expected_shares()
        assert kept == pytest.approx({"fc1.weight": share, "fc2.weight": share**2, "fc3.weight": share})


def test_a_budget_shrinks_it() -> None:
    sizes = [len(list(rows(config))) for config in smaller(PAPER)]
    assert sizes[0] == 5 * (2 + 6 * 6 + 4) and sizes == sorted(sizes, reverse=True) and sizes[-1] == 3 * (2 + 6 * 2 + 4)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"shares": [0.5, 0.75]}, "shares = [0.5, 0.75]: give them falling, since each round prunes what the one before has left"),
        ({"trimmed_shares": [0.5]}, "trimmed_shares = [0.5]: 0.5 is one of shares already; give it in one of the two"),
        ({"shares": []}, "shares is empty: give at least one"),
        (
            {"model": replace(PAPER.model, name="lenet_300_100", widths=())},
            "model.name = lenet_300_100: units are removed from an mlp with hidden layers; give model.widths of one",
        ),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line
