"""What the model-compression recipe claims, tabulates and draws. Imports neither pandas nor torch.

A record is of one mimic net and holds also the numbers of the ensemble that it mimics, of the best single model of the library and of the best
net that learned the labels. Errors are root mean squared errors (RMSE) of probabilities on the test split; means over problems are of the
problems for which all that is compared is recorded, and of the seeds for which these are recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, log
from typing import TYPE_CHECKING, TypeAlias

from experiments.ratios import linearized_ratio
from nncompress.report.declare import Claim, Lines, Panel, Table
from nncompress.report.words import spoken

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"
COMPARED = {"mimic": "mimic", "ensemble": "ensemble", "best_net": "net", "best_single_model": "single"}
"""What a record compares, by the name of its arm in tables -> the prefix of its columns."""
SHOWN = ("RANDOM", "nbe", "munge")
PROBLEMS = ("adult", "covtype", "letter_p1", "letter_p2")
LETTERS = ("letter_p1", "letter_p2")
EMBEDDED = "breast_cancer"
AVERAGE = "average"
RMSE = "mimic_test_rmse"
BY_PROBLEM = ["dataset", "seed"]


def of_tables(records: DataFrame) -> DataFrame:
    """The records of the tables' nets: of each problem the widest on the largest transfer set that MUNGE made."""
    rows = records[records["arm"] == "munge"]
    rows = rows[rows["cases"] == rows.groupby("dataset")["cases"].transform("max")]
    return rows[rows["units"] == rows.groupby("dataset")["units"].transform("max")]


def of_sizes(records: DataFrame) -> DataFrame:
    """The records of Figure 2: nets as wide as those that learn from cases of the other methods, or, without these, from most sizes."""
    others = records.loc[records["arm"] != "munge", "units"].unique()
    if len(others) or records.empty:
        return records[records["units"].isin(others)]
    return records[records["units"] == records.groupby("units")["cases"].nunique().idxmax()]


def of_units(records: DataFrame) -> DataFrame:
    """The records of Figure 3: MUNGE's with the number of cases that most widths are tried with."""
    rows = records[records["arm"] == "munge"]
    widths = rows.groupby("cases")["units"].nunique()
    return rows[rows["cases"] == widths.idxmax()] if len(rows) and widths.max() > 1 else rows.iloc[:0]


def of_whole_seeds(rows: DataFrame, *keys: str) -> DataFrame:
    """The rows of the seeds that have all problems, by `keys`: a mean over fewer, in a run that is not done, would be of something else."""
    problems = rows.groupby([*keys, "seed"])["dataset"].transform("nunique")
    return rows[problems == rows["dataset"].nunique()]


def over_problems(difference: Series) -> Series:
    """By seed, the mean over problems of what is indexed by problem and seed; what is not recorded of both sides is left out."""
    found = difference.dropna().rename("difference").reset_index()
    return of_whole_seeds(found).groupby("seed")["difference"].mean()


def error(records: DataFrame, arm: str, cases: float, column: str = RMSE) -> Series:
    """By problem and seed, of the nets of Figure 2 that learn so many cases of a method."""
    rows = of_sizes(records)
    return rows[(rows["arm"] == arm) & (rows["cases"] == cases)].groupby(BY_PROBLEM)[column].mean()


def better(first: str, second: str, cases: float) -> Statistic:
    """How much lower the error is of nets that learn cases of the first method than of the second."""
    return lambda records: over_problems(error(records, second, cases) - error(records, first, cases))


def below(arm: str, other: str, cases: float) -> Statistic:
    """How much lower the method's error is than that of `other`, with which its records compare it."""
    return lambda records: over_problems(error(records, arm, cases, f"{other}_test_rmse") - error(records, arm, cases))


def gained(arm: str, fewer: float, more: float) -> Statistic:
    """How much lower the method's error is with more cases than with fewer."""
    return lambda records: over_problems(error(records, arm, fewer) - error(records, arm, more))


def largest_over_best(records: DataFrame) -> Series:
    """Mean error of MUNGE's nets on the largest transfer set minus that on the best size, by seed."""
    rows = of_sizes(records)
    rows = of_whole_seeds(rows[rows["arm"] == "munge"], "cases")
    by_size = rows.pivot_table(index="seed", columns="cases", values=RMSE)
    if by_size.shape[1] < 2:
        return by_size.min(axis=1).iloc[:0]
    return by_size[by_size.columns.max()] - by_size.min(axis=1)


def ratio_by_seed(records: DataFrame, dataset: str) -> Series:
    """The column `ratio` of `ratios` for a problem, or for the average of several, by seed: its mean is the ratio of the means over seeds."""
    rows = ratios(records)
    return rows[rows["dataset"] == dataset].groupby("seed")["ratio"].mean()


def ratio_of_means(records: DataFrame) -> Series:
    """The ratio of the means over problems, by seed."""
    return ratio_by_seed(records, AVERAGE if records["dataset"].nunique() > 1 else records["dataset"].iloc[0] if len(records) else "")


def smallest_gain(records: DataFrame) -> Series:
    """How much better than the best net that learned the labels the mimic net is on the problem where that is least, by seed."""
    rows = of_whole_seeds(of_tables(records))
    return (rows["net_test_rmse"] - rows[RMSE]).groupby(rows["seed"]).min()


def adult_below_others(records: DataFrame) -> Series:
    """The ratio of the other problem that has the lowest, minus that of ADULT, by seed."""
    found = {name: ratio_by_seed(records, name) for name in records["dataset"].unique()}
    adult, others = found.pop("adult", None), sorted(found.values(), key=lambda ratio: float(ratio.mean()))
    return (others[0] - adult).dropna() if adult is not None and others else records["seed"].iloc[:0]


def of_problem(problem: str) -> Statistic:
    """The error of the mimic net of the tables on a problem."""

    def statistic(records: DataFrame) -> Series:
        rows = of_tables(records)
        return rows[rows["dataset"] == problem].groupby("seed")[RMSE].mean()

    return statistic


def gained_by_width(few: float, many: float, problems: tuple[str, ...]) -> Statistic:
    """How much lower the error of Figure 3 is with many hidden units than with few, on these problems."""

    def statistic(records: DataFrame) -> Series:
        rows = of_units(records)
        rows = rows[rows["dataset"].isin(problems)]
        few_units, many_units = (rows[rows["units"] == units].groupby(BY_PROBLEM)[RMSE].mean() for units in (few, many))
        return over_problems(few_units - many_units)

    return statistic


def times(column: str) -> Statistic:
    """By seed, the geometric mean over problems of the ensemble's `column` over the mimic net's."""

    def statistic(records: DataFrame) -> Series:
        rows = of_whole_seeds(of_tables(records))
        rates = rows[f"ensemble_{column}"] / rows[f"mimic_{column}"]
        return rates[rates > 0].map(log).groupby(rows["seed"]).mean().map(exp)

    return statistic


def slowest_munge(records: DataFrame) -> Series:
    """By seed, the processor seconds that MUNGE took for the largest transfer set of the problem where it took most."""
    rows = of_tables(records)
    return rows.groupby("seed")["synthesis_seconds"].max() if "synthesis_seconds" in rows else rows.groupby("seed")["cases"].max().iloc[:0]


def with_mean(rows: DataFrame, keys: list[str], columns: list[str]) -> DataFrame:
    """The rows, and their means over problems by `keys` and seed as those of one more, if there are several."""
    from pandas import concat

    if rows["dataset"].nunique() < 2:
        return rows
    mean = of_whole_seeds(rows, *keys).groupby([*keys, "seed"], as_index=False)[columns].mean()
    same = {name: rows[name].iloc[0] for name in ("model", "scale") if name in rows}
    return concat([rows, mean.assign(dataset=AVERAGE, **same)], ignore_index=True)


def compared(records: DataFrame) -> DataFrame:
    """One row for each net of the tables and each of what it is compared with, its name as `arm`: `test_rmse`, `seconds_per_10000`,
    `megabytes`."""
    from pandas import concat

    rows = of_tables(records)
    columns = {"test_rmse": "test_rmse", "seconds": "seconds_per_10000", "megabytes": "megabytes"}
    return concat(
        [rows.assign(arm=arm, **{name: rows[f"{prefix}_{column}"] for column, name in columns.items()}) for arm, prefix in COMPARED.items()],
        ignore_index=True,
    )


def compared_with_average(records: DataFrame) -> DataFrame:
    """The same, with the means over the problems."""
    return with_mean(compared(records), ["arm"], ["test_rmse", "seconds_per_10000", "megabytes"])


def ratios(records: DataFrame) -> DataFrame:
    """The ratio of each problem, (net - mimic) / (net - ensemble), and that of the averages (Table 2): 1 where the mimic net does as well as
    the ensemble. Of means over seeds: the gain on a single seed may be too small to divide by."""
    from pandas import concat

    rows = with_mean(of_whole_seeds(of_tables(records)), ["arm"], [RMSE, "net_test_rmse", "ensemble_test_rmse"])
    kept, gain = rows["net_test_rmse"] - rows[RMSE], rows["net_test_rmse"] - rows["ensemble_test_rmse"]
    found = [linearized_ratio(kept[own.index], gain[own.index]) for _, own in rows.groupby("dataset")]
    return rows.assign(arm="mimic", ratio=concat(found) if found else None)


def making(records: DataFrame) -> DataFrame:
    """One row for each method's largest transfer set and each step of making it, as `step`: its `processor_seconds`."""
    from pandas import concat

    rows = of_sizes(records)
    rows = rows[rows["cases"] == rows["cases"].max()]
    steps = {"synthesis_seconds": "making the cases", "labelling_seconds": "labelling them, training the ensemble included"}
    found = [rows.assign(step=words, processor_seconds=rows[column]) for column, words in steps.items() if column in rows]
    return in_capitals(concat(found, ignore_index=True) if found else rows.assign(step="", processor_seconds=None))


def in_capitals(rows: DataFrame) -> DataFrame:
    """The rows with RANDOM written as the other methods are."""
    return rows.assign(arm=rows["arm"].replace({"random": "RANDOM"}))


def sizes_by_problem(records: DataFrame) -> DataFrame:
    """The records of Figure 2, with problem and method in one column, `method`."""
    rows = of_sizes(records)
    return rows.assign(method=rows["dataset"].map(spoken) + ", " + rows["arm"].str.upper())


def early_stopping(records: DataFrame) -> DataFrame:
    """The nets of Figure 2 that learn cases of MUNGE, with `early_stopping_gain`: their log loss, in nats, on the test split after the last
    step minus that at the measured step where it was lowest on the validation split."""
    rows = of_sizes(records)
    rows = rows[rows["arm"] == "munge"]
    return rows.assign(early_stopping_gain=rows["test_loss"] - rows["early_stop_loss"])


def with_horizontals(records: DataFrame) -> DataFrame:
    """The records of Figure 2, and at each size those that the nets are compared with, as arms of their own."""
    from pandas import concat

    rows = of_whole_seeds(of_sizes(records), "arm", "cases")
    munge = rows[rows["arm"] == "munge"]
    others = [munge.assign(arm=arm, **{RMSE: munge[f"{prefix}_test_rmse"]}) for arm, prefix in COMPARED.items() if arm != "mimic"]
    return in_capitals(concat([rows, *others], ignore_index=True))


def units_with_average(records: DataFrame) -> DataFrame:
    """The records of Figure 3, and their mean over problems as one more."""
    return with_mean(of_units(records), ["units"], [RMSE])


def better_with_most(first: str, second: str) -> Statistic:
    """The same as `better`, with the most cases that there are."""
    return lambda records: better(first, second, of_sizes(records)["cases"].max())(records)


CLAIMS = (
    Claim(
        "keeps_the_gain",
        "The mimic nets keep at least 80 % of what the ensembles gain over the best nets that learn the labels, on average (the paper's value: "
        "derived from its Table 2 for ADULT, LETTER.p1 and LETTER.p2).",
        0.885, ratio_of_means, low=0.8, unit="%", datasets=PROBLEMS,
    ),
    Claim(
        "beats_net_everywhere",
        "On every problem the mimic net has a lower error than the best net that learns the labels (the paper's value: of ADULT, its smallest "
        "of our problems).",
        0.003, smallest_gain, low=0, datasets=PROBLEMS,
    ),
    Claim(
        "adult_is_weakest", "Of all problems ADULT has the lowest ratio (the paper's value: derived, LETTER.p2's less ADULT's).",
        0.69, adult_below_others, low=0, datasets=PROBLEMS,
    ),
    *(
        Claim(f"{first}_beats_{second}_{cases}", f"With {cases:,} cases {first.upper()} gives a lower mean error than {second.upper()}.",
              None, better(first, second, cases), low=0, datasets=PROBLEMS)
        for cases in (100_000, 400_000) for first, second in (("munge", "nbe"), ("nbe", "random"))
    ),
    *(
        Claim(f"random_no_better_{cases}", f"With {cases:,} cases RANDOM is no better than the best net that learns the labels.",
              None, below("random", "net", cases), high=0, datasets=PROBLEMS)
        for cases in (100_000, 400_000)
    ),
    Claim(
        "munge_passes_single", "With 100,000 cases MUNGE gives a lower mean error than the best single model of the library.",
        None, below("munge", "single", 100_000), low=0, datasets=PROBLEMS,
    ),
    Claim(
        "munge_never_degrades", "More cases of MUNGE never hurt: the error with the most is at most 0.002, a bound of ours, above the lowest.",
        None, largest_over_best, high=0.002, bounds=(0, inf), datasets=PROBLEMS,
    ),
    Claim(
        "nbe_degrades", "NBE does worse with 400,000 cases than with 25,000.", None, gained("nbe", 25_000, 400_000), high=0, datasets=PROBLEMS,
    ),
    Claim(
        "width_helps_letters", "On LETTER nets of 128 hidden units have a lower error than nets of 2.",
        None, gained_by_width(2, 128, LETTERS), low=0, datasets=LETTERS,
    ),
    Claim(
        "width_helps_covtype", "On COVTYPE nets of 128 hidden units have a lower error than nets of 2.",
        None, gained_by_width(2, 128, ("covtype",)), low=0, datasets=("covtype",),
    ),
    Claim(
        "width_levels_off", "From 128 to 256 hidden units the mean error falls or rises by at most 0.005, a bound of ours.",
        None, gained_by_width(128, 256, PROBLEMS), low=-0.005, high=0.005, datasets=PROBLEMS,
    ),
    *(
        Claim(f"rmse_{problem}", f"The mimic net's error on {name} is within {within} of the paper's.",
              paper, of_problem(problem), low=paper - within, high=paper + within, datasets=(problem,))
        for problem, name, paper, within in (
            ("adult", "ADULT", 0.325, 0.015), ("covtype", "COVTYPE", 0.340, 0.015),
            ("letter_p1", "LETTER.p1", 0.075, 0.02), ("letter_p2", "LETTER.p2", 0.179, 0.02),
        )
    ),
    Claim(
        "embedded_munge_beats_random",
        "Bucilă et al. 2006, of other problems: on scikit-learn's breast cancer, with the most cases, MUNGE gives a lower error than RANDOM.",
        None, better_with_most("munge", "random"), low=0, kind="transferred", datasets=(EMBEDDED,),
    ),
    Claim(
        "hundred_times_faster", "The mimic nets answer at least 100 times as fast as the ensembles (paper: derived from Table 3).",
        888, times("seconds"), low=100, unit="×", geometric=True, kind="ours", datasets=PROBLEMS,
    ),
    Claim(
        "hundred_times_smaller", "The mimic nets are at least 100 times smaller than the ensembles (paper: derived from Table 4).",
        556, times("megabytes"), low=100, unit="×", geometric=True, kind="ours", datasets=PROBLEMS,
    ),
    Claim(
        "munge_in_a_minute", "MUNGE makes the largest transfer set of any problem within 60 processor seconds.",
        None, slowest_munge, high=60, kind="ours",
    ),
)  # fmt: skip
ARMS = tuple(COMPARED)
TABLES = (
    Table("rmse", "RMSE on the test split (Table 2)", "test_rmse", unit="", index="dataset", columns="arm", order=(*PROBLEMS, AVERAGE),
          derive=compared_with_average),
    Table("ratio", "Share of the ensemble's gain over the best net that the mimic net keeps, of means; last, of the averages (Table 2)",
          "ratio", unit="", index="dataset", columns="arm", order=(*PROBLEMS, AVERAGE), derive=ratios),
    Table("seconds", "Processor seconds for 10,000 cases (Table 3)", "seconds_per_10000", unit="", index="dataset", columns="arm",
          order=(*PROBLEMS, AVERAGE), derive=compared_with_average),
    Table("megabytes", "Size in MB (Table 4)", "megabytes", unit="", index="dataset", columns="arm", order=(*PROBLEMS, AVERAGE),
          derive=compared_with_average),
    Table("making", "Processor seconds of making and labelling the largest transfer set, mean over problems", "processor_seconds", unit="",
          columns="step", order=SHOWN, derive=making),
    Table("sizes", "Mean RMSE over problems by method and cases of the transfer set (Figure 2)", RMSE, unit="", columns="cases",
          order=(*SHOWN, *ARMS), derive=with_horizontals),
    Table("sizes_by_problem", "RMSE by problem, method and cases of the transfer set", RMSE, unit="", index="method", columns="cases",
          derive=sizes_by_problem),
    Table("units", "RMSE by hidden units (Figure 3)", RMSE, unit="", index="dataset", columns="units", order=(*PROBLEMS, AVERAGE),
          derive=units_with_average),
    Table("validation", "RMSE on the validation split, on which ensembles and best models are chosen, mean over problems",
          "mimic_validation_rmse", unit="", columns="cases", order=SHOWN,
          derive=lambda records: in_capitals(of_whole_seeds(of_sizes(records), "arm", "cases"))),
    Table("early_stopping", "By how much the test log loss of MUNGE's nets would be lower, had they been stopped where that of the validation "
          "cases was lowest, nats", "early_stopping_gain", unit="", index="dataset", columns="cases", order=PROBLEMS, derive=early_stopping),
)  # fmt: skip
FIGURES = (
    Lines(
        "sizes", "Mimic nets by the size of the transfer set", (Panel(RMSE, "RMSE, mean over problems"),), x="cases",
        x_label="cases in the transfer set", order=(*SHOWN, "best_net", "best_single_model", "ensemble"), derive=with_horizontals,
        logarithmic=True, horizontals=("best_net", "best_single_model", "ensemble"),
    ),
    Lines(
        "units", "Mimic nets by their hidden units", (Panel(RMSE, "RMSE"),), x="units", x_label="hidden units", series="dataset",
        order=(*PROBLEMS, AVERAGE), derive=units_with_average, logarithmic=True,
    ),
)  # fmt: skip
