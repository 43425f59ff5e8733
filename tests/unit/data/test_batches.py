"""Batch order and augmentation are pure functions of (seed, step)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import pad

from nncompress.data import augment, batch_indices, halved_batch_indices
from nncompress.errors import UserError
from nncompress.types import Augmentation

GOLDEN = [[6, 7, 9], [5, 1, 4], [8, 3, 0], [3, 4, 8]]
HALVED = [[3, 9, 7, 8], [6, 0, 4, 5], [9, 6, 1, 2]]  # of ten examples, of which 0, 3, 6 and 9 are special
sizes = st.integers(1, 40).flatmap(lambda examples: st.tuples(st.just(examples), st.integers(1, examples)))


@settings(max_examples=50, deadline=None)
@given(sizes, st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_sees_each_example_at_most_once_and_drops_less_than_a_batch(size, seed, epoch):
    examples, batch_size = size
    per_epoch = examples // batch_size
    seen = batch_indices(seed, epoch * per_epoch, (epoch + 1) * per_epoch, examples, batch_size).ravel()
    assert len(set(seen)) == len(seen) > examples - batch_size
    assert seen.min() >= 0 and seen.max() < examples


@settings(max_examples=50, deadline=None)
@given(sizes, st.lists(st.integers(0, 60), min_size=3, max_size=3))
def test_a_resumed_training_sees_the_batches_of_an_undisturbed_one(size, steps):
    examples, batch_size = size
    begin, middle, end = sorted(steps)
    whole = batch_indices(3, begin, end, examples, batch_size)
    parts = [batch_indices(3, begin, middle, examples, batch_size), batch_indices(3, middle, end, examples, batch_size)]
    assert whole.shape == (end - begin, batch_size) and whole.dtype == np.int64
    assert np.array_equal(whole, np.concatenate(parts))
    assert np.array_equal(whole, batch_indices(3, 0, end, examples, batch_size)[begin:])


def test_seeds_and_epochs_have_orders_of_their_own():
    orders = [batch_indices(seed, 10 * epoch, 10 * epoch + 10, 100, 10).ravel() for seed in range(3) for epoch in range(3)]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert len({tuple(order) for order in orders}) == 9
    agreements = [(orders[i] == orders[j]).sum() for i in range(9) for j in range(i)]
    assert np.mean(agreements) == pytest.approx(1, abs=0.7)  # two unrelated permutations agree at one place on average


def test_the_batch_order_never_changes():
    assert batch_indices(0, 0, 4, 10, 3).tolist() == GOLDEN


def test_what_is_returned_can_be_written_to_without_changing_the_order():
    first = batch_indices(0, 0, 4, 10, 3)
    first[:] = 0
    assert batch_indices(0, 0, 4, 10, 3).tolist() == GOLDEN


def test_a_batch_larger_than_the_training_split_is_refused():
    with pytest.raises(UserError, match=r"batch_size = 11 .* 10 examples"):
        batch_indices(0, 0, 1, 10, 11)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 10), st.lists(st.booleans(), min_size=40, max_size=80), st.integers(0, 5))
def test_half_of_each_batch_is_special_and_each_half_goes_through_its_own_kind(half, special, seed):
    special = np.array([*special, *[True, False] * 10])
    batches = halved_batch_indices(seed, 0, 7, special, 2 * half)
    assert batches.shape == (7, 2 * half) and batches.dtype == np.int64
    assert special[batches[:, :half]].all() and not special[batches[:, half:]].any()
    for kind, part in ((special, batches[:, :half]), (~special, batches[:, half:])):
        epoch = part[: kind.sum() // half].ravel()
        assert len(set(epoch)) == len(epoch)
    assert np.array_equal(batches[3:5], halved_batch_indices(seed, 3, 5, special, 2 * half))


def test_special_and_other_examples_are_drawn_independently():
    """Were both from one stream, the two kinds would go through the same permutation where they are equally many."""
    special = np.arange(200) % 2 == 0
    first, second = np.split(halved_batch_indices(0, 0, 10, special, 20), 2, axis=1)
    assert (first // 2 == second // 2).mean() < 0.1


def test_the_order_of_halved_batches_never_changes():
    assert halved_batch_indices(0, 0, 3, np.arange(10) % 3 == 0, 4).tolist() == HALVED


def test_halves_that_cannot_be_filled_are_refused():
    special = np.arange(10) < 3
    with pytest.raises(UserError, match=r"batch_size = 8: half a batch is more than the 3 special examples of a specialist"):
        halved_batch_indices(0, 0, 1, special, 8)
    with pytest.raises(UserError, match=r"the 3 other examples"):
        halved_batch_indices(0, 0, 1, ~special, 8)
    with pytest.raises(ValueError, match="batch_size = 5 has no halves"):
        halved_batch_indices(0, 0, 1, special, 5)


def images(count=300, channels=2, height=6, width=5):
    return torch.randint(1, 256, (count, channels, height, width), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def test_no_augmentation_changes_nothing():
    before = images()
    assert augment(before, Augmentation(), 0, 0) is before


@pytest.mark.parametrize("kind", [{"shift": 2}, {"crop_padding": 2}])
def test_every_image_is_moved_by_whole_pixels_and_all_moves_are_about_as_frequent(kind):
    before = images()
    after = augment(before, Augmentation(**kind), 5, 7)
    every_move = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    moves = {(down, right): pad(before, (right, -right, down, -down)) for down, right in every_move}
    found = {move: int((candidate == after).flatten(1).all(1).sum()) for move, candidate in moves.items()}
    assert after.dtype == torch.uint8 and sum(found.values()) == 300
    assert min(found.values()) >= 2 and max(found.values()) <= 30  # 12 expected


def test_about_half_of_the_images_are_mirrored_whole():
    before = images()
    after = augment(before, Augmentation(flip=True), 1, 1)
    mirrored = (after == before.flip(-1)).flatten(1).all(1)
    kept = (after == before).flatten(1).all(1)
    assert (mirrored ^ kept).all() and 110 < int(mirrored.sum()) < 190


def test_augmentation_is_a_function_of_seed_and_step():
    before, everything = images(), Augmentation(shift=1, crop_padding=2, flip=True)
    first = augment(before, everything, 3, 4)
    assert torch.equal(first, augment(before, everything, 3, 4))
    assert not torch.equal(first, augment(before, everything, 3, 5)) and not torch.equal(first, augment(before, everything, 4, 4))
    assert not torch.equal(first, before) and first.shape == before.shape


def test_augmentation_draws_nothing_from_the_global_random_state():
    torch.manual_seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    augment(images(), Augmentation(shift=1, crop_padding=1, flip=True), 0, 0)
    assert torch.equal(before[0], torch.get_rng_state()) and np.array_equal(before[1], np.random.get_state()[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_device_changes_nothing():
    before, everything = images(), Augmentation(shift=1, crop_padding=2, flip=True)
    assert torch.equal(augment(before.cuda(), everything, 0, 0).cpu(), augment(before, everything, 0, 0))
