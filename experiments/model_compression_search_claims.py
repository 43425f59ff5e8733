"""What the search over model_compression's recipe tabulates and draws: the validation split alone. Imports neither pandas nor torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from experiments.model_compression_claims import of_whole_seeds, over_problems, with_mean
from nncompress.report.declare import Claim, HeatMap, Lines, Panel, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Derive: TypeAlias = "Callable[[DataFrame], DataFrame]"
RMSE = "mimic_validation_rmse"
SYNTHESIS = ("swap_probability", "local_variance")
TRAINING = ("learning_rate", "loss")
LOSSES = {"probabilities": "squared error of probabilities", "logits": "squared error of logits", "soft_targets": "cross-entropy"}
PASSES = {1: "first", 2: "second"}


def most_tried(records: DataFrame, tried: tuple[str, str], fixed: tuple[str, str]) -> DataFrame:
    """The records with those values of `fixed` with which most values of `tried` were."""
    columns = [*fixed, *tried]
    if records.empty or not {*columns} <= set(records):
        return records.iloc[:0]
    counts = records.drop_duplicates(columns).groupby(list(fixed), as_index=False).size()
    most = counts.loc[counts["size"].argmax(), list(fixed)]
    return records[(records[list(fixed)] == most).all(axis=1)] if counts["size"].max() > 1 else records.iloc[:0]


def of_synthesis(records: DataFrame, number: int) -> DataFrame:
    """The records of a pass that differ in p and s alone."""
    return most_tried(records[records["pass"] == number] if "pass" in records else records.iloc[:0], SYNTHESIS, TRAINING)


def of_training(records: DataFrame, number: int) -> DataFrame:
    """The records of a pass that differ in learning rate and loss alone, the loss in words."""
    found = most_tried(records[records["pass"] == number] if "pass" in records else records.iloc[:0], TRAINING, SYNTHESIS)
    return found.assign(loss=found["loss"].map(LOSSES)) if len(found) else found


def by_synthesis(number: int) -> Derive:
    """Makes the same as `of_synthesis`, p and s as one `setting` in words, with the means over problems."""

    def derive(records: DataFrame) -> DataFrame:
        found = of_synthesis(records, number)
        if found.empty:
            return found
        words = [f"p = {p:g}, s = {s:g}" for p, s in zip(found["swap_probability"], found["local_variance"], strict=True)]
        return with_mean(found.assign(setting=words), ["setting"], [RMSE])

    return derive


def by_training(number: int) -> Derive:
    """Makes the same as `of_training`, rate and loss as one `setting` in words, with the means over problems."""

    def derive(records: DataFrame) -> DataFrame:
        found = of_training(records, number)
        if found.empty:
            return found
        words = [f"{loss}, rate {rate:g}" for loss, rate in zip(found["loss"], found["learning_rate"], strict=True)]
        return with_mean(found.assign(setting=words), ["setting"], [RMSE])

    return derive


def synthesis_of_whole_seeds(number: int) -> Derive:
    """Makes `of_synthesis`, of the seeds that have all problems."""
    return lambda records: of_whole_seeds(of_synthesis(records, number), *SYNTHESIS)


def training_of_whole_seeds(number: int) -> Derive:
    """Makes `of_training`, of the seeds that have all problems."""
    return lambda records: of_whole_seeds(of_training(records, number), *TRAINING)


def smallest_gain(records: DataFrame) -> Series:
    """Validation error of the best net that learns the labels minus that of the mimic nets, mean over problems, with the worst p and s of each
    seed, in the first pass."""
    found = of_synthesis(records, 1)
    if found.empty:
        return records["seed"].iloc[:0]
    gain = (found["net_validation_rmse"] - found[RMSE]).groupby([found[name] for name in ("dataset", *SYNTHESIS, "seed")]).mean()
    from pandas import concat

    return concat([over_problems(own.droplevel([*SYNTHESIS])) for _, own in gain.groupby(list(SYNTHESIS))], axis=1).min(axis=1)


CLAIMS = (
    Claim(
        "every_p_and_s_helps",
        "With any p and s that were tried the mimic nets have a lower validation error than the best nets that learn the labels, which were "
        "chosen by that very error.",
        None, smallest_gain, low=0, minimum_seeds=2, kind="ours",
    ),
)  # fmt: skip
TABLES = tuple(
    table
    for number, word in PASSES.items()
    for table in (
        Table(f"synthesis_{number}", f"RMSE on the validation split by p and s of MUNGE, {word} pass", RMSE, unit="", index="setting",
              columns="dataset", derive=by_synthesis(number)),
        Table(f"training_{number}", f"RMSE on the validation split by loss and learning rate of the mimic nets, {word} pass", RMSE, unit="",
              index="setting", columns="dataset", derive=by_training(number)),
    )
)  # fmt: skip
FIGURES = tuple(
    figure
    for number, word in PASSES.items()
    for figure in (
        HeatMap(
            f"synthesis_{number}", f"Validation error by p and s of MUNGE, {word} pass", RMSE, "RMSE, mean over problems", x="local_variance",
            y="swap_probability", x_label="s", y_label="p", derive=synthesis_of_whole_seeds(number),
        ),
        Lines(
            f"training_{number}", f"Validation error by loss and learning rate, {word} pass", (Panel(RMSE, "RMSE, mean over problems"),),
            x="learning_rate", x_label="learning rate", series="loss", order=tuple(LOSSES.values()), derive=training_of_whole_seeds(number),
            logarithmic=True,
        ),
    )
)  # fmt: skip
