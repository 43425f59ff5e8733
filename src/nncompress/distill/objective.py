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
        logits, weight = net(batch["x"]).float(), self.spec.hard_weight
        match = MATCHES[self.spec.match](logits, batch["teacher_logits"], self.spec.temperature)
        if weight == 0:  # the labels are not even looked at: a transfer set needs none
            return {"loss": match}
        return {"loss": (1 - weight) * match + weight * cross_entropy(logits, batch["y"])}
