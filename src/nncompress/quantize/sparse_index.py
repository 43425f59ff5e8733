"""Where the surviving weights of a pruned layer are: gaps of few bits instead of positions (Han, Mao & Dally 2016, sec. 2 and Figure 2).

The layer is scanned row by row, as its array lies in memory: for fully connected layers (out, in), all inputs of one unit after another. A
field of b bits holds a gap less one, so a gap can be 1 to 2^b. After a longer run of zeros a filler is stored: a weight of value zero that is
2^b places on.
"""

from __future__ import annotations

import numpy as np


def to_gaps(positions: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The entries that a layer is stored as: one for each surviving weight, and the fillers before it.

    Args:
        positions: (N,) of the surviving weights in the flat layer, strictly ascending.
        bits: b, width of a gap's field, 1 to 16.

    Returns: fields uint16 (E,), each entry's gap from the one before less one, E >= N; and (N,) which entries are the weights: all others are
    fillers. The first gap counts from the place before the layer.
    """
    span = 1 << bits
    fillers, rest = np.divmod(np.diff(positions, prepend=-1) - 1, span)
    weights = np.cumsum(fillers + 1) - 1
    fields = np.full(weights[-1] + 1 if weights.size else 0, span - 1, np.uint16)
    fields[weights] = rest
    return fields, weights


def to_positions(fields: np.ndarray, size: int) -> np.ndarray:
    """The places of all entries, fillers too, in a flat layer of `size` weights: int32 or, where needed, int64 (E,), strictly ascending.

    Raises: ValueError if they run beyond the layer.
    """
    end = int(fields.sum(dtype=np.int64)) + fields.size
    if end > size:
        raise ValueError(f"the gaps lead to place {end} of {size}")
    places = np.add(fields, 1, dtype=np.int32 if size < 2**31 else np.int64)
    np.cumsum(places, out=places)
    places -= 1
    return places
