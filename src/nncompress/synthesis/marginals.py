"""RANDOM: every attribute is drawn by itself."""

from __future__ import annotations

import numpy as np

from nncompress.data.cases import Cases
from nncompress.data.order import generator


def random_cases(cases: Cases, count: int, seed: int) -> Cases:
    """`count` cases, each attribute of each drawn from the values that it has in `cases`, independently of the others: the marginals stay,
    what is between attributes is lost (Bucilă, Caruana & Niculescu-Mizil 2006, sec. 3.1)."""
    draw = generator("synthetic cases", seed)

    def drawn(table: np.ndarray) -> np.ndarray:
        places = draw.integers(0, len(table), (count, table.shape[1]))
        return np.take_along_axis(table, places, axis=0)

    return Cases(drawn(cases.continuous), drawn(cases.nominal))
