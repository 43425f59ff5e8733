"""Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), section 3: which temperature.

Claim: with 300 or more units in each hidden layer every temperature above 8 gives about the same; with 30 units temperatures from 2.5 to 4
are clearly better than lower or higher ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from experiments.checking import refuse_empty, refuse_repeats
from experiments.hinton_nets import Nets
from experiments.hinton_temperature_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.row import Row, Value
from nncompress.lab.stages import Fit, Logits
from nncompress.types import Count, Distillation, Positive

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("units", "temperatures", "hard_weights", "seeds")
IDENTITY = ("units", "temperature", "hard_weight")


@dataclass(frozen=True)
class Config(Nets):
    """`units`: of each hidden layer of the student, `student.widths` but for these. `temperatures`: each tried with `distillation`'s weight of
    the hard labels; `hard_weights`: each tried at its temperature, on the widest student. `taught_learning_rates`: units -> temperature ->
    rate, where another than `taught_learning_rate` serves such a student better: the gradient grows with the temperature."""

    distillation: Distillation
    units: list[Count]
    temperatures: list[Positive]
    hard_weights: list[Annotated[float, Field(ge=0, le=1)]]
    taught_learning_rates: dict[int, dict[float, Positive]]

    def student_fit(self, units: int, distillation: Distillation, seed: int) -> Fit:
        """The student of so many units in each hidden layer, taught at its rate."""
        rate = self.taught_learning_rates.get(units, {}).get(distillation.temperature, self.taught_learning_rate)
        cfg = replace(with_units(self, units), taught_learning_rate=rate)
        return cfg.taught(cfg.plain_fit(seed), distillation, Logits((self.teacher_fit(seed),), self.dataset))


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    cfg.check_seeds()
    refuse_empty(cfg, "units")
    refuse_repeats(cfg, "units", "temperatures", "hard_weights")
    if len(cfg.student.widths) < 3:
        raise UserError(f"student.widths = {list(cfg.student.widths)}: the student needs a hidden layer, such as [784,800,800,10]")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer weights of the labels, then seeds, then the widest students."""
    yield cfg
    while cfg.hard_weights:
        yield (cfg := replace(cfg, hard_weights=cfg.hard_weights[:-1]))
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))
    while len(cfg.units) > 1:
        yield (cfg := replace(cfg, units=sorted(cfg.units)[:-1]))


def rows(cfg: Config) -> Iterator[Row]:
    """For each seed a plain net of every width, and a student of it at every temperature; then the weights of the labels."""
    for seed in cfg.seeds:
        for units in cfg.units:
            yield Row(with_units(cfg, units).plain_fit(seed), {"arm": "plain", "units": units, "seed": seed})
            for temperature in cfg.temperatures:
                taught = replace(cfg.distillation, temperature=temperature)
                yield Row(cfg.student_fit(units, taught, seed), identity("temperature", units, taught, seed))
        for weight in cfg.hard_weights:
            taught = replace(cfg.distillation, hard_weight=weight)
            yield Row(cfg.student_fit(max(cfg.units), taught, seed), identity("hard_weight", max(cfg.units), taught, seed))


def with_units(cfg: Config, units: int) -> Config:
    """`cfg` with a student of so many units in each hidden layer."""
    inputs, *hidden, outputs = cfg.student.widths
    return replace(cfg, student=replace(cfg.student, widths=(inputs, *(units for _ in hidden), outputs)))


def identity(arm: str, units: int, taught: Distillation, seed: int) -> dict[str, Value]:
    return {"arm": arm, "units": units, "temperature": taught.temperature, "hard_weight": taught.hard_weight, "seed": seed}
