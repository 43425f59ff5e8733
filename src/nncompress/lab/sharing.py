"""The stages of Ullrich, Meeds & Welling 2017, "Soft Weight-Sharing": a net's weights at the means of its mixture, its file, and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from nncompress.lab.quantizing import CompressedFile
from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.stages import Fit, pack
from nncompress.quantize.soft_sharing import Mixture

PICTURE_BINS = 160
"""Of a joint picture, along each axis."""


def last_mixture(course: Mapping[str, np.ndarray]) -> Mixture:
    """The mixture at the end of a fit, of its course."""
    means, log_precisions, log_shares = (course[name][-1].astype(np.float64) for name in ("means", "log_precisions", "log_shares"))
    return Mixture(means, log_precisions, log_shares)


@dataclass(frozen=True, eq=False)
class MixtureMeans(Stage):
    """The weights and biases that `fit` ended with, each at the mean of the component that is most responsible for it, once components were
    merged whose divergence is less than `merge_below` (nats); those of component 0 are pruned.

    `assign`: 'responsibility', or 'nearest' for the nearest mean. Yields `weights/*`, `mask/*` and `codes/*` (0 for pruned weights) of every
    parameter, and `merged/*`, the mixture whose components the codes count.
    """

    stored: ClassVar[bool] = False
    fit: Fit
    merge_below: float
    assign: Literal["responsibility", "nearest"] = "responsibility"

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        mixture = last_mixture(given[self.fit].mixture).merged(self.merge_below)
        choose = mixture.most_responsible if self.assign == "responsibility" else mixture.nearest
        codes = {name: choose(array) for name, array in given[self.fit].weights.items()}
        means = mixture.means.astype(np.float32)
        # A mean that is zero in float32 beside component 0 would leave kept weights at zero: they are pruned too.
        codes = {name: np.where(means[found] == 0, 0, found).astype(np.uint16) for name, found in codes.items()}
        weights = {name: means[found] for name, found in codes.items()}
        masks = {name: found > 0 for name, found in codes.items()}
        merged = {"means": mixture.means, "log_precisions": mixture.log_precisions, "log_shares": mixture.log_shares}
        return Artifact(pack("weights", weights) | pack("mask", masks) | pack("codes", codes) | pack("merged", merged))


@dataclass(frozen=True, eq=False)
class SoftSharedFile(CompressedFile):
    """The file of `MixtureMeans`, which are its net and its codebook: every parameter, biases too, is a list of codes and gaps.

    Beside the metrics of a compressed file it has `density`, the share of weights and biases that are not pruned; `density_<layer>`, of the
    layer's weights; `means`, how many values the weights that are left have; `zero_std`
    and `narrowest_std`, the standard deviation of component 0 and of the narrowest one; `test_accuracy_before` and
    `validation_accuracy_before`, of the net as it was trained. A code is as wide as the number of components asks for.

    Arrays for pictures: `mixture/*`, the course of the fit's mixture, with `mixture/epoch`, passes over the training images; `joint` and
    `edges`, see `joint_picture`; `matrices`, see `matrices`.
    """

    version: ClassVar[int] = CompressedFile.version + 1  # joint pictures leave nothing outside; epochs

    def code_bits(self, name: str) -> int:
        assert self.fit.sharing is not None
        return self.fit.sharing.components.bit_length()  # one more value is the fillers'

    @property
    def fit(self) -> Fit:
        assert isinstance(self.net, MixtureMeans), "the file of weights at the means of a mixture"
        return self.net.fit

    @cached_property
    def upstream(self) -> tuple[Stage, ...]:
        """Beside its net the fit that this was made of, and what that started from."""
        return self.net, self.fit, self.fit.start

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.data import splits

        made, means = super().compute(given, lab), given[self.net]
        trained, start = given[self.fit], given[self.fit.start]
        masks, merged = means.masks, means.group("merged")
        kept = sum(int(mask.sum()) for mask in masks.values())
        weights = {name: mask for name, mask in masks.items() if name.endswith(".weight")}
        metrics: dict[str, float] = {
            "density": kept / sum(mask.size for mask in masks.values()),
            "means": len(np.unique(np.concatenate([means.weights[name][mask] for name, mask in masks.items()]))),
            "zero_std": float(np.exp(-merged["log_precisions"][0] / 2)),
            "narrowest_std": float(np.exp(-merged["log_precisions"].max() / 2)),
        }
        metrics |= {f"density_{name.removesuffix('.weight')}": float(mask.mean()) for name, mask in weights.items()}
        scored = [split for split in ("validation", "test") if f"{split}_accuracy" in trained.metrics]
        metrics |= {f"{split}_accuracy_before": trained.metrics[f"{split}_accuracy"] for split in scored}
        per_epoch = len(splits(self.fit.dataset, lab.runtime.data_dir).train_y) // self.fit.training.batch_size
        course = trained.mixture | {"epoch": trained.mixture["step"] / per_epoch}
        arrays = made.arrays | pack("mixture", course) | joint_picture(start.weights, trained.weights)
        return Artifact(arrays | {"matrices": matrices(start.weights, means.weights)}, made.metrics | metrics)


def joint_picture(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """How many numbers of a net were at each value before a training and at each value after it.

    Returns: `joint`, int32 counts (before, after); `edges` of the bins, the same for both axes, which span all values of both, the largest
    magnitude on both sides of zero.
    """
    x, y = (np.concatenate([weights[name].ravel() for name in before]) for weights in (before, after))
    bound = max(float(np.abs(x).max()), float(np.abs(y).max())) or 1.0
    edges = np.linspace(-bound, bound, PICTURE_BINS + 1, dtype=np.float32)
    counts, _, _ = np.histogram2d(x, y, [edges, edges])
    return {"joint": counts.astype(np.int32), "edges": edges}


def matrices(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> np.ndarray:
    """The largest matrix of a net before and after, int8 (2, rows, columns): in 127ths of the largest magnitude before, which is as far as they
    go; what is not zero is not rounded to zero."""
    name = max((name for name, array in before.items() if array.ndim == 2), key=lambda name: before[name].size)
    bound = float(np.abs(before[name]).max()) or 1.0
    pair = np.stack([before[name], after[name]])
    levels = np.round(127 * pair / bound).clip(-127, 127)
    return np.where((levels == 0) & (pair != 0), np.sign(pair), levels).astype(np.int8)
