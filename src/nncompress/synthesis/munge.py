"""MUNGE: cases near the real ones, by exchanging attributes with the nearest neighbour."""

from __future__ import annotations

import numpy as np

from nncompress.data.cases import Cases, joined
from nncompress.data.order import generator


def munge(cases: Cases, count: int, swap_probability: float, local_variance: float, seed: int) -> Cases:
    """`count` synthetic cases: copies of `cases`, each disturbed by itself, one after the other, the last one cut short
    (Bucilă, Caruana & Niculescu-Mizil 2006, algorithm MUNGE(T, k, p, s)).

    Args:
        cases: T, with continuous attributes scaled to [0, 1]; at least two.
        count: k |T|, for any k.
        swap_probability: p, of an attribute to be exchanged, in [0, 1].
        local_variance: s; the larger, the nearer an exchanged value is to the neighbour's.

    Raises: ValueError for values out of range.
    """
    if len(cases) < 2:
        raise ValueError(f"{len(cases)} cases: MUNGE needs a neighbour for each")
    if not 0 <= swap_probability <= 1:
        raise ValueError(f"swap_probability = {swap_probability} must be from 0 to 1")
    if local_variance <= 0:
        raise ValueError(f"local_variance = {local_variance} must be above 0")
    copies = []
    for copy in range(-(-count // len(cases))):
        draw = generator("synthetic cases", seed, copy)
        swap_continuous, swap_nominal = (draw.random(table.shape) < swap_probability for table in (cases.continuous, cases.nominal))
        noise = draw.standard_normal((2, *cases.continuous.shape), np.float32)
        copies.append(disturb(cases, swap_continuous, swap_nominal, noise, local_variance))
    return joined([cases.take(slice(0)), *copies]).take(slice(count))


def disturb(cases: Cases, swap_continuous: np.ndarray, swap_nominal: np.ndarray, noise: np.ndarray, local_variance: float) -> Cases:
    """One pass over T', a copy of `cases`: each case e in turn exchanges attributes with e', its nearest other case in T' as T' is then.

    The squared distance is that of the continuous attributes plus the number of nominal attributes that differ. Of a continuous attribute e
    gets N(e'_a, sd) and e' gets N(e_a, sd) with sd = |e_a - e'_a| / s, all of the values before; of a nominal one they swap values. So a
    case may change several times in a pass.

    Args:
        swap_continuous, swap_nominal: which attributes each case exchanges in its turn, bool (N, C) and (N, M).
        noise: standard normal, (2, N, C): what e and what e' gets, in units of sd.
    """
    # Attributes by cases, so that the distances of one case are sums of whole rows.
    continuous, nominal = cases.continuous.T.copy(), cases.nominal.T.copy()
    difference, distance = np.empty_like(continuous), np.empty(len(cases), continuous.dtype)
    for e in range(len(cases)):
        np.subtract(continuous, continuous[:, e, None], out=difference)
        np.multiply(difference, difference, out=difference)
        np.add.reduce(difference, axis=0, out=distance)
        if len(nominal):
            distance += np.add.reduce(nominal != nominal[:, e, None], axis=0, dtype=np.uint8)
        distance[e] = np.inf
        other = distance.argmin()
        mine, theirs = continuous[:, e].copy(), continuous[:, other].copy()
        deviation = np.abs(mine - theirs) / local_variance
        continuous[:, e] = np.where(swap_continuous[e], theirs + deviation * noise[0, e], mine)
        continuous[:, other] = np.where(swap_continuous[e], mine + deviation * noise[1, e], theirs)
        if len(nominal):
            mine, theirs = nominal[:, e].copy(), nominal[:, other].copy()
            nominal[:, e] = np.where(swap_nominal[e], theirs, mine)
            nominal[:, other] = np.where(swap_nominal[e], mine, theirs)
    return Cases(np.ascontiguousarray(continuous.T), np.ascontiguousarray(nominal.T))
