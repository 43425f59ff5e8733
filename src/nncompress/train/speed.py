"""How fast a net answers on a CPU in the forms that a deployed one may have, and how many bytes each takes."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, relu

from nncompress.errors import UserError
from nncompress.models import parameter_shapes
from nncompress.types import Model, Weights

Form = Literal["dense", "csr", "int8"]
"""As in `lab.neurons`, which imports no torch."""
CALL_SECONDS = 2e-3


class Deployed:
    """A fully connected net ready to answer: `answer` maps images laid flat (B, inputs) to logits (B, classes); `bytes` of its arrays.

    Raises: UserError for a net that has other layers than fully connected ones.
    """

    def __init__(self, model: Model, weights: Weights, form: Form) -> None:
        if any(len(shape) > 2 for shape in parameter_shapes(model).values()):
            raise UserError(f"model {model.name}: only the speed of fully connected nets is measured here; use mlp or lenet_300_100")
        names = [name.removesuffix(".weight") for name in parameter_shapes(model) if name.endswith(".weight")]
        matrices = [torch.from_numpy(np.array(weights[f"{name}.weight"], np.float32)) for name in names]
        biases = [torch.from_numpy(np.array(weights[f"{name}.bias"], np.float32)) for name in names]
        apply: Callable[[Tensor, Tensor, Tensor], Tensor] = linear
        if form == "csr":
            matrices = [_compressed(matrix) for matrix in matrices]
            apply = _sparse_linear
        self.bytes = sum(_bytes(tensor) for tensor in (*matrices, *biases))
        self.answer: Callable[[Tensor], Tensor] = lambda x: _forward(x, matrices, biases, apply)
        if form == "int8":
            self.answer = _quantised(matrices, biases)
            self.bytes = sum(matrix.numel() + 8 for matrix in matrices) + sum(_bytes(bias) for bias in biases)  # a scale and a zero point each


def median_seconds(nets: Mapping[str, Deployed], batch: int, inputs: int, rounds: int) -> dict[str, float]:
    """Median seconds of the processor that each net takes to answer a batch, measured in turn, `rounds` times, by one thread: on a busy machine
    seconds of the clock would be those of whatever else runs."""
    x = torch.rand(batch, inputs, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            calls = {name: max(1, round(CALL_SECONDS / _seconds(net, x, 3))) for name, net in nets.items()}
            found: dict[str, list[float]] = {name: [] for name in nets}
            for _ in range(rounds):
                for name, net in nets.items():
                    found[name].append(_seconds(net, x, calls[name]))
    finally:
        torch.set_num_threads(threads)
    return {name: float(np.median(seconds)) for name, seconds in found.items()}


def _seconds(net: Deployed, x: Tensor, calls: int) -> float:
    """Of one call, the mean of several; one before them is not counted, since what was answered before has filled the caches."""
    net.answer(x)
    began = time.process_time()
    for _ in range(calls):
        net.answer(x)
    return (time.process_time() - began) / calls


def _forward(x: Tensor, matrices: list[Tensor], biases: list[Tensor], apply: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    for matrix, bias in zip(matrices[:-1], biases[:-1], strict=True):
        x = relu(apply(x, matrix, bias))
    return apply(x, matrices[-1], biases[-1])


def _compressed(matrix: Tensor) -> Tensor:
    with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants(True):
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        sparse = matrix.to_sparse_csr()
        rows, columns = sparse.crow_indices().int(), sparse.col_indices().int()
        return torch.sparse_csr_tensor(rows, columns, sparse.values(), matrix.shape)


def _sparse_linear(x: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    return (matrix @ x.T).T + bias


def _bytes(tensor: Tensor) -> int:
    if tensor.layout == torch.sparse_csr:
        return sum(_bytes(part) for part in (tensor.values(), tensor.crow_indices(), tensor.col_indices()))
    return tensor.numel() * tensor.element_size()


def _quantised(matrices: list[Tensor], biases: list[Tensor]) -> Callable[[Tensor], Tensor]:
    layers: list[nn.Module] = []
    for matrix, bias in zip(matrices, biases, strict=True):
        layer = nn.Linear(matrix.shape[1], matrix.shape[0])
        layer.weight.data, layer.bias.data = matrix, bias
        layers += [layer, nn.ReLU()]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.ao.quantization is deprecated", category=DeprecationWarning)
        quantised: nn.Module = torch.ao.quantization.quantize_dynamic(nn.Sequential(*layers[:-1]).eval(), {nn.Linear}, torch.qint8)
    return quantised
