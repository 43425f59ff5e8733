"""The stages of Han, Pool, Tran & Dally 2015, beside the fits and masks that the pruning papers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.stages import Fit, MaskStage, expected_shares, pack
from nncompress.prune import Layer, account, gaussian_share, keep_above, quality_keeping, thresholds, without_dead_units


@dataclass(frozen=True, eq=False)
class ThresholdMask(MaskStage):
    """The mask left after removing from each layer what `fit` ended with below the layer's threshold, its quality parameter times the standard
    deviation of the layer in the dense net (sec. 3.5). It starts from the mask that `fit` trained under.

    `quality`: parameter name -> quality parameter.
    """

    option: ClassVar[str] = "quality"
    fit: Fit
    quality: Mapping[str, float]
    dense: Fit

    @property
    def by_layer(self) -> Mapping[str, float]:
        return self.quality

    def expected_shares(self) -> dict[str, float]:
        """As if the weights were normally distributed."""
        return expected_shares(self.fit.mask) | {name: gaussian_share(quality) for name, quality in self.quality.items()}

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        limits = thresholds(given[self.dense].weights, self.quality)
        return Artifact(pack("mask", keep_above(given[self.fit].weights, given[self.fit].masks, limits)))


@dataclass(frozen=True, eq=False)
class QualityParameters(Stage):
    """The quality parameters whose thresholds keep given shares of the weights that `fit`, a dense net, ended with: what a recipe's quality is
    taken from. Metrics: `quality_<layer>`; `std_<layer>`, of the layer's weights.

    `share`: parameter name -> share of its weights to keep.
    """

    fit: Fit
    share: Mapping[str, float]

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        metrics: dict[str, float] = {}
        for name, share in self.share.items():
            array, layer = given[self.fit].weights[name], name.removesuffix(".weight")
            metrics |= {f"quality_{layer}": quality_keeping(array, share), f"std_{layer}": float(array.std(dtype=np.float64))}
        return Artifact({}, metrics)


@dataclass(frozen=True, eq=False)
class PruningAccount(Stage):
    """What is left of a pruned net, layer by layer (Tables 2 to 5), once the connections of dead units are gone: they need not be stored, since
    a unit without inputs gives a constant, which the biases behind it can take over, and one without outputs gives nothing.

    Metrics, shares of one: `kept`, `flops_kept`, `activation` of the whole net and, with the suffix `_<layer>`, of each layer; counts, biases
    not counted: `weights_kept`, `weights_dense` and `flops_dense` (operations, two for a multiply-accumulate), the last two of each layer too,
    `dead_units_<layer>`; `rate`, dense over kept weights; `density`, as trained.
    """

    version: ClassVar[int] = 2
    fit: Fit

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.models import layer_operations, layer_units
        from nncompress.train.fit import activations

        trained = given[self.fit]
        operations, units = layer_operations(self.fit.model), layer_units(self.fit.model)  # these know the order of the layers
        weights = {f"{layer}.weight": trained.weights[f"{layer}.weight"] for layer in operations}
        alive, dead = without_dead_units({name: trained.masks.get(name, np.ones(array.shape, bool)) for name, array in weights.items()})
        active = activations(self.fit.model, self.fit.dataset, trained.weights, lab.runtime)
        layers = [
            Layer(name, mask.size, operations[name], units[name], float(mask.mean()), active[name])
            for name, mask in zip(operations, alive.values(), strict=True)
        ]
        total = account(layers)
        kept, dense = (sum(int(sizes) for sizes in counts) for counts in zip(*((m.sum(), m.size) for m in alive.values()), strict=True))
        metrics: dict[str, float] = {"kept": total.kept, "flops_kept": total.flops, "activation": total.activation}
        metrics |= {"weights_kept": kept, "weights_dense": dense, "rate": dense / kept, "density": trained.metrics["density"]}
        metrics["flops_dense"] = 2 * sum(layer.multiply_accumulates for layer in layers)
        for layer in layers:
            metrics |= {f"weights_dense_{layer.name}": layer.weights, f"flops_dense_{layer.name}": 2 * layer.multiply_accumulates}
            metrics |= {f"kept_{layer.name}": layer.kept, f"activation_{layer.name}": layer.activation}
            metrics |= {f"flops_kept_{layer.name}": total.layers[layer.name]}
        metrics |= {f"dead_units_{name.removesuffix('.weight')}": count for name, count in dead.items()}
        return Artifact({}, metrics)


@dataclass(frozen=True, eq=False)
class WeightHistogram(Stage):
    """How the weights of one layer that are not zero are distributed, in standard deviations of the layer in the dense net: so its threshold
    is its quality parameter. Curves: `weight`, the middles of `bins` equal bins over [-`reach`, `reach`], and `share`, of all these weights in
    percent; what lies outside is in the outermost bins. Metrics: `std`, `nonzero` (a count)."""

    version: ClassVar[int] = 3
    fit: Fit
    layer: str
    dense: Fit
    reach: float
    bins: int = 81

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        name = f"{self.layer}.weight"
        weights = given[self.fit].weights[name]
        nonzero = weights[weights != 0]
        edges = np.linspace(-self.reach, self.reach, self.bins + 1)
        count, _ = np.histogram((nonzero / given[self.dense].weights[name].std(dtype=np.float64)).clip(-self.reach, self.reach), edges)
        curves = {"weight": (edges[:-1] + edges[1:]) / 2, "share": 100 * count / max(1, nonzero.size)}
        return Artifact(pack("curve", curves), {"std": float(nonzero.std(dtype=np.float64)), "nonzero": nonzero.size})
