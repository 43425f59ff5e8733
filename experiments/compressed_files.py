"""What the recipes of compressed files say alike of their records, and how they are made smaller. Imports neither pandas nor torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Statistic: TypeAlias = "Callable[[DataFrame], Series]"
Recipe = TypeVar("Recipe", bound=Any)
TRADED_OFF = ("lenet_300_100", "mlp")
"""Nets whose accuracy the experiments draw against bits and against size; the papers have AlexNet's."""


def of(arm: str, metric: str) -> Statistic:
    """The arm's metric by seed."""

    def statistic(records: DataFrame) -> Series:
        rows = records[records["arm"] == arm]
        return rows.groupby("seed")[metric].mean() if metric in rows else rows.groupby("seed")["test_accuracy"].mean().iloc[:0]

    return statistic


def error_over_reference(arm: str) -> Statistic:
    """Test error of the arm's file minus that of its seed's dense net."""
    return lambda records: of("reference", "test_accuracy")(records) - of(arm, "test_accuracy")(records)


def with_error(records: DataFrame) -> DataFrame:
    """The records with `test_error`, and `error_over_reference`, by how much it exceeds that of the seed's dense net."""
    found = records.assign(test_error=1 - records["test_accuracy"])
    reference = found[found["arm"] == "reference"].groupby("seed")["test_error"].mean()
    return found.assign(error_over_reference=found["test_error"] - found["seed"].map(reference))


def fewer_arms_then_seeds(cfg: Recipe, arms: int) -> Iterator[Recipe]:
    """`cfg` and ever cheaper parts of it: its first arms, down to so many, then its first seeds, down to three."""
    yield cfg
    while len(cfg.arms) > arms:
        yield (cfg := replace(cfg, arms=cfg.arms[:-1]))
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1], control_seeds=[s for s in cfg.control_seeds if s in cfg.seeds[:-1]]))
