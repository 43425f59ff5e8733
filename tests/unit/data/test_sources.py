"""Wherever a data set comes from, it is the same arrays; whatever is wrong with it, one line says so."""

import gzip
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nncompress.data import DATASETS, load
from nncompress.data.sources import Arrays, Known, fingerprint, read
from nncompress.errors import UserError
from nncompress.types import Dataset
from tests.unit.served import address

GREY = Known((1, 4, 5), 60, 20, 10)
COLOUR = Known((3, 4, 5), 60, 20, 10)


def arrays_of(known, seed=0):
    channels, *size = known.shape
    image = tuple(size) if channels == 1 else (*size, channels)
    generator = np.random.default_rng(seed)
    found = {"classes": np.array([str(label) for label in range(known.classes)])}
    for part, count in (("train", known.train), ("test", known.test)):
        found[f"{part}_x"] = generator.integers(0, 256, (count, *image)).astype(np.uint8)
        found[f"{part}_y"] = (np.arange(count) % known.classes).astype(np.uint8)
    return found


@pytest.fixture
def shapes(monkeypatch):
    monkeypatch.setitem(DATASETS, "grey", GREY)
    monkeypatch.setitem(DATASETS, "colour", COLOUR)


def write(folder, name, **changed):
    arrays = {**arrays_of(DATASETS[name]), **changed}
    np.savez(folder / f"{name}.npz", **{key: array for key, array in arrays.items() if array is not None})
    return arrays


def pairs(images, labels):
    """What a split holds, whatever its order."""
    return sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))


def message(name, folder):
    with pytest.raises(UserError) as caught:
        read(name, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["grey", "colour"])
def test_an_npz_is_read_whole_with_channels_first(shapes, tmp_path, name):
    written = write(tmp_path, name)
    arrays, classes, source, _ = read(name, tmp_path)
    first = written["train_x"][:, None] if name == "grey" else written["train_x"].transpose(0, 3, 1, 2)
    assert arrays.train_x.shape == (60, *DATASETS[name].shape) and arrays.train_x.dtype == np.uint8
    assert arrays.train_y.dtype == np.int64 and classes == 10 and source.endswith(f"{name}.npz")
    assert pairs(arrays.train_x, arrays.train_y) == pairs(first, written["train_y"])
    assert len(arrays.test_y) == 20


def test_the_order_of_the_file_does_not_matter(shapes, tmp_path):
    written = write(tmp_path, "colour")
    written["train_x"][7] = written["train_x"][8]  # the same picture under two labels
    np.savez(tmp_path / "colour.npz", **written)
    arrays, *_ = read("colour", tmp_path)
    order = np.random.default_rng(1).permutation(60)
    np.savez(tmp_path / "colour.npz", **{**written, "train_x": written["train_x"][order], "train_y": written["train_y"][order]})
    shuffled, *_ = read("colour", tmp_path)
    assert fingerprint(arrays) == fingerprint(shuffled)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, shuffled, strict=True))


def test_the_canonical_order_is_mixed_over_labels(shapes, tmp_path):
    images = np.repeat(np.arange(60, dtype=np.uint8), 20).reshape(60, 4, 5)  # sorting alone would give the classes one after the other
    write(tmp_path, "grey", train_x=images, train_y=np.arange(60, dtype=np.uint8) // 6)
    labels = read("grey", tmp_path)[0].train_y
    assert len(set(labels[:15])) > 4


def test_altered_content_is_refused(shapes, tmp_path, monkeypatch):
    written = write(tmp_path, "grey")
    digest = fingerprint(read("grey", tmp_path)[0])
    monkeypatch.setitem(DATASETS, "grey", replace(GREY, sha256=digest))
    read("grey", tmp_path)
    written["test_x"][3, 2, 1] ^= 1
    np.savez(tmp_path / "grey.npz", **written)
    assert "SHA-256" in message("grey", tmp_path)


@pytest.mark.parametrize("kept", [0, 10, 100, -100, -1])
def test_a_truncated_npz_is_refused(shapes, tmp_path, kept):
    write(tmp_path, "grey")
    path = tmp_path / "grey.npz"
    path.write_bytes(path.read_bytes()[:kept])
    assert str(path) in message("grey", tmp_path)


def test_a_flipped_byte_is_found_by_the_checksum_of_the_file(shapes, tmp_path):
    write(tmp_path, "grey")
    path = tmp_path / "grey.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 255
    path.write_bytes(content)
    assert "cannot be read" in message("grey", tmp_path)


def test_a_file_that_is_no_npz_is_refused(shapes, tmp_path):
    (tmp_path / "grey.npz").write_text("<html>not found</html>")
    assert "cannot be read" in message("grey", tmp_path)
    with (tmp_path / "grey.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert "cannot be read" in message("grey", tmp_path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train_y": None}, "no array 'train_y'"),
        ({"train_x": np.zeros((59, 4, 5), np.uint8)}, "train_x has the shape (59, 4, 5), expected (60, 4, 5)"),
        ({"train_x": np.zeros((60, 4, 5, 3), np.uint8)}, "train_x has the shape"),
        ({"test_y": np.zeros(21, np.uint8)}, "test_y has the shape (21,)"),
        ({"train_x": np.zeros((60, 4, 5), np.float32)}, "train_x holds float32, expected uint8"),
        ({"train_y": np.zeros(60, np.float32)}, "train_y holds float32, expected integers"),
        ({"train_y": np.full(60, 10, np.uint8)}, "labels from 10 to 10, expected 0 to 9"),
        ({"test_y": np.full(20, -1, np.int8)}, "labels from -1 to -1"),
        ({"train_y": np.array([None] * 60)}, "cannot be read"),
    ],
)
def test_a_wrong_array_is_named(shapes, tmp_path, changed, said):
    write(tmp_path, "grey", **changed)
    assert said in message("grey", tmp_path)


def test_an_unknown_data_set_brings_the_near_name_or_the_list(tmp_path):
    assert "there is no data set 'cifar'; did you mean 'cifar10'?" in message("cifar", tmp_path)
    assert "there is no data set 'wordnet'; there are mnist, cifar10, cifar100, svhn, digits" in message("wordnet", tmp_path)


def test_without_files_and_network_one_line_names_the_three_ways(tmp_path, monkeypatch):
    asked = []

    def offline(root, download):
        asked.append(download)
        raise RuntimeError("Error downloading\nTried https://a, got:\nno route to host")

    monkeypatch.setitem(DATASETS, "mnist", replace(DATASETS["mnist"], torchvision=offline))
    said = message("mnist", tmp_path)
    assert asked == [False, True]
    for part in (str(tmp_path / "mnist.npz"), "no route to host", "with a network", "MNIST/raw", "train_x (60000, 28, 28)"):
        assert part in said


def test_an_unwritable_folder_is_one_line_too(tmp_path):
    (tmp_path / "file").write_text("")
    assert "mnist was not found" in message("mnist", tmp_path / "file" / "data")


def test_files_that_are_there_are_used_without_asking_the_network(tmp_path, monkeypatch):
    def files(root, download):
        assert not download
        arrays = arrays_of(COLOUR)
        images = {part: arrays[f"{part}_x"].transpose(0, 3, 1, 2) for part in ("train", "test")}
        return Arrays(images["train"], arrays["train_y"].astype(np.int64), images["test"], arrays["test_y"].astype(np.int64))

    monkeypatch.setitem(DATASETS, "colour", replace(COLOUR, torchvision=files))
    from_torchvision, *_ = read("colour", tmp_path)
    write(tmp_path, "colour")
    from_npz, _, source, _ = read("colour", tmp_path)
    assert source.endswith(".npz") and fingerprint(from_torchvision) == fingerprint(from_npz)


def shrink(monkeypatch, name, shape, train, test):
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], shape=shape, train=train, test=test, sha256=None))
    return arrays_of(DATASETS[name])


def same_as_npz(tmp_path, name, written):
    """What was read from torchvision's files equals what is read from an .npz of the same examples."""
    before, _, source, _ = read(name, tmp_path)
    assert source.startswith("torchvision")
    np.savez(tmp_path / f"{name}.npz", **written)
    after, *_ = read(name, tmp_path)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_idx_files_of_mnist_give_the_same_arrays(tmp_path, monkeypatch):
    written = shrink(monkeypatch, "mnist", (1, 28, 28), 60, 20)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, prefix in (("train", "train"), ("test", "t10k")):
        for kind, array in (("images-idx3", written[f"{part}_x"]), ("labels-idx1", written[f"{part}_y"])):
            header = np.array([2048 + array.ndim, *array.shape], ">i4").tobytes()
            (raw / f"{prefix}-{kind}-ubyte").write_bytes(header + array.tobytes())
    same_as_npz(tmp_path, "mnist", written)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_batches_of_cifar_give_the_same_arrays(tmp_path, monkeypatch, name):
    import torchvision.datasets

    dataset = getattr(torchvision.datasets, name.upper())
    monkeypatch.setattr(dataset, "_check_integrity", lambda self: True)
    monkeypatch.setattr(dataset, "_load_meta", lambda self: None)
    batches = len(dataset.train_list)
    written = shrink(monkeypatch, name, (3, 32, 32), 20 * batches, 20)
    folder = tmp_path / dataset.base_folder
    folder.mkdir()
    files = [(file, "train", slice(20 * i, 20 * i + 20)) for i, (file, _) in enumerate(dataset.train_list)]
    for file, part, chosen in [*files, (dataset.test_list[0][0], "test", slice(None))]:
        images = written[f"{part}_x"][chosen].transpose(0, 3, 1, 2).reshape(20, -1)
        key = "labels" if name == "cifar10" else "fine_labels"
        (folder / file).write_bytes(pickle.dumps({"data": images, key: written[f"{part}_y"][chosen].tolist()}))
    same_as_npz(tmp_path, name, written)


def test_the_matrices_of_svhn_give_the_same_arrays(tmp_path, monkeypatch):
    import torchvision.datasets
    from scipy.io import savemat

    monkeypatch.setattr(torchvision.datasets.SVHN, "_check_integrity", lambda self: True)
    written = shrink(monkeypatch, "svhn", (3, 32, 32), 60, 20)
    for part in ("train", "test"):
        labels = written[f"{part}_y"].astype(np.int64)
        images = written[f"{part}_x"].transpose(1, 2, 3, 0)
        savemat(tmp_path / f"{part}_32x32.mat", {"X": images, "y": np.where(labels == 0, 10, labels)[:, None]})  # its zeros are labelled 10
    same_as_npz(tmp_path, "svhn", written)


def test_damaged_torchvision_files_are_refused_in_one_line(tmp_path, monkeypatch):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte").write_bytes(gzip.compress(b"not an idx file"))
    assert "mnist was not found" in message("mnist", tmp_path)


def letters(folder, monkeypatch, feature=15):
    """UCI's file with random features but for the first, which is `feature`. Returns the features and labels of all rows."""
    monkeypatch.setitem(DATASETS, "letters", replace(DATASETS["letters"], sha256=None))
    generator = np.random.default_rng(0)
    features, labels = generator.integers(0, 16, (20_000, 16)), generator.integers(0, 26, 20_000)
    features[0, 0] = feature
    rows = [f"{chr(ord('A') + label)},{','.join(map(str, row))}" for label, row in zip(labels, features.tolist(), strict=True)]
    (folder / "letter-recognition.data").write_text("\n".join(rows) + "\n")
    return features, labels


def test_letters_are_read_from_ucis_file_the_first_16000_to_train_and_their_features_span_the_bytes(tmp_path, monkeypatch):
    features, labels = letters(tmp_path, monkeypatch)
    arrays, classes, source, _ = read("letters", tmp_path)
    assert arrays.train_x.shape == (16_000, 1, 1, 16) and arrays.test_x.shape == (4_000, 1, 1, 16) and classes == 26
    assert arrays.train_x.max() == 255 and "UCI" in source
    bytes_ = (17 * features).astype(np.uint8)
    assert pairs(arrays.train_x, arrays.train_y) == pairs(bytes_[:16_000], labels[:16_000])
    assert pairs(arrays.test_x, arrays.test_y) == pairs(bytes_[16_000:], labels[16_000:])


def test_a_packed_file_of_letters_with_a_line_of_names_gives_the_same_arrays(tmp_path, monkeypatch):
    letters(tmp_path, monkeypatch)
    plain, *_ = read("letters", tmp_path)
    path = tmp_path / "letter-recognition.data"
    names = b"letter," + b",".join(b"f%d" % i for i in range(16)) + b"\n"
    (tmp_path / "letter.csv.gz").write_bytes(gzip.compress(names + path.read_bytes()))
    path.unlink()
    packed, *_ = read("letters", tmp_path)
    assert all(np.array_equal(a, b) for a, b in zip(plain, packed, strict=True))


def test_letters_that_are_missing_or_damaged_are_downloaded(tmp_path, monkeypatch):
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    letters(home, monkeypatch)
    monkeypatch.setattr("nncompress.data.sources.UCI_LETTERS", address(home / "letter-recognition.data"))
    expected, *_ = read("letters", home)
    found, *_ = read("letters", here)
    (here / "letter.csv.gz").write_bytes(b"damaged")
    (here / "letter-recognition.data").unlink()
    again, *_ = read("letters", here)
    assert all(np.array_equal(a, b) and np.array_equal(a, c) for a, b, c in zip(expected, found, again, strict=True))


@pytest.mark.parametrize("kept", [0, 10_000, -100])
def test_truncated_letters_without_a_network_are_one_line(tmp_path, monkeypatch, kept):
    letters(tmp_path, monkeypatch)
    path = tmp_path / "letter-recognition.data"
    path.write_bytes(path.read_bytes()[:kept])
    monkeypatch.setattr("nncompress.data.sources.UCI_LETTERS", address(tmp_path / "nowhere"))
    said = message("letters", tmp_path)
    for part in ("letters was not found", "missing or damaged", "UCI's files (letter-recognition.data or letter.csv.gz)", "letters.npz"):
        assert part in said


def test_letters_with_a_feature_beyond_15_are_refused(tmp_path, monkeypatch):
    letters(tmp_path, monkeypatch, feature=16)
    monkeypatch.setattr("nncompress.data.sources.UCI_LETTERS", address(tmp_path / "letter-recognition.data"))
    assert "features from 0 to 16, expected 0 to 15" in message("letters", tmp_path)


def test_the_digits_are_embedded_and_every_class_is_in_the_test_split_in_proportion(tmp_path):
    splits = load(Dataset("digits", validation=200), tmp_path)
    assert splits.train_x.shape == (1097, 1, 8, 8) and splits.test_x.shape == (500, 1, 8, 8) and splits.source == "scikit-learn"
    assert int(splits.train_x.max()) == 255 and splits.train_x.dtype == torch.uint8
    counts = torch.bincount(splits.test_y)
    assert len(counts) == 10 and counts.min() >= 48 and counts.max() <= 51


def test_without_scikit_learn_the_digits_say_so(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "install scikit-learn" in message("digits", tmp_path)


def test_other_recordings_than_those_of_the_data_set_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "fsdd", replace(DATASETS["fsdd"], recordings=DATASETS["tones"].recordings))
    assert "the content is not that of fsdd (SHA-256 differs)" in message("fsdd", tmp_path)


def test_the_frames_of_the_tones_never_change(tmp_path):
    """Rounding may move a byte by one; another front end moves them further."""
    arrays, classes, source, _ = read("tones", tmp_path)
    assert (arrays.train_x.shape, arrays.test_x.shape, classes, source) == ((1230, 1, 26, 40), (410, 1, 26, 40), 30, "synthesised")
    assert arrays.train_x[100, 0, 20, ::5].astype(int).tolist() == pytest.approx([107, 110, 160, 142, 148, 129, 117, 124], abs=1)
    assert arrays.train_y[:30].tolist() == [0] * 6 + [1] * 5 + [2] * 5 + [21] * 7 + [22] * 7


def test_importing_the_data_module_imports_neither_torchvision_nor_scikit_learn():
    import subprocess
    import sys

    code = (
        "import sys, nncompress.data; sys.exit(any(name in sys.modules for name in ('torchvision', 'sklearn', 'pandas', 'kaldi_native_fbank')))"
    )
    source = Path(__file__).parents[3] / "src"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(source)}).returncode == 0
