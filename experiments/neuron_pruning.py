"""Pruning whole units (Hu et al. 2016, "Network Trimming", arXiv:1607.03250; Wen et al. 2016, "Learning Structured Sparsity in Deep Neural
Networks", arXiv:1608.03665) against pruning single weights: what is saved in bytes, and what of it in time.

Claim: units that are seldom active can go, and the smaller dense net is faster by about what it is smaller, while a net with as few weights at
scattered places is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from experiments.checking import refuse_empty, refuse_repeats, refuse_unknown_arms
from experiments.neuron_pruning_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.neurons import Form, Importance, SmallerWeights, Speed, smaller_model
from nncompress.lab.row import Row
from nncompress.lab.stages import Fit, InitialWeights, PrunedMask
from nncompress.types import STRICT, Count, Dataset, Model, Seed, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds", "arms")  # not `shares`, since each round prunes what the one before has left
IDENTITY = ("share",)
BY: dict[str, Importance] = {
    "units_by_weights": "weights", "units_by_activity": "activity", "units_by_output": "output", "units_at_random": "random",
}  # fmt: skip
ARMS = ("dense", "int8", *BY, "fresh", "single_weights")


@dataclass(frozen=True)
class Config:
    """`shares`: of the units of each hidden layer that are left, from one round to the next, falling. `trimmed_shares`: the same, each pruned
    from the dense net at once. `single_weights` keeps in each round as many weights of each layer as the smaller net has. `batches`,
    `timings`: how speed is measured."""

    __pydantic_config__ = STRICT
    dataset: Dataset
    model: Model
    training: Training
    retraining: Training
    shares: list[Annotated[float, Field(gt=0, lt=1)]]
    trimmed_shares: list[Annotated[float, Field(gt=0, lt=1)]]
    batches: tuple[Count, ...]
    timings: Count
    seeds: list[Seed]
    arms: list[str]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_unknown_arms(cfg, ARMS)
    refuse_empty(cfg, "seeds", "shares", "batches")
    refuse_repeats(cfg, "seeds", "arms", "shares", "trimmed_shares", "batches")
    if both := sorted(set(cfg.shares) & set(cfg.trimmed_shares)):
        raise UserError(f"trimmed_shares = {list(cfg.trimmed_shares)}: {both[0]} is one of shares already; give it in one of the two")
    if cfg.model.name != "mlp" or len(cfg.model.widths) < 3:
        raise UserError(f"model.name = {cfg.model.name}: units are removed from an mlp with hidden layers; give model.widths of one")
    if list(cfg.shares) != sorted(cfg.shares, reverse=True):
        raise UserError(f"shares = {cfg.shares}: give them falling, since each round prunes what the one before has left")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer seeds, rounds and steps."""
    yield cfg
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))
    while len(cfg.shares) > 2:
        yield (cfg := replace(cfg, shares=cfg.shares[:-1]))
    while cfg.training.steps > 500:
        shorter = {name: replace(t, steps=t.steps * 3 // 4) for name in ("training", "retraining") for t in (getattr(cfg, name),)}
        yield (cfg := replace(cfg, **shorter))


def rows(cfg: Config) -> Iterator[Row]:
    """Every arm, share and seed, as the stage that measures its speed."""
    for seed in cfg.seeds:
        dense = Fit(cfg.model, cfg.dataset, cfg.training, InitialWeights(cfg.model, seed), seed)
        speed = Speed(dense, dense, batches=cfg.batches, rounds=cfg.timings)
        alone: dict[str, Form] = {"dense": "dense", "int8": "int8"}
        for arm in cfg.arms:
            if arm in alone:
                yield Row(replace(speed, form=alone[arm]), {"arm": arm, "share": 1.0, "seed": seed})
                continue
            form: Form = "csr" if arm == "single_weights" else "dense"
            for share, fit in zip(cfg.shares, rounds(cfg, arm, dense), strict=True):
                yield Row(replace(speed, fit=fit, form=form), {"arm": arm, "share": share, "seed": seed})
            for share in cfg.trimmed_shares if arm in BY else ():
                yield Row(replace(speed, fit=without_units(cfg, dense, share, BY[arm])), {"arm": arm, "share": share, "seed": seed})


def rounds(cfg: Config, arm: str, dense: Fit) -> Iterator[Fit]:
    """The net of each share, pruned from that of the share before and trained on; a fresh one is trained from new weights as long as the
    dense net."""
    fit = dense
    for before, share in pairwise((1.0, *cfg.shares)):
        small = smaller_model(cfg.model, share)
        if arm == "fresh":
            yield replace(dense, model=small, start=InitialWeights(small, dense.seed))
            continue
        if arm == "single_weights":
            last = len(cfg.model.widths) - 1
            kept = {f"fc{layer}.weight": share / before if layer in (1, last) else (share / before) ** 2 for layer in range(1, last + 1)}
            mask = PrunedMask(fit, {name: 1 - left for name, left in kept.items()})
            fit = replace(fit, training=cfg.retraining, start=fit, mask=mask)
        else:
            fit = without_units(cfg, fit, share, BY[arm])
        yield fit


def without_units(cfg: Config, fit: Fit, share: float, by: Importance) -> Fit:
    """The net with this share of the units that `cfg.model` has, the most important ones of `fit`, trained on."""
    small = smaller_model(cfg.model, share)
    return replace(fit, model=small, training=cfg.retraining, start=SmallerWeights(fit, small, by, fit.seed))
