"""Units that pruning has cut off (Han, Pool, Tran & Dally 2015, sec. 3.5)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from nncompress.types import MaskArrays


def without_dead_units(masks: MaskArrays) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Remove the connections of hidden units that have no input or no output left, until there are none.

    Args:
        masks: True = kept, of every layer from input to output: (out, in, ...), where `in` counts the units of the layer before, or for the
            first fully connected layer after convolutions their places, channel by channel.

    Returns: the masks without these connections, and for each layer but the last how many of its units are dead.
    """
    masks = {name: mask.copy() for name, mask in masks.items()}
    names = list(masks)
    dead = dict.fromkeys(names[:-1], 0)
    while True:
        before = sum(int(mask.sum()) for mask in masks.values())
        for name, following in pairwise(names):
            mask, after = masks[name], masks[following]
            units = len(mask)
            outgoing = after.reshape(len(after), units, -1)  # (out, unit, its places)
            alive = mask.reshape(units, -1).any(1) & outgoing.any((0, 2))
            dead[name] = int(units - alive.sum())
            mask[~alive] = False
            outgoing[:, ~alive] = False
            masks[following] = outgoing.reshape(after.shape)
        if sum(int(mask.sum()) for mask in masks.values()) == before:
            return masks, dead
