"""The stages of Han, Mao & Dally 2016, "Deep Compression": shared weights, and the file that a net becomes; also 8-bit integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from nncompress.errors import UserError
from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.stages import Fit, fit_of, pack
from nncompress.quantize import (
    INDEX_BITS,
    CompressedNet,
    accounts,
    coded,
    decode,
    dense,
    encode,
    pruned,
    shared,
    to_gaps,
    to_integers,
    with_best_gaps,
)
from nncompress.quantize.tensors import codebook_size
from nncompress.types import Split


@dataclass(frozen=True, eq=False)
class SharedWeights(Stage):
    """The weights that `fit` ended with, those of each named layer replaced by the nearest entries of a codebook of its own (sec. 3).

    `weight_bits`: parameter name -> width of its codes. `initial`, `seed`: how the centroids start. `share`: of the surviving weights of
    each layer so many share values, the largest ones; the others keep their own, each under a code of its own, so that they can still make
    good for what sharing does (incremental quantisation, Zhou et al. 2017). `entries`: parameter name -> entries of its codebook, where
    they are fewer than its codes tell apart. Where pruning has left fewer weights than entries each keeps its value; a layer that is not
    pruned and has fewer is refused. Yields `weights/*`, `mask/*` and, of the named layers, `codes/*` in the layer's shape (0 for pruned
    weights): what a `Fit` with this stage as start, mask and codebook fine-tunes.
    """

    stored: ClassVar[bool] = False
    fit: Fit
    weight_bits: Mapping[str, int]
    initial: str = "linear"
    seed: int = 0
    share: float = 1.0
    entries: Mapping[str, int] | None = None

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        trained = given[self.fit]
        weights, codes = dict(trained.weights), {}
        for name, bits in self.weight_bits.items():
            mask = trained.masks.get(name)
            entries = (self.entries or {}).get(name, codebook_size(bits, mask is not None))
            if mask is not None:
                entries = min(entries, max(int(mask.sum()), 1))
            try:
                tensor = shared(weights[name], bits, mask, initial=self.initial, seed=self.seed, entries=entries)
            except UserError as error:
                raise UserError(f"{name}: {error}") from error
            assert tensor.codes is not None
            flat, kept = np.zeros(weights[name].size, np.uint16), slice(None) if tensor.positions is None else tensor.positions
            flat[kept] = tensor.codes
            own = smallest_magnitudes(weights[name], np.arange(flat.size)[kept], 1 - self.share)
            if tensor.values.size + own.size > 2**16:
                raise UserError(
                    f"share = {self.share}: {own.size} weights of {name} would have a code of their own; prune the layer, or share more"
                )
            flat[own] = tensor.values.size + np.arange(own.size)
            values = tensor.weights.copy().ravel()
            values[own] = weights[name].ravel()[own]
            weights[name], codes[name] = values.reshape(tensor.shape), flat.reshape(tensor.shape)
        return Artifact(pack("weights", weights) | pack("mask", trained.masks) | pack("codes", codes))


def smallest_magnitudes(array: np.ndarray, places: np.ndarray, share: float) -> np.ndarray:
    """Of the places in the flat array the share that holds the smallest magnitudes, ties broken by position."""
    order = np.argsort(np.abs(array.ravel()[places]), kind="stable")
    return places[order[: round(share * places.size)]]


@dataclass(frozen=True, eq=False)
class IntegerWeights(Stage):
    """The weights that a dense `fit` ended with, those of each layer rounded to 8-bit integers times a scale of its own; biases as they are.

    Yields `weights/*` and, of the layers, `codes/*`, as `SharedWeights` does: a codebook of 256 evenly spaced entries that is not trained.
    """

    stored: ClassVar[bool] = False
    fit: Fit

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        rounded = {name: to_integers(array) for name, array in given[self.fit].weights.items() if name.endswith(".weight")}
        weights = given[self.fit].weights | {name: values for name, (values, _) in rounded.items()}
        return Artifact(pack("weights", weights) | pack("codes", {name: codes for name, (_, codes) in rounded.items()}))


@dataclass(frozen=True, eq=False)
class CompressedFile(Stage):
    """A net as a file, and what is measured of the net that is read back from it, in float32.

    `net`: a fit, pruned or not, or shared weights as they are. `codebook`: the stage whose `codes/*` say which of its weights share a value;
    None = it has no shared ones. `weight_bits`, `index_bits`: parameter name -> width of codes and of gaps; index_bits None = for each
    parameter the width that takes the fewest bytes. What is neither shared nor pruned is stored in float32; so are codebooks, but with `half`
    all numbers are float16.

    Yields `file`, its bytes (uint8). Metrics: `file_bytes`; `rate`, the float32 bytes of all parameters over these; the bytes of each part of
    the account, `bytes_<part>`, and of each parameter, `bytes_of_<parameter>`, which both add up to the file; mean bits of an entry,
    `code_bits_<parameter>` and `index_bits_<parameter>`; of each parameter the share of its numbers that is kept, `kept_<parameter>`, and of
    its float32 bytes, `share_of_<parameter>`; `weight_density`, the share that is kept of
    all weights without biases; `test_accuracy`, `test_loss` and those of the validation split.
    """

    version: ClassVar[int] = 2

    net: Stage
    codebook: Stage | None
    weight_bits: Mapping[str, int]
    index_bits: Mapping[str, int] | None
    coder: str = "huffman"
    half: bool = False

    splits: ClassVar[tuple[Split, ...]] = ("validation", "test")
    """What the net is measured on."""

    def code_bits(self, name: str) -> int:
        """Width of the codes of a parameter that shares weights."""
        return self.weight_bits[name]

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.models import parameter_names
        from nncompress.train.fit import score

        fit, found = fit_of(self.net), given[self.net]
        codes = given[self.codebook].codes if self.codebook is not None else {}
        tensors = {}
        for name in parameter_names(fit.model):
            array, mask, width = found.weights[name], found.masks.get(name), (self.index_bits or {}).get(name, INDEX_BITS)
            if name in codes:
                tensors[name] = coded(array, codes[name], self.code_bits(name), mask, width)
            else:
                tensors[name] = dense(array) if mask is None else pruned(array, mask, width)
            if self.half:
                tensors[name] = replace(tensors[name], values=tensors[name].values.astype(np.float16))
            if self.index_bits is None:
                tensors[name] = with_best_gaps(tensors[name], self.coder)
        content = encode(CompressedNet(fit.model, tensors), self.coder)
        rows, numbers = accounts(content), sum(array.size for array in found.weights.values())
        metrics: dict[str, float] = {"file_bytes": len(content), "rate": 4 * numbers / len(content)}
        metrics |= {f"bytes_{part}": sum(row.parts[part] for row in rows) for part in rows[0].parts}
        matrices = [row for row in rows if row.name.endswith(".weight")]
        metrics["weight_density"] = sum(row.kept for row in matrices) / sum(row.weights for row in matrices)
        for row in rows[:-1]:
            metrics |= {f"bytes_of_{row.name}": row.bytes, f"share_of_{row.name}": row.bytes / (4 * row.weights)}
            metrics |= {f"kept_{row.name}": row.kept / row.weights}
            metrics |= {f"code_bits_{row.name}": row.code_bits} if row.name in codes else {}
            metrics |= {f"index_bits_{row.name}": row.index_bits} if row.name in found.masks else {}
        metrics |= score(fit.model, fit.dataset, fit.training, decode(content).weights, lab.runtime, self.splits)
        return Artifact({"file": np.frombuffer(content, np.uint8)}, metrics)


@dataclass(frozen=True, eq=False)
class CodeHistogram(Stage):
    """How often each symbol is stored of one parameter of a file whose weights are shared (Figure 5). Curves: `symbol`, and the counts
    `codes` and `gaps`, NaN where there is no such symbol. Of a pruned parameter code 0 is the fillers'."""

    file: CompressedFile
    parameter: str

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        tensor = decode(given[self.file].arrays["file"].tobytes()).tensors[self.parameter]
        assert tensor.codes is not None
        counts = {"codes": np.bincount(tensor.codes, minlength=tensor.values.size)}
        if tensor.positions is not None:
            gaps, stored = to_gaps(tensor.positions, tensor.index_bits)
            symbols = np.zeros(gaps.size, np.int64)
            symbols[stored] = tensor.codes.astype(np.int64) + 1
            counts = {"codes": np.bincount(symbols), "gaps": np.bincount(gaps, minlength=2**tensor.index_bits)}
        longest = max(map(len, counts.values()))
        curves = {name: np.pad(count.astype(float), (0, longest - len(count)), constant_values=np.nan) for name, count in counts.items()}
        return Artifact(pack("curve", {"symbol": np.arange(longest), **curves}))


@dataclass(frozen=True, eq=False)
class LowRank(Stage):
    """The net that `fit` ended with, each fully connected layer but the last cut to a share of its full rank by SVD, not retrained (Figure 6).

    A layer (m, n) of rank r takes r (m + n) numbers, or all m n where these are fewer. Metrics: `rate`, numbers of the dense net over those
    left; `test_accuracy`, `test_loss` and those of the validation split.
    """

    fit: Fit
    share: float

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        from nncompress.train.fit import score

        weights = dict(given[self.fit].weights)
        numbers = {name: array.size for name, array in weights.items()}
        layers = [name for name, array in weights.items() if array.ndim == 2]
        for name in sorted(layers, key=lambda name: int(name.removeprefix("fc").removesuffix(".weight")))[:-1]:
            array = weights[name].astype(np.float64)
            rank = max(1, round(self.share * min(array.shape)))
            if rank * sum(array.shape) < array.size:
                left, values, right = np.linalg.svd(array, full_matrices=False)
                weights[name] = ((left[:, :rank] * values[:rank]) @ right[:rank]).astype(np.float32)
                numbers[name] = rank * sum(array.shape)
        rate = sum(array.size for array in weights.values()) / sum(numbers.values())
        fit = self.fit
        return Artifact({}, {"rate": rate, **score(fit.model, fit.dataset, fit.training, weights, lab.runtime)})
