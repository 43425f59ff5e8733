"""Compressed files: how fast they are made and read, how much memory that takes, and what each coder leaves.

lenet_300_100   784-300-100-10 at 8 % density, 6-bit codes, 5-bit gaps
VGG-16's size   25088-4096-4096-3600-1000, 138 million weights like VGG-16, at 7.5 % density, 5-bit codes and gaps

Weights are drawn from a Gaussian, and the smallest are pruned. Sharing: k-means of all layers, with linear starts. Encoding: a net in memory
to the bytes of a file. Decoding: those bytes to dense float32 weights. zlib and lzma get the same codes and gaps, one byte each. Of the small
net also the coder `context`, which is for such nets, and files whose gaps have the width that takes the fewest bytes in each layer.
"""

from __future__ import annotations

import lzma
import resource
import sys
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import measuring
import numpy as np
from measuring import Cell, Table, Target, options, publish, spread

from nncompress.quantize import CompressedNet, compress, with_best_gaps
from nncompress.quantize.sparse_index import to_gaps
from nncompress.quantize.storage import CODERS, accounts, decode, encode
from nncompress.types import Model

Result = TypeVar("Result")

LENET, VGG, SMALL = "lenet_300_100", "VGG-16's size", "a hundredth of VGG-16's size"
NETS = {
    LENET: (Model("lenet_300_100"), {"fc1.weight": 0.08, "fc2.weight": 0.09, "fc3.weight": 0.26}, 6),
    VGG: (Model("mlp", (25088, 4096, 4096, 3600, 1000)), dict.fromkeys((f"fc{i}.weight" for i in range(1, 5)), 0.075), 5),
    SMALL: (Model("mlp", (2509, 410, 410, 360, 100)), dict.fromkeys((f"fc{i}.weight" for i in range(1, 5)), 0.075), 5),
}


def main() -> None:
    given = options(__doc__).parse_args()
    rounds = given.rounds or (1 if given.quick else 5)
    speed = Table(
        {
            "net": "",
            "weights": "",
            "sharing, s": ".3f",
            "coder": "",
            "encoding, s": ".3f",
            "decoding, s": ".3f",
            "bytes": "",
            "times smaller": ".1f",
        }
    )
    sizes = Table({"codes and gaps of": "", "coded by": "", "bytes": "", "over the entropy": ".2%"})
    took: dict[str, dict[str, float]] = {}
    for name in (LENET, SMALL if given.quick else VGG):
        took[name] = measure(name, rounds if name == LENET else 1, speed, sizes)
    large = took[SMALL if given.quick else VGG]
    targets = [
        Target("LeNet-300-100: sharing and encoding", "<=", 0.2, " s", [took[LENET]["encoding"]]),
        Target("VGG-16's size: sharing and encoding", "<=", 60, " s", [large["encoding"]]),
        Target("VGG-16's size: decoding", "<=", 15, " s", [large["decoding"]]),
        Target("VGG-16's size: peak memory of the process, its input of 0.55 GB included", "<=", 4, " GB", [large["memory"]]),
    ]
    notes = [
        "Processor seconds of one thread, which are what a clock shows on a core of its own; medians and quartiles "
        f"of {rounds} rounds for lenet_300_100, one round for the other net. Targets are for Huffman coding.",
        "The entropy is that of the codes and of the gaps of each layer, each a memoryless source. Bytes of the coders are with their tables.",
        "All gaps have 5 bits, but with best gaps, where encoding tries all 16 widths, they have the width that takes the fewest bytes in each "
        "layer; the context coder stores none. The entropy is that of gaps of 5 bits, with their fillers: other gaps and contexts may beat it.",
    ]
    publish("storage", [speed, sizes], targets, notes, given)


def measure(name: str, rounds: int, speed: Table, sizes: Table) -> dict[str, float]:
    """Add a net's rows to the tables. Returns: seconds of sharing and `encoding`, and of `decoding`, by Huffman; peak `memory` in GB."""
    model, densities, weight_bits = NETS[name]
    weights = random_weights(model, densities)
    masks = {layer: weights[layer] != 0 for layer in densities}
    tensors, sharing = timed(rounds, lambda: compress(weights, masks, dict.fromkeys(densities, weight_bits)))
    net, count = CompressedNet(model, tensors), sum(array.size for array in weights.values())
    streams = symbols(net)
    bound, found = sum(map(entropy_bytes, streams)), {}
    for coder, write in writers(name).items():
        content, encoding = timed(rounds, partial(write, net))
        loaded, decoding = timed(rounds, lambda content=content: decode(content).weights)  # type: ignore[misc]
        if not all(np.array_equal(array, tensors[parameter].weights) for parameter, array in loaded.items()):
            sys.exit(f"{name}: {coder} changed the weights")
        if coder == "huffman":
            found = {"encoding": spread(sharing)["median"] + spread(encoding)["median"], "decoding": spread(decoding)["median"]}
        times: list[Cell] = [spread(encoding), spread(decoding)]
        speed.rows.append([name, f"{count:,}", spread(sharing), coder, *times, f"{len(content):,}", 4 * count / len(content)])
        rows = [row for row in accounts(content) if row.name in densities]
        coded = sum(row.parts[part] for row in rows for part in ("codes", "indices", "fillers", "tables"))
        sizes.rows.append([name, coder, f"{coded:,}", coded / bound - 1])
        measuring.progress(f"{name}: {coder}")
        del loaded
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    packers: dict[str, Callable[[bytes], bytes]] = {"zlib (level 9)": partial(zlib.compress, level=9), "lzma": lzma.compress}
    for packer, pack in packers.items():
        packed = sum(len(pack(stream.tobytes())) for stream in streams)
        sizes.rows.append([name, packer, f"{packed:,}", packed / bound - 1])
        measuring.progress(f"{name}: {packer}")
    return found


def writers(name: str) -> dict[str, Callable[[CompressedNet], bytes]]:
    """What makes files of a net, by what the tables call it."""
    found: dict[str, Callable[[CompressedNet], bytes]] = {coder: partial(encode, coder=coder) for coder in CODERS}
    if name == LENET:
        found |= {f"{coder}, best gaps": partial(encode_with_best_gaps, coder=coder) for coder in ("huffman", "ans")}
        found["context"] = partial(encode, coder="context")
    return found


def encode_with_best_gaps(net: CompressedNet, coder: str) -> bytes:
    """A file of the net with gaps of the width that takes the fewest bytes in each layer, which is found by encoding it with every one."""
    return encode(CompressedNet(net.model, {name: with_best_gaps(tensor, coder) for name, tensor in net.tensors.items()}), coder)


def random_weights(model: Model, densities: dict[str, float]) -> dict[str, np.ndarray]:
    """Gaussian weights of which the largest `densities` are kept, and biases of zero."""
    from nncompress.models import parameter_shapes

    generator, weights = np.random.default_rng(0), {}
    for name, shape in parameter_shapes(model).items():
        weights[name] = np.zeros(shape, np.float32)
        if name in densities:
            generator.standard_normal(out=weights[name], dtype=np.float32)
            threshold = np.quantile(np.abs(weights[name].ravel()[:1_000_000]), 1 - densities[name])
            weights[name][np.abs(weights[name]) < threshold] = 0
    return weights


def symbols(net: CompressedNet) -> list[np.ndarray]:
    """The gaps and the codes of every layer that shares weights, fillers included, uint8."""
    found = []
    for tensor in net.tensors.values():
        if tensor.codes is not None and tensor.positions is not None:
            fields, kept = to_gaps(tensor.positions, tensor.index_bits)
            codes = np.zeros(fields.size, np.uint8)
            codes[kept] = tensor.codes + 1
            found += [fields.astype(np.uint8), codes]
    return found


def entropy_bytes(stream: np.ndarray) -> float:
    """The fewest bytes that a coder which knows how often each symbol occurs can spend on a stream."""
    counts = np.bincount(stream)
    shares = counts[counts > 0] / stream.size
    return float(-(shares * np.log2(shares)).sum() * stream.size / 8)


def timed(rounds: int, work: Callable[[], Result]) -> tuple[Result, list[float]]:
    """What `work` returns, and the processor seconds of each round."""
    seconds = []
    for _ in range(rounds):
        began = time.process_time()
        result = work()
        seconds.append(time.process_time() - began)
    return result, seconds


if __name__ == "__main__":
    main()
