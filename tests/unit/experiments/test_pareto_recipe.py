"""The recipe of small files: which nets it takes and makes, and that every claim can come out each way."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import run
from experiments.deep_compression import rows as deep_compression_rows
from experiments.pareto import Config, Method, check, file_of, rows, shrinks, smaller
from experiments.pareto_claims import (
    BUDGETS,
    CLAIMS,
    FIGURES,
    METHOD,
    ORDER,
    RECORD,
    best,
    by_method,
    every_file,
    on_the_frontier,
    with_the_record,
    within_budgets,
)
from nncompress.errors import UserError
from nncompress.lab.configuration import request
from nncompress.lab.neurons import Speed
from nncompress.lab.quantizing import CompressedFile, IntegerWeights, SharedWeights
from nncompress.lab.row import Row
from nncompress.lab.smallest import SmallestFile
from nncompress.lab.stages import Fit, Logits
from nncompress.report.claims import judge
from nncompress.report.figures import _point, draw
from nncompress.report.frontier import marked, points, published
from nncompress.report.records import read_table, tidy

PAPER: Config = request(run.CONF, ["experiment=pareto"]).config
ROWS = list(rows(PAPER))
EVERY = {
    # arm: points of kilobytes, test error, validation error
    "small": [("784-20-10-10", 64, 0.045, 0.045), ("784-5-10-10", 16, 0.09, 0.09), ("784-300-100-10", 1067, 0.018, 0.017)],
    "small_int8": [("784-20-10-10", 17, 0.045, 0.045), ("784-5-10-10", 5, 0.09, 0.09), ("784-300-100-10", 230, 0.018, 0.017)],
    "small_shared": [("784-20-10-10", 11, 0.046, 0.046), ("784-40-20-10", 22, 0.03, 0.03), ("784-300-100-10", 150, 0.0185, 0.0175)],
    "distilled": [("784-20-10-10", 64, 0.043, 0.043), ("784-5-10-10", 16, 0.085, 0.086)],
    "distilled_shared": [("784-20-10-10", 11, 0.044, 0.044), ("784-40-20-10", 22, 0.028, 0.028)],
    "winning_ticket": [("round 9", 155, 0.017, 0.017), ("round 16", 36, 0.021, 0.021)],
    "units_by_activity": [("share 0.15", 145, 0.022, 0.022)],
    "units_by_weights": [("share 0.15", 145, 0.025, 0.025)],
    "pruned": [("", 100, 0.0165, 0.0165)],
    "deep_compression": [("", 26, 0.0165, 0.0165)],
    "pruning_and_quantization": [("depth 1.5", 12, 0.03, 0.03)],
    "soft_weight_sharing": [("", 16.5, 0.0195, 0.02)],
    "tau": [("tau 0.001", 19, 0.035, 0.035)],
    "reference": [("", 1067, 0.0164, 0.0164)],
}


def records(**changes: float) -> pd.DataFrame:
    """What the recipe might record of five seeds; `changes`: arm -> what is added to its errors."""
    found = []
    for seed in range(5):
        wobble = (seed - 2) * 1e-5
        for arm, files in EVERY.items():
            for point, kilobytes, test, validation in files:
                more = changes.get(arm, 0.0) + (wobble if arm in ("small", "deep_compression") else 0)
                common = {"seed": seed, "model": "lenet_300_100", "dataset": "mnist", "scale": "paper", "variant": "", "origin": "x"}
                own = {"arm": arm, "point": point, "file_bytes": 1000 * kilobytes, "test_accuracy": 1 - test - more}
                found.append({**common, **own, "validation_accuracy": 1 - validation - more})
    return pd.DataFrame(found)


def verdicts(**changes: float) -> dict[str, str]:
    return {claim.id: str(judge(claim, records(**changes))["verdict"]) for claim in CLAIMS}


def test_the_recipe_is_declared_without_torch_or_pandas() -> None:
    code = "import sys; sys.path[:0] = ['src', '.']; import experiments.pareto; sys.exit(bool({'torch', 'pandas', 'hydra'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=run.ROOT).returncode == 0


def test_every_claim_can_come_out_each_way() -> None:
    assert set(verdicts().values()) == {"reproduced"}
    worse = dict.fromkeys(("deep_compression", "pruning_and_quantization"), 0.1)
    assert {claim for claim, verdict in verdicts(**worse).items() if verdict == "not reproduced"} == {
        "deep_compression_beats_smaller_nets", "and_when_these_are_quantised", "and_distilled",
    }  # fmt: skip
    others = dict.fromkeys(("soft_weight_sharing", "winning_ticket", "pruned", "distilled", "small_int8"), 0.1)
    assert {claim for claim, verdict in verdicts(**others).items() if verdict == "not reproduced"} == {
        "soft_sharing_beats_deep_compression", "tickets_beat_smaller_nets", "weights_beat_units", "distilled_beat_plain",
        "integers_cost_nothing",
    }  # fmt: skip


def test_what_is_not_recorded_is_inconclusive() -> None:
    few = records().query("arm == 'reference'")
    for found in (few, few.drop(columns="file_bytes"), few.assign(validation_accuracy=float("nan"))):
        assert {str(judge(claim, found)["verdict"]) for claim in CLAIMS} == {"inconclusive"}


def test_within_a_budget_the_point_that_errs_least_on_validation_images_stands_for_a_method() -> None:
    found = by_method(records())
    found.loc[found["point"] == "round 16", "test_error"] = 0.0001  # better on the test split, which does not choose
    tickets = best(found, ("lottery tickets",), 160)
    assert set(tickets["point"]) == {"round 9"} and len(tickets) == 5
    assert set(best(found, ("lottery tickets",), 100)["point"]) == {"round 16"}
    assert best(found, ("lottery tickets",), 10).empty
    both = best(found, ("Deep Compression",), 20)
    assert set(both["arm"]) == {"pruning_and_quantization"}


def test_tables_hold_every_file_the_budgets_and_the_frontier() -> None:
    found = records()
    budgets = within_budgets(found)
    assert set(budgets["within"]) <= set(BUDGETS) and (budgets["kilobytes"] <= budgets["within"]).all()
    edge = on_the_frontier(found).groupby("size")["method"].first().to_dict()
    assert edge == {
        5.0: METHOD["small_int8"], 11.0: METHOD["distilled_shared"], 12.0: METHOD["deep_compression"], 16.5: METHOD["soft_weight_sharing"],
        26.0: METHOD["deep_compression"], 1067.0: "reference",
    }  # fmt: skip
    listed = every_file(found)
    assert set(listed["quantity"]) == {"KB", "test error, %"} and "lottery tickets: round 9" in set(listed["file"])
    assert {"deep compression", "pruning and quantization: depth 1.5", "soft weight sharing", "tau: tau 0.001"} <= set(listed["file"])
    assert set(listed.groupby(["file", "quantity"])["seed"].agg(["size", "nunique"]).to_numpy().ravel()) == {5}, "two files under one name"


def test_the_figure_has_the_published_points_of_the_papers() -> None:
    paper = read_table(run.ROOT / "results" / "paper" / "pareto.csv")
    stars = {note: (x, round(y, 2)) for _, note, x, y in published(FIGURES[0], paper)}
    assert stars == {
        "dense": (1070, 1.64), "pruning, 12×": (88, 1.59), "network surgery, 56×": (19.04, 1.99), "Deep Compression, 40×": (27, 1.58),
        "soft weight sharing, 64×": (16.66, 1.94),
    }  # fmt: skip
    assert draw(FIGURES[0], tidy(records()), pd.DataFrame(), None, paper) is not None


def test_the_file_chosen_among_all_seeds_is_a_star_of_the_figure_and_in_nothing_else() -> None:
    plain = records()
    best_of_all = plain[plain["arm"] == "small"].iloc[:1].assign(
        arm=RECORD, origin="deep_compression_plus", point="", file_bytes=829.0, test_accuracy=0.999, validation_accuracy=0.999
    )  # fmt: skip
    both = pd.concat([plain, best_of_all], ignore_index=True)
    for claim in CLAIMS:
        assert judge(claim, both) == judge(claim, plain)
    for derive in (by_method, within_budgets, on_the_frontier, every_file):
        pd.testing.assert_frame_equal(derive(both).reset_index(drop=True), derive(plain).reset_index(drop=True))
    assert marked(FIGURES[0], with_the_record(both)) == [
        (METHOD["smallest"], "smallest file of any seed: 829 bytes", 0.829, pytest.approx(0.1))
    ]
    assert marked(FIGURES[0], with_the_record(plain)) == []
    assert points(FIGURES[0], with_the_record(both)).equals(points(FIGURES[0], with_the_record(plain)))


def test_each_method_of_the_figure_has_a_colour_and_a_mark_of_its_own() -> None:
    looks = [_point(place) for place in range(len(ORDER))]
    assert len({look["color"] for look in looks}) == len(looks)
    assert len({(look["marker"], look.get("markerfacecolor")) for look in looks}) == len(looks)


def test_every_net_becomes_a_file() -> None:
    assert all(isinstance(row.stage, SmallestFile if row.columns["arm"] in ("smallest", RECORD) else CompressedFile) for row in ROWS)
    counts = Counter((str(row.columns["origin"]), str(row.columns["arm"])) for row in ROWS)
    sizes, seeds, controls = len(PAPER.hidden), 5, 3
    taken = {
        "lottery_ticket": {"winning_ticket": 21 * seeds},
        "neuron_pruning": {"units_by_activity": 7 * seeds, "units_by_weights": 7 * seeds},
        "deep_compression": {
            "pruned": seeds, "deep_compression": seeds, "pruning_only": 7 * controls, "pruning_and_quantization": 7 * controls,
            "quantization_only": 7 * controls,
        },
        "soft_weight_sharing": {"soft_weight_sharing": seeds, "no_hyper_priors": seeds, "tau": 4 * controls},  # 0.005 is the first arm's
        "deep_compression_plus": {"smallest": seeds, RECORD: 1},
    }  # fmt: skip
    own = {("pareto", arm): sizes * seeds for arm in PAPER.arms}
    assert counts == own | {(origin, arm): count for origin, arms in taken.items() for arm, count in arms.items()}


def test_files_of_other_recipes_are_theirs_and_tickets_are_stored_with_their_places() -> None:
    theirs = {row.stage for row in deep_compression_rows(request(run.CONF, ["experiment=deep_compression"]).config)}
    ours = {row.stage for row in ROWS if row.columns["origin"] == "deep_compression"}
    stored = {replace(stage, coder=PAPER.coder) if stage.codebook is None else stage for stage in theirs if isinstance(stage, CompressedFile)}
    assert ours and ours <= stored
    tickets = {str(row.columns["point"]): row.stage for row in ROWS if row.columns["arm"] == "winning_ticket" and row.columns["seed"] == 0}
    dense, ticket = tickets["round 0"], tickets["round 9"]
    assert isinstance(dense, CompressedFile) and dense.index_bits == {} and isinstance(dense.net, Fit) and dense.net.mask is None
    assert isinstance(ticket, CompressedFile) and ticket.index_bits is None and isinstance(ticket.net, Fit) and ticket.net.mask is not None


def test_a_chosen_file_of_another_recipe_stays_what_it_is() -> None:
    asked = request(run.CONF, ["experiment=smoke/pareto", "arms=[]"])
    chosen = [row for row in asked.recipe.rows(asked.config) if row.columns["arm"] == "smallest"]
    assert [row.columns["seed"] for row in chosen] == [0, 1] and all(isinstance(row.stage, SmallestFile) for row in chosen)
    assert METHOD["smallest"] in ORDER


def of(arm: str, point: str) -> CompressedFile:
    [stage] = [row.stage for row in ROWS if (row.columns["arm"], row.columns["point"], row.columns["seed"]) == (arm, point, 1)]
    assert isinstance(stage, CompressedFile)
    return stage


def test_small_nets_are_plain_or_distilled_and_shared_weights_are_trained_on_what_the_net_was() -> None:
    plain, distilled = of("small", "784-20-10-10").net, of("distilled", "784-20-10-10").net
    assert isinstance(plain, Fit) and isinstance(distilled, Fit) and isinstance(distilled.teacher, Logits)
    assert distilled == replace(plain, distillation=PAPER.distillation, teacher=distilled.teacher)
    assert distilled.teacher.fits == (PAPER.teacher_fit(1),) and distilled.teacher.dataset == PAPER.dataset
    shared = of("distilled_shared", "784-20-10-10")
    assert isinstance(shared.net, Fit) and isinstance(shared.codebook, SharedWeights) and shared.codebook.fit == distilled
    assert (shared.net.teacher, shared.net.training, shared.net.codebook) == (distilled.teacher, PAPER.tuning, shared.codebook)
    integers = of("small_int8", "784-20-10-10")
    assert integers.net == integers.codebook == IntegerWeights(plain)


def test_the_whole_small_net_is_the_dense_one_of_the_recipe_that_prunes_units() -> None:
    asked = request(run.CONF, ["experiment=neuron_pruning"])
    [dense] = [row.stage for row in asked.recipe.rows(asked.config) if row.columns["arm"] == "dense" and row.columns["seed"] == 1]
    assert isinstance(dense, Speed) and of("small", "784-300-100-10").net == dense.fit


def test_a_layer_too_small_for_a_codebook_is_stored_as_it_is() -> None:
    assert shrinks(39, 5) and not shrinks(37, 5)  # 32 entries of 4 bytes: 128; 39 weights take 156 bytes, or 25 and the codebook
    tiny = replace(PAPER, hidden=[(3, 3)], arms=["small_shared"], methods=[])
    [stage] = [row.stage for row in rows(tiny) if row.columns["seed"] == 0]
    assert isinstance(stage, CompressedFile) and stage.weight_bits == {"fc1.weight": 5}


def test_nets_that_are_timed_are_stored_in_their_form() -> None:
    asked = request(run.CONF, ["experiment=neuron_pruning"])
    found: dict[str, Row] = {str(row.columns["arm"]): row for row in asked.recipe.rows(asked.config)}
    integers, sparse = (file_of(found[arm].stage, "ans") for arm in ("int8", "single_weights"))
    assert isinstance(integers.net, IntegerWeights) and integers.weight_bits == {f"fc{i}.weight": 8 for i in (1, 2, 3)}
    assert sparse.index_bits is None and sparse.coder == "ans"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"arms": ["smal"]}, "arms: there is no arm 'smal'; did you mean 'small'?"),
        ({"hidden": []}, "hidden is empty: give at least one"),
        ({"methods": [Method("lottery_tickt", ["winning_ticket"])]}, "no experiment 'lottery_tickt'; did you mean 'lottery_ticket'?"),
        (
            {"methods": [Method("lottery_ticket", ["winning_ticket", "overlap_of_seeds"])]},
            "methods: lottery_ticket has no arm 'overlap_of_seeds' with a net in it",
        ),
        (
            {"methods": [Method("quick/lottery_ticket", ["winning_ticket"])]},
            "methods: quick/lottery_ticket is about digits, this experiment about mnist: errors on different images do not compare",
        ),
        (
            {"student": replace(PAPER.student, name="lenet_300_100", widths=())},
            "student.name = lenet_300_100: the small nets are mlps; give student.widths of one, such as [784,300,100,10]",
        ),
    ],
)
def test_what_ranges_cannot_see_is_refused_in_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as refusal:
        check(replace(PAPER, **change))
    assert str(refusal.value) == line


def test_a_budget_shrinks_it() -> None:
    sizes = [len(list(rows(config))) for config in smaller(PAPER)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] == len(ROWS) and sizes[-1] == 3 * 2 * 3
