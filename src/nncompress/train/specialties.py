"""What specialists are asked for: their special classes, the dustbin that all others fall into, and batches of which half are special."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from nncompress.data import halved_batch_indices


class Specialties(nn.Module):
    """The special classes of R specialists (Hinton, Vinyals & Dean 2015, sec. 5).

    A net with one output more than there are classes has a dustbin: that output stands for every class that is not special. A net without one
    is asked for each class as it is, special or not (sec. 6.1).
    """

    special: Tensor
    units: Tensor

    def __init__(self, special: Sequence[np.ndarray], outputs: int) -> None:
        """`special`: (classes,) bool of each specialist. `outputs`: of their nets."""
        super().__init__()
        members = torch.as_tensor(np.stack(special))
        classes = torch.arange(members.shape[1])
        self.register_buffer("special", members, persistent=False)  # (R, classes)
        self.register_buffer("units", torch.where(members, classes, len(classes) if outputs > len(classes) else classes), persistent=False)

    def targets(self, labels: Tensor) -> Tensor:
        """The output that each specialist should choose, (R, n). `labels`: (n,), or (R, n)."""
        return self.units.gather(1, labels.expand(len(self.units), -1))

    def weights(self, labels: Tensor) -> Tensor:
        """What each example counts for each specialist, (R, n), so that special and other examples weigh half each, as in the batches, and the
        mean weight is 1. `labels`: (n,)."""
        special = self.special[:, labels]
        count = special.sum(1, keepdim=True)
        return len(labels) / 2 / torch.where(special, count, len(labels) - count).clamp_min(1)

    def orders(self, seeds: Sequence[int], first_step: int, last_step: int, labels: np.ndarray, batch_size: int) -> np.ndarray:
        """Which examples are in the batches of each specialist, (steps, R, batch_size): the first half special, the second others."""
        members = self.special.cpu().numpy()
        orders = [
            halved_batch_indices(seed, first_step, last_step, special[labels], batch_size) for seed, special in zip(seeds, members, strict=True)
        ]
        return np.stack(orders, axis=1)
