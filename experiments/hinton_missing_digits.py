"""Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), section 3: digits never seen.

Claim: a net that is taught by soft targets on a transfer set without any three still gets most threes right, and nearly all of them once the
bias of that class is corrected; even sevens and eights alone teach it much of the other digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.hinton_missing_digits_claims import CLAIMS, FIGURES, TABLES
from experiments.hinton_nets import Nets
from nncompress.errors import UserError
from nncompress.lab.row import Row
from nncompress.lab.stages import BiasShift, Logits
from nncompress.types import STRICT, Distillation

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds",)
ALONG = ("shift",)


@dataclass(frozen=True)
class TransferSet:
    """`classes`: those whose training images the student sees. `shifted`: those whose biases are then corrected, all by one number."""

    __pydantic_config__ = STRICT
    classes: tuple[int, ...]
    shifted: tuple[int, ...]


@dataclass(frozen=True)
class Config(Nets):
    """`transfer_sets`: arm -> what its student sees. The teacher sees all classes."""

    distillation: Distillation
    transfer_sets: dict[str, TransferSet]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    for name, transfer in cfg.transfer_sets.items():
        for key in ("classes", "shifted"):
            values = getattr(transfer, key)
            if not values or len(set(values)) < len(values) or min(values) < 0:
                raise UserError(f"transfer_sets.{name}.{key} = {list(values)}: name at least one class, each once")
    cfg.check_seeds()


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer seeds; fewer steps last, since only they train other nets."""
    yield cfg
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))
    while cfg.training.steps > 500:
        yield (cfg := cfg.shorter("training", "teacher_training"))


def rows(cfg: Config) -> Iterator[Row]:
    """The teacher, and a student of it for each transfer set."""
    for seed in cfg.seeds:
        teacher = cfg.teacher_fit(seed)
        yield Row(teacher, {"arm": "teacher", "seed": seed})
        for name, transfer in cfg.transfer_sets.items():
            seen = replace(cfg.dataset, train_classes=transfer.classes)
            student = cfg.taught(replace(cfg.plain_fit(seed), dataset=seen), cfg.distillation, Logits((teacher,), seen))
            yield Row(BiasShift(student, transfer.shifted, cfg.dataset), {"arm": name, "seed": seed}, keep_curves=True)
