"""Asymmetric numeral systems (Duda et al. 2015) by the library `constriction`: what a coder without whole bits per symbol makes of the same.

The stored model is how often each symbol occurs, so that the stream comes within a hair of the entropy.
"""

from __future__ import annotations

import math

import numpy as np
from constriction import stream as streams


def encode(symbols: np.ndarray, bits: int) -> tuple[bytes, bytes]:
    """Code an array of symbols.

    Args:
        symbols: (N,) below 2^bits.
        bits: width of a symbol's fixed-length code, 1 to 16.

    Returns: the table, the count of each of the 2^bits symbols, seven bits to a byte, lowest first, the eighth set if more follow (LEB128);
    and the stream, 32-bit words. A symbol that is alone takes no bits at all.
    """
    counts = np.bincount(symbols, minlength=1 << bits)
    table = b"".join(map(_leb128, counts.tolist()))
    if np.count_nonzero(counts) < 2:
        return table, b""
    coder = streams.stack.AnsCoder()
    coder.encode_reverse(symbols.astype(np.int32), _model(counts))
    return table, coder.get_compressed().astype("<u4").tobytes()


def decode(table: bytes, stream: bytes, bits: int, count: int) -> np.ndarray:
    """The `count` symbols that `encode` was given, uint16 (count,). Raises: ValueError if table and stream are not what it makes of them."""
    counts = _read(table, bits)
    alone = np.count_nonzero(counts) < 2
    if counts.sum() != count or len(stream) % 4 or (alone and stream):
        raise ValueError("the table of counts does not fit the stream")
    if alone:
        return np.full(count, counts.argmax(), np.uint16)
    coder = streams.stack.AnsCoder(np.frombuffer(stream, "<u4").astype(np.uint32))
    symbols = coder.decode(_model(counts), count).astype(np.uint16)
    if not coder.is_empty() or not np.array_equal(np.bincount(symbols, minlength=counts.size), counts):
        raise ValueError("the stream does not hold the symbols that its table counts")
    return symbols


def cost(table: bytes, bits: int, symbol: int) -> float:
    """Bits that the stream spends on one occurrence of `symbol`: -log2 of its share."""
    counts = _read(table, bits)
    return math.log2(counts.sum() / counts[symbol]) if counts[symbol] else 0.0


def _model(counts: np.ndarray) -> streams.model.Categorical:
    return streams.model.Categorical(
        counts.astype(np.float64), perfect=False
    )  # said, for both sides must agree and the library's default has changed


def _leb128(number: int) -> bytes:
    groups = []
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    return bytes([*groups, number])


def _read(table: bytes, bits: int) -> np.ndarray:
    """The counts that a table holds, int64 (2^bits,)."""
    data = np.frombuffer(table, np.uint8).astype(np.int64)
    ends = np.flatnonzero(data < 128)
    begins = np.concatenate([[0], ends[:-1] + 1])
    if ends.size != 1 << bits or ends[-1] != data.size - 1 or (ends - begins).max() > 4:
        raise ValueError("the table of counts is cut off")
    place = np.arange(data.size) - np.repeat(begins, ends - begins + 1)
    return np.add.reduceat((data & 127) << 7 * place, begins)
