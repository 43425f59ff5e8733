"""The choice of the smallest file, masks without dead units, and weights that share values little by little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nncompress.errors import UserError
from nncompress.lab.lab import Lab
from nncompress.lab.quantizing import SharedWeights
from nncompress.lab.smallest import CandidateFile, LivingMask, SmallestFile, smallest
from nncompress.lab.stage import Artifact
from nncompress.lab.stages import Fit, InitialWeights, PrunedMask
from nncompress.models import build
from nncompress.prune import without_dead_units
from nncompress.quantize import decode
from nncompress.types import Dataset, Model, Training
from tests.unit.lab import tiny

MODEL, DATA = Model("mlp", (64, 12, 10, 10)), Dataset("digits", validation=300)
TRAINING = Training(steps=60, batch_size=30, learning_rate=0.1, optimizer="sgd", momentum=0.9, evaluate_every=30)
DENSE = Fit(MODEL, DATA, TRAINING, InitialWeights(MODEL, 0), 0)
MASK = LivingMask(PrunedMask(DENSE, {"fc1.weight": 0.95, "fc2.weight": 0.9, "fc3.weight": 0.6}))
PRUNED = replace(DENSE, start=DENSE, mask=MASK)
BITS = {"fc1.weight": 2, "fc2.weight": 2, "fc3.weight": 2, "fc1.bias": 1, "fc2.bias": 1, "fc3.bias": 3}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tiny.settings(Path(tmp_path_factory.mktemp("lab"))), say=lambda _: None)


# --- the choice


def test_the_smallest_that_errs_little_enough_is_chosen() -> None:
    assert smallest([9, 5, 7, 4], [0.01, 0.016, 0.0155, 0.03], 0.0155) == 2
    assert smallest([9, 5, 7, 4], [0.01, 0.016, 0.0155, 0.03], 0.02) == 1


def test_of_equal_sizes_the_one_that_errs_less_is_chosen() -> None:
    assert smallest([5, 5, 5], [0.012, 0.010, 0.010], 0.0155) == 1


def test_where_none_errs_little_enough_it_is_the_one_that_errs_least() -> None:
    assert smallest([5, 9, 4], [0.03, 0.02, 0.04], 0.0155) == 1


def test_an_error_that_equals_the_bound_but_for_rounding_is_allowed() -> None:
    assert smallest([5, 9], [float(1 - np.float32(0.9845)), 0.01], 0.0155) == 0


# --- masks


def test_a_living_mask_keeps_no_dead_unit_and_no_bias_of_one(lab: Lab) -> None:
    before, after = lab.get(MASK.mask).masks, lab.get(MASK).masks
    alive, dead = without_dead_units(before)
    assert sum(dead.values()) > 0
    assert {name: mask.tolist() for name, mask in after.items() if name in alive} == {name: mask.tolist() for name, mask in alive.items()}
    for layer in ("fc1", "fc2"):
        np.testing.assert_array_equal(after[f"{layer}.bias"], after[f"{layer}.weight"].any(1))
        assert 0 < after[f"{layer}.bias"].sum() < after[f"{layer}.bias"].size
    assert "fc3.bias" not in after  # every class keeps its own


def test_removing_units_without_output_changes_no_answer() -> None:
    generator = np.random.default_rng(0)
    net = build(Model("mlp", (6, 5, 4, 3)))
    weights = {name: generator.normal(size=tuple(p.shape)).astype(np.float32) for name, p in net.named_parameters()}
    weights["fc2.weight"][:, [1, 3]] = 0  # two units that nothing reads
    weights["fc3.weight"][:, 2] = 0
    alive, dead = without_dead_units({name: array != 0 for name, array in weights.items() if array.ndim == 2})
    assert dead == {"fc1.weight": 2, "fc2.weight": 1}
    without = {name: array * alive.get(name, True) for name, array in weights.items()}
    without["fc1.bias"] = weights["fc1.bias"] * alive["fc1.weight"].any(1)
    without["fc2.bias"] = weights["fc2.bias"] * alive["fc2.weight"].any(1)
    assert any(not np.array_equal(without[name], array) for name, array in weights.items())
    images = generator.normal(size=(20, 6)).astype(np.float32)
    np.testing.assert_array_equal(answers(weights, images), answers(without, images))


def answers(weights: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    net = build(Model("mlp", (6, 5, 4, 3)))
    net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    with torch.no_grad():
        return net(torch.from_numpy(images)).numpy()


# --- sharing little by little


def test_the_largest_weights_share_first_and_the_others_keep_their_own(lab: Lab) -> None:
    pruned, whole, half = lab.get(PRUNED), lab.get(SharedWeights(PRUNED, BITS)), lab.get(SharedWeights(PRUNED, BITS, share=0.5))
    for name, bits in BITS.items():
        mask = pruned.masks.get(name, np.ones(pruned.weights[name].shape, bool))
        before, after, codes = (array[mask] for array in (pruned.weights[name], half.weights[name], half.codes[name]))
        own = codes > whole.codes[name][mask].max()
        assert own.sum() == round(0.5 * before.size)
        np.testing.assert_array_equal(after[own], before[own])
        assert np.unique(codes[own]).size == own.sum()
        assert not own.any() or np.abs(before[own]).max() <= np.abs(before[~own]).min()
        assert np.unique(after[~own]).size <= 2**bits


def test_the_whole_share_is_what_it_was() -> None:
    assert SharedWeights(PRUNED, BITS, share=1.0).key == SharedWeights(PRUNED, BITS).key != SharedWeights(PRUNED, BITS, share=0.5).key


def test_a_codebook_may_have_fewer_entries_than_its_codes_tell_apart(lab: Lab) -> None:
    for entries in (3, 4, 5):
        found = lab.get(SharedWeights(PRUNED, {"fc1.weight": 3}, entries={"fc1.weight": entries}))
        assert np.unique(found.weights["fc1.weight"][found.masks["fc1.weight"]]).size == entries
    with pytest.raises(UserError, match="entries = 8: codes of 3 bits tell 1 to 7 entries apart here"):
        lab.get(SharedWeights(PRUNED, {"fc1.weight": 3}, entries={"fc1.weight": 8}))


def test_too_many_weights_of_their_own_are_refused_in_one_line() -> None:
    weights = {"fc1.weight": np.linspace(-1, 1, 90_000, dtype=np.float32).reshape(300, 300)}
    dense = Artifact({f"weights/{name}": array for name, array in weights.items()})
    with pytest.raises(UserError) as refusal:
        SharedWeights(PRUNED, {"fc1.weight": 2}, share=0.1).compute({PRUNED: dense}, None)
    line = "share = 0.1: 81000 weights of fc1.weight would have a code of their own; prune the layer, or share more"
    assert str(refusal.value) == line


# --- files


def test_candidates_are_measured_on_validation_images_and_the_chosen_one_alone_on_the_test_images(lab: Lab) -> None:
    files = []
    for bits in (1, 2):
        widths = {name: min(bits, width) if name.endswith("weight") else width for name, width in BITS.items()}
        shared = SharedWeights(PRUNED, widths)
        tuned = replace(PRUNED, start=shared, mask=shared, codebook=shared, training=replace(TRAINING, steps=20, learning_rate=0.001))
        files.append(CandidateFile(tuned, shared, widths, None, "context", half=True))
    found = [lab.get(file) for file in files]
    assert all("validation_accuracy" in each.metrics and "test_accuracy" not in each.metrics for each in found)
    errors, sizes = (
        [float(f(each)) for each in found] for f in (lambda a: 1 - a.metrics["validation_accuracy"], lambda a: a.arrays["file"].size)
    )
    assert sizes[0] < sizes[1]
    for allowed in (0.999, min(errors) / 2):
        chosen = lab.get(SmallestFile(tuple(files), allowed))
        place = smallest(sizes, errors, allowed)
        assert chosen.metrics["chosen"] == place and chosen.metrics["candidates"] == 2
        assert chosen.metrics["allowed"] == sum(error <= allowed for error in errors)
        np.testing.assert_array_equal(chosen.arrays["file"], found[place].arrays["file"])
        assert 0 < chosen.metrics["test_accuracy"] <= 1 and chosen.metrics["file_bytes"] == sizes[place]


def test_numbers_in_half_precision_are_what_the_file_is_measured_with(lab: Lab) -> None:
    shared = SharedWeights(PRUNED, BITS)
    file = lab.get(CandidateFile(shared, shared, BITS, None, "context", half=True))
    for name, tensor in decode(file.arrays["file"].tobytes()).tensors.items():
        assert tensor.values.dtype == np.float16
        np.testing.assert_array_equal(tensor.weights, lab.get(shared).weights[name].astype(np.float16).astype(np.float32))
