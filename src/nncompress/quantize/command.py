"""Compress trained weights into a file, look into such a file, get the weights back.

  python run.py compress WEIGHTS.npz FILE --model lenet_300_100 --bits 6
  python run.py compress WEIGHTS.npz FILE --model '{"name": "mlp", "widths": [784, 20, 10]}' --bits conv=8 fc=5 --index-bits 4
  python run.py inspect FILE
  python run.py decompress FILE WEIGHTS.npz

WEIGHTS.npz holds an array `weights/<parameter>` for each parameter of the model, such as weights/fc1.weight. Zeros are pruned weights.
Arrays of one axis (biases) are stored as they are. Folders that the written file needs are made.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from nncompress.errors import OneLineParser, UserError, one_line
from nncompress.files import check_apart, write_file
from nncompress.quantize.codebook import INITIAL
from nncompress.quantize.storage import ENCODINGS, Account, CompressedNet, account, check_parameters, load, save
from nncompress.quantize.tensors import INDEX_BITS, compress
from nncompress.types import Model

MEND = "choose another path"


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0, or 2 for a mistake that the user can mend (one line on stderr)."""
    parser = OneLineParser("run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("compress", help="an .npz of weights into a file")
    command.add_argument("weights", type=Path, metavar="WEIGHTS.npz")
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("--model", required=True, help="name of a model, or its description as JSON")
    command.add_argument("--bits", nargs="+", required=True, metavar="N", help="width of codes: 6, or by layer: conv=8 fc=5")
    command.add_argument("--index-bits", nargs="+", default=[str(INDEX_BITS)], metavar="N", help="width of gaps, likewise (%(default)s)")
    command.add_argument("--initial", choices=INITIAL, default="linear", help="where the centroids start (%(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of --initial random (%(default)s)")
    command.add_argument("--coder", choices=ENCODINGS, default="huffman", help="(%(default)s)")
    command = commands.add_parser("inspect", help="what every byte of a file is spent on")
    command.add_argument("file", type=Path, metavar="FILE")
    command = commands.add_parser("decompress", help="a file into an .npz of weights")
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("weights", type=Path, metavar="WEIGHTS.npz")
    try:
        given = parser.parse_args(arguments)
        if given.command == "compress":
            check_apart(given.weights, given.file, MEND)
            save(given.file, compressed(given), given.coder)
        if given.command in ("compress", "inspect"):
            show(table(account(given.file)))
        else:
            check_apart(given.file, given.weights, MEND)
            write_npz(given.weights, load(given.file).weights)
    except UserError as error:
        print(" ".join(str(error).splitlines()), file=sys.stderr)  # paths and names of arrays may hold line breaks
        return 2
    return 0


def show(text: str) -> None:
    """Print it, all of it now. Raises: UserError where the output takes no more, such as a file on a full disk."""
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try again at its end, and complain
        if not isinstance(error, BrokenPipeError):  # whoever reads our output, such as `head`, has read enough
            raise UserError(f"the output cannot be written ({error.strerror or one_line(error)}): send it elsewhere") from error


def compressed(given: argparse.Namespace) -> CompressedNet:
    """The net that the options ask for."""
    from nncompress.models import parameter_names  # torch, which `--help` does not wait for

    described, found = model(given.model), read_npz(given.weights)
    try:
        order = parameter_names(described)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:  # of torch, whose message may be a trace of many lines
        raise UserError(f"--model {shortened(given.model)}: no net can be built of it: give it smaller sizes") from error
    weights = {name: found[name] for name in order if name in found} | found
    check_parameters(described, [(name, array.shape) for name, array in weights.items()])
    layers = [name for name, array in weights.items() if array.ndim > 1]
    masks = {name: weights[name] != 0 for name in layers if not weights[name].all()}
    widths = by_layer("--bits", given.bits, layers)
    tensors = compress(weights, masks, widths, by_layer("--index-bits", given.index_bits, layers), given.initial, given.seed)
    return CompressedNet(described, tensors)


def model(text: str) -> Model:
    """A model by its name, or by its description as JSON."""
    try:
        return TypeAdapter(Model).validate_python(json.loads(text) if text.lstrip().startswith("{") else {"name": text})
    except ValidationError as refusal:
        problems = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in refusal.errors())
        raise UserError(f"--model {shortened(text)}: {problems}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"--model {shortened(text)} is no JSON ({one_line(error)})") from None


def shortened(text: str) -> str:
    """What the user wrote, on one line that a screen holds."""
    words = " ".join(text.split())
    return words if len(words) <= 200 else f"{words[:197]}..."


def by_layer(option: str, words: Sequence[str], layers: Sequence[str]) -> dict[str, int]:
    """Layer -> bits, from words such as '6' for all layers, or 'fc=5' for those whose name begins so; the longest beginning counts."""
    chosen = {}
    for word in words:
        start, _, bits = word.rpartition("=")
        if not bits.isdecimal() or len(bits) > 9:
            raise UserError(f"{option} {shortened(word)}: write a number of bits, or LAYER=BITS")
        if not any(layer.startswith(start) for layer in layers):
            raise UserError(f"{option} {shortened(word)}: there is no such layer; there are {', '.join(layers)}")
        chosen[start] = int(bits)
    found = {}
    for layer in layers:
        starts = [start for start in chosen if layer.startswith(start)]
        if starts:
            found[layer] = chosen[max(starts, key=len)]
    return found


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays `weights/*` of a file as float32, by the rest of their name. Nothing in it is executed."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name.removeprefix("weights/"): file[name] for name in file.files if name.startswith("weights/")}
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except Exception as error:
        # damage shows as almost anything, by where it is: errors of zip files and each way to pack them, of the parser of headers, of memory
        # for an absurd shape
        raise UserError(f"{path} is no .npz of plain arrays ({type(error).__name__}): write it with numpy.savez") from error
    if not found:
        raise UserError(f"{path} holds no array weights/<parameter>, such as weights/fc1.weight")
    for name, array in found.items():
        if not isinstance(array, np.ndarray):  # but bytes, of a member that does not begin as an array does
            raise UserError(f"weights/{name} in {path} is no array: write it with numpy.savez")
        if array.dtype.kind != "f":
            raise UserError(f"weights/{name} in {path} is of {array.dtype}: weights are floating-point numbers")
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite, which is refused with the parameter's name
        return {name: array.astype(np.float32) for name, array in found.items()}


def write_npz(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Write `weights/*`, whole or not at all."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{f"weights/{name}": array for name, array in weights.items()})
    write_file(path, content.getvalue(), MEND)


def table(rows: Sequence[Account]) -> str:
    """The account of a file as text: bytes of each part of each parameter, and what share of 32 bits a weight they are."""
    parts = {part: sum(row.parts[part] for row in rows) for part in rows[0].parts}
    weights, kept, fillers = (sum(getattr(row, count) for row in rows) for count in ("weights", "kept", "fillers"))
    total = Account("total", weights, kept, fillers, 0.0, 0.0, parts)
    lines = [["parameter", "weights", "kept", "fillers", "code bits", "index bits", *parts, "bytes", "rate"], *map(cells, [*rows, total])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = (f"{line[0]:<{widths[0]}}  " + "  ".join(map(str.rjust, line[1:], widths[1:])) for line in lines)
    return "\n".join([*map(str.rstrip, aligned), f"{4 * total.weights / total.bytes:.1f} times smaller than 32 bits a weight"])


def cells(row: Account) -> list[str]:
    """A line of the table; what is zero is left blank."""
    counts, sizes = (row.weights, row.kept, row.fillers), (*row.parts.values(), row.bytes)
    rate = f"{100 * row.bytes / (4 * row.weights):.2f} %" if row.weights else ""
    bits = [f"{bits:.2f}" if bits else "" for bits in (row.code_bits, row.index_bits)]
    return [row.name, *(f"{n:,}" if n else "" for n in counts), *bits, *(f"{n:,}" if n else "" for n in sizes), rate]
