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
from experiments.model_compression import mimic_fit
from experiments.model_compression_search_claims import CLAIMS, FIGURES, TABLES
from nncompress.lab.compression import Mimicry
from nncompress.lab.row import Row
from nncompress.types import STRICT, Positive

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("problems", "seeds", "swap_probabilities", "local_variances", "learning_rates", "losses")
IDENTITY = ("swap_probability", "local_variance", "learning_rate", "loss")
Loss: TypeAlias = Literal["probabilities", "logits", "soft_targets"]


@dataclass(frozen=True)
class Config(model_compression.Config):
    """That of model_compression, of whose sizes the largest is tried with `curve_units`. Every one of `swap_probabilities` (p) with every one
    of `local_variances` (s) at the rate and loss of `training` and `distillation`; every one of `learning_rates` with every one of `losses`
    at p and s of `synthesis`."""

    __pydantic_config__ = STRICT
    swap_probabilities: list[Annotated[float, Field(gt=0, le=1)]]
    local_variances: list[Positive]
    learning_rates: list[Positive]
    losses: list[Loss]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    model_compression.check(cfg)
    refuse_empty(cfg, "swap_probabilities", "local_variances", "learning_rates", "losses")
    refuse_repeats(cfg, "swap_probabilities", "local_variances", "learning_rates", "losses")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer seeds, then fewer problems."""
    yield cfg
    while len(cfg.seeds) > 1:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))
    while len(cfg.problems) > 1:
        yield (cfg := replace(cfg, problems=cfg.problems[:-1]))


def rows(cfg: Config) -> Iterator[Row]:
    """For each problem and seed one net by p and s, and one by rate and loss."""
    munge = cfg.synthesis["munge"]
    usual, written = (cfg.training.learning_rate, cfg.distillation.match), (munge.swap_probability, munge.local_variance)
    tried = [(*choice, *usual) for choice in product(cfg.swap_probabilities, cfg.local_variances)]
    tried += [(*written, *choice) for choice in product(cfg.learning_rates, cfg.losses)]
    for problem, seed, (p, s, rate, loss) in product(cfg.problems, cfg.seeds, dict.fromkeys(tried)):
        trial = replace(
            cfg,
            synthesis={"munge": replace(munge, swap_probability=p, local_variance=s)},
            training=replace(cfg.training, learning_rate=rate),
            distillation=replace(cfg.distillation, match=loss),
        )
        fit = mimic_fit(trial, problem, "munge", max(cfg.sizes), cfg.curve_units, seed)
        own = {"swap_probability": p, "local_variance": s, "learning_rate": rate, "loss": loss}
        yield Row(Mimicry(fit), {"arm": "munge", "dataset": problem.name, **own, "seed": seed})
