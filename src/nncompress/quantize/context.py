"""A whole net as one stream of yes-or-no decisions, each predicted from what was coded before (context mixing, Mahoney 2005).

Fixed tables of gaps and codes do not see that the masks of trained nets are clustered: a unit of the first layer looks at a patch of the image,
pixels of its margin are looked at by none, and units without inputs have no outputs. Here every decision is predicted by several adaptive
probabilities, one for each of its contexts, which are mixed in the logistic domain by weights that learn online. So nothing of the model is
stored. All arithmetic is that of whole numbers: a stream is read back bit for bit on any machine.

Each parameter is a matrix: a row for each output, a column for each input and, behind convolutions or for images, each of its places, which are
a square grid where their number allows. What is coded, in this order:

    whether it is pruned, shared, in float16; how many entries its codebook has
    of a pruned one: which rows, then which columns hold anything; within these, row by row, which weights survive
    their codes, the most significant bit first

Beside this stream the numbers lie as they are, those of one parameter after those of the other: codebooks, and values that are not shared.

A decision takes some microseconds, so that nets are limited to `LARGEST` numbers and codebooks to `ENTRIES`; and sure decisions take next to
no room, so that a stream is limited to `FREE` of them and `DENSEST` for each of its bytes, and to `MOST` in all. What is remembered of them is
limited to `WIDEST` columns and `CONTEXTS` contexts, so that no stream takes 100 MB.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from nncompress.errors import UserError
from nncompress.quantize.tensors import INDEX_BITS, CompressedTensor, codebook_size

LARGEST, ENTRIES = 2**19, 256
"""Numbers of a net, and entries of a codebook, at most: they bound the time that a file can take."""
FREE, DENSEST, MOST = 2**19, 100, 2**21
"""Decisions that any stream may hold, that it may hold more for each of its bytes, and that none may exceed: LeNets have 30 to 50 a byte."""
WIDEST, CONTEXTS = 4096, 2**16
"""Columns of a parameter, and contexts that a prediction remembers of each kind, at most: they bound the memory. LeNets have 800 columns, and
a sixth of these contexts."""
ONE = 1 << 16
"""Probabilities are whole numbers of 65536ths, from 1 to 65535."""

PARTS = ("header", "indices", "codes")
"""What the decisions on a parameter are about."""

_ENTRIES_BITS = 9  # of the size of a codebook
_FINE = 6  # bits that adaptive probabilities have beyond those of `ONE`
_STEEP = 256  # a stretched probability ln(p / (1 - p)) is a whole number of 256ths
_REACH = 12 * _STEEP - 1
_PATIENCE, _MEMORY = 2, 400  # of an adaptive probability: observations that its first guess counts as, and that it forgets after
_UNIT = 1 << 16  # a weight of one
_RATE, _SHIFT = 3, 18  # of the mixing weights


def squashed() -> list[int]:
    """The logistic function of every stretched probability from -_REACH to _REACH, in 65536ths."""
    exact = (ONE / (1 + math.exp(-x / _STEEP)) for x in range(-_REACH, _REACH + 1))
    return [min(ONE - 1, max(1, round(p))) for p in exact]


_SQUASHED = squashed()
_STRETCHED = (np.searchsorted(np.array(_SQUASHED), np.arange(ONE)) - _REACH).clip(-_REACH, _REACH).tolist()
"""Its inverse: of every probability the first stretched value that is squashed to at least that."""


# --- the arithmetic coder


class Coder(Protocol):
    """Codes decisions one after another. The same walk over a net writes, reads and measures it."""

    def code(self, bit: int, one: int) -> int:
        """The decision, of which 1 has the probability `one` / 65536: `bit` where it is written, what the stream says where it is read."""
        ...

    def about(self, parameter: int, part: str) -> None:
        """What the next decisions are about."""
        ...


class Writer:
    """An arithmetic coder with carries avoided: [low, high] of 32 bits, of which the leading bytes are written once they agree."""

    def __init__(self) -> None:
        self.low, self.high, self.stream = 0, 0xFFFFFFFF, bytearray()

    def code(self, bit: int, one: int) -> int:
        middle = _middle(self.low, self.high, one)
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while not (self.low ^ self.high) & 0xFF000000:
            self.stream.append(self.high >> 24)
            self.low, self.high = self.low << 8 & 0xFFFFFFFF, self.high << 8 & 0xFFFFFFFF | 0xFF
        return bit

    def about(self, parameter: int, part: str) -> None:
        pass

    def finished(self) -> bytes:
        """The stream, as short as still tells: a reader finds zeros behind its end."""
        for count in range(5):
            unit = 1 << (32 - 8 * count)
            value = -(-self.low // unit) * unit
            if value <= self.high:
                ended = bytes(self.stream) + value.to_bytes(5, "big")[1 : 1 + count]
                return ended.rstrip(b"\0")
        raise AssertionError("four bytes tell any interval")


class Reader:
    """Reads what a `Writer` wrote, and measures it. `spent`: bits that the decisions on each (parameter, part) took."""

    def __init__(self, stream: bytes) -> None:
        self.stream, self.at = stream, 4
        self.low, self.high, self.value = 0, 0xFFFFFFFF, int.from_bytes(stream[:4].ljust(4, b"\0"), "big")
        self.spent: dict[tuple[int, str], float] = {}
        self._about = (0, "header")

    def code(self, bit: int, one: int) -> int:
        middle = _middle(self.low, self.high, one)
        found = self.value <= middle
        if found:
            self.high = middle
        else:
            self.low = middle + 1
        while not (self.low ^ self.high) & 0xFF000000:
            byte = self.stream[self.at] if self.at < len(self.stream) else 0
            self.at += 1
            self.low, self.high = self.low << 8 & 0xFFFFFFFF, self.high << 8 & 0xFFFFFFFF | 0xFF
            self.value = self.value << 8 & 0xFFFFFFFF | byte
        self.spent[self._about] += _BITS[one if found else ONE - one]
        return int(found)

    def about(self, parameter: int, part: str) -> None:
        self._about = (parameter, part)
        self.spent.setdefault(self._about, 0.0)


def _middle(low: int, high: int, one: int) -> int:
    """Where the part of [low, high] ends that stands for 1; never all of it."""
    return low + ((high - low) * one >> 16)


_BITS = [16.0, *(16 - math.log2(share) for share in range(1, ONE + 1))]
"""-log2 of every probability."""


# --- predictions


class Mixed:
    """Predicts decisions of one kind from their contexts.

    Each context that was seen has a probability of its own, the running share of ones there; one that was not predicts the share over all,
    and so do all that are new once `CONTEXTS` of its kind have been seen.

    The stretched probabilities are added up with weights, one set for each `select`, and squashed. After each decision the weights move along
    the gradient of its coding cost.
    """

    def __init__(self, inputs: int, sets: int = 1) -> None:
        self.tables: list[dict[int, list[int]]] = [{} for _ in range(inputs)]
        self.base = [ONE << _FINE >> 1, 0]  # share of ones, decisions
        self.weights = [[_UNIT * 3 // (2 * inputs + 1)] * (inputs + 1) for _ in range(sets)]

    def code(self, coder: Coder, bit: int, contexts: Sequence[int], select: int = 0) -> int:
        base, weights = self.base, self.weights[select]
        entries = [base]
        for table, context in zip(self.tables, contexts, strict=True):
            entry = table.get(context)
            if entry is None:
                entry = [base[0], 0]
                if len(table) < CONTEXTS:
                    table[context] = entry
            entries.append(entry)
        stretched = [_STRETCHED[entry[0] >> _FINE] for entry in entries]
        total = 0
        for weight, x in zip(weights, stretched, strict=True):
            total += weight * x
        total >>= 16
        one = _SQUASHED[(-_REACH if total < -_REACH else _REACH if total > _REACH else total) + _REACH]
        bit = coder.code(bit, one)
        step = ((bit << 16) - one) * _RATE
        for i, x in enumerate(stretched):
            weights[i] += x * step >> _SHIFT
        goal = (ONE << _FINE) - 1 if bit else 0
        for entry in entries:
            entry[0] += (goal - entry[0]) // (entry[1] + _PATIENCE)
            if entry[1] < _MEMORY:
                entry[1] += 1
        return bit


def _number(coder: Coder, value: int, bits: int) -> int:
    """A number of so many bits of which nothing is known, the most significant first."""
    found = 0
    for place in reversed(range(bits)):
        found = found << 1 | coder.code(value >> place & 1, ONE // 2)
    return found


# --- the walk over a net


@dataclass(frozen=True)
class _Matrix:
    """How a parameter is laid out: `rows` outputs, `units` inputs of `places` each, which are a grid `side` wide."""

    rows: int
    units: int
    places: int

    @property
    def columns(self) -> int:
        return self.units * self.places

    @property
    def side(self) -> int:
        root = math.isqrt(self.places)
        return root if root * root == self.places else self.places

    @cached_property
    def neighbours(self) -> list[list[int]]:
        """Of every column those left, above, above left, above right, two left and two above in the grid of the same input; -1 where there is
        none."""
        side, found = self.side, []
        for column in range(self.columns):
            y, x = divmod(column % self.places, side)
            around = ((x - 1, y), (x, y - 1), (x - 1, y - 1), (x + 1, y - 1), (x - 2, y), (x, y - 2))
            found.append([column + (b - y) * side + a - x if 0 <= a < side and b >= 0 else -1 for a, b in around])
        return found

    def near(self, column: int) -> list[int]:
        """The columns of the 3 x 3 places around a column, itself included."""
        side = self.side
        y, x = divmod(column % self.places, side)
        places = ((a, b) for b in (y - 1, y, y + 1) for a in (x - 1, x, x + 1) if 0 <= a < side and 0 <= b < self.places // side)
        return [column + (b - y) * side + a - x for a, b in places]


def _matrix(shape: tuple[int, ...], before: int) -> _Matrix:
    """`before`: outputs of the layer before, 0 for the first. A bias is a column."""
    rows, columns = (shape[0], math.prod(shape[1:])) if shape else (1, 1)
    if len(shape) > 2:
        units = shape[1]
    elif before and columns % before == 0:
        units = before
    else:
        units = 1 if math.isqrt(columns) ** 2 == columns else columns
    return _Matrix(rows, max(1, units), columns // max(1, units))


def encode(tensors: Mapping[str, CompressedTensor]) -> tuple[bytes, bytes]:
    """The stream of a net's parameters, in their order, and their numbers.

    Raises: UserError for a net or a codebook that is too large, or a net so regular that its stream would be refused as too short.
    """
    check_size([tensor.shape for tensor in tensors.values()])
    for name, tensor in tensors.items():
        if tensor.codes is not None and tensor.values.size > ENTRIES:
            raise UserError(f"{name}: coder = 'context' is for codebooks of at most {ENTRIES} entries, not {tensor.values.size}: take 'ans'")
    if (decisions := sum(map(_decisions, tensors.values()))) > MOST:  # said before the walk, which takes seconds
        raise UserError(f"coder = 'context' is for at most {MOST:,} decisions, not {decisions:,}: take 'ans'")
    writer, walk = Writer(), _Walk()
    for tensor in tensors.values():
        walk.parameter(writer, tensor.shape, tensor)
    numbers = b"".join(tensor.values.astype(f"<f{tensor.values.itemsize}").tobytes() for tensor in tensors.values())
    stream = writer.finished()
    if walk.decisions > _most_decisions(stream):
        most, found = f"{FREE:,} decisions and {DENSEST} a byte, {MOST:,} in all", f"{walk.decisions:,} in {len(stream):,} bytes"
        raise UserError(f"coder = 'context' is for at most {most}, not {found}: take 'ans'")
    return stream, numbers


def decode(stream: bytes, numbers: bytes, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, CompressedTensor]:
    """The parameters that `encode` was given, whose `shapes` are known.

    Of the widths of codes and gaps, which mean nothing here, codes have the least that tells the codebook's entries apart, and gaps
    `INDEX_BITS`.

    Raises: UserError for a net that is too large; ValueError if stream and numbers hold no such parameters.
    """
    return _read(stream, numbers, shapes)[0]


def measure(
    stream: bytes, numbers: bytes, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, CompressedTensor], dict[str, dict[str, float]]]:
    """The parameters, and what the stream spends on each: bits of its 'header', 'indices' and 'codes'. Raises as `decode` does."""
    found, reader = _read(stream, numbers, shapes)
    return found, {name: {part: reader.spent.get((place, part), 0.0) for part in PARTS} for place, name in enumerate(shapes)}


def _read(stream: bytes, numbers: bytes, shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, CompressedTensor], Reader]:
    check_size(list(shapes.values()))
    reader, walk = Reader(stream), _Walk(numbers, _most_decisions(stream))
    found = {name: walk.parameter(reader, shape, None) for name, shape in shapes.items()}
    if len(stream) > reader.at or walk.at != len(numbers):
        raise ValueError("something lies behind its last parameter")
    return found, reader


def check_size(shapes: Sequence[tuple[int, ...]]) -> None:
    """Raises: UserError for a net of more than `LARGEST` numbers, or a parameter of more than `WIDEST` columns."""
    if (size := sum(math.prod(shape) for shape in shapes)) > LARGEST:
        raise UserError(f"coder = 'context' is for nets of at most {LARGEST:,} numbers, not {size:,}: take 'ans'")
    if (columns := max((math.prod(shape[1:]) for shape in shapes if shape), default=0)) > WIDEST:
        raise UserError(f"coder = 'context' is for layers of at most {WIDEST:,} inputs to a unit, not {columns:,}: take 'ans'")


def _most_decisions(stream: bytes) -> int:
    return min(FREE + DENSEST * len(stream), MOST)


def _decisions(tensor: CompressedTensor) -> int:
    """How many a parameter takes, counted as `_Walk` does."""
    decisions = 0
    if tensor.positions is not None:
        matrix = _matrix(tensor.shape, 0)
        rows, columns = np.divmod(tensor.positions, matrix.columns)
        decisions += matrix.rows + matrix.columns + np.unique(rows).size * np.unique(columns).size
    if tensor.codes is not None:
        decisions += _depth(tensor.values.size) * tensor.codes.size
    return decisions


def _depth(entries: int) -> int:
    """Decisions that tell the entries of a codebook apart."""
    return max(0, (entries - 1).bit_length())


class _Walk:
    """Goes through the parameters of a net, in the same way whether they are written or read.

    It knows of those before: how many there were, and of the last two with several columns how many weights of each row survive. `decisions`:
    how many on places and codes there were, or could have been; where a net is read there must not be more than `most`.
    """

    def __init__(self, numbers: bytes = b"", most: int | None = None) -> None:
        self.numbers, self.at, self.place = numbers, 0, 0
        self.decisions, self.most = 0, most
        self.kept_before: list[int] = []
        self.kept: list[int] = []
        self.masks: dict[bool, tuple[Mixed, Mixed, Mixed]] = {}

    def parameter(self, coder: Coder, shape: tuple[int, ...], tensor: CompressedTensor | None) -> CompressedTensor:
        """Code one parameter; `tensor` is None where it is read. Returns: the parameter. Raises: ValueError where what is read cannot be one,
        as soon as that shows."""
        is_matrix, place = len(shape) > 1, self.place
        self.place += 1
        if is_matrix:
            self.kept_before = self.kept
        matrix = _matrix(shape, len(self.kept_before) if is_matrix else 0)
        size = matrix.rows * matrix.columns
        coder.about(place, "header")
        is_pruned = _number(coder, int(tensor is not None and tensor.positions is not None), 1) == 1
        is_shared = _number(coder, int(tensor is not None and tensor.codes is not None), 1) == 1
        is_half = _number(coder, int(tensor is not None and tensor.values.itemsize == 2), 1) == 1
        entries = _number(coder, tensor.values.size if tensor is not None else 0, _ENTRIES_BITS) if is_shared else 0
        room = LARGEST if tensor is not None else (len(self.numbers) - self.at) // (2 if is_half else 4)  # for values
        if entries > min(ENTRIES, room):
            raise ValueError(f"a codebook of {entries} entries, of at most {ENTRIES} and {room} numbers that are left")
        coder.about(place, "indices")
        most = size if is_shared else min(size, room)
        positions = self.mask(coder, matrix, is_matrix, None if tensor is None else tensor.positions, most) if is_pruned else None
        if is_matrix and positions is None:
            self.kept = [matrix.columns] * matrix.rows
        kept = size if positions is None else positions.size
        codes = None
        if is_shared:
            coder.about(place, "codes")
            codes = self.codes(
                coder, matrix, np.arange(size) if positions is None else positions, entries, None if tensor is None else tensor.codes
            )
        if tensor is not None:
            return tensor
        width = next(width for width in range(1, 17) if codebook_size(width, is_pruned) >= entries) if is_shared else 0
        values = self.values(entries if is_shared else kept, "<f2" if is_half else "<f4")
        return CompressedTensor(shape, values, codes, positions, width, INDEX_BITS if is_pruned else 0)

    def expect(self, decisions: int) -> None:
        """Raises: ValueError if the stream that is read may not hold so many more."""
        self.decisions += decisions
        if self.most is not None and self.decisions > self.most:
            raise ValueError(f"{self.decisions:,} decisions, of at most {self.most:,} that its stream may hold")

    def values(self, count: int, dtype: str) -> np.ndarray:
        """The next numbers that lie beside the stream. Raises: ValueError where there are not so many."""
        begin, stored = self.at, np.dtype(dtype)
        self.at += count * stored.itemsize
        if self.at > len(self.numbers):
            raise ValueError("its numbers are cut off")
        return np.frombuffer(self.numbers[begin : self.at], stored).astype(stored.newbyteorder("="))

    def mask(self, coder: Coder, matrix: _Matrix, has_columns: bool, positions: np.ndarray | None, most: int) -> np.ndarray:
        """Where the surviving weights are, ascending. Raises: ValueError for more than `most`."""
        self.expect(matrix.rows + matrix.columns)
        given = np.zeros((matrix.rows, matrix.columns), bool)
        if positions is not None:
            given.ravel()[positions] = True
        rows, columns, weights = self.masks.setdefault(has_columns, (Mixed(2), Mixed(3), Mixed(6, 4)))
        fan_in = self.kept if not has_columns and len(self.kept) == matrix.rows else [1] * matrix.rows  # of a bias, that of its unit
        alive: list[int] = given.any(1).astype(int).tolist()
        last = 1
        for row in range(matrix.rows):
            alive[row] = last = rows.code(coder, alive[row], (fan_in[row].bit_length(), last))
        used: list[int] = given.any(0).astype(int).tolist()
        sources = self.kept_before if len(self.kept_before) == matrix.units else [1] * matrix.units
        neighbours = matrix.neighbours
        for column, around in enumerate(neighbours):
            seen = [used[other] if other >= 0 else 0 for other in around]
            source = min(sources[column // matrix.places], 1)
            used[column] = columns.code(
                coder, used[column], (source, seen[0] << 1 | seen[1], seen[0] | seen[1] << 1 | seen[2] << 2 | seen[3] << 3 | source << 4)
            )
        live = [column for column in range(matrix.columns) if used[column]]
        self.expect(sum(alive) * len(live))
        found = array("q")  # a list would take five times the memory
        heat = [0] * matrix.columns  # ones of the rows before in the 3 x 3 places around
        near = {column: matrix.near(column) for column in live}
        grades = {column: min(sources[column // matrix.places].bit_length(), 6) for column in live}
        before = ones = 0  # rows and ones until here
        kept = [0] * matrix.rows
        for row in range(matrix.rows):
            if not alive[row]:
                continue
            bits = [0] * (matrix.columns + 1)  # the last for neighbours that are not there
            source_row: list[int] = given[row].astype(int).tolist()
            here = 0
            expected = max(1, ones // max(1, before)) if before else 0
            for index, column in enumerate(live):
                a, b, c, d, e, f = neighbours[column]
                left, above = bits[a], bits[b]
                pattern = left | above << 1 | bits[c] << 2 | bits[d] << 3 | bits[e] << 4 | bits[f] << 5
                close = left + above + bits[c] + bits[d]
                warmth = _level(heat[column], before * len(near[column]))
                pace = _level(here * len(live), (index + 1) * (expected + 1))
                if index == len(live) - 1 and not here:
                    bit = 1  # the row holds something
                else:
                    contexts = (
                        self.place << 20 | column,
                        pattern,
                        warmth << 3 | close,
                        pace << 5 | warmth,
                        grades[column] << 5 | pace,
                        (left << 1 | above) << 10 | warmth << 5 | pace,
                    )
                    bit = weights.code(coder, source_row[column], contexts, min(close, 3))
                if bit:
                    bits[column] = 1
                    here += 1
                    found.append(row * matrix.columns + column)
            for place in found[len(found) - here :]:
                for column in near[place % matrix.columns]:
                    heat[column] += 1
            before, ones = before + 1, ones + here
            if ones > most:
                raise ValueError("its numbers are cut off")
            kept[row] = here
        if has_columns:
            self.kept = kept
        return np.array(found, np.int64)

    def codes(self, coder: Coder, matrix: _Matrix, positions: np.ndarray, entries: int, codes: np.ndarray | None) -> np.ndarray:
        """The codebook entries of the weights at these positions."""
        depth, model = _depth(entries), Mixed(4)
        self.expect(depth * positions.size)
        above = [0] * matrix.columns  # code and one of the last weight of each column
        found = np.zeros(positions.size, np.uint16)
        at: dict[int, int] = {}
        row, previous = -1, 0
        for i, place in enumerate(positions.astype(np.int64).data):  # whole numbers of Python, one at a time
            now, column = divmod(place, matrix.columns)
            if now != row:
                row, previous, at = now, 0, {}
            around = matrix.neighbours[column]
            left, up = at.get(around[0], 0), at.get(around[1], 0)
            given, node = int(codes[i]) if codes is not None else 0, 1
            for level in reversed(range(depth)):
                contexts = (node, node << 17 | previous, (node << 17 | left) << 17 | up, node << 17 | above[column])
                node = node << 1 | model.code(coder, given >> level & 1, contexts)
            found[i] = code = node - (1 << depth)
            previous = at[column] = above[column] = int(code) + 1
        return found


def _level(part: int, whole: int) -> int:
    """The ratio of two counts on a coarse scale of half octaves, 0 to 31; 0 where nothing is known."""
    if not whole:
        return 0
    ratio = 1024 * part // whole + 1
    octave = ratio.bit_length() - 1
    return min(31, 1 + 2 * octave + (ratio >> octave - 1 & 1 if octave else 0))
