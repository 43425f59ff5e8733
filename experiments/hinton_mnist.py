"""Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), section 3: MNIST.

Claim: a net without any regularisation that learns the softened outputs of a large, well regularised net makes hardly more errors than that
net, though it makes twice as many when it learns the labels alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.checking import refuse_repeats, refuse_unknown_arms
from experiments.hinton_mnist_claims import CLAIMS, TABLES
from experiments.hinton_nets import Nets
from nncompress.lab.row import Row
from nncompress.lab.stages import Logits
from nncompress.types import Distillation, Seed

__all__ = ["CLAIMS", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds", "ablation_seeds", "arms")
ARMS = (
    "teacher", "plain", "distilled", "distilled_without_labels", "distilled_from_ensemble", "teacher_without_jitter",
    "teacher_without_dropout", "teacher_without_max_norm",
)  # fmt: skip


@dataclass(frozen=True)
class Config(Nets):
    """`ablation_seeds`: of the teachers that lack an ingredient."""

    distillation: Distillation
    ablation_seeds: list[Seed]
    arms: list[str]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_unknown_arms(cfg, ARMS)
    cfg.check_seeds()
    refuse_repeats(cfg, "ablation_seeds", "arms")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer arms, then seeds; fewer steps last, since only they train other nets."""
    yield cfg
    while len(cfg.arms) > 3:
        yield (cfg := replace(cfg, arms=cfg.arms[:-1]))
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1], ablation_seeds=[s for s in cfg.ablation_seeds if s in cfg.seeds[:-1]]))
    while cfg.training.steps > 500:
        shorter = {name: replace(t, steps=t.steps * 3 // 4) for name in ("training", "teacher_training") for t in (getattr(cfg, name),)}
        yield (cfg := replace(cfg, **shorter))


def rows(cfg: Config) -> Iterator[Row]:
    """Every arm and seed, as the stage that measures it."""
    of_all = Logits(tuple(cfg.teacher_fit(seed) for seed in cfg.seeds), cfg.dataset)
    unlabelled = replace(cfg.distillation, hard_weight=0.0)
    for arm in cfg.arms:
        for seed in cfg.ablation_seeds if arm.startswith("teacher_") else cfg.seeds:
            teacher, plain = cfg.teacher_fit(seed), cfg.plain_fit(seed)
            own = Logits((teacher,), cfg.dataset)
            if arm == "teacher":
                fit = teacher
            elif arm == "plain":
                fit = plain
            elif arm == "distilled":
                fit = replace(plain, distillation=cfg.distillation, teacher=own)
            elif arm == "distilled_without_labels":  # a transfer set needs none
                fit = replace(plain, distillation=unlabelled, teacher=own)
            elif arm == "distilled_from_ensemble":  # of all seeds' teachers, likewise without labels
                fit = replace(plain, distillation=unlabelled, teacher=of_all)
            elif arm == "teacher_without_jitter":
                fit = replace(teacher, dataset=cfg.dataset)
            elif arm == "teacher_without_dropout":
                fit = replace(cfg, teacher=replace(cfg.teacher, input_dropout=0.0, hidden_dropout=0.0)).teacher_fit(seed)
            else:
                fit = replace(teacher, training=replace(cfg.teacher_training, max_norm=None))
            yield Row(fit, {"arm": arm, "seed": seed}, keep_curves=True)
