"""What the search over born_again_trees' recipe tabulates and draws: training cases alone. Imports neither pandas nor torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.born_again_trees_claims import PRINTED
from nncompress.report.declare import Claim, Lines, Paired, Panel, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

USUAL = 1000
"""What born_again_trees has, with which the others are compared."""
FEW, MORE = 300, 3000
AVERAGE = "geometric mean"


def over_sets(records: DataFrame) -> DataFrame:
    """The geometric mean of the errors over data sets, which is led by none of them, by split and number of cases, where all sets are in."""
    import numpy as np

    rows = records.assign(validation_error=1 - records["validation_accuracy"])
    errors = rows.pivot_table(index=["seed", "per_node"], columns="dataset", values="validation_error").dropna()
    return np.exp(np.log(errors.clip(lower=1e-4)).mean(axis=1)).unstack("per_node")  # of so few cases no share but 0 is so small


def with_error(records: DataFrame) -> DataFrame:
    """The records with `validation_error`, and where there are several data sets their mean as one more."""
    import pandas as pd

    if records.empty or "per_node" not in records:
        return records.iloc[:0]
    found = records.assign(validation_error=1 - records["validation_accuracy"], per_node=records["per_node"].astype(int))
    if found["dataset"].nunique() == 1:
        return found
    mean = over_sets(found).reset_index().melt("seed", var_name="per_node", value_name="validation_error").dropna()
    rest = {name: found[name].iloc[0] for name in ("experiment", "scale", "model", "variant", "arm") if name in found}
    return pd.concat([found, mean.assign(dataset=AVERAGE, **rest)], ignore_index=True)


def relative(records: DataFrame) -> DataFrame:
    """`with_error`, each as a share of that with `USUAL` cases on the same split: `relative_error`."""
    found = with_error(records)
    if found.empty:
        return found
    usual = found[found["per_node"] == USUAL][["dataset", "seed", "validation_error"]].rename(columns={"validation_error": "usual"})
    joined = found.merge(usual, on=["dataset", "seed"])
    return joined.assign(relative_error=joined["validation_error"] / joined["usual"])


def as_arms(records: DataFrame) -> DataFrame:
    """`with_error`, each number of cases an arm."""
    found = with_error(records)
    return found if found.empty else found.assign(arm=[str(number) for number in found["per_node"]])


def gain(records: DataFrame) -> Series:
    """By how much the error is less with `MORE` cases than with `FEW`, of its geometric mean over data sets, on the same split."""
    if records.empty:
        return records["validation_accuracy"]
    errors = over_sets(records).reindex(columns=[FEW, MORE])
    return (errors[FEW] - errors[MORE]).dropna()


CLAIMS = (
    Claim(
        "more_cases_help",
        f"With {MORE} cases for each node in place of {FEW} the trees err less on training cases that are held out: geometric mean over data "
        "sets.",
        None, gain, low=0, unit="pp", kind="ours",
    ),
)  # fmt: skip
TABLES = (
    Table(
        "errors", "Cross-validated error on the training cases by manufactured cases for each node, at the best p_alt, %", "validation_error",
        index="per_node", columns="dataset", derive=with_error, spread="standard_error",
    ),
    Paired(
        "paired", f"Paired differences from {USUAL} cases, split by split: cross-validated errors, pp", "validation_error",
        tuple((str(number), str(USUAL)) for number in (100, FEW, MORE)), order=(*PRINTED, AVERAGE), derive=as_arms,
        note="The splits are of the same cases, nearly all of which are in any two training sides: of these data sets p speaks, not of others.",
    ),
)  # fmt: skip
FIGURES = (
    Lines(
        "errors", "Born-again trees, by cases manufactured for each node",
        (Panel("relative_error", f"cross-validated error, times that with {USUAL} cases, split by split", reference=(1.0, f"{USUAL} cases")),),
        x="per_node", x_label="cases for each node", series="dataset", order=(*PRINTED, AVERAGE), derive=relative, band="standard_error",
        logarithmic=True,
    ),
)  # fmt: skip
