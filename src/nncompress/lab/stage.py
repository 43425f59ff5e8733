"""A stage: a frozen description of one piece of work, known by the content of its description.

Stages name what they start from by holding it, so a recipe's stages form a graph that is known before anything is trained: it can be
planned, timed, trained in parallel and looked up in the store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np


@dataclass
class Artifact:
    """What a stage yields: named arrays (`weights/*`, `mask/*`, `codes/*` of shared weights, `mixture/*`, `curve/*`) and plain numbers."""

    arrays: dict[str, np.ndarray]
    metrics: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    def group(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays under `prefix/`, by the rest of their name."""
        start = f"{prefix}/"
        return {name[len(start) :]: array for name, array in self.arrays.items() if name.startswith(start)}

    @property
    def weights(self) -> dict[str, np.ndarray]:
        return self.group("weights")

    @property
    def masks(self) -> dict[str, np.ndarray]:
        return self.group("mask")

    @property
    def codes(self) -> dict[str, np.ndarray]:
        return self.group("codes")

    @property
    def mixture(self) -> dict[str, np.ndarray]:
        return self.group("mixture")

    @property
    def curves(self) -> dict[str, np.ndarray]:
        return self.group("curve")


@dataclass(frozen=True, eq=False)
class Stage:
    """Base of all stages. Two stages are equal when their keys are.

    `version` is raised by hand when what the stage computes changes. `stored`: False for work so cheap that it is done again instead.
    """

    version: ClassVar[int] = 1
    stored: ClassVar[bool] = True

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical description: class, version, every field that is not at its default; upstream stages by their keys."""
        return hashlib.sha256(json.dumps(describe(self), sort_keys=True).encode()).hexdigest()[:32]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def upstream(self) -> tuple[Stage, ...]:
        """The stages this one starts from: fields that hold one, or a tuple of them."""
        values = (getattr(self, f.name) for f in fields(self))
        return tuple(stage for value in values for stage in (value if isinstance(value, tuple) else (value,)) if isinstance(stage, Stage))

    def compute(self, given: Mapping[Stage, Artifact], lab: Any) -> Artifact:
        """Do the work. `given` holds the artifacts of `upstream`."""
        raise NotImplementedError(type(self).__name__)


def describe(stage: Stage) -> dict[str, Any]:
    """The description that the key hashes, as plain JSON values. A field at its default is left out, so that new fields orphan no results."""
    return {"stage": type(stage).__name__, "version": stage.version, **_non_defaults(stage)}


def _non_defaults(value: Any) -> dict[str, Any]:
    found = {}
    for f in fields(value):
        content = getattr(value, f.name)
        if f.default is not MISSING and content == f.default:
            continue
        found[f.name] = _plain(content)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Stage):
        return {"key": value.key}
    if is_dataclass(value):
        return _non_defaults(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(content) for name, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(content) for content in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a stage holds plain values and stages only, not {type(value).__name__}: {value!r}")


def ancestors(stages: list[Stage]) -> list[Stage]:
    """Every stage that `stages` need, themselves included, each once, upstream first."""
    order: dict[Stage, None] = {}
    pending: list[tuple[Stage, Iterator[Stage]]] = []
    for root in stages:
        if root in order:
            continue
        pending.append((root, iter(root.upstream)))
        while pending:
            stage, rest = pending[-1]
            following = next((s for s in rest if s not in order), None)
            if following is None:
                order[stage] = None
                pending.pop()
            else:
                pending.append((following, iter(following.upstream)))
    return list(order)
