"""The nets of Han et al. 2015 and 2016, dense and pruned, which their recipes share (conf/han/nets.yaml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, TypeVar

from pydantic import Field

from nncompress.lab.pretrained import PretrainedWeights
from nncompress.lab.pruning import ThresholdMask
from nncompress.lab.stages import Fit, InitialWeights, MaskStage
from nncompress.types import STRICT, Dataset, Model, Seed, Training

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class HanNets:
    """`quality`: layer -> threshold over the standard deviation of the dense layer. `pretrained`: torchvision's name of the weights of the
    dense net, None = it is trained."""

    __pydantic_config__ = STRICT
    dataset: Dataset
    model: Model
    training: Training
    retraining: Training
    quality: dict[str, Annotated[float, Field(ge=0)]]
    seeds: list[Seed]
    pretrained: str | None = field(default=None, kw_only=True)

    def dense_fit(self, seed: int) -> Fit:
        """The dense net of a seed; that of pretrained weights is only measured, and its seed says in which order its pruned net is trained."""
        if self.pretrained is not None:
            return Fit(self.model, self.dataset, self.training, PretrainedWeights(self.model, self.pretrained), seed, stop_step=0)
        return Fit(self.model, self.dataset, self.training, InitialWeights(self.model, seed), seed)

    def pruned_fit(self, dense: Fit) -> Fit:
        """The paper's three steps: train, prune below the thresholds, retrain."""
        return self.retrained(dense, ThresholdMask(dense, weights(self.quality), dense))

    def retrained(self, fit: Fit, mask: MaskStage, retraining: Training | None = None) -> Fit:
        """The trained net `fit` trained on under a mask, from what survives (Han et al. 2015, sec. 3.4), dropout adjusted (sec. 3.2)."""
        return replace(fit, start=fit, mask=mask, training=retraining or self.retraining, adjust_dropout=True, stop_step=None)


def weights(by_layer: Mapping[str, Number]) -> dict[str, Number]:
    """Layer -> number, as parameter name -> number."""
    return {f"{layer}.weight": value for layer, value in by_layer.items()}
