"""The mixture after training: its density, merging, and quantisation by responsibility (Ullrich, Meeds & Welling 2017)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, MixtureSameFamily, Normal, kl_divergence

from nncompress.quantize.soft_sharing import Mixture


def mixture(means: list[float], variances: list[float], shares: list[float]) -> Mixture:
    return Mixture(np.array(means), -np.log(variances), np.log(shares))


THREE = mixture([0.0, 0.3, -0.5], [0.01, 0.02, 0.005], [0.7, 0.2, 0.1])


def test_the_density_is_that_of_the_distribution() -> None:
    weights = np.linspace(-1, 1, 41)
    normals = Normal(torch.tensor(THREE.means), torch.tensor(np.exp(-THREE.log_precisions / 2)))
    reference = MixtureSameFamily(Categorical(torch.tensor(np.exp(THREE.log_shares))), normals)
    np.testing.assert_allclose(THREE.log_density(weights), reference.log_prob(torch.tensor(weights)).numpy(), rtol=1e-12)


def test_the_density_stays_finite_where_every_gaussian_has_vanished() -> None:
    far = THREE.log_density(np.array([50.0]))
    assert far == pytest.approx([math.log(0.2) + 0.5 * math.log(50 / (2 * math.pi)) - 25 * 49.7**2])


def test_the_border_of_two_components_worked_by_hand() -> None:
    """Unit variances, means 0 and 1, shares 0.99 and 0.01: responsibilities are equal where w - 1/2 = ln 99, at w = 5.095."""
    two, weights = mixture([0, 1], [1, 1], [0.99, 0.01]), np.array([0.4, 0.6, 1.0, 5.09, 5.10])
    assert two.most_responsible(weights).tolist() == [0, 0, 0, 0, 1]
    assert two.nearest(weights).tolist() == [0, 1, 1, 1, 1]


def test_the_most_responsible_component_has_the_largest_term_of_the_density() -> None:
    weights = np.random.default_rng(0).normal(0, 0.4, (5, 40)).astype(np.float32)
    terms = np.stack([THREE.log_joint(weights, j) for j in range(3)])
    np.testing.assert_array_equal(THREE.most_responsible(weights), terms.argmax(0))
    np.testing.assert_array_equal(THREE.nearest(weights), np.abs(weights[None] - THREE.means[:, None, None]).argmin(0))


@given(st.floats(0.5, 0.999), st.floats(0.05, 1), st.floats(0.001, 0.1))
def test_responsibility_prunes_no_fewer_weights_than_the_nearest_mean_where_variances_are_equal(share: float, mean: float, std: float) -> None:
    two, weights = mixture([0, mean], [std**2] * 2, [share, 1 - share]), np.linspace(-1, 2, 301)
    assert (two.most_responsible(weights)[two.nearest(weights) == 0] == 0).all()


def test_divergences_are_those_of_gaussians() -> None:
    normals = [Normal(float(m), float(np.exp(-p / 2))) for m, p in zip(THREE.means, THREE.log_precisions, strict=True)]
    expected = [[float(kl_divergence(first, second)) for second in normals] for first in normals]
    np.testing.assert_allclose(THREE.divergences(), expected, rtol=1e-5, atol=1e-7)
    by_hand = mixture([0, 1], [1, 4], [0.5, 0.5]).divergences()[0, 1]  # ln 2 + (1 + 1) / 8 - 1/2
    assert by_hand == pytest.approx(math.log(2) - 0.25)


def test_a_merger_worked_by_hand() -> None:
    """Means 1 and 1.1 of variance 0.04 diverge by 0.01 / 0.08 = 0.125; with shares 0.03 and 0.01 they become one at 1.025."""
    given_ = mixture([0, 1, 1.1, -1], [0.01, 0.04, 0.04, 0.04], [0.95, 0.03, 0.01, 0.01])
    found = given_.merged(0.126)
    np.testing.assert_allclose(found.means, [0, 1.025, -1])
    np.testing.assert_allclose(np.exp(-found.log_precisions), [0.01, 0.04, 0.04])
    np.testing.assert_allclose(np.exp(found.log_shares), [0.95, 0.04, 0.01])
    assert given_.merged(0.124).means.tolist() == given_.means.tolist()


def test_the_variance_of_a_merger_is_weighted_by_the_shares() -> None:
    found = mixture([0, 1, 1], [0.01, 0.04, 0.05], [0.6, 0.3, 0.1]).merged(0.02)
    np.testing.assert_allclose(np.exp(-found.log_precisions), [0.01, (3 * 0.04 + 0.05) / 4])


def test_components_merge_through_others_between_them_and_with_component_0_become_zeros() -> None:
    chain = mixture([0, 0.5, 0.05, 0.55, 0.1], [0.01] * 5, [0.5, 0.2, 0.1, 0.1, 0.1])
    found = chain.merged(0.126)  # neighbours 0.05 apart diverge by 0.125
    np.testing.assert_allclose(found.means, [0, (0.2 * 0.5 + 0.1 * 0.55) / 0.3])
    np.testing.assert_allclose(np.exp(found.log_shares), [0.7, 0.3])


def test_at_the_thresholds_of_the_authors_only_equal_components_merge() -> None:
    assert mixture([0, 0.2, 0.2, 0.2001], [0.01] * 4, [0.7, 0.1, 0.1, 0.1]).merged(1e-10).means.tolist() == [0, 0.2, 0.2001]


@pytest.mark.parametrize(
    ("given_", "line"),
    [
        (([0.1, 1.0], [1, 1], [0.5, 0.5]), "component 0"),
        (([0.0, 1.0], [1, 1], [0.5, 0.4]), "add up to 0.9"),
        (([0.0, 1.0], [1, 1, 1], [0.5, 0.5]), "different components"),
    ],
)
def test_what_is_no_mixture_is_refused(given_: tuple[list[float], list[float], list[float]], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        mixture(*given_)
