"""Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), section 4: speech.

Claim: a single acoustic model that learns the soft targets of ten together keeps most of what the ten gain over one, in frames and in words.
The paper's model says which of 14,000 states of hidden Markov models a frame is in, and its data are not public; here a frame is in a third of
one of ten spoken digits, and the word of a recording is that which its frames make likeliest (`nncompress.speech.words.recognise`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from experiments.checking import refuse_clashes, refuse_repeats
from experiments.hinton_nets import Plain
from experiments.hinton_speech_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.row import Row, Value
from nncompress.lab.stages import Fit, InitialWeights, Logits, Utterances
from nncompress.types import Count, Distillation, Positive

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("temperatures", "seeds")
IDENTITY = ("temperature",)


@dataclass(frozen=True)
class Config(Plain):
    """`members`: nets of an ensemble, which differ in their initial weights only; those of a seed's first are the baseline's, `member_offset`
    leads from each to the next. `student_offset` leads from the first to the weights that distilled nets start from, which are no member's.
    `temperatures`: each tried with `distillation`'s weight of the labels."""

    members: Annotated[int, Field(ge=2)]
    member_offset: Count
    student_offset: Count
    distillation: Distillation
    temperatures: list[Positive]

    def ensemble(self, seed: int) -> tuple[Fit, ...]:
        """The nets of a seed; the first is the baseline."""
        others = (InitialWeights(self.student, seed + k * self.member_offset) for k in range(self.members))
        return tuple(replace(self.plain_fit(seed), start=start) for start in others)

    def distilled_fit(self, seed: int) -> Fit:
        """The net that learns from a seed's ensemble."""
        start = InitialWeights(self.student, seed + self.student_offset)
        return self.taught(replace(self.plain_fit(seed), start=start), self.distillation, Logits(self.ensemble(seed), self.dataset))


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    cfg.check_seeds()
    refuse_repeats(cfg, "temperatures")
    refuse_clashes(cfg.seeds, "member_offset", cfg.member_offset, cfg.members - 1)
    members = {seed + k * cfg.member_offset for seed in cfg.seeds for k in range(cfg.members)}
    if clash := members & {seed + cfg.student_offset for seed in cfg.seeds}:
        raise UserError(
            f"student_offset = {cfg.student_offset} leads from a seed to that of an ensemble's net ({min(clash)}); choose another, such as "
            f"{cfg.member_offset * cfg.members}"
        )


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer temperatures, then seeds; fewer steps last, since only they train other nets."""
    yield cfg
    while cfg.temperatures:
        yield (cfg := replace(cfg, temperatures=cfg.temperatures[:-1]))
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))
    while cfg.training.steps > 100:
        yield (cfg := replace(cfg, training=replace(cfg.training, steps=cfg.training.steps * 3 // 4)))


def rows(cfg: Config) -> Iterator[Row]:
    """For each seed a net alone, ten together, a net taught by the ten, and others taught at other temperatures."""
    for seed in cfg.seeds:
        members, student = cfg.ensemble(seed), cfg.distilled_fit(seed)
        yield row(cfg, (members[0],), {"arm": "baseline", "seed": seed})
        yield row(cfg, members, {"arm": "ensemble", "seed": seed})
        yield row(cfg, (student,), {"arm": "distilled", "seed": seed})
        for temperature in cfg.temperatures:
            other = replace(student, distillation=replace(cfg.distillation, temperature=temperature))
            yield row(cfg, (other,), {"arm": "temperature", "temperature": temperature, "seed": seed})


def row(cfg: Config, fits: tuple[Fit, ...], columns: dict[str, Value]) -> Row:
    """The nets measured on frames and on utterances. Learning curves are kept of the two arms that are compared by them."""
    return Row(Utterances(fits, cfg.dataset), columns, keep_curves=columns["arm"] in ("baseline", "distilled"))
