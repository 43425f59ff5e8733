"""What the lottery-ticket recipe claims, tabulates and draws. Imports neither pandas nor torch.

Accuracies are test accuracies at early stop (`early_stop_accuracy`: at the minimum of the validation loss), the paper's definition, except
where a statement says otherwise: the retraining arms of Renda et al. 2020 are compared at the end of training, as there.
The dense net is round 0 of the winning ticket's arm. Differences and ratios are taken within a seed; ratios are averaged geometrically.
Where a claim speaks of a range of densities, the density is chosen on the validation split, against the claim.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from typing import TYPE_CHECKING, TypeAlias

from nncompress.report.declare import Claim, Lines, Panel, Published, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"

FULLY_CONNECTED = ("lenet_*", "mlp")
OVERLAPS = ("overlap_of_seeds", "overlap_with_one_shot", "overlap_with_float32", "overlap_by_chance", "overlap_by_chance_per_input")
ARM_ORDER = (
    "winning_ticket", "random_reinit", "random_mask", "one_shot", "learning_rate_rewinding", "fine_tuning", "float32", "instability",
)  # fmt: skip
STEP, ACCURACY, FINAL, VALIDATION = "early_stop_step", "early_stop_accuracy", "test_accuracy", "early_stop_validation_loss"
RENDA_DENSITY = 0.265
"""'At most 26 % of the weights': six rounds of 20 % leave 26.2 % of the hidden layers, and a little more of the output layer."""


# ---------------------------------------------------------------------------------------------------------------- statistics
def by_round(records: DataFrame, arm: str, metric: str) -> DataFrame:
    """The arm's metric, one row per round, one column per seed; empty where nothing is recorded."""
    return records[records["arm"] == arm].pivot_table(index="round", columns="seed", values=metric, aggfunc="mean")


def densities(records: DataFrame) -> Series:
    """Share of weights left, by round."""
    return records.groupby("round")["density"].mean().dropna()


def at_density(records: DataFrame, arm: str, metric: str, density: float, tolerance: float = 0.01) -> Series:
    """The arm's metric by seed at the round whose density is nearest; no entries if that is off by more than `tolerance`."""
    table, distance = by_round(records, arm, metric), (densities(records) - density).abs()
    if distance.empty or distance.min() > tolerance:
        return table.iloc[:0].mean()
    return table.reindex([distance.idxmin()]).iloc[0]


def dense(records: DataFrame, metric: str) -> Series:
    """The dense net's metric by seed."""
    return by_round(records, "winning_ticket", metric).reindex([0.0]).iloc[0]


def difference(first: str, second: str, metric: str, density: float) -> Statistic:
    """Metric of the first arm minus that of the second, at one density."""
    return lambda records: at_density(records, first, metric, density) - at_density(records, second, metric, density)


def ratio(first: str, second: str, metric: str, density: float) -> Statistic:
    """Metric of the first arm over that of the second, at one density."""
    return lambda records: at_density(records, first, metric, density) / at_density(records, second, metric, density)


def gain_over_dense(arm: str, density: float) -> Statistic:
    """Accuracy minus the dense net's, at one density."""
    return lambda records: at_density(records, arm, ACCURACY, density) - dense(records, ACCURACY)


def steps_over_dense(arm: str, density: float) -> Statistic:
    """Steps to early stop over the dense net's, at one density."""
    return lambda records: at_density(records, arm, STEP, density) / dense(records, STEP)


def within(table: DataFrame, records: DataFrame, low: float, high: float, reach: float) -> DataFrame:
    """The rounds of density in [low, high], and of the seeds only those that got down to the density `reach`: no verdict on half a run."""
    level = densities(records).reindex(table.index)
    reached = table[level <= reach].notna().any(axis=0)
    return table.loc[level.between(low, high), reached]


def where_smallest(table: DataFrame, on_validation: DataFrame) -> Series:
    """The table's values by seed in the round where the mean of `on_validation` is smallest."""
    mean = on_validation.mean(axis=1).dropna()
    return table.reindex([mean.idxmin()]).iloc[0] if len(mean) else table.iloc[:0].mean()


def one_shot_steps(records: DataFrame) -> Series:
    """Steps of one-shot tickets over the dense net's, geometric mean over the densities from 67.5 to 17.6 %."""
    steps = within(by_round(records, "one_shot", STEP) / dense(records, STEP), records, 0.176, 0.675, reach=0.23)
    return steps.map(log).mean().map(exp)


def one_shot_gain(records: DataFrame) -> Series:
    """Accuracy of one-shot tickets minus the dense net's, at the density from 95 to 5.17 % where their validation loss is worst."""
    gain = within(by_round(records, "one_shot", ACCURACY) - dense(records, ACCURACY), records, 0.0517, 0.95, reach=0.067)
    return where_smallest(gain, -within(by_round(records, "one_shot", VALIDATION), records, 0.0517, 0.95, reach=0.067))


def lead_over_reinit(records: DataFrame) -> Series:
    """Accuracy of ticket minus reinit, at the density below 50 % where the validation losses come closest; for seeds that got down to 15 %."""

    def lead(metric: str) -> DataFrame:
        return within(by_round(records, "winning_ticket", metric) - by_round(records, "random_reinit", metric), records, 0, 0.5, 0.15)

    return where_smallest(lead(ACCURACY), -lead(VALIDATION))


def best_gain(reach: float) -> Statistic:
    """Accuracy minus the dense net's, at the density that is best on the validation split (smallest loss), once `reach` is recorded."""

    def statistic(records: DataFrame) -> Series:
        gain = by_round(records, "winning_ticket", ACCURACY) - dense(records, ACCURACY)
        return where_smallest(gain, within(by_round(records, "winning_ticket", VALIDATION), records, 0, 0.99, reach))

    return statistic


def best_rewinding(records: DataFrame) -> DataFrame:
    """Test accuracy after weight rewinding, by round and seed; in each round of the rewind step that is best on the validation split."""
    rows = records[records["arm"] == "rewinding"].fillna({"rewind_step": 0})
    mean = rows.pivot_table(index="round", columns="rewind_step", values="validation_accuracy")
    best = rows[rows["rewind_step"] == rows["round"].map(mean.idxmax(axis=1) if mean.size else {})]
    return by_round(best, "rewinding", FINAL)


def retrained(first: str, second: str) -> Callable[[DataFrame], DataFrame]:
    """Difference in final accuracy in the rounds with 26 to 10 % of the weights, by round and seed, once all of these are there."""

    def accuracy(records: DataFrame, arm: str) -> DataFrame:
        return best_rewinding(records) if arm == "rewinding" else by_round(records, arm, FINAL)

    return lambda records: within(accuracy(records, first) - accuracy(records, second), records, 0.1, RENDA_DENSITY, 0.11)


def ahead(first: str, second: str) -> Statistic:
    """Mean over those rounds of the lead in final accuracy."""
    return lambda records: retrained(first, second)(records).mean()


def apart(first: str, second: str) -> Statistic:
    """Mean over those rounds of the distance in final accuracy, whichever is ahead."""
    return lambda records: retrained(first, second)(records).abs().mean()


def instability_of_dense(records: DataFrame) -> Series:
    """Error barrier between two runs of the dense net from the same initial weights."""
    at_start = records[(records["arm"] == "instability") & (records["round"] == 0) & ~(records["rewind_step"] > 0)]
    return at_start.groupby("seed")["instability"].mean()


def in_float32(records: DataFrame, metric: str) -> tuple[DataFrame, DataFrame]:
    """The metric of the float32 arm and of the winning ticket in bfloat16, in the rounds down to 5 % of the weights."""
    low = records[(records["arm"] != "winning_ticket") | (records["precision"] == "bf16-mixed")]
    tables = by_round(records, "float32", metric), by_round(low, "winning_ticket", metric)
    return tuple(within(table, records, 0.05, 1, 0.06) for table in tables)  # type: ignore[return-value]


def precision_difference(records: DataFrame) -> Series:
    """Accuracy in float32 minus that in bfloat16, mean over the rounds."""
    high, low = in_float32(records, ACCURACY)
    return (high - low).mean()


def precision_steps(records: DataFrame) -> Series:
    """Steps to early stop in float32 over those in bfloat16, geometric mean over the rounds."""
    high, low = (table.map(log) for table in in_float32(records, STEP))
    return (high - low).mean().map(exp)


# -------------------------------------------------------------------------------------------------------------------- claims
TICKETS = (
    Claim(
        "ticket_stops_earlier",
        "At 21 % of the weights the winning ticket reaches its smallest validation loss in at most 0.75 times the dense net's steps.",
        0.62, steps_over_dense("winning_ticket", 0.211), high=0.75, unit="×", geometric=True, models=FULLY_CONNECTED,
    ),
    Claim(
        "ticket_more_accurate",
        "At 13.5 % of the weights the winning ticket is more accurate than the dense net by at least 0.1 pp.",
        0.003, gain_over_dense("winning_ticket", 0.135), low=0.001, unit="pp", models=FULLY_CONNECTED,
    ),
    Claim(
        "accurate_at_5_percent",
        "At 5.6 % of the weights, the last density above 5 %, the winning ticket is at least as accurate as the dense net.",
        None, gain_over_dense("winning_ticket", 0.0557), low=0.0, unit="pp", models=FULLY_CONNECTED,
    ),
    Claim(
        "reinit_less_accurate",
        "At 21 % of the weights the random reinit is less accurate than the winning ticket by at least 0.3 pp.",
        0.005, difference("winning_ticket", "random_reinit", ACCURACY, 0.211), low=0.003, unit="pp", models=FULLY_CONNECTED,
    ),
    Claim(
        "reinit_slower",
        "At 21 % of the weights the random reinit takes 2 to 3 times the winning ticket's steps to its smallest validation loss.",
        2.51, ratio("random_reinit", "winning_ticket", STEP, 0.211), low=2.0, high=3.0, unit="×", geometric=True, models=FULLY_CONNECTED,
    ),
    Claim(
        "random_mask_less_accurate",
        "At 21 % of the weights a random mask with the same layer densities is less accurate than the winning ticket.",
        None, difference("winning_ticket", "random_mask", ACCURACY, 0.211), low=0.0, unit="pp", models=FULLY_CONNECTED,
    ),
    Claim(
        "random_mask_slower",
        "At 21 % of the weights a random mask with the same layer densities takes more steps to early stop than the ticket.",
        None, ratio("random_mask", "winning_ticket", STEP, 0.211), low=1.0, unit="×", geometric=True, models=FULLY_CONNECTED,
    ),
    Claim(
        "one_shot_stops_earlier",
        "One-shot tickets with 67.5 to 17.6 % of the weights stop earlier than the dense net, in the geometric mean over these densities.",
        None, one_shot_steps, high=1.0, unit="×", geometric=True, models=FULLY_CONNECTED,
    ),
    Claim(
        "one_shot_accurate",
        "One-shot tickets with 95 to 5.17 % of the weights are at least as accurate as the dense net, even at the density that is worst on "
        "the validation split.",
        None, one_shot_gain, low=0.0, unit="pp", models=FULLY_CONNECTED,
    ),
)  # fmt: skip
RETRAINING = (
    Claim(
        "rewinding_alike",
        "Renda et al. 2020, of residual nets on CIFAR-10: with 26 to 10 % of the weights, learning-rate and weight rewinding end within "
        "0.4 pp of each other.",
        None, apart("learning_rate_rewinding", "rewinding"), high=0.004, unit="pp", kind="transferred", models=FULLY_CONNECTED,
    ),
    Claim(
        "rewinding_beats_fine_tuning",
        "Renda et al. 2020, of residual nets on CIFAR-10: with 26 to 10 % of the weights, weight rewinding ends more accurate than "
        "fine-tuning.",
        None, ahead("rewinding", "fine_tuning"), low=0.0, unit="pp", kind="transferred", models=FULLY_CONNECTED,
    ),
    Claim(
        "learning_rate_rewinding_beats_fine_tuning",
        "Renda et al. 2020, of residual nets on CIFAR-10: with 26 to 10 % of the weights, learning-rate rewinding ends more accurate than "
        "fine-tuning.",
        None, ahead("learning_rate_rewinding", "fine_tuning"), low=0.0, unit="pp", kind="transferred", models=FULLY_CONNECTED,
    ),
    Claim(
        "fine_tuning_beats_reinit",
        "Renda et al. 2020, of residual nets on CIFAR-10: with 26 to 10 % of the weights, fine-tuning ends more accurate than the random "
        "reinit.",
        None, ahead("fine_tuning", "random_reinit"), low=0.0, unit="pp", kind="transferred", models=FULLY_CONNECTED,
    ),
    Claim(
        "learning_rate_rewinding_ahead_at_10_percent",
        "Renda et al. 2020, of residual nets on CIFAR-10: at 10 % of the weights, learning-rate rewinding ends ahead of fine-tuning by at "
        "least 0.5 pp.",
        None, difference("learning_rate_rewinding", "fine_tuning", FINAL, 0.107), low=0.005, unit="pp", kind="transferred",
        models=FULLY_CONNECTED,
    ),
)  # fmt: skip
STABILITY = (
    Claim(
        "stable_from_the_start",
        "Frankle et al. 2020, of this net: two runs of the dense net from the same initial weights differ by an error barrier below 2 pp.",
        None, instability_of_dense, high=0.02, unit="pp", kind="transferred", models=FULLY_CONNECTED,
    ),
    Claim(
        "bfloat16_as_accurate",
        "The winning ticket's accuracy in float32 and in bfloat16 differs by at most 0.1 pp in the mean over the rounds down to 5 %.",
        None, precision_difference, low=-0.001, high=0.001, unit="pp", kind="ours", models=FULLY_CONNECTED,
    ),
    Claim(
        "bfloat16_as_fast",
        "In float32 the winning ticket takes 0.9 to 1.1 times the steps to early stop that it takes in bfloat16, in the mean over the rounds "
        "down to 5 %.",
        None, precision_steps, low=0.9, high=1.1, unit="×", geometric=True, kind="ours", models=FULLY_CONNECTED,
    ),
)  # fmt: skip


def convolutional(model: str, name: str, gain: float, density: float) -> tuple[Claim, ...]:
    """The claims on one of Conv-2, -4, -6, whose best ticket leads the dense net by `gain` at `density` in the paper."""
    return (
        Claim(
            f"{model}_more_accurate",
            f"At its best density (on the validation split) the winning ticket of {name} leads the dense net by at least 2 pp.",
            gain, best_gain(reach=max(1.1 * density, 0.06)), low=0.02, unit="pp", models=(model,),
        ),
        Claim(
            f"{model}_reinit_below_ticket",
            f"The random reinit of {name} is less accurate than the winning ticket below 50 % of the weights, even where its "
            "validation loss comes closest.",
            None, lead_over_reinit, low=0.0, unit="pp", models=(model,),
        ),
    )  # fmt: skip


CLAIMS = (
    *TICKETS,
    *RETRAINING,
    *STABILITY,
    *convolutional("conv_2", "Conv-2", 0.034, 0.046),
    *convolutional("conv_4", "Conv-4", 0.035, 0.111),
    *convolutional("conv_6", "Conv-6", 0.033, 0.264),
)


# ------------------------------------------------------------------------------------------------------------ derived records
def named_arms(records: DataFrame) -> DataFrame:
    """The records with the rewind step in the name of the arm: `rewinding to step 500`."""
    steps = records["rewind_step"].fillna(0).astype(int).astype(str)
    return records.assign(arm=records["arm"].where(records["arm"] != "rewinding", "rewinding to step " + steps))


def beside_dense(records: DataFrame) -> DataFrame:
    """The records with the numbers that the paper prints: accuracies against the seed's own dense net or winning ticket, steps against the
    mean over seeds of these, so that the mean of a ratio is the ratio of the means."""
    ticket = records[records["arm"] == "winning_ticket"].drop_duplicates(["round", "seed"])
    at_start = ticket[ticket["round"] == 0]
    same = ticket.set_index(["round", "seed"])[ACCURACY]
    own_ticket = records[["round", "seed"]].merge(same, left_on=["round", "seed"], right_index=True, how="left")[ACCURACY]
    return records.assign(
        accuracy_gain=records[ACCURACY] - records["seed"].map(at_start.set_index("seed")[ACCURACY]),
        steps_over_dense=records[STEP] / at_start[STEP].mean(),
        accuracy_below_ticket=own_ticket - records[ACCURACY],
        steps_over_ticket=records[STEP] / records["round"].map(ticket.groupby("round")[STEP].mean()),
    )


def beside_chance(records: DataFrame) -> DataFrame:
    """The rows of mask overlap, and as further arms what two seeds' masks would share if drawn at random: with their layer densities, and with
    their densities of each input of a layer."""
    from pandas import concat

    measured = records[records["arm"].astype(str).str.startswith("overlap_")]
    seeds = measured[measured["arm"] == "overlap_of_seeds"]
    drawn = [seeds.assign(arm=arm, overlap=seeds[arm]) for arm in ("overlap_by_chance", "overlap_by_chance_per_input") if arm in seeds]
    return concat([measured, *drawn], ignore_index=True)


def layers(records: DataFrame) -> DataFrame:
    """One row per layer, round and seed: `layer`, `layer_density`."""
    columns = [str(column) for column in records.columns if str(column).startswith("density_")]
    named = {column: column.removeprefix("density_").removesuffix(".weight") for column in columns}
    masked = records[records["arm"] == "winning_ticket"].rename(columns=named)
    return masked.melt(id_vars=["arm", "round", "seed", "level"], value_vars=list(named.values()), var_name="layer", value_name="layer_density")


# --------------------------------------------------------------------------------------------------------- tables and figures
SHOWN = (1.0, 0.513, 0.211, 0.135, 0.056, 0.036, 0.0119)
MEASURED = {
    "arm": ("winning_ticket", "random_reinit", "random_mask", "one_shot", "rewinding", "learning_rate_rewinding", "fine_tuning", "float32")
}
FROM_THE_START = {"arm": tuple(arm for arm in MEASURED["arm"] if arm not in ("learning_rate_rewinding", "fine_tuning"))}
"""The arms whose steps count from (nearly) untrained weights."""
TABLES = (
    Table(
        "accuracy", "Test accuracy at early stop, %, by share of weights remaining", ACCURACY,
        at=SHOWN, order=ARM_ORDER, where=MEASURED, derive=named_arms,
    ),
    Table(
        "early_stop", "Step of the smallest validation loss (early stop), by share of weights remaining", STEP, unit="steps",
        at=SHOWN, order=ARM_ORDER, where=FROM_THE_START, derive=named_arms, cut_off="steps",
    ),
    Table(
        "final_accuracy", "Test accuracy at the end of training, %, by share of weights remaining", FINAL,
        at=SHOWN, order=ARM_ORDER, where=MEASURED, derive=named_arms,
    ),
    Table(
        "instability", "Error barrier between two runs that differ in batch order, pp, by share of weights remaining", "instability",
        unit="pp", where={"arm": ("instability",)},
    ),
    Published(
        "paper", "The paper's numbers beside ours",
        {
            "accuracy_gain": "pp", "steps_over_dense": "×", "accuracy_below_ticket": "pp", "steps_over_ticket": "×",
            "early_stop_accuracy": "%",
        },
        derive=beside_dense,
        note="Steps: the mean over seeds over the mean of what they are compared with, as the paper's; their ± is that of the arm named alone.",
    ),
)  # fmt: skip

DENSE = {"arm": ("winning_ticket",), "round": (0,)}
AGAINST_DENSITY = (
    Panel(STEP, "early stop (step of smallest validation loss)", "steps"),
    Panel(ACCURACY, "test accuracy at early stop, %", "%", zoom=True),
    Panel(FINAL, "test accuracy at the end, %", "%", zoom=True),
)
FIGURES = (
    Lines(
        "tickets", "Winning tickets, the same masks on fresh weights, and random masks", AGAINST_DENSITY, order=ARM_ORDER,
        where={"arm": ("winning_ticket", "random_reinit", "random_mask")}, baseline=DENSE,
    ),
    Lines(
        "one_shot", "Iterative and one-shot pruning", AGAINST_DENSITY, order=ARM_ORDER,
        where={"arm": ("winning_ticket", "one_shot", "random_reinit")}, needs=("one_shot",), baseline=DENSE,
    ),
    Lines(
        "retraining", "What to retrain from: start, a later step, or the end",
        (Panel(ACCURACY, "test accuracy at early stop, %", "%", zoom=True), Panel(FINAL, "test accuracy at the end, %", "%", zoom=True)),
        order=ARM_ORDER, derive=named_arms, baseline=DENSE,
        where={"arm": ("winning_ticket", "random_reinit", "rewinding", "learning_rate_rewinding", "fine_tuning")}, needs=("fine_tuning",),
    ),
    Lines(
        "learning_curves", "Learning curves at several densities",
        (
            Panel("validation_accuracy", "validation accuracy, %: winning ticket", "%", {"arm": ("winning_ticket",)}, zoom=True),
            Panel("validation_accuracy", "validation accuracy, %: random reinit", "%", {"arm": ("random_reinit",)}, zoom=True),
        ),
        x="step", x_label="training step", series="level", at=(1.0, 0.513, 0.211, 0.07, 0.036, 0.019), source="curves", x_max=0.4,
    ),
    Lines(
        "overlap", "Weights that two masks share, of those that either keeps",
        (Panel("overlap", "overlap of masks (Jaccard index), %", "%"),), order=OVERLAPS, derive=beside_chance,
    ),
    Lines(
        "layers", "Weights remaining in each layer of the winning ticket",
        (Panel("layer_density", "weights remaining in the layer, %", "%"),), series="layer", derive=layers,
    ),
    Lines(
        "instability", "Error barrier between two runs that differ in batch order",
        (Panel("instability", "instability (rise of test error), pp", "pp", reference=(0.02, "stable below 2 pp")),),
        order=ARM_ORDER, where={"arm": ("instability",)},
    ),
    Lines(
        "interpolation", "Test error between two runs that differ in batch order",
        (Panel("test_error", "test error, %", "%"),), x="alpha", x_label="weight of the first run", series="level",
        where={"arm": ("instability",)}, source="curves",
    ),
    Lines(
        "precision", "The winning ticket in bfloat16 and in float32",
        (AGAINST_DENSITY[0], Panel(ACCURACY, "test accuracy at early stop, %", "%")),
        order=ARM_ORDER,
        where={"arm": ("winning_ticket", "float32")},
        needs=("float32",),
    ),
)  # fmt: skip
