"""Seam two, the constraint: what the weights may be, for R replicates stacked.

A constraint owns the latent values that the optimiser moves, one flat float32 vector for all replicates and layers, and the effective
weights that the net computes with, (R, *shape) each. `push` maps the first to the second; `pull` is its transpose, from gradients of the
effective weights to gradients of the latent values. Effective weights of hidden layers may be bfloat16; latent values, the output layer
and its biases are always float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nncompress.types import MaskArrays, Weights

COMPACT_BELOW = 0.3
"""Density under which keeping only the surviving weights as latent values is faster than multiplying by the mask (measured on a CPU)."""


LANES = 64
"""Flat vectors are padded with zeros to a multiple of this: an optimiser computes the rest of a vector by other instructions, which round
otherwise, and a replicate's numbers should not depend on which others it is stacked with."""


class Layout:
    """Where each parameter of R replicates lies in a flat vector: layer by layer, the R replicates of a layer side by side.

    The `low` parameters (computed in bfloat16) come first, so that they are one slice.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], replicates: int, low: set[str]) -> None:
        self.replicates, self.low = replicates, low
        self.shapes = {name: shapes[name] for name in sorted(shapes, key=lambda name: name not in low)}
        self.slices: dict[str, slice] = {}
        start = 0
        for name, shape in self.shapes.items():
            self.slices[name] = slice(start, start := start + replicates * int(np.prod(shape)))
        self.padding = -start % LANES
        self.size = start + self.padding
        self.low_size = sum(s.stop - s.start for name, s in self.slices.items() if name in low)

    def flatten(self, replicates: Sequence[Mapping[str, np.ndarray]], dtype: torch.dtype = torch.float32) -> Tensor:
        """One flat vector (size,) of the replicates' arrays."""
        parts = [torch.as_tensor(np.stack([r[name] for r in replicates]).ravel(), dtype=dtype) for name in self.shapes]
        return torch.cat([*parts, torch.zeros(self.padding, dtype=dtype)])

    def unflatten(self, flat: Tensor) -> list[dict[str, np.ndarray]]:
        """The inverse: one dictionary of arrays per replicate, copied to the host."""
        host = flat.detach().cpu().numpy()
        stacked = {name: host[where].reshape(self.replicates, *self.shapes[name]) for name, where in self.slices.items()}
        return [{name: stacked[name][r].copy() for name in stacked} for r in range(self.replicates)]

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """The parameters as (R, *shape) views of a flat vector."""
        return {name: flat[where].view(self.replicates, *self.shapes[name]) for name, where in self.slices.items()}

    def matrix(self, flat: Tensor) -> Tensor:
        """A flat vector with one row for each replicate, (R, numbers of a net), its parameters side by side, without the padding. It is a view
        where there is one replicate."""
        if self.replicates == 1:
            return flat[: self.size - self.padding].unsqueeze(0)
        return torch.cat([view.flatten(1) for view in self.views(flat).values()], 1)

    def add(self, flat: Tensor, matrix: Tensor, factor: float = 1.0) -> None:
        """Add to a flat vector `factor` times what `matrix` made of one."""
        first = 0
        for view in self.views(flat).values():
            view.add_(matrix[:, first : (first := first + view[0].numel())].view_as(view), alpha=factor)

    def owners(self) -> Tensor:
        """Which replicate each entry of a flat vector belongs to, (size,) int64."""
        counts = {name: int(np.prod(shape)) for name, shape in self.shapes.items()}
        owners = [torch.arange(self.replicates).repeat_interleave(counts[name]) for name in self.shapes]
        return torch.cat([*owners, torch.zeros(self.padding, dtype=torch.int64)])


class Free(nn.Module):
    """No constraint: effective weights are the latent ones."""

    latent: nn.Parameter
    gradient: Tensor
    owner: Tensor

    def __init__(self, layout: Layout, values: Tensor) -> None:
        super().__init__()
        self.layout = layout
        self.latent = nn.Parameter(values)
        self.register_buffer("gradient", torch.zeros_like(values), persistent=False)
        self.register_buffer("owner", layout.owners()[self._kept()].to(values.device), persistent=False)
        self._bind()

    def _kept(self) -> Any:
        """Which entries of the layout the latent vector holds."""
        return slice(None)

    def _bind(self) -> None:
        """Lay out the effective weights: leaves of the autograd graph that share memory with two flat vectors, bfloat16 and float32."""
        low_size, latent = self.layout.low_size, self.latent.detach()
        self.flat_low = torch.zeros(low_size, dtype=torch.bfloat16, device=latent.device)
        self.flat_high = self._high(latent)
        self.effective: dict[str, Tensor] = {}
        for name, where in self.layout.slices.items():
            low = name in self.layout.low
            flat = self.flat_low[where] if low else self.flat_high[where.start - low_size : where.stop - low_size]
            self.effective[name] = flat.view(self.layout.replicates, *self.layout.shapes[name]).requires_grad_()
        self.leaves = list(self.effective.values())
        self.push()

    def _high(self, latent: Tensor) -> Tensor:
        return latent[self.layout.low_size :]  # float32 effective weights are the latent ones themselves: no copy in `push`

    def _apply(self, fn: Any, recurse: bool = True) -> Free:  # moving to a device replaces the latent vector: bind again
        super()._apply(fn, recurse)
        self._bind()
        return self

    @torch.no_grad()
    def push(self) -> None:
        """Latent values to effective weights."""
        self.flat_low.copy_(self.latent[: self.layout.low_size])

    @torch.no_grad()
    def pull(self, gradients: Sequence[Tensor]) -> None:
        """Gradients of the effective weights, in the order of `leaves`, to `latent.grad`."""
        for where, gradient in zip(self.layout.slices.values(), gradients, strict=True):
            self.gradient[where].copy_(gradient.reshape(-1))
        self.latent.grad = self.gradient

    def dense(self, values: Tensor) -> Tensor:
        """Latent-shaped values (weights or an optimiser's moments) at their places in the layout, (size,)."""
        return values.detach()

    def latent_of(self, flat: Tensor) -> Tensor:
        """The inverse of `dense`."""
        return flat


class Masked(Free):
    """Weights times a mask. Latent values start masked and their gradients are masked, so pruned weights are exactly zero at all times."""

    mask: Tensor

    def __init__(self, layout: Layout, values: Tensor, mask: Tensor) -> None:
        self.mask = mask
        super().__init__(layout, values * mask)

    def _bind(self) -> None:
        super()._bind()
        self.mask = self.mask.to(self.latent.device)
        # In the precision of the gradients, half the memory to read; None where nothing is pruned, as of biases.
        self._factors = [
            None if self.mask[where].all() else self.mask[where].view(leaf.shape).to(leaf.dtype)
            for where, leaf in zip(self.layout.slices.values(), self.leaves, strict=True)
        ]

    @torch.no_grad()
    def pull(self, gradients: Sequence[Tensor]) -> None:
        super().pull([g if factor is None else g.mul_(factor) for g, factor in zip(gradients, self._factors, strict=True)])


class Survivors(Free):
    """The same function as `Masked`, with only the surviving weights as latent values: the optimiser costs as little as the net is dense."""

    def __init__(self, layout: Layout, values: Tensor, mask: Tensor) -> None:
        self._index = torch.nonzero(mask).squeeze(1)
        self._padding = -len(self._index) % LANES
        self._low_count = int((self._index < layout.low_size).sum())
        super().__init__(layout, self.latent_of(values))

    def _kept(self) -> Tensor:
        return torch.cat([self._index.cpu(), torch.zeros(self._padding, dtype=torch.int64)])

    def _high(self, latent: Tensor) -> Tensor:
        return torch.zeros(self.layout.size - self.layout.low_size, device=latent.device)

    def _bind(self) -> None:
        self._index = index = self._index.to(self.latent.device)
        self._low_index, self._high_index = index[: self._low_count], index[self._low_count :] - self.layout.low_size
        self._gathers = []
        for where in self.layout.slices.values():
            first, last = (int((index < bound).sum()) for bound in (where.start, where.stop))
            self._gathers.append((slice(first, last), index[first:last] - where.start))
        super()._bind()

    @torch.no_grad()
    def push(self) -> None:
        self.flat_low.index_copy_(0, self._low_index, self.latent[: self._low_count].to(torch.bfloat16))
        self.flat_high.index_copy_(0, self._high_index, self.latent[self._low_count : len(self._index)])

    @torch.no_grad()
    def pull(self, gradients: Sequence[Tensor]) -> None:
        for (where, index), gradient in zip(self._gathers, gradients, strict=True):
            self.gradient[where].copy_(gradient.reshape(-1).index_select(0, index))
        self.latent.grad = self.gradient

    def dense(self, values: Tensor) -> Tensor:
        return torch.zeros(self.layout.size, dtype=values.dtype, device=values.device).index_copy_(
            0, self._index, values.detach()[: len(self._index)]
        )

    def latent_of(self, flat: Tensor) -> Tensor:
        return torch.cat([flat.index_select(0, self._index.to(flat.device)), torch.zeros(self._padding, dtype=flat.dtype, device=flat.device)])


class Shared(Free):
    """Weights that share the values of codebooks (Han, Mao & Dally 2016, sec. 3): the latent values are the codebooks' entries and all weights
    that share with none; pruned weights are zero. `pull` sums the gradients of the weights that share an entry (eq. 3).

    `sharing` (size,): for every place of the layout the number of its entry, counted over all replicates and layers; -1 = pruned.
    """

    def __init__(self, layout: Layout, values: Tensor, sharing: np.ndarray) -> None:
        entries, first, place = np.unique(sharing, return_index=True, return_inverse=True)
        pruned = int(entries[0] == -1)
        padding = -(len(entries) - pruned) % LANES
        self._first = torch.from_numpy(np.concatenate([first[pruned:], np.zeros(padding, np.int64)]))
        self._zero = len(self._first)  # of a latent vector that a zero was appended to, where pruned weights look
        self._index = torch.from_numpy(np.where(sharing == -1, self._zero, place - pruned))
        super().__init__(layout, self.latent_of(values))

    def _kept(self) -> Tensor:
        return self._first.cpu()

    def _high(self, latent: Tensor) -> Tensor:
        return torch.zeros(self.layout.size - self.layout.low_size, device=latent.device)

    def _bind(self) -> None:
        device = self.latent.device
        self._first, self._index = self._first.to(device), self._index.to(device)
        self._flat = torch.zeros(self.layout.size, device=device)
        super()._bind()

    @torch.no_grad()
    def push(self) -> None:
        flat = self.dense(self.latent)
        self.flat_low.copy_(flat[: self.layout.low_size])
        self.flat_high.copy_(flat[self.layout.low_size :])

    @torch.no_grad()
    def pull(self, gradients: Sequence[Tensor]) -> None:
        for where, gradient in zip(self.layout.slices.values(), gradients, strict=True):
            self._flat[where].copy_(gradient.reshape(-1))
        summed = torch.zeros(self._zero + 1, device=self._flat.device).index_add_(0, self._index, self._flat)
        self.gradient.copy_(summed[: self._zero])
        self.latent.grad = self.gradient

    def dense(self, values: Tensor) -> Tensor:
        return torch.cat([values.detach(), torch.zeros(1, dtype=values.dtype, device=values.device)]).index_select(0, self._index)

    def latent_of(self, flat: Tensor) -> Tensor:
        return flat.index_select(0, self._first.to(flat.device))


def constrain(
    starts: Sequence[Weights],
    masks: Sequence[MaskArrays],
    low: set[str],
    compact_below: float = COMPACT_BELOW,
    codes: Sequence[Mapping[str, np.ndarray]] = (),
) -> Free:
    """The constraint of a stack: R start weights under R masks (an empty mask is dense); with `codes`, parameter name -> the codebook entry of
    every weight, these share their values, which must be equal at the start."""
    layout = Layout({name: array.shape for name, array in starts[0].items()}, len(starts), low)
    values = layout.flatten(starts)
    if any(codes):
        return Shared(layout, values, _sharing(layout, masks, codes))
    if not any(masks):
        return Free(layout, values)
    full = [{name: mask.get(name, np.ones(array.shape, bool)) for name, array in starts[0].items()} for mask in masks]
    mask = layout.flatten(full, torch.bool)
    if mask[: mask.numel() - layout.padding].all():
        return Free(layout, values)
    return (Survivors if mask.float().mean() < compact_below else Masked)(layout, values, mask)


def _sharing(layout: Layout, masks: Sequence[MaskArrays], codes: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    """For every place of the layout the number of the entry that it shares, -1 where it is pruned; the padding shares one of its own."""
    parts, start = [], 0
    for name, shape in layout.shapes.items():
        for mask, coded in zip(masks, codes, strict=True):
            numbers = coded[name].astype(np.int64) if name in coded else np.arange(np.prod(shape)).reshape(shape)
            parts.append(np.where(mask.get(name, True), start + numbers, -1).ravel())
            start += int(numbers.max()) + 1
    return np.concatenate([*parts, np.full(layout.padding, start)])
