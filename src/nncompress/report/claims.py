"""Verdicts: does the 95 % interval of a claim's statistic over seeds lie inside the bounds that the claim states?"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from math import exp, inf, log, nan, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from nncompress.report.declare import Claim
from nncompress.report.records import comparable, scale_of, tidy

__all__ = ["COLUMNS", "ROUNDING", "VERDICTS", "Claim", "interval", "judge", "judge_all", "p_value"]

COLUMNS = ("claim", "statement", "kind", "paper", "ours", "n", "ci_low", "ci_high", "scale", "verdict", "low", "high", "unit", "mean")
"""`mean`: which one `ours` is, arithmetic or geometric."""
VERDICTS = ("reproduced", "not reproduced", "inconclusive")
ROUNDING = 1e-9
"""A difference of two accuracies misses the bound it equals by about 1e-17."""


def interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of independent `values`; (NaN, NaN) for fewer than two, a point where they are all equal.

    Values of random splits of one data set are independent as far as that data set goes, of which the mean over all splits is meant.
    """
    n = len(values)
    if n < 2:
        return nan, nan
    half = float(student.ppf((1 + confidence) / 2, n - 1)) * _standard_error(values, 0.0)
    return float(np.mean(values)) - half, float(np.mean(values)) + half


def p_value(values: Sequence[float], overlap: float = 0.0) -> float:
    """Of the two-sided t test that the mean of `values` is zero; NaN for fewer than two.

    Where they are of random splits of one data set, and what is asked is whether other cases than its own would show the same, they are not
    independent, since their training sets overlap: with `overlap`, the test over the training examples, the variance of their mean is
    (1 / n + overlap) times that of a value, not 1 / n times (Nadeau & Bengio 2003).
    """
    n = len(values)
    if n < 2:
        return nan
    mean, error = abs(float(np.mean(values))), _standard_error(values, overlap)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * student.sf(mean / error, n - 1))


def _standard_error(values: Sequence[float], overlap: float) -> float:
    return float(np.std(values, ddof=1)) * sqrt(1 / len(values) + overlap)


def judge(claim: Claim, records: pd.DataFrame) -> dict[str, Any]:
    """One line of `claims/<experiment>.csv`, in the columns `COLUMNS`; numbers as stored, that is accuracies as fractions.

    The verdict is 'reproduced' if the 95 % interval lies in [low, high], 'not reproduced' if it lies wholly outside, else 'inconclusive';
    so it is with fewer than `minimum_seeds` seeds that have a finite value. Rows of a sweep (`variant` not empty) and of a smaller scale than
    the largest do not count. The interval is told as far as it lies within `bounds`.
    """
    return _judge(claim, comparable(tidy(records)))


def judge_all(claims: Sequence[Claim], records: pd.DataFrame) -> pd.DataFrame:
    """The verdicts on all claims about the models and the data sets in `records`, in their order."""
    rows = comparable(tidy(records))
    models, datasets = set(rows["model"]), set(rows["dataset"])
    told = [claim for claim in claims if not claim.models or any(_matches(claim, model) for model in models)]
    return pd.DataFrame(
        [_judge(claim, rows) for claim in told if not claim.datasets or datasets & set(claim.datasets)],
        columns=list(COLUMNS),
    )


def _judge(claim: Claim, rows: pd.DataFrame) -> dict[str, Any]:
    if claim.models:
        rows = rows[rows["model"].isin([model for model in set(rows["model"]) if _matches(claim, model)])]
    if claim.datasets:
        rows = rows[rows["dataset"].isin(claim.datasets)]
    values = pd.to_numeric(claim.statistic(rows), errors="coerce").astype(float).replace([inf, -inf], nan).dropna().to_list()
    if claim.geometric:
        values = [log(value) for value in values if value > 0]
    ours, (ci_low, ci_high) = float(np.mean(values)) if values else nan, interval(values)
    if claim.geometric:
        ours, ci_low, ci_high = exp(ours), exp(ci_low), exp(ci_high)
    if len(values) < max(2, claim.minimum_seeds):
        verdict = "inconclusive"
    elif claim.low - ROUNDING <= ci_low and ci_high <= claim.high + ROUNDING:
        verdict = "reproduced"
    elif ci_high < claim.low - ROUNDING or ci_low > claim.high + ROUNDING:
        verdict = "not reproduced"
    else:
        verdict = "inconclusive"
    if claim.bounds is not None:
        ci_low, ci_high = (float(np.clip(end, *claim.bounds)) for end in (ci_low, ci_high))
    return {
        "claim": claim.id,
        "statement": claim.statement,
        "kind": claim.kind,
        "paper": nan if claim.paper is None else claim.paper,
        "ours": ours,
        "n": len(values),
        "ci_low": ci_low,
        "ci_high": ci_high,
        "scale": scale_of(rows),
        "verdict": verdict,
        "low": claim.low,
        "high": claim.high,
        "unit": claim.unit,
        "mean": "geometric" if claim.geometric else "arithmetic",
    }


def _matches(claim: Claim, model: str) -> bool:
    return any(fnmatch(model, pattern) for pattern in claim.models)
