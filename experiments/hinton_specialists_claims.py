"""What the recipe of the specialists claims, tabulates and draws. Imports neither pandas nor torch.

All is of the test split, and paired by seed: the generalist of a seed alone, and with the specialists that went on from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from nncompress.report.declare import Claim, Lines, Panel, Published, Table, Unit

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"
ASKED = ("specialists", "full_softmax", "full_softmax_soft")
"""The arms in which a generalist asks specialists."""
ALONE = ("generalist_trained_on", "generalists_together")
"""The arms that ask none and are measured on all classes only."""
ORDER = ("generalist", *ALONE, *ASKED)


def metric(arm: str, name: str) -> Statistic:
    """The arm's metric, by seed."""
    return lambda records: records[records["arm"] == arm].groupby("seed")[name].mean()


def more(first: str, second: str, name: str) -> Statistic:
    """How much larger the metric is in the first arm."""
    return lambda records: metric(first, name)(records) - metric(second, name)(records)


def relative_gain(records: DataFrame) -> Series:
    """Test accuracy with specialists over that without, less one."""
    return metric("specialists", "test_accuracy")(records) / metric("specialists", "generalist_test_accuracy")(records) - 1


def conditional_gain(records: DataFrame) -> Series:
    return metric("specialists", "conditional_accuracy")(records) - metric("specialists", "generalist_conditional_accuracy")(records)


def overfitting(arm: str) -> Statistic:
    """How much higher the specialists' loss is on the test split than on the training split."""
    return lambda records: metric(arm, "specialist_test_loss")(records) - metric(arm, "specialist_train_loss")(records)


def by_coverage(records: DataFrame) -> DataFrame:
    """One row per arm, seed and number of specialists that cover the true class (`covering`): test `examples`, how many of them are `right`
    without specialists, the `change` with them, and `relative_change`, of those that were right."""
    from pandas import DataFrame as Frame

    found = []
    for row in records[records["arm"].isin(ASKED)].to_dict("records"):
        for name in records.columns:
            if name.startswith("covered_") and name.endswith("_examples") and row[name] > 0:
                k = int(name.split("_")[1])
                before = row[f"covered_{k}_generalist_right"]
                change = row[f"covered_{k}_right"] - before
                measured = {"covering": k, "examples": row[name], "right": before, "change": change}
                found.append(row | measured | {"relative_change": change / before if before else None})
    return Frame(found, columns=[*records.columns, "covering", "examples", "right", "change", "relative_change"])


def by_coverage_of_most(records: DataFrame) -> DataFrame:
    """`by_coverage` without numbers of specialists that fewer than three seeds have, if there are as many seeds: a line led through one seed's
    value would look like the mean of all."""
    rows = by_coverage(records)
    return rows[rows.groupby(["arm", "covering"])["seed"].transform("nunique") >= min(3, records["seed"].nunique())]


def counts(records: DataFrame) -> DataFrame:
    """`by_coverage` of the arm `specialists` with one row per `quantity`, its `count`."""
    from pandas import concat

    rows = by_coverage(records[records["arm"] == "specialists"])
    words = {"examples": "test examples", "right": "right without specialists", "change": "change with specialists"}
    return concat([rows.assign(quantity=text, count=rows[name]) for name, text in words.items()], ignore_index=True)


def rise(records: DataFrame) -> Series:
    """Slope of the relative change over the number of covering specialists, from one on, each number weighing as many test examples as it has
    (by least squares)."""
    from pandas import Series as Values

    found: dict[object, float] = {}
    rows = by_coverage(records[records["arm"] == "specialists"])
    for seed, mine in rows[(rows["covering"] > 0) & rows["relative_change"].notna()].groupby("seed"):
        weight, k, change = mine["examples"], mine["covering"].astype(float), mine["relative_change"].astype(float)
        apart = k - (weight * k).sum() / weight.sum()
        found[seed] = (weight * apart * change).sum() / (weight * apart**2).sum() if len(mine) > 1 else float("nan")
    return Values(found, dtype=float)


def uncovered(records: DataFrame) -> Series:
    """Relative change on the classes that are special to no specialist."""
    rows = by_coverage(records[records["arm"] == "specialists"])
    return rows[rows["covering"] == 0].groupby("seed")["relative_change"].mean().astype(float)


def by_measure(records: DataFrame) -> DataFrame:
    """One row per arm, seed and `measure` of `accuracy`; the generalist's from the arm `specialists`, whose classes it is measured on."""
    from pandas import concat

    found = []
    for name, text in (("test", "all classes"), ("conditional", "special classes, answers among them"), ("set", "one specialist's classes")):
        asked = records[records["arm"].isin(ASKED)]
        alone = records[records["arm"] == "specialists"].assign(arm="generalist")
        for rows, column in ((asked, f"{name}_accuracy"), (alone, f"generalist_{name}_accuracy")):
            found.append(rows.assign(measure=text, accuracy=rows.get(column)))
    on = records[records["arm"].isin(ALONE)]
    return concat([*found, on.assign(measure="all classes", accuracy=on["test_accuracy"])], ignore_index=True)


def beside_jft(records: DataFrame) -> DataFrame:
    """One row per seed of the generalist alone and one with specialists, with what the paper prints of the two under the names that it has in
    results/paper. Their model is called as the paper's, beside which ours stands."""
    from pandas import concat

    asked = records[records["arm"] == "specialists"]
    if asked.empty:
        return asked
    alone = asked.assign(**{name: asked[f"generalist_{name}"] for name in ("test_accuracy", "conditional_accuracy")})
    gains = {"relative_gain": asked["test_accuracy"] / asked["generalist_test_accuracy"] - 1}
    gains["conditional_gain"] = asked["conditional_accuracy"] - asked["generalist_conditional_accuracy"]
    for name in asked.columns:
        if name.startswith("covered_") and name.endswith("_generalist_right"):
            k = name.split("_")[1]
            gains[f"covered_{k}_change"] = asked[f"covered_{k}_right"] - asked[name]
            gains[f"covered_{k}_relative_change"] = gains[f"covered_{k}_change"] / asked[name].where(asked[name] > 0)
    return concat([alone.assign(arm="generalist"), asked.assign(**gains)], ignore_index=True).assign(model="jft_convnet")


def of_one_specialist(records: DataFrame) -> DataFrame:
    """One row per arm, seed and `quantity`: accuracies (`share`) and losses (`loss`) of a specialist alone, means over specialists."""
    from pandas import concat

    asked = records[records["arm"].isin(ASKED)]
    shares = {"specialist_special_accuracy": "on its special classes", "specialist_others_accuracy": "on the others"}
    losses = {"specialist_train_loss": "training split", "specialist_test_loss": "test split"}
    return concat(
        [
            asked.assign(quantity=text, **{kind: asked[name]})
            for kind, words in (("share", shares), ("loss", losses))
            for name, text in words.items()
        ],
        ignore_index=True,
    )


PUBLISHED: dict[str, Unit] = {"test_accuracy": "%", "conditional_accuracy": "%", "relative_gain": "%", "conditional_gain": "pp"}
PUBLISHED |= {f"covered_{k}_relative_change": "%" for k in range(11)}
"""What the table beside the paper's shows."""
OF_JFT = "Hinton et al. 2015, of JFT:"
CLAIMS = (
    Claim(
        "specialists_help", f"{OF_JFT} with specialists more test examples are right: relative change of the accuracy.",
        0.044, relative_gain, low=0, unit="%", kind="transferred",
    ),
    Claim(
        "specialists_help_on_their_classes",
        f"{OF_JFT} of examples whose class is special to any specialist, answers limited to these classes, more are right with specialists.",
        0.028, conditional_gain, low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "more_with_more_specialists",
        f"{OF_JFT} the relative change rises with the number of specialists that cover the true class, from one on: change for each further "
        "specialist.",
        0.0147, rise, low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "nothing_without_specialists",
        f"{OF_JFT} where no specialist covers the true class, accuracy changes by less than half a percent of itself.",
        0.0, uncovered, low=-0.005, high=0.005, unit="%", kind="transferred",
    ),
    Claim(
        "not_by_training_longer", "A generalist that is trained on for as long as a specialist is right less often than one with specialists.",
        None, more("specialists", "generalist_trained_on", "test_accuracy"), low=0, unit="pp", kind="ours",
    ),
    Claim(
        "not_by_as_many_nets",
        "As many generalists together as there are nets in all are right less often than one generalist with specialists.",
        None, more("specialists", "generalists_together", "test_accuracy"), low=0, unit="pp", kind="ours",
    ),
    Claim(
        "soft_targets_lessen_overfitting",
        "Section 6.1, proposed: of specialists over all classes, those with soft targets for other classes overfit less: how much smaller the "
        "difference between their losses on the test and the training split is.",
        None, lambda records: overfitting("full_softmax")(records) - overfitting("full_softmax_soft")(records), low=0, kind="ours",
    ),
    Claim(
        "soft_targets_keep_the_others", "Section 6.1, proposed: they are right more often on the classes that are not special to them.",
        None, more("full_softmax_soft", "full_softmax", "specialist_others_accuracy"), low=0, unit="pp", kind="ours",
    ),
    Claim(
        "soft_targets_help_the_answer", "Section 6.1, proposed: a generalist that asks them is right more often.",
        None, more("full_softmax_soft", "full_softmax", "test_accuracy"), low=0, unit="pp", kind="ours",
    ),
)  # fmt: skip
TABLES = (
    Table("accuracy", "Test accuracy, %", "accuracy", columns="measure", order=ORDER, derive=by_measure),
    Table(
        "coverage", "Test examples by the number of specialists that cover their class", "count", unit="", index="covering",
        columns="quantity", derive=counts,
    ),
    Table(
        "relative_change", "Relative change of the test accuracy, %, by the number of specialists that cover the class", "relative_change",
        index="covering", columns="arm", derive=by_coverage,
    ),
    Table("alone", "Test accuracy of a specialist alone, %", "share", columns="quantity", order=ORDER, derive=of_one_specialist),
    Table(
        "overfitting", "Loss of a specialist, special and other examples weighing half each", "loss", unit="", columns="quantity",
        order=ORDER, derive=of_one_specialist,
    ),
    Published(
        "paper", "The paper's numbers beside ours", PUBLISHED, derive=beside_jft,
        note="The paper's are of JFT, 100 million images of 15,000 classes; its 10 stands for 10 specialists or more.",
    ),
)  # fmt: skip
FIGURES = (
    Lines(
        "coverage", "What specialists change, by how many cover the class",
        (Panel("relative_change", "relative change of the test accuracy, %", "%"),),
        x="covering", x_label="specialists that cover the class", order=ORDER, derive=by_coverage_of_most,
    ),
)  # fmt: skip
