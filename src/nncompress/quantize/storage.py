"""A file format for compressed nets, and the account of what every byte of a file is spent on.

All numbers are little-endian. A file is

    magic, version, tensors, bytes of the model, bytes of the file                     `_FILE`
    the model as JSON: the fields of `nncompress.types.Model` that are not at their default
    for each parameter of the model, in its order:
        bytes of the name, axes, dtype, coder, weight bits, index bits, kept, entries    `_TENSOR`
        the name; the length of each axis, 32 bits each
        for each of its sections: bytes, CRC-32                                                  `_SECTION`
        the sections
    SHA-256 of everything before

and a parameter's sections are, in this order,

    index_table, indices   if index bits: the gaps to the entries, see `sparse_index`
    code_table, codes      if weight bits: the entries' codes; with indices, 0 is a filler and code + 1 a weight
    values                 the codebook if there are codes; else of every entry its weight, +0.0 for fillers

Entries are the surviving weights and the fillers between them; without indices they are all weights. Tables and streams are what the coder
(`fixed`, `huffman`, `ans`) makes of the symbols.

That is version 1, whose parameters can be read one by one. Version 2 is for nets so small that headers count. It is what the coder `context`
makes of all parameters together:

    magic, version, bytes of the model, bytes of the stream                            `_WHOLE`
    the model as JSON
    the stream, see `context`; then codebooks, and values that are not shared, one after another
    the first `_DIGEST` bytes of the SHA-256 of everything before

Reading a file executes nothing of it, and its memory is bounded by its length: a net may be `LARGEST_RATIO` times larger than its file, or
`SMALL` if that is more.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from types import ModuleType

import numpy as np
from pydantic import TypeAdapter, ValidationError

from nncompress.errors import UserError
from nncompress.files import write_file
from nncompress.quantize import ans, context, fixed, huffman
from nncompress.quantize.sparse_index import to_gaps, to_positions
from nncompress.quantize.tensors import CompressedTensor
from nncompress.types import Model

CODERS: dict[str, ModuleType] = {"fixed": fixed, "huffman": huffman, "ans": ans}
"""Each has `encode(symbols, bits) -> table, stream`, `decode(table, stream, bits, count)` and `cost(table, bits, symbol)`. A file names them by
their place here."""
ENCODINGS = (*CODERS, "context")
"""All that a file can be written with."""
VERSION, WHOLE = 1, 2
"""Versions of the format: parameter by parameter, and the whole net in one stream."""
LARGEST_RATIO, SMALL = 1000, 20 * 2**20
"""A dense net of more than SMALL bytes must not be more than LARGEST_RATIO times as large as its file: six times what the papers reach."""

_MAGIC = b"\x89nnc\r\n\x1a\n"  # as PNG's: shows files that were changed in transit as if they were text
_FILE = struct.Struct("<8sHHIQ")
_TENSOR = struct.Struct("<BBBBBBII")
_SECTION = struct.Struct("<II")
_WHOLE = struct.Struct("<8sHHI")
_DIGEST = 8
_LARGEST_WHOLE = 2**23
"""Bytes of a file of version 2: more than `context.LARGEST` numbers can take."""
_DTYPES = ("<f4", "<f2")
_LONGEST_MODEL = 4096
"""Bytes of JSON. It bounds the layers that reading a file makes torch build."""
_MODEL = TypeAdapter(Model)


@dataclass(frozen=True)
class CompressedNet:
    """A model and all its parameters, by name."""

    model: Model
    tensors: dict[str, CompressedTensor]

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Parameter name -> float32 array, to be used as any trained weights are."""
        return {name: tensor.weights for name, tensor in self.tensors.items()}


@dataclass(frozen=True)
class Account:
    """What a parameter, or the file around all of them, is stored in.

    `parts`: bytes of 'codes' and 'indices' (of surviving weights), 'fillers' (codes and indices of these, to the nearest byte), 'codebook',
    'tables' (of the coders: Huffman's code lengths and blocks, counts), 'floats' (weights that are not shared, biases) and 'header'
    (with checksums). `index_bits`, `code_bits`: mean bits of an entry's index and code in the streams, as Han, Mao & Dally 2016 print them.
    """

    name: str
    weights: int
    kept: int
    fillers: int
    index_bits: float
    code_bits: float
    parts: dict[str, int]

    @property
    def bytes(self) -> int:
        return sum(self.parts.values())


def save(path: Path | str, net: CompressedNet, coder: str = "huffman") -> None:
    """Write the file, whole or not at all. `coder`: one of `ENCODINGS`.

    Raises: UserError for parameters that are not those of the model, an unknown coder, or a place that cannot be written.
    """
    write_file(Path(path), encode(net, coder), "choose another path")


def load(path: Path | str) -> CompressedNet:
    """Read a file: its weights are those that were saved, bit for bit.

    Raises: UserError if it cannot be read, is none of ours, of another version, damaged, or of a net that is absurdly large.
    """
    return decode(_content(path), str(path))


def account(path: Path | str) -> list[Account]:
    """A row for each parameter and, last, one for the file around them; their bytes add up to the file's. Raises: UserError as `load` does."""
    return accounts(_content(path), str(path))


# --- writing


def encode(net: CompressedNet, coder: str = "huffman") -> bytes:
    """The content of the file that `save` writes."""
    if coder not in ENCODINGS:
        raise UserError(f"coder = {coder!r} is no coder; there are {', '.join(ENCODINGS)}")
    model = _MODEL.dump_json(net.model, exclude_defaults=True)
    if len(model) > _LONGEST_MODEL:
        raise UserError(f"the model takes {len(model)} bytes of JSON; a file holds {_LONGEST_MODEL}: build it of fewer layers")
    if coder == "context":
        return _encode_whole(net, model)
    tensors = [part for name, tensor in net.tensors.items() for part in _encode_tensor(name, tensor, coder)]
    size = _FILE.size + len(model) + sum(map(len, tensors)) + hashlib.sha256().digest_size
    _check_stored(net.model, [(name, tensor.shape) for name, tensor in net.tensors.items()], size)
    content = b"".join([_FILE.pack(_MAGIC, VERSION, len(net.tensors), len(model), size), model, *tensors])
    return content + hashlib.sha256(content).digest()


def _encode_whole(net: CompressedNet, model: bytes) -> bytes:
    stream, numbers = context.encode(net.tensors)
    content = b"".join([_WHOLE.pack(_MAGIC, WHOLE, len(model), len(stream)), model, stream, numbers])
    _check_stored(net.model, [(name, tensor.shape) for name, tensor in net.tensors.items()], len(content) + _DIGEST)
    return content + hashlib.sha256(content).digest()[:_DIGEST]


def _encode_tensor(name: str, tensor: CompressedTensor, coder: str) -> list[bytes]:
    if tensor.positions is not None and tensor.codes is None:  # a weight of +0.0 is as good as pruned, and would be read as a filler
        stored = _is_stored(tensor.values)
        tensor = replace(tensor, values=tensor.values[stored], positions=tensor.positions[stored])
    sections, entries, weights = {}, tensor.kept, np.arange(tensor.kept)
    if tensor.positions is not None:
        fields, weights = to_gaps(tensor.positions, tensor.index_bits)
        entries = fields.size
        sections["index_table"], sections["indices"] = CODERS[coder].encode(fields, tensor.index_bits)
    values = tensor.values
    if tensor.codes is not None:
        symbols = np.zeros(entries, np.uint16)
        symbols[weights] = tensor.codes + (tensor.positions is not None)
        sections["code_table"], sections["codes"] = CODERS[coder].encode(symbols, tensor.weight_bits)
    else:
        values = np.zeros(entries, tensor.values.dtype)
        values[weights] = tensor.values
    dtype = f"<f{values.itemsize}"
    sections["values"] = values.astype(dtype).tobytes()
    if max(map(len, sections.values())) >= 2**32 or max((entries, *tensor.shape)) >= 2**32:
        raise UserError(f"{name} is too large: a parameter has at most 2^32 entries and sections of 2^32 bytes")
    text = name.encode()
    numbers = (len(text), len(tensor.shape), _DTYPES.index(dtype), list(CODERS).index(coder), tensor.weight_bits, tensor.index_bits)
    header = _TENSOR.pack(*numbers, tensor.kept, entries) + text + np.array(tensor.shape, "<u4").tobytes()
    return [header, *(_SECTION.pack(len(part), zlib.crc32(part)) for part in sections.values()), *sections.values()]


def with_best_gaps(tensor: CompressedTensor, coder: str = "huffman") -> CompressedTensor:
    """A pruned parameter with the width of gaps that takes the fewest bytes, the narrowest of equals; one that is not pruned, or a coder that
    stores no gaps, as it is."""
    if tensor.positions is None or coder not in CODERS:
        return tensor
    return min((replace(tensor, index_bits=bits) for bits in range(1, 17)), key=lambda t: sum(map(len, _encode_tensor("", t, coder))))


# --- reading


@dataclass(frozen=True)
class _Stored:
    """A parameter as the file has it: what its header says, and its sections by name. `header`: bytes of all that is no section."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    coder: ModuleType
    weight_bits: int
    index_bits: int
    kept: int
    entries: int
    header: int
    sections: dict[str, bytes] = field(repr=False)


def decode(content: bytes, source: str = "the file") -> CompressedNet:
    """The net that `encode` was given. `source`: what errors call it. Raises: UserError as `load` does."""
    if _version(content, source) == WHOLE:
        return _decode_whole(content, source)
    model, stored = _parse(content, source)
    try:
        _check_stored(model, [(tensor.name, tensor.shape) for tensor in stored], len(content))
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    found = {}
    for tensor in stored:
        try:
            found[tensor.name] = _decode_tensor(tensor)
        except ValueError as error:
            raise _damaged(source, f"{tensor.name}: {error}") from error
    return CompressedNet(model, found)


def _decode_whole(content: bytes, source: str) -> CompressedNet:
    model, stream, numbers, shapes = _parse_whole(content, source)
    try:
        return CompressedNet(model, context.decode(stream, numbers, shapes))
    except ValueError as error:
        raise _damaged(source, str(error)) from error


def _decode_tensor(stored: _Stored) -> CompressedTensor:
    """Raises: ValueError if the sections are not what the header says. Its shape must have been checked: the number of entries is bounded by
    it, and all that is allocated here by the number of entries."""
    size, sections = math.prod(stored.shape), stored.sections
    if stored.entries > size:
        raise ValueError(f"{stored.entries} entries for {size} weights")
    values = np.frombuffer(sections["values"], stored.dtype)
    if not stored.weight_bits and values.size != stored.entries:
        raise ValueError(f"{values.size} values for {stored.entries} entries")
    values = values.astype(values.dtype.newbyteorder("="))
    codes = positions = None
    if stored.weight_bits:
        codes = stored.coder.decode(sections["code_table"], sections["codes"], stored.weight_bits, stored.entries)
    if stored.index_bits:
        is_weight = _is_stored(values) if codes is None else codes != 0
        fields = stored.coder.decode(sections["index_table"], sections["indices"], stored.index_bits, stored.entries)
        positions = to_positions(fields, size)[is_weight]
        if codes is None:
            values = values[is_weight]
        else:
            codes = codes[is_weight] - np.uint16(1)
    tensor = CompressedTensor(stored.shape, values, codes, positions, stored.weight_bits, stored.index_bits)
    if tensor.kept != stored.kept:
        raise ValueError(f"{tensor.kept} weights, not {stored.kept}")
    if stored.index_bits and (fields[~is_weight] != (1 << stored.index_bits) - 1).any():
        raise ValueError("a filler stands where none is needed")
    return tensor


def _is_stored(values: np.ndarray) -> np.ndarray:
    """Which of the values of an unshared, pruned parameter are weights: all but +0.0, the fillers'. -0.0 is one, or its sign would be lost."""
    return values.view(f"u{values.itemsize}") != 0


def check_parameters(model: Model, found: list[tuple[str, tuple[int, ...]]]) -> None:
    """Raises: UserError unless the names and shapes are those of the model's parameters, in its order."""
    from nncompress.models import parameter_shapes  # torch, which those who only encode tensors do not wait for

    try:
        expected = list(parameter_shapes(model).items())
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"no net can be built of {model}") from error
    for have, need in zip_longest(found, expected):
        if have != need:
            raise UserError(f"the parameters are not those of the model {model.name!r}: {_shown(have)} where it has {_shown(need)}")


def _check_stored(model: Model, found: list[tuple[str, tuple[int, ...]]], size: int) -> None:
    """Raises: UserError as `check_parameters` does, or if the parameters are too large for a file of `size` bytes."""
    check_parameters(model, found)
    net = 4 * sum(math.prod(shape) for _, shape in found)
    if net > max(SMALL, LARGEST_RATIO * size):
        raise UserError(f"a net of {net:,} bytes in a file of {size:,}: more than {LARGEST_RATIO} times as much is not stored or read")


def _shown(parameter: tuple[str, tuple[int, ...]] | None) -> str:
    return "nothing" if parameter is None else f"{parameter[0]} {list(parameter[1])}"


def _parse_whole(content: bytes, source: str) -> tuple[Model, bytes, bytes, dict[str, tuple[int, ...]]]:
    """The model of a file of version 2, its stream, its numbers and the shapes of its parameters, the checksum verified, nothing decoded."""
    from nncompress.models import parameter_shapes

    if len(content) < _WHOLE.size + _DIGEST:
        raise _damaged(source, "it is cut off")
    if hashlib.sha256(memoryview(content)[:-_DIGEST]).digest()[:_DIGEST] != content[-_DIGEST:]:
        raise _damaged(source, "its checksum does not match")
    _, _, model_size, stream_size = _WHOLE.unpack_from(content)
    reader = _Reader(content[:-_DIGEST], source, _WHOLE.size)
    model, stream = _model(reader.take(model_size), source), reader.take(stream_size)
    try:
        shapes = parameter_shapes(model)
        _check_stored(model, list(shapes.items()), len(content))
        context.check_size(list(shapes.values()))
    except (UserError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{source}: {error if isinstance(error, UserError) else f'no net can be built of {model}'}") from error
    return model, stream, content[reader.at : -_DIGEST], shapes


def _parse(content: bytes, source: str) -> tuple[Model, list[_Stored]]:
    """The file's model and parameters, all checksums verified, nothing decoded."""
    tensors, model_size = _parse_head(content[: _FILE.size], len(content), source)
    reader = _Reader(content, source, _FILE.size)
    text = reader.take(model_size)
    stored = [_parse_tensor(reader, source) for _ in range(tensors)]
    at = reader.at
    if reader.take(hashlib.sha256().digest_size) != hashlib.sha256(memoryview(content)[:at]).digest() or reader.at != len(content):
        raise _damaged(source, "its checksum does not match")
    return _model(text, source), stored


def _model(text: bytes, source: str) -> Model:
    """The model that a file names, in the one way that it is written."""
    try:
        if len(text) > _LONGEST_MODEL:
            raise ValueError
        model = _MODEL.validate_json(text)
        if _MODEL.dump_json(model, exclude_defaults=True) != text:
            raise ValueError
    except (ValidationError, ValueError) as error:
        raise _damaged(source, "it names no model") from error
    return model


def _version(head: bytes, source: str) -> int:
    """Of the format, `VERSION` or `WHOLE`, as a file's first bytes say."""
    if not head.startswith(_MAGIC):
        raise UserError(f"{source} is no compressed net: such files are written by `python run.py compress`")
    begin = len(_MAGIC)
    if len(head) < begin + 2:
        raise _damaged(source, "it is cut off")
    version = int.from_bytes(head[begin : begin + 2], "little")
    if version not in (VERSION, WHOLE):
        raise UserError(f"{source} is of format version {version}; this program reads versions 1 and 2: use the program that wrote it")
    return version


def _parse_head(head: bytes, size: int, source: str) -> tuple[int, int]:
    """How many tensors a file of `size` bytes holds, and the bytes of its model."""
    if len(head) < _FILE.size:
        raise _damaged(source, "it is cut off")
    _, _, tensors, model_size, said = _FILE.unpack(head)
    if said != size:
        raise _damaged(source, f"it has {size} bytes, not {said}")
    return tensors, model_size


def _parse_tensor(reader: _Reader, source: str) -> _Stored:
    begin = reader.at
    name_size, axes, dtype, coder, weight_bits, index_bits, kept, entries = _TENSOR.unpack(reader.take(_TENSOR.size))
    name = reader.take(name_size).decode(errors="replace")
    if dtype >= len(_DTYPES) or coder >= len(CODERS) or max(weight_bits, index_bits) > 16 or kept > entries or not name.isprintable():
        raise _damaged(source, "a header holds what no header can")
    shape = tuple(np.frombuffer(reader.take(4 * axes), "<u4").tolist())
    names = ["index_table", "indices"] * (index_bits > 0) + ["code_table", "codes"] * (weight_bits > 0) + ["values"]
    sizes = [_SECTION.unpack(reader.take(_SECTION.size)) for _ in names]
    header, sections = reader.at - begin, {}
    for section, (size, checksum) in zip(names, sizes, strict=True):
        sections[section] = reader.take(size)
        if zlib.crc32(sections[section]) != checksum:
            raise _damaged(source, f"the {section} of {name} do not match their checksum")
    coders = list(CODERS.values())
    return _Stored(name, shape, _DTYPES[dtype], coders[coder], weight_bits, index_bits, kept, entries, header, sections)


@dataclass
class _Reader:
    """Takes bytes one after another. Raises: UserError where there are not enough."""

    content: bytes
    source: str
    at: int

    def take(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self.content):
            raise _damaged(self.source, "it is cut off")
        return self.content[self.at - size : self.at]


def _content(path: Path | str) -> bytes:
    """What a file holds, once its beginning has shown that it is one of ours."""
    try:
        if not Path(path).is_file():
            raise UserError(f"there is no file {path}")
        with open(path, "rb") as file:
            head, size = file.read(_FILE.size), os.fstat(file.fileno()).st_size
            if _version(head, str(path)) == VERSION:
                _parse_head(head, size, str(path))
            elif size > _LARGEST_WHOLE:
                raise _damaged(str(path), f"it has {size} bytes, not at most {_LARGEST_WHOLE}")
            return head + file.read()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error


def _damaged(source: str, problem: str) -> UserError:
    return UserError(f"{source} is damaged ({problem}): copy or compress it again")


# --- the account


def accounts(content: bytes, source: str = "the file") -> list[Account]:
    """The rows of `account`, for the content of a file. It is decoded, so that nothing is said of a file that `decode` refuses, and in the same
    words."""
    if _version(content, source) == WHOLE:
        rows = list(_accounts_whole(content, source))
    else:
        decode(content, source)
        rows = list(_accounts(_parse(content, source)[1]))
    around = {**dict.fromkeys(rows[0].parts if rows else ["header"], 0), "header": len(content) - sum(row.bytes for row in rows)}
    return [*rows, Account("(file)", 0, 0, 0, 0.0, 0.0, around)]


def _accounts_whole(content: bytes, source: str) -> Iterator[Account]:
    """Of a stream that all parameters share: what it spends on each, to the nearest byte, by rounding the sums from its beginning on."""
    _, stream, numbers, shapes = _parse_whole(content, source)
    try:
        tensors, spent = context.measure(stream, numbers, shapes)
    except ValueError as error:
        raise _damaged(source, str(error)) from error
    until, begin = 0.0, 0
    for name, tensor in tensors.items():
        taken = {}
        for part, bits in spent[name].items():
            until += bits / 8
            taken[part], begin = round(until) - begin, round(until)
        size = tensor.values.nbytes
        parts = {
            "codes": taken["codes"],
            "indices": taken["indices"],
            "fillers": 0,
            "codebook": size if tensor.codes is not None else 0,
            "tables": 0,
            "floats": size if tensor.codes is None else 0,
            "header": taken["header"],
        }
        kept = max(1, tensor.kept)
        code_bits = (spent[name]["codes"] if tensor.codes is not None else 8 * size) / kept
        yield Account(name, math.prod(tensor.shape), tensor.kept, 0, spent[name]["indices"] / kept, code_bits, parts)


def _accounts(stored: list[_Stored]) -> Iterator[Account]:
    """Of parameters that can be decoded: their headers and tables are believed."""
    for tensor in stored:
        sections, fillers = tensor.sections, tensor.entries - tensor.kept
        size = {name: len(sections.get(name, b"")) for name in ("index_table", "indices", "code_table", "codes", "values")}
        index_fillers = _filler_bytes(tensor, "index_table", tensor.index_bits, (1 << tensor.index_bits) - 1)
        code_fillers = _filler_bytes(tensor, "code_table", tensor.weight_bits, 0)
        parts = {
            "codes": size["codes"] - code_fillers,
            "indices": size["indices"] - index_fillers,
            "fillers": index_fillers + code_fillers,
            "codebook": size["values"],
            "tables": size["index_table"] + size["code_table"],
            "floats": 0,
            "header": tensor.header,
        }
        if not tensor.weight_bits:
            float_fillers = fillers * np.dtype(tensor.dtype).itemsize
            parts |= {"fillers": index_fillers + float_fillers, "codebook": 0, "floats": size["values"] - float_fillers}
        mean = 8 / max(1, tensor.entries)
        index_bits, code_bits = mean * size["indices"], mean * size["codes" if tensor.weight_bits else "values"]
        yield Account(tensor.name, math.prod(tensor.shape), tensor.kept, fillers, index_bits, code_bits, parts)


def _filler_bytes(tensor: _Stored, table: str, bits: int, symbol: int) -> int:
    """What the fillers of a parameter take of one stream, in which they are `symbol`, to the nearest byte."""
    return round((tensor.entries - tensor.kept) * tensor.coder.cost(tensor.sections[table], bits, symbol) / 8) if bits else 0
