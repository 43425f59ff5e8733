"""What the search over model_compression's recipe tabulates and draws: the validation split alone. Imports neither pandas nor torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.model_compression_claims import of_whole_seeds, over_problems, with_mean
from nncompress.report.declare import Claim, HeatMap, Lines, Panel, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

RMSE = "mimic_validation_rmse"
SYNTHESIS = ("swap_probability", "local_variance")
TRAINING = ("learning_rate", "loss")
LOSSES = {"probabilities": "squared error of probabilities", "logits": "squared error of logits", "soft_targets": "cross-entropy"}


def most_tried(records: DataFrame, tried: tuple[str, str], fixed: tuple[str, str]) -> DataFrame:
    """The records with those values of `fixed` with which most values of `tried` were."""
    columns = [*fixed, *tried]
    if records.empty or not {*columns} <= set(records):
        return records.iloc[:0]
    counts = records.drop_duplicates(columns).groupby(list(fixed), as_index=False).size()
    most = counts.loc[counts["size"].argmax(), list(fixed)]
    return records[(records[list(fixed)] == most).all(axis=1)] if counts["size"].max() > 1 else records.iloc[:0]


def of_synthesis(records: DataFrame) -> DataFrame:
    """The records that differ in p and s alone."""
    return most_tried(records, SYNTHESIS, TRAINING)


def of_training(records: DataFrame) -> DataFrame:
    """The records that differ in learning rate and loss alone, the loss in words."""
    found = most_tried(records, TRAINING, SYNTHESIS)
    return found.assign(loss=found["loss"].map(LOSSES)) if len(found) else found


def by_synthesis(records: DataFrame) -> DataFrame:
    """The same as `of_synthesis`, p and s as one `setting` in words, with the means over problems."""
    found = of_synthesis(records)
    if found.empty:
        return found
    words = [f"p = {p:g}, s = {s:g}" for p, s in zip(found["swap_probability"], found["local_variance"], strict=True)]
    return with_mean(found.assign(setting=words), ["setting"], [RMSE])


def by_training(records: DataFrame) -> DataFrame:
    """The same as `of_training`, rate and loss as one `setting` in words, with the means over problems."""
    found = of_training(records)
    if found.empty:
        return found
    words = [f"{loss}, rate {rate:g}" for loss, rate in zip(found["loss"], found["learning_rate"], strict=True)]
    return with_mean(found.assign(setting=words), ["setting"], [RMSE])


def synthesis_of_whole_seeds(records: DataFrame) -> DataFrame:
    """`of_synthesis`, of the seeds that have all problems."""
    return of_whole_seeds(of_synthesis(records), *SYNTHESIS)


def training_of_whole_seeds(records: DataFrame) -> DataFrame:
    """`of_training`, of the seeds that have all problems."""
    return of_whole_seeds(of_training(records), *TRAINING)


def smallest_gain(records: DataFrame) -> Series:
    """Validation error of the best net that learns the labels minus that of the mimic nets, mean over problems, with the worst p and s of each
    seed."""
    found = of_synthesis(records)
    gain = (found["net_validation_rmse"] - found[RMSE]).groupby([found[name] for name in ("dataset", *SYNTHESIS, "seed")]).mean()
    by_setting = [over_problems(own.droplevel([*SYNTHESIS])) for _, own in gain.groupby(list(SYNTHESIS))]
    if not by_setting:
        return found[RMSE]
    from pandas import concat

    return concat(by_setting, axis=1).min(axis=1)


CLAIMS = (
    Claim(
        "every_p_and_s_helps",
        "With any p and s that were tried the mimic nets have a lower validation error than the best nets that learn the labels, which were "
        "chosen by that very error.",
        None, smallest_gain, low=0, minimum_seeds=2, kind="ours",
    ),
)  # fmt: skip
TABLES = (
    Table("synthesis", "RMSE on the validation split by p and s of MUNGE", RMSE, unit="", index="setting", columns="dataset",
          derive=by_synthesis),
    Table("training", "RMSE on the validation split by loss and learning rate of the mimic nets", RMSE, unit="", index="setting",
          columns="dataset", derive=by_training),
)  # fmt: skip
FIGURES = (
    HeatMap(
        "synthesis", "Validation error by p and s of MUNGE, mean over problems", RMSE, "RMSE", x="local_variance", y="swap_probability",
        x_label="s", y_label="p", derive=synthesis_of_whole_seeds,
    ),
    Lines(
        "training", "Validation error by loss and learning rate", (Panel(RMSE, "RMSE, mean over problems"),), x="learning_rate",
        x_label="learning rate", series="loss", order=tuple(LOSSES.values()), derive=training_of_whole_seeds, logarithmic=True,
    ),
)  # fmt: skip
