"""Packed bits, Huffman codes and the other coders: round trips, bounds by the entropy, damage."""

import heapq
import itertools
import time
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nncompress.quantize import ans, fixed, huffman
from nncompress.quantize.bits import WIDEST, pack, peek, unpack, windows
from nncompress.quantize.huffman import BLOCK, canonical_codes, code_lengths

CODERS = pytest.mark.parametrize("coder", [fixed, huffman, ans], ids=["fixed", "huffman", "ans"])
counts_of_symbols = st.lists(st.integers(0, 2000), min_size=1, max_size=40).map(np.array)


def entropy(counts: np.ndarray) -> float:
    """Bits a symbol."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def huffman_bits(counts: np.ndarray) -> int:
    """Bits of the shortest prefix code, by Huffman's own algorithm: the sum of all weights that are merged."""
    heap = [int(count) for count in counts if count]
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    return total


def draw(counts: np.ndarray, seed: int = 0) -> np.ndarray:
    """Symbols of exactly these counts in random order."""
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(counts.size), counts))


def width_of(alphabet: int) -> int:
    return max(1, (alphabet - 1).bit_length())


# --- bits


def test_bits_are_packed_with_the_most_significant_first() -> None:
    assert pack(np.array([0b101, 0b0, 0b11111, 0b1]), np.array([3, 1, 5, 1])) == bytes([0b10101111, 0b11000000])


@given(st.lists(st.tuples(st.integers(1, 32), st.integers(0, 2**32 - 1)), max_size=200))
def test_packed_numbers_are_the_string_of_their_binary_digits(numbers: list[tuple[int, int]]) -> None:
    digits = "".join(f"{value % 2**width:0{width}b}" for width, value in numbers)
    packed = pack(np.array([value % 2**width for width, value in numbers], np.uint64), np.array([width for width, _ in numbers], np.int64))
    assert packed == bytes(int(digits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(digits), 8))


@given(st.integers(1, WIDEST), st.lists(st.integers(0, 2**WIDEST - 1), max_size=100))
def test_numbers_of_one_width_come_back(width: int, numbers: list[int]) -> None:
    values = np.array(numbers, np.int64) % 2**width
    packed = pack(values, np.full(values.size, width))
    assert unpack(packed, width, values.size).tolist() == values.tolist()
    with pytest.raises(ValueError, match="bytes for"):
        unpack(packed + b"\0", width, values.size)


def test_bits_beyond_the_end_read_as_zero() -> None:
    assert peek(windows(b"\xff", beyond=3), np.array([0, 4, 8, 31]), 8).tolist() == [255, 240, 0, 0]


# --- Huffman codes


def test_a_code_worked_by_hand() -> None:
    """Counts 5, 2, 1, 1 and a symbol that does not occur: lengths 1, 2, 3, 3; in canonical order 0, 10, 110, 111."""
    lengths = code_lengths(np.array([2, 5, 0, 1, 1]), 16)
    assert lengths.tolist() == [2, 1, 0, 3, 3]
    assert canonical_codes(lengths).tolist() == [0b10, 0b0, 0, 0b110, 0b111]
    table, stream = huffman.encode(np.array([1, 1, 0, 3, 4, 0, 1, 1, 1]), bits=3)
    assert stream == bytes([0b0_0_10_110_1, 0b11_10_0_0_0_0])
    assert table == bytes([0b00010_000, 0b01_00000_0, 0b0011_0001, 0b1_00000_00, 0b000_00000]) + (15).to_bytes(4, "little")


@given(counts_of_symbols.filter(lambda counts: np.count_nonzero(counts) > 1))
def test_codes_are_free_of_prefixes_complete_and_within_a_bit_of_the_entropy(counts: np.ndarray) -> None:
    lengths = code_lengths(counts, 16)
    assert ((lengths > 0) == (counts > 0)).all() and lengths.max() <= 16
    words = [f"{code:0{length}b}" for code, length in zip(canonical_codes(lengths), lengths) if length]
    assert not any(second.startswith(first) for first, second in itertools.permutations(words, 2))
    assert sum(2.0 ** -len(word) for word in words) == 1
    mean = float((counts * lengths).sum() / counts.sum())
    assert entropy(counts) <= mean + 1e-9 and mean < entropy(counts) + 1
    assert (counts * lengths).sum() >= huffman_bits(counts)


@given(counts_of_symbols.filter(lambda counts: np.count_nonzero(counts) > 1))
def test_without_a_limit_that_binds_the_code_is_huffmans(counts: np.ndarray) -> None:
    assert (counts * code_lengths(counts, 40)).sum() == huffman_bits(counts)


@given(st.lists(st.integers(1, 100), min_size=2, max_size=6).map(np.array), st.integers(3, 5))
def test_no_code_within_the_limit_is_shorter(counts: np.ndarray, limit: int) -> None:
    lengths = code_lengths(counts, limit)
    possible = (each for each in itertools.product(range(1, limit + 1), repeat=counts.size) if sum(2.0**-length for length in each) <= 1)
    assert lengths.max() <= limit
    assert (counts * lengths).sum() == min((counts * np.array(each)).sum() for each in possible)


def test_counts_that_would_give_the_longest_codes_stay_within_the_limit() -> None:
    """Fibonacci's numbers make Huffman's tree a comb: 40 symbols would have codes of 39 bits."""
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    counts = np.array(fibonacci)
    lengths = code_lengths(counts, 16)
    assert lengths.max() == 16 and code_lengths(counts, 39).max() == 39
    assert (counts * lengths).sum() < huffman_bits(counts) * 1.001


def test_the_largest_alphabet_has_codes_within_its_limit() -> None:
    symbols = np.concatenate([np.arange(1 << 16), np.zeros(1 << 20, np.int64)])
    table, stream = huffman.encode(symbols, bits=16)
    assert np.array_equal(huffman.decode(table, stream, 16, symbols.size), symbols)


# --- all coders


@CODERS
@given(counts=counts_of_symbols, seed=st.integers(0, 100))
def test_symbols_come_back(coder: ModuleType, counts: np.ndarray, seed: int) -> None:
    symbols, bits = draw(counts, seed), width_of(counts.size)
    table, stream = coder.encode(symbols, bits)
    decoded = coder.decode(table, stream, bits, symbols.size)
    assert decoded.dtype == np.uint16 and decoded.tolist() == symbols.tolist()


@CODERS
@pytest.mark.parametrize("count", [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 5])
def test_streams_of_any_length_come_back(coder: ModuleType, count: int) -> None:
    symbols = np.random.default_rng(count).integers(0, 16, count) ** 2 // 16
    table, stream = coder.encode(symbols, 4)
    assert np.array_equal(coder.decode(table, stream, 4, count), symbols)


@CODERS
@given(counts=counts_of_symbols.filter(lambda counts: counts.sum() > 0))
def test_the_stream_is_as_long_as_its_symbols_cost(coder: ModuleType, counts: np.ndarray) -> None:
    symbols, bits = draw(counts), width_of(counts.size)
    table, stream = coder.encode(symbols, bits)
    expected = sum(int(count) * coder.cost(table, bits, symbol) for symbol, count in enumerate(counts))
    slack = 64 + 1e-4 * expected if coder is ans else 7  # words of 32 bits; the last byte
    assert expected - 1e-3 * (coder is ans) * (1 + expected) <= 8 * len(stream) <= expected + slack


@pytest.mark.parametrize("coder", [huffman, ans], ids=["huffman", "ans"])
def test_a_symbol_that_is_alone_takes_no_bits(coder: ModuleType) -> None:
    table, stream = coder.encode(np.full(5000, 3), 2)
    assert stream == b"" and coder.cost(table, 2, 3) == 0
    assert coder.decode(table, stream, 2, 5000).tolist() == [3] * 5000


LAYERS = {
    "even": np.full(32, 10_000),
    "geometric, as gaps are": np.round(1_000_000 * 0.08 * 0.92 ** np.arange(32)).astype(int),
    "bell-shaped, as codes are": np.round(30_000 * np.exp(-(((np.arange(64) - 31.5) / 12) ** 2))).astype(int),
    "one symbol nearly alone": np.array([1_000_000, 1000, 10, 1]),
    "two alike": np.array([45_000, 55_000]),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_huffman_is_within_a_bit_of_the_entropy_and_ans_within_a_thousandth(layer: str) -> None:
    counts = LAYERS[layer]
    symbols, bits = draw(counts), width_of(counts.size)
    bound = counts.sum() * entropy(counts)
    coded = {coder: 8 * len(coder.encode(symbols, bits)[1]) for coder in (huffman, ans)}
    assert bound <= coded[huffman] + 1e-6 and coded[huffman] < bound + counts.sum()
    assert bound * 0.9999 - 1 <= coded[ans] <= bound * 1.001 + 64
    assert coded[ans] <= coded[huffman] + 64


def test_four_million_symbols_are_coded_in_a_second_or_so() -> None:
    symbols = np.minimum(np.random.default_rng(0).geometric(0.08, 4_000_000) - 1, 31)
    began = time.process_time()
    table, stream = huffman.encode(symbols, 5)
    encoded = time.process_time()
    assert np.array_equal(huffman.decode(table, stream, 5, symbols.size), symbols)
    assert encoded - began < 8 and time.process_time() - encoded < 8


# --- damage

SYMBOLS = np.minimum(np.random.default_rng(1).geometric(0.2, 3 * BLOCK // 2) - 1, 15)


@CODERS
def test_tables_and_streams_that_do_not_fit_are_refused(coder: ModuleType) -> None:
    table, stream = coder.encode(SYMBOLS, 4)
    damaged = [
        (table, stream[:-4], 0),
        (table, stream + b"\1\2\3\4", 0),
        (table + b"\0", stream, 0),
        (table, stream, 9),
        (table, stream, -9),
        (table, b"", 0),
    ]
    damaged += [(table[:-1], stream, 0), (b"", stream, 0)] if table else []
    for bad_table, bad_stream, more in damaged:
        with pytest.raises(ValueError):
            coder.decode(bad_table, bad_stream, 4, SYMBOLS.size + more)


@CODERS
def test_no_damage_does_more_than_raise_a_value_error(coder: ModuleType) -> None:
    generator = np.random.default_rng(0)
    symbols = SYMBOLS[:200]
    parts = coder.encode(symbols, 4)
    refused = 0
    for _ in range(2000):
        part = int(generator.integers(2 if parts[0] else 1)) if parts[0] else 1
        damaged = [bytearray(each) for each in parts]
        for _ in range(int(generator.integers(1, 4))):
            damaged[part][generator.integers(len(damaged[part]))] = generator.integers(256)
        try:
            assert coder.decode(*map(bytes, damaged), 4, symbols.size).shape == symbols.shape
        except ValueError:
            refused += 1
    assert refused > 0 or coder is fixed
