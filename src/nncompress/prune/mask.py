"""Masks: boolean arrays by parameter name, True = kept."""

from __future__ import annotations

import numpy as np

from nncompress.types import MaskArrays, Weights


def layer_densities(masks: MaskArrays) -> dict[str, float]:
    """Share of weights kept in each masked layer."""
    return {name: float(mask.mean()) for name, mask in masks.items()}


def density(masks: MaskArrays) -> float:
    """Share of weights kept over all layers that have a mask here, each weighted by its size (P_m of Frankle & Carbin 2019)."""
    return sum(int(mask.sum()) for mask in masks.values()) / sum(mask.size for mask in masks.values())


def whole_masks(weights: Weights) -> dict[str, np.ndarray]:
    """Masks that keep every weight, of all layers."""
    return {name: np.ones(array.shape, bool) for name, array in weights.items() if name.endswith("weight")}


def shuffle_masks(masks: MaskArrays, seed: int) -> dict[str, np.ndarray]:
    """Masks with exactly as many weights kept in each layer, at places drawn uniformly from `seed`."""
    generator = np.random.default_rng(seed)
    return {name: generator.permutation(masks[name].ravel()).reshape(masks[name].shape) for name in sorted(masks)}


def overlap_by_chance(first: MaskArrays, second: MaskArrays, per_input: bool = False) -> float:
    """The Jaccard index that is to be expected of masks with the layer densities p and q of these at random places: of n weights n p q are in
    both and n (p + q - p q) in either.

    `per_input`: at random places among the weights of each input of a layer (unit or channel), so that inputs keep their densities; an image's
    empty margin is pruned in every net, which is overlap without agreement on anything else.
    """
    both = either = 0.0
    for name in first:
        over = tuple(axis for axis in range(first[name].ndim) if not (per_input and axis == 1))
        p, q = first[name].mean(over), second[name].mean(over)
        both += first[name].size * float((p * q).mean())
        either += first[name].size * float((p + q - p * q).mean())
    return both / either if either else 1.0


def overlap(first: MaskArrays, second: MaskArrays) -> float:
    """Jaccard index of the kept weights, |A and B| / |A or B|, over all layers. Two random masks of density p overlap by p / (2 - p)."""
    both = sum(int((first[name] & second[name]).sum()) for name in first)
    either = sum(int((first[name] | second[name]).sum()) for name in first)
    return both / either if either else 1.0
