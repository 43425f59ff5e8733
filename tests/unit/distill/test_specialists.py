"""Specialists: the mathematics of Hinton, Vinyals & Dean 2015, section 5, worked by hand or by other means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from nncompress.distill.ensemble import probabilities
from nncompress.distill.specialists import (
    accuracy_among,
    active_specialists,
    apart,
    combine,
    corrected,
    covariance,
    coverage,
    distribution,
    online_k_means,
    oversampling,
    special_classes,
    specialist_weights,
)

# -- which classes -------------------------------------------------------------------------------------------------------------------------


def confused(blocks: list[list[int]], examples: int = 600) -> np.ndarray:
    """Predictions of a generalist that confuses the classes of a block: an example's block gets 0.97, its own class most of that."""
    classes = sum(map(len, blocks))
    generator = np.random.default_rng(0)
    found = np.full((examples, classes), 0.03 / classes)
    for row, block in zip(found, (blocks[i % len(blocks)] for i in range(examples)), strict=True):
        row[block] += 0.97 * generator.dirichlet(np.full(len(block), 5.0))
    return found


def test_the_covariance_is_that_of_the_predictions_over_examples() -> None:
    predicted = np.array([[0.5, 0.5, 0.0], [0.1, 0.3, 0.6]])
    np.testing.assert_allclose(covariance(predicted), [[0.04, 0.02, -0.06], [0.02, 0.01, -0.03], [-0.06, -0.03, 0.09]], atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_classes_that_are_confused_with_each_other_go_to_one_specialist(seed: int) -> None:
    blocks = [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    members = special_classes(confused(blocks), 3, 4, seed, 20)
    assert sorted(np.flatnonzero(row).tolist() for row in members) == blocks


@pytest.mark.parametrize("size", [2, 5])
def test_specialists_have_as_many_classes_as_they_should_whatever_their_cluster_has(size: int) -> None:
    """Fewer than a cluster has leave classes to nobody; more make specialists overlap."""
    blocks = [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    members = special_classes(confused(blocks), 3, size, 0, 20)
    assert (members.sum(1) == size).all()
    assert sorted(members[:, block].sum(1).max() for block in blocks) == [min(size, 4)] * 3


def test_a_lone_centroid_is_the_mean_of_the_points_it_has_come_from() -> None:
    # It starts at one of the points 0 and 3 and is drawn by both in each of two passes: (2 * (0 + 3) + start) / 5.
    [[centroid]] = online_k_means(np.array([[0.0], [3.0]]), 1, 0, 2)
    assert min(abs(centroid - 6 / 5), abs(centroid - 9 / 5)) < 1e-12


def test_centroids_go_to_the_means_of_groups_far_apart() -> None:
    points = np.concatenate([centre + np.random.default_rng(1).normal(0, 0.1, (20, 2)) for centre in (0, 10, 20)])
    found = online_k_means(points, 3, 0, 50)
    np.testing.assert_allclose(found[found[:, 0].argsort()], points.reshape(3, 20, 2).mean(1), atol=0.01)


def test_clusters_are_a_function_of_the_seed_and_points_may_coincide() -> None:
    points = np.random.default_rng(0).normal(size=(30, 4))
    np.testing.assert_array_equal(online_k_means(points, 5, 7, 3), online_k_means(points, 5, 7, 3))
    assert not np.array_equal(online_k_means(points, 5, 7, 3), online_k_means(points, 5, 8, 3))
    np.testing.assert_array_equal(online_k_means(np.ones((6, 2)), 3, 0, 2), np.ones((3, 2)))


# -- what a specialist is ------------------------------------------------------------------------------------------------------------------

SPECIAL = np.array([True, False, True, False, False])


def test_a_specialist_starts_as_the_generalist_with_a_dustbin_and_closed_units() -> None:
    generator = np.random.default_rng(0)
    weights = {name: generator.normal(size=shape).astype(np.float32) for name, shape in (("fc1.weight", (3, 2)), ("fc2.weight", (5, 3)))}
    weights["fc2.bias"] = generator.normal(size=5).astype(np.float32)
    start = specialist_weights(weights, "fc2", SPECIAL)
    assert start["fc1.weight"] is weights["fc1.weight"] and weights["fc2.weight"].shape == (5, 3)
    hidden = generator.normal(size=(7, 3)).astype(np.float32)
    before, after = (hidden @ w["fc2.weight"].T + w["fc2.bias"] for w in (weights, start))
    np.testing.assert_allclose(after[:, :5][:, SPECIAL], before[:, SPECIAL], atol=1e-6)
    np.testing.assert_allclose(after[:, 5], before[:, ~SPECIAL].mean(1) + np.log(3), atol=1e-6)
    assert not probabilities(after)[:, :5][:, ~SPECIAL].any()


def test_the_dustbin_of_a_net_that_knows_nothing_has_the_probability_of_all_its_classes() -> None:
    start = specialist_weights({"fc1.weight": np.zeros((5, 2), np.float32), "fc1.bias": np.zeros(5, np.float32)}, "fc1", SPECIAL)
    np.testing.assert_allclose(probabilities(start["fc1.bias"][None]), [[0.2, 0, 0.2, 0, 0, 0.6]], atol=1e-6)


def test_the_correction_by_hand() -> None:
    """Ten of a hundred examples are special: nine others to one. Equal logits, 1/2 each, become 1/10 and 9/10."""
    special, labels = np.array([False, True, False]), np.repeat([0, 1, 2], [40, 10, 50])
    assert oversampling(special, labels) == pytest.approx(9)
    logits = np.array([[-1e9, 2.0, -1e9, 2.0]])
    np.testing.assert_allclose(probabilities(corrected(logits, special, 9)), [[0, 0.1, 0, 0.9]], atol=1e-12)
    np.testing.assert_allclose(distribution(logits, special, labels), [[0, 0.1, 0, 0.9]], atol=1e-12)


@pytest.mark.parametrize("dustbin", [True, False])
def test_the_correction_turns_what_is_learned_on_half_special_batches_into_the_posterior_of_the_data(dustbin: bool) -> None:
    """A specialist that has learned its task perfectly knows p(unit | x) where special classes have half of all examples."""
    generator = np.random.default_rng(0)
    joint = generator.dirichlet(np.ones(5 * 30)).reshape(5, 30)  # p(class, x), x of thirty kinds
    share = joint[SPECIAL].sum()
    seen = joint * np.where(SPECIAL, 0.5 / share, 0.5 / (1 - share))[:, None]

    def units(table: np.ndarray) -> np.ndarray:
        table = np.concatenate([np.where(SPECIAL[:, None], table, 0), table[~SPECIAL].sum(0, keepdims=True)]) if dustbin else table
        return np.asarray((table / table.sum(0)).T)

    logits = np.log(np.clip(units(seen), 1e-300, None))
    np.testing.assert_allclose(probabilities(corrected(logits, SPECIAL, (1 - share) / share)), units(joint), atol=1e-12)


def test_a_specialist_over_all_classes_has_an_empty_dustbin() -> None:
    found = distribution(np.zeros((2, 5)), SPECIAL, np.arange(5))  # three others to two
    np.testing.assert_allclose(found, [[2 / 13, 3 / 13, 2 / 13, 3 / 13, 3 / 13, 0]] * 2)


# -- equation 5 ----------------------------------------------------------------------------------------------------------------------------


def distributions(seed: int, examples: int = 3, specialists: int = 3, classes: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p^g, p^m and S^m at random; every specialist has a class of its own at least, and leaves one out."""
    generator = np.random.default_rng(seed)
    members = generator.random((specialists, classes)) < 0.5
    members[:, 0], members[:, -1] = True, False
    own = (
        generator.dirichlet(np.full(classes + 1, 0.7), (specialists, examples))
        * np.pad(members, ((0, 0), (0, 1)), constant_values=True)[:, None]
    )
    return generator.dirichlet(np.full(classes, 0.7), examples), own / own.sum(-1, keepdims=True), members


def divergences(q: np.ndarray, generalist: np.ndarray, own: np.ndarray, members: np.ndarray, asked: np.ndarray) -> float:
    """Equation 5 for one example, term by term, up to the entropies, which do not depend on q."""
    total = -(generalist * np.log(q)).sum()
    for p, classes, counts in zip(own, members, asked, strict=True):
        if counts:
            total -= (p[:-1][classes] * np.log(q[classes])).sum() + (p[-1] * np.log(q[~classes].sum()) if p[-1] else 0)
    return float(total)


def test_without_specialists_the_answer_is_the_generalists() -> None:
    generalist, own, members = distributions(0)
    np.testing.assert_array_equal(combine(generalist, own, members, np.zeros((3, 3), bool)), generalist)


def test_with_specialists_over_all_classes_the_answer_is_the_mean() -> None:
    generator = np.random.default_rng(0)
    generalist, own = generator.dirichlet(np.ones(4), 5), generator.dirichlet(np.ones(4), (2, 5))
    found = combine(generalist, np.pad(own, ((0, 0), (0, 0), (0, 1))), np.ones((2, 4), bool), np.ones((5, 2), bool))
    np.testing.assert_allclose(found, (generalist + own.sum(0)) / 3, atol=1e-9)


def test_one_specialist_averages_its_classes_and_scales_the_others() -> None:
    """q = (p^g + p^m) / 2 in S, and p^g scaled to half of what both leave outside: 0.3 and 0.6 make 0.45, of which 0.2 / 0.3 and 0.1 / 0.3."""
    generalist = np.array([[0.5, 0.2, 0.2, 0.1]])
    own = np.array([[[0.1, 0.3, 0, 0, 0.6]]])
    found = combine(generalist, own, np.array([[True, True, False, False]]), np.ones((1, 1), bool))
    np.testing.assert_allclose(found, [[0.3, 0.25, 0.3, 0.15]], atol=1e-6)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_an_optimiser_of_equation_5_on_the_logits_ends_at_the_same_minimum(seed: int) -> None:
    generalist, own, members = distributions(seed)
    asked = np.random.default_rng(seed + 1).random((3, 3)) < 0.7
    found = combine(generalist, own, members, asked)
    np.testing.assert_allclose(found.sum(1), 1)
    for i, q in enumerate(found):
        args = generalist[i], own[:, i], members, asked[i]
        loss = divergences(q, *args)
        by_gradient = minimize(lambda z, args=args: divergences(probabilities(z[None])[0], *args), np.log(generalist[i]), tol=1e-10)
        assert loss <= by_gradient.fun + 1e-6
        assert loss >= by_gradient.fun - 1e-4  # by which a step of an optimiser without the gradient may fall short


def test_specialists_that_were_not_asked_change_nothing() -> None:
    generalist, own, members = distributions(3)
    asked = np.array([[True, False, False]] * 3)
    other = own.copy()
    other[1:] = 1 / 6
    np.testing.assert_array_equal(combine(generalist, own, members, asked), combine(generalist, other, members, asked))


def test_those_are_asked_who_have_one_of_the_generalists_most_probable_classes() -> None:
    generalist = np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])
    members = np.array([[True, False, False], [False, True, True], [False, True, False]])
    assert active_specialists(generalist, members, 1).tolist() == [[True, False, False], [False, True, False]]
    assert active_specialists(generalist, members, 2).tolist() == [[True, True, True], [False, True, True]]


# -- the two tables ------------------------------------------------------------------------------------------------------------------------


def test_examples_are_counted_by_how_many_specialists_cover_their_class() -> None:
    special = np.array([[True, True, False, False], [True, False, True, False]])
    labels = np.array([0, 0, 1, 2, 3, 3])
    alone, together = np.eye(4)[[0, 1, 1, 0, 3, 0]], np.eye(4)[[0, 0, 2, 2, 3, 0]]
    found = coverage(together, alone, special, labels)
    assert [found[f"covered_{k}_examples"] for k in range(3)] == [2, 2, 2]
    assert [found[f"covered_{k}_generalist_right"] for k in range(3)] == [1, 1, 1]
    assert [found[f"covered_{k}_right"] for k in range(3)] == [1, 1, 2]
    assert found["covered_classes"] == 3
    assert (found["generalist_conditional_accuracy"], found["conditional_accuracy"]) == (2 / 4, 3 / 4)


def test_an_answer_limited_to_some_classes_is_the_most_probable_of_them() -> None:
    answers = np.array([[0.5, 0.3, 0.2], [0.6, 0.1, 0.3], [0.1, 0.2, 0.7]])
    assert accuracy_among(answers, np.array([1, 2, 0]), np.array([False, True, True])) == 1.0
    assert np.isnan(accuracy_among(answers, np.array([0, 0, 0]), np.array([False, True, True])))


def test_a_dustbin_is_right_for_other_classes_and_without_one_the_class_itself() -> None:
    labels, special = np.array([0, 1, 2, 2]), np.array([True, False, False])
    with_dustbin = np.array([[0.6, 0, 0, 0.4], [0.3, 0, 0, 0.7], [0.3, 0, 0, 0.7], [0.7, 0, 0, 0.3]])
    assert apart(with_dustbin, labels, special) == (1.0, pytest.approx(2 / 3))
    without = np.array([[0.1, 0.8, 0.1, 0], [0.1, 0.8, 0.1, 0], [0.2, 0.7, 0.1, 0], [0.2, 0.1, 0.7, 0]])
    assert apart(without, labels, special) == (0.0, pytest.approx(2 / 3))
