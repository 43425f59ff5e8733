"""Han, Pool, Tran & Dally 2015, "Learning both Weights and Connections for Efficient Neural Networks" (arXiv:1506.02626): the LeNets on MNIST.

Claim: train a net, remove the weights below a threshold of their layer, train the rest on at a lower rate: a twelfth of the weights is as
accurate as all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from experiments.checking import refuse_repeats, refuse_unknown_arms
from experiments.han_nets import HanNets, weights
from experiments.han_pruning_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.pruning import PruningAccount, QualityParameters, ThresholdMask, WeightHistogram
from nncompress.lab.row import Row, Value
from nncompress.lab.stages import Fit, InitialWeights, PrunedMask
from nncompress.types import Count, Fraction, Positive, Seed

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds", "control_seeds", "arms", "sensitivity")  # not `depths`: the iterative arm prunes from one to the next
IDENTITY = ("layer", "depth", "kept_share")
ALONG = ("weight",)
TRADE_OFF = ("l2_without_retraining", "l1_without_retraining", "l2_retrained", "l1_retrained", "l2_iterative")
"""The five curves of Figure 5."""
ARMS = (
    "reference", "quality", "pruned", "pruned_iteratively", "account", *TRADE_OFF, "sensitivity", "histogram", "dropout_reference",
    "dropout_adjusted", "dropout_unadjusted",
)  # fmt: skip
HEADLINE = ("reference", "quality", "pruned", "pruned_iteratively", "account")
Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class Config(HanNets):
    """`rounds`: of the iterative arm, whose thresholds rise to these in equal steps. `kept`: layer -> share of its weights that the trade-off
    keeps at depth 1; at depth d it keeps share**d. The arm `quality` says which quality parameters keep these shares. `sensitivity`: shares
    kept of one layer, all others whole. `l1`: penalty of the L1 arms, in place of weight decay. `dropout`: of the hidden fully connected
    layers in the dropout arms. `seeds`: of the arms `HEADLINE`; `control_seeds`: of the others."""

    rounds: Count
    kept: dict[str, Share]
    depths: list[Positive]
    sensitivity: list[Share]
    l1: Positive
    dropout: Fraction
    control_seeds: list[Seed]
    arms: list[str]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_unknown_arms(cfg, ARMS)
    refuse_repeats(cfg, "seeds", "control_seeds", "arms", "depths", "sensitivity")
    if list(cfg.depths) != sorted(cfg.depths):
        raise UserError(f"depths = {cfg.depths}: give them rising, since the iterative arm prunes from one to the next")
    if "account" in cfg.arms and "pruned" not in cfg.arms:
        raise UserError("arms: 'account' is of the pruned net; give 'pruned' too")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer arms, then seeds; fewer steps last, since only they train other nets."""
    yield cfg
    while len(cfg.arms) > 4:
        yield (cfg := replace(cfg, arms=cfg.arms[:-1]))
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1], control_seeds=[s for s in cfg.control_seeds if s in cfg.seeds[:-1]]))
    while cfg.training.steps > 500:
        shorter = {name: replace(t, steps=t.steps * 3 // 4) for name in ("training", "retraining") for t in (getattr(cfg, name),)}
        yield (cfg := replace(cfg, **shorter))


def rows(cfg: Config) -> Iterator[Row]:
    """Every arm and seed, as the stage that measures it."""
    for arm in cfg.arms:
        for seed in cfg.seeds if arm in HEADLINE else cfg.control_seeds:
            yield from arm_rows(cfg, arm, seed)


def arm_rows(cfg: Config, arm: str, seed: int) -> Iterator[Row]:
    dense = cfg.dense_fit(seed)
    columns: dict[str, Value] = {"arm": arm, "seed": seed}
    if arm == "reference":
        yield Row(dense, columns, keep_curves=True)
    elif arm == "quality":
        yield Row(QualityParameters(dense, weights(cfg.kept)), columns)
    elif arm == "pruned":
        picture = ("mask/fc1.weight",) if seed == cfg.seeds[0] and "fc1" in cfg.quality else ()
        yield Row(cfg.pruned_fit(dense), columns, keep_curves=True, keep_arrays=picture)
    elif arm == "pruned_iteratively":
        fit = dense
        for round_ in range(1, cfg.rounds + 1):
            quality = weights({layer: value * round_ / cfg.rounds for layer, value in cfg.quality.items()})
            fit = cfg.retrained(fit, ThresholdMask(fit, quality, dense))
            yield Row(fit, {**columns, "round": round_})
    elif arm == "account":
        yield Row(PruningAccount(cfg.pruned_fit(dense)), columns)
    elif arm in TRADE_OFF:
        yield from trade_off(cfg, arm, dense)
    elif arm == "sensitivity":
        for layer in cfg.kept:
            for share in cfg.sensitivity:
                mask = PrunedMask(dense, weights({layer: 1 - share}))
                yield Row(replace(dense, start=dense, mask=mask, stop_step=0), {**columns, "layer": layer, "kept_share": share})
    elif arm == "histogram":
        for layer in cfg.kept:
            for name, fit in (("weights_before", dense), ("weights_after", cfg.pruned_fit(dense))):
                yield Row(WeightHistogram(fit, layer, dense, REACH), {"arm": name, "layer": layer, "seed": seed}, keep_curves=True)
    else:
        model = replace(cfg.model, hidden_dropout=cfg.dropout)
        dropped = replace(dense, model=model, start=InitialWeights(model, seed))
        pruned_net = cfg.pruned_fit(dropped)
        adjusted = {
            "dropout_reference": dropped,
            "dropout_adjusted": pruned_net,
            "dropout_unadjusted": replace(pruned_net, adjust_dropout=False),
        }
        yield Row(adjusted[arm], columns)


REACH = 8.1
"""Where the histograms of the weights end, in standard deviations: of the survivors of a layer at most about one in a hundred lies beyond."""


def trade_off(cfg: Config, arm: str, dense: Fit) -> Iterator[Row]:
    """One curve of Figure 5: accuracy against the share of weights, with L1 or L2, with and without retraining, and iteratively."""
    retraining = cfg.retraining
    if arm.startswith("l1"):
        dense = replace(dense, training=replace(cfg.training, weight_decay=0.0, l1=cfg.l1))
        retraining = replace(retraining, weight_decay=0.0, l1=cfg.l1)
    fit, before = dense, 0.0
    for depth in cfg.depths:
        if arm == "l2_iterative":
            fit = cfg.retrained(fit, PrunedMask(fit, weights({layer: 1 - share ** (depth - before) for layer, share in cfg.kept.items()})))
            before = depth
        else:
            mask = PrunedMask(dense, weights({layer: 1 - share**depth for layer, share in cfg.kept.items()}))
            fit = cfg.retrained(dense, mask, retraining) if arm.endswith("retrained") else replace(dense, start=dense, mask=mask, stop_step=0)
        yield Row(fit, {"arm": arm, "depth": depth, "seed": dense.seed})
