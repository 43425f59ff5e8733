"""Weight sharing: one-dimensional k-means and the gradient of shared weights (Han et al. 2016, sec. 3)."""

import itertools
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nncompress.errors import UserError
from nncompress.quantize import initial_centroids, k_means, shared_gradient

# Figure 3: sixteen weights, four shared ones, and one step of fine-tuning.
WEIGHTS = np.array([[2.09, -0.98, 1.48, 0.09], [0.05, -0.14, -1.08, 2.12], [-0.91, 1.92, 0, -1.03], [1.87, 0, 1.53, 1.49]], np.float32)
CODES = np.array([[3, 0, 2, 1], [1, 1, 0, 3], [0, 3, 1, 0], [3, 1, 2, 2]])
GRADIENT = np.array([[-0.03, -0.01, 0.03, 0.02], [-0.01, 0.01, -0.02, 0.12], [-0.01, 0.02, 0.04, 0.01], [-0.07, -0.02, 0.01, -0.02]])

floats = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40).map(lambda values: np.array(values, np.float32))


def squared_error(weights: np.ndarray, centroids: np.ndarray, codes: np.ndarray) -> float:
    return float(((weights.astype(np.float64) - centroids[codes]) ** 2).sum())


@pytest.mark.parametrize("initial", ["linear", "density"])
def test_figure_3_the_clusters_and_their_centroids(initial: str) -> None:
    centroids, codes = k_means(WEIGHTS.ravel(), 4, initial)
    assert codes.reshape(4, 4).tolist() == CODES.tolist()
    assert centroids == pytest.approx([-1.00, 0.00, 1.50, 2.00], abs=1e-6)
    assert (centroids.dtype, codes.dtype) == (np.float32, np.uint16)


def test_figure_3_the_gradients_are_summed_by_cluster_and_move_the_centroids() -> None:
    """Equation 3; the figure's learning rate is 1."""
    summed = shared_gradient(GRADIENT.ravel(), CODES.ravel(), 4)
    assert summed == pytest.approx([-0.03, 0.04, 0.02, 0.04])
    assert np.array([-1.00, 0.00, 1.50, 2.00]) - summed == pytest.approx([-0.97, -0.04, 1.48, 1.96])


def test_the_shared_gradient_is_what_autograd_gives_a_codebook() -> None:
    codebook = torch.tensor([-1.0, 0.5, 2.0, 7.0], dtype=torch.float64, requires_grad=True)
    codes = torch.tensor([0, 2, 2, 1, 0, 2])  # no weight shares the last entry
    weights = codebook[codes]
    weights.retain_grad()
    (weights**3 * torch.arange(6)).sum().backward()
    assert weights.grad is not None and codebook.grad is not None
    np.testing.assert_allclose(shared_gradient(weights.grad.numpy(), codes.numpy(), 4), codebook.grad.numpy())


def test_where_the_three_initialisations_put_the_centroids() -> None:
    """Of the weights 0, 1, 2, ... 9 and 90: linear by range, density by rank, Forgy among the weights themselves."""
    weights = np.array([*range(10), 90], np.float32)
    assert initial_centroids(weights, 4, "linear").tolist() == [0, 30, 60, 90]
    # the CDF passes 1/8, 3/8, 5/8 and 7/8 at the 2nd, 5th, 7th and 10th of the eleven weights
    assert initial_centroids(weights, 4, "density").tolist() == [1, 4, 6, 9]
    drawn = initial_centroids(weights, 4, "random", seed=1)
    assert len(set(drawn.tolist()) & set(weights.tolist())) == 4 and drawn.tolist() == sorted(drawn)
    assert drawn.tolist() == initial_centroids(weights, 4, "random", seed=1).tolist()
    assert any(drawn.tolist() != initial_centroids(weights, 4, "random", seed=seed).tolist() for seed in range(2, 5))


@given(floats, st.integers(1, 8), st.sampled_from(["linear", "density", "random"]))
def test_every_weight_has_its_nearest_centroid_and_every_centroid_is_the_mean_of_its_weights(weights: np.ndarray, k: int, initial: str) -> None:
    k = min(k, weights.size)
    centroids, codes = k_means(weights, k, initial)
    assert 1 <= centroids.size <= min(k, np.unique(weights).size)
    assert sorted(set(codes.tolist())) == list(range(centroids.size)), "an entry that no weight uses is not kept"
    assert np.all(np.diff(centroids) > 0)
    distances = np.abs(weights[:, None].astype(np.float64) - centroids)
    tolerance = 1e-6 * max(1.0, float(np.abs(weights).max()))
    assert np.all(np.take_along_axis(distances, codes[:, None].astype(np.int64), 1)[:, 0] <= distances.min(1) + tolerance)
    means = [weights[codes == code].astype(np.float64).mean() for code in range(centroids.size)]
    np.testing.assert_allclose(centroids, means, rtol=1e-6, atol=tolerance)


@given(floats, st.integers(1, 8), st.sampled_from(["linear", "density", "random"]))
def test_k_means_never_ends_worse_than_it_starts(weights: np.ndarray, k: int, initial: str) -> None:
    k = min(k, weights.size)
    centroids, codes = k_means(weights, k, initial)
    start = initial_centroids(weights, k, initial)
    nearest = np.abs(weights[:, None].astype(np.float64) - start).argmin(1)
    assert squared_error(weights, centroids, codes) <= squared_error(weights, start, nearest) * (1 + 1e-6) + 1e-6


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=9), st.integers(1, 4))
def test_no_split_into_clusters_beats_the_best_of_its_starts_by_much_on_tiny_layers(values: list[int], k: int) -> None:
    """Lloyd finds a local optimum; on so few weights the best of many Forgy starts is the best of all splits."""
    weights = np.array(values, np.float32)
    k = min(k, weights.size)
    found = min(squared_error(weights, *k_means(weights, k, "random", seed=seed)) for seed in range(40))
    ordered = np.sort(weights).astype(np.float64)
    splits = itertools.combinations(range(1, weights.size), k - 1)
    best = min(sum(((part - part.mean()) ** 2).sum() for part in np.split(ordered, cuts)) for cuts in splits)
    assert best - 1e-6 <= found <= 2 * best + 1e-6


def test_as_many_entries_as_distinct_weights_lose_nothing() -> None:
    weights = np.array([0.25, -1.5, 0.25, 3.0, -1.5, 0.25], np.float32)
    for initial in ("linear", "density", "random"):
        centroids, codes = k_means(weights, 5, initial)
        assert centroids.tolist() == [-1.5, 0.25, 3.0] and centroids[codes].tolist() == weights.tolist()


def test_linear_starts_keep_the_large_weights_apart_where_density_does_not() -> None:
    """Sec. 3.2: few centroids of density or Forgy starts are large, which represents the few large weights poorly."""
    generator = np.random.default_rng(0)
    weights = np.concatenate([generator.normal(0, 0.02, 100_000), generator.uniform(0.5, 1, 20)]).astype(np.float32)

    def large_error(initial: str) -> float:
        centroids, codes = k_means(weights, 16, initial)
        return float(np.abs(weights[-20:] - centroids[codes][-20:]).max())

    assert large_error("linear") < 0.1 < large_error("density")


def test_a_million_weights_take_a_second_or_so() -> None:
    weights = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
    began = time.process_time()
    centroids, codes = k_means(weights, 255)
    assert time.process_time() - began < 10
    assert 200 < centroids.size <= 255 and codes.max() == centroids.size - 1


def test_a_single_weight_in_a_cluster_is_kept_exactly() -> None:
    """Prefix sums over large weights would round a small one that is alone in its cluster."""
    weights = np.concatenate([np.full(1000, -1e6), [1e-6, 2e-3], np.full(1000, 1e6), [2e6]]).astype(np.float32)
    centroids, _ = k_means(weights, 4, "linear")
    assert centroids.tolist() == [-1e6, pytest.approx((weights[1000] + weights[1001]) / 2, rel=1e-6), 1e6, 2e6]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(UserError, match="not finite"):
        k_means(np.array([1.0, bad], np.float32), 1)


def test_more_entries_than_weights_are_refused() -> None:
    with pytest.raises(UserError, match=r"31 codebook entries for 30 weights: .*fewer bits"):
        k_means(np.arange(30, dtype=np.float32), 31)


def test_an_unknown_initialisation_is_refused() -> None:
    with pytest.raises(UserError, match=r"initial = 'best'.*linear, density, random"):
        k_means(np.arange(4, dtype=np.float32), 2, "best")
