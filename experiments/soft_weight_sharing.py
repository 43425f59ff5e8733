"""Ullrich, Meeds & Welling 2017, "Soft Weight-Sharing for Neural Network Compression" (arXiv:1702.04008): the LeNets on MNIST, down to files.

Claim: a net trained on under a mixture of Gaussians, whose weights are then put at the means, takes a sixtieth of its bytes and errs hardly
more; pruning and quantisation are one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from experiments.checking import refuse_empty, refuse_repeats, refuse_unknown_arms
from experiments.compressed_files import fewer_arms_then_seeds
from experiments.soft_weight_sharing_claims import CLAIMS, FIGURES, TABLES
from nncompress.lab.quantizing import CompressedFile
from nncompress.lab.row import Row, Value
from nncompress.lab.sharing import MixtureMeans, SoftSharedFile
from nncompress.lab.stages import Fit, InitialWeights
from nncompress.types import STRICT, Beta, Dataset, Model, Positive, Seed, SoftSharing, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds", "control_seeds", "arms", "taus")
IDENTITY = ("tau",)
HEADLINE = ("reference", "soft_weight_sharing", "no_hyper_priors", "nearest_mean")
ARMS = (*HEADLINE, "even_starts", "no_hyper_priors_as_tutorial", "learnt_zero_share", "tau")
PICTURES = ("mixture/step", "mixture/epoch", "mixture/means", "mixture/log_precisions", "mixture/log_shares", "mixture/counts", "mixture/edges")


@dataclass(frozen=True)
class Config:
    """`training`: of the dense net. `retraining`: of the same net under the mixture of `sharing`. `merge_below`: divergence in nats under which
    two components are one. `even_rate`: of all of the mixture's parameters in the arms `even_starts` and `no_hyper_priors`, whose means
    start over the range of the weights. `zero_share_prior`: of pi_0 in the arm `learnt_zero_share`. `taus`: values of sharing.tau that the
    arm `tau` tries. `seeds`: of the reference and of the arms `soft_weight_sharing`, `no_hyper_priors` and `nearest_mean`; `control_seeds`:
    of the others."""

    __pydantic_config__ = STRICT
    dataset: Dataset
    model: Model
    training: Training
    retraining: Training
    sharing: SoftSharing
    merge_below: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    even_rate: Positive
    zero_share_prior: Beta
    taus: list[Positive]
    seeds: list[Seed]
    control_seeds: list[Seed]
    arms: list[str]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_unknown_arms(cfg, ARMS)
    refuse_repeats(cfg, "seeds", "control_seeds", "arms", "taus")
    refuse_empty(cfg, "seeds")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer arms, then seeds."""
    yield from fewer_arms_then_seeds(cfg, 2)


def rows(cfg: Config) -> Iterator[Row]:
    """Every arm and seed, as the file that measures it."""
    for arm in cfg.arms:
        for seed in cfg.seeds if arm in HEADLINE else cfg.control_seeds:
            yield from arm_rows(cfg, arm, seed)


def arm_rows(cfg: Config, arm: str, seed: int) -> Iterator[Row]:
    columns: dict[str, Value] = {"arm": arm, "seed": seed}
    if arm == "reference":
        yield Row(CompressedFile(dense_fit(cfg, seed), None, {}, {}), columns)
    elif arm == "soft_weight_sharing":
        first = seed == cfg.seeds[0]
        pictures = (*PICTURES, "joint", "edges", "matrices") if first else ()
        yield Row(file(cfg, seed, cfg.sharing), columns, keep_arrays=pictures, keep_file=f"{cfg.model.name}.nnc" if first else "")
    elif arm == "no_hyper_priors":
        yield Row(file(cfg, seed, replace(even_starts(cfg), zero_precision=None, precisions=None)), columns)
    elif arm == "no_hyper_priors_as_tutorial":
        yield Row(file(cfg, seed, replace(cfg.sharing, zero_precision=None, precisions=None)), columns)
    elif arm == "nearest_mean":
        yield Row(file(cfg, seed, cfg.sharing, "nearest"), columns)
    elif arm == "even_starts":
        yield Row(file(cfg, seed, even_starts(cfg)), columns)
    elif arm == "learnt_zero_share":
        yield Row(file(cfg, seed, replace(cfg.sharing, zero_share_prior=cfg.zero_share_prior)), columns)
    else:
        for tau in cfg.taus:
            yield Row(file(cfg, seed, replace(cfg.sharing, tau=tau)), {**columns, "tau": tau})


def even_starts(cfg: Config) -> SoftSharing:
    """`cfg.sharing`, but means start over the range of the weights, each Gaussian covers its part, and all learn at one rate, as in the
    paper."""
    rate = cfg.even_rate
    return replace(cfg.sharing, reach=None, initial_std=None, mean_rate=rate, precision_rate=rate, share_rate=rate)


def dense_fit(cfg: Config, seed: int) -> Fit:
    """The dense net of a seed."""
    return Fit(cfg.model, cfg.dataset, cfg.training, InitialWeights(cfg.model, seed), seed)


def file(cfg: Config, seed: int, sharing: SoftSharing, assign: Literal["responsibility", "nearest"] = "responsibility") -> SoftSharedFile:
    """The paper's steps: train, train on under the mixture, merge its components, put each weight at its mean, write the file."""
    dense = dense_fit(cfg, seed)
    means = MixtureMeans(replace(dense, start=dense, training=cfg.retraining, sharing=sharing), cfg.merge_below, assign)
    return SoftSharedFile(means, means, {}, None)
