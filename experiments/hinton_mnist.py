"""Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), section 3: MNIST.

Claim: a net without any regularisation that learns the softened outputs of a large, well regularised net makes hardly more errors than that
net, though it makes twice as many when it learns the labels alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.checking import refuse_clashes, refuse_empty, refuse_repeats, refuse_unknown_arms
from experiments.hinton_mnist_claims import CLAIMS, FIGURES, TABLES
from experiments.hinton_nets import Nets
from nncompress.lab.row import Row
from nncompress.lab.stages import Fit, Imitation, InitialWeights, Logits
from nncompress.types import Distillation, Seed, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds", "ablation_seeds", "arms")
ARMS = (
    "teacher", "plain", "distilled", "distilled_without_labels", "distilled_from_ensemble", "teacher_short", "teacher_without_jitter",
    "teacher_without_dropout", "teacher_without_max_norm",
)  # fmt: skip


@dataclass(frozen=True)
class Config(Nets):
    """`ensemble_seeds`: of the teachers that teach together. `ablation_seeds`, `ablation_training`: of the teachers that lack an ingredient and
    of the one with all of them that they are compared with."""

    distillation: Distillation
    ensemble_seeds: list[Seed]
    ablation_seeds: list[Seed]
    ablation_training: Training
    arms: list[str]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_unknown_arms(cfg, ARMS)
    cfg.check_seeds()
    refuse_empty(cfg, "ensemble_seeds")
    refuse_repeats(cfg, "ensemble_seeds", "ablation_seeds", "arms")
    refuse_clashes({*cfg.seeds, *cfg.ensemble_seeds, *cfg.ablation_seeds}, "teacher_offset", cfg.teacher_offset)


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer arms, then seeds; fewer steps last, since only they train other nets."""
    yield cfg
    while len(cfg.arms) > 3:
        yield (cfg := replace(cfg, arms=cfg.arms[:-1]))
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1], ablation_seeds=[s for s in cfg.ablation_seeds if s in cfg.seeds[:-1]]))
    while cfg.training.steps > 500:
        yield (cfg := cfg.shorter("training", "teacher_training", "ablation_training"))


def rows(cfg: Config) -> Iterator[Row]:
    """Every arm and seed, as the stage that measures it."""
    for arm in cfg.arms:
        for seed in cfg.ablation_seeds if arm.startswith("teacher_") else cfg.seeds:
            yield Row(stage(cfg, arm, seed), {"arm": arm, "seed": seed}, keep_curves=True)


def stage(cfg: Config, arm: str, seed: int) -> Fit | Imitation:
    """The net of an arm and a seed; of a distilled one also how well it matches what taught it."""
    teacher, plain = cfg.teacher_fit(seed), cfg.plain_fit(seed)
    short = replace(teacher, training=cfg.ablation_training)
    if arm.startswith("distilled"):
        distillation = cfg.distillation if arm == "distilled" else replace(cfg.distillation, hard_weight=0.0)  # a transfer set needs no labels
        teachers = tuple(map(cfg.teacher_fit, cfg.ensemble_seeds)) if arm == "distilled_from_ensemble" else (teacher,)
        return Imitation(cfg.taught(plain, distillation, Logits(teachers, cfg.dataset)))
    return {
        "teacher": teacher,
        "plain": plain,
        "teacher_short": short,
        "teacher_without_jitter": replace(short, dataset=cfg.dataset),
        "teacher_without_dropout": without_dropout(short),
        "teacher_without_max_norm": replace(short, training=replace(cfg.ablation_training, max_norm=None)),
    }[arm]


def without_dropout(fit: Fit) -> Fit:
    """The fit of the same net, from the same weights, without dropout."""
    model = replace(fit.model, input_dropout=0.0, hidden_dropout=0.0)
    return replace(fit, model=model, start=InitialWeights(model, fit.seed))
