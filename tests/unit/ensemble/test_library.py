"""The library: what a grid spans, and that every kind answers with probabilities, the same every time."""

import numpy as np
import pytest

from nncompress.ensemble.library import KINDS, OPTIONS, Member, answers, mean_answers, megabytes, members, trained
from nncompress.errors import UserError

SMALL = {
    "neural_net": (3, 0.01, 3), "svm": ("rbf", 1.0, 1.0), "bagged_trees": (3, 1), "boosted_trees": (4, 3, 0.1), "boosted_stumps": (3, 0.1),
    "random_forest": (3, "sqrt", 1), "tree": (5,), "logistic_regression": (1.0,), "nearest_neighbours": (3, "uniform"), "naive_bayes": (0.01,),
}  # fmt: skip
DRAW = np.random.default_rng(0)
INPUTS = DRAW.random((80, 3)).astype(np.float32)
LABELS = (INPUTS[:, 0] > 0.5).astype(np.int64)


def member(kind: str) -> Member:
    return Member(kind, tuple(zip(OPTIONS[kind], SMALL[kind], strict=True)))


def test_a_grid_spans_every_combination() -> None:
    found = [str(each) for each in members({"tree": {"leaf": [1, 5]}, "bagged_trees": {"trees": [10], "leaf": [1, 2]}})]
    assert found == ["tree leaf=1", "tree leaf=5", "bagged_trees trees=10 leaf=1", "bagged_trees trees=10 leaf=2"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_learns_and_answers_the_same_every_time(kind: str) -> None:
    first, second = (answers(trained(member(kind), INPUTS, LABELS, seed=1), INPUTS) for _ in range(2))
    assert first.shape == (80,) and first.min() >= 0 and first.max() <= 1
    np.testing.assert_array_equal(first, second)
    if kind != "neural_net":  # which has had three epochs only
        assert ((first > 0.5) == LABELS).mean() > 0.8
    assert megabytes(trained(member(kind), INPUTS, LABELS, seed=1)) > 0


@pytest.mark.parametrize(
    ("kind", "option", "value", "words"),
    [
        ("neural_net", "units", 2.5, "library.neural_net.units = 2.5: must be a whole number ≥ 1"),
        ("neural_net", "units", "a", "library.neural_net.units = a: must be a whole number ≥ 1"),
        ("neural_net", "weight_decay", -1.0, "must be a number ≥ 0"),
        ("svm", "kernel", "cubic", "must be linear or poly or rbf or sigmoid"),
        ("svm", "width", "wide", "must be a number > 0"),
        ("svm", "cost", float("inf"), "must be a number > 0"),
        ("boosted_trees", "leaves", 1, "must be a whole number ≥ 2"),
        ("random_forest", "features", 1, "must be sqrt or a share with a decimal point, > 0 and ≤ 1.0"),
        ("nearest_neighbours", "weights", 3, "must be uniform or distance"),
        ("naive_bayes", "smoothing", float("nan"), "must be a number ≥ 0"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_one_line(kind: str, option: str, value: int | float | str, words: str) -> None:
    usual = {name: [setting] for name, setting in member(kind).options}
    assert list(members({kind: usual})) == [member(kind)]
    with pytest.raises(UserError) as caught:
        list(members({kind: usual | {option: [*usual[option], value]}}))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_models_answer_together_as_often_as_they_count() -> None:
    models = [trained(member(kind), INPUTS, LABELS, 0) for kind in ("tree", "naive_bayes")]
    expected = (2 * answers(models[0], INPUTS) + answers(models[1], INPUTS)) / 3
    np.testing.assert_allclose(mean_answers(models, [2, 1], INPUTS), expected)


def test_what_scikit_learn_refuses_is_one_line() -> None:
    with pytest.raises(UserError, match="library: svm kernel=cubic") as caught:
        trained(Member("svm", (("kernel", "cubic"), ("width", 1.0), ("cost", 1.0))), INPUTS, LABELS, 0)
    assert "\n" not in str(caught.value)


def test_a_net_is_as_large_as_its_weights_and_little_more() -> None:
    """200 inputs and 64 hidden units: 51.4 kB of float32 weights and, of the scaler, 4.8 kB of means, variances and scales; the moments of
    Adam and the copies of the weights would be another 150 kB."""
    inputs = np.random.default_rng(0).random((60, 200)).astype(np.float32)
    net = trained(Member("neural_net", (("units", 64), ("weight_decay", 0.01), ("epochs", 2))), inputs, LABELS[:60], 0)
    assert 0.0514 < megabytes(net) < 0.0514 + 0.015
