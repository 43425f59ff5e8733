"""Shared weights and files as stages: from a pruned fit to a file whose net answers as the one in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nncompress.errors import UserError
from nncompress.lab.lab import Lab
from nncompress.lab.quantizing import CompressedFile, IntegerWeights, LowRank, SharedWeights
from nncompress.lab.stages import Fit, InitialWeights, PrunedMask
from nncompress.quantize import decode
from nncompress.train import fit as fit_module
from nncompress.types import Dataset, Model, Training
from tests.unit.lab import tiny

MODEL, DATA = Model("mlp", (64, 20, 10, 10)), Dataset("digits", validation=300)
TRAINING = Training(steps=300, batch_size=30, learning_rate=0.1, optimizer="sgd", momentum=0.9, evaluate_every=100)
DENSE = Fit(MODEL, DATA, TRAINING, InitialWeights(MODEL, 0), 0)
LAYERS = {"fc1.weight": 0.7, "fc2.weight": 0.5, "fc3.weight": 0.4}
PRUNED = Fit(MODEL, DATA, TRAINING, DENSE, 0, PrunedMask(DENSE, LAYERS))
BITS = {"fc1.weight": 4, "fc2.weight": 4, "fc3.weight": 3}
SHARED = SharedWeights(PRUNED, BITS)
TUNING = replace(TRAINING, learning_rate=0.001)  # an entry's gradient is the sum of those of all weights that share it
TUNED = Fit(MODEL, DATA, TUNING, SHARED, 0, SHARED, codebook=SHARED)
INDEX = dict.fromkeys(BITS, 4)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tiny.settings(Path(tmp_path_factory.mktemp("lab"))), say=lambda _: None)


def test_shared_weights_have_as_many_values_as_their_codes_tell_apart_and_the_masks_of_the_fit(lab: Lab) -> None:
    pruned, found = lab.get(PRUNED), lab.get(SHARED)
    for name, bits in BITS.items():
        assert len(np.unique(found.weights[name][found.masks[name]])) <= 2**bits - 1  # one code is the fillers'
        assert not found.weights[name][~pruned.masks[name]].any()
        assert np.abs(found.weights[name] - pruned.weights[name]).max() < 0.5 * np.abs(pruned.weights[name]).max()
    np.testing.assert_array_equal(found.weights["fc1.bias"], pruned.weights["fc1.bias"])


def test_where_pruning_has_left_fewer_weights_than_codes_tell_apart_each_keeps_its_value(lab: Lab) -> None:
    """How many are left is known only when a net is pruned: no reason to stop."""
    shared = SharedWeights(PRUNED, {**BITS, "fc3.weight": 8})
    np.testing.assert_array_equal(lab.get(shared).weights["fc3.weight"], lab.get(PRUNED).weights["fc3.weight"])
    assert lab.get(CompressedFile(shared, shared, shared.weight_bits, INDEX)).metrics["kept_fc3.weight"] > 0


def test_a_layer_that_is_not_pruned_and_has_fewer_weights_than_codebook_entries_is_named(lab: Lab) -> None:
    """How many weights it has is known beforehand: whoever asks for more entries has made a mistake."""
    with pytest.raises(UserError, match=r"^fc3\.bias: 255 codebook entries for 10 weights: take fewer bits, or leave the layer unshared$"):
        lab.get(SharedWeights(PRUNED, {**BITS, "fc3.bias": 8}, entries={"fc3.bias": 255}))
    with pytest.raises(UserError, match=r"^fc3\.weight: 256 codebook entries for 100 weights: take fewer bits, or leave the layer unshared$"):
        lab.get(SharedWeights(DENSE, {**BITS, "fc3.weight": 8}))


def test_fine_tuning_moves_the_codebook_and_nothing_out_of_its_cluster(lab: Lab) -> None:
    before, after = lab.get(SHARED), lab.get(TUNED)
    for name, codes in before.codes.items():
        kept = before.masks[name]
        values = [np.unique(after.weights[name][kept & (codes == code)]) for code in np.unique(codes[kept])]
        assert {len(value) for value in values} == {1}
        assert not np.array_equal(after.weights[name], before.weights[name])
    assert after.metrics["validation_loss"] < lab.get(CompressedFile(SHARED, SHARED, BITS, INDEX)).metrics["validation_loss"]


@pytest.mark.parametrize("coder", ["huffman", "ans", "fixed"])
def test_the_file_of_a_fine_tuned_net_holds_its_weights_bit_for_bit_and_its_account_adds_up(coder: str, lab: Lab) -> None:
    file, tuned = lab.get(CompressedFile(TUNED, SHARED, BITS, INDEX, coder)), lab.get(TUNED)
    content = file.arrays["file"].tobytes()
    for name, weight in decode(content).weights.items():
        np.testing.assert_array_equal(weight, tuned.weights[name] + 0.0)
    metrics = file.metrics
    assert metrics["file_bytes"] == len(content) and metrics["rate"] == 4 * sum(w.size for w in tuned.weights.values()) / len(content)
    parts = [value for name, value in metrics.items() if name.startswith("bytes_") and not name.startswith("bytes_of_")]
    assert sum(parts) == len(content)
    assert metrics["test_accuracy"] == pytest.approx(tuned.metrics["test_accuracy"]) and metrics["test_accuracy"] > 0.8
    assert metrics["code_bits_fc1.weight"] <= 4.1
    assert metrics["kept_fc1.weight"] == tuned.masks["fc1.weight"].mean() and metrics["kept_fc1.bias"] == 1
    masks = list(tuned.masks.values())
    assert metrics["weight_density"] == sum(mask.sum() for mask in masks) / sum(mask.size for mask in masks)
    assert metrics["share_of_fc1.weight"] == metrics["bytes_of_fc1.weight"] / (4 * 64 * 20)


def test_nets_without_codebook_or_mask_are_files_too(lab: Lab) -> None:
    def size(net: Any, **rest: Any) -> float:
        return lab.get(CompressedFile(net, None, {}, INDEX, **rest)).metrics["file_bytes"]

    dense = sum(4 * weight.size for weight in lab.get(DENSE).weights.values())
    assert dense < size(DENSE) < dense + 1000
    assert size(TUNED) < size(DENSE)
    assert lab.get(CompressedFile(TUNED, SHARED, BITS, INDEX)).metrics["file_bytes"] < size(PRUNED) < size(DENSE)


def test_a_file_of_integers_takes_about_a_byte_a_weight_and_holds_the_rounded_weights_bit_for_bit(lab: Lab) -> None:
    rounded = IntegerWeights(DENSE)
    file = lab.get(CompressedFile(rounded, rounded, dict.fromkeys(BITS, 8), {}, "fixed"))
    sizes = {name: array.size for name, array in lab.get(DENSE).weights.items()}
    weights = sum(size for name, size in sizes.items() if name.endswith("weight"))
    assert file.metrics["bytes_codes"] == weights and file.metrics["bytes_floats"] == 4 * (sum(sizes.values()) - weights)
    for name, array in decode(file.arrays["file"].tobytes()).weights.items():
        exact = lab.get(DENSE).weights[name]
        np.testing.assert_array_equal(array, lab.get(rounded).weights[name] + 0.0)
        assert np.abs(array - exact).max() <= np.abs(exact).max() / 255 * 1.0001  # half a step
    assert file.metrics["test_accuracy"] == pytest.approx(lab.get(DENSE).metrics["test_accuracy"], abs=0.01)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, np.ndarray]]:
    """The weights of every net that is measured from now on."""
    found: list[dict[str, np.ndarray]] = []
    score = fit_module.score

    def watched(model: Model, dataset: Dataset, training: Training, weights: dict[str, np.ndarray], *rest: Any) -> dict[str, float]:
        found.append(dict(weights))
        return score(model, dataset, training, weights, *rest)

    monkeypatch.setattr(fit_module, "score", watched)
    return found


@pytest.mark.parametrize(("share", "ranks"), [(0.5, {"fc1": 10, "fc2": 5}), (0.3, {"fc1": 6, "fc2": 3}), (0.01, {"fc1": 1, "fc2": 1})])
def test_a_layer_of_low_rank_is_the_best_of_its_rank_and_counts_its_two_factors(
    share: float, ranks: dict[str, int], lab: Lab, scored: list[dict[str, np.ndarray]]
) -> None:
    """Eckart & Young 1936: what is lost of a matrix is what its smaller singular values hold, and no matrix of that rank loses less."""
    rate = lab.get(LowRank(DENSE, share)).metrics["rate"]
    dense, ([cut], random) = lab.get(DENSE).weights, (scored, np.random.default_rng(0))
    numbers = {name: array.size for name, array in dense.items()}
    for layer, rank in ranks.items():
        before, after = (weights[f"{layer}.weight"].astype(np.float64) for weights in (dense, cut))
        lost = np.linalg.norm(before - after)
        assert np.linalg.matrix_rank(after, tol=1e-5) == rank
        assert lost == pytest.approx(np.sqrt((np.linalg.svd(before, compute_uv=False)[rank:] ** 2).sum()), rel=1e-5)
        basis, _ = np.linalg.qr(random.standard_normal((len(before), rank)))
        assert np.linalg.norm(before - basis @ (basis.T @ before)) > lost
        numbers[f"{layer}.weight"] = rank * sum(before.shape)
    assert rate == pytest.approx(sum(array.size for array in dense.values()) / sum(numbers.values()))
    for name in dense.keys() - {f"{layer}.weight" for layer in ranks}:  # biases, and the last layer
        np.testing.assert_array_equal(cut[name], dense[name])


@pytest.mark.parametrize("share", [1.0, 0.8])
def test_a_layer_whose_factors_would_take_as_many_numbers_stays_as_it_is(share: float, lab: Lab, scored: list[dict[str, np.ndarray]]) -> None:
    """At four fifths of their rank 16 (20 + 64) and 8 (10 + 20) are more than 20 x 64 and 10 x 20."""
    metrics, dense = lab.get(LowRank(DENSE, share)).metrics, lab.get(DENSE)
    for name, array in scored[0].items():
        np.testing.assert_array_equal(array, dense.weights[name])
    assert metrics["rate"] == 1
    for name in ("test_accuracy", "test_loss", "validation_accuracy", "validation_loss"):
        assert metrics[name] == pytest.approx(dense.metrics[name])


def test_fits_with_and_without_a_codebook_of_one_kind_share_a_stack_but_not_a_key() -> None:
    assert Fit(MODEL, DATA, TUNING, SHARED, 0, SHARED).key != TUNED.key
    assert Fit(MODEL, DATA, TUNING, SHARED, 0, SHARED).shared == TUNED.shared
