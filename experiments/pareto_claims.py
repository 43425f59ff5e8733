"""What the recipe of small files claims, tabulates and draws. Imports neither pandas nor torch.

Sizes are those of files, in kilobytes of 1,000 bytes. Errors are of the net that was read back from the file. Which file of a method stands for
it within so many bytes, and which files are on the frontier, is chosen on the validation split.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from nncompress.report.declare import Claim, Frontier, Published, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"
SMALL, INT8, SHARED = "smaller nets", "smaller nets, 8-bit integers", "smaller nets, shared weights"
DISTILLED, DISTILLED_SHARED = "smaller nets, distilled", "smaller nets, distilled, shared weights"
TICKETS, PRUNED, QUANTIZED = "lottery tickets", "weights pruned", "shared weights"
UNITS, INACTIVE = "units pruned by weights", "units pruned by activity"
DEEP_COMPRESSION, SOFT_SHARING, TOGETHER = "Deep Compression", "soft weight sharing", "distilled, pruned, shared, predicted"
RECORD = "record"
"""The arm of the one file that was chosen among those of all seeds."""
METHOD = {
    "small": SMALL,
    "small_int8": INT8,
    "small_shared": SHARED,
    "distilled": DISTILLED,
    "distilled_shared": DISTILLED_SHARED,
    "winning_ticket": TICKETS,
    "units_by_activity": INACTIVE,
    "units_by_weights": UNITS,
    "pruned": PRUNED,
    "pruning_only": PRUNED,
    "quantization_only": QUANTIZED,
    "deep_compression": DEEP_COMPRESSION,
    "pruning_and_quantization": DEEP_COMPRESSION,
    "soft_weight_sharing": SOFT_SHARING,
    "no_hyper_priors": SOFT_SHARING,
    "tau": SOFT_SHARING,
    "smallest": TOGETHER,
    RECORD: TOGETHER,
}
"""Arm -> the method that it is of. Other arms are methods of their own."""
ORDER = (
    SMALL, DISTILLED, QUANTIZED, TICKETS, UNITS, PRUNED, DEEP_COMPRESSION, SOFT_SHARING,
    INT8, DISTILLED_SHARED, SHARED, INACTIVE, TOGETHER,
)  # fmt: skip
POINT = ("origin", "arm", "point")
"""What tells files apart, but for the seed."""
BUDGETS = (5, 10, 20, 40, 80, 160, 320, 640)
"""Kilobytes."""


def by_method(records: DataFrame) -> DataFrame:
    """The rows of files that every seed has, as `with_the_record` gives them."""
    found = with_the_record(records)
    return found[found["mark"] == ""]


def with_the_record(records: DataFrame) -> DataFrame:
    """The rows of files, with `method`, `kilobytes`, `test_error` and `validation_error`; `point` is text, '' for the only one of an arm. The
    file that was chosen among all seeds has a `mark`, else '': it is no mean of seeds, so that it stands for no method."""
    found = records[records["file_bytes"].notna()] if "file_bytes" in records else records.iloc[:0].assign(file_bytes=0.0, point="")
    return found.assign(
        method=found["arm"].map(lambda arm: METHOD.get(arm, arm.replace("_", " "))),
        point=found["point"].fillna("").astype(str),
        kilobytes=found["file_bytes"] / 1000,
        test_error=1 - found["test_accuracy"],
        validation_error=1 - found["validation_accuracy"],
        mark=found["file_bytes"].map("smallest file of any seed: {:,.0f} bytes".format).where(found["arm"] == RECORD, ""),
    )


def best(records: DataFrame, methods: tuple[str, ...], kilobytes: float) -> DataFrame:
    """Of files made by `by_method` all seeds of one point: of these methods the one that errs least on validation images, means over seeds,
    among those of at most so many kilobytes."""
    files = records[records["method"].isin(methods)]
    means = files.groupby(list(POINT))[["kilobytes", "validation_error"]].mean()
    errors = means.loc[means["kilobytes"] <= kilobytes, "validation_error"].dropna()
    if errors.empty:
        return files.iloc[:0]
    return files.set_index(list(POINT)).loc[[errors.idxmin()]].reset_index()


def lead(method: str, kilobytes: float, *others: str) -> Statistic:
    """Test error of the other methods' best file of at most so many kilobytes minus that of the method's, by seed."""

    def statistic(records: DataFrame) -> Series:
        files = by_method(records)
        ours, theirs = (best(files, methods, kilobytes).groupby("seed")["test_error"].mean() for methods in ((method,), others))
        return (theirs - ours).dropna()

    return statistic


def gain(first: str, second: str) -> Statistic:
    """Test error of the second arm minus that of the first, mean over the sizes that both have, by seed."""

    def statistic(records: DataFrame) -> Series:
        files = by_method(records)
        ours, theirs = (files[files["arm"] == arm].pivot_table(index="seed", columns="point", values="test_error") for arm in (first, second))
        return (theirs - ours).dropna(axis=1, how="all").mean(axis=1).dropna()

    return statistic


CLAIMS = (
    Claim(
        "deep_compression_beats_smaller_nets", "Within 40 KB a net that is pruned and quantised errs less than a smaller dense net in float32.",
        None, lead(DEEP_COMPRESSION, 40, SMALL), low=0, unit="pp", kind="ours",
    ),
    Claim(
        "and_when_these_are_quantised", "And less than a smaller dense net with shared weights.",
        None, lead(DEEP_COMPRESSION, 40, SHARED), low=0, unit="pp", kind="ours",
    ),
    Claim(
        "and_distilled", "And less than a smaller dense net that was distilled and has shared weights.",
        None, lead(DEEP_COMPRESSION, 40, DISTILLED_SHARED), low=0, unit="pp", kind="ours",
    ),
    Claim(
        "soft_sharing_beats_deep_compression", "Within 20 KB soft weight sharing errs less than Deep Compression.",
        None, lead(SOFT_SHARING, 20, DEEP_COMPRESSION), low=0, unit="pp", kind="ours",
    ),
    Claim(
        "tickets_beat_smaller_nets", "Within 160 KB a lottery ticket, whose places are stored too, errs less than a smaller dense net.",
        None, lead(TICKETS, 160, SMALL), low=0, unit="pp", kind="ours",
    ),
    Claim(
        "weights_beat_units", "Within 160 KB a net without single weights errs less than one without units.",
        None, lead(PRUNED, 160, UNITS, INACTIVE), low=0, unit="pp", kind="ours",
    ),
    Claim(
        "distilled_beat_plain", "Hinton et al. 2015: a small net that is distilled errs less than one that learns the labels alone.",
        None, gain("distilled", "small"), low=0, unit="pp", kind="transferred",
    ),
    Claim(
        "integers_cost_nothing", "Weights as 8-bit integers raise the error by at most 0.05 pp.",
        None, gain("small", "small_int8"), high=0.0005, unit="pp", kind="ours",
    ),
)  # fmt: skip


def within_budgets(records: DataFrame) -> DataFrame:
    """For each budget and method the rows of its best file: `within`, in kilobytes."""
    from pandas import concat

    files = by_method(records)
    parts = [best(files, (method,), budget).assign(within=budget) for budget in BUDGETS for method in files["method"].unique()]
    return concat(parts, ignore_index=True) if parts else files.assign(within=0.0)


def on_the_frontier(records: DataFrame) -> DataFrame:
    """The rows of the files that no file of as few bytes beats on validation images, `size` being the mean over seeds of their kilobytes."""
    from nncompress.report.frontier import frontier

    files = by_method(records)
    means = files.groupby(list(POINT))[["kilobytes", "validation_error"]].mean().dropna()
    kept = means[frontier(means["kilobytes"].to_numpy(), means["validation_error"].to_numpy())]
    return files.join(kept["kilobytes"].round(2).rename("size"), on=list(POINT), how="inner")


def every_file(records: DataFrame) -> DataFrame:
    """Of each file one row per quantity and seed: `value`. `file` is its method, or its arm where the method has several, and its point."""
    from pandas import concat

    files = by_method(records)
    several = files.groupby("method")["arm"].transform("nunique") > 1
    name = files["arm"].str.replace("_", " ").where(several, files["method"])
    files = files.assign(file=(name + ": " + files["point"]).str.removesuffix(": "))
    quantities = {"KB": files["kilobytes"], "test error, %": 100 * files["test_error"]}
    return concat([files.assign(quantity=name, value=values) for name, values in quantities.items()], ignore_index=True)


TABLES = (
    Table(
        "budgets", "Test error, %, of each method's best file within so many KB", "test_error", index="method", columns="within", order=ORDER,
        derive=within_budgets,
    ),
    Table("frontier", "Test error, %, of the files on the frontier, by their size in KB", "test_error", index="size", columns="method",
          derive=on_the_frontier),
    Table("files", "Every file", "value", unit="", index="file", columns="quantity", derive=every_file),
    Published("paper", "The papers' numbers beside ours", {"test_error": "%", "kilobytes": ""}, derive=by_method,
              note="Sizes are KB; of pruning alone 4 bytes a weight that is left, without its place."),
)  # fmt: skip
FIGURES = (
    Frontier(
        "frontier", "Test error against bytes on disk", "kilobytes", "test_error", "kilobytes on disk", "test error, %", series="method",
        point=POINT, chosen_by="validation_error", mark="mark", order=ORDER, derive=with_the_record,
        published={
            "reference": SMALL, "pruned": PRUNED, "dynamic_network_surgery": PRUNED, "deep_compression": DEEP_COMPRESSION,
            "no_hyper_priors": SOFT_SHARING,
        },
    ),
)  # fmt: skip
