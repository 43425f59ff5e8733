"""Magnitude pruning."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nncompress.types import MaskArrays, Weights


def keep_largest(weights: Weights, previous: MaskArrays, fraction: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Remove from each named layer the `fraction` of its surviving weights that is smallest in magnitude (Frankle & Carbin 2019, sec. 2).

    Layer by layer, round(fraction * survivors) weights go; ties are broken by position, so that the count is exact.

    Args:
        weights: trained weights by parameter name.
        previous: the masks they were trained under, True = kept; a layer that is not named was dense.
        fraction: parameter name -> share of survivors to remove, in [0, 1).

    Returns: masks of the layers named in `previous` or `fraction`.
    Raises: ValueError for a layer that the model does not have or a fraction outside [0, 1).
    """
    for name, share in fraction.items():
        if name not in weights:
            raise ValueError(f"prune_fraction names the layer {name!r}, which the model does not have; it has {', '.join(weights)}")
        if not 0 <= share < 1:
            raise ValueError(f"prune_fraction.{name} = {share} is outside [0, 1)")
    masks = {name: mask.copy() for name, mask in previous.items()}
    for name, share in fraction.items():
        mask = masks.get(name, np.ones(weights[name].shape, bool)).ravel()
        survivors = np.flatnonzero(mask)
        smallest_first = np.argsort(np.abs(weights[name].ravel()[survivors]), kind="stable")
        mask[survivors[smallest_first[: round(share * survivors.size)]]] = False
        masks[name] = mask.reshape(weights[name].shape)
    return masks
