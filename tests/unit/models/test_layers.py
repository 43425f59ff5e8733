"""Layers compute what torch's own compute, in the dtype of their weights."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap

from nncompress.models.layers import Conv2d, Dropout, Linear


def copies(layer, reference):
    layer.load_state_dict(reference.state_dict())
    return layer


def test_linear_and_its_gradients_are_those_of_torch():
    torch.manual_seed(0)
    reference = nn.Linear(5, 3)
    layer, x = copies(Linear(5, 3), reference), torch.randn(7, 5)
    expected, ours = reference(x), layer(x)
    torch.testing.assert_close(ours, expected)
    expected.square().sum().backward()
    ours.square().sum().backward()
    for mine, theirs in zip(layer.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_stacked_linear_layers_have_contiguous_weight_gradients():
    layer, x = Linear(5, 3), torch.randn(2, 7, 5)
    stacked = {"weight": torch.randn(2, 3, 5, requires_grad=True), "bias": torch.zeros(2, 3, requires_grad=True)}
    vmap(lambda parameters, batch: functional_call(layer, parameters, (batch,)))(stacked, x).square().sum().backward()
    assert stacked["weight"].grad.is_contiguous() and stacked["weight"].grad.shape == (2, 3, 5)


@pytest.mark.parametrize(("layer", "shape"), [(Linear(5, 3), (2, 5)), (Conv2d(2, 3, 3), (2, 2, 5, 5))])
def test_a_layer_computes_in_the_dtype_of_its_weights(layer, shape):
    assert layer(torch.zeros(shape, dtype=torch.bfloat16)).dtype == torch.float32
    assert layer.bfloat16()(torch.zeros(shape)).dtype == torch.bfloat16


def test_dropout_keeps_what_it_is_told_and_nothing_is_dropped_in_evaluation():
    dropout, x = Dropout(0.5, 3), torch.ones(2, 3, dtype=torch.bfloat16)
    assert torch.equal(dropout(x), x)
    keep = torch.tensor([[0.0, 2.0, 0.0], [2.0, 0.0, 2.0]])
    dropped = functional_call(dropout, {"keep": keep}, (x,))
    assert dropped.dtype == torch.bfloat16 and torch.equal(dropped.float(), keep)
    assert not dropout.state_dict()
