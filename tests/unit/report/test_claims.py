from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from math import inf, isnan
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import pytest

from experiments.lottery_ticket_claims import CLAIMS
from nncompress.report.claims import COLUMNS, Claim, interval, judge, judge_all
from tests.unit.report.fake import density, fake_records

Change: TypeAlias = Callable[[pd.DataFrame], pd.DataFrame]


def change(arm: str, column: str, by: Callable[[pd.Series], pd.Series], rounds: Callable[[pd.Series], pd.Series] | None = None) -> Change:
    """Records in which one column of one arm is another."""

    def apply(records: pd.DataFrame) -> pd.DataFrame:
        rows = (records["arm"] == arm) & (records["round"] > 0 if rounds is None else rounds(records["round"]))
        changed = records.copy()
        changed[column] = changed[column].astype(float)
        changed.loc[rows, column] = by(changed.loc[rows, column])
        return changed

    return apply


def lowered(arm: str, column: str, amount: float) -> Change:
    return change(arm, column, lambda values: values - amount)


def slower(arm: str, factor: float) -> Change:
    return change(arm, "early_stop_step", lambda values: values * factor)


CONTRARY = {
    "ticket_stops_earlier": slower("winning_ticket", 1.5),
    "ticket_more_accurate": lowered("winning_ticket", "early_stop_accuracy", 0.01),
    "accurate_at_5_percent": lowered("winning_ticket", "early_stop_accuracy", 0.01),
    "reinit_less_accurate": lowered("random_reinit", "early_stop_accuracy", -0.006),
    "reinit_slower": slower("random_reinit", 0.4),
    "random_mask_less_accurate": lowered("random_mask", "early_stop_accuracy", -0.02),
    "random_mask_slower": slower("random_mask", 0.2),
    "one_shot_stops_earlier": slower("one_shot", 2.0),
    "one_shot_accurate": lowered("one_shot", "early_stop_accuracy", 0.01),
    "rewinding_alike": lowered("rewinding", "test_accuracy", 0.02),
    "rewinding_beats_fine_tuning": lowered("rewinding", "test_accuracy", 0.03),
    "learning_rate_rewinding_beats_fine_tuning": lowered("learning_rate_rewinding", "test_accuracy", 0.03),
    "fine_tuning_beats_reinit": lowered("fine_tuning", "test_accuracy", 0.05),
    "learning_rate_rewinding_ahead_at_10_percent": lowered("learning_rate_rewinding", "test_accuracy", 0.01),
    "stable_from_the_start": change("instability", "instability", lambda values: values + 0.05, lambda rounds: rounds >= 0),
    "bfloat16_as_accurate": lowered("float32", "early_stop_accuracy", 0.01),
    "bfloat16_as_fast": slower("float32", 1.5),
    "conv_2_more_accurate": lowered("winning_ticket", "early_stop_accuracy", 0.02),
    "conv_4_more_accurate": lowered("winning_ticket", "early_stop_accuracy", 0.02),
    "conv_6_more_accurate": lowered("winning_ticket", "early_stop_accuracy", 0.02),
    "conv_2_reinit_below_ticket": change("random_reinit", "early_stop_accuracy", lambda values: values + 0.02, lambda rounds: rounds == 4),
    "conv_4_reinit_below_ticket": change("random_reinit", "early_stop_accuracy", lambda values: values + 0.02, lambda rounds: rounds == 4),
    "conv_6_reinit_below_ticket": change("random_reinit", "early_stop_accuracy", lambda values: values + 0.02, lambda rounds: rounds == 4),
}
ANY_ROUND = ("stable_from_the_start",)
"""Claims about the first round."""
each_claim = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)


def records_for(claim: Claim) -> pd.DataFrame:
    return fake_records(claim.models[0] if claim.models[0].startswith("conv") else "lenet_300_100")


def test_claims_have_ids_of_their_own() -> None:
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS) == len(CONTRARY)


@each_claim
def test_each_claim_is_reproduced_where_it_holds_in_every_seed(claim: Claim) -> None:
    verdict = judge(claim, records_for(claim))
    assert verdict["verdict"] == "reproduced", verdict
    assert verdict["n"] == 5
    assert verdict["ci_low"] <= verdict["ours"] <= verdict["ci_high"]


@each_claim
def test_each_claim_is_not_reproduced_where_every_seed_contradicts_it(claim: Claim) -> None:
    verdict = judge(claim, CONTRARY[claim.id](records_for(claim)))
    assert verdict["verdict"] == "not reproduced", verdict


@each_claim
def test_each_claim_is_inconclusive_where_seeds_disagree(claim: Claim) -> None:
    holds = records_for(claim)
    fails = CONTRARY[claim.id](holds)
    verdict = judge(claim, pd.concat([holds[holds["seed"] < 3], fails[fails["seed"] >= 3]]))
    assert verdict["verdict"] == "inconclusive", verdict
    assert verdict["n"] == 5


@each_claim
def test_each_claim_is_inconclusive_with_too_few_seeds(claim: Claim) -> None:
    records = records_for(claim)
    for seeds in (2, 1, 0):
        verdict = judge(claim, records[records["seed"] < seeds])
        assert (verdict["verdict"], verdict["n"]) == ("inconclusive", seeds), verdict


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim.id not in ANY_ROUND], ids=lambda claim: claim.id)
@pytest.mark.parametrize("rounds", [(), (0,), (0, 1, 2), (3,)], ids=str)
def test_each_claim_awaits_the_rounds_it_speaks_of(claim: Claim, rounds: tuple[int, ...]) -> None:
    records = records_for(claim)
    verdict = judge(claim, records[records["round"].isin(rounds)])
    assert (verdict["verdict"], verdict["n"]) == ("inconclusive", 0), verdict


@each_claim
@pytest.mark.parametrize("column", ["early_stop_accuracy", "early_stop_step", "test_accuracy", "instability", "density"])
def test_no_claim_minds_a_missing_column(claim: Claim, column: str) -> None:
    assert judge(claim, records_for(claim).drop(columns=column))["verdict"] in ("reproduced", "inconclusive")


@each_claim
def test_rows_of_a_sweep_do_not_count(claim: Claim) -> None:
    records = records_for(claim)
    swept = CONTRARY[claim.id](records).assign(variant="training.learning_rate=0.01")
    assert judge(claim, pd.concat([records, swept])) == judge(claim, records)


def test_statistics_are_paired_by_seed() -> None:
    """Seeds differ far more than arms do; the paired difference does not see it."""
    records = fake_records()
    records["early_stop_accuracy"] -= 0.1 * records["seed"]
    claim = next(claim for claim in CLAIMS if claim.id == "reinit_less_accurate")
    verdict = judge(claim, records)
    assert verdict["ours"] == pytest.approx(0.006) and verdict["ci_high"] - verdict["ci_low"] < 1e-9


def test_a_seed_without_its_partner_does_not_count() -> None:
    records = fake_records()
    claim = next(claim for claim in CLAIMS if claim.id == "random_mask_slower")
    assert judge(claim, records[(records["arm"] != "random_mask") | (records["seed"] < 3)])["n"] == 3


def test_the_interval_is_students_t() -> None:
    # Values 1..5: mean 3, sd sqrt(2.5), t(0.975; 4) = 2.776445, half width 2.776445 * sqrt(2.5 / 5) = 1.963243.
    assert interval([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx((1.036757, 4.963243), abs=1e-6)
    # Two values: t(0.975; 1) = 12.7062, half width 12.7062 * 0.5.
    assert interval([0.0, 1.0]) == pytest.approx((-5.853102, 6.853102), abs=1e-5)


def test_the_interval_of_one_value_is_unknown_and_of_equal_values_a_point() -> None:
    assert all(isnan(bound) for bound in interval([0.3]))
    assert interval([0.3, 0.3, 0.3]) == pytest.approx((0.3, 0.3))


def stated(values: list[float], low: float = -inf, high: float = inf, minimum_seeds: int = 3, geometric: bool = False) -> dict[str, Any]:
    claim = Claim("a", "A.", None, lambda _: pd.Series(values, dtype=float), low, high, minimum_seeds, geometric=geometric)
    return judge(claim, fake_records(rounds=(0,)))


@pytest.mark.parametrize(
    ("values", "low", "high", "verdict"),
    [
        ([0.3, 0.3, 0.3], 0.3, inf, "reproduced"),  # no variance, on the bound
        ([0.3, 0.3, 0.3], 0.31, inf, "not reproduced"),
        ([1.0, 2.0, 3.0], 0.0, inf, "inconclusive"),  # 2 ± 2.48
        ([1.0, 2.0, 3.0], -1.0, inf, "reproduced"),
        ([1.0, 2.0, 3.0], 5.0, inf, "not reproduced"),
        ([1.0, 2.0, 3.0], -1.0, 4.0, "inconclusive"),
        ([float("nan"), 1.0, 1.0], 0.0, inf, "inconclusive"),  # two seeds are too few
        ([inf, 1.0, 1.0, 1.0], 0.0, 2.0, "reproduced"),
        ([], 0.0, inf, "inconclusive"),
        ([1.0], 0.0, inf, "inconclusive"),
    ],
)
def test_the_verdict_follows_from_interval_and_bounds(values: list[float], low: float, high: float, verdict: str) -> None:
    assert stated(values, low, high)["verdict"] == verdict


def test_the_mean_of_ratios_is_that_of_their_logarithms() -> None:
    # ln 1, ln 2, ln 4: mean ln 2, sd ln 2, t(0.975; 2) = 4.302653, half width 4.302653 * 0.693147 / sqrt(3) = 1.721873, exp 5.594998.
    verdict = stated([1.0, 2.0, 4.0], geometric=True)
    assert [verdict[name] for name in ("ours", "ci_low", "ci_high")] == pytest.approx([2.0, 2 / 5.594998, 2 * 5.594998], abs=1e-5)
    assert (verdict["mean"], stated([1.0, 2.0, 4.0])["mean"]) == ("geometric", "arithmetic")
    assert stated([1.0, 2.0, 4.0])["ours"] == pytest.approx(7 / 3)


@pytest.mark.parametrize(
    ("values", "low", "high", "verdict"),
    [
        ([1.0, 2.0, 4.0], 0.35, 12.0, "reproduced"),  # 0.357 to 11.19; the arithmetic interval, -1.46 to 6.13, is partly outside
        ([1.0, 2.0, 4.0], 11.2, inf, "not reproduced"),
        ([1.0, 2.0, 4.0], 0.0, 0.35, "not reproduced"),
        ([1.0, 2.0, 4.0], 1.0, 3.0, "inconclusive"),
        ([2.5, 2.5, 2.5], 2.5, 2.5, "reproduced"),  # no variance, on both bounds
        ([2.0, 0.5], 0.0, inf, "inconclusive"),
        ([], 0.0, inf, "inconclusive"),
    ],
)
def test_each_verdict_on_ratios_can_come_out(values: list[float], low: float, high: float, verdict: str) -> None:
    assert stated(values, low, high, geometric=True)["verdict"] == verdict


def test_a_ratio_that_is_not_positive_counts_as_missing() -> None:
    verdict = stated([0.0, -1.0, 2.0, 2.0, 2.0], 1.0, geometric=True)
    assert (verdict["n"], verdict["verdict"]) == (3, "reproduced") and verdict["ours"] == pytest.approx(2.0)
    assert stated([0.0, 2.0, 2.0], geometric=True)["verdict"] == "inconclusive"


def test_an_interval_ends_where_its_statistic_does_and_the_verdict_stays() -> None:
    values = [0.98, 1.0, 1.0]  # 0.9933 ± 0.0287
    for low, high in ((0.8, inf), (-inf, 1.0), (0.99, inf), (-inf, 0.95)):
        free = Claim("a", "A.", None, lambda _: pd.Series(values), low, high)
        told, clipped = judge(free, fake_records(rounds=(0,))), judge(replace(free, bounds=(-1, 1)), fake_records(rounds=(0,)))
        assert told["ci_high"] == pytest.approx(1.02202, abs=1e-5) and clipped == told | {"ci_high": 1.0}
    unknown = judge(Claim("a", "A.", None, lambda _: pd.Series([1.0]), bounds=(-1, 1)), fake_records(rounds=(0,)))
    assert isnan(unknown["ci_low"]) and isnan(unknown["ci_high"])


def test_one_seed_never_decides() -> None:
    assert stated([1.0], 0.0, minimum_seeds=1)["verdict"] == "inconclusive"


def test_only_claims_about_the_recorded_model_are_judged() -> None:
    verdicts = judge_all(CLAIMS, fake_records("conv_4"))
    assert list(verdicts["claim"]) == ["conv_4_more_accurate", "conv_4_reinit_below_ticket"]
    assert list(verdicts.columns) == list(COLUMNS)
    assert list(judge_all(CLAIMS, pd.DataFrame()).columns) == list(COLUMNS)


def test_densities_of_the_fake_records_are_the_papers() -> None:
    assert [round(100 * density(r), 1) for r in (7, 9, 13, 15)] == [21.1, 13.5, 5.6, 3.6]


BY_ID = {claim.id: claim for claim in CLAIMS}


def test_rows_of_a_shortened_run_are_not_compared_with_those_of_a_longer_one() -> None:
    records = fake_records()
    shortened = (records["arm"] == "winning_ticket") & (records["round"] == 7)
    records.loc[shortened, "scale"] = "20min"
    records.loc[shortened, "early_stop_step"] = 10
    verdict = judge(BY_ID["ticket_stops_earlier"], records)
    assert (verdict["n"], verdict["verdict"], verdict["scale"]) == (0, "inconclusive", "paper")


def test_arms_that_train_for_different_lengths_are_compared() -> None:
    records = fake_records()
    records.loc[records["arm"] == "fine_tuning", "steps"] = 10
    verdict = judge(BY_ID["rewinding_beats_fine_tuning"], records)
    assert (verdict["n"], verdict["verdict"]) == (5, "reproduced")


@pytest.mark.parametrize("claim", ["bfloat16_as_accurate", "bfloat16_as_fast"])
def test_precision_is_judged_only_where_the_precisions_differ(claim: str) -> None:
    records = fake_records().assign(precision="32-true")
    assert judge(BY_ID[claim], records)["verdict"] == "inconclusive"


def test_a_verdict_says_whose_claim_it_is() -> None:
    claim = Claim("a", "A.", None, lambda records: pd.Series(dtype=float), kind="transferred")
    assert (judge(claim, fake_records(rounds=(0,)))["kind"], Claim("a", "A.", None, claim.statistic).kind) == ("transferred", "paper")


RECIPES = {path.name.removesuffix("_claims.py") for path in (Path(__file__).resolve().parents[3] / "experiments").glob("*_claims.py")}


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_the_papers_values_of_claims_are_among_the_published_ones(recipe: str) -> None:
    published = pd.read_csv(f"results/paper/{recipe}.csv")["value"].to_list()
    claims = importlib.import_module(f"experiments.{recipe}_claims").CLAIMS
    assert claims and not [claim.id for claim in claims if claim.paper is not None and claim.paper not in published]
