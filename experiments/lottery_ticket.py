"""Frankle & Carbin 2019, "The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks" (arXiv:1803.03635), Figures 1, 3, 4.

Claim: a trained net holds a subnetwork that, put back to its own initial weights and trained alone, learns at least as fast and as well
as the dense net (a winning ticket); the same mask on fresh weights does not (random reinit).

Beside the paper's arms stand rewinding and the instability test of Frankle et al. 2020 (arXiv:1912.05671), and the retraining arms of
Renda et al. 2020 (arXiv:2003.02389).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nncompress.lab.row import Row
from nncompress.lab.stages import Fit, InitialWeights, Interpolation, PrunedMask, ShuffledMask
from nncompress.prune import one_shot_fraction
from nncompress.types import STRICT, Count, Dataset, Fraction, Model, Positive, Seed, Training

ARMS = (
    "winning_ticket", "random_reinit", "random_mask", "one_shot", "rewinding", "learning_rate_rewinding", "fine_tuning", "float32", "instability",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """`prune_fraction`: layer -> share of the surviving weights removed each round. `rewind_steps`: k of weight rewinding.
    `seeds`: replicates of winning ticket and random reinit; `control_seeds`: of the other arms. `reinit_offset`, `order_offset`:
    added to a seed to draw fresh weights or another batch order. `fine_tuning_rate`: learning rate of fine-tuning.
    `instability_rounds`: rounds at which two runs that differ in batch order only are interpolated."""

    __pydantic_config__ = STRICT
    dataset: Dataset
    model: Model
    training: Training
    prune_fraction: dict[str, Fraction]
    rounds: Count
    seeds: list[Seed]
    control_seeds: list[Seed]
    arms: list[str]
    rewind_steps: list[Count]
    reinit_offset: Count
    order_offset: Count
    fine_tuning_rate: Positive
    instability_rounds: list[int]
