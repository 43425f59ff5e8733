"""Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531), section 5: specialists.

Claim: a generalist that asks specialists for the classes that it confuses is right more often, and the more so the more specialists there are
for a class. Section 6.1 proposes, and does not try, specialists over all classes that soft targets of the generalist keep from overfitting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.checking import refuse_clashes, refuse_empty, refuse_repeats, refuse_unknown_arms
from experiments.hinton_specialists_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.row import Row, Value
from nncompress.lab.stages import Consultation, Ensemble, Fit, InitialWeights, Logits, SpecialClasses, SpecialistWeights, Specialty
from nncompress.types import STRICT, Count, Dataset, Distillation, Model, Positive, Seed, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds", "arms")
ARMS = ("generalist", "generalist_trained_on", "generalists_together", "specialists", "full_softmax", "full_softmax_soft")


@dataclass(frozen=True)
class Config:
    """`training`: of the generalist, `specialist_training`: of specialists, and of the generalist that is trained on instead.

    `specialists`: how many there are, `special_classes`: how many classes each has; specialists are asked about the generalist's `top_classes`
    most probable classes. `clustering_temperature`: of the predictions whose covariance is clustered, in so many `clustering_passes`.
    `distillation`: how specialists over all classes learn from the generalist what is not special. `specialist_offset`: added to the seed for
    each specialist, so that it sees its batches in an order of its own, and for each further net of the arm `generalists_together`, which has
    as many as a generalist with its specialists.
    """

    __pydantic_config__ = STRICT
    dataset: Dataset
    model: Model
    training: Training
    specialist_training: Training
    specialists: Count
    special_classes: Count
    top_classes: Count
    clustering_temperature: Positive
    clustering_passes: Count
    distillation: Distillation
    specialist_offset: Count
    arms: list[str]
    seeds: list[Seed]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_unknown_arms(cfg, ARMS)
    refuse_empty(cfg, "seeds", "arms")
    refuse_repeats(cfg, "seeds", "arms")
    refuse_clashes(cfg.seeds, "specialist_offset", cfg.specialist_offset, cfg.specialists)
    classes = outputs(cfg.model)
    for name, most, why in (
        ("special_classes", classes - 1, "a specialist must leave classes to its dustbin"),
        ("specialists", classes, "their classes come from clusters of the classes"),
        ("top_classes", classes, "there are no more"),
    ):
        if getattr(cfg, name) > most:
            raise UserError(f"{name} = {getattr(cfg, name)} of a model with {classes} outputs: {why}; give at most {most}")
    if cfg.specialist_training.batch_size % 2:
        raise UserError(f"specialist_training.batch_size = {cfg.specialist_training.batch_size}: half of it is special; give an even number")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer arms, then seeds; fewer steps last, since only they train other nets."""
    yield cfg
    while len(cfg.arms) > 3:
        yield (cfg := replace(cfg, arms=cfg.arms[:-1]))
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))
    while cfg.training.steps > 500 and cfg.specialist_training.steps > 100:
        shorter = {name: replace(t, steps=t.steps * 3 // 4) for name in ("training", "specialist_training") for t in (getattr(cfg, name),)}
        yield (cfg := replace(cfg, **shorter))


def rows(cfg: Config) -> Iterator[Row]:
    """Every arm and seed, as the stage that measures it. The classes of a specialist are known only when its generalist is trained: `classes`
    stands for them here."""
    for arm in cfg.arms:
        for seed in cfg.seeds:
            generalist = generalist_fit(cfg, seed)
            logits = Logits((generalist,), cfg.dataset)
            classes = SpecialClasses(logits, cfg.specialists, cfg.special_classes, seed, cfg.clustering_temperature, cfg.clustering_passes)
            columns: dict[str, Value] = {"arm": arm, "seed": seed}
            if arm == "generalist":
                yield Row(generalist, columns, keep_curves=True)
            elif arm == "generalist_trained_on":  # for as long as a specialist
                yield Row(replace(generalist, training=cfg.specialist_training, start=generalist), columns, keep_curves=True)
            elif arm == "generalists_together":
                others = (generalist_fit(cfg, seed + cfg.specialist_offset * (1 + place)) for place in range(cfg.specialists))
                yield Row(Ensemble((generalist, *others), cfg.dataset), columns)
            else:
                fits = tuple(specialist(cfg, arm, generalist, Specialty(classes, place)) for place in range(cfg.specialists))
                yield Row(Consultation(generalist, fits, classes, cfg.top_classes), columns)


def generalist_fit(cfg: Config, seed: int) -> Fit:
    """A net of all classes."""
    return Fit(cfg.model, cfg.dataset, cfg.training, InitialWeights(cfg.model, seed), seed)


def specialist(cfg: Config, arm: str, generalist: Fit, specialty: Specialty) -> Fit:
    """One specialist of the arm, which goes on from the generalist."""
    seed = generalist.seed + cfg.specialist_offset * (1 + specialty.place)
    over_all = replace(generalist, training=cfg.specialist_training, start=generalist, seed=seed, specialty=specialty)
    if arm == "full_softmax":
        return over_all
    if arm == "full_softmax_soft":
        return replace(over_all, distillation=cfg.distillation, teacher=specialty.classes.logits)
    return replace(over_all, model=with_dustbin(cfg.model), start=SpecialistWeights(generalist, specialty))


def outputs(model: Model) -> int:
    return model.widths[-1] if model.widths else model.classes or 10


def with_dustbin(model: Model) -> Model:
    """The model with one output more."""
    if model.widths:
        return replace(model, widths=(*model.widths[:-1], model.widths[-1] + 1), classes=None)
    return replace(model, classes=outputs(model) + 1)
