"""Layers that compute in the dtype of the weights they are given, so that the caller decides the precision layer by layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Linear):
    """y = x W^T + b, with W (out, in) as in `torch.nn.Linear`; x is cast to the dtype of W.

    Computed as (W x^T)^T: under `vmap` the weight's gradient is then a contiguous (R, out, in) product, which the optimiser reads without a
    copy.
    """

    def forward(self, input: Tensor) -> Tensor:
        return (torch.matmul(self.weight, input.to(self.weight.dtype).mT) + self.bias.unsqueeze(-1)).mT


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d` that casts its input to the dtype of its weights."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.to(self.weight.dtype))


class Dropout(nn.Module):
    """Dropout whose kept units are given from outside: `keep` (B, features) holds 0 or 1 / (1 - p), empty = no dropout (evaluation).

    The learner draws `keep` from (seed, step), so that a continued run and a stacked run see the same units as an undisturbed single run.
    """

    keep: Tensor

    def __init__(self, p: float, features: int) -> None:
        super().__init__()
        self.p, self.features = p, features
        self.register_buffer("keep", torch.empty(0), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return input if self.keep.numel() == 0 else input * self.keep.to(input.dtype)
