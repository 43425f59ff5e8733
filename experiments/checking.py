"""What recipes refuse alike: UserError, one line."""

from __future__ import annotations

from collections.abc import Collection
from operator import attrgetter
from typing import Any

from nncompress.errors import UserError, suggestion


def refuse_unknown_arms(cfg: Any, known: Collection[str]) -> None:
    """An arm in `cfg.arms` that the recipe does not have."""
    for arm in cfg.arms:
        if arm not in known:
            raise UserError(f"arms: there is no arm {arm!r}{suggestion(arm, known) or '; there are ' + ', '.join(known)}")


def refuse_repeats(cfg: Any, *keys: str) -> None:
    """A value that stands twice in one of the lists that `keys` name, dotted where they are further down."""
    for key in keys:
        values = list(attrgetter(key)(cfg))
        if repeated := [value for value in values if values.count(value) > 1]:
            raise UserError(f"{key} = {values}: {repeated[0]} is there twice; give each once")


def refuse_empty(cfg: Any, *keys: str) -> None:
    """An empty list under one of `keys`, dotted where they are further down."""
    for key in keys:
        if not attrgetter(key)(cfg):
            raise UserError(f"{key} is empty: give at least one")


def refuse_clashes(seeds: Collection[int], key: str, offset: int, times: int = 1) -> None:
    """An offset, given under `key`, that leads from one of the seeds to another when it is added up to so many times."""
    later = {seed + k * offset for seed in seeds for k in range(1, times + 1)}
    if clash := later & set(seeds):
        raise UserError(f"{key} = {offset} leads from one seed to another ({min(clash)}); choose a larger one")
