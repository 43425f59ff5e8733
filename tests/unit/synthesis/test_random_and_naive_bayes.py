"""RANDOM keeps marginals and loses the rest; NBE recovers a mixture that it is given cases of."""

from itertools import pairwise

import numpy as np
import pytest

from nncompress.data.cases import Cases
from nncompress.synthesis import fit_naive_bayes, random_cases
from nncompress.synthesis.naive_bayes import NaiveBayes, expectation_maximisation

MIXTURE = NaiveBayes(
    np.array([0.25, 0.75]),
    np.array([[0.2, 0.8], [0.7, 0.1]]),
    np.array([[0.05, 0.1], [0.1, 0.05]]),
    (np.array([[0.9, 0.1, 0.0], [0.1, 0.2, 0.7]]),),
)
CASES = MIXTURE.sample(4000, seed=1)


def test_random_cases_have_the_marginals_and_no_correlation() -> None:
    found = random_cases(CASES, 20_000, seed=0)
    assert abs(np.corrcoef(CASES.continuous.T)[0, 1]) > 0.85 and abs(np.corrcoef(found.continuous.T)[0, 1]) < 0.03
    np.testing.assert_allclose(found.continuous.mean(0), CASES.continuous.mean(0), atol=0.01)
    np.testing.assert_allclose(found.continuous.std(0), CASES.continuous.std(0), rtol=0.03)
    np.testing.assert_allclose(np.bincount(found.nominal[:, 0]) / 20_000, np.bincount(CASES.nominal[:, 0]) / 4000, atol=0.02)
    assert set(found.continuous[:, 0]) <= set(CASES.continuous[:, 0])


def test_the_likelihood_of_a_case_is_that_of_its_components() -> None:
    case = Cases(np.array([[0.25, 0.6]], np.float32), np.array([[1]], np.uint8))

    def normal(x: float, mean: float, deviation: float) -> float:
        return float(np.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi)))

    first = 0.25 * normal(0.25, 0.2, 0.05) * normal(0.6, 0.8, 0.1) * 0.1
    second = 0.75 * normal(0.25, 0.7, 0.1) * normal(0.6, 0.1, 0.05) * 0.2
    mixture = NaiveBayes(MIXTURE.shares, MIXTURE.means, MIXTURE.deviations, (MIXTURE.tables[0] + 1e-300,))
    assert mixture.log_likelihood(case) == pytest.approx(np.log(first + second), rel=1e-5)


def test_samples_have_the_moments_of_the_mixture() -> None:
    means = MIXTURE.shares @ MIXTURE.means
    np.testing.assert_allclose(CASES.continuous.mean(0), means, atol=0.02)
    np.testing.assert_allclose(np.bincount(CASES.nominal[:, 0]) / 4000, MIXTURE.shares @ MIXTURE.tables[0], atol=0.03)


def test_expectation_maximisation_finds_the_mixture_again() -> None:
    found = expectation_maximisation(CASES, (3,), 2, 50, 0.01, seed=0)
    order = np.argsort(found.shares)
    np.testing.assert_allclose(found.shares[order], MIXTURE.shares, atol=0.03)
    np.testing.assert_allclose(found.means[order], MIXTURE.means, atol=0.02)
    np.testing.assert_allclose(found.deviations[order], MIXTURE.deviations, atol=0.02)
    np.testing.assert_allclose(found.tables[0][order], MIXTURE.tables[0], atol=0.05)


def test_no_iteration_makes_the_cases_less_likely() -> None:
    likelihoods = [expectation_maximisation(CASES, (3,), 5, iterations, 0.01, 0).log_likelihood(CASES) for iterations in range(8)]
    assert all(later >= earlier - 1e-3 for earlier, later in pairwise(likelihoods))  # smoothing costs a little


def test_the_number_of_components_is_chosen_on_the_validation_cases() -> None:
    few, validation = CASES.take(slice(40)), CASES.take(slice(1000, 2000))
    chosen = fit_naive_bayes(few, (3,), validation, (1, 2, 40), 30, 0.01, seed=0)
    assert len(chosen.shares) == 2
    alone = fit_naive_bayes(few, (3,), validation, (1,), 30, 0.01, seed=0)
    assert chosen.log_likelihood(validation) > alone.log_likelihood(validation)


def test_a_constant_attribute_keeps_the_smallest_deviation() -> None:
    constant = Cases(np.ones((50, 1), np.float32), np.zeros((50, 1), np.uint8))
    found = expectation_maximisation(constant, (2,), 3, 5, 0.02, seed=0)
    np.testing.assert_allclose(found.deviations, 0.02)
    assert np.isfinite(found.log_likelihood(constant))
