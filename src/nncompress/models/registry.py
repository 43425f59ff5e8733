"""The models by name, their initial weights and what is known of them before training."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nncompress.errors import UserError, suggestion
from nncompress.models.convolutional import conv_2, conv_4, conv_6, lenet_5, lenet_5_relu
from nncompress.models.fully_connected import lenet_300_100, mlp
from nncompress.models.imagenet import alexnet, vgg_16
from nncompress.types import Model

MODELS: dict[str, Callable[[Model], nn.Sequential]] = {
    "mlp": mlp,
    "lenet_300_100": lenet_300_100,
    "lenet_5": lenet_5,
    "lenet_5_relu": lenet_5_relu,
    "conv_2": conv_2,
    "conv_4": conv_4,
    "conv_6": conv_6,
    "alexnet": alexnet,
    "vgg_16": vgg_16,
}

LAYERS = (nn.Linear, nn.Conv2d)
"""What has weights."""
_WITH_WIDTHS = ("mlp", "alexnet", "vgg_16")
_MNIST, _CIFAR, _IMAGENET = (1, 28, 28), (3, 32, 32), (3, 224, 224)
_PAPER_SHAPES = {
    **dict.fromkeys(("lenet_300_100", "lenet_5", "lenet_5_relu"), _MNIST),
    **dict.fromkeys(("conv_2", "conv_4", "conv_6"), _CIFAR),
    **dict.fromkeys(("alexnet", "vgg_16"), _IMAGENET),
}


def build(model: Model) -> nn.Module:
    """The net of `model`, all its parameters zero: give it `initial_weights`. Draws no random numbers.

    It takes a batch (B, C, H, W), already scaled, and returns logits (B, classes); fully connected nets also take (B, features). Fully
    connected layers are named fc1, fc2, ..., convolutions conv1, conv2, ...; those of AlexNet and VGG-16 as in the papers' tables.

    Raises: UserError for a name that is not in MODELS, or widths, shape or classes that the model cannot have.
    """
    net = _skeleton(model).to_empty(device="cpu")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    return net


def initial_weights(model: Model, seed: int) -> dict[str, np.ndarray]:
    """Gaussian Glorot weights, N(0, 2 / (fan_in + fan_out)), and zero biases (Glorot & Bengio 2010, eq. 16; Frankle & Carbin 2019, Fig. 2);
    or N(0, model.initial_std^2), where that is given.

    The fans of a convolution count its kernel. Each parameter has a stream of its own, named by (seed, parameter name): other layers, the
    version of torch and its random state change nothing.

    Returns: parameter name -> float32 array, in the order of the layers.
    """
    weights = {}
    for name, parameter in _skeleton(model).named_parameters():
        shape = tuple(parameter.shape)
        if len(shape) == 1:
            weights[name] = np.zeros(shape, np.float32)
            continue
        kernel = math.prod(shape[2:])
        std = model.initial_std or math.sqrt(2 / ((shape[0] + shape[1]) * kernel))
        stream = np.random.Generator(np.random.Philox(key=np.array([seed, _hash(name)], np.uint64)))
        weights[name] = (std * stream.standard_normal(shape)).astype(np.float32)
    return weights


def parameter_names(model: Model) -> list[str]:
    """Names of all parameters, first layer first: 'fc1.weight', 'fc1.bias', ..."""
    return [name for name, _ in _skeleton(model).named_parameters()]


def parameter_shapes(model: Model) -> dict[str, tuple[int, ...]]:
    """The shape of each parameter, first layer first."""
    return {name: tuple(parameter.shape) for name, parameter in _skeleton(model).named_parameters()}


def parameter_sizes(model: Model) -> dict[str, int]:
    """How many numbers each parameter holds."""
    return {name: parameter.numel() for name, parameter in _skeleton(model).named_parameters()}


def convolutional(model: Model) -> bool:
    """Whether the model has convolutions. On a CPU such nets train faster one by one than stacked, where convolutions become grouped ones."""
    return any(name.startswith("conv") for name in parameter_names(model))


def output_layer(net: nn.Module) -> str:
    """Name of the last fully connected layer, the one that gives the logits."""
    return [name for name, module in net.named_modules() if isinstance(module, nn.Linear)][-1]


def multiply_accumulates(model: Model) -> int:
    """Multiply-accumulates of one example's forward pass through the dense net; biases, activations and pooling are not counted."""
    return sum(layer_operations(model).values())


def layer_operations(model: Model) -> dict[str, int]:
    """The same of each layer that has weights, first layer first."""
    net = _skeleton(model)
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, *input_shape(model), device="meta"))
    counts = {name.rpartition(".")[2]: sum(flops.values()) for name, flops in counter.get_flop_counts().items()}
    return {name: counts[name] // 2 for name, module in net.named_children() if isinstance(module, LAYERS)}  # a multiply-accumulate is two


def layer_units(model: Model) -> dict[str, int]:
    """How many outputs each layer with weights has for one example, after its activation and pooling, first layer first."""
    x, layer = torch.empty(1, *input_shape(model), device="meta"), ""
    units = {}
    for name, module in _skeleton(model).named_children():
        x, layer = module(x), name if isinstance(module, LAYERS) else layer
        if layer:
            units[layer] = x.numel()
    return units


def input_shape(model: Model) -> tuple[int, int, int]:
    """(C, H, W) of the images that the net takes. An `mlp` without `input_shape` counts features only: a square image if they make one."""
    if model.input_shape:
        channels, height, width = model.input_shape
        return channels, height, width
    if model.name != "mlp":
        return _PAPER_SHAPES[model.name]
    side = math.isqrt(model.widths[0])
    return (1, side, side) if side * side == model.widths[0] else (1, 1, model.widths[0])


def _skeleton(model: Model) -> nn.Sequential:
    """The net on the meta device: shapes without memory, and nothing drawn."""
    if model.name not in MODELS:
        raise UserError(f"there is no model {model.name!r}{suggestion(model.name, MODELS) or '; there are ' + ', '.join(MODELS)}")
    if model.widths and model.name not in _WITH_WIDTHS:
        raise UserError(
            f"model.widths = {list(model.widths)} is for {', '.join(_WITH_WIDTHS)} only; {model.name!r} has its own: leave widths out, or use "
            "mlp"
        )
    if len(model.input_shape) not in (0, 3):
        raise UserError(f"model.input_shape = {list(model.input_shape)} must be three numbers: channels, height, width")
    with torch.device("meta"):
        return MODELS[model.name](model if model.name == "mlp" else replace(model, input_shape=input_shape(model)))


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
