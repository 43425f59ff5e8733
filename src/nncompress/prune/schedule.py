"""How much is pruned when."""

from __future__ import annotations


def surviving_share(fraction: float, rounds: int) -> float:
    """Share of weights left after `rounds` rounds that each remove `fraction` of the survivors: (1 - fraction) ** rounds."""
    return (1 - fraction) ** rounds


def one_shot_fraction(fraction: float, rounds: int) -> float:
    """The fraction to remove at once so that as many weights survive as after `rounds` iterative rounds."""
    return fraction if rounds == 1 else 1 - surviving_share(fraction, rounds)  # exactly the iterative one's, for the two are one training
