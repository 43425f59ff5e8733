"""The smallest file: what this project has against the sizes that Han, Mao & Dally 2016 (arXiv:1510.00149) and Ullrich, Meeds & Welling 2017
(arXiv:1702.04008) print for the LeNets on MNIST.

A net that learns a better teacher's soft targets is pruned round by round, each time at the full learning rate again (Renda et al. 2020); its
weights come to share few values little by little (Zhou et al. 2017); the whole is coded by predictions from context. Of the files of several
rounds and sizes of codebooks the smallest is chosen whose validation error is within a bound that is fixed beforehand.

Claim: a file of a hundred-and-twentieth (LeNet-300-100), a two-hundredth (LeNet-5) of the bytes errs no more than the papers' dense nets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from experiments.checking import refuse_empty, refuse_repeats, refuse_unknown_arms
from experiments.compressed_files import fewer_arms_then_seeds
from experiments.deep_compression_plus_claims import CLAIMS, FIGURES, TABLES
from experiments.han_nets import weights
from nncompress.errors import UserError
from nncompress.lab.quantizing import CompressedFile, SharedWeights
from nncompress.lab.row import Row, Value
from nncompress.lab.smallest import CandidateFile, LivingMask, SmallestFile
from nncompress.lab.stages import Fit, InitialWeights, Logits, PrunedMask
from nncompress.types import STRICT, Augmentation, Count, Dataset, Distillation, Fraction, Model, Seed, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds", "control_seeds", "arms")
IDENTITY = ("entries", "coder")
ARMS = ("smallest", "candidate", "coders", "reference", "record")
OTHER_CODERS = ("huffman", "ans")
Entries = Annotated[int, Field(ge=2, le=256)]
Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Config:
    """`teacher_seeds`: of the nets that teach together, on images under `jitter`; none: the labels alone teach. `training`: of the dense net,
    `retraining`: of every round of pruning, `tuning`: of every step of sharing. `prune_fraction`: layer -> share of the surviving weights
    removed each round. `file_rounds`: the rounds whose nets become files, rising. `entries`: sizes of the layers' codebooks that are tried,
    `bias_entries`: of those of their biases. `initial`: how centroids start. `shares`: of the weights that share values, rising, before all
    do. `allowed_error`: of a file on the validation split. `control_seeds`: of the other coders; `seeds`: of all else."""

    __pydantic_config__ = STRICT
    dataset: Dataset
    model: Model
    jitter: Augmentation
    teacher: Model
    teacher_training: Training
    teacher_seeds: list[Seed]
    distillation: Distillation
    training: Training
    retraining: Training
    tuning: Training
    prune_fraction: dict[str, Fraction]
    file_rounds: list[Count]
    entries: list[Entries]
    bias_entries: Entries
    initial: Literal["linear", "density", "random"]
    shares: list[Share]
    allowed_error: Fraction
    seeds: list[Seed]
    control_seeds: list[Seed]
    arms: list[str]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_unknown_arms(cfg, ARMS)
    refuse_empty(cfg, "seeds", "file_rounds", "entries")
    refuse_repeats(cfg, "teacher_seeds", "file_rounds", "entries", "shares", "seeds", "control_seeds", "arms")
    for key in ("file_rounds", "shares"):
        if (values := list(getattr(cfg, key))) != sorted(values):
            raise UserError(f"{key} = {values}: give them rising, since each builds on the one before")
    if cfg.dataset.validation == 0:
        raise UserError("dataset.validation = 0: files are chosen by their validation error; hold some out, such as dataset.validation=10000")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer arms, then seeds."""
    yield from fewer_arms_then_seeds(cfg, 2)


def rows(cfg: Config) -> Iterator[Row]:
    """Every arm and seed, as the stage that measures it."""
    found = {seed: list(candidates(cfg, seed)) for seed in {*cfg.seeds, *cfg.control_seeds}}
    for arm in cfg.arms:
        if arm == "record":
            every = tuple(file for seed in cfg.seeds for _, file in found[seed])
            # One file of all seeds; it stands under the first, since every record has a seed.
            yield Row(SmallestFile(every, cfg.allowed_error), {"arm": arm, "seed": cfg.seeds[0]}, keep_file=f"{cfg.model.name}.nnc")
        for seed in {"coders": cfg.control_seeds, "record": []}.get(arm, cfg.seeds):
            columns: dict[str, Value] = {"arm": arm, "seed": seed}
            if arm == "reference":
                yield Row(CompressedFile(dense_fit(cfg, seed), None, {}, {}), columns)
            elif arm == "smallest":
                yield Row(SmallestFile(tuple(file for _, file in found[seed]), cfg.allowed_error), columns)
            elif arm == "candidate":
                for point, file in found[seed]:
                    yield Row(file, {**columns, **point})
            else:
                for point, file in found[seed]:
                    for coder in OTHER_CODERS:
                        yield Row(replace(file, coder=coder), {**columns, **point, "coder": coder})


def dense_fit(cfg: Config, seed: int) -> Fit:
    """The dense net of a seed, taught by all teachers together."""
    dense = Fit(cfg.model, cfg.dataset, cfg.training, InitialWeights(cfg.model, seed), seed)
    if not cfg.teacher_seeds:
        return dense
    jittered = replace(cfg.dataset, augmentation=cfg.jitter)
    teachers = tuple(Fit(cfg.teacher, jittered, cfg.teacher_training, InitialWeights(cfg.teacher, own), own) for own in cfg.teacher_seeds)
    return replace(dense, distillation=cfg.distillation, teacher=Logits(teachers, cfg.dataset))


def candidates(cfg: Config, seed: int) -> Iterator[tuple[dict[str, Value], CandidateFile]]:
    """The files that a seed's net becomes, each with its round and the entries of its codebooks."""
    fit = dense_fit(cfg, seed)
    for round_ in range(1, cfg.file_rounds[-1] + 1):
        mask = LivingMask(PrunedMask(fit, weights(cfg.prune_fraction)))
        fit = replace(fit, start=fit, mask=mask, training=cfg.retraining)
        for entries in cfg.entries if round_ in cfg.file_rounds else ():
            yield {"round": round_, "entries": entries}, file(cfg, fit, entries)


def file(cfg: Config, fit: Fit, entries: int) -> CandidateFile:
    """A pruned net whose weights and biases share values: ever more of them, and codebooks and all others trained on after each step."""
    sizes = weights(dict.fromkeys(cfg.prune_fraction, entries)) | {f"{layer}.bias": cfg.bias_entries for layer in cfg.prune_fraction}
    widths = {name: size.bit_length() for name, size in sizes.items()}  # one code more than entries: other coders need it for fillers
    for share in (*cfg.shares, 1.0):
        shared = SharedWeights(fit, widths, cfg.initial, fit.seed, share, sizes)
        fit = replace(fit, start=shared, mask=shared, codebook=shared, training=cfg.tuning)
    return CandidateFile(fit, shared, widths, None, "context", half=True)
