"""Pruning by threshold (Han, Pool, Tran & Dally 2015, sec. 3)."""

from __future__ import annotations

from collections.abc import Mapping
from math import erfc, sqrt

import numpy as np

from nncompress.types import MaskArrays, Weights


def thresholds(weights: Weights, quality: Mapping[str, float]) -> dict[str, float]:
    """A layer's threshold: its quality parameter times the standard deviation of its weights (sec. 3.5, `weights` of the dense net).

    Raises: ValueError for a layer that the model does not have, or a quality below zero.
    """
    for name, value in quality.items():
        if name not in weights:
            raise ValueError(f"quality names the layer {name!r}, which the model does not have; it has {', '.join(weights)}")
        if not value >= 0:
            raise ValueError(f"quality.{name} = {value} is below zero")
    return {name: value * float(weights[name].std(dtype=np.float64)) for name, value in quality.items()}


def quality_keeping(weights: np.ndarray, share: float) -> float:
    """The quality parameter whose threshold keeps round(share * weights) weights of a dense layer, in the middle of those that do.

    Raises: ValueError for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share = {share} is outside (0, 1]")
    largest_first = np.append(np.sort(np.abs(weights.astype(np.float64)), axis=None)[::-1], 0.0)
    kept = max(1, round(share * weights.size))
    return float((largest_first[kept - 1] + largest_first[kept]) / 2 / weights.std(dtype=np.float64))


def keep_above(weights: Weights, previous: MaskArrays, threshold: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Keep of each named layer the surviving weights that are at least as large in magnitude as its threshold.

    Returns: masks of the layers named in `previous` or `threshold`.
    """
    masks = {name: mask.copy() for name, mask in previous.items()}
    for name, least in threshold.items():
        masks[name] = masks.get(name, np.ones(weights[name].shape, bool)) & (np.abs(weights[name]) >= least)
    return masks


def gaussian_share(quality: float) -> float:
    """Share of normally distributed weights that lie at least `quality` standard deviations from zero: what a threshold is expected to keep."""
    return erfc(quality / sqrt(2))


def adjusted_dropout(rate: float, kept: float) -> float:
    """Dropout of a layer when a share `kept` of its incoming connections is left: D_r = D_o sqrt(C_ir / C_io) (eq. 2)."""
    return rate * sqrt(kept)
