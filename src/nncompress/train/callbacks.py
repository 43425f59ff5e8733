"""Seam three, callbacks: when something happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytorch_lightning as pl

State = tuple[dict[str, np.ndarray], dict[str, Any]]


class Clock(pl.Callback):
    """Adds the wall time of each block to the learner's `seconds`, which a continued fit carries on. `blocks`: each block's of this fit."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.blocks: list[float] = []
        self._last = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        now = time.perf_counter()
        self.blocks.append(now - self._last)
        pl_module.seconds += self.blocks[-1]
        self._last = now


class Progress(pl.Callback):
    """Reports the optimiser steps of each block."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self.report = report

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: tuple[int, int], batch_idx: int) -> None:
        self.report(batch[1] - batch[0])


class Checkpoint(pl.Callback):
    """Hands out the state of every replicate, at most every `seconds`."""

    def __init__(self, seconds: float, save: Callable[[list[State]], None]) -> None:
        self.seconds, self.save = seconds, save

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._last = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        if trainer.is_global_zero and time.perf_counter() - self._last >= self.seconds:
            self.save(pl_module.states(trainer.optimizers[0]))
            self._last = time.perf_counter()
