"""What the tables of Han, Mao & Dally 2016 count: storage of pruned and quantised layers (Tables 2 to 5), from densities and bit widths alone.
For bytes of a real file see `storage.accounts`, for operations of pruned layers `nncompress.prune.account`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """`shape`: of the weights, (out, in) or (out, in / groups, height, width). `places`: of the output map, which its weights are used for."""

    name: str
    shape: tuple[int, ...]
    places: int = 1

    @property
    def weights(self) -> int:
        return math.prod(self.shape)

    @property
    def flops(self) -> int:
        """Of one example; a multiply-accumulate is two operations, and biases are not counted."""
        return 2 * self.weights * self.places


NETS: dict[str, tuple[Layer, ...]] = {
    "lenet_300_100": (Layer("ip1", (300, 784)), Layer("ip2", (100, 300)), Layer("ip3", (10, 100))),
    "lenet_5": (
        Layer("conv1", (20, 1, 5, 5), 24 * 24),
        Layer("conv2", (50, 20, 5, 5), 8 * 8),
        Layer("ip1", (500, 800)),
        Layer("ip2", (10, 500)),
    ),
    "alexnet": (  # conv2, conv4 and conv5 are in two groups
        Layer("conv1", (96, 3, 11, 11), 55 * 55),
        Layer("conv2", (256, 48, 5, 5), 27 * 27),
        Layer("conv3", (384, 256, 3, 3), 13 * 13),
        Layer("conv4", (384, 192, 3, 3), 13 * 13),
        Layer("conv5", (256, 192, 3, 3), 13 * 13),
        Layer("fc6", (4096, 9216)),
        Layer("fc7", (4096, 4096)),
        Layer("fc8", (1000, 4096)),
    ),
    "vgg_16": (
        Layer("conv1_1", (64, 3, 3, 3), 224 * 224),
        Layer("conv1_2", (64, 64, 3, 3), 224 * 224),
        Layer("conv2_1", (128, 64, 3, 3), 112 * 112),
        Layer("conv2_2", (128, 128, 3, 3), 112 * 112),
        Layer("conv3_1", (256, 128, 3, 3), 56 * 56),
        Layer("conv3_2", (256, 256, 3, 3), 56 * 56),
        Layer("conv3_3", (256, 256, 3, 3), 56 * 56),
        Layer("conv4_1", (512, 256, 3, 3), 28 * 28),
        Layer("conv4_2", (512, 512, 3, 3), 28 * 28),
        Layer("conv4_3", (512, 512, 3, 3), 28 * 28),
        Layer("conv5_1", (512, 512, 3, 3), 14 * 14),
        Layer("conv5_2", (512, 512, 3, 3), 14 * 14),
        Layer("conv5_3", (512, 512, 3, 3), 14 * 14),
        Layer("fc6", (4096, 25088)),
        Layer("fc7", (4096, 4096)),
        Layer("fc8", (1000, 4096)),
    ),
}
"""The nets of both papers, first layer first."""


def sharing_rate(weights: int, clusters: int, bits: int = 32) -> float:
    """How many times smaller a layer gets by weight sharing alone: r = n b / (n log2 k + k b) (Han, Mao & Dally 2016, eq. 1)."""
    return weights * bits / (weights * math.log2(clusters) + clusters * bits)


def fillers_per_weight(density: float, index_bits: int) -> float:
    """Fillers that a mask without memory needs for each surviving weight: q / (1 - q), where q = (1 - density)^(2^index_bits) is how probable
    it is that the whole span holds none. Masks of trained nets are clustered: this is an estimate."""
    empty = (1 - density) ** (1 << index_bits)
    return empty / (1 - empty)


def pruned_and_shared_share(
    weights: int,
    density: float,
    weight_bits: int,
    index_bits: int,
    *,
    mean_weight_bits: float | None = None,
    mean_index_bits: float | None = None,
) -> float:
    """Bits of a layer that is pruned and shares weights over those of the dense layer at 32 bits: codes and indices of weights and fillers,
    and a codebook of 2^weight_bits entries of 32 bits.

    Args:
        weights: of the dense layer.
        density: share of them that survives, in (0, 1].
        weight_bits, index_bits: width of codes and gaps.
        mean_weight_bits, mean_index_bits: what they take after Huffman coding, on average; not given, their width.
    """
    entries = density * weights * (1 + fillers_per_weight(density, index_bits))
    code = weight_bits if mean_weight_bits is None else mean_weight_bits
    index = index_bits if mean_index_bits is None else mean_index_bits
    return (entries * (code + index) + 32 * 2**weight_bits) / (32 * weights)
