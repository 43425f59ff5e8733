"""Compressed nets in memory and in files: nothing changes on the way, every byte is accounted for, and no file does harm."""

import hashlib
import os
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nncompress.errors import UserError
from nncompress.models import build, initial_weights, parameter_shapes
from nncompress.prune import keep_largest
from nncompress.quantize import CompressedNet, CompressedTensor, account, compress, dense, load, pruned, save, shared, storage
from nncompress.quantize.storage import CODERS, accounts, decode, encode
from nncompress.types import Model
from tests.unit.quantize.bounds import traced

TINY = Model("mlp", (6, 5, 3), hidden_dropout=0.25)
LENET = Model("lenet_300_100")


def small_net(model: Model = TINY, density: float = 0.4, weight_bits: int = 2, index_bits: int = 2, seed: int = 0) -> CompressedNet:
    """Weights pruned by magnitude and shared, biases that are not zero."""
    generator = np.random.default_rng(seed)
    weights = initial_weights(model, seed)
    weights |= {name: generator.normal(size=array.shape).astype(np.float32) for name, array in weights.items() if array.ndim == 1}
    layers = [name for name, array in weights.items() if array.ndim > 1]
    masks = keep_largest(weights, {}, dict.fromkeys(layers, 1 - density))
    return CompressedNet(model, compress(weights, masks, dict.fromkeys(layers, weight_bits), index_bits))


def same_bits(first: CompressedNet, second: CompressedNet) -> bool:
    bits = [{name: (array.shape, array.dtype, array.tobytes()) for name, array in net.weights.items()} for net in (first, second)]
    return first.model == second.model and list(bits[0].items()) == list(bits[1].items())


def same_tensors(first: CompressedNet, second: CompressedNet) -> bool:
    fields = ("values", "codes", "positions")
    return all(
        (a.shape, a.weight_bits, a.index_bits) == (b.shape, b.weight_bits, b.index_bits)
        and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in fields)
        for a, b in zip(first.tensors.values(), second.tensors.values(), strict=True)
    )


# --- in memory


def test_a_pruned_layer_that_shares_weights_worked_by_hand() -> None:
    """Linear starts at -0.7, 0.2 and 1.1: the two negative weights share their mean."""
    layer = np.array([[0.3, 0.0, -0.5], [1.1, -0.7, 0.01]], np.float32)
    tensor = shared(layer, 2, mask=np.abs(layer) > 0.1, index_bits=1)
    assert tensor.values == pytest.approx([-0.6, 0.3, 1.1]) and tensor.codes is not None and tensor.codes.tolist() == [1, 0, 2, 0]
    assert tensor.positions is not None and tensor.positions.tolist() == [0, 2, 3, 4] and tensor.kept == 4
    np.testing.assert_allclose(tensor.weights, [[0.3, 0, -0.6], [1.1, -0.6, 0]])


def test_a_pruned_weight_is_plus_zero_and_a_shared_one_may_be_zero() -> None:
    layer = np.array([-0.0, -1.0, 0.0, 1.0], np.float32)
    tensor = shared(layer, 2, mask=np.array([False, True, True, True]))
    assert tensor.kept == 3 and tensor.values.tolist() == [-1, 0, 1]
    assert tensor.weights.tobytes() == np.array([0, -1, 0, 1], np.float32).tobytes()


def test_a_pruned_layer_has_one_code_less_for_its_weights() -> None:
    layer = np.arange(1, 41, dtype=np.float32)
    assert shared(layer, 3).values.size == 8
    assert shared(layer, 3, mask=np.ones(40, bool)).values.size == 7


def test_half_precision_rounds_what_is_stored() -> None:
    bias = np.array([1 / 3, 2.0], np.float32)
    tensor = dense(bias, np.float16)
    assert tensor.values.dtype == np.float16 and tensor.weights.dtype == np.float32
    assert tensor.weights.tolist() == bias.astype(np.float16).tolist() != bias.tolist()


def test_fine_tuning_replaces_the_codebook_alone() -> None:
    tensor = shared(np.array([1.0, 2.0, 1.0], np.float32), 1)
    assert replace(tensor, values=np.array([1.5, 2.5], np.float32)).weights.tolist() == [1.5, 2.5, 1.5]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"values": np.array([1.0, np.nan], np.float32)}, "finite"),
        ({"values": np.array([1, 2])}, "float32"),
        ({"values": np.array([1.0], np.float32)}, "beyond the codebook"),
        ({"values": np.zeros(4, np.float32)}, "too large for codes of 2 bits"),
        ({"codes": None}, "codes of 2"),
        ({"index_bits": 0}, "indices of 0"),
        ({"positions": np.array([1, 1, 5])}, "ascend"),
        ({"positions": np.array([1, 2, 6])}, "ascend"),
        ({"positions": np.array([-1, 2, 3])}, "ascend"),
        ({"positions": np.array([1, 2])}, "2 positions for 3 weights"),
        ({"positions": None, "index_bits": 0}, "3 weights for the 6"),
    ],
    ids=str,
)
def test_parts_that_do_not_fit_together_are_refused(changes: dict, problem: str) -> None:
    codes, positions = np.array([0, 1, 0], np.uint16), np.array([0, 2, 5])
    good = CompressedTensor((2, 3), np.array([1.0, 2.0], np.float32), codes, positions, weight_bits=2, index_bits=3)
    with pytest.raises(ValueError, match=problem):
        replace(good, **changes)


@pytest.mark.parametrize("bits", [0, 17, -3])
def test_bits_out_of_range_are_refused(bits: int) -> None:
    layer = np.ones((2, 3), np.float32)
    with pytest.raises(UserError, match=f"weight_bits = {bits}: .*1 to 16"):
        shared(layer, bits)
    for compressed in (lambda: shared(layer, 2, layer > 0, bits), lambda: pruned(layer, layer > 0, bits)):
        with pytest.raises(UserError, match=f"index_bits = {bits}: .*1 to 16"):
            compressed()


def test_errors_of_a_whole_net_name_the_layer() -> None:
    weights = initial_weights(TINY, 0)
    with pytest.raises(UserError, match=r"fc2.weight: 16 codebook entries for 15 weights"):
        compress(weights, {}, {"fc1.weight": 4, "fc2.weight": 4})
    with pytest.raises(UserError, match=r"fc1.weight: the weights are not finite"):
        compress({"fc1.weight": np.array([[np.nan, 1, 2]], np.float32)}, {}, {"fc1.weight": 1})
    with pytest.raises(UserError, match=r"fc1.bias: its values are not finite"):
        compress({"fc1.bias": np.array([np.inf], np.float32)}, {}, {})
    with pytest.raises(UserError, match=r"layer 'fc3.weight', which the model does not have"):
        compress(weights, {}, {"fc3.weight": 4})


# --- files

coder = pytest.mark.parametrize("coder", CODERS)


@coder
def test_a_file_gives_back_the_net_bit_for_bit(coder: str, tmp_path: Path) -> None:
    net = small_net(LENET, 0.08, weight_bits=6, index_bits=5)
    save(tmp_path / "new" / "net.nnc", net, coder)
    loaded = load(tmp_path / "new" / "net.nnc")
    assert same_bits(net, loaded) and same_tensors(net, loaded)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["net.nnc"]


@coder
@settings(max_examples=40)
@given(density=st.floats(0.3, 1), weight_bits=st.integers(1, 3), index_bits=st.integers(1, 16), seed=st.integers(0, 99))
def test_any_net_comes_back(coder: str, density: float, weight_bits: int, index_bits: int, seed: int) -> None:
    net = small_net(Model("mlp", (9, 7, 4)), density, weight_bits, index_bits, seed)
    content = encode(net, coder)
    assert same_tensors(net, decode(content)) and encode(decode(content), coder) == content
    assert sum(row.bytes for row in accounts(content)) == len(content)


@coder
def test_every_kind_of_tensor_comes_back(coder: str) -> None:
    weights = initial_weights(TINY, 0)
    first, second = weights["fc1.weight"], weights["fc2.weight"]
    for kinds in (
        {"fc1.weight": shared(first, 3), "fc2.weight": dense(second, np.float16)},
        {"fc1.weight": pruned(first, np.abs(first) > 0.3, 2), "fc2.weight": pruned(second, np.zeros_like(second, bool))},
        {"fc1.weight": shared(np.ones_like(first), 1, first > 0), "fc2.weight": shared(np.ones_like(second), 1)},
        {"fc1.weight": dense(np.full_like(first, -0.0)), "fc2.weight": dense(second)},
    ):
        net = CompressedNet(TINY, {name: kinds.get(name) or dense(array) for name, array in weights.items()})
        content = encode(net, coder)
        assert same_bits(net, decode(content)) and same_tensors(net, decode(content))
        assert sum(row.bytes for row in accounts(content)) == len(content)


@pytest.mark.parametrize("coder", storage.ENCODINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_zeros_at_places_that_are_kept_come_back_as_the_same_weights(coder: str, dtype: type[np.floating]) -> None:
    """In float16 most of these underflow, to +0.0 or -0.0."""
    model = Model("mlp", (5, 2))
    values = np.array([0.5, 0.0, -0.0, 1e-30, -1e-30, 0.0], np.float32).astype(dtype)
    weight = CompressedTensor((2, 5), values, None, np.array([0, 2, 3, 7, 8, 9]), 0, 2)
    net = CompressedNet(model, {"fc1.weight": weight, "fc1.bias": dense(np.ones(2))})
    content = encode(net, coder)
    assert same_bits(net, decode(content)) and encode(decode(content), coder) == content
    assert sum(row.bytes for row in accounts(content)) == len(content)


def test_a_loaded_net_answers_exactly_as_the_one_that_was_saved(tmp_path: Path) -> None:
    net = small_net(Model("lenet_5"), 0.2, weight_bits=5, index_bits=5)
    save(tmp_path / "net", net)
    loaded = load(tmp_path / "net")
    images = torch.from_numpy(np.random.default_rng(0).random((8, 1, 28, 28), np.float32))
    answers = []
    for each in (net, loaded):
        module = build(each.model)
        module.load_state_dict({name: torch.from_numpy(array) for name, array in each.weights.items()}, strict=True)
        answers.append(module(images))
    assert torch.equal(*answers) and answers[0].abs().max() > 0


def test_the_file_is_laid_out_as_documented() -> None:
    """A net of one layer, 2 x 3, of which two weights survive; worked by hand with fixed-length codes."""
    model = Model("mlp", (3, 2))
    weight = CompressedTensor((2, 3), np.array([0.5, -1.0], np.float32), np.array([1, 0], np.uint16), np.array([0, 5]), 2, 2)
    content = encode(CompressedNet(model, {"fc1.weight": weight, "fc1.bias": dense(np.array([1.0, 2.0]))}), "fixed")
    text = b'{"name":"mlp","widths":[3,2]}'
    expected = b"\x89nnc\r\n\x1a\n" + struct.pack("<HHIQ", 1, 2, len(text), len(content)) + text

    def sections(*parts: bytes) -> bytes:
        return b"".join(struct.pack("<II", len(part), storage.zlib.crc32(part)) for part in parts) + b"".join(parts)

    # gaps 1, 4 (a filler), 1: fields 0, 3, 0; codes 2, 0 (the filler), 1
    expected += struct.pack("<BBBBBBII", 10, 2, 0, 0, 2, 2, 2, 3) + b"fc1.weight" + struct.pack("<II", 2, 3)
    expected += sections(b"", bytes([0b00_11_00_00]), b"", bytes([0b10_00_01_00]), struct.pack("<ff", 0.5, -1))
    expected += struct.pack("<BBBBBBII", 8, 1, 0, 0, 0, 0, 2, 2) + b"fc1.bias" + struct.pack("<I", 2) + sections(struct.pack("<ff", 1, 2))
    assert content == expected + hashlib.sha256(expected).digest()


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "net", small_net())
    before = (tmp_path / "net").read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match=r"no space left .* choose another path"):
        save(tmp_path / "net", small_net(seed=1))
    assert (tmp_path / "net").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_what_is_not_the_models_is_not_written() -> None:
    net = small_net()
    tensors = dict(net.tensors)
    with pytest.raises(UserError, match=r"model 'mlp': fc1.weight \[5, 6\] where it has fc1.weight \[4, 6\]"):
        encode(CompressedNet(Model("mlp", (6, 4, 3)), tensors))
    with pytest.raises(UserError, match=r"fc2.bias \[3\] where it has fc2.weight"):
        encode(CompressedNet(TINY, {name: tensors[name] for name in ("fc1.weight", "fc1.bias", "fc2.bias", "fc2.weight")}))
    with pytest.raises(UserError, match=r"nothing where it has fc2.bias \[3\]"):
        encode(CompressedNet(TINY, {name: tensor for name, tensor in tensors.items() if name != "fc2.bias"}))
    with pytest.raises(UserError, match="coder = 'zip' is no coder; there are fixed, huffman, ans"):
        encode(net, "zip")
    with pytest.raises(UserError, match="there is no model 'lenet'"):
        encode(CompressedNet(Model("lenet"), tensors))
    with pytest.raises(UserError, match="4096"):
        encode(CompressedNet(Model("mlp", (2000,) * 2000), {}))


# --- the account


@coder
def test_the_account_sums_to_the_size_of_the_file_and_knows_what_is_what(coder: str, tmp_path: Path) -> None:
    net = small_net(LENET, 0.08, weight_bits=6, index_bits=5)
    save(tmp_path / "net", net, coder)
    rows = account(tmp_path / "net")
    assert sum(row.bytes for row in rows) == (tmp_path / "net").stat().st_size
    assert [row.name for row in rows] == [*parameter_shapes(LENET), "(file)"]
    assert all(size >= 0 for row in rows for size in row.parts.values())
    first, tensor = rows[0], net.tensors["fc1.weight"]
    assert (first.weights, first.kept) == (235_200, 18_816) and tensor.positions is not None
    runs = np.diff(tensor.positions, prepend=-1) - 1
    assert first.fillers == (runs // 32).sum() > 0
    assert first.parts["codebook"] == 4 * tensor.values.size and first.parts["floats"] == 0
    assert rows[1].parts == {**dict.fromkeys(first.parts, 0), "floats": 1200, "header": rows[1].parts["header"]}
    if coder == "fixed":
        entries = first.kept + first.fillers
        assert (first.index_bits, first.code_bits) == (pytest.approx(5, abs=0.001), pytest.approx(6, abs=0.001))
        assert first.parts["fillers"] == pytest.approx(first.fillers * 11 / 8, abs=1) and first.parts["tables"] == 0
        assert first.parts["codes"] + first.parts["indices"] + first.parts["fillers"] == -(-6 * entries // 8) + -(-5 * entries // 8)
    else:
        assert first.index_bits < 5 and first.code_bits < 6 and first.parts["tables"] > 0


def test_ans_leaves_less_than_huffman_and_huffman_less_than_fixed_lengths() -> None:
    net = small_net(LENET, 0.08, weight_bits=6, index_bits=5)
    streams = {}
    for coder in CODERS:
        rows = accounts(encode(net, coder))
        streams[coder] = sum(row.parts["codes"] + row.parts["indices"] + row.parts["fillers"] for row in rows)
    assert streams["ans"] < streams["huffman"] < 0.95 * streams["fixed"]


# --- damage


CONTENT = {name: encode(small_net(), name) for name in CODERS}


@pytest.mark.parametrize("read", [decode, accounts])
def test_files_of_others_and_of_other_versions_are_refused(read: Callable) -> None:
    good = CONTENT["huffman"]
    for other in (b"", b"\x89nn", b"PK\3\4 something", b"\x80\x04}q"):
        with pytest.raises(UserError, match="the file is no compressed net"):
            read(other)
    with pytest.raises(UserError, match="format version 7; this program reads versions 1 and 2"):
        read(good[:8] + b"\7\0" + good[10:])


@coder
def test_every_file_that_is_cut_off_or_longer_is_refused(coder: str) -> None:
    good = CONTENT[coder]
    for length in range(len(good)):
        with pytest.raises(UserError):
            decode(good[:length])
    with pytest.raises(UserError, match="is damaged"):
        decode(good + b"\0")


def test_ten_thousand_mutations_are_all_noticed() -> None:
    generator = np.random.default_rng(0)
    for i in range(10_000):
        good = list(CONTENT.values())[i % 3]
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


class Whatever:
    """A checksum that is always right."""

    def __ne__(self, other: object) -> bool:
        return False


def sealed(content: bytes) -> bytes:
    """With the length and the digest that belong to it."""
    body = bytearray(content[:-32])
    struct.pack_into("<Q", body, 16, len(content))
    return bytes(body) + hashlib.sha256(body).digest()


def test_mutations_whose_checksums_are_right_give_an_error_or_a_net(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, refused = np.random.default_rng(1), 0
    nets = [small_net(), CompressedNet(TINY, {**small_net().tensors, "fc1.weight": pruned(initial_weights(TINY, 0)["fc1.weight"])})]
    contents = [encode(net, coder) for net in nets for coder in CODERS]
    monkeypatch.setattr(storage, "zlib", SimpleNamespace(crc32=lambda _: Whatever()))
    for i in range(1500):
        damaged = bytearray(contents[i % len(contents)][:-32])
        for _ in range(int(generator.integers(1, 4))):
            damaged[generator.integers(24, len(damaged))] = generator.choice([0, 1, 255, int(generator.integers(256))])
        content = sealed(bytes(damaged) + bytes(32))
        read = partial(decode, content)
        try:
            net = read() if i % 5 else traced(read)
        except UserError as error:
            assert "\n" not in str(error)
            with pytest.raises(UserError, match=re.escape(str(error))):
                accounts(content)
            refused += 1
        else:
            shapes = {name: array.shape for name, array in net.weights.items()}
            assert shapes == parameter_shapes(net.model) and all(np.isfinite(array).all() for array in net.weights.values())
            rows = accounts(content)
            assert sum(row.bytes for row in rows) == len(content) and all(size >= 0 for row in rows for size in row.parts.values())
    assert 500 < refused < 1500


def crafted(model: bytes, *tensors: bytes) -> bytes:
    """A file with right checksums."""
    content = struct.pack("<8sHHIQ", b"\x89nnc\r\n\x1a\n", 1, len(tensors), len(model), 0) + model + b"".join(tensors)
    return sealed(content + bytes(32))


def tensor_of(
    name: bytes, shape: tuple[int, ...], entries: int, sections: list[bytes], coder: int = 1, kept: int = 0, values: int = 0
) -> bytes:
    header = struct.pack("<BBBBBBII", len(name), len(shape), 0, coder, 1, 1, kept, entries) + name + struct.pack(f"<{len(shape)}I", *shape)
    return header + b"".join(struct.pack("<II", len(part), storage.zlib.crc32(part)) for part in sections) + b"".join(sections)


def bias_of(size: int) -> bytes:
    """fc1.bias, stored as it is."""
    values = bytes(4 * size)
    header = struct.pack("<BBBBBBII", 8, 1, 0, 0, 0, 0, size, size) + b"fc1.bias" + struct.pack("<I", size)
    return header + struct.pack("<II", size * 4, storage.zlib.crc32(values)) + values


HUGE, SMALL = b'{"name":"mlp","widths":[1000000,1000000]}', b'{"name":"mlp","widths":[3,2]}'
ABSURD = {
    "a net of 4 TB": (
        crafted(HUGE, tensor_of(b"fc1.weight", (10**6, 10**6), 0, [b""] * 5), bias_of(10**6)),
        "a net of 4,000,004,000,000 bytes in a file of 4,",
    ),
    "4 billion entries": (
        crafted(SMALL, tensor_of(b"fc1.weight", (2, 3), 2**32 - 1, [b""] * 5), bias_of(2)),
        "4294967295 entries for 6 weights",
    ),
    "4 billion weights": (crafted(SMALL, tensor_of(b"fc1.weight", (2, 3), 6, [b""] * 5, kept=2**32 - 1), bias_of(2)), "a header holds"),
    "gaps beyond the layer": (
        crafted(SMALL, tensor_of(b"fc1.weight", (2, 3), 6, [b"", b"\xfc", b"", b"\0", b""], coder=0), bias_of(2)),
        "fc1.weight: the gaps lead to place 12 of 6",
    ),
    "a code beyond the codebook": (
        crafted(SMALL, tensor_of(b"fc1.weight", (2, 3), 1, [b"", b"\0", b"", b"\x80", b""], coder=0, kept=1), bias_of(2)),
        "fc1.weight: a code is beyond the codebook of 0 entries",
    ),
    "fewer weights than it says": (
        crafted(SMALL, tensor_of(b"fc1.weight", (2, 3), 1, [b"", b"\0", b"", b"\0", b""], coder=0, kept=1), bias_of(2)),
        "fc1.weight: 0 weights, not 1",
    ),
    "a filler that fills no gap": (
        crafted(SMALL, tensor_of(b"fc1.weight", (2, 3), 2, [b"", b"\0", b"", b"\0", b""], coder=0), bias_of(2)),
        "fc1.weight: a filler stands where none is needed",
    ),
    "a layer of 255 axes": (
        crafted(b'{"name":"lenet_5"}', tensor_of(b"fc1.weight", (2**32 - 1,) * 255, 1, [b""] * 5)),
        "parameters are not those",
    ),
    "a name of two lines": (crafted(SMALL, tensor_of(b"fc1\nweight", (2, 3), 0, [b""] * 5), bias_of(2)), "a header holds what no header can"),
    "the same tensor twice": (
        crafted(SMALL, *[tensor_of(b"fc1.weight", (2, 3), 0, [b""] * 5)] * 2),
        r"fc1.weight [2, 3] where it has fc1.bias [2]",
    ),
    "no tensors": (crafted(b'{"name":"lenet_5"}'), "nothing where it has conv1.weight"),
    "widths beyond 64 bits": (crafted(b'{"name":"mlp","widths":[99999999999999999999,9]}'), "no net can be built"),
    "an image beyond 64 bits": (crafted(b'{"name":"conv_6","input_shape":[9000000000,9000000000,9000000000]}'), "no net can be built"),
    "an unknown model": (crafted(b'{"name":"resnet_900"}'), "there is no model 'resnet_900'"),
    "a model of thousands of layers": (crafted(b'{"name":"mlp","widths":[' + b"1," * 400_000 + b"1]}"), "it names no model"),
    "deep nesting": (crafted(b"[" * 4000), "it names no model"),
    "no model": (crafted(b"{}"), "it names no model"),
    "an unknown key": (crafted(b'{"name":"lenet_5","code":"import os"}'), "it names no model"),
    "a negative width": (crafted(b'{"name":"mlp","widths":[-3,2]}'), "it names no model"),
    "no text": (crafted(b"\xff\xfe\0"), "it names no model"),
    "a default spelled out": (crafted(b'{"name":"lenet_5","classes":null}'), "it names no model"),
}


@pytest.mark.parametrize("read", [decode, accounts])
@pytest.mark.parametrize("what", ABSURD)
def test_absurd_files_with_right_checksums_are_refused_at_once(what: str, read: Callable) -> None:
    content, reason = ABSURD[what]
    with pytest.raises(UserError) as refusal:
        traced(lambda: read(content, "net.nnc"))
    assert str(refusal.value).startswith("net.nnc") and reason in str(refusal.value) and "\n" not in str(refusal.value)


def test_the_largest_net_that_a_small_file_may_be_stays_below_100_mb() -> None:
    """Five million entries that take no bits: all gaps alike, all codes alike."""
    model = Model("mlp", (2280, 2280))
    ones = np.ones((2280, 2280), np.float32)
    content = encode(CompressedNet(model, {"fc1.weight": shared(ones, 1, ones > 0, 1), "fc1.bias": dense(np.zeros(2280))}))
    assert len(content) < 10_000
    net = traced(lambda: decode(content))
    assert net.weights["fc1.weight"].all()
    larger = np.zeros((2300, 2300), np.float32)
    with pytest.raises(UserError, match="more than 1000 times"):
        encode(CompressedNet(Model("mlp", (2300, 2300)), {"fc1.weight": pruned(larger), "fc1.bias": dense(np.zeros(2300))}))


def test_a_place_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UserError, match="there is no file"):
            load(path)


@pytest.mark.parametrize("head", [b"", CONTENT["fixed"]])
def test_a_large_file_that_is_none_of_ours_is_not_even_read(head: bytes, tmp_path: Path) -> None:
    with open(tmp_path / "net.nnc", "wb") as file:
        file.write(head)
        file.truncate(2**34)  # takes no room on disk
    for read in (load, account):
        with pytest.raises(UserError, match=r"net.nnc is (no compressed net|damaged \(it has 17179869184 bytes, not)"):
            traced(lambda read=read: read(tmp_path / "net.nnc"))  # type: ignore[misc]


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "net", small_net())
    monkeypatch.setattr("builtins.open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(UserError, match=r"net cannot be read \(Permission denied\)"):
        load(tmp_path / "net")
