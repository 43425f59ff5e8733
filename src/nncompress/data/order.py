"""Random numbers and permutations named by integers: the same on every machine and with every version of numpy and torch."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

_STREAMS = {
    "canonical order": 0,
    "validation split": 1,
    "batch order": 2,
    "augmentation": 3,
    "dropout": 4,
    "special examples": 5,
    "other examples": 6,
    "clusters": 7,
    "test split": 8,
    "synthetic cases": 9,
    "mixture": 10,
    "random units": 11,
}
Stream = Literal[
    "canonical order",
    "validation split",
    "batch order",
    "augmentation",
    "dropout",
    "special examples",
    "other examples",
    "clusters",
    "test split",
    "synthetic cases",
    "mixture",
    "random units",
]


def raw_bits(stream: Stream, first: int, second: int, count: int) -> np.ndarray:
    """`count` uniform uint64 of the Philox stream named by (stream, first, second): raw, since numpy may change its distributions."""
    return _philox(stream, first, second).random_raw(count)


def generator(stream: Stream, first: int, second: int = 0) -> np.random.Generator:
    """numpy's distributions over the same stream, for results that are stored rather than drawn again."""
    return np.random.Generator(_philox(stream, first, second))


def _philox(stream: Stream, first: int, second: int) -> np.random.Philox:
    key, counter = np.array([first, second], np.uint64), np.array([0, 0, 0, _STREAMS[stream]], np.uint64)
    return np.random.Philox(key=key, counter=counter)


@lru_cache(maxsize=32)
def permutation(stream: Stream, first: int, second: int, count: int) -> np.ndarray:
    """A uniform permutation of range(count), int64, read-only, kept for the next call: a training asks for the same epoch many times."""
    order = np.argsort(raw_bits(stream, first, second, count), kind="stable")
    order.flags.writeable = False
    return order
