"""The search for what Bucilă, Caruana & Niculescu-Mizil 2006 do not print: p and s of MUNGE, the learning rate and the loss of the mimic nets.

Mimic nets of model_compression's Figure 2, all with as many cases, are told apart by their error on the validation cases, on which the paper
chooses too: no table or figure here is of the test split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from experiments import model_compression
from experiments.checking import refuse_empty, refuse_repeats
from experiments.model_compression import Problem, mimic_fit
from experiments.model_compression_search_claims import CLAIMS, FIGURES, PASSES, TABLES
from nncompress.errors import UserError
from nncompress.lab.compression import Mimicry
from nncompress.lab.row import Row
from nncompress.types import STRICT, Positive

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("problems", "seeds", "around", "swap_probabilities", "local_variances", "learning_rates", "losses")
IDENTITY = ("pass", "swap_probability", "local_variance", "learning_rate", "loss")
Loss: TypeAlias = Literal["probabilities", "logits", "soft_targets"]


@dataclass(frozen=True)
class Setting:
    """What is searched for: p and s of MUNGE, learning rate and loss of the mimic nets."""

    __pydantic_config__ = STRICT
    swap_probability: Annotated[float, Field(gt=0, le=1)]
    local_variance: Positive
    learning_rate: Positive
    loss: Loss


@dataclass(frozen=True)
class Config(model_compression.Config):
    """That of model_compression, of whose sizes the largest is tried with `curve_units`. In a pass around each setting of `around` every one of
    `swap_probabilities` (p) with every one of `local_variances` (s) at its rate and loss, and every one of `learning_rates` with every one of
    `losses` at its p and s."""

    __pydantic_config__ = STRICT
    around: list[Setting]
    swap_probabilities: list[Annotated[float, Field(gt=0, le=1)]]
    local_variances: list[Positive]
    learning_rates: list[Positive]
    losses: list[Loss]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    model_compression.check(cfg)
    refuse_empty(cfg, "around", "swap_probabilities", "local_variances", "learning_rates", "losses")
    if len(cfg.around) > len(PASSES):
        raise UserError(f"around has {len(cfg.around)} settings: tables and figures are of {len(PASSES)} passes; give at most so many")
    refuse_repeats(cfg, "around", "swap_probabilities", "local_variances", "learning_rates", "losses")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer passes, then seeds, then problems."""
    yield cfg
    while len(cfg.around) > 1:
        yield (cfg := replace(cfg, around=cfg.around[:-1]))
    while len(cfg.seeds) > 1:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))
    while len(cfg.problems) > 1:
        yield (cfg := replace(cfg, problems=cfg.problems[:-1]))


def rows(cfg: Config) -> Iterator[Row]:
    """For each pass, problem and seed one net by p and s, and one by rate and loss."""
    for number, centre in enumerate(cfg.around, 1):
        tried = [(*choice, centre.learning_rate, centre.loss) for choice in product(cfg.swap_probabilities, cfg.local_variances)]
        tried += [(centre.swap_probability, centre.local_variance, *choice) for choice in product(cfg.learning_rates, cfg.losses)]
        for problem, seed, setting in product(cfg.problems, cfg.seeds, dict.fromkeys(tried)):
            named = dict(zip(IDENTITY[1:], setting, strict=True))
            yield Row(
                trial(cfg, problem, Setting(*setting), seed), {"arm": "munge", "dataset": problem.name, "pass": number, **named, "seed": seed}
            )


def trial(cfg: Config, problem: Problem, setting: Setting, seed: int) -> Mimicry:
    """The net of the largest size with this setting."""
    munge = replace(cfg.synthesis["munge"], swap_probability=setting.swap_probability, local_variance=setting.local_variance)
    tried = replace(
        cfg,
        synthesis={"munge": munge},
        training=replace(cfg.training, learning_rate=setting.learning_rate),
        distillation=replace(cfg.distillation, match=setting.loss),
    )
    return Mimicry(mimic_fit(tried, problem, "munge", max(cfg.sizes), cfg.curve_units, seed))
