"""Several processes for a single fit, started by `torchrun` or a cluster: rank 0 decides, locks and writes, the others follow."""

from __future__ import annotations

import os
from typing import TypeVar

Thing = TypeVar("Thing")


def world() -> int:
    """How many processes share each fit; 1 unless a launcher set WORLD_SIZE."""
    return int(os.environ.get("WORLD_SIZE", 1))


def rank() -> int:
    return int(os.environ.get("RANK", 0))


def _connect() -> None:
    import torch

    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def agreed(thing: Thing) -> Thing:
    """What rank 0 passed, on every rank. Also a barrier."""
    if world() == 1:
        return thing
    import torch

    _connect()
    box = [thing]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]
