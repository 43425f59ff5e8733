"""Soft weight sharing as a public course repository (okz12) has it, on LeNet-300-100: what its page says, and what its stored logs say.

Claim of the page: 98.2 % accuracy become 96.9 % at a sparsity of 98.0 %. Its logs have 96.89 % before pruning, and 96.27 % after it at 95.89 %.
The repository's mistakes are not ported: its normaliser, squared mixing proportions, mixing logits that start without a logarithm, the span of
an index.
"""

from __future__ import annotations

from experiments.soft_weight_sharing import IDENTITY, SELECTS, Config, check, rows, smaller
from experiments.soft_weight_sharing_okz12_claims import CLAIMS, FIGURES, TABLES

__all__ = ["CLAIMS", "FIGURES", "IDENTITY", "SELECTS", "TABLES", "Config", "check", "rows", "smaller"]
