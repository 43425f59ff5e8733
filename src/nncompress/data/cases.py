"""Cases of tables: continuous and nominal attributes, and how they are coded as the inputs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Cases:
    """Rows of a table. `continuous`: float32 (N, C), the attributes scaled to about [0, 1]. `nominal`: uint8 (N, M), each
    attribute's values from 0 on."""

    continuous: np.ndarray
    nominal: np.ndarray

    def __len__(self) -> int:
        return len(self.continuous)

    def take(self, places: slice | np.ndarray) -> Cases:
        """The cases at these places."""
        return Cases(self.continuous[places], self.nominal[places])


def joined(parts: Sequence[Cases]) -> Cases:
    """The cases of all parts, one after the other."""
    return Cases(np.concatenate([part.continuous for part in parts]), np.concatenate([part.nominal for part in parts]))


def one_hot(cases: Cases, values: Sequence[int]) -> np.ndarray:
    """Continuous attributes as they are, then for each nominal attribute one input for each of its values, 1 where it has that value.

    Args:
        values: of each nominal attribute, how many it has.

    Returns: float32 (N, C + sum of values).
    """
    begins = cases.continuous.shape[1] + np.cumsum([0, *values])
    coded = np.zeros((len(cases), begins[-1]), np.float32)
    coded[:, : cases.continuous.shape[1]] = cases.continuous
    rows = np.arange(len(cases))
    for attribute, begin in enumerate(begins[:-1]):
        coded[rows, begin + cases.nominal[:, attribute]] = 1
    return coded


@dataclass(frozen=True, eq=False)
class Scaler:
    """Maps inputs (N, F) to (inputs - `shift`) / `width`, each (F,)."""

    shift: np.ndarray
    width: np.ndarray

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = (inputs - self.shift) / self.width
        return scaled


def to_unit(inputs: np.ndarray) -> Scaler:
    """The scaler that maps the range of each of these inputs (N, F) to [0, 1]; one that is constant goes to 0."""
    low, high = inputs.min(0), inputs.max(0)
    return Scaler(low, np.where(high > low, high - low, 1))


def to_standard(inputs: np.ndarray) -> Scaler:
    """The scaler that gives each of these inputs (N, F) mean 0 and standard deviation 1; one that is constant goes to 0."""
    deviation = inputs.std(0, dtype=np.float64)
    return Scaler(inputs.mean(0, dtype=np.float64).astype(np.float32), np.where(deviation > 0, deviation, 1).astype(np.float32))
