"""Choosing which weights stay: pure functions from weights to masks, on numpy arrays."""

from nncompress.prune.magnitude import keep_largest
from nncompress.prune.mask import density, layer_densities, overlap, overlap_by_chance, shuffle_masks
from nncompress.prune.schedule import one_shot_fraction, surviving_share

__all__ = [
    "density",
    "keep_largest",
    "layer_densities",
    "one_shot_fraction",
    "overlap",
    "overlap_by_chance",
    "shuffle_masks",
    "surviving_share",
]
