"""Soft weight sharing as stages: from a fit with a mixture prior to a file whose every number is a mean of the mixture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nncompress.lab.lab import Lab
from nncompress.lab.quantizing import CompressedFile
from nncompress.lab.sharing import MixtureMeans, SoftSharedFile, joint_picture, last_mixture, matrices
from nncompress.lab.stages import Fit, InitialWeights
from nncompress.quantize import CompressedNet, CompressedTensor, coded, decode, encode, with_best_gaps
from nncompress.quantize import dense as whole
from nncompress.types import Dataset, Gamma, Model, SoftSharing, Training
from tests.unit.lab import tiny

MODEL, DATA = Model("mlp", (64, 20, 10, 10)), Dataset("digits", validation=300)
TRAINING = Training(steps=300, batch_size=30, learning_rate=3e-3, evaluate_every=100)
SHARING = SoftSharing(0.3, 0.9, 7, Gamma(50.0, 0.01), Gamma(50.0, 0.05), mean_rate=1e-3, precision_rate=1e-2, share_rate=1e-2)
DENSE = Fit(MODEL, DATA, TRAINING, InitialWeights(MODEL, 0), 0)
SHARED = Fit(MODEL, DATA, replace(TRAINING, steps=1200, evaluate_every=400), DENSE, 0, sharing=SHARING)
MEANS = MixtureMeans(SHARED, 1e-10)
FILE = SoftSharedFile(MEANS, MEANS, {}, None)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tiny.settings(Path(tmp_path_factory.mktemp("lab"))), say=lambda _: None)


def test_a_fit_keeps_the_course_of_its_mixture_in_the_store(lab: Lab) -> None:
    lab.get(SHARED)
    again = Lab(lab.settings, say=lambda _: None).get(SHARED)
    assert again.mixture["step"].tolist() == [0, 400, 800, 1200]
    assert again.mixture["means"].shape == (4, 8)
    assert lab.get(DENSE).mixture == {}


def test_every_number_of_the_net_is_at_the_mean_of_its_most_responsible_component(lab: Lab) -> None:
    trained, found = lab.get(SHARED), lab.get(MEANS)
    mixture = last_mixture(trained.mixture)
    for name, array in trained.weights.items():
        component = mixture.most_responsible(array)
        np.testing.assert_array_equal(found.weights[name], mixture.means.astype(np.float32)[component])
        np.testing.assert_array_equal(found.masks[name], component > 0)


def test_the_file_holds_the_means_and_its_metrics_are_theirs(lab: Lab) -> None:
    file, found, trained = lab.get(FILE), lab.get(MEANS), lab.get(SHARED)
    content = file.arrays["file"].tobytes()
    kept = 0
    for name, weight in decode(content).weights.items():
        np.testing.assert_array_equal(weight, found.weights[name])
        kept += int((weight != 0).sum())
    metrics = file.metrics
    numbers = sum(weight.size for weight in found.weights.values())
    assert 0 < kept < numbers and metrics["density"] == kept / numbers
    assert metrics["density_fc1"] == found.masks["fc1.weight"].mean()
    assert metrics["file_bytes"] == len(content) and metrics["rate"] == 4 * numbers / len(content)
    assert 1 <= metrics["means"] <= 7 and metrics["zero_std"] >= metrics["narrowest_std"] > 0
    assert metrics["test_accuracy_before"] == trained.metrics["test_accuracy"] and metrics["test_accuracy"] > 0.5
    assert file.arrays["joint"].sum() == numbers
    assert file.arrays["mixture/epoch"].tolist() == pytest.approx([0, 400 / 33, 800 / 33, 1200 / 33])  # of 997 images, 30 a batch
    np.testing.assert_array_equal(file.arrays["mixture/means"], trained.mixture["means"])


def test_the_nearest_mean_is_another_net_under_another_key(lab: Lab) -> None:
    nearest = MixtureMeans(SHARED, 1e-10, "nearest")
    assert nearest.key != MEANS.key
    mixture, weights = last_mixture(lab.get(SHARED).mixture), lab.get(SHARED).weights
    for name, mask in lab.get(nearest).masks.items():
        np.testing.assert_array_equal(mask, mixture.nearest(weights[name]) > 0)


def test_gaps_of_the_best_width_take_no_more_bytes_than_any_other() -> None:
    model, generator = Model("mlp", (200, 100)), np.random.default_rng(0)
    mask = generator.random((100, 200)) < 0.01
    bias = whole(np.zeros(100, np.float32))
    values = mask.astype(np.float32)

    def size(tensor: CompressedTensor) -> int:
        return len(encode(CompressedNet(model, {"fc1.weight": tensor, "fc1.bias": bias})))

    sizes = {bits: size(coded(values, mask.astype(np.uint16), 4, mask, bits)) for bits in range(1, 17)}
    best = with_best_gaps(coded(values, mask.astype(np.uint16), 4, mask))
    assert size(best) == min(sizes.values()) == sizes[best.index_bits] < sizes[3]
    np.testing.assert_array_equal(best.weights, values)
    assert with_best_gaps(bias) is bias


def test_files_with_given_gaps_are_as_they_were(lab: Lab) -> None:
    plain = CompressedFile(MEANS, MEANS, dict.fromkeys(lab.get(MEANS).codes, 4), {})
    assert lab.get(plain).metrics["file_bytes"] > lab.get(FILE).metrics["file_bytes"]


def test_a_joint_picture_counts_each_number_at_its_place_before_and_after() -> None:
    made = joint_picture({"a": np.array([-1.0, 1.0]), "b": np.array([0.0])}, {"a": np.array([0.0, 0.5]), "b": np.array([0.0])})
    middle, quarter = len(made["joint"]) // 2, len(made["joint"]) // 4
    assert made["joint"].sum() == 3
    assert made["joint"][0, middle] == made["joint"][-1, middle + quarter] == made["joint"][middle, middle] == 1


def test_values_beyond_those_before_are_not_heaped_up_at_the_edge_of_a_joint_picture() -> None:
    before, after = {"a": np.array([0.5, 0.5, -1.0])}, {"a": np.array([2.0, 4.0, 0.0])}
    made = joint_picture(before, after)
    assert (made["edges"][0], made["edges"][-1]) == (-4, 4)
    assert made["joint"].sum() == 3 and made["joint"][:, -1].sum() == 1  # the largest alone
    wide = joint_picture(after, before)
    np.testing.assert_array_equal(wide["edges"], made["edges"])


def test_matrices_are_levels_of_the_largest_matrix_and_keep_what_is_not_zero() -> None:
    before = {"b": np.ones(99), "w": np.array([[-2.0, 1.0], [0.001, 0.0]])}
    after = {"b": np.ones(99), "w": np.array([[-4.0, 0.0], [0.0, 0.0]])}
    assert matrices(before, after).tolist() == [[[-127, 64], [1, 0]], [[-127, 0], [0, 0]]]
