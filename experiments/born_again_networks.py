"""Furlanello et al. 2018, "Born-Again Neural Networks" (arXiv:1805.04770): a net taught by a trained net of its own shape.

Claim: the student is better than its teacher, its own student may be better still, and generations together are better than each. The paper
shows it with DenseNets and wide ResNets on CIFAR; here the recipe runs with any registered net and data set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.born_again_networks_claims import CLAIMS, FIGURES, TABLES
from experiments.checking import refuse_clashes, refuse_empty, refuse_repeats
from nncompress.lab.row import Row
from nncompress.lab.stages import Ensemble, Fit, InitialWeights, Logits
from nncompress.types import STRICT, Count, Dataset, Distillation, Model, Positive, Seed, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("generations", "temperatures", "seeds")
IDENTITY = ("generation", "temperature")


@dataclass(frozen=True)
class Config:
    """`generations`: students after the first net, each taught by the one before. `generation_offset`: added to the seed for each generation,
    so that it starts from other weights and sees its batches in another order. `temperatures`: others than `distillation`'s, at which the first
    net teaches its first student too."""

    __pydantic_config__ = STRICT
    dataset: Dataset
    model: Model
    training: Training
    distillation: Distillation
    generations: Count
    generation_offset: Count
    temperatures: list[Positive]
    seeds: list[Seed]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_empty(cfg, "seeds")
    refuse_repeats(cfg, "seeds", "temperatures")
    refuse_clashes(cfg.seeds, "generation_offset", cfg.generation_offset, cfg.generations)


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer generations, then seeds; fewer steps last, since only they train other nets."""
    yield cfg
    while cfg.generations > 1:
        yield (cfg := replace(cfg, generations=cfg.generations - 1))
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))
    while cfg.training.steps > 500:
        yield (cfg := replace(cfg, training=replace(cfg.training, steps=cfg.training.steps * 3 // 4)))


def rows(cfg: Config) -> Iterator[Row]:
    """Every generation of every seed, the first one also at other temperatures, and the first k born-again generations together."""
    for seed in cfg.seeds:
        first = Fit(cfg.model, cfg.dataset, cfg.training, InitialWeights(cfg.model, seed), seed)
        yield Row(first, {"arm": "single", "generation": 0, "seed": seed})
        born = [first]
        for generation in range(1, cfg.generations + 1):
            other = seed + generation * cfg.generation_offset
            taught = Fit(
                cfg.model, cfg.dataset, cfg.training, InitialWeights(cfg.model, other), other,
                distillation=cfg.distillation, teacher=Logits((born[-1],), cfg.dataset),
            )  # fmt: skip
            born.append(taught)
            yield Row(taught, {"arm": "single", "generation": generation, "seed": seed})
            for temperature in cfg.temperatures if generation == 1 else []:
                other_way = replace(taught, distillation=replace(cfg.distillation, temperature=temperature))
                yield Row(other_way, {"arm": "temperature", "generation": generation, "temperature": temperature, "seed": seed})
            if generation > 1:
                yield Row(Ensemble(tuple(born[1:]), cfg.dataset), {"arm": "ensemble", "generation": generation, "seed": seed})
