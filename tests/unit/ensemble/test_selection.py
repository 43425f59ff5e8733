"""Ensemble selection: worked by hand, and never worse on the hill-climbing cases than the best single model."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nncompress.ensemble import greedy, rmse


def test_rmse_of_three_cases() -> None:
    assert rmse(np.array([0.0, 0.5, 1.0]), np.array([0, 1, 0])) == np.sqrt((0 + 0.25 + 1) / 3)


def test_a_selection_worked_by_hand() -> None:
    """Labels 1, 1. Models (0.8, 0.8), (1.6, 0.4) and (0, 0), squared errors 0.04, 0.36, 1. Sorted: the first alone is best (with the second
    (1.2, 0.6): 0.1). Rounds: the first again leaves 0.04, the second gives 0.1. Of three the second gives (3.2, 2) / 3: 0.058; of four
    (1, 0.7): 0.045. So the first goes on alone, until with five of it the second gives (5.6, 4.4) / 6: 0.038."""
    predictions = np.array([[0.8, 0.8], [1.6, 0.4], [0.0, 0.0]])
    assert greedy(predictions, np.ones(2), 3).tolist() == [1, 0, 0]
    assert greedy(predictions, np.ones(2), 5).tolist() == [5, 1, 0]


def test_a_model_may_be_chosen_several_times() -> None:
    """Labels 0, 1. Of (0.1, 0.7) and (-0.5, 1.5), as a model that overshoots, the best mixture takes the first more often: errors of the mean
    of k firsts and one second: k = 1: (-0.2, 1.1), 0.025; k = 2: (-0.1, 0.967), 0.0056; k = 3: (-0.05, 0.9), 0.00625."""
    assert greedy(np.array([[0.1, 0.7], [-0.5, 1.5]]), np.array([0, 1]), 8).tolist() in ([2, 1], [7, 3], [5, 2])
    assert greedy(np.array([[0.1, 0.7], [-0.5, 1.5]]), np.array([0, 1]), 1).tolist() == [2, 1]


def test_the_best_ensemble_on_the_way_is_kept() -> None:
    """Whatever is added to the right answer makes it worse."""
    assert greedy(np.array([[0.0, 1.0], [0.5, 0.5]]), np.array([0, 1]), 20).tolist() == [1, 0]


@given(st.integers(0, 2**20), st.integers(1, 8), st.integers(0, 15))
def test_never_worse_than_the_best_single_model_and_never_worse_for_more_rounds(seed: int, models: int, rounds: int) -> None:
    draw = np.random.default_rng(seed)
    labels, predictions = draw.integers(0, 2, 20), draw.random((models, 20))
    errors = [rmse(counts @ predictions / counts.sum(), labels) for counts in (greedy(predictions, labels, n) for n in (rounds, rounds + 3))]
    assert errors[0] <= min(rmse(model, labels) for model in predictions) + 1e-12
    assert errors[1] <= errors[0] + 1e-12
