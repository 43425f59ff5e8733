"""Small convolutional nets: Caffe's LeNet-5 and the VGG-like Conv-2, Conv-4, Conv-6 of Frankle & Carbin 2019.

The builders need `model.input_shape`; the registry fills in the paper's where none is given.
"""

from __future__ import annotations

import math

from torch import nn

from nncompress.errors import UserError
from nncompress.models.fully_connected import add_fully_connected
from nncompress.models.layers import Conv2d, Dropout
from nncompress.types import Model


def lenet_5(model: Model, relu: bool = False) -> nn.Sequential:
    """Caffe's LeNet-5, the one that the pruning papers compress: 431,080 parameters, 430,500 of them weights.

    Two 5x5 convolutions without padding (20, then 50 channels), each followed by a 2x2 max-pool and *no* activation; 500 units with ReLU;
    the classes.
    """
    channels, height, width = model.input_shape
    height, width = ((height - 4) // 2 - 4) // 2, ((width - 4) // 2 - 4) // 2
    if min(height, width) < 1:
        raise UserError(f"model.input_shape = {list(model.input_shape)} is too small for lenet_5: images must be 16x16 or larger")
    net = begin(model)
    for i, (before, after) in enumerate(((channels, 20), (20, 50)), start=1):
        net.add_module(f"conv{i}", Conv2d(before, after, 5))
        if relu:
            net.add_module(f"conv{i}_relu", nn.ReLU())
        net.add_module(f"pool{i}", nn.MaxPool2d(2))
    net.add_module("flatten", nn.Flatten())
    add_fully_connected(net, (50 * height * width, 500, model.classes or 10), model.hidden_dropout)
    return net


def lenet_5_relu(model: Model) -> nn.Sequential:
    """LeNet-5 with ReLU after its convolutions too, as the zeros in their outputs say that Han et al. 2015 had it (Table 3: 82 and 72 %)."""
    return lenet_5(model, relu=True)


def conv_2(model: Model) -> nn.Sequential:
    """Conv-2 (Frankle & Carbin 2019, Fig. 2): 4,301,642 parameters on CIFAR-10."""
    return _conv(model, (64,))


def conv_4(model: Model) -> nn.Sequential:
    """Conv-4 (Frankle & Carbin 2019, Fig. 2): 2,425,930 parameters on CIFAR-10."""
    return _conv(model, (64, 128))


def conv_6(model: Model) -> nn.Sequential:
    """Conv-6 (Frankle & Carbin 2019, Fig. 2): 2,262,602 parameters on CIFAR-10."""
    return _conv(model, (64, 128, 256))


def _conv(model: Model, blocks: tuple[int, ...]) -> nn.Sequential:
    """For each of `blocks` two 3x3 convolutions (zero-padded to keep the size, ReLU) and a 2x2 max-pool; then 256, 256 and the classes."""
    channels, height, width = model.input_shape
    smallest = 2 ** len(blocks)
    if min(height, width) < smallest:
        raise UserError(
            f"model.input_shape = {list(model.input_shape)} is too small for {model.name}: images must be {smallest}x{smallest} or larger"
        )
    net = begin(model)
    for block, wide in enumerate(blocks):
        for i in (2 * block + 1, 2 * block + 2):
            net.add_module(f"conv{i}", Conv2d(channels, wide, 3, padding=1))
            net.add_module(f"conv{i}_relu", nn.ReLU())
            channels = wide
        net.add_module(f"pool{block + 1}", nn.MaxPool2d(2))
        height, width = height // 2, width // 2
    net.add_module("flatten", nn.Flatten())
    add_fully_connected(net, (channels * height * width, 256, 256, model.classes or 10), model.hidden_dropout)
    return net


def begin(model: Model) -> nn.Sequential:
    """A net of images that drops a share of its inputs, if the model says so."""
    net = nn.Sequential()
    if model.input_dropout:
        net.add_module("input_flatten", nn.Flatten())
        net.add_module("input_dropout", Dropout(model.input_dropout, math.prod(model.input_shape)))
        net.add_module("input_image", nn.Unflatten(1, model.input_shape))
    return net
