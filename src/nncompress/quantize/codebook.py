"""Weight sharing (Han, Mao & Dally 2016, sec. 3): k-means over one layer's weights, and the gradient of the shared weights."""

from __future__ import annotations

import numpy as np

from nncompress.errors import UserError

INITIAL = ("linear", "density", "random")
ROUNDS = 100_000
"""Lloyd's rounds at most; a million weights in 255 clusters need about 4,000, a fifth of a second, until none moves."""


def k_means(weights: np.ndarray, clusters: int, initial: str = "linear", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A codebook that makes the within-cluster sum of squares small (eq. 2), by Lloyd's rounds until no weight changes its cluster.

    A cluster is an interval of the sorted weights, so a round moves only the borders and takes the means from prefix sums: O(K log N).
    A weight half-way between two centroids has the lower one. A cluster without weights keeps its centroid, which may win weights later; if it
    is empty at the end it leaves the codebook, so there are never more entries than distinct weights.

    Args:
        weights: (N,) the weights that share, without the pruned ones.
        clusters: K, from 1 to 2^16.
        initial: 'linear', 'density' or 'random', see `initial_centroids`.
        seed: of the random initialisation.

    Returns: centroids, ascending float32 (<= K,), and codes uint16 (N,): the index of each weight's centroid.
    Raises: UserError if K > N, a weight is not finite or the initialisation is unknown.
    """
    if not np.isfinite(weights).all():
        raise UserError("the weights are not finite: a net that diverged cannot share weights; train it with a lower learning rate")
    if clusters > weights.size:
        raise UserError(f"{clusters} codebook entries for {weights.size} weights: take fewer bits, or leave the layer unshared")
    ordered = np.sort(weights).astype(np.float64)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    distinct = ordered[np.diff(ordered, prepend=-np.inf) > 0]
    if distinct.size <= clusters:
        return distinct.astype(np.float32), np.searchsorted(distinct, weights).astype(np.uint16)
    centroids = initial_centroids(weights, clusters, initial, seed)
    previous: np.ndarray | None = None
    for _ in range(ROUNDS):
        midpoints = (centroids[:-1] + centroids[1:]) / 2
        borders = np.concatenate([[0], np.searchsorted(ordered, midpoints, side="right"), [ordered.size]])
        if previous is not None and np.array_equal(borders, previous):
            break
        sizes = np.diff(borders)
        centroids = np.where(sizes > 0, np.diff(sums[borders]) / np.maximum(sizes, 1), centroids)
        previous = borders
    used = sizes > 0
    means = np.add.reduceat(ordered, borders[:-1][used]) / sizes[used]  # again, without the rounding errors of long prefix sums
    codes = (np.cumsum(used) - 1)[np.searchsorted(midpoints, weights)]
    return means.astype(np.float32), codes.astype(np.uint16)


def initial_centroids(weights: np.ndarray, clusters: int, initial: str, seed: int = 0) -> np.ndarray:
    """Where the centroids start (sec. 3.2), ascending float64 (K,).

    linear: evenly spaced over [min, max] of the weights. density: evenly spaced on the axis of their cumulative distribution, at the shares
    (i + 1/2) / K, where it passes them. random (Forgy): K of the weights, drawn without replacement.
    """
    if initial == "linear":
        return np.linspace(weights.min(), weights.max(), clusters, dtype=np.float64)
    if initial == "density":
        return np.quantile(weights, (np.arange(clusters) + 0.5) / clusters, method="inverted_cdf").astype(np.float64)
    if initial == "random":
        return np.sort(np.random.default_rng(seed).choice(weights, clusters, replace=False)).astype(np.float64)
    raise UserError(f"initial = {initial!r} is no initialisation of centroids; there are {', '.join(INITIAL)}")


def shared_gradient(gradient: np.ndarray, codes: np.ndarray, entries: int) -> np.ndarray:
    """The gradient of each shared weight: the sum of the gradients of the weights that share it (eq. 3).

    Args:
        gradient: (N,) of the loss with respect to every weight that shares, in the order of `codes`.
        codes: (N,) index of each weight's codebook entry.
        entries: K, the entries of the codebook.

    Returns: (K,) float64; 0 for an entry that no weight uses.
    """
    return np.bincount(codes, gradient, entries)
