"""The distillation losses against the papers' equations, and small cases worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor
from torch.nn import functional

from nncompress.distill import Distill, cross_entropy, kd_loss, mimic_loss, probability_loss
from nncompress.types import Distillation

STUDENT = torch.tensor([[1.0, 0.0, -1.0], [0.0, math.log(3), 0.0]], dtype=torch.float64)
TEACHER = torch.tensor([[math.log(2), 0.0, 0.0], [2.0, 2.0, 2.0]], dtype=torch.float64)
logits = arrays("float64", (4, 5), elements=st.floats(-8, 8)).map(torch.from_numpy)


def gradient(loss: Callable[[Tensor], Tensor], student: Tensor) -> Tensor:
    student = student.clone().requires_grad_()
    [found] = torch.autograd.grad(loss(student), student)
    return found


def test_kd_loss_of_two_examples_worked_by_hand() -> None:
    """T = 1. First: targets (2, 1, 1) / 4, log-probabilities (1, 0, -1) - log(e + 1 + 1/e). Second: targets 1/3, probabilities 1:3:1."""
    first = math.log(math.e + 1 + 1 / math.e) - (2 * 1 + 1 * 0 + 1 * -1) / 4
    second = (2 * math.log(5) + math.log(5 / 3)) / 3
    assert kd_loss(STUDENT, TEACHER, 1.0).item() == pytest.approx((first + second) / 2, rel=1e-12)


def test_mimic_losses_worked_by_hand() -> None:
    student, teacher = torch.tensor([[3.0, 1.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert mimic_loss(student, teacher).item() == pytest.approx((4 + 1 + 0 + 4) / 2 / 2)
    student, teacher = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[0.0, 0.0]])  # probabilities (1/4, 3/4) and (1/2, 1/2)
    assert probability_loss(student, teacher).item() == pytest.approx((1 / 16 + 1 / 16) / 2)


def test_cross_entropy_is_torchs() -> None:
    labels = torch.tensor([2, 0])
    assert torch.equal(cross_entropy(STUDENT, labels), functional.cross_entropy(STUDENT, labels))


@given(student=logits, teacher=logits, temperature=st.sampled_from([0.5, 1.0, 2.5, 20.0]))
def test_the_gradient_of_kd_is_t_times_the_difference_of_soft_targets(student: Tensor, teacher: Tensor, temperature: float) -> None:
    """Hinton et al. 2015, eq. 2, times T^2, over the batch size."""
    expected = temperature * ((student / temperature).softmax(-1) - (teacher / temperature).softmax(-1)) / len(student)
    torch.testing.assert_close(gradient(lambda z: kd_loss(z, teacher, temperature), student), expected, rtol=1e-9, atol=1e-12)


@given(student=logits, teacher=logits)
def test_at_high_temperature_kd_becomes_logit_regression(student: Tensor, teacher: Tensor) -> None:
    """Hinton et al. 2015, eq. 4: with logits of zero mean the gradient tends to (z - v) / N, that of `mimic_loss` over N classes."""
    student, teacher = student - student.mean(-1, keepdim=True), teacher - teacher.mean(-1, keepdim=True)
    soft = gradient(lambda z: kd_loss(z, teacher, 1e5), student)
    regression = gradient(lambda z: mimic_loss(z, teacher), student) / student.shape[-1]
    torch.testing.assert_close(soft, regression, rtol=0, atol=1e-3)


@given(teacher=logits, student=logits, temperature=st.sampled_from([1.0, 4.0]))
def test_no_student_does_better_than_the_teacher_itself(teacher: Tensor, student: Tensor, temperature: float) -> None:
    for loss in (lambda z, v: kd_loss(z, v, temperature), mimic_loss, probability_loss):
        assert loss(student, teacher) >= loss(teacher, teacher) - 1e-9
        assert gradient(lambda z, loss=loss: loss(z, teacher), teacher).abs().max() < 1e-9  # type: ignore[misc]


@pytest.mark.parametrize("offset", [-10.0, 10.0])
def test_only_logit_regression_sees_the_scale_that_softmax_hides(offset: float) -> None:
    """Ba & Caruana 2014, sec. 2.1: logits (10, 20, 30) and (-10, 0, 10) have the same probabilities."""
    student, teacher = torch.tensor([[10.0, 20.0, 30.0]]), torch.tensor([[10.0, 20.0, 30.0]]) + offset
    assert probability_loss(student, teacher) == 0
    assert mimic_loss(student, teacher).item() == pytest.approx(150.0)


@pytest.mark.parametrize("loss", [lambda z: kd_loss(z, TEACHER, 3.0), lambda z: mimic_loss(z, TEACHER), lambda z: probability_loss(z, TEACHER)])
def test_gradients_are_those_of_finite_differences(loss: Callable[[Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(loss, STUDENT.clone().requires_grad_())


@pytest.mark.parametrize("temperature", [0.0, -2.0])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match=f"temperature = {temperature} must be above 0"):
        kd_loss(STUDENT, TEACHER, temperature)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_objective_is_the_weighted_mean_of_both_losses(weight: float) -> None:
    net, labels = torch.nn.Identity(), torch.tensor([2, 0])
    student, teacher = STUDENT.float(), TEACHER.float()
    found = Distill(Distillation(temperature=4.0, hard_weight=weight))(net, {"x": student, "y": labels, "teacher_logits": teacher})
    expected = (1 - weight) * kd_loss(student, teacher, 4.0) + weight * cross_entropy(student, labels)
    torch.testing.assert_close(found["loss"], expected)


def test_without_hard_labels_none_are_needed() -> None:
    objective = Distill(Distillation(match="logits"))
    assert objective(torch.nn.Identity(), {"x": STUDENT, "teacher_logits": TEACHER})["loss"] > 0
