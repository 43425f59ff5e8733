"""The nets of Hinton, Vinyals & Dean 2015 that their recipes share (conf/hinton)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from experiments.checking import refuse_clashes, refuse_empty, refuse_repeats
from nncompress.lab.stages import Fit, InitialWeights, Logits
from nncompress.types import STRICT, Augmentation, Count, Dataset, Distillation, Model, Positive, Seed, Training


@dataclass(frozen=True)
class Plain:
    """The net that learns the labels alone, which other arms are measured by (conf/hinton/plain.yaml, conf/hinton/speech.yaml).
    `taught_learning_rate`: of the same training where the net learns from a teacher, whose targets give a loss of another curvature;
    `taught_steps`: of that, None = as many."""

    __pydantic_config__ = STRICT
    dataset: Dataset
    student: Model
    training: Training
    taught_learning_rate: Positive
    seeds: list[Seed]
    taught_steps: Count | None = field(default=None, kw_only=True)

    def plain_fit(self, seed: int) -> Fit:
        """The student of a seed that learns the labels alone."""
        return Fit(self.student, self.dataset, self.training, InitialWeights(self.student, seed), seed)

    def taught(self, plain: Fit, distillation: Distillation, teacher: Logits) -> Fit:
        """The plain net as it learns from a teacher instead."""
        steps = self.taught_steps or plain.training.steps
        training = replace(plain.training, learning_rate=self.taught_learning_rate, steps=steps)
        return replace(plain, training=training, distillation=distillation, teacher=teacher)

    def check_seeds(self) -> None:
        """Raises: UserError if there is none, or one twice."""
        refuse_empty(self, "seeds")
        refuse_repeats(self, "seeds")

    def shorter(self, *trainings: str) -> Self:
        """The same with three quarters of the steps of the trainings that are named."""
        return replace(self, **{name: replace(t, steps=t.steps * 3 // 4) for name in trainings for t in (getattr(self, name),)})


@dataclass(frozen=True)
class Nets(Plain):
    """With a teacher, of section 3 (conf/hinton/nets.yaml). `dataset`: what the students see; the teacher sees it under `jitter`.
    `teacher_offset`: added to the seed of a student for its teacher, so that the two start from independent weights."""

    jitter: Augmentation
    teacher: Model
    teacher_training: Training
    teacher_offset: Count

    def teacher_fit(self, seed: int) -> Fit:
        """The teacher of a student's seed: large, regularised, on jittered images, with weights and batches of its own."""
        jittered, own = replace(self.dataset, augmentation=self.jitter), seed + self.teacher_offset
        return Fit(self.teacher, jittered, self.teacher_training, InitialWeights(self.teacher, own), own)

    def check_seeds(self) -> None:
        """Raises: UserError if there is none, or one twice, or the teacher of one has the seed of another."""
        super().check_seeds()
        refuse_clashes(self.seeds, "teacher_offset", self.teacher_offset)
