"""Huffman coding (Han, Mao & Dally 2016, sec. 4): canonical codes of limited length, of which only the lengths are stored.

Both directions work on whole arrays. The code of every symbol begins where the codes before it end, so a decoder has to go step by step; this
one goes through many places at once: the stream is cut into blocks of `BLOCK` symbols, and where each block begins is stored in the table.
"""

from __future__ import annotations

import numpy as np

from nncompress.quantize.bits import pack, peek, unpack, windows

BLOCK = 4096
"""Symbols that one block holds; the last may hold fewer. The 32 bits that a block's length takes are about 0.2 % of what it holds."""
_LENGTH_BITS = 5


def code_lengths(counts: np.ndarray, limit: int) -> np.ndarray:
    """Lengths of the code that is shortest for these counts among those of at most `limit` bits (package-merge, Larmore & Hirschberg 1990).

    In each of `limit` rounds the list of all symbols is merged, by weight, with the pairs of the round before. Of the last list the 2n - 2
    lightest items are taken, and of the lists before it the items that are in the pairs taken; a symbol's code is as long as it was taken
    often. Where the limit does not bind, this is Huffman's code.

    Args:
        counts: (A,) how often each symbol of the alphabet occurs; those that do not get no code.
        limit: at least log2 of the number of symbols that occur.

    Returns: uint8 (A,); 0 for symbols that do not occur. A symbol that is alone has length 1, of which the streams make no use.
    """
    lengths = np.zeros(counts.size, np.uint8)
    used = np.flatnonzero(counts)
    if used.size == 1:
        lengths[used] = 1
    if used.size < 2:
        return lengths
    lightest_first = used[np.argsort(counts[used], kind="stable")]
    symbols = counts[lightest_first].astype(np.int64)
    items, is_symbol = symbols, [np.ones(used.size, bool)]
    for _ in range(limit - 1):
        pairs = items[: items.size // 2 * 2].reshape(-1, 2).sum(1)
        both = np.concatenate([symbols, pairs])
        order = np.argsort(both, kind="stable")
        items = both[order]
        is_symbol.append(order < used.size)
    taken = 2 * used.size - 2
    for flags in reversed(is_symbol):
        alone = int(np.count_nonzero(flags[:taken]))
        lengths[lightest_first[:alone]] += 1
        taken = 2 * (taken - alone)
    return lengths


def canonical_codes(lengths: np.ndarray) -> np.ndarray:
    """The code words that the lengths stand for: uint32 (A,). Shorter codes come first, those of equal length in the order of their symbols."""
    order, spans = _ordered(lengths)
    codes = np.zeros(lengths.size, np.uint32)
    codes[order] = (np.cumsum(spans) - spans) // spans
    return codes


def encode(symbols: np.ndarray, bits: int) -> tuple[bytes, bytes]:
    """Code an array of symbols.

    Args:
        symbols: (N,) below 2^bits.
        bits: width of a symbol's fixed-length code, 1 to 16.

    Returns: the table, 5 bits for the code length of each of the 2^bits symbols, and 32 bits for the length of each block in bits; and the
    stream. A symbol that is alone takes no bits at all.
    """
    lengths = code_lengths(np.bincount(symbols, minlength=1 << bits), _limit(bits))
    table = pack(lengths, np.full(lengths.size, _LENGTH_BITS))
    if np.count_nonzero(lengths) < 2:
        return table, b""
    widths = lengths[symbols]
    blocks = np.add.reduceat(widths, np.arange(0, symbols.size, BLOCK), dtype=np.int64)
    return table + blocks.astype("<u4").tobytes(), pack(canonical_codes(lengths)[symbols], widths)


def decode(table: bytes, stream: bytes, bits: int, count: int) -> np.ndarray:
    """The `count` symbols that `encode` was given, uint16 (count,). Raises: ValueError if table and stream are not what it makes of them."""
    lengths, blocks = _read(table, bits)
    used = np.flatnonzero(lengths)
    if used.size < 2:
        if stream or blocks.size or (count and not used.size):
            raise ValueError("the Huffman table does not fit the stream")
        return np.full(count, used[0] if count else 0, np.uint16)
    order, spans = _ordered(lengths)
    longest = int(lengths.max())
    if longest > _limit(bits) or spans.sum() != 1 << longest:
        raise ValueError("the code lengths make no Huffman code")
    if blocks.size != -(-count // BLOCK) or -(-int(blocks.sum()) // 8) != len(stream):
        raise ValueError("the blocks do not fit the stream")
    prefixes = np.repeat(order.astype(np.uint32) << _LENGTH_BITS | lengths[order], spans)  # what every `longest` bits begin with
    window = windows(stream, beyond=min(count, BLOCK) * longest // 8 + 1)  # a damaged block may run on
    ends = np.cumsum(blocks)
    at = ends - blocks
    decoded = np.zeros((min(count, BLOCK), blocks.size), np.uint16)
    in_last_block = count - BLOCK * (blocks.size - 1)
    for step, row in enumerate(decoded):
        unfinished = blocks.size - (step >= in_last_block)
        found = prefixes[peek(window, at[:unfinished], longest)]
        row[:unfinished] = found >> _LENGTH_BITS
        at[:unfinished] += found & (1 << _LENGTH_BITS) - 1
    if not np.array_equal(at, ends):
        raise ValueError("the codes do not end where their blocks end")
    return decoded.T.ravel()[:count]


def cost(table: bytes, bits: int, symbol: int) -> float:
    """Bits that the stream spends on one occurrence of `symbol`."""
    lengths, _ = _read(table, bits)
    return float(lengths[symbol]) if np.count_nonzero(lengths) > 1 else 0.0


def _limit(bits: int) -> int:
    """The longest code that is allowed: 16 bits, for large alphabets four more than their fixed-length code. This costs next to nothing and
    keeps the decoder's table of prefixes small."""
    return max(16, bits + 4)


def _ordered(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The symbols that have codes in the order of their codes, and how many words of the longest code's length begin with each code."""
    order = np.lexsort((np.arange(lengths.size), lengths))[np.count_nonzero(lengths == 0) :]
    return order, 1 << (int(lengths.max(initial=0)) - lengths[order].astype(np.int64))


def _read(table: bytes, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The code lengths uint8 and the blocks' lengths int64 that a table holds."""
    size = -(-(_LENGTH_BITS << bits) // 8)
    if (len(table) - size) % 4 or len(table) < size:
        raise ValueError("the Huffman table is cut off")
    return unpack(table[:size], _LENGTH_BITS, 1 << bits).astype(np.uint8), np.frombuffer(table[size:], "<u4").astype(np.int64)
