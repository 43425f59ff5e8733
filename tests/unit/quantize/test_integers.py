"""Weights as 8-bit integers: worked by hand, and beside PyTorch's own."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nncompress.quantize.integers import to_integers


def test_a_case_worked_by_hand() -> None:
    rounded, codes = to_integers(np.array([[-1.275, 0.0], [0.0249, 1.275]], np.float32))  # a scale of 0.01
    np.testing.assert_array_equal(codes, [[0, 128], [130, 255]])  # -127.5 to the even -128, 2.49 to 2, and 127.5 cut to 127
    np.testing.assert_allclose(rounded, [[-1.28, 0.0], [0.02, 1.27]], rtol=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(1e-4, 1e4))
def test_the_integers_are_those_of_pytorchs_dynamic_quantisation(seed: int, spread: float) -> None:
    weights = (spread * np.random.default_rng(seed).standard_normal((7, 11))).astype(np.float32)
    layer = nn.Linear(11, 7)
    layer.weight.data = torch.from_numpy(weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = torch.ao.quantization.quantize_dynamic(nn.Sequential(layer), {nn.Linear}, torch.qint8)[0].weight()
    rounded, codes = to_integers(weights)
    np.testing.assert_array_equal(codes.astype(int) - 128, theirs.int_repr().numpy())
    np.testing.assert_array_equal(rounded, theirs.dequantize().numpy())


def test_weights_that_are_all_zero_stay_so() -> None:
    rounded, codes = to_integers(np.zeros((2, 3), np.float32))
    assert not rounded.any() and (codes == 128).all()


def test_weights_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        to_integers(np.array([1.0, np.nan], np.float32))
