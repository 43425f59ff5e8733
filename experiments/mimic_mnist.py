"""Ba & Caruana 2014, "Do Deep Nets Really Need to be Deep?" (arXiv:1312.6184), section 2: what a student should match.

Claim: a student does better by regression on the teacher's logits than by matching its probabilities, since the softmax hides the scale of
the logits. The paper says so of speech; here the student and the teachers are those of Hinton et al. 2015 on MNIST.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.mimic_mnist_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.row import Row
from nncompress.lab.stages import Fit, GradientLimit, InitialWeights, Logits
from nncompress.types import STRICT, Augmentation, Dataset, Distillation, Model, Positive, Seed, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows"]

SELECTS = ("seeds",)


@dataclass(frozen=True)
class Match:
    """`learning_rate`: each loss has gradients of its own size."""

    __pydantic_config__ = STRICT
    distillation: Distillation
    learning_rate: Positive


@dataclass(frozen=True)
class Config:
    """`matches`: arm -> what the student matches. `limit_temperatures`: where the gradient of soft targets is compared with its limit."""

    __pydantic_config__ = STRICT
    dataset: Dataset
    jitter: Augmentation
    teacher: Model
    teacher_training: Training
    student: Model
    training: Training
    matches: dict[str, Match]
    limit_temperatures: tuple[Positive, ...]
    seeds: list[Seed]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    if not cfg.seeds or len(set(cfg.seeds)) < len(cfg.seeds):
        raise UserError(f"seeds = {cfg.seeds}: give at least one, each once")
    if taken := {"teacher", "plain", "gradient_limit"} & cfg.matches.keys():
        raise UserError(f"matches.{min(taken)}: this name is that of another arm; choose another")


def rows(cfg: Config) -> Iterator[Row]:
    """The teacher, the plain net, a student for each match, and the gradients of the plain net."""
    for seed in cfg.seeds:
        jittered = replace(cfg.dataset, augmentation=cfg.jitter)
        teacher = Fit(cfg.teacher, jittered, cfg.teacher_training, InitialWeights(cfg.teacher, seed), seed)
        plain = Fit(cfg.student, cfg.dataset, cfg.training, InitialWeights(cfg.student, seed), seed)
        logits = Logits((teacher,), cfg.dataset)
        yield Row(teacher, {"arm": "teacher", "seed": seed})
        yield Row(plain, {"arm": "plain", "seed": seed})
        for arm, match in cfg.matches.items():
            training = replace(cfg.training, learning_rate=match.learning_rate)
            yield Row(replace(plain, training=training, distillation=match.distillation, teacher=logits), {"arm": arm, "seed": seed})
        limit = GradientLimit(plain, logits, cfg.limit_temperatures)
        yield Row(limit, {"arm": "gradient_limit", "seed": seed}, keep_curves=True)
