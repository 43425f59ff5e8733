"""What the report knows of an experiment: the words of its YAML file, and the declarations of its recipe. Imports no pandas."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

import yaml

from nncompress.errors import UserError
from nncompress.report.declare import Claim, Figure, Paired, Published, Table


@dataclass(frozen=True)
class Described:
    """An experiment as the report sees it: the words of its YAML file and the declarations of its recipe.

    `about`: `paper`, `shows`, `cost`, each a sentence. `deviations`: how it differs from the paper, a sentence each. `identity`: columns
    that tell the recipe's records apart beside those of all recipes.
    """

    name: str
    recipe: str
    scale: str = "paper"
    about: dict[str, str] = field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    tables: tuple[Table | Paired | Published, ...] = ()
    figures: tuple[Figure, ...] = ()
    identity: tuple[str, ...] = ()


def read_experiments(conf: Path) -> list[Described]:
    """Every experiment of `<conf>/experiment`, with the claims, tables and figures of its recipe `experiments.<recipe>`.

    Raises: UserError if a file is no YAML or its recipe cannot be found.
    """
    folder = conf / "experiment"
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in sorted(folder.rglob("*.yaml"))]
    return [_described(name, words) for name in names if "recipe" in (words := read_words(conf, name))]


def read_words(conf: Path, name: str) -> dict[str, Any]:
    """`recipe`, `scale`, `deviations` and `about` of the experiment `<conf>/experiment/<name>.yaml`, as far as they are given.

    What the file does not say is taken from the experiments that its `defaults:` name (`/experiment/a`, `/experiment: a`, or `a` beside the
    file), the last of them first; `about` entry by entry. Raises: UserError if a file is no YAML.
    """
    folder = conf / "experiment"
    try:
        own = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"conf/experiment/{name}.yaml is not valid YAML: {' '.join(str(error).split())}") from error
    words: dict[str, Any] = {}
    about: dict[str, Any] = {}
    for entry in own.get("defaults", []):
        option = "/".join(map(str, *entry.items())) if isinstance(entry, dict) else str(entry)  # `/experiment: a` is `/experiment/a`
        path = normpath(join("/experiment", dirname(name), re.sub(r"@[^/]*|^override ", "", option)))
        parent = path.removeprefix("/experiment/")
        if path != parent != name and (folder / f"{parent}.yaml").exists():
            words |= (inherited := read_words(conf, parent))
            about |= inherited["about"]
    words |= {word: own[word] for word in ("recipe", "scale", "deviations") if word in own}
    return {**words, "about": about | (own.get("about") or {})}


def _described(name: str, words: dict[str, Any]) -> Described:
    recipe = str(words["recipe"])
    try:
        module = importlib.import_module(f"experiments.{recipe}")
    except ModuleNotFoundError as error:
        raise UserError(
            f"conf/experiment/{name}.yaml names the recipe {recipe!r}, but importing experiments/{recipe}.py failed: {error}"
        ) from error
    declared = {word: tuple(getattr(module, word.upper(), ())) for word in ("claims", "tables", "figures", "identity")}
    about = {str(word): str(value).strip() for word, value in words["about"].items()}
    return Described(name, recipe, str(words.get("scale", "paper")), about, tuple(words.get("deviations") or ()), **declared)
