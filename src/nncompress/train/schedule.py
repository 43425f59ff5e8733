"""Learning rate and momentum over steps."""

from __future__ import annotations

import math

from nncompress.types import Training


def learning_rate_at(training: Training, step: int) -> float:
    """Learning rate of the update that follows `step` updates, 0 <= step < training.steps.

    The schedule runs over the whole training; during the first `warmup` steps its value is multiplied by (step + 1) / warmup.
    """
    rate = training.learning_rate
    if training.schedule == "linear":
        rate *= 1 - step / training.steps
    elif training.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * step / training.steps)) / 2
    elif training.schedule == "step":
        rate *= training.decay ** sum(step >= milestone for milestone in training.milestones)
    elif training.schedule == "exponential":
        rate *= training.decay ** (step // training.decay_steps)
    if training.dampened:
        rate *= 1 - momentum_at(training, step)
    return rate * min(1.0, (step + 1) / training.warmup) if training.warmup else rate


def momentum_at(training: Training, step: int) -> float:
    """Momentum of the update that follows `step` updates (the ramp of Hinton et al. 2012, appendix A.1)."""
    share = min(1.0, step / training.momentum_steps) if training.momentum_steps else 1.0
    return share * training.momentum + (1 - share) * training.momentum_start
