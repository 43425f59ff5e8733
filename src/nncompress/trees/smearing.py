"""Smearing: manufactured cases that look like the training cases (Breiman & Shang 1996)."""

from __future__ import annotations

import numpy as np


def smear(inside: np.ndarray, count: int, p_alt: float, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    """Manufactured cases that come to a node of a tree, by the training cases that their coordinates are taken from.

    A case is smeared from a training case a, drawn at random: independently for each coordinate j, with probability `p_alt` the value of a
    is replaced by that of a training case b, drawn anew for each coordinate (by chance b is a again). p_alt = 0 gives training cases, p_alt = 1
    coordinates that are independent of each other; at every p_alt each coordinate has the distribution that it has in the training cases.

    The cases of a node are those that its conditions let through, and these are on one coordinate each. So they need not be made by trial:
    given a, its coordinates pass independently, coordinate j with probability q_j(a) = (1 - p_alt) [a_j passes] + p_alt f_j, f_j being the
    share of training cases whose value passes. Hence a is drawn in proportion to the product of q_j(a), then each coordinate given that it
    passes. The distribution is that of cases that are smeared and sent down until enough of them arrive.

    Args:
        inside: bool (N, C), whether the value that a training case has at a coordinate meets the node's conditions on that coordinate.
        count: cases to make.
        p_alt: in [0, 1].

    Returns: int64 (count, C), places of training cases; and the probability that a smeared case comes to the node.
    Raises: ValueError if p_alt is outside [0, 1], or if no case can come to the node.
    """
    if not 0 <= p_alt <= 1:
        raise ValueError(f"p_alt = {p_alt} must be in [0, 1]")
    cases, coordinates = inside.shape
    share = inside.mean(0)
    bound = np.flatnonzero(share < 1)  # any value passes at the other coordinates: q_j = 1
    stays = (1 - p_alt) * inside[:, bound]
    passes = stays + p_alt * share[bound]  # q_j(a), (N, bound)
    weight = passes.prod(1)
    if not weight.any():
        raise ValueError("no smeared case can come to a node whose conditions no training case meets")
    base = np.searchsorted(np.cumsum(weight) / weight.sum(), generator.random(count), side="right").clip(max=cases - 1)
    donors = generator.integers(cases, size=(count, coordinates))
    kept = np.full((count, coordinates), 1 - p_alt)  # P(the value of a stays | it passes)
    kept[:, bound] = np.divide(stays, passes, out=np.zeros_like(passes), where=passes > 0)[base]
    for j in bound:
        givers = np.flatnonzero(inside[:, j])
        donors[:, j] = givers[generator.integers(len(givers), size=count)]
    return np.where(generator.random((count, coordinates)) < kept, base[:, None], donors), float(weight.mean())
