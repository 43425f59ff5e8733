"""The stages of pruning whole units: a smaller net's first weights, and how fast the nets that are left answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.stages import Fit, pack
from nncompress.prune import importance_by_weights, keep_units, outgoing_norms, without_units
from nncompress.types import Count, Model, Seed

Importance = Literal["weights", "activity", "output", "random"]
"""Of a unit: the norms of its weights, in times out; how often its output is not zero on the training split, one less its APoZ (Hu et al.
2016); its mean output there times the norm of its outgoing weights, about what the next layer loses with it; drawn at random."""

Form = Literal["dense", "csr", "int8"]
"""`dense`: float32 matrices. `csr`: compressed sparse rows, float32 values with 32-bit indices. `int8`: PyTorch's own dynamic quantisation,
weights as bytes with one scale a layer, activations quantised as they come."""


def smaller_model(model: Model, share: float) -> Model:
    """The fully connected model with this share of the units of each hidden layer, at least one. `widths` must be given."""
    inputs, *hidden, outputs = model.widths
    return replace(model, widths=(inputs, *(max(1, round(share * units)) for units in hidden), outputs))


@dataclass(frozen=True, eq=False)
class SmallerWeights(Stage):
    """The weights that `fit` ended with, of the most important units of each hidden layer only, as many as `model` has."""

    stored: ClassVar[bool] = False
    fit: Fit
    model: Model
    importance: Importance
    seed: Seed = 0

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        weights = given[self.fit].weights
        ordered = {name: weights[name] for name in _names(self.fit.model)}
        importance = importance_by_weights(ordered)
        if self.importance in ("activity", "output"):
            from nncompress.train.fit import unit_activations, unit_outputs

            of_units = unit_activations if self.importance == "activity" else unit_outputs
            found = of_units(self.fit.model, self.fit.dataset, weights, lab.runtime)
            norms = outgoing_norms(ordered) if self.importance == "output" else dict.fromkeys(importance, 1.0)
            importance = {layer: found[layer] * norms[layer] for layer in importance}
        elif self.importance == "random":
            from nncompress.data.order import raw_bits

            importance = {
                layer: raw_bits("random units", self.seed, place, len(units)) / 2.0**64
                for place, (layer, units) in enumerate(importance.items())
            }
        widths = dict(zip(importance, self.model.widths[1:-1], strict=True))
        kept = keep_units(importance, {layer: width / len(importance[layer]) for layer, width in widths.items()})
        return Artifact(pack("weights", without_units(ordered, kept)))


@dataclass(frozen=True, eq=False)
class Speed(Stage):
    """How fast the net of `fit` answers in a form (`train/speed.py`), beside the net of `dense` as it is, both measured in turn.

    Metrics: `<split>_accuracy` and `<split>_loss` in that form, split test or validation; `bytes` of its arrays and `compression`, those of
    the dense net over them; for each batch size b `seconds_<b>`, of the processor, the median over `rounds`, and `speedup_<b>`, the dense
    net's over that; `weights`, of them not zero; where the net is a smaller one that was trained on, `before_retraining_test_accuracy`.
    """

    version: ClassVar[int] = 2
    fit: Fit
    dense: Fit
    form: Form = "dense"
    batches: tuple[Count, ...] = (1, 64)
    rounds: Count = 100

    @cached_property
    def upstream(self) -> tuple[Stage, ...]:
        return tuple(dict.fromkeys((self.fit, self.dense, *((self.fit.start,) if isinstance(self.fit.start, SmallerWeights) else ()))))

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.train.fit import score
        from nncompress.train.speed import Deployed, median_seconds

        trained, whole = given[self.fit], given[self.dense]
        net, dense = Deployed(self.fit.model, trained.weights, self.form), Deployed(self.dense.model, whole.weights, "dense")
        metrics: dict[str, float] = _accuracies(net, self.fit, lab)
        metrics |= {"bytes": net.bytes, "compression": dense.bytes / net.bytes}
        metrics["weights"] = sum(int(np.count_nonzero(array)) for name, array in trained.weights.items() if name.endswith(".weight"))
        for batch in self.batches:
            seconds = median_seconds({"dense": dense, "net": net}, batch, self.dense.model.widths[0], self.rounds)
            metrics |= {f"seconds_{batch}": seconds["net"], f"speedup_{batch}": seconds["dense"] / seconds["net"]}
        if isinstance(self.fit.start, SmallerWeights):
            before = score(self.fit.model, self.fit.dataset, self.fit.training, given[self.fit.start].weights, lab.runtime)
            metrics["before_retraining_test_accuracy"] = before["test_accuracy"]
        return Artifact({}, metrics)


def _accuracies(net: Any, fit: Fit, lab: Any) -> dict[str, float]:
    import torch
    from torch.nn.functional import cross_entropy

    from nncompress.data import scale, splits

    data, metrics = splits(fit.dataset, lab.runtime.data_dir), {}
    with torch.inference_mode():
        for split in ("validation", "test"):
            images, labels = getattr(data, f"{split}_x"), getattr(data, f"{split}_y")
            if len(labels):
                logits = net.answer(scale(images, data, fit.dataset.scaling).flatten(1))
                metrics[f"{split}_loss"] = float(cross_entropy(logits, labels))
                metrics[f"{split}_accuracy"] = float((logits.argmax(1) == labels).double().mean())
    return metrics


def _names(model: Model) -> tuple[str, ...]:
    """The model's parameters from input to output."""
    from nncompress.models import parameter_names

    return tuple(parameter_names(model))
