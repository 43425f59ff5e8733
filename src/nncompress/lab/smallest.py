"""The stages of the search for the smallest file: masks without dead units, and the choice of one file among many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nncompress.lab.quantizing import CompressedFile
from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.stages import MaskStage, fit_of, pack
from nncompress.prune import without_dead_units
from nncompress.quantize import decode
from nncompress.types import Split

ROUNDING = 1e-6
"""A mean over a split in float32 is off by less, and one image of it counts for more."""


@dataclass(frozen=True, eq=False)
class LivingMask(MaskStage):
    """`mask` without the connections and the biases of hidden units that have no input or no output left. Those without output change no
    answer; one without inputs answered a constant, which the biases of the next layer learn in its place."""

    mask: MaskStage

    def expected_shares(self) -> dict[str, float]:
        return self.mask.expected_shares()

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        import numpy as np

        from nncompress.models import parameter_shapes

        shapes, masks = parameter_shapes(fit_of(self.mask).model), given[self.mask].masks
        layers = [name for name in shapes if name.endswith(".weight")]
        alive, _ = without_dead_units({name: masks.get(name, np.ones(shapes[name], bool)) for name in layers})
        for name in layers[:-1]:
            if (bias := f"{name.removesuffix('.weight')}.bias") in shapes:
                alive[bias] = np.array([row.any() for row in alive[name]])
        return Artifact(pack("mask", alive))


@dataclass(frozen=True, eq=False)
class CandidateFile(CompressedFile):
    """A file that may be chosen: its net is measured on the validation split only."""

    splits: ClassVar[tuple[Split, ...]] = ("validation",)


@dataclass(frozen=True, eq=False)
class SmallestFile(Stage):
    """The smallest of `candidates` whose validation error is at most `allowed_error`; where there is none, the one that errs least. The test
    split is read for this file alone.

    Yields its `file` and metrics, those of the test split, and `candidates`, how many there are, `allowed`, how many of them err so little,
    and `chosen`, the place of the chosen one among them.
    """

    candidates: tuple[CandidateFile, ...]
    allowed_error: float

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.train.fit import score

        found = [given[candidate] for candidate in self.candidates]
        sizes = [artifact.metrics["file_bytes"] for artifact in found]
        errors = [1 - artifact.metrics["validation_accuracy"] for artifact in found]
        place = smallest(sizes, errors, self.allowed_error)
        fit, file = fit_of(self.candidates[place]), found[place].arrays["file"]
        tested = score(fit.model, fit.dataset, fit.training, decode(file.tobytes()).weights, lab.runtime, ("test",))
        counts = {"candidates": len(found), "allowed": sum(error <= self.allowed_error + ROUNDING for error in errors), "chosen": place}
        return Artifact({"file": file}, found[place].metrics | tested | counts)


def smallest(sizes: Sequence[float], errors: Sequence[float], allowed: float) -> int:
    """The place of the smallest size whose error is at most `allowed`, of equals the one that errs less, then the first; where no error is so
    small, the place of the smallest error, of equals the smaller, then the first."""
    within = [place for place, error in enumerate(errors) if error <= allowed + ROUNDING]
    if within:
        return min(within, key=lambda place: (sizes[place], errors[place]))
    return min(range(len(errors)), key=lambda place: (errors[place], sizes[place]))
