"""The limit of high temperature, against autograd and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nncompress.distill import kd_loss
from nncompress.distill.limit import distance_to_the_limit, regression_gradient, soft_gradient

GENERATOR = np.random.default_rng(0)
STUDENT, TEACHER = GENERATOR.normal(1, 4, (20, 10)), GENERATOR.normal(-2, 6, (20, 10))


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_the_soft_gradient_is_that_of_the_loss(temperature: float) -> None:
    z = torch.from_numpy(STUDENT).requires_grad_()
    [gradient] = torch.autograd.grad(kd_loss(z, torch.from_numpy(TEACHER), temperature) * len(STUDENT), z)
    np.testing.assert_allclose(soft_gradient(STUDENT, TEACHER, temperature), gradient.numpy(), atol=1e-12)


def test_the_regression_gradient_by_hand() -> None:
    """z - v = (3, 0, 0), less its mean (2, -1, -1), over three classes."""
    assert regression_gradient(np.array([[4.0, 1.0, 1.0]]), np.array([[1.0, 1.0, 1.0]])).tolist() == [pytest.approx([2 / 3, -1 / 3, -1 / 3])]


def test_the_gradients_come_together_as_the_temperature_rises() -> None:
    distances, cosines = zip(*(distance_to_the_limit(STUDENT, TEACHER, t) for t in (1, 5, 20, 100, 10_000)), strict=True)
    assert list(distances) == sorted(distances, reverse=True) and distances[-1] < 1e-3
    assert list(cosines) == sorted(cosines) and cosines[-1] == pytest.approx(1, abs=1e-6)
