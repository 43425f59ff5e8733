"""From words on a command line to checked values: the list of experiments, composed configurations, and refusals of one line each.

Imports no torch, so that a mistake is answered at once.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from nncompress.errors import UserError, suggestion
from nncompress.lab.lab import Settings
from nncompress.report.experiments import read_words
from nncompress.types import Positive

COMMON = ("lab", "trainer", "logger", "plan", "minutes", "hparams_search", "hydra")
"""Keys of conf/config.yaml: how an experiment is run."""
LOWER_IS_BETTER = ("_loss", "_error", "_errors", "_rmse")
"""How the names of metrics end that no search should maximise."""
ABOUT = ("about", "recipe", "scale", "deviations", "optimized")
"""Keys by which an experiment describes itself. All other keys are its recipe's Config."""
WHERE = (
    *("accelerator", "strategy", "devices", "num_nodes", "sync_batchnorm", "plugins"),
    *("profiler", "detect_anomaly", "deterministic", "benchmark"),
)
"""Options of Lightning's Trainer that say where and how to compute. Any other could change a result that is stored under the same key."""
PLUGINS = {
    "hydra/launcher/joblib": "hydra-joblib-launcher",
    "hydra/launcher/submitit": "hydra-submitit-launcher",
    "hydra/sweeper/optuna": "hydra-optuna-sweeper",
}


@dataclass(frozen=True)
class Request:
    """One experiment as a command line asks for it, every value checked.

    `variant`: the recipe's keys that differ from the experiment as written, 'training.learning_rate=0.01'; empty if none. Keys that only
    choose among the rows (the recipe's SELECTS: seeds, rounds, arms) are not counted: `part` says whether any of them differs.
    `optimized`: arm and metric that a search maximises, if the experiment names them.
    """

    name: str
    recipe: ModuleType
    config: Any
    settings: Settings
    scale: str
    about: dict[str, str]
    deviations: list[str]
    variant: str
    part: bool
    optimized: dict[str, str] | None
    logger: dict[str, Any]
    plan: bool
    minutes: float | None
    values: Mapping[str, Any]
    """The composed configuration as plain values."""


# -- what there is -------------------------------------------------------------------------------------------------------------------------


def experiments(conf: Path) -> dict[str, dict[str, Any]]:
    """Name -> `scale` and `about` (paper, shows, cost) of every experiment under `conf`, the scales of one experiment together."""
    folder = conf / "experiment"
    files = sorted(folder.rglob("*.yaml"), key=lambda file: (file.stem, len(file.relative_to(folder).parts), str(file)))
    found = {}
    for file in files:
        name = file.relative_to(folder).with_suffix("").as_posix()
        words = read_words(conf, name)
        found[name] = {"scale": words.get("scale", "paper"), "about": words["about"]}
    return found


def listing(conf: Path) -> str:
    """The experiments as a text for people, the scales of one experiment together."""
    known = experiments(conf)
    width = max(len(name) for name in known) + len("experiment=")
    lines = ["Experiments. Run one with: python run.py experiment=NAME [key=value ...]    (more: python run.py --help)"]
    last = None
    for name, description in known.items():
        stem, about = name.rpartition("/")[2], description["about"]
        if stem != last:
            lines += ["", about.get("paper", stem), f"  {about.get('shows', '')}"]
            last = stem
        lines.append(f"  {description['scale']:<6} {'experiment=' + name:<{width}}  {about.get('cost', '')}".rstrip())
    return "\n".join(lines)


# -- what is asked for ---------------------------------------------------------------------------------------------------------------------


def normalized(arguments: Sequence[str]) -> list[str]:
    """The arguments with `trainer.x=` as Hydra's 'add or change', since Lightning's options are not listed in conf/."""
    return [f"++{word}" if word.startswith("trainer.") and "=" in word else word for word in arguments]


def check(conf: Path, overrides: Sequence[str], multirun: bool) -> None:
    """Refuse a command line before anything is started: every override must name a key and every value be one that the recipe takes.

    Of a sweep, each value is checked with the first values of the other keys. Values drawn by a search are checked as they come.

    Raises: UserError with one line.
    """
    with _composing(conf):
        parsed = _parsed(overrides)
        groups = _checked_keys(conf, parsed)
        composed = compose("config", [*groups, *(_text(o) for o in parsed if o.key_or_group.startswith("hydra."))], return_hydra_config=True)
        multirun = multirun or composed.hydra.mode == RunMode.MULTIRUN
        if not multirun and (several := [o for o in parsed if o.is_sweep_override()]):
            raise UserError(f"{_text(several[0])} holds several values: add -m to run each, or write [a,b] for a list")
        given = {o.key_or_group for o in parsed}
        searched = _parsed([f"{key}={value}" for key, value in (OmegaConf.select(composed, "hydra.sweeper.params") or {}).items()])
        if searched:
            parsed += [o for o in searched if o.key_or_group not in given]
            _checked_keys(conf, parsed)
    fixed = [_text(o) for o in parsed if not o.is_sweep_override()]
    swept = [[f"{o.key_or_group}={value}" for value in values] for o in parsed if o.is_sweep_override() and (values := _sweep_values(o))]
    first = [choices[0] for choices in swept]
    request(conf, [*fixed, *first])
    for place, choices in enumerate(swept):
        for choice in choices[1:]:
            request(conf, [*fixed, *first[:place], choice, *first[place + 1 :]])


def request(conf: Path, overrides: Sequence[str]) -> Request:
    """The experiment that the overrides ask for, checked.

    Raises: UserError with one line that names the value and the mend.
    """
    with _composing(conf):
        parsed = _parsed(overrides)
        _checked_keys(conf, parsed)
        name = next(str(o.value()) for o in reversed(parsed) if o.key_or_group == "experiment")
        written = _composed(conf, f"experiment={name}")
        values = _composed(conf, *(_text(o) for o in parsed))

    description = validated(Description, {key: value for key, value in values.items() if key in ABOUT})
    if description.optimized is not None and "validation" not in description.optimized["metric"]:
        raise UserError(
            f"optimized.metric = {description.optimized['metric']}: a search may not look at the test split; name a metric of the validation "
            "split, such as validation_accuracy"
        )
    if description.optimized is not None and description.optimized["metric"].endswith(LOWER_IS_BETTER):
        raise UserError(
            f"optimized.metric = {description.optimized['metric']}: a search maximises it, and lower is better; name a metric of which more is "
            "better, such as validation_accuracy"
        )
    if refused := [option for option in values["trainer"] if option not in WHERE]:
        raise UserError(f"trainer.{refused[0]} would change more than where to compute; of Lightning's options there are {', '.join(WHERE)}")
    try:
        recipe = importlib.import_module(f"experiments.{description.recipe}")
    except ModuleNotFoundError as error:
        if error.name != f"experiments.{description.recipe}":
            raise
        raise UserError(f"recipe = {description.recipe}: there is no experiments/{description.recipe}.py") from error
    config = validated(recipe.Config, recipe_keys(values))
    settings = validated(Settings, {**values["lab"], "trainer": values["trainer"]}, "lab")
    options = validated(Options, {"plan": values["plan"], "minutes": values["minutes"]})
    selects = getattr(recipe, "SELECTS", ())
    if hasattr(recipe, "check"):
        try:
            recipe.check(config)
        except ValueError as error:
            raise UserError(str(error)) from error
    _check_writable("lab.results", settings.results)
    _check_writable("lab.store", settings.store)
    return Request(
        name=name,
        recipe=recipe,
        config=config,
        settings=settings,
        scale=description.scale,
        about=description.about,
        deviations=description.deviations,
        variant=variant(*(_without(recipe_keys(each), selects) for each in (written, values))),
        part=any(written.get(key) != values.get(key) for key in selects),
        optimized=description.optimized,
        logger=values["logger"],
        plan=options.plan,
        minutes=options.minutes,
        values=values,
    )


def lab_settings(conf: Path, overrides: Sequence[str]) -> Settings:
    """The lab's settings alone, for commands that run no experiment. `overrides`: 'lab.results=elsewhere' and the like."""
    base = OmegaConf.load(conf / "config.yaml")
    assert isinstance(base, DictConfig)
    known = paths({"lab": OmegaConf.to_container(base["lab"])})
    for word in overrides:
        key = word.partition("=")[0]
        if key not in known:
            raise UserError(f"unknown key {key!r}{suggestion(key, known)}")
    lab = OmegaConf.merge(OmegaConf.create({"lab": base["lab"]}), OmegaConf.from_dotlist(list(overrides)))
    values = OmegaConf.to_container(lab, resolve=True)
    assert isinstance(values, dict)
    return validated(Settings, values["lab"], "lab")


@dataclass(frozen=True)
class Description:
    """What an experiment's YAML says of itself. `about`: `paper`, `shows`, `cost`, a sentence each; `optimized`: `arm` and `metric`."""

    recipe: str
    scale: str
    about: dict[str, str]
    deviations: list[str]
    optimized: dict[str, str] | None = None


@dataclass(frozen=True)
class Options:
    plan: bool
    minutes: Positive | None


# -- pieces --------------------------------------------------------------------------------------------------------------------------------


def recipe_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that is the recipe's Config."""
    return {key: value for key, value in values.items() if key not in COMMON and key not in ABOUT}


def _without(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in names}


def variant(written: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The keys that differ from the experiment as written, sorted: 'training.batch_size=30 training.learning_rate=0.01'."""
    before, after = dict(_leaves(written)), dict(_leaves(asked))
    changed = [f"{key}={_shown(value)}" for key, value in sorted(after.items()) if key not in before or before[key] != value]
    return " ".join(changed + [f"~{key}" for key in sorted(before.keys() - after.keys())])


def paths(values: Mapping[str, Any], above: str = "") -> list[str]:
    """The dotted name of every key, inner ones included."""
    found = []
    for key, value in values.items():
        found.append(f"{above}{key}")
        if isinstance(value, Mapping):
            found += paths(value, f"{above}{key}.")
    return found


def validated(kind: type, values: Mapping[str, Any], above: str = "") -> Any:
    """A `kind` (dataclass) of the values, checked by pydantic.

    Raises: UserError such as 'training.steps = -5: must be ≥ 1'.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as refusal:
        raise UserError("; ".join(_complaint(error, above, kind) for error in refusal.errors())) from None


def _complaint(error: Any, above: str, kind: type) -> str:
    kept = [part for part in error["loc"] if not (isinstance(part, str) and part.startswith(("function-", "constrained-")))]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in ([above] if above else []) + list(kept)).lstrip(".")
    bounds = error.get("ctx", {})
    must = {
        "greater_than": "must be > {gt:g}",
        "greater_than_equal": "must be ≥ {ge:g}",
        "less_than": "must be < {lt:g}",
        "less_than_equal": "must be ≤ {le:g}",
        "literal_error": "must be {expected}",
        "int_type": "must be a whole number",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_type": "must be a number",
        "float_parsing": "must be a number",
        "finite_number": "must be finite",
        "bool_type": "must be true or false",
        "bool_parsing": "must be true or false",
        "string_type": "must be a word",
        "list_type": "must be a list, [a,b]",
        "tuple_type": "must be a list, [a,b]",
        "dict_type": "must map names to values, {{a: 1}}",
        "dataclass_type": "must hold its own keys, {{a: 1}}",
    }.get(error["type"])
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"unknown key {where!r}{suggestion(where, list(getattr(kind, '__dataclass_fields__', {})))}"
    if error["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{where} is missing: give it in the experiment's YAML file or as {where}=VALUE"
    return f"{where} = {_shown(error['input'])}: {must.format(**bounds) if must else error['msg']}"


def _check_writable(key: str, folder: Path) -> None:
    """Refuse a folder that could not be made or written; makes nothing."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        why = "cannot be written" if nearest.is_dir() else "is no folder"
        raise UserError(f"{key} = {folder}: {nearest} {why}; choose another folder with {key}=FOLDER")


@contextmanager
def _composing(conf: Path) -> Iterator[None]:
    """Hydra's compose API over `conf`, also inside a job that Hydra runs; its complaints as UserErrors of one line."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf.resolve()), job_name="run", version_base="1.3"):
            yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(one_line(error)) from error
    finally:
        GlobalHydra.instance().hydra = outer


def one_line(error: Exception) -> str:
    """What Hydra or OmegaConf complains of, in one line, with the package to install when a plugin is missing."""
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    missing = getattr(error, "missing_cfg_file", None) or ""
    for start, package in PLUGINS.items():
        if str(missing).startswith(start):
            return f"{missing.replace('launcher/', 'launcher=').replace('sweeper/', 'sweeper=')} needs a package: pip install {package}"
    return text.partition(" Config search path:")[0]


@cache
def _composed(conf: Path, *overrides: str) -> Mapping[str, Any]:
    """The configuration as plain values. Call it within `_composing(conf)`."""
    values = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def _parsed(overrides: Sequence[str]) -> list[Override]:
    parser = OverridesParser.create()
    found = []
    for word in overrides:
        try:
            found += parser.parse_overrides([word])
        except HydraException as error:
            raise UserError(f"cannot read {word!r}: write key=value, the value in quotes if it holds signs") from error
    return found


def _text(override: Override) -> str:
    assert override.input_line is not None
    return override.input_line


def _sweep_values(override: Override) -> list[str]:
    """The values of a sweep; none for an interval, which only a search can draw from."""
    return [] if override.is_interval_sweep() else list(override.sweep_string_iterator())


def _checked_keys(conf: Path, parsed: Sequence[Override]) -> list[str]:
    """Refuse a choice that a group does not have, and a key that the configuration does not have unless added on purpose, with + or ++.

    Returns: the choices of groups, 'experiment=quick/lottery_ticket'; of a sweep the first.
    """
    groups = []
    for override in parsed:
        group = override.key_or_group
        if (conf / group).is_dir():
            options = [file.relative_to(conf / group).with_suffix("").as_posix() for file in sorted((conf / group).rglob("*.yaml"))]
            choices = _sweep_values(override) if override.is_sweep_override() else [str(override.value())]
            for chosen in choices:
                if chosen not in options and chosen != "None":
                    raise UserError(f"no {group} {chosen!r}{suggestion(chosen, options) or '; there are ' + ', '.join(options)}")
            groups += [f"{group}={choices[0]}"] if choices != ["None"] else []
        elif group.startswith("hydra/"):
            groups.append(_text(override))
    if not any(group.startswith("experiment=") for group in groups):
        raise UserError("which experiment? Add experiment=NAME; `python run.py` lists them")
    known = paths(_composed(conf, *groups))
    for override in parsed:
        key = override.key_or_group
        if key.partition(".")[0] in ABOUT:
            raise UserError(f"{key!r} describes the experiment and is not given on the command line; a file of its own may say otherwise")
        added = override.is_add() or override.is_force_add()
        if not (added or key in known or key.startswith("hydra") or (conf / key).is_dir()):
            near = [path for path in known if path.partition(".")[0] not in ABOUT]
            raise UserError(f"unknown key {key!r}{suggestion(key, [*near, 'experiment'])}")
    return groups


def _leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
