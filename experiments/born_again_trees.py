"""Breiman & Shang 1996, "Born Again Trees" (technical report, UC Berkeley): one tree that represents an ensemble of trees.

Claim: a tree that is grown on manufactured cases, labelled by an ensemble (arced CART), errs less than CART on the same training cases, and
remains one tree that a person can read. The cases are made by smearing, anew for every node.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from experiments.born_again_trees_claims import CLAIMS, FIGURES, TABLES
from experiments.checking import refuse_empty, refuse_repeats
from nncompress.errors import UserError, suggestion
from nncompress.lab.row import Row, Value
from nncompress.lab.trees import ArcedCart, BornAgainCart, PrunedCart
from nncompress.types import STRICT, Count, Folds, Smearing, TableSplit

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("tables", "splits", "drawn", "drawn_split")
ALONG = ("p_alt",)
TEST_SHARE = 0.1
"""The only one: `OVERLAP`, by which the tables of paired differences correct p, is of it."""


@dataclass(frozen=True)
class Config:
    """`tables`: data sets. `splits`: random splits of each, seeds 0 and up. `trees`: of the ensemble. `cart_folds`: of the cross-validation
    that prunes CART. `readable_leaves`: most leaves of a small born-again tree. `drawn`, `drawn_split`: the data set and the split
    (the last, where there are fewer) whose trees are drawn."""

    __pydantic_config__ = STRICT
    tables: list[TableSplit]
    splits: Count
    trees: Count
    cart_folds: Folds
    smearing: Smearing
    readable_leaves: Count
    drawn: str
    drawn_split: Annotated[int, Field(ge=0)]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_empty(cfg, "tables", "smearing.rates")
    refuse_repeats(cfg, "smearing.rates")
    names = [table.name for table in cfg.tables]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise UserError(f"tables: {repeated[0]} is there twice; give each once")
    if cfg.drawn not in names:
        raise UserError(f"drawn = {cfg.drawn}: it is none of the tables{suggestion(cfg.drawn, names) or '; there are ' + ', '.join(names)}")
    for place, table in enumerate(cfg.tables):
        if table.test_share != TEST_SHARE:
            given = f"tables[{place}].test_share = {table.test_share:g}"
            raise UserError(f"{given}: the paired tests allow for the overlap of splits that hold out {TEST_SHARE:g}; give that")


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer splits; then only some of the data sets, those that are drawn to the last."""
    yield cfg
    while cfg.splits > 3:
        yield (cfg := replace(cfg, splits=max(3, cfg.splits * 3 // 4)))
    while len(cfg.tables) > 1:
        last = next(table for table in reversed(cfg.tables) if table.name != cfg.drawn)
        yield (cfg := replace(cfg, tables=[table for table in cfg.tables if table is not last]))


def rows(cfg: Config) -> Iterator[Row]:
    """Of every split of every table the ensemble, CART, and the ensemble born again as one tree."""
    for seed in range(cfg.splits):
        for table in cfg.tables:
            arced = ArcedCart(table, seed, cfg.trees)
            cart = PrunedCart(table, seed, cfg.cart_folds, arced)
            born_again = BornAgainCart(table, seed, arced, cfg.smearing, cfg.readable_leaves)
            drawn = (table.name, seed) == (cfg.drawn, min(cfg.drawn_split, cfg.splits - 1))
            here: dict[str, Value] = {"dataset": table.name, "seed": seed}
            yield Row(arced, {"arm": "arced_cart", **here})
            yield Row(cart, {"arm": "cart", **here}, keep_arrays=_drawn("tree") if drawn else ())
            yield Row(born_again, {"arm": "born_again_cart", **here}, keep_curves=True, keep_arrays=_drawn("small") if drawn else ())


def _drawn(prefix: str) -> tuple[str, ...]:
    """The arrays of a tree that its picture needs."""
    return ("words", *(f"{prefix}/{name}" for name in ("feature", "threshold", "left", "right", "answer", "share")))
