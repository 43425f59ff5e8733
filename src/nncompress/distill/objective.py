"""The objective of a student: a teacher's logits, hard labels, or both."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from nncompress.distill.losses import cross_entropy, kd_loss, mimic_loss, probability_loss
from nncompress.types import Distillation

MATCHES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "soft_targets": kd_loss,
    "logits": lambda student, teacher, _: mimic_loss(student, teacher),
    "probabilities": lambda student, teacher, _: probability_loss(student, teacher),
}


class Distill(nn.Module):
    """(1 - w) match(z, v) + w cross-entropy(z, y), the weighted mean of Hinton, Vinyals & Dean 2015, sec. 2.

    The batch holds `teacher_logits` (B, C) beside `x` and `y`. Student logits are divided by the temperature in the match only.
    """

    def __init__(self, spec: Distillation) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, net: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": self.loss(net(batch["x"]).float(), batch)}

    def loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Of the student's logits (B, C) of the batch."""
        weight = self.spec.hard_weight
        match = MATCHES[self.spec.match](logits, batch["teacher_logits"], self.spec.temperature)
        if weight == 0:  # the labels are not even looked at: a transfer set needs none
            return match
        return (1 - weight) * match + weight * cross_entropy(logits, batch["y"])


class DistillOthers(Distill):
    """The objective of a specialist over all classes that should not forget (Hinton, Vinyals & Dean 2015, sec. 6.1): the labels on its special
    examples, the first half of a batch; `Distill` from the generalist on the others, the second half; the mean of the two."""

    def forward(self, net: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        special, other = net(batch["x"]).float().chunk(2)
        others = {name: value.chunk(2)[1] for name, value in batch.items()}
        return {"loss": (cross_entropy(special, batch["y"].chunk(2)[0]) + self.loss(other, others)) / 2}
