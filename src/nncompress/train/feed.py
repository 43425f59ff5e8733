"""Batches of all replicates, gathered whole from tensors on the device, or read from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from nncompress.data import ImageFiles, Splits, augment, batch_indices, scale
from nncompress.train.specialties import Specialties
from nncompress.types import Augmentation, Dataset, Training


class Feed:
    """Training batches for R replicates, each in the order of its own seed; under several processes, this process's share of each batch.

    `teachers`: for each replicate the logits (N, classes) of its teacher on the training examples, if it has one. `specialties`: of the
    replicates, if they are specialists.
    """

    def __init__(
        self,
        splits: Splits,
        dataset: Dataset,
        training: Training,
        seeds: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
        teachers: Sequence[np.ndarray] = (),
        specialties: Specialties | None = None,
    ) -> None:
        self.specialties = specialties
        self.splits, self.dataset, self.training, self.seeds, self.dtype, self.device = (
            splits,
            dataset,
            training,
            list(seeds),
            dtype,
            device,
        )
        self.labels = splits.train_y.to(device)
        self.augmented = dataset.augmentation != Augmentation()
        if wrong := [len(teacher) for teacher in teachers if len(teacher) != len(self.labels)]:
            raise ValueError(f"a teacher answered {wrong[0]} examples, but there are {len(self.labels)}: its logits are of another data set")
        # Each replicate's teacher logits, one after another: (R N, classes).
        self.teachers = torch.as_tensor(np.concatenate(teachers)).to(device) if teachers else None
        self.images = splits.train_x if isinstance(splits.train_x, ImageFiles) else splits.train_x.to(device)
        self.scaled = isinstance(self.images, Tensor) and not self.augmented
        if isinstance(self.images, Tensor) and self.scaled:  # once, part by part into their place, and a batch is a single gather
            images, self.images = self.images, torch.empty(self.images.shape, dtype=dtype, device=device)
            for part, place in zip(images.split(4096), self.images.split(4096), strict=True):
                place.copy_(scale(part, splits, dataset.scaling, dtype))

    def _gather(self, index: Tensor) -> Tensor:
        """The images at these places (R, B), read now if they are files: (R, B, C, H, W) on the device."""
        if isinstance(self.images, Tensor):
            return self.images.index_select(0, index.reshape(-1)).unflatten(0, index.shape)
        return self.images[index.reshape(-1)].to(self.device).unflatten(0, index.shape)

    def batches(self, first_step: int, last_step: int, rank: int = 0, world: int = 1) -> Iterator[dict[str, Tensor]]:
        """One batch a step, x (R, B, C, H, W), y (R, B) and teacher_logits (R, B, classes), for the updates first_step .. last_step - 1."""
        size, examples = self.training.batch_size, len(self.labels)
        if self.specialties is None:
            orders = np.stack([batch_indices(seed, first_step, last_step, examples, size) for seed in self.seeds], axis=1)  # (steps, R, B)
        else:
            orders = self.specialties.orders(self.seeds, first_step, last_step, self.splits.train_y.numpy(), size)
        indices = torch.as_tensor(orders if self.augmented else orders[:, :, rank::world]).to(self.device)
        offsets = torch.arange(len(self.seeds), device=self.device).unsqueeze(1) * examples
        for step, index in enumerate(indices, first_step):
            images = self._gather(index)
            if self.augmented:  # the whole batch before this process's share is taken, so that shares do not repeat each other's draws
                changed = [augment(x, self.dataset.augmentation, seed, step) for x, seed in zip(images, self.seeds, strict=True)]
                images, index = torch.stack(changed)[:, rank::world], index[:, rank::world]
            if not self.scaled:
                images = scale(images, self.splits, self.dataset.scaling, self.dtype)
            batch = {"x": images, "y": self.labels.index_select(0, index.reshape(-1)).view(index.shape)}
            if self.specialties is not None:
                batch["y"] = self.specialties.targets(batch["y"])
            if self.teachers is not None:
                batch["teacher_logits"] = self.teachers.index_select(0, (index + offsets).reshape(-1)).unflatten(0, index.shape)
            yield batch
