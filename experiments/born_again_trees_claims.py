"""What the recipe on born-again trees claims, tabulates and draws. Imports neither pandas nor torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from experiments.ratios import linearized_ratio
from nncompress.report.declare import Claim, Lines, Paired, Panel, Table, TreePanel, Trees

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"
ORDER = ("cart", "born_again_cart", "arced_cart")
PRINTED = {  # data set -> CART, born-again CART, arced CART: test errors as shares
    "breast_cancer": (0.059, 0.039, 0.030),
    "ionosphere": (0.112, 0.061, 0.057),
    "glass": (0.304, 0.282, 0.216),
    "soybean": (0.086, 0.084, 0.063),
    "sonar": (0.321, 0.251, 0.160),
}
NAMES = {"breast_cancer": "breast cancer"}
TOLERANCE = {"glass": 0.03, "sonar": 0.03}
"""How near CART must come to the paper's, where it is not within 1.5 pp: on the smallest sets."""
FELL = {"breast_cancer": 0.34, "ionosphere": 0.46, "sonar": 0.22}
"""Data sets on which the paper's born-again tree has at least 20 % fewer errors than CART, and by how much."""
MAY_TIE = {"soybean": 0.005}
"""Where the paper's born-again tree and CART are all but equal: by how much more the tree may err. The bound is ours."""
FEW_CLASSES = ("breast_cancer", "ionosphere", "glass", "sonar")
"""Data sets with no more classes than a small tree has leaves: all but soybean."""
OVERLAP = 1 / 9
"""Test over training cases of a split of 10 to 90: for what is asked of cases other than those of this very data set."""
EMBEDDED = "breast_cancer_diagnostic"


def by_seed(records: DataFrame, arm: str, metric: str) -> Series:
    """The arm's metric on each split; NaN where it is not recorded."""
    rows = records[records["arm"] == arm]
    return rows.groupby("seed")[metric].mean() if metric in rows else rows.groupby("seed").size() * float("nan")


def error(records: DataFrame, arm: str, of: str = "") -> Series:
    """Test error on each split. `of`: 'small_' for that of the small tree."""
    return 1 - by_seed(records, arm, f"{of}test_accuracy")


def fewer(arm: str, than: str, share: float = 1.0) -> Statistic:
    """`share` times the test error of `than`, minus that of `arm`, on the same split."""
    return lambda records: share * error(records, than) - error(records, arm)


def more_agreement(records: DataFrame) -> Series:
    """How much more often the born-again tree answers as the ensemble does than CART, on the same split."""
    return by_seed(records, "born_again_cart", "test_agreement") - by_seed(records, "cart", "test_agreement")


def gain_of_small(records: DataFrame) -> Series:
    """Test error of CART minus that of the small born-again tree, on the same split."""
    return error(records, "cart") - error(records, "born_again_cart", "small_")


def _of_each_set() -> list[Claim]:
    found = []
    for dataset, (cart, born_again, arced) in PRINTED.items():
        name = NAMES.get(dataset, dataset)
        tolerance = TOLERANCE.get(dataset, 0.015)
        more = MAY_TIE.get(dataset, 0.0)
        beats = f"On {name} the born-again tree has fewer errors than CART."
        ties = f"On {name}, where the paper's two are all but equal, the born-again tree has at most {100 * more:g} pp more errors than CART"
        found += [
            Claim(
                f"{dataset}_born_again_{'ties_with' if more else 'beats'}_cart", f"{ties} (a bound of ours)." if more else beats,
                round(cart - born_again, 3), fewer("born_again_cart", "cart"), low=0 - more, unit="pp", datasets=(dataset,),
            ),
            Claim(
                f"{dataset}_arced_is_best", f"On {name} arced CART has no more errors than the born-again tree.",
                round(born_again - arced, 3), fewer("arced_cart", "born_again_cart"), low=0, unit="pp", datasets=(dataset,),
            ),
        ]  # fmt: skip
        if dataset in FELL:
            found.append(
                Claim(
                    f"{dataset}_fifth_fewer",
                    f"On {name} the born-again tree has at least 20 % fewer errors than CART (the paper's has {100 * FELL[dataset]:g} %): "
                    "0.8 times CART's less its own, the paper's value derived from its table.",
                    round(0.8 * cart - born_again, 4), fewer("born_again_cart", "cart", 0.8), low=0, unit="pp",
                    datasets=(dataset,),
                )
            )  # fmt: skip
        found.append(
            Claim(
                f"{dataset}_same_cart", f"On {name} CART's test error is within {100 * tolerance:g} pp of the paper's.",
                cart, lambda records: error(records, "cart"), low=cart - tolerance, high=cart + tolerance, unit="%", kind="ours",
                datasets=(dataset,),
            )
        )  # fmt: skip
    return found


def _of_ours() -> list[Claim]:
    found = []
    for dataset in PRINTED:
        name = NAMES.get(dataset, dataset)
        found.append(
            Claim(
                f"{dataset}_represents", f"On {name} the born-again tree answers as the ensemble does more often than CART.",
                None, more_agreement, low=0, unit="pp", kind="ours", datasets=(dataset,),
            )
        )  # fmt: skip
        if dataset in FEW_CLASSES:
            found.append(
                Claim(
                    f"{dataset}_small_tree", f"On {name} the small born-again tree has at most 1 pp more errors than CART.",
                    None, gain_of_small, low=-0.01, unit="pp", kind="ours", datasets=(dataset,),
                )
            )  # fmt: skip
    return found


CLAIMS = (
    *_of_each_set(),
    Claim(
        "diagnostic_born_again_beats_cart",
        "Breiman & Shang 1996, of other sets: on scikit-learn's breast cancer the born-again tree has fewer errors than CART.",
        None, fewer("born_again_cart", "cart"), low=0, unit="pp", kind="transferred", datasets=(EMBEDDED,),
    ),
    Claim(
        "diagnostic_arced_is_best",
        "Breiman & Shang 1996, of other sets: on scikit-learn's breast cancer arced CART has no more errors than the born-again tree.",
        None, fewer("arced_cart", "born_again_cart"), low=0, unit="pp", kind="transferred", datasets=(EMBEDDED,),
    ),
    *_of_ours(),
)  # fmt: skip


def with_error(records: DataFrame) -> DataFrame:
    """The records with `test_error`, and the small born-again tree as an arm of its own."""
    import pandas as pd

    found = [records]
    if "small_test_accuracy" in records:
        own = records[records["arm"] == "born_again_cart"].assign(arm="small_born_again_cart")
        small = {name: own[f"small_{name}"] for name in ("test_accuracy", "test_agreement", "leaves")}
        found.append(own.assign(**small))
    joined = pd.concat(found)
    return joined.assign(test_error=1 - joined["test_accuracy"])


def as_compared(records: DataFrame) -> DataFrame:
    """The records with `test_error`, the small tree and, where the paper's tree has a fifth fewer errors, four fifths of CART's as arms."""
    import pandas as pd

    found = with_error(records)
    cart = found[(found["arm"] == "cart") & found["dataset"].isin(list(FELL))]
    return pd.concat([found, cart.assign(arm="four_fifths_of_cart", test_error=0.8 * cart["test_error"])])


def each_rate(records: DataFrame) -> DataFrame:
    """A row for each born-again tree and each rate that any of them chose: whether it `chose` that rate."""
    import pandas as pd

    own = records[records["p_alt"].notna()] if "p_alt" in records else records.iloc[:0]
    rates = sorted(own["p_alt"].unique()) if len(own) else []
    return pd.concat([own.assign(p_alt=rate, chose=(own["p_alt"] == rate).astype(float)) for rate in rates]) if rates else own


def beside_cart(curves: DataFrame, records: DataFrame) -> DataFrame:
    """The curves with `above_cart`, the test error minus that of CART on the same split."""
    cart = with_error(records[records["arm"] == "cart"]).rename(columns={"test_error": "error_of_cart"})
    joined = curves.merge(cart[["dataset", "seed", "error_of_cart"]], on=["dataset", "seed"])
    return joined.assign(above_cart=joined["test_error"] - joined["error_of_cart"])


def relative_decrease(records: DataFrame) -> DataFrame:
    """The records of the born-again trees with `relative_decrease`, by how much of CART's their test errors are lower.

    It is 1 - mean(B) / mean(C), of the means over splits as in the paper, the arms paired by split.
    """
    import pandas as pd

    found = []
    for _, rows in with_error(records).groupby("dataset"):
        cart = rows[rows["arm"] == "cart"].groupby("seed")["test_error"].mean()
        for _, own in rows[rows["arm"].isin(("born_again_cart", "small_born_again_cart"))].groupby("arm"):
            own = own[own["seed"].isin(cart.index)]
            theirs = own["seed"].map(cart)
            if theirs.sum() > 0:
                found.append(own.assign(relative_decrease=linearized_ratio(theirs - own["test_error"], theirs)))
    return pd.concat(found) if found else records.iloc[:0]


WHY_CORRECTED = (
    "The first p asks of these very data sets, as the paper's table does: would the mean over ever more random splits be zero? The verdicts go "
    "by it. The second asks whether other cases from where these came would show the same. For that the splits are not independent, since "
    "their training sets overlap, and the variance of the mean is 1/n + 1/9 times that of a split, not 1/n times (Nadeau & Bengio 2003). "
    "Neither allows for how many tests there are."
)
TABLES = (
    Table(
        "error", "Test error, %", "test_error", columns="dataset", order=(*ORDER[:2], "small_born_again_cart", ORDER[2]), derive=with_error,
        spread="standard_error",
    ),
    Table(
        "decrease", "By how much of CART's the test error is lower, % (of means over splits)", "relative_decrease", columns="dataset",
        order=(*ORDER[:2], "small_born_again_cart"), derive=relative_decrease, spread="standard_error",
    ),
    Paired(
        "paired", "Paired differences, split by split: test errors, pp", "test_error",
        (
            ("born_again_cart", "cart"), ("born_again_cart", "four_fifths_of_cart"), ("born_again_cart", "arced_cart"),
            ("small_born_again_cart", "cart"),
        ),
        OVERLAP, order=tuple(PRINTED), derive=as_compared, note=WHY_CORRECTED,
    ),
    Paired(
        "paired_agreement", "Paired differences, split by split: test cases that get the answer of the ensemble, pp", "test_agreement",
        (("born_again_cart", "cart"),), OVERLAP, "more", order=tuple(PRINTED), note="Tests as those of the errors.",
    ),
    Table(
        "leaves", "Leaves of a tree (arced CART: of all its trees together)", "leaves", unit="", columns="dataset",
        order=(*ORDER[:2], "small_born_again_cart", ORDER[2]), derive=with_error, spread="standard_error",
    ),
    Table(
        "agreement", "Test cases that get the answer of the ensemble, %", "test_agreement", columns="dataset",
        order=(*ORDER[:2], "small_born_again_cart"), derive=with_error, spread="standard_error",
    ),
    Table(
        "rates", "Test error of the born-again tree at each p_alt, chosen or not, %", "test_error", index="dataset", columns="p_alt",
        order=tuple(PRINTED), spread="standard_error", source="curves",
    ),
    Table(
        "rates_validation", "Cross-validated error on the training cases at each p_alt, %", "validation_error", index="dataset",
        columns="p_alt", order=tuple(PRINTED), spread="standard_error", source="curves",
    ),
    Table(
        "p_alt", "In how many splits cross-validation on the training cases chose each smearing rate p_alt", "chose", unit="", index="dataset",
        columns="p_alt", order=tuple(PRINTED), derive=each_rate, total=True,
    ),
)  # fmt: skip
FIGURES = (
    Lines(
        "smearing_rate", "The born-again tree, by the rate of smearing",
        (
            Panel("above_cart", "test error minus CART's, split by split, pp", "pp", reference=(0.0, "CART")),
            Panel("size", "leaves"), Panel("agreement", "agreement with the ensemble, %", "%"),
        ),
        x="p_alt", x_label="p_alt", series="dataset", order=tuple(PRINTED), source="curves",
        beside=beside_cart, band="standard_error",
    ),
    Trees(
        "trees", "A small born-again tree, and the tree of CART",
        (
            TreePanel("Born-again CART", "small", {"arm": ("born_again_cart",)}, "smeared cases",
                      "small_test_accuracy", "leaves"),
            TreePanel("CART", "tree", {"arm": ("cart",)}, "training cases"),
        ),
    ),
)  # fmt: skip
