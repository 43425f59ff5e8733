"""Teaching a student with a teacher's outputs: pure losses, and the objective that uses them."""

from nncompress.distill.losses import cross_entropy, kd_loss, mimic_loss, probability_loss
from nncompress.distill.objective import Distill, DistillOthers

__all__ = ["Distill", "DistillOthers", "cross_entropy", "kd_loss", "mimic_loss", "probability_loss"]
