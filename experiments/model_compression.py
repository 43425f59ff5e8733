"""Bucilă, Caruana & Niculescu-Mizil 2006, "Model Compression" (KDD 2006), Tables 2 to 4, Figures 2 and 3.

Claim: a net of one hidden layer that learns the answers of a large ensemble to many synthetic cases predicts nearly as well as the ensemble,
a thousand times faster and smaller; of three ways to make the cases only MUNGE gets better with every case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from experiments.checking import refuse_empty, refuse_repeats
from experiments.model_compression_claims import CLAIMS, FIGURES, TABLES
from nncompress.ensemble.library import members
from nncompress.errors import UserError
from nncompress.lab.compression import FirstCases, LabelledCases, Mimicry, SelectedEnsemble, Synthesis
from nncompress.lab.row import Row
from nncompress.lab.stages import Fit, InitialWeights
from nncompress.types import STRICT, Count, Dataset, Distillation, Model, Seed, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("problems", "seeds", "sizes", "units")
IDENTITY = ("cases", "units")


@dataclass(frozen=True)
class Problem:
    """A registered problem and how many `inputs` nets have of it."""

    __pydantic_config__ = STRICT
    name: str
    inputs: Count


@dataclass(frozen=True)
class Config:
    """`problems`: each tried by itself. `dataset`: how each is split, and scaled for the nets; each seed has a split of its own.
    `library`: kind of model -> option -> values; `rounds`: of the selection. `synthesis`: method -> its settings. `mimic`: the net, of which
    hidden units and inputs are those of the row. `sizes`: cases of the transfer sets, the training cases included, tried with `curve_units`;
    `units`: tried with `units_cases`, from MUNGE; `table_units` with the largest size, from MUNGE too."""

    __pydantic_config__ = STRICT
    problems: list[Problem]
    dataset: Dataset
    library: dict[str, dict[str, list[int | float | str]]]
    rounds: Annotated[int, Field(ge=0)]
    synthesis: dict[str, Synthesis]
    mimic: Model
    training: Training
    distillation: Distillation
    sizes: list[Count]
    curve_units: Count
    units: list[Count]
    units_cases: Count
    table_units: Count
    seeds: list[Seed]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_empty(cfg, "problems", "sizes", "seeds")
    refuse_repeats(cfg, "sizes", "units", "seeds")
    names = [problem.name for problem in cfg.problems]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise UserError(f"problems: {repeated[0]} is there twice; give each once")
    if "neural_net" not in cfg.library:
        raise UserError("library has no neural_net: the mimic nets are compared with the best net that learns the labels; give some")
    list(members(cfg.library))
    for method, synthesis in cfg.synthesis.items():
        if synthesis.method != method:
            raise UserError(f"synthesis.{method}.method = {synthesis.method}: give the method under its own name")
        components = list(synthesis.components)
        if not components or components != sorted({*components}):
            raise UserError(f"synthesis.{method}.components = {components}: give one or more, each once, in increasing order")
    if "munge" not in cfg.synthesis:
        raise UserError("synthesis has no munge: the tables are of it; leave others out instead")
    trained = cfg.dataset.train_examples
    if trained is not None:
        for key, cases in (("sizes", min(cfg.sizes)), ("units_cases", cfg.units_cases if cfg.units else trained)):
            if cases < trained:
                raise UserError(f"{key}: {cases} is less than the {trained} training cases, which every transfer set holds; give more")
        for count in cfg.library.get("nearest_neighbours", {}).get("neighbours", []):
            if int(count) > trained:
                raise UserError(f"library.nearest_neighbours.neighbours = {count}: there are {trained} training cases; give at most so many")
    if cfg.dataset.validation == 0:
        raise UserError("dataset.validation = 0: the ensemble is selected on validation cases; hold some out")
    if cfg.table_units <= cfg.curve_units:
        raise UserError(f"table_units = {cfg.table_units}: the tables are of the widest nets; give more than curve_units = {cfg.curve_units}")
    if cfg.units and (cfg.units_cases, max(cfg.units)) > (max(cfg.sizes), cfg.table_units):
        raise UserError(
            f"units_cases = {cfg.units_cases} with up to {max(cfg.units)} units: the tables are of the nets with the most cases, the widest of "
            f"them; give at most {max(cfg.sizes)} cases, and with so many at most {cfg.table_units} units"
        )


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer seeds, then widths, problems and the largest transfer sets."""
    yield cfg
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))
    while cfg.units:
        yield (cfg := replace(cfg, units=cfg.units[:-1]))
    while len(cfg.problems) > 1:
        yield (cfg := replace(cfg, problems=cfg.problems[:-1]))
    while len(cfg.sizes) > 1:
        yield (cfg := replace(cfg, sizes=sorted(cfg.sizes)[:-1]))


def rows(cfg: Config) -> Iterator[Row]:
    """For each problem and seed the nets of Figure 2 by method and size, those of Figure 3 by hidden units, and that of the tables."""
    for problem in cfg.problems:
        for seed in cfg.seeds:
            wanted = [(method, size, cfg.curve_units) for method in cfg.synthesis for size in sorted(cfg.sizes)]
            wanted += [("munge", cfg.units_cases, units) for units in cfg.units]
            wanted += [("munge", max(cfg.sizes), cfg.table_units)]
            for method, cases, units in dict.fromkeys(wanted):
                fit = mimic_fit(cfg, problem, method, cases, units, seed)
                yield Row(Mimicry(fit), {"arm": method, "dataset": problem.name, "cases": cases, "units": units, "seed": seed})


def mimic_fit(cfg: Config, problem: Problem, method: str, cases: int, units: int, seed: int) -> Fit:
    """The net with so many hidden units that learns an ensemble's answers to so many cases."""
    dataset = replace(cfg.dataset, name=problem.name, split_seed=seed)
    library = {kind: {name: tuple(values) for name, values in options.items()} for kind, options in cfg.library.items()}
    ensemble = SelectedEnsemble(replace(dataset, scaling="unit"), library, cfg.rounds, seed)
    if cases == dataset.train_examples:
        method = "munge"  # without a synthetic case all methods are the same net, trained once
    labelled = LabelledCases(ensemble, cfg.synthesis[method], max(cfg.sizes), seed)  # Figure 3 needs no more, see `check`
    model = replace(cfg.mimic, widths=(problem.inputs, units, 2))
    start = InitialWeights(model, seed)
    return Fit(model, dataset, cfg.training, start, seed, distillation=cfg.distillation, teacher=FirstCases(labelled, cases, dataset))
