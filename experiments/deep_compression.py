"""Han, Mao & Dally 2016, "Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization and Huffman Coding"
(arXiv:1510.00149): the LeNets on MNIST, down to files.

Claim: pruned, with weights shared through codebooks and coded, a net takes a fortieth of its bytes and errs no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from experiments.checking import refuse_repeats, refuse_unknown_arms
from experiments.compressed_files import fewer_arms_then_seeds
from experiments.deep_compression_claims import CLAIMS, FIGURES, TABLES
from experiments.han_nets import HanNets, weights
from nncompress.errors import UserError
from nncompress.lab.quantizing import CodeHistogram, CompressedFile, LowRank, SharedWeights
from nncompress.lab.row import Row, Value
from nncompress.lab.stages import Fit, PrunedMask
from nncompress.types import Positive, Seed, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds", "control_seeds", "arms", "bits", "initials", "depths", "ranks")
IDENTITY = ("layer", "bits", "initial", "depth", "rank_share")
ALONG = ("symbol",)
HEADLINE = ("reference", "pruned", "pruned_and_quantized", "deep_compression", "deep_compression_ans", "untuned")
ARMS = (*HEADLINE, "codes", "bits", "pruning_only", "quantization_only", "pruning_and_quantization", "low_rank")
Bits = Annotated[int, Field(ge=1, le=16)]
Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class Config(HanNets):
    """`tuning`: how codebooks are trained, assignments fixed. `weight_bits`, `index_bits`: layer -> width of codes and of gaps. `bits`,
    `initials`: widths, for all layers alike, and starts of the centroids that the arm `bits` tries. `kept`, `depths`: layer -> share of its
    weights that the curves with pruning keep at depth 1, and these depths: at depth d share**d are kept. `ranks`: shares of a layer's full rank
    that the arm `low_rank` keeps. `control_seeds`: of the curves; `seeds`: of the table."""

    tuning: Training
    weight_bits: dict[str, Bits]
    index_bits: dict[str, Bits]
    bits: list[Bits]
    initials: list[Literal["linear", "density", "random"]]
    kept: dict[str, Share]
    depths: list[Positive]
    ranks: list[Share]
    control_seeds: list[Seed]
    arms: list[str]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_unknown_arms(cfg, ARMS)
    refuse_repeats(cfg, "seeds", "control_seeds", "arms", "bits", "initials", "depths", "ranks")
    if missing := cfg.weight_bits.keys() ^ cfg.index_bits.keys():
        raise UserError(f"weight_bits and index_bits must name the same layers; {min(missing)} is in one of them only")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer arms, then seeds."""
    yield from fewer_arms_then_seeds(cfg, 4)


def rows(cfg: Config) -> Iterator[Row]:
    """Every arm and seed, as the stage that measures it: but for `reference`, `pruned` and `codes` a file."""
    for arm in cfg.arms:
        for seed in cfg.seeds if arm in HEADLINE else cfg.control_seeds:
            yield from arm_rows(cfg, arm, seed)


def arm_rows(cfg: Config, arm: str, seed: int) -> Iterator[Row]:
    dense = cfg.dense_fit(seed)
    pruned = cfg.pruned_fit(dense)
    shared, tuned = quantized(cfg, pruned, weights(cfg.weight_bits))
    columns: dict[str, Value] = {"arm": arm, "seed": seed}
    if arm == "reference":
        yield Row(CompressedFile(dense, None, {}, {}), columns)
    elif arm == "pruned":
        yield Row(CompressedFile(pruned, None, {}, None, "fixed"), columns)
    elif arm == "untuned":
        yield Row(file(cfg, shared, shared), columns)
    elif arm in HEADLINE:
        coder = {"pruned_and_quantized": "fixed", "deep_compression": "huffman", "deep_compression_ans": "ans"}[arm]
        kept = f"{cfg.model.name}.nnc" if arm == "deep_compression" and seed == cfg.seeds[0] else ""
        yield Row(file(cfg, tuned, shared, coder), columns, keep_file=kept)
    elif arm == "codes":
        for layer in cfg.weight_bits:
            yield Row(CodeHistogram(file(cfg, tuned, shared), f"{layer}.weight"), {**columns, "layer": layer}, keep_curves=True)
    elif arm == "bits":
        for initial in cfg.initials:
            for bits in cfg.bits:
                shared, tuned = quantized(cfg, pruned, weights(dict.fromkeys(cfg.weight_bits, bits)), initial)
                yield Row(file(cfg, tuned, shared), {**columns, "bits": bits, "initial": initial})
    elif arm == "quantization_only":
        for bits in cfg.bits:
            shared, tuned = quantized(cfg, dense, weights(dict.fromkeys(cfg.weight_bits, bits)))
            yield Row(file(cfg, tuned, shared), {**columns, "bits": bits})
    elif arm == "low_rank":
        for rank in cfg.ranks:
            yield Row(LowRank(dense, rank), {**columns, "rank_share": rank})
    else:
        for depth in cfg.depths:
            mask = PrunedMask(dense, weights({layer: 1 - share**depth for layer, share in cfg.kept.items()}))
            fit = cfg.retrained(dense, mask)
            if arm == "pruning_only":
                yield Row(CompressedFile(fit, None, {}, None), {**columns, "depth": depth})
            else:
                shared, tuned = quantized(cfg, fit, weights(cfg.weight_bits))
                yield Row(file(cfg, tuned, shared), {**columns, "depth": depth})


def quantized(cfg: Config, fit: Fit, weight_bits: dict[str, int], initial: str = "linear") -> tuple[SharedWeights, Fit]:
    """Weights that share codebooks (sec. 3), and the fit that trains these on."""
    shared = SharedWeights(fit, weight_bits, initial, fit.seed)
    return shared, replace(fit, start=shared, mask=shared if fit.mask else None, codebook=shared, training=cfg.tuning, stop_step=None)


def file(cfg: Config, net: Fit | SharedWeights, shared: SharedWeights, coder: str = "huffman") -> CompressedFile:
    return CompressedFile(net, shared, shared.weight_bits, weights(cfg.index_bits), coder)
