"""Specialists for classes that a generalist confuses (Hinton, Vinyals & Dean 2015, sec. 5): pure functions on numpy arrays.

p^g is the distribution of the generalist over the C classes. A specialist m has special classes S^m and one more unit, the last, for all other
classes together: its dustbin.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nncompress.data.order import permutation, raw_bits
from nncompress.distill.ensemble import probabilities

CLOSED = -1e9
"""Bias of an output that a specialist does not have: its probability, and so its gradient, is exactly zero."""


def covariance(predicted: np.ndarray) -> np.ndarray:
    """Covariance over examples of predicted probabilities (N, C): large where two classes are often predicted together. Returns: (C, C)."""
    return np.asarray(np.cov(predicted.astype(np.float64), rowvar=False, bias=True))


def online_k_means(points: np.ndarray, clusters: int, seed: int, passes: int) -> np.ndarray:
    """Centroids by the on-line version of K-means: each point in turn draws the nearest centroid towards itself by 1 / n of the way, with n the
    count of points that this centroid has come from so far, so that it is their mean.

    The first centroids are points, each drawn with a probability in proportion to its squared distance from those before; the order of the
    points is drawn anew for each pass. All is a pure function of the points and the seed.

    Args:
        points: (P, D).
        clusters: at most P.

    Returns: (clusters, D).
    """
    uniform = (raw_bits("clusters", seed, 0, clusters) >> np.uint64(11)) / 2.0**53  # in [0, 1)
    centroids = points[[int(uniform[0] * len(points))]].astype(np.float64)
    for u in uniform[1:]:
        reached = np.cumsum(_squared_distances(points, centroids).min(1) + 1e-300)
        centroids = np.concatenate([centroids, points[[np.searchsorted(reached, u * reached[-1])]]])
    counts = np.ones(clusters)
    for pass_ in range(passes):
        for place in permutation("clusters", seed, 1 + pass_, len(points)):
            nearest = int(_squared_distances(points[[place]], centroids).argmin())
            counts[nearest] += 1
            centroids[nearest] += (points[place] - centroids[nearest]) / counts[nearest]
    return centroids


def special_classes(predicted: np.ndarray, specialists: int, size: int, seed: int, passes: int) -> np.ndarray:
    """The classes of each specialist: on-line K-means clusters the columns of the covariance of the generalist's predictions, and a specialist
    gets the classes with the largest entries of its cluster's centroid, those that covary most with the cluster.

    So every specialist has `size` classes, as in the paper; a class may be special to several of them, or to none.

    Args:
        predicted: probabilities by the generalist, (N, C). No labels are needed.

    Returns: (specialists, C) bool.
    """
    centroids = online_k_means(covariance(predicted), specialists, seed, passes)
    members = np.zeros(centroids.shape, bool)
    np.put_along_axis(members, (-centroids).argsort(axis=1, kind="stable")[:, :size], True, axis=1)
    return members


def _squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of each of `first` (A, D) to each of `second` (B, D), (A, B)."""
    return np.asarray(np.square(first[:, None] - second[None]).sum(-1))


def specialist_weights(weights: Mapping[str, np.ndarray], output: str, special: np.ndarray) -> dict[str, np.ndarray]:
    """The weights that a specialist starts from: those of the generalist, and a dustbin.

    The dustbin starts as the mean of the units that it stands for, plus the logarithm of their number: what it should be where they are all
    equal. The units themselves are closed: whatever the input, they have no probability, and no gradient opens them.

    Args:
        weights: of the generalist; the layer `output` has C rows.
        special: (C,) bool.

    Returns: the same, the layer `output` with C + 1 rows.
    """
    weight, bias = weights[f"{output}.weight"], weights[f"{output}.bias"]
    rows = np.concatenate([np.where(special[:, None], weight, 0), weight[~special].mean(0, keepdims=True)])
    biases = np.concatenate([np.where(special, bias, CLOSED), bias[~special].mean(keepdims=True) + np.log((~special).sum())])
    return {**weights, f"{output}.weight": rows.astype(np.float32), f"{output}.bias": biases.astype(np.float32)}


def oversampling(special: np.ndarray, labels: np.ndarray) -> float:
    """The proportion by which half a batch of special examples oversamples them: how many others there are to one special example.

    Args:
        special: (C,) bool.
        labels: of the training examples, (N,).
    """
    share = float(special[labels].mean())
    return (1 - share) / share


def corrected(logits: np.ndarray, special: np.ndarray, proportion: float) -> np.ndarray:
    """A specialist's logits (N, units) after the correction for its biased training set: the logarithm of the proportion by which the special
    classes were oversampled is added to the dustbin, and to every other unit that is not special (by Bayes' rule, exactly)."""
    others = np.ones(logits.shape[1], bool)
    others[: len(special)] = ~special
    return np.asarray(logits + np.where(others, np.log(proportion), 0.0))


def active_specialists(generalist: np.ndarray, members: np.ndarray, top: int) -> np.ndarray:
    """Which specialists are asked about each example: those that have one of the generalist's `top` most probable classes.

    Args:
        generalist: p^g, (N, C).
        members: S^m, (M, C) bool.

    Returns: A_k, (N, M) bool.
    """
    likely = generalist.argsort(axis=1, kind="stable")[:, ::-1][:, :top]
    return np.asarray(members[:, likely].any(-1).T)


def combine(
    generalist: np.ndarray, specialists: np.ndarray, members: np.ndarray, active: np.ndarray, tolerance: float = 1e-6, most: int = 10_000
) -> np.ndarray:
    """The distribution q of each example that minimises KL(p^g, q) + the sum over its active specialists of KL(p^m, q) (eq. 5), where the
    dustbin of p^m is compared with the sum of q over the classes outside S^m.

    Where the gradient with respect to the logits of q is zero, q is the mean of the distributions, every dustbin shared out among the classes
    outside as q has them. The paper descends that gradient; here this mean is taken again and again, from q = p^g on, until no probability
    moves by more than `tolerance`, or `most` times. The sum is convex in q and no step raises it, so both end at its one minimum, this way in
    about a hundredth of the steps.

    Args:
        generalist: p^g, (N, C).
        specialists: p^m, (M, N, C + 1), zero for classes outside S^m, the dustbin last.
        members: S^m, (M, C) bool; all of them for a specialist that has no dustbin.
        active: (N, M) bool.

    Returns: q, (N, C).
    """
    asked = active[:, :, None] * specialists.transpose(1, 0, 2)  # (N, M, C + 1)
    shown, dustbins, outside = generalist + asked[:, :, :-1].sum(1), asked[:, :, -1], (~members).astype(np.float64)
    terms, q, moving = 1 + active.sum(1, keepdims=True), generalist.astype(np.float64), np.arange(len(generalist))
    for _ in range(most):
        old = q[moving]
        shares = dustbins[moving] / np.clip(old @ outside.T, 1e-300, None)  # (N, M)
        q[moving] = (shown[moving] + old * (shares @ outside)) / terms[moving]
        moving = moving[np.abs(q[moving] - old).max(1, initial=0) > tolerance]
        if not len(moving):
            break
    return q


def distribution(logits: np.ndarray, special: np.ndarray, train_labels: np.ndarray) -> np.ndarray:
    """p^m of a specialist, corrected for its biased training set.

    Args:
        logits: (N, C + 1) with a dustbin, (N, C) without.
        special: S^m, (C,) bool.
        train_labels: of all training examples, from which it saw half a batch of special ones.

    Returns: (N, C + 1), the dustbin last; it is empty where there is none.
    """
    found = probabilities(corrected(logits, special, oversampling(special, train_labels)))
    return np.pad(found, ((0, 0), (0, len(special) + 1 - found.shape[1])))


def coverage(together: np.ndarray, alone: np.ndarray, special: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The numbers of the paper's two tables, as the stage `Consultation` names them.

    Args:
        together, alone: distributions with and without specialists, (N, C).
        special: (M, C) bool.
        labels: (N,).
    """
    covering, anyones, found = special.sum(0)[labels], np.asarray(special.any(0)), dict[str, float]()
    for name, answers in (("", together), ("generalist_", alone)):
        found[f"{name}conditional_accuracy"] = accuracy_among(answers, labels, anyones)
        found[f"{name}set_accuracy"] = float(np.mean([accuracy_among(answers, labels, classes) for classes in special]))
        right = answers.argmax(1) == labels
        found |= {f"covered_{k}_{name}right": int(right[covering == k].sum()) for k in range(len(special) + 1)}
    found |= {f"covered_{k}_examples": int((covering == k).sum()) for k in range(len(special) + 1)}
    return {**found, "covered_classes": int(anyones.sum())}


def accuracy_among(answers: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> float:
    """Accuracy on the examples whose label is among `classes` (C,) bool, when one of these must be the answer; NaN where there are none."""
    mine = classes[labels]
    right = np.where(classes, answers, -1)[mine].argmax(1) == labels[mine]
    return float(right.mean()) if len(right) else float("nan")


def apart(answers: np.ndarray, labels: np.ndarray, special: np.ndarray) -> tuple[float, float]:
    """How often a specialist alone is right on special examples, and on others, for which the dustbin is right if it has one.

    Args:
        answers: p^m, (N, C + 1).
        labels: (N,).
        special: S^m, (C,) bool.
    """
    given, mine, dustbin = answers.argmax(1), special[labels], answers.shape[1] - 1
    right = given == np.where(mine | (answers[:, dustbin] == 0), labels, dustbin)
    return float(right[mine].mean()), float(right[~mine].mean())
