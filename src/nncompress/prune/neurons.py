"""Removing whole units, which leaves a smaller dense net (Hu et al. 2016, Network Trimming; Wen et al. 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from nncompress.types import Weights


def importance_by_weights(weights: Weights) -> dict[str, np.ndarray]:
    """Of each hidden unit the L2 norm of its incoming weights times that of its outgoing ones, which no rescaling of a ReLU unit changes.

    Args:
        weights: of every layer from input to output, `<layer>.weight` (out, in, ...), with biases or without, which do not count.

    Returns: layer -> (units,), without the output layer.
    """
    outgoing = outgoing_norms(weights)
    incoming = {layer: weights[f"{layer}.weight"].reshape(len(norms), -1) for layer, norms in outgoing.items()}
    return {layer: np.linalg.norm(incoming[layer], axis=1) * norms for layer, norms in outgoing.items()}


def outgoing_norms(weights: Weights) -> dict[str, np.ndarray]:
    """Of each hidden unit the L2 norm of the weights that read it.

    Args:
        weights: of every layer from input to output, `<layer>.weight` (out, in, ...), with biases or without, which do not count.

    Returns: layer -> (units,), without the output layer.
    """
    pairs = pairwise(_layers(weights))
    return {layer: np.sqrt(np.square(_outgoing(weights, layer, following)).sum((0, 2))) for layer, following in pairs}


def keep_units(importance: Mapping[str, np.ndarray], share: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The most important units of each layer: max(1, round(share * units)) of them, ties broken by position.

    Args:
        importance: layer -> (units,).
        share: layer -> share of its units to keep, in (0, 1]; layers that are not named stay whole.

    Returns: layer -> (units,) bool, True = kept.
    Raises: ValueError for a layer that `importance` lacks, or a share outside (0, 1].
    """
    for layer, value in share.items():
        if layer not in importance:
            raise ValueError(f"keep.{layer}: there is no such hidden layer; there is {', '.join(importance)}")
        if not 0 < value <= 1:
            raise ValueError(f"keep.{layer} = {value} is outside (0, 1]")
    kept = {}
    for layer, values in importance.items():
        count = max(1, round(share.get(layer, 1.0) * len(values)))
        kept[layer] = np.zeros(len(values), bool)
        kept[layer][np.argsort(-values, kind="stable")[:count]] = True
    return kept


def without_units(weights: Weights, kept: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of the smaller net: it answers what the whole net answers when the outputs of the removed units are set to zero.

    Args:
        weights: of every layer from input to output, `<layer>.weight` (out, in, ...) and perhaps `<layer>.bias` (out,). After convolutions
            the inputs of a fully connected layer are the units' places, channel by channel.
        kept: hidden layer -> (units,) bool; layers that are not named stay whole.

    Raises: ValueError if `kept` names no hidden layer of the net, has another number of units, or keeps none of a layer.
    """
    layers = _layers(weights)
    for layer, units in kept.items():
        if layer not in layers[:-1]:
            raise ValueError(f"{layer!r} is no hidden layer; there is {', '.join(layers[:-1])}")
        if len(units) != len(weights[f"{layer}.weight"]):
            raise ValueError(f"{layer} has {len(weights[f'{layer}.weight'])} units, not {len(units)}")
        if not units.any():
            raise ValueError(f"{layer} would lose all of its units")
    smaller = {name: np.array(array) for name, array in weights.items()}
    for layer, following in pairwise(layers):
        if layer not in kept:
            continue
        outgoing = _outgoing(smaller, layer, following)[:, kept[layer]]
        shape = smaller[f"{following}.weight"].shape
        smaller[f"{following}.weight"] = outgoing.reshape(shape[0], -1, *shape[2:])
        for name in (f"{layer}.weight", f"{layer}.bias"):
            if name in smaller:
                smaller[name] = smaller[name][kept[layer]]
    return smaller


def _layers(weights: Weights) -> list[str]:
    return [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]


def _outgoing(weights: Weights, layer: str, following: str) -> np.ndarray:
    """The weights that read a layer's units: (out, unit, places of the unit)."""
    after, units = weights[f"{following}.weight"], len(weights[f"{layer}.weight"])
    return after.reshape(len(after), units, -1)
