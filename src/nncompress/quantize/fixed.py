"""Symbols in as many bits as they are wide, as they are before entropy coding: the column P+Q of Han, Mao & Dally 2016."""

from __future__ import annotations

import numpy as np

from nncompress.quantize.bits import pack, unpack


def encode(symbols: np.ndarray, bits: int) -> tuple[bytes, bytes]:
    """An empty table, and the symbols (N,), each in `bits` bits."""
    return b"", pack(symbols, np.full(symbols.size, bits))


def decode(table: bytes, stream: bytes, bits: int, count: int) -> np.ndarray:
    """The `count` symbols that `encode` was given, uint16 (count,). Raises: ValueError if table and stream are not what it makes of them."""
    if table:
        raise ValueError("a table where there is none")
    return unpack(stream, bits, count).astype(np.uint16)


def cost(table: bytes, bits: int, symbol: int) -> float:
    """Bits that the stream spends on one occurrence of `symbol`."""
    return float(bits)
