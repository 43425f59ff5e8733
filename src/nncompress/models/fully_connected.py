"""Fully connected nets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from nncompress.errors import UserError
from nncompress.models.layers import Dropout, Linear
from nncompress.types import Model


def mlp(model: Model) -> nn.Sequential:
    """ReLU net with `model.widths` units from input to output, such as 784-1200-1200-10. Layers fc1, fc2, ..."""
    widths, shape = model.widths, list(model.input_shape)
    if len(widths) < 2:
        raise UserError(f"model.widths = {list(widths)}: an mlp needs the units of every layer, input and output too, such as [784,300,100,10]")
    if shape and math.prod(shape) != widths[0]:
        raise UserError(f"model.input_shape = {shape} has {math.prod(shape)} features, but model.widths begins with {widths[0]}")
    if model.classes not in (None, widths[-1]):
        raise UserError(f"model.classes = {model.classes}, but model.widths ends with {widths[-1]}")
    net = nn.Sequential()
    net.add_module("flatten", nn.Flatten())
    if model.input_dropout:
        net.add_module("input_dropout", Dropout(model.input_dropout, widths[0]))
    add_fully_connected(net, widths, model.hidden_dropout)
    return net


def lenet_300_100(model: Model) -> nn.Sequential:
    """784-300-100-10, the LeNet-300-100 of LeCun et al. 1998 with ReLU (Frankle & Carbin 2019, Fig. 2): 266,610 parameters."""
    widths = (math.prod(model.input_shape or (1, 28, 28)), 300, 100, model.classes or 10)
    return mlp(Model("mlp", widths, input_dropout=model.input_dropout, hidden_dropout=model.hidden_dropout))


def add_fully_connected(net: nn.Sequential, widths: Sequence[int], hidden_dropout: float, first: int = 1) -> None:
    """Append the layers fc1, fc2, ... with `widths` units, ReLU and dropout between them. `first`: the number of the first."""
    for i, (before, after) in enumerate(pairwise(widths), start=first):
        net.add_module(f"fc{i}", Linear(before, after))
        if i < first + len(widths) - 2:
            net.add_module(f"fc{i}_relu", nn.ReLU())
            if hidden_dropout:
                net.add_module(f"fc{i}_dropout", Dropout(hidden_dropout, after))
