"""Learning rates, worked by hand for 100 steps at a rate of 0.8."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nncompress.train.schedule import learning_rate_at, momentum_at
from nncompress.types import Training

CONSTANT = Training(steps=100, batch_size=1, learning_rate=0.8)
LINEAR, COSINE = replace(CONSTANT, schedule="linear"), replace(CONSTANT, schedule="cosine")
EXPONENTIAL = replace(CONSTANT, schedule="exponential", decay=0.5, decay_steps=10)
STEP = replace(CONSTANT, schedule="step", milestones=(50, 75), decay=0.1)


@pytest.mark.parametrize(
    ("training", "rates"),
    [
        (CONSTANT, {0: 0.8, 50: 0.8, 99: 0.8}),
        (LINEAR, {0: 0.8, 25: 0.6, 50: 0.4, 99: 0.008}),
        (COSINE, {0: 0.8, 25: 0.68284271, 50: 0.4, 75: 0.11715729, 99: 0.00019738}),
        (STEP, {0: 0.8, 49: 0.8, 50: 0.08, 74: 0.08, 75: 0.008, 99: 0.008}),
        (replace(STEP, milestones=()), {0: 0.8, 99: 0.8}),
        (EXPONENTIAL, {0: 0.8, 9: 0.8, 10: 0.4, 25: 0.2, 99: 0.8 / 2**9}),
        (replace(CONSTANT, dampened=True, momentum=0.9), {0: 0.08, 99: 0.08}),
        (replace(CONSTANT, dampened=True, momentum=0.9, momentum_start=0.5, momentum_steps=40), {0: 0.4, 20: 0.24, 40: 0.08, 99: 0.08}),
        (replace(CONSTANT, warmup=10), {0: 0.08, 4: 0.4, 8: 0.72, 9: 0.8, 10: 0.8, 99: 0.8}),
        (replace(LINEAR, warmup=10), {0: 0.08, 4: 0.384, 9: 0.728, 10: 0.72}),
        (replace(STEP, warmup=60), {0: 0.8 / 60, 49: 0.8 * 50 / 60, 50: 0.08 * 51 / 60, 60: 0.08}),
    ],
    ids=lambda value: f"{value.schedule}, warm-up {value.warmup}" if isinstance(value, Training) else "",
)
def test_rates_worked_by_hand(training: Training, rates: dict[int, float]) -> None:
    assert {step: learning_rate_at(training, step) for step in rates} == pytest.approx(rates, abs=1e-8)


@pytest.mark.parametrize("warmup", [0, 1, 17])
@pytest.mark.parametrize("training", [CONSTANT, LINEAR, COSINE, STEP, EXPONENTIAL], ids=lambda training: training.schedule)
def test_a_rate_is_positive_never_above_the_given_one_and_never_rises_after_the_warm_up(training: Training, warmup: int) -> None:
    rates = [learning_rate_at(replace(training, warmup=warmup), step) for step in range(training.steps)]
    assert all(0 < rate <= 0.8 for rate in rates)
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert learning_rate_at(replace(training, warmup=1), 0) == 0.8


def test_momentum_rises_linearly_and_stays() -> None:
    ramp = replace(CONSTANT, momentum=0.99, momentum_start=0.5, momentum_steps=50)
    assert [momentum_at(ramp, step) for step in (0, 25, 50, 99)] == pytest.approx([0.5, 0.745, 0.99, 0.99])
    assert momentum_at(replace(CONSTANT, momentum=0.9), 0) == 0.9
