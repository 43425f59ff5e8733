"""The search for what Breiman & Shang 1996 do not print: how many cases are manufactured for each node of a born-again tree.

Trees are told apart by cross-validation on training cases, as the rates p_alt are: no table or figure here is of the test side of a split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments import born_again_trees
from experiments.born_again_trees_search_claims import CLAIMS, FIGURES, TABLES
from experiments.checking import refuse_empty, refuse_repeats
from nncompress.lab.row import Row
from nncompress.lab.trees import SmearingErrors
from nncompress.types import STRICT, Count

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("tables", "splits", "per_node")
IDENTITY = ("per_node",)
ALONG = ("p_alt",)


@dataclass(frozen=True)
class Config(born_again_trees.Config):
    """That of born_again_trees, with every one of `per_node` in the place of `smearing.per_node`."""

    __pydantic_config__ = STRICT
    per_node: list[Count]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    born_again_trees.check(cfg)
    refuse_empty(cfg, "per_node")
    refuse_repeats(cfg, "per_node")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer splits, then without the largest numbers."""
    yield cfg
    while cfg.splits > 1:
        yield (cfg := replace(cfg, splits=cfg.splits // 2))
    while len(cfg.per_node) > 1:
        yield (cfg := replace(cfg, per_node=sorted(cfg.per_node)[:-1]))


def rows(cfg: Config) -> Iterator[Row]:
    """The errors of every split of every table with each number of cases."""
    for seed in range(cfg.splits):
        for table in cfg.tables:
            for per_node in sorted(cfg.per_node):
                errors = SmearingErrors(table, seed, cfg.trees, replace(cfg.smearing, per_node=per_node))
                yield Row(errors, {"arm": "born_again_cart", "dataset": table.name, "per_node": per_node, "seed": seed}, keep_curves=True)
