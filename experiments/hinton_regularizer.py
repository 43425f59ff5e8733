"""Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), section 6: soft targets as regularisers.

Claim: trained on 3 % of the data with labels, a net overfits badly even if it is stopped early; with the soft targets of a net that was
trained on all of the data it becomes nearly as good as that net, and need not be stopped early. The paper shows it with its acoustic model;
here the recipe runs with any net and data set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from experiments.checking import refuse_clashes
from experiments.hinton_nets import Plain
from experiments.hinton_regularizer_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.row import Row
from nncompress.lab.stages import Fit, InitialWeights, Logits
from nncompress.types import STRICT, Count, Distillation

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds",)


@dataclass(frozen=True)
class Few:
    """What nets of little data see, and for how long: the first `examples`, of speech all frames of the first `recordings`, beside `validation`
    examples held out to stop early by (of speech, the data set's validation speakers). `steps`, `evaluate_every`: as of a training."""

    __pydantic_config__ = STRICT
    examples: Count | None
    recordings: Count | None
    validation: Annotated[int, Field(ge=0)]
    steps: Count
    evaluate_every: Count


@dataclass(frozen=True)
class Config(Plain):
    """`dataset`, `training`: of the net that learns the labels of all data; `few`: where the others differ. `few_offset`: added to the seed for
    the others, so that they do not start from the weights of the net that teaches one of them."""

    few: Few
    few_offset: Count
    distillation: Distillation

    def few_fit(self, seed: int) -> Fit:
        """The plain net of a seed on little data."""
        few = self.few
        seen = replace(self.dataset, train_examples=few.examples, train_recordings=few.recordings, validation=few.validation)
        training = replace(self.training, steps=few.steps, evaluate_every=few.evaluate_every)
        own = seed + self.few_offset
        return replace(self.plain_fit(seed), dataset=seen, training=training, start=InitialWeights(self.student, own), seed=own)


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    cfg.check_seeds()
    refuse_clashes(cfg.seeds, "few_offset", cfg.few_offset)
    if (cfg.few.examples is None) == (cfg.few.recordings is None):
        raise UserError(f"few.examples = {cfg.few.examples} and few.recordings = {cfg.few.recordings}: give one of them, recordings of speech")
    if cfg.few.validation == 0 and not cfg.dataset.validation_speakers:
        raise UserError("few.validation = 0: labels on little data are stopped early; hold out some examples, such as few.validation=5000")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer seeds; fewer steps last, since only they train other nets."""
    yield cfg
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))
    while min(cfg.training.steps, cfg.few.steps) > 100:
        training, few = replace(cfg.training, steps=cfg.training.steps * 3 // 4), replace(cfg.few, steps=cfg.few.steps * 3 // 4)
        yield (cfg := replace(cfg, training=training, few=few))


def rows(cfg: Config) -> Iterator[Row]:
    """For each seed the labels of all data, the labels of little, and the first net's soft targets on little."""
    for seed in cfg.seeds:
        everything, few = cfg.plain_fit(seed), cfg.few_fit(seed)
        taught = cfg.taught(few, cfg.distillation, Logits((everything,), few.dataset))
        yield Row(everything, {"arm": "labels_of_all", "seed": seed})
        yield Row(few, {"arm": "labels_of_few", "seed": seed}, keep_curves=True)
        yield Row(taught, {"arm": "soft_targets_of_few", "seed": seed}, keep_curves=True)
