"""Choosing which weights stay: pure functions from weights to masks, on numpy arrays."""

from nncompress.prune.account import Account, Layer, account
from nncompress.prune.magnitude import keep_largest
from nncompress.prune.mask import density, layer_densities, overlap, overlap_by_chance, shuffle_masks, whole_masks
from nncompress.prune.neurons import importance_by_weights, keep_units, outgoing_norms, without_units
from nncompress.prune.schedule import one_shot_fraction, surviving_share
from nncompress.prune.threshold import adjusted_dropout, gaussian_share, keep_above, quality_keeping, thresholds
from nncompress.prune.units import without_dead_units

__all__ = [
    "Account",
    "Layer",
    "account",
    "adjusted_dropout",
    "density",
    "gaussian_share",
    "importance_by_weights",
    "keep_above",
    "keep_largest",
    "keep_units",
    "layer_densities",
    "one_shot_fraction",
    "outgoing_norms",
    "overlap",
    "overlap_by_chance",
    "quality_keeping",
    "shuffle_masks",
    "surviving_share",
    "thresholds",
    "whole_masks",
    "without_dead_units",
    "without_units",
]
