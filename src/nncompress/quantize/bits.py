"""Numbers of any width, packed without gaps into bytes, the most significant bit first."""

from __future__ import annotations

import numpy as np

WIDEST = 25
"""Bits that `peek` can read at once, wherever they begin: a window of 32 bits less the 7 that may lie before them in its first byte."""


def pack(values: np.ndarray, widths: np.ndarray) -> bytes:
    """The values one after another, values[i] in widths[i] bits; zero bits fill up the last byte.

    Args:
        values: (N,) whole numbers, values[i] < 2^widths[i].
        widths: (N,) 1 to 32.
    """
    values, ends = values.astype(np.uint64), np.cumsum(widths, dtype=np.int64)
    total = int(ends[-1]) if ends.size else 0
    begins = ends - widths
    words = np.zeros(total // 64 + 2, np.uint64)
    word, room = begins >> 6, 64 - (begins & 63) - widths  # bits left in the 64-bit word after the value; below zero it goes on in the next
    shifted = np.where(room >= 0, values << np.maximum(room, 0).astype(np.uint64), values >> np.maximum(-room, 0).astype(np.uint64))
    first = np.flatnonzero(np.diff(word, prepend=-1))  # of the values that begin in a word
    if first.size:
        words[word[first]] = np.bitwise_or.reduceat(shifted, first)
    over = np.flatnonzero(room < 0)  # one for a word at most
    words[word[over] + 1] |= values[over] << (64 + room[over]).astype(np.uint64)
    return words.astype(">u8").tobytes()[: -(-total // 8)]


def unpack(data: bytes, width: int, count: int) -> np.ndarray:
    """The `count` numbers of `width` bits each, 1 to WIDEST, that `data` begins with: uint32 (count,).

    Raises: ValueError if `data` is not as long as they need, to the byte.
    """
    if len(data) != -(-count * width // 8):
        raise ValueError(f"{len(data)} bytes for {count} numbers of {width} bits")
    return peek(windows(data), np.arange(count, dtype=np.int64) * width, width)


def windows(data: bytes, beyond: int = 0) -> np.ndarray:
    """The 32 bits that begin at every byte of `data`, and at `beyond` bytes after it, which read as zero: uint32 (len(data) + beyond + 1,)."""
    padded = np.zeros(len(data) + beyond + 4, np.uint32)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    return padded[:-3] << 24 | padded[1:-2] << 16 | padded[2:-1] << 8 | padded[3:]


def peek(window: np.ndarray, begins: np.ndarray, width: int) -> np.ndarray:
    """The numbers of `width` bits, 1 to WIDEST, that begin at the bits `begins`: uint32, of the shape of `begins`."""
    return window[begins >> 3] << (begins & 7).astype(np.uint32) >> np.uint32(32 - width)
