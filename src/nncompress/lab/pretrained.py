"""Weights that were trained elsewhere, as a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.stages import pack
from nncompress.types import Model


@dataclass(frozen=True, eq=False)
class PretrainedWeights(Stage):
    """The weights that torchvision publishes for a model, see `nncompress.models.pretrained`. `origin`: their name there."""

    stored: ClassVar[bool] = False
    model: Model
    origin: str

    def require(self, data_dir: Path) -> None:
        """See that they can be had, and fit. Raises: UserError."""
        from nncompress.models.pretrained import pretrained_weights

        pretrained_weights(self.model, self.origin, data_dir)

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.models.pretrained import pretrained_weights

        return Artifact(pack("weights", pretrained_weights(self.model, self.origin, lab.runtime.data_dir)))
