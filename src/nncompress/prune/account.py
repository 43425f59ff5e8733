"""What pruning saves, layer by layer: the columns of Han, Pool, Tran & Dally 2015, Tables 2 to 5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """`weights`: of the dense layer, biases not counted. `multiply_accumulates`: of its dense forward pass on one example. `units`: outputs,
    after pooling. `kept`: share of its weights that survives. `activation`: mean share of its outputs that is not zero."""

    name: str
    weights: int
    multiply_accumulates: int
    units: int
    kept: float
    activation: float


@dataclass(frozen=True)
class Account:
    """Of a whole net: share of weights kept, share of operations left if zero weights and zero inputs are skipped, share of outputs that is
    not zero; `layers`: share of operations left in each layer."""

    kept: float
    flops: float
    activation: float
    layers: dict[str, float]


def account(layers: Sequence[Layer]) -> Account:
    """The totals: weights by their number, operations by theirs, activation by units (metrics as rebuilt from the paper's tables).

    A layer's share of operations is its share of weights times the activation of the layer before; the input counts as full.
    """
    incoming = [1.0, *(layer.activation for layer in layers[:-1])]
    left = {layer.name: layer.kept * share for layer, share in zip(layers, incoming, strict=True)}

    def mean(values: Sequence[float], sizes: Sequence[int]) -> float:
        return sum(value * size for value, size in zip(values, sizes, strict=True)) / sum(sizes)

    return Account(
        kept=mean([layer.kept for layer in layers], [layer.weights for layer in layers]),
        flops=mean(list(left.values()), [layer.multiply_accumulates for layer in layers]),
        activation=mean([layer.activation for layer in layers], [layer.units for layer in layers]),
        layers=left,
    )
