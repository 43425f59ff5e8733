"""Ratios of means over seeds, seed by seed. Imports neither pandas nor torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import Series


def linearized_ratio(numerator: Series, denominator: Series) -> Series:
    """For each seed r + (a - r b) / mean(b), where r = mean(a) / mean(b): their mean is the ratio of the means, and their standard error, in
    the first order, that ratio's (the delta method). A seed's own ratio may have nothing to divide by. Both (seeds,), on one index."""
    ratio = numerator.mean() / denominator.mean()
    return ratio + (numerator - ratio * denominator) / denominator.mean()
