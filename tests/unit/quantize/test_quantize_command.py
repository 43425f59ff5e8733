"""python run.py compress, inspect, decompress: files made, looked into and read back, and one line for every mistake."""

import errno
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nncompress.models import initial_weights
from nncompress.prune import keep_largest
from nncompress.quantize import account, load
from nncompress.quantize.command import main
from nncompress.types import Model

TINY = json.dumps({"name": "mlp", "widths": [12, 8, 3]})


def write_weights(path: Path, **changes: np.ndarray) -> Path:
    """Weights of TINY, the first layer pruned to a half, in an order that is not the model's."""
    weights = initial_weights(Model("mlp", (12, 8, 3)), 0)
    weights["fc1.weight"] *= keep_largest(weights, {}, {"fc1.weight": 0.5})["fc1.weight"]
    weights |= {name.replace("_", "."): array for name, array in changes.items()}
    np.savez(path, allow_pickle=False, **{f"weights/{name}": weights[name] for name in sorted(weights)}, **{"curve/step": np.arange(3)})
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "weights.npz")


def test_weights_are_compressed_looked_into_and_given_back(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, back = tmp_path / "net.nnc", tmp_path / "new" / "back.npz"
    assert main(["compress", str(weights), str(file), "--model", TINY, "--bits", "fc=3", "fc2=2", "--index-bits", "2"]) == 0
    written = capsys.readouterr().out
    assert main(["inspect", str(file)]) == 0
    shown = capsys.readouterr().out
    assert shown == written
    lines = shown.splitlines()
    assert lines[0].split()[:4] == ["parameter", "weights", "kept", "fillers"]
    assert lines[1].split()[:3] == ["fc1.weight", "96", "48"] and lines[3].split()[:3] == ["fc2.weight", "24", "24"]
    size = file.stat().st_size
    assert f"{size:,}" in lines[-2] and lines[-1] == f"{4 * (96 + 8 + 24 + 3) / size:.1f} times smaller than 32 bits a weight"

    assert main(["decompress", str(file), str(back)]) == 0
    net, given = load(file), np.load(weights)
    with np.load(back) as found:
        assert set(found.files) == {f"weights/{name}" for name in net.weights}
        assert all(found[f"weights/{name}"].tobytes() == array.tobytes() for name, array in net.weights.items())
        assert np.array_equal(found["weights/fc1.weight"] == 0, given["weights/fc1.weight"] == 0)
    assert (net.tensors["fc1.weight"].values.size, net.tensors["fc2.weight"].values.size) <= (7, 4)
    assert net.tensors["fc1.weight"].index_bits == 2 and net.tensors["fc2.weight"].positions is None


@pytest.mark.parametrize("options", [["--coder", "ans"], ["--coder", "fixed"], ["--initial", "random", "--seed", "3"]], ids=" ".join)
def test_every_option_makes_a_file_that_can_be_read(weights: Path, tmp_path: Path, options: list[str]) -> None:
    file = tmp_path / "net"
    assert main(["compress", str(weights), str(file), "--model", TINY, "--bits", "3", *options]) == 0
    assert load(file).model == Model("mlp", (12, 8, 3)) and sum(row.bytes for row in account(file)) == file.stat().st_size


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"--model": "lenet"}, "there is no model 'lenet'; did you mean"),
        ({"--model": "lenet_5"}, "parameters are not those of the model 'lenet_5'"),
        ({"--model": '{"name": "mlp"'}, "is no JSON"),
        ({"--model": '{"name": "mlp", "depth": 3}'}, "depth"),
        ({"--model": '{"name": "mlp", "widths": [0]}'}, "widths"),
        ({"--model": '{"name": "mlp", "widths": [99999999999999999999, 3]}'}, "99999999999999999999, 3]}: no net can be built of it"),
        pytest.param({"--bits": "9" * 5000}, "--bits 999", id="5,000 digits"),
        ({"--bits": "0"}, "weight_bits = 0"),
        ({"--bits": "17"}, "weight_bits = 17"),
        ({"--bits": "six"}, "--bits six: write a number of bits"),
        ({"--bits": "conv=8"}, "--bits conv=8: there is no such layer; there are fc1.weight, fc2.weight"),
        ({"--bits": "8"}, "fc1.weight: 255 codebook entries for 48 weights: take fewer bits"),
        ({"--index-bits": "20"}, "index_bits = 20"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], problem: str) -> None:
    options = {"--model": TINY, "--bits": "3", **change}
    words = [word for option in options.items() for word in option]
    assert main(["compress", str(weights), str(tmp_path / "net"), *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and problem in captured.err and captured.err.count("\n") == 1
    assert not (tmp_path / "net").exists()


def test_files_that_cannot_be_used_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, plain, pickled, empty = (tmp_path / name for name in ("text.npz", "plain.npz", "pickled.npz", "empty.npz"))
    text.write_text("fc1 = 3")
    np.save(plain.open("wb"), np.ones(3))
    np.savez(pickled, **{"weights/fc1.weight": np.array([print], dtype=object)})
    np.savez(empty, step=np.arange(3))
    whole = write_weights(tmp_path / "whole.npz")
    cut = tmp_path / "cut.npz"
    cut.write_bytes(whole.read_bytes()[:-100])
    integers, diverged = (
        write_weights(tmp_path / "i.npz", fc2_bias=np.arange(3)),
        write_weights(tmp_path / "n.npz", fc1_weight=np.full((8, 12), np.nan)),
    )
    problems = {
        tmp_path / "none.npz": "there is no file",
        tmp_path: "no .npz",
        text: "no .npz",
        plain: "no .npz",
        pickled: "no .npz",
        cut: "no .npz",
        empty: "holds no array weights/<parameter>",
        integers: "weights/fc2.bias in .* is of int64",
        diverged: "fc1.weight: the weights are not finite",
    }
    for path, problem in problems.items():
        assert main(["compress", str(path), str(tmp_path / "net"), "--model", TINY, "--bits", "3"]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1, line
        assert re.search(problem, line), line
    for command in (["inspect", str(text)], ["decompress", str(text), str(tmp_path / "out.npz")]):
        assert main(command) == 2
        assert capsys.readouterr().err == f"{text} is no compressed net: such files are written by `python run.py compress`\n"


def test_arrays_that_are_no_parameters_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    scalar, large = (
        write_weights(tmp_path / "s.npz", fc2_bias=np.array(0.5)),
        write_weights(tmp_path / "l.npz", fc1_weight=np.full((8, 12), 1e300)),
    )
    packed = write_weights(tmp_path / "p.npz").read_bytes()
    begin = packed.index(b"PK\1\2")
    encrypted, unknown = tmp_path / "e.npz", tmp_path / "u.npz"
    for path, place, value in ((encrypted, 8, 1), (unknown, 10, 99)):  # of the first entry of the directory: flags, and how it is packed
        path.write_bytes(packed[: begin + place] + bytes([value]) + packed[begin + place + 1 :])
    problems = {
        scalar: "fc2.bias [] where it has fc2.bias [3]",
        large: "fc1.weight: the weights are not finite",
        encrypted: "e.npz is no .npz of plain arrays (RuntimeError)",
        unknown: "u.npz is no .npz of plain arrays (NotImplementedError)",
    }
    for path, problem in problems.items():
        assert main(["compress", str(path), str(tmp_path / "net"), "--model", TINY, "--bits", "3"]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1 and problem in line, line
    assert not recwarn.list


def test_a_folder_where_a_file_is_to_be_written_is_one_line(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = tmp_path / "folder", tmp_path / "net"
    folder.mkdir()
    assert main(["compress", str(weights), str(file), "--model", TINY, "--bits", "3"]) == 0
    for command in (["compress", str(weights), str(folder), "--model", TINY, "--bits", "3"], ["decompress", str(file), str(folder)]):
        capsys.readouterr()
        assert main(command) == 2
        assert capsys.readouterr().err == f"{folder} is a folder, where a file is to be written: choose another path\n"
    assert sorted(tmp_path.iterdir()) == sorted([folder, file, weights])


def packed(path: Path, member: bytes, name: str = "weights/fc1.weight.npy", packing: int = zipfile.ZIP_STORED) -> Path:
    """An archive of one member."""
    with zipfile.ZipFile(path, "w", packing) as file:
        file.writestr(name, member)
    return path


def array_file(header: str) -> bytes:
    """The beginning of an array's file, whose header may be damaged."""
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode()


HEADER = "{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}"


@pytest.mark.parametrize(
    "header",
    [HEADER.format(10**13), HEADER.format(10**30), "((((", '{"""', "-" * 9000],
    ids=["beyond memory", "beyond 64 bits", "open brackets", "an open string", "9,000 signs"],
)
def test_damaged_headers_of_arrays_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], header: str) -> None:
    path = packed(tmp_path / "w.npz", array_file(header))
    assert main(["compress", str(path), str(tmp_path / "net"), "--model", TINY, "--bits", "3"]) == 2
    assert re.fullmatch(r".*w\.npz is no \.npz of plain arrays \(\w+\): write it with numpy\.savez\n", capsys.readouterr().err)


def test_damaged_members_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = packed(tmp_path / "l.npz", np.random.default_rng(0).bytes(5000), packing=zipfile.ZIP_LZMA)
    content = bytearray(damaged.read_bytes())
    content[60:100] = bytes(40)
    damaged.write_bytes(content)
    problems = {damaged: "is no .npz of plain arrays (LZMAError)", packed(tmp_path / "b.npz", b"fc1"): "b.npz is no array"}
    for path, problem in problems.items():
        assert main(["compress", str(path), str(tmp_path / "net"), "--model", TINY, "--bits", "3"]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1 and problem in line, line


def test_names_and_shapes_are_compared_before_anything_is_clustered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lone = tmp_path / "lone.npz"
    np.savez(lone, **{"weights/a": np.array(0.5)})
    problems = {
        lone: "a [] where it has fc1.weight [8, 12]",
        write_weights(tmp_path / "more.npz", extra_weight=np.ones((2, 2))): "extra.weight [2, 2] where it has nothing",
        write_weights(tmp_path / "lines.npz", **{"x\ny": np.ones((2, 2))}): "x y [2, 2] where it has nothing",
        write_weights(tmp_path / "integers.npz", **{"x\ny": np.ones(2, int)}): "weights/x y in",
    }
    for path, problem in problems.items():
        assert main(["compress", str(path), str(tmp_path / "net"), "--model", TINY, "--bits", "4"]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1 and problem in line, line


@pytest.mark.parametrize("target", ["", ".", "/", "/proc/x", "/proc/x/net", "a" * 300])
def test_paths_that_no_file_can_have_are_one_line(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compress", str(weights), "net", "--model", TINY, "--bits", "3"]) == 0
    for command in (["compress", str(weights), target, "--model", TINY, "--bits", "3"], ["decompress", "net", target]):
        capsys.readouterr()
        assert main(command) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1 and line.endswith(": choose another path\n"), line
    assert {path.name for path in tmp_path.iterdir()} == {"net", "weights.npz"}


def test_what_is_read_is_not_written_over(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compress", "weights.npz", "net", "--model", TINY, "--bits", "3"]) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for source, target in (("weights.npz", str(weights)), ("net", "new/../net")):
        command = ["decompress", source, target] if source == "net" else ["compress", source, target, "--model", TINY, "--bits", "3"]
        capsys.readouterr()
        assert main(command) == 2
        assert capsys.readouterr().err == f"{Path(target)} is the file that is read: choose another path\n"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("number", "code", "said"), [(errno.ENOSPC, 2, "No space left on device"), (errno.EPIPE, 0, "")])
def test_an_output_that_takes_no_more_is_one_line_or_none(
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
    said: str,
) -> None:
    class Full(io.StringIO):
        """As a file on a full disk, or a pipe that nobody reads: it takes what is printed, and fails when that is passed on."""

        def flush(self) -> None:
            raise OSError(number, os.strerror(number))

        def fileno(self) -> int:
            return stand_in.fileno()

    assert main(["compress", str(weights), str(tmp_path / "net"), "--model", TINY, "--bits", "3"]) == 0
    capsys.readouterr()
    with open(tmp_path / "out", "w") as stand_in, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Full())
        assert main(["inspect", str(tmp_path / "net")]) == code
    assert capsys.readouterr().err == (f"the output cannot be written ({said}): send it elsewhere\n" if said else "")


def test_run_py_passes_it_on_and_loads_no_torch_to_explain_itself(weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "net"
    assert main(["compress", str(weights), str(file), "--model", TINY, "--bits", "3"]) == 0

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-X", "importtime", str(Path(__file__).parents[3] / "run.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    done = run("inspect", str(file))
    assert done.returncode == 0 and "fc1.weight" in done.stdout
    done = run("compress", "--help")
    assert done.returncode == 0 and "--index-bits" in done.stdout and "numpy" in done.stderr and "torch" not in done.stderr
