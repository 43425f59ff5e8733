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


def of_pass(records: DataFrame, number: int) -> DataFrame:
    """The records of a pass."""
    return records[records["pass"] == number] if "pass" in records else records.iloc[:0]


def of_synthesis(records: DataFrame, number: int) -> DataFrame:
    """The records of a pass that differ in p and s alone, these in words as `setting`."""
    found = most_tried(of_pass(records, number), SYNTHESIS, TRAINING)
    if found.empty:
        return found
    return found.assign(setting=[f"p = {p:g}, s = {s:g}" for p, s in zip(*(found[name] for name in SYNTHESIS), strict=True)])


def of_training(records: DataFrame, number: int) -> DataFrame:
    """The records of a pass that differ in learning rate and loss alone, these in words as `setting`, and the loss."""
    found = most_tried(of_pass(records, number), TRAINING, SYNTHESIS)
    if found.empty:
        return found
    found = found.assign(loss=found["loss"].map(LOSSES))
    return found.assign(setting=[f"{loss}, rate {rate:g}" for rate, loss in zip(*(found[name] for name in TRAINING), strict=True)])


def with_average(of: Callable[[DataFrame, int], DataFrame], number: int) -> Derive:
    """Makes the records of a pass and their means over problems, by setting."""

    def derive(records: DataFrame) -> DataFrame:
        found = of(records, number)
        return found if found.empty else with_mean(found, ["setting"], [RMSE])

    return derive


def whole_seeds(of: Callable[[DataFrame, int], DataFrame], number: int) -> Derive:
    """Makes the records of a pass, of the seeds that have all problems."""

    def derive(records: DataFrame) -> DataFrame:
        found = of(records, number)
        return found if found.empty else of_whole_seeds(found, "setting")

    return derive


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
        "With any p and s that the first pass tried the mimic nets have a lower validation error than the best nets that learn the labels, "
        "which were chosen by that very error.",
        None, smallest_gain, low=0, minimum_seeds=2, kind="ours",
    ),
)  # fmt: skip
TABLES = tuple(
    table
    for number, word in PASSES.items()
    for table in (
        Table(f"synthesis_{number}", f"RMSE on the validation split by p and s of MUNGE, {word} pass", RMSE, unit="", index="setting",
              columns="dataset", derive=with_average(of_synthesis, number)),
        Table(f"training_{number}", f"RMSE on the validation split by loss and learning rate of the mimic nets, {word} pass", RMSE, unit="",
              index="setting", columns="dataset", derive=with_average(of_training, number)),
    )
)  # fmt: skip
FIGURES = tuple(
    figure
    for number, word in PASSES.items()
    for figure in (
        HeatMap(
            f"synthesis_{number}", f"Validation error by p and s of MUNGE, {word} pass", RMSE, "RMSE, mean over problems", x="local_variance",
            y="swap_probability", x_label="s", y_label="p", derive=whole_seeds(of_synthesis, number),
        ),
        Lines(
            f"training_{number}", f"Validation error by loss and learning rate, {word} pass", (Panel(RMSE, "RMSE, mean over problems"),),
            x="learning_rate", x_label="learning rate", series="loss", order=tuple(LOSSES.values()), derive=whole_seeds(of_training, number),
            logarithmic=True,
        ),
    )
)  # fmt: skip
