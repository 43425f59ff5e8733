"""The coder of whole nets: round trips, its length beside its own estimate and beside what is known of the source, files, damage."""

import hashlib
import itertools
import math
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncompress.errors import UserError
from nncompress.models import initial_weights, parameter_shapes
from nncompress.prune import keep_largest
from nncompress.quantize import CompressedNet, CompressedTensor, account, compress, context, dense, load, pruned, save, shared
from nncompress.quantize.context import ONE, Mixed, Reader, Writer
from nncompress.quantize.storage import accounts, decode, encode, with_best_gaps
from nncompress.types import Model
from tests.unit.quantize.bounds import traced

TINY = Model("mlp", (9, 5, 3))


def small_net(model: Model = TINY, density: float = 0.4, weight_bits: int = 2, seed: int = 0) -> CompressedNet:
    """Weights pruned by magnitude and shared, biases that are not zero."""
    generator = np.random.default_rng(seed)
    weights = initial_weights(model, seed)
    weights |= {name: generator.normal(size=array.shape).astype(np.float32) for name, array in weights.items() if array.ndim == 1}
    layers = [name for name, array in weights.items() if array.ndim > 1]
    masks = keep_largest(weights, {}, dict.fromkeys(layers, 1 - density))
    return CompressedNet(model, compress(weights, masks, dict.fromkeys(layers, weight_bits)))


def same_numbers(first: CompressedNet, second: CompressedNet) -> bool:
    """All that a file keeps: values, codes and positions, bit for bit, and so the weights."""

    def of(net: CompressedNet) -> list[object]:
        parts = [(t.shape, t.values.dtype, t.values.tobytes(), t.weights.tobytes()) for t in net.tensors.values()]
        places = [None if array is None else array.tolist() for tensor in net.tensors.values() for array in (tensor.codes, tensor.positions)]
        return [net.model, list(net.tensors), parts, places]

    return of(first) == of(second)


# --- the arithmetic coder

decisions = st.lists(st.tuples(st.integers(0, 1), st.integers(1, ONE - 1)), max_size=300)


@given(decisions)
def test_decisions_of_any_probabilities_come_back(given_decisions: list[tuple[int, int]]) -> None:
    writer = Writer()
    for bit, one in given_decisions:
        writer.code(bit, one)
    reader = Reader(writer.finished())
    reader.about(0, "codes")
    assert [reader.code(0, one) for _, one in given_decisions] == [bit for bit, _ in given_decisions]


@given(decisions)
def test_the_stream_is_as_long_as_its_decisions_are_improbable(given_decisions: list[tuple[int, int]]) -> None:
    writer = Writer()
    for bit, one in given_decisions:
        writer.code(bit, one)
    content = sum(-math.log2((one if bit else ONE - one) / ONE) for bit, one in given_decisions)
    stream = writer.finished()
    assert len(stream) <= content / 8 + 2
    reader = Reader(stream)
    reader.about(3, "codes")
    for _, one in given_decisions:
        reader.code(0, one)
    assert reader.spent[3, "codes"] == pytest.approx(content)


def test_a_sure_thing_costs_next_to_nothing_and_a_surprise_sixteen_bits() -> None:
    writer = Writer()
    for _ in range(10_000):
        writer.code(0, 1)
    assert len(writer.finished()) <= 1  # 0.22 bits
    writer.code(1, 1)
    assert len(writer.finished()) in (2, 3)


# --- predictions


def test_no_probability_is_so_near_to_a_border_that_machines_could_round_it_otherwise() -> None:
    """The one place where fractions enter: the exponential differs by parts in 10^16 between machines."""
    exact = [ONE / (1 + math.exp(-x / 256)) for x in range(-12 * 256 + 1, 12 * 256)]
    assert min(abs(value % 1 - 0.5) for value in exact) > 1e-6
    table = context.squashed()
    assert len(table) == len(exact) and all(b >= a for a, b in itertools.pairwise(table)) and table[0] >= 1 and table[-1] <= ONE - 1


def spent_on(bits: list[int], contexts: list[tuple[int, ...]]) -> float:
    """Bits a decision."""
    writer, model = Writer(), Mixed(len(contexts[0]))
    for bit, seen in zip(bits, contexts, strict=True):
        model.code(writer, bit, seen)
    return 8 * len(writer.finished()) / len(bits)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_without_help_a_source_costs_about_its_entropy(share: float) -> None:
    bits = (np.random.default_rng(0).random(20_000) < share).astype(int).tolist()
    entropy = -share * math.log2(share) - (1 - share) * math.log2(1 - share)
    assert spent_on(bits, [(0,)] * len(bits)) == pytest.approx(entropy, rel=0.06, abs=0.003)


def test_of_several_contexts_the_mixture_finds_the_one_that_tells() -> None:
    generator = np.random.default_rng(1)
    told = generator.integers(0, 4, 20_000)
    bits = (generator.random(20_000) < np.array([0.02, 0.1, 0.6, 0.95])[told]).astype(int).tolist()
    noise = generator.integers(0, 50, (20_000, 2))
    informed = spent_on(bits, [(int(a), int(b), int(c)) for (a, c), b in zip(noise, told, strict=True)])
    entropy = np.mean([-p * math.log2(p) - (1 - p) * math.log2(1 - p) for p in (0.02, 0.1, 0.6, 0.95)])
    assert informed < 1.1 * entropy
    assert spent_on(bits, [(int(a), int(c)) for a, c in noise]) > 1.4 * entropy


# --- nets


@settings(max_examples=60)
@given(
    density=st.floats(0, 1), weight_bits=st.integers(1, 3), seed=st.integers(0, 99), widths=st.sampled_from([(9, 7, 4), (5, 3), (16, 4, 1, 2)])
)
def test_any_net_comes_back_and_is_written_again_alike(density: float, weight_bits: int, seed: int, widths: tuple[int, ...]) -> None:
    weights = initial_weights(Model("mlp", widths), seed)
    generator = np.random.default_rng(seed)
    tensors = {}
    for name, array in weights.items():
        codes = generator.integers(0, 2**weight_bits - 1, array.size).astype(np.uint16)
        positions = np.flatnonzero(generator.random(array.size) < density)
        values = np.sort(generator.normal(size=2**weight_bits - 1)).astype(generator.choice([np.float16, np.float32]))
        kind = generator.integers(4)
        tensors[name] = [
            CompressedTensor(array.shape, values, codes[positions], positions, weight_bits, 5),
            CompressedTensor(array.shape, values, codes, None, weight_bits, 0),
            CompressedTensor(array.shape, array.ravel()[positions], None, positions, 0, 5),
            dense(array, values.dtype.type),
        ][kind]
    net = CompressedNet(Model("mlp", widths), tensors)
    content = encode(net, "context")
    assert same_numbers(net, decode(content)) and encode(decode(content), "context") == content
    assert sum(row.bytes for row in accounts(content)) == len(content)
    assert all(size >= 0 for row in accounts(content)[:-1] for size in row.parts.values())


@pytest.mark.parametrize("name", ["lenet_5", "conv_2"])
def test_convolutional_nets_come_back(name: str) -> None:
    model = Model(name, input_shape=(1, 8, 8) if name == "conv_2" else ())
    net = small_net(model, 0.02)
    assert same_numbers(net, decode(encode(net, "context")))


def test_the_stream_is_as_long_as_the_account_says() -> None:
    net = small_net(Model("mlp", (64, 30, 10)), 0.2, 3)
    stream, numbers = context.encode(net.tensors)
    found, spent = context.measure(stream, numbers, parameter_shapes(net.model))
    assert sum(bits for parts in spent.values() for bits in parts.values()) / 8 == pytest.approx(len(stream), abs=2)
    assert list(found) == list(net.tensors) and numbers == b"".join(t.values.tobytes() for t in net.tensors.values())


def banded(density: float, seed: int = 0) -> np.ndarray:
    """A mask of 300 units over 28 x 28 pixels, each of which looks at a patch of the image's middle."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:28, :28]
    mask = np.zeros((300, 784), bool)
    for row in mask:
        b, a = generator.uniform(7, 21, 2)
        near = np.exp(-((x - a) ** 2 + (y - b) ** 2) / 18).ravel()
        row[:] = generator.random(784) < near * density * 784 / near.sum()
    return mask


def index_bits(mask: np.ndarray) -> float:
    """Bits of a surviving weight's place."""
    tensor = CompressedTensor(mask.shape, np.ones(1, np.float32), np.zeros(mask.sum(), np.uint16), np.flatnonzero(mask), 1, 5)
    return 8 * len(context.encode({"fc1.weight": tensor})[0]) / mask.sum()


def test_patches_of_the_image_cost_less_than_places_at_random() -> None:
    mask = banded(0.03)
    scattered = np.random.default_rng(0).permutation(mask.ravel()).reshape(mask.shape)
    share = float(mask.mean())
    memoryless = -(share * math.log2(share) + (1 - share) * math.log2(1 - share)) / share
    assert index_bits(scattered) == pytest.approx(memoryless, rel=0.03)
    assert index_bits(mask) < 0.8 * memoryless


def test_dead_pixels_and_dead_units_cost_nothing() -> None:
    """Three quarters of the pixels and half of the units taken away from a mask: what is left costs no more than it did alone."""
    small = np.random.default_rng(0).random((150, 196)) < 0.1
    large = np.zeros((300, 28, 28), bool)
    large[::2, 7:21, 7:21] = small.reshape(150, 14, 14)
    assert index_bits(large.reshape(300, 784)) < index_bits(small) + 300 / small.sum() + 0.15


def test_codes_that_go_with_their_neighbours_cost_less() -> None:
    mask = banded(0.1)
    generator = np.random.default_rng(0)
    positions = np.flatnonzero(mask)
    smooth = (generator.integers(0, 2, 300)[positions // 784] ^ (generator.random(positions.size) < 0.1)).astype(np.uint16)
    sizes = []
    for codes in (smooth, generator.permutation(smooth)):
        tensor = CompressedTensor(mask.shape, np.array([-1, 1], np.float32), codes, positions, 2, 5)
        sizes.append(len(context.encode({"fc1.weight": tensor})[0]))
    assert sizes[0] < sizes[1] - 0.3 * positions.size / 8


# --- files


def test_a_file_is_loaded_bit_for_bit_and_accounts_for_every_byte(tmp_path: Path) -> None:
    net = small_net(Model("mlp", (64, 30, 10)), 0.1, 3)
    save(tmp_path / "net.nnc", net, "context")
    assert same_numbers(net, load(tmp_path / "net.nnc"))
    rows, size = account(tmp_path / "net.nnc"), (tmp_path / "net.nnc").stat().st_size
    assert sum(row.bytes for row in rows) == size
    assert [row.name for row in rows] == [*parameter_shapes(net.model), "(file)"]
    first = rows[0]
    assert (first.weights, first.kept, first.fillers) == (1920, 192, 0)
    assert first.parts["codebook"] == net.tensors["fc1.weight"].values.nbytes and rows[1].parts["floats"] == 4 * 30
    assert 1.5 < first.code_bits < 3.2 and 3 < first.index_bits < 6
    assert rows[-1].parts["header"] <= 16 + len('{"name":"mlp","widths":[64,30,10]}') + 8 + 3


def test_it_is_smaller_than_what_other_coders_make_of_the_same() -> None:
    net = small_net(Model("mlp", (64, 30, 10)), 0.1, 3)
    smallest = min(
        len(encode(CompressedNet(net.model, {n: with_best_gaps(t, c) for n, t in net.tensors.items()}), c)) for c in ("ans", "huffman")
    )
    assert len(encode(net, "context")) < smallest - 100


def test_ten_thousand_mutations_are_all_noticed() -> None:
    generator, good = np.random.default_rng(0), encode(small_net(), "context")
    for i in range(10_000):
        damaged = bytearray(good)
        if i % 2:
            bit = int(generator.integers(8 * len(good)))
            damaged[bit // 8] ^= 1 << bit % 8
        else:
            begin = int(generator.integers(len(good)))
            damaged[begin : begin + int(generator.integers(1, 9))] = generator.bytes(int(generator.integers(0, 9)))
        if damaged != good:
            with pytest.raises(UserError) as refusal:
                decode(bytes(damaged), "net.nnc")
            assert "\n" not in str(refusal.value) and str(refusal.value).startswith("net.nnc")


def test_every_file_that_is_cut_off_or_longer_is_refused() -> None:
    good = encode(small_net(), "context")
    for length in range(len(good)):
        with pytest.raises(UserError):
            decode(good[:length])
    with pytest.raises(UserError, match="is damaged"):
        decode(good + b"\0")


def sealed(content: bytes) -> bytes:
    """With the digest that belongs to it."""
    return content + hashlib.sha256(content).digest()[:8]


def test_mutations_whose_checksums_are_right_give_an_error_or_a_net() -> None:
    generator, refused = np.random.default_rng(1), 0
    goods = [encode(net, "context") for net in (small_net(), CompressedNet(TINY, {n: dense(a) for n, a in initial_weights(TINY, 0).items()}))]
    for i in range(600):
        damaged = bytearray(goods[i % 2][:-8])
        for _ in range(int(generator.integers(1, 4))):
            damaged[generator.integers(10, len(damaged))] = generator.choice([0, 1, 255, int(generator.integers(256))])
        try:
            net = decode(sealed(bytes(damaged)))
        except UserError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert {name: array.shape for name, array in net.weights.items()} == parameter_shapes(net.model)
            assert all(np.isfinite(array).all() for array in net.weights.values())
    assert 100 < refused < 600


def test_what_is_too_large_for_it_is_refused_in_one_line(tmp_path: Path) -> None:
    wide = Model("mlp", (1000, 600))
    net = CompressedNet(wide, {"fc1.weight": pruned(np.eye(600, 1000, dtype=np.float32)), "fc1.bias": dense(np.zeros(600))})
    with pytest.raises(UserError) as refusal:
        encode(net, "context")
    assert str(refusal.value) == "coder = 'context' is for nets of at most 524,288 numbers, not 600,600: take 'ans'"
    text = b'{"name":"mlp","widths":[1000,600]}'
    with pytest.raises(UserError, match=r"net.nnc: coder = 'context' is for nets of at most"):
        decode(sealed(struct.pack("<8sHHI", b"\x89nnc\r\n\x1a\n", 2, len(text), 0) + text + bytes(4000)), "net.nnc")
    many = CompressedNet(
        Model("mlp", (100, 9)), {"fc1.weight": shared(np.arange(900, dtype=np.float32).reshape(9, 100), 9), "fc1.bias": dense(np.zeros(9))}
    )
    with pytest.raises(UserError, match=r"fc1.weight: coder = 'context' is for codebooks of at most 256 entries, not 512: take 'ans'"):
        encode(many, "context")
    with open(tmp_path / "net.nnc", "wb") as file:
        file.write(encode(small_net(), "context"))
        file.truncate(2**34)  # takes no room on disk
    for read in (load, account):
        with pytest.raises(UserError, match=r"net.nnc is damaged \(it has 17179869184 bytes, not at most 8388608"):
            read(tmp_path / "net.nnc")


def crafted(widths: tuple[int, ...], stream: bytes, numbers: bytes) -> bytes:
    """A file with a right checksum."""
    text = b'{"name":"mlp","widths":[' + ",".join(map(str, widths)).encode() + b"]}"
    return sealed(struct.pack("<8sHHI", b"\x89nnc\r\n\x1a\n", 2, len(text), len(stream)) + text + stream + numbers)


def header(entries: int, is_pruned: bool = True) -> bytes:
    """A stream of 2,000 bytes that begins with the header of a parameter that shares weights, or of one that does not if there are no entries;
    then come ones, which are sure after a while."""
    writer = Writer()
    for bit in (is_pruned, entries > 0, False, *(entries >> place & 1 for place in reversed(range(9)) if entries)):
        writer.code(int(bit), ONE // 2)
    writer.code(1, ONE // 2)
    return writer.finished().ljust(2000, b"\0")


ABSURD = {
    "half a million columns": (crafted((524_000, 1), bytes(2000), b""), "layers of at most 4,096 inputs to a unit, not 524,000: take 'ans'"),
    "as many in two rows": (crafted((174_000, 2), bytes(2000), b""), "layers of at most 4,096 inputs to a unit, not 174,000: take 'ans'"),
    "a codebook of 511": (crafted((4096, 127), bytes(2000), bytes(4000)), "a codebook of 511 entries, of at most 256"),
    "a codebook that is not there": (
        crafted((4096, 127), header(255), bytes(1000)),
        "a codebook of 255 entries, of at most 256 and 250 numbers",
    ),
    "values that are not there": (crafted((4096, 127), header(0), bytes(10)), "its numbers are cut off"),
    "codes that take no room": (
        crafted((4096, 127), header(255, is_pruned=False), bytes(1020)),
        "4,161,536 decisions, of at most 724,288 that its stream may hold",
    ),
}


@pytest.mark.parametrize("read", [decode, accounts])
@pytest.mark.parametrize("what", ABSURD)
def test_absurd_files_with_right_checksums_are_refused_at_once(what: str, read: Callable) -> None:
    content, reason = ABSURD[what]
    with pytest.raises(UserError) as refusal:
        traced(lambda: read(content, "net.nnc"))
    assert str(refusal.value).startswith("net.nnc") and reason in str(refusal.value) and "\n" not in str(refusal.value)


def test_what_would_be_refused_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = CompressedNet(Model("mlp", (5000, 1)), {"fc1.weight": dense(np.zeros((1, 5000))), "fc1.bias": dense(np.zeros(1))})
    with pytest.raises(UserError, match=r"^coder = 'context' is for layers of at most 4,096 inputs to a unit, not 5,000: take 'ans'$"):
        encode(wide, "context")
    monkeypatch.setattr(context, "FREE", 1000)
    regular = {"fc1.weight": shared(np.ones((50, 100), np.float32), 4, entries=1), "fc1.bias": dense(np.zeros(50))}
    codebook = np.arange(16, dtype=np.float32)
    regular["fc1.weight"] = replace(regular["fc1.weight"], values=codebook)
    limits = "1,000 decisions and 100 a byte, 2,097,152 in all"
    with pytest.raises(UserError, match=rf"^coder = 'context' is for at most {limits}, not 20,000 in .* bytes: take 'ans'$"):
        encode(CompressedNet(Model("mlp", (100, 50)), regular), "context")
    irregular = regular | {"fc1.weight": replace(regular["fc1.weight"], codes=np.random.default_rng(0).integers(0, 16, 5000, np.uint16))}
    monkeypatch.setattr(context, "FREE", 10**6)
    content = encode(CompressedNet(Model("mlp", (100, 50)), irregular), "context")
    monkeypatch.setattr(context, "MOST", 15_000)
    with pytest.raises(UserError, match=r"is damaged \(20,000 decisions, of at most 15,000 that its stream may hold\)"):
        decode(content)


def test_too_many_decisions_are_refused_before_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those that the walk counts: a limit of as many is none."""
    nets = [small_net(), small_net(Model("mlp", (64, 30, 10)), 0.2, 3), small_net(density=1.0)]
    nets += [CompressedNet(TINY, {name: dense(array) for name, array in initial_weights(TINY, 0).items()})]
    nets += [CompressedNet(TINY, {name: pruned(array) for name, array in initial_weights(TINY, 0).items()})]
    for net in nets:
        walk = context._Walk()
        for tensor in net.tensors.values():
            walk.parameter(Writer(), tensor.shape, tensor)
        monkeypatch.setattr(context, "MOST", walk.decisions)
        encode(net, "context")
        with monkeypatch.context() as patch:
            patch.setattr(context, "MOST", walk.decisions - 1)
            patch.setattr(context, "_Walk", None)
            most, found = f"{walk.decisions - 1:,}", f"{walk.decisions:,}"
            with pytest.raises(UserError, match=rf"^coder = 'context' is for at most {most} decisions, not {found}: take 'ans'$"):
                encode(net, "context")


def test_a_prediction_remembers_so_many_contexts_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "CONTEXTS", 100)
    bits = np.random.default_rng(0).integers(0, 2, 5000).tolist()
    writer, model = Writer(), Mixed(2)
    for i, bit in enumerate(bits):
        model.code(writer, bit, (i % 50, i))
    assert [len(table) for table in model.tables] == [50, 100]
    reader, model = Reader(writer.finished()), Mixed(2)
    reader.about(0, "codes")
    assert [model.code(reader, 0, (i % 50, i)) for i in range(len(bits))] == bits


def test_widths_of_codes_and_gaps_are_not_kept_but_fit() -> None:
    tensor = shared(np.arange(1, 41, dtype=np.float32).reshape(4, 10), 6, np.ones((4, 10), bool), 3, entries=33)
    net = CompressedNet(Model("mlp", (10, 4)), {"fc1.weight": replace(tensor, weight_bits=9), "fc1.bias": dense(np.zeros(4))})
    found = decode(encode(net, "context")).tensors["fc1.weight"]
    assert (found.weight_bits, found.index_bits) == (6, 5) and np.array_equal(found.weights, tensor.weights)
