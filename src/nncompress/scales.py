"""The scales of a run: 'paper', 'quick', 'smoke', and '20min' for one that was shrunk to a budget."""

from __future__ import annotations

SCALES = ("paper", "quick", "smoke")
"""The scales of whole runs, the largest first. A run shrunk to a budget is smaller than each of them."""


def size(scale: str) -> tuple[int, float, str]:
    """What to compare scales by: the paper's is the largest, then quick, smoke and others; then budgets by their minutes; '' the smallest."""
    if scale in SCALES:
        return 3, -SCALES.index(scale), ""
    try:
        return 1, float(scale.removesuffix("min")), scale
    except ValueError:
        return 2 if scale else 0, 0.0, scale
