"""Weights as 8-bit integers times one scale, as PyTorch's own quantisation stores them."""

from __future__ import annotations

import numpy as np

SMALLEST, LARGEST = -128, 127
EPSILON = np.finfo(np.float32).eps
"""The least scale, for weights that are all zero."""


def to_integers(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each weight at the nearest integer times the tensor's scale, max |w| / 127.5, of halves the even one; 128 is cut to 127.

    Returns: the weights so rounded, float32, and integer + 128 as uint16, both in the shape of `weights`.
    Raises: ValueError for weights that are not finite.
    """
    if not np.isfinite(weights).all():
        raise ValueError("the weights are not finite")
    scale = max(np.abs(weights).max(initial=0).astype(np.float32) / np.float32((LARGEST - SMALLEST) / 2), EPSILON)
    integers = np.rint(weights * (np.float32(1) / scale)).clip(SMALLEST, LARGEST)
    return (integers * scale).astype(np.float32), (integers - SMALLEST).astype(np.uint16)
