"""Seam one, the objective: what is minimised."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from nncompress.distill import cross_entropy

Batch = Mapping[str, Tensor]
"""`x` (B, C, H, W) scaled inputs, `y` (B,) class indices, and whatever else an objective asks for."""


class HardLabels(nn.Module):
    """Mean cross-entropy of the logits with the labels, in float32."""

    def forward(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        return {"loss": cross_entropy(net(batch["x"]).float(), batch["y"])}


class WithL1(nn.Module):
    """Another objective plus `factor` times the sum of the absolute weights; biases are not counted."""

    def __init__(self, objective: nn.Module, factor: float) -> None:
        super().__init__()
        self.objective, self.factor = objective, factor

    def forward(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.objective(net, batch)
        penalty = sum(weight.float().abs().sum() for name, weight in net.named_parameters() if name.endswith("weight"))
        return losses | {"loss": losses["loss"] + self.factor * penalty}


class System(nn.Module):
    """A net and its objective: one module from a batch to its losses, so that replicates of the whole can be stacked."""

    def __init__(self, net: nn.Module, objective: nn.Module) -> None:
        super().__init__()
        self.net, self.objective = net, objective

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.objective(self.net, batch)
        return losses
