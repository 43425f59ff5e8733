"""The nets of the ImageNet tables: AlexNet and VGG-16, with the layers of torchvision's, whose weights they can have.

Layers are named as in Han, Mao & Dally 2016, Tables 4 and 5. Dropout is behind the fully connected hidden layers, as in Caffe's nets.
`model.widths` are the channels and units of every hidden layer, the paper's where none are given.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from nncompress.errors import UserError
from nncompress.models.convolutional import begin
from nncompress.models.fully_connected import add_fully_connected
from nncompress.models.layers import Conv2d
from nncompress.types import Model

ALEXNET = (64, 192, 384, 256, 256, 4096, 4096)
VGG_16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of each block of VGG-16; behind the last are two layers of 4,096 units."""
CLASSES = 1000


def alexnet(model: Model) -> nn.Sequential:
    """AlexNet without its two columns and its response normalisation (Krizhevsky 2014, "One weird trick", arXiv:1404.5997): 61,100,840
    parameters; Caffe's, in the paper's tables, has 61.0M, but other numbers of weights in conv1 and conv3 to conv5."""
    *channels, fc6, fc7 = _widths(model, ALEXNET, smallest=63)
    net = begin(model)
    shapes = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))  # kernel, stride, padding
    for i, (before, after, (kernel, stride, padding)) in enumerate(zip((model.input_shape[0], *channels), channels, shapes), start=1):
        net.add_module(f"conv{i}", Conv2d(before, after, kernel, stride, padding))
        net.add_module(f"conv{i}_relu", nn.ReLU())
        if i in (1, 2, 5):
            net.add_module(f"pool{i}", nn.MaxPool2d(3, 2))
    return _with_classifier(net, model, channels[-1], 6, (fc6, fc7))


def vgg_16(model: Model) -> nn.Sequential:
    """VGG-16, configuration D of Simonyan & Zisserman 2015 (arXiv:1409.1556): 138,357,544 parameters."""
    *channels, fc6, fc7 = _widths(model, (*(wide for block in VGG_16 for wide in block), 4096, 4096), smallest=32)
    net, before, following = begin(model), model.input_shape[0], iter(channels)
    for block, layers in enumerate(map(len, VGG_16), start=1):
        for i in range(1, layers + 1):
            net.add_module(f"conv{block}_{i}", Conv2d(before, wide := next(following), 3, padding=1))
            net.add_module(f"conv{block}_{i}_relu", nn.ReLU())
            before = wide
        net.add_module(f"pool{block}", nn.MaxPool2d(2))
    return _with_classifier(net, model, channels[-1], 7, (fc6, fc7))


def _widths(model: Model, paper: Sequence[int], smallest: int) -> Sequence[int]:
    if model.widths and len(model.widths) != len(paper):
        raise UserError(
            f"model.widths = {list(model.widths)}: {model.name} has {len(paper)} hidden layers; give the channels or units of each, or none"
        )
    if min(model.input_shape[1:]) < smallest:
        raise UserError(
            f"model.input_shape = {list(model.input_shape)} is too small for {model.name}: images must be {smallest}x{smallest} or larger"
        )
    return model.widths or paper


def _with_classifier(net: nn.Sequential, model: Model, channels: int, side: int, hidden: Sequence[int]) -> nn.Sequential:
    """Three fully connected layers behind an average over a grid of `side` x `side` places, which of images of the paper's size is none."""
    net.add_module("average", nn.AdaptiveAvgPool2d(side))
    net.add_module("flatten", nn.Flatten())
    add_fully_connected(net, (channels * side * side, *hidden, model.classes or CLASSES), model.hidden_dropout, first=6)
    return net
