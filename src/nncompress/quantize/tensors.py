"""A compressed parameter in memory: which weights survive, and what they are or share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nncompress.errors import UserError
from nncompress.quantize.codebook import k_means
from nncompress.types import MaskArrays, Weights

INDEX_BITS = 5
"""Width of a gap where nothing else is said: that of LeNets and VGG-16 in Han, Mao & Dally 2016, Tables 2, 3 and 5."""


@dataclass(frozen=True, eq=False)
class CompressedTensor:
    """One parameter of a net, dense or pruned, its weights shared or not. To fine-tune shared weights, `replace(tensor, values=...)`.

    shape: of the parameter.
    values: float32 or float16; the codebook (K,) where there are codes, else every surviving weight (N,).
    codes: uint16 (N,), index into the codebook of each surviving weight; None = the weights are not shared.
    positions: int (N,), ascending, where the surviving weights are in the flat parameter; None = all survive.
    weight_bits, index_bits: width of a code and of a gap before entropy coding, 1 to 16; 0 where there are none. A pruned layer's code 0
        stands for fillers, so 2^weight_bits - 1 codebook entries are left to it (as in the decoder that the authors published).

    Raises: ValueError if these do not fit together.
    """

    shape: tuple[int, ...]
    values: np.ndarray
    codes: np.ndarray | None = None
    positions: np.ndarray | None = None
    weight_bits: int = 0
    index_bits: int = 0

    def __post_init__(self) -> None:
        kept, size = self.values if self.codes is None else self.codes, math.prod(self.shape)
        if self.values.dtype not in (np.float32, np.float16) or not np.isfinite(self.values).all():
            raise ValueError("its values are not finite float32 or float16 numbers")
        if (self.codes is None) != (self.weight_bits == 0) or (self.positions is None) != (self.index_bits == 0):
            raise ValueError(f"codes of {self.weight_bits} and indices of {self.index_bits} bits do not fit what is stored")
        if self.codes is not None:
            if self.values.size > codebook_size(self.weight_bits, self.positions is not None):
                raise ValueError(f"a codebook of {self.values.size} entries is too large for codes of {self.weight_bits} bits")
            if self.codes.dtype != np.uint16 or (kept.size and kept.max() >= self.values.size):
                raise ValueError(f"a code is beyond the codebook of {self.values.size} entries")
        if self.positions is None:
            if kept.size != size:
                raise ValueError(f"{kept.size} weights for the {size} of a parameter of shape {self.shape}")
        elif self.positions.size != kept.size:
            raise ValueError(f"{self.positions.size} positions for {kept.size} weights")
        elif kept.size and (self.positions[0] < 0 or self.positions[-1] >= size or (self.positions[1:] <= self.positions[:-1]).any()):
            raise ValueError(f"the positions do not ascend within shape {self.shape}")

    @property
    def weights(self) -> np.ndarray:
        """The parameter, float32, with +0.0 where it is pruned."""
        kept = (self.values if self.codes is None else self.values[self.codes]).astype(np.float32, copy=False)
        if self.positions is None:
            return kept.reshape(self.shape)
        dense = np.zeros(math.prod(self.shape), np.float32)
        dense[self.positions] = kept
        return dense.reshape(self.shape)

    @property
    def kept(self) -> int:
        """How many weights survive."""
        return (self.values if self.codes is None else self.codes).size


def dense(array: np.ndarray, dtype: type[np.floating] = np.float32) -> CompressedTensor:
    """A parameter as it is, such as a bias; `dtype`: np.float32, or np.float16 to round it to that."""
    return CompressedTensor(array.shape, array.astype(dtype).ravel())


def pruned(array: np.ndarray, mask: np.ndarray | None = None, index_bits: int = INDEX_BITS) -> CompressedTensor:
    """A pruned layer whose weights are not shared. `mask`: True = kept; a weight that is zero is not stored in any case.

    Raises: UserError for index_bits outside 1 to 16.
    """
    _check_bits("index_bits", index_bits)
    positions = np.flatnonzero(array if mask is None else (array != 0) & mask)
    return CompressedTensor(array.shape, array.ravel()[positions].astype(np.float32), None, positions, 0, index_bits)


def shared(
    array: np.ndarray,
    weight_bits: int,
    mask: np.ndarray | None = None,
    index_bits: int = INDEX_BITS,
    initial: str = "linear",
    seed: int = 0,
    entries: int | None = None,
) -> CompressedTensor:
    """A layer whose surviving weights share those of a codebook of its own, found by `k_means`.

    Args:
        array: the layer's weights.
        weight_bits: width of a code; 2^weight_bits entries, one less in a pruned layer.
        mask: True = kept, which a weight that is zero may be; None = the layer is not pruned.
        index_bits: width of a gap, of a pruned layer.
        initial, seed: how the centroids start.
        entries: of the codebook, if it is to have fewer than its codes can tell apart.

    Raises: UserError for bits outside 1 to 16, more entries than they tell apart, fewer surviving weights than codebook entries, weights
        that are not finite.
    """
    _check_bits("weight_bits", weight_bits)
    _check_bits("index_bits", index_bits)
    flat, most = array.ravel(), codebook_size(weight_bits, mask is not None)
    entries = most if entries is None else entries
    if not 1 <= entries <= most:
        raise UserError(f"entries = {entries}: codes of {weight_bits} bits tell 1 to {most} entries apart here")
    if mask is None:
        return CompressedTensor(array.shape, *k_means(flat, entries, initial, seed), None, weight_bits)
    positions = np.flatnonzero(mask)
    return CompressedTensor(array.shape, *k_means(flat[positions], entries, initial, seed), positions, weight_bits, index_bits)


def coded(
    array: np.ndarray, codes: np.ndarray, weight_bits: int, mask: np.ndarray | None = None, index_bits: int = INDEX_BITS
) -> CompressedTensor:
    """A layer whose weights share values already, as after fine-tuning: `codes`, of its shape, say which ones do. Entries that no surviving
    weight has leave the codebook.

    Raises: UserError for bits outside 1 to 16; ValueError for more entries than the codes can tell apart, or weights of one code that differ.
    """
    _check_bits("weight_bits", weight_bits)
    _check_bits("index_bits", index_bits)
    positions = None if mask is None else np.flatnonzero(mask)
    flat, kept = (all_.ravel() if positions is None else all_.ravel()[positions] for all_ in (array, codes))
    _, first, numbers = np.unique(kept, return_index=True, return_inverse=True)
    values = flat[first].astype(np.float32)
    if not np.array_equal(values[numbers], flat):
        raise ValueError("weights of one code differ")
    return CompressedTensor(array.shape, values, numbers.astype(np.uint16), positions, weight_bits, 0 if mask is None else index_bits)


def compress(
    weights: Weights,
    masks: MaskArrays,
    weight_bits: Mapping[str, int],
    index_bits: Mapping[str, int] | int = INDEX_BITS,
    initial: str = "linear",
    seed: int = 0,
) -> dict[str, CompressedTensor]:
    """All parameters of a net: those that `weight_bits` names share weights, those that `masks` names are pruned, all others stay as they are.

    Args:
        weights: by parameter name.
        masks: parameter name -> True = kept.
        weight_bits: parameter name -> width of its codes.
        index_bits: parameter name -> width of its gaps, or one for all.

    Raises: UserError as `shared` does, with the parameter's name.
    """
    for name in weight_bits:
        if name not in weights:
            raise UserError(f"weight_bits names the layer {name!r}, which the model does not have; it has {', '.join(weights)}")
    found = {}
    for name, array in weights.items():
        mask, width = masks.get(name), index_bits if isinstance(index_bits, int) else index_bits.get(name, INDEX_BITS)
        try:
            if name in weight_bits:
                found[name] = shared(array, weight_bits[name], mask, width, initial, seed)
            else:
                found[name] = dense(array) if mask is None else pruned(array, mask, width)
        except (UserError, ValueError) as error:
            raise UserError(f"{name}: {error}") from error
    return found


def codebook_size(weight_bits: int, is_pruned: bool) -> int:
    """Entries that codes of so many bits can tell apart; in a pruned layer code 0 is the fillers'."""
    return (1 << weight_bits) - is_pruned


def _check_bits(name: str, bits: int) -> None:
    if not 1 <= bits <= 16:
        raise UserError(f"{name} = {bits}: codes and gaps have 1 to 16 bits")
