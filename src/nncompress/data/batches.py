"""From uint8 tensors in memory to the batches that training sees: order, augmentation, scaling, each a whole batch at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from nncompress.data.order import Stream, permutation, raw_bits
from nncompress.data.splits import Splits
from nncompress.errors import UserError
from nncompress.types import Augmentation


def batch_indices(seed: int, first_step: int, last_step: int, examples: int, batch_size: int, stream: Stream = "batch order") -> np.ndarray:
    """Which examples are in the batches of steps first_step to last_step - 1, counted from 0.

    Each epoch is one permutation, a pure function of (seed, epoch), cut into examples // batch_size batches; what is left over is dropped.
    So any range of steps can be asked for on its own.

    Returns: (last_step - first_step, batch_size) int64.
    Raises: UserError where not even one batch can be filled.
    """
    if batch_size > examples:
        raise UserError(f"batch_size = {batch_size} is larger than the training split, {examples} examples: lower it or keep more examples")
    per_epoch = examples // batch_size
    indices = np.empty((last_step - first_step, batch_size), np.int64)
    step = first_step
    while step < last_step:
        epoch, begin = divmod(step, per_epoch)
        end = min(per_epoch, begin + last_step - step)
        order = permutation(stream, seed, epoch, examples)
        indices[step - first_step :][: end - begin] = order[begin * batch_size : end * batch_size].reshape(-1, batch_size)
        step += end - begin
    return indices


def halved_batch_indices(seed: int, first_step: int, last_step: int, special: np.ndarray, batch_size: int) -> np.ndarray:
    """Batches as `batch_indices` has them, but the first half of each is of special examples, the second of the others, whatever their share
    (how Hinton, Vinyals & Dean 2015, sec. 5, train a specialist). Each half goes through permutations of its own kind.

    Args:
        special: which of the examples are special, (examples,) bool.
        batch_size: even.

    Returns: (last_step - first_step, batch_size) int64.
    Raises: UserError where the examples of a kind cannot fill half a batch; ValueError for an odd batch_size.
    """
    if batch_size % 2:
        raise ValueError(f"batch_size = {batch_size} has no halves")
    half, halves = batch_size // 2, []
    kinds: tuple[tuple[Stream, np.ndarray], ...] = (("special examples", special), ("other examples", ~special))
    for stream, members in kinds:
        places = np.flatnonzero(members)
        if half > len(places):
            raise UserError(f"batch_size = {batch_size}: half a batch is more than the {len(places)} {stream} of a specialist: lower it")
        halves.append(places[batch_indices(seed, first_step, last_step, len(places), half, stream)])
    return np.concatenate(halves, axis=1)


def augment(images: Tensor, augmentation: Augmentation, seed: int, step: int) -> Tensor:
    """Change each image of a batch at random: shift, then padded crop, then mirror. What is drawn is a pure function of (seed, step).

    Drawn on the CPU, applied where `images` are, so that the device changes nothing.

    Args:
        images: uint8 (B, C, H, W).

    Returns: the same shape; `images` itself where nothing is asked for.
    """
    if augmentation == Augmentation():
        return images
    draws = raw_bits("augmentation", seed, step, 5 * len(images)).reshape(5, -1)
    for margin, (down, right) in ((augmentation.shift, draws[:2]), (augmentation.crop_padding, draws[2:4])):
        if margin:
            images = _translate(images, down, right, margin)
    if augmentation.flip:
        flipped = torch.from_numpy(draws[4] % 2 == 1).to(images.device)
        images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
    return images


def _translate(images: Tensor, down: np.ndarray, right: np.ndarray, margin: int) -> Tensor:
    """Move each image by -margin to margin whole pixels on each axis, zeros entering; `down`, `right`: (B,) uint64 to draw from."""
    count, channels, height, width = images.shape
    top, left = torch.from_numpy((np.stack([down, right]) % (2 * margin + 1)).astype(np.int64)).to(images.device)
    padded = pad(images, (margin,) * 4)
    # Every row of the result is a window of `width` bytes in the padded batch laid flat: as fast as copying, on any device.
    planes = torch.arange(count * channels, device=images.device).view(count, channels, 1) * padded.shape[2]
    rows = planes + top[:, None, None] + torch.arange(height, device=images.device)  # (B, C, H)
    begins = rows * padded.shape[3] + left[:, None, None]
    return padded.flatten().unfold(0, width, 1).index_select(0, begins.flatten()).view(images.shape)


def scale(images: Tensor, splits: Splits, scaling: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """What the net sees: 'unit' maps bytes to [0, 1]; 'standard' also subtracts the mean and divides by the std of each channel.

    Args:
        images: uint8 (..., C, H, W); inputs of a table, which are floats already, stay as they are.
        splits: whose `mean` and `std` to use.

    Returns: the same shape in `dtype`, computed in float32.
    """
    if images.is_floating_point():
        return images.to(dtype)
    unit = images.to(torch.float32) / 255
    if scaling == "unit":
        return unit.to(dtype)
    if scaling != "standard":
        raise UserError(f"dataset.scaling = {scaling!r} is not known: 'unit' or 'standard'")
    mean, std = (statistic.to(images.device)[:, None, None] for statistic in (splits.mean, splits.std))
    return ((unit - mean) / std).to(dtype)
