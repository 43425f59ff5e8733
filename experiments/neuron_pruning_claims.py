"""What the recipe of pruning units claims, tabulates and draws. Imports neither pandas nor torch.

Accuracies are those of the test split after the last step, in the form whose speed is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from nncompress.report.declare import Claim, Lines, Panel, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"
UNITS = ("units_by_activity", "units_by_weights", "units_by_output", "units_at_random")
ORDER = ("dense", "int8", *UNITS, "fresh", "single_weights")
TRIMMED = 0.83
"""Share of the units that is left at once, near what the rule of Hu et al. 2016 leaves."""
SPARSE = 0.1
"""Share of the weights that is left where unstructured pruning is said to be slow."""
BATCH = 64
BATCHES = {1: "one image at a time", BATCH: f"batches of {BATCH}"}
FORMS = ("dense", "int8", "units_by_weights", "single_weights")
"""One method for each form of a net: those that remove units share their sizes, and each would count as often."""
BY_SHARE = "by the share of units left (single weights: of the net with as many weights)"
"""Of that arm, which leaves all units, a share is that of the net without units whose number of weights it matches."""
SAME = 0.002
"""Validation accuracy that a net may lose and still count as as accurate as the dense one."""


def of(records: DataFrame, arm: str, metric: str) -> Series:
    """The arm's metric by share and seed."""
    return records[records["arm"] == arm].groupby(["share", "seed"])[metric].mean()


def with_share(records: DataFrame, arm: str, metric: str, share: float) -> Series:
    """By seed, of the nets with this share of the units."""
    values = of(records, arm, metric)
    return values[values.index.get_level_values("share") == share].droplevel("share")


def sparsest(records: DataFrame, arm: str, metric: str) -> Series:
    """By seed, of the first round that leaves at most a tenth of the weights (biases not counted)."""
    weights = of(records, arm, "weights")
    dense = of(records, "dense", "weights").mean()
    shares = weights[weights <= SPARSE * dense].index.get_level_values("share")
    values = of(records, arm, metric)
    return values.iloc[:0].droplevel("share") if shares.empty else values.xs(shares.max(), level="share")


def lost(arm: str, share: float) -> Statistic:
    """Test accuracy that keeping this share of the units costs, after retraining."""
    return lambda records: of(records, "dense", "test_accuracy").droplevel("share") - with_share(records, arm, "test_accuracy", share)


def saved_before_retraining(arm: str, share: float) -> Statistic:
    """How much more accurate the net is without the units that the arm removes than without as many random ones, before it is trained on."""
    metric = "before_retraining_test_accuracy"
    return lambda records: with_share(records, arm, metric, share) - with_share(records, "units_at_random", metric, share)


def as_accurate(records: DataFrame) -> DataFrame:
    """Of each method and seed the row of the most compressed net that is as accurate as the dense one on the validation split: the dense
    one itself, where no other is, or all that are take more bytes."""
    from pandas import concat

    dense = records[records["arm"] == "dense"]
    else_dense = [dense.assign(arm=arm) for arm in dict.fromkeys(records["arm"]) if arm != "dense"]
    bound = records["seed"].map(dense.groupby("seed")["validation_accuracy"].mean()) - SAME
    found = concat([*else_dense, records[records["validation_accuracy"] >= bound]], ignore_index=True)
    return found.sort_values("compression", kind="stable").groupby(["arm", "seed"]).tail(1)


def faster_at_the_same_accuracy(records: DataFrame) -> Series:
    """Speed-up of that net without units over that of the one without single weights."""
    speedup = as_accurate(records).set_index(["arm", "seed"])[f"speedup_{BATCH}"]
    arms = set(speedup.index.get_level_values("arm"))
    if not {"units_by_activity", "single_weights"} <= arms:
        return speedup.iloc[:0].droplevel("arm")
    return speedup["units_by_activity"] / speedup["single_weights"]


def quantities_at_the_same_accuracy(records: DataFrame) -> DataFrame:
    """Those nets, one row per quantity: `value`. Where single weights are removed all units are left: their `share` is another net's."""
    from pandas import concat

    named = {
        "share": ("units left, %", 100), "test_accuracy": ("test accuracy, %", 100), "compression": ("compression, ×", 1),
        "speedup_1": ("speed-up, one image, ×", 1), f"speedup_{BATCH}": (f"speed-up, {BATCH}, ×", 1),
    }  # fmt: skip
    rows = as_accurate(records)
    parts = [rows.assign(quantity=words, value=factor * rows[name]) for name, (words, factor) in named.items() if name in rows]
    found = concat(parts, ignore_index=True)
    return found[(found["arm"] != "single_weights") | (found["quantity"] != named["share"][0])]


def slow(records: DataFrame) -> Series:
    return sparsest(records, "single_weights", f"speedup_{BATCH}")


def times_faster(records: DataFrame) -> Series:
    """Speed-up of the smaller dense net over that of the sparse one with as many weights."""
    return sparsest(records, "units_by_activity", f"speedup_{BATCH}") / slow(records)


def rank_correlation(arms: tuple[str, ...], batch: int) -> Statistic:
    """Spearman's, of compression and speed-up in batches of this size, over the arms' nets of a seed."""

    def statistic(records: DataFrame) -> Series:
        chosen = records[records["arm"].isin(arms)]
        ranked = chosen[["seed", "compression", f"speedup_{batch}"]].groupby("seed")
        return ranked.apply(lambda mine: mine["compression"].rank().corr(mine[f"speedup_{batch}"].rank()))

    return statistic


WEN, HU = "Wen et al. 2016, of AlexNet:", "Hu et al. 2016, of VGG-16 and LeNet:"
CLAIMS = (
    Claim(
        "trimmed_harmless", f"{HU} without a sixth of the units, those that are seldom active, a net trained on is at most 0.2 points less "
        "accurate.",
        None, lost("units_by_activity", TRIMMED), high=0.002, unit="pp", kind="transferred",
    ),
    Claim(
        "trimmed_beats_random", f"{HU} before it is trained on, a net loses less accuracy without a sixth of its units, those that are seldom "
        "active, than without as many random ones.",
        None, saved_before_retraining("units_by_activity", TRIMMED), low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "activity_harmless", "Without a quarter of the units, those that are seldom active, a net trained on is at most 0.2 points less "
        "accurate.",
        None, lost("units_by_activity", 0.75), high=0.002, unit="pp", kind="ours",
    ),
    Claim(
        "activity_beats_random", "Before it is trained on, a net without the quarter of its units that is least active is more accurate "
        "than one without as many random ones.",
        None, saved_before_retraining("units_by_activity", 0.75), low=0, unit="pp", kind="ours",
    ),
    Claim(
        "output_beats_random", "Units of small mean output times the norm of their outgoing weights are missed less than random ones: half of "
        "the units, before the net is trained on.",
        None, saved_before_retraining("units_by_output", 0.5), low=0, unit="pp", kind="ours",
    ),
    Claim(
        "output_beats_weights", "Chosen so, they are missed less than those of small weights.",
        None, lambda records: saved_before_retraining("units_by_output", 0.5)(records)
        - saved_before_retraining("units_by_weights", 0.5)(records),
        low=0, unit="pp", kind="ours",
    ),
    Claim(
        "single_weights_slow", f"{WEN} with a tenth of its weights at scattered places a net is less than 1.5 times as fast (batches of 64).",
        None, slow, high=1.5, unit="×", geometric=True, kind="transferred",
    ),
    Claim(
        "units_faster", f"{WEN} with as few weights, a net without units is at least twice as fast as one without single weights (batches of "
        "64).",
        None, times_faster, low=2, unit="×", geometric=True, kind="transferred",
    ),
    Claim(
        "units_faster_at_the_same_accuracy", "Of the smallest nets that are at most 0.2 points less accurate than the dense one on the "
        "validation split (the dense one itself, where no smaller one is), the one without seldom active units is faster than the one without "
        "single weights (batches of 64).",
        None, faster_at_the_same_accuracy, low=1, unit="×", geometric=True, kind="ours",
    ),
    *(
        Claim(
            f"bytes_are_time_for_units_{batch}", f"Of nets without units, those that are smaller are faster ({words}): rank correlation of "
            "compression and speed-up.",
            None, rank_correlation(("dense", "units_by_weights"), batch), low=0.8, kind="ours", bounds=(-1, 1),
        )
        for batch, words in BATCHES.items()
    ),
    *(
        Claim(
            f"bytes_are_not_time_{batch}", f"Over nets of all forms, dense, in 8-bit integers, without units and without single weights, "
            f"compression says little of speed-up ({words}): their rank correlation is below 0.8.",
            None, rank_correlation(FORMS, batch), high=0.8, kind="ours", bounds=(-1, 1),
        )
        for batch, words in BATCHES.items()
    ),
)  # fmt: skip
CORRELATED = "rank correlation with compression, all forms"
NAMES = {"fresh": "fresh: trained from scratch at that size"}
TABLES = (
    Table("accuracy", f"Test accuracy, %, {BY_SHARE}", "test_accuracy", columns="share", order=ORDER),
    Table("before_retraining", "Test accuracy before retraining, %, by the share of units left", "before_retraining_test_accuracy",
          columns="share", order=UNITS),
    Table("compression", f"Bytes of the dense net over bytes in the form that is measured, {BY_SHARE}", "compression", unit="×",
          columns="share", order=ORDER),
    Table("same_accuracy", "The smallest net at most 0.2 points less accurate than the dense one on the validation split, or the dense one "
          "where no smaller one is (single weights: all units left)", "value", unit="", columns="quantity", order=ORDER,
          derive=quantities_at_the_same_accuracy),
    Table("speedup_1", f"Speed-up, one image at a time, {BY_SHARE}", "speedup_1", unit="×", columns="share", order=ORDER),
    Table("speedup_64", f"Speed-up, batches of 64, {BY_SHARE}", "speedup_64", unit="×", columns="share", order=ORDER),
)  # fmt: skip
FIGURES = (
    Lines(
        "speed", "Are bytes saved time saved?",
        tuple(
            Panel(f"speedup_{batch}", f"speed-up, times ({words})", "×", summary=(CORRELATED, rank_correlation(FORMS, batch)))
            for batch, words in BATCHES.items()
        ),
        x="compression", x_label="compression, times", order=ORDER, where={"arm": ORDER[1:]}, baseline={"arm": ("dense",)},
        baseline_label="dense net", names=NAMES,
    ),
    Lines(
        "accuracy", "What pruning units costs (single weights: at the net with as many weights)",
        (Panel("test_accuracy", "test accuracy, %", "%", zoom=True),
         Panel("before_retraining_test_accuracy", "before retraining, %", "%")),
        x="share", x_label="share of units left", order=ORDER, where={"arm": ORDER[2:]}, baseline={"arm": ("dense",)},
        baseline_label="dense net", names=NAMES,
    ),
)  # fmt: skip
