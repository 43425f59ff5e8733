"""Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), section 3: digits never seen.

Claim: a net that is taught by soft targets on a transfer set without any three still gets most threes right, and nearly all of them once the
bias of that class is corrected; even sevens and eights alone teach it much of the other digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.hinton_missing_digits_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.row import Row
from nncompress.lab.stages import BiasShift, Fit, InitialWeights, Logits
from nncompress.types import STRICT, Augmentation, Dataset, Distillation, Model, Seed, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows"]

SELECTS = ("seeds",)


@dataclass(frozen=True)
class TransferSet:
    """`classes`: those whose training images the student sees. `shifted`: those whose biases are then corrected, all by one number."""

    __pydantic_config__ = STRICT
    classes: tuple[int, ...]
    shifted: tuple[int, ...]


@dataclass(frozen=True)
class Config:
    """`dataset`: what the students see; the teacher sees it under `jitter`, all of its classes."""

    __pydantic_config__ = STRICT
    dataset: Dataset
    jitter: Augmentation
    teacher: Model
    teacher_training: Training
    student: Model
    training: Training
    distillation: Distillation
    transfer_sets: dict[str, TransferSet]
    seeds: list[Seed]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    for name, transfer in cfg.transfer_sets.items():
        for key in ("classes", "shifted"):
            values = getattr(transfer, key)
            if not values or len(set(values)) < len(values) or min(values) < 0:
                raise UserError(f"transfer_sets.{name}.{key} = {list(values)}: name at least one class, each once")
    if len(set(cfg.seeds)) < len(cfg.seeds) or not cfg.seeds:
        raise UserError(f"seeds = {cfg.seeds}: give at least one, each once")


def rows(cfg: Config) -> Iterator[Row]:
    """The teacher, and a student of it for each transfer set."""
    for seed in cfg.seeds:
        start = InitialWeights(cfg.teacher, seed)
        teacher = Fit(cfg.teacher, replace(cfg.dataset, augmentation=cfg.jitter), cfg.teacher_training, start, seed)
        yield Row(teacher, {"arm": "teacher", "seed": seed})
        for name, transfer in cfg.transfer_sets.items():
            seen = replace(cfg.dataset, train_classes=transfer.classes)
            plain = Fit(cfg.student, seen, cfg.training, InitialWeights(cfg.student, seed), seed)
            student = replace(plain, distillation=cfg.distillation, teacher=Logits((teacher,), seen))
            yield Row(BiasShift(student, transfer.shifted, cfg.dataset), {"arm": name, "seed": seed}, keep_curves=True)
