"""Ba & Caruana 2014, "Do Deep Nets Really Need to be Deep?" (arXiv:1312.6184), section 2: what a student should match.

Claim: a student does better by regression on the teacher's logits than by matching its probabilities, since the softmax hides the scale of
the logits. The paper says so of speech; here the student and the teachers are those of Hinton et al. 2015 on MNIST.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.hinton_nets import Nets
from experiments.mimic_mnist_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.row import Row
from nncompress.lab.stages import GradientLimit, Logits
from nncompress.types import STRICT, Distillation, Positive

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds",)
ALONG = ("temperature",)


@dataclass(frozen=True)
class Match:
    """`learning_rate`: each loss has gradients of its own size."""

    __pydantic_config__ = STRICT
    distillation: Distillation
    learning_rate: Positive


@dataclass(frozen=True)
class Config(Nets):
    """`matches`: arm -> what the student matches. `limit_temperatures`: where the gradient of soft targets is compared with its limit."""

    matches: dict[str, Match]
    limit_temperatures: tuple[Positive, ...]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    cfg.check_seeds()
    if taken := {"teacher", "plain", "gradient_limit"} & cfg.matches.keys():
        raise UserError(f"matches.{min(taken)}: this name is that of another arm; choose another")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer matches, then seeds; fewer steps last, since only they train other nets."""
    yield cfg
    while len(cfg.matches) > 3:
        yield (cfg := replace(cfg, matches=dict(list(cfg.matches.items())[:-1])))
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))
    while cfg.training.steps > 500:
        yield (cfg := cfg.shorter("training", "teacher_training"))


def rows(cfg: Config) -> Iterator[Row]:
    """The teacher, the plain net, a student for each match, and the gradients of the plain net."""
    for seed in cfg.seeds:
        teacher, plain = cfg.teacher_fit(seed), cfg.plain_fit(seed)
        logits = Logits((teacher,), cfg.dataset)
        yield Row(teacher, {"arm": "teacher", "seed": seed})
        yield Row(plain, {"arm": "plain", "seed": seed})
        for arm, match in cfg.matches.items():
            at_its_rate = replace(cfg, taught_learning_rate=match.learning_rate)
            yield Row(at_its_rate.taught(plain, match.distillation, logits), {"arm": arm, "seed": seed})
        limit = GradientLimit(plain, logits, cfg.limit_temperatures)
        yield Row(limit, {"arm": "gradient_limit", "seed": seed}, keep_curves=True)
