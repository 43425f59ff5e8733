"""Every way to a small LeNet-300-100 on MNIST in one picture: test error against the bytes of files.

Claim: at equal bytes a pruned and quantised net errs less than a smaller dense one, even if the latter is quantised too.

The nets of other recipes are theirs: their rows are taken from their experiments as these are written, and each becomes a file. What no other
recipe makes is made here: smaller dense nets, plain and distilled, in float32, as 8-bit integers and with shared weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from experiments.checking import refuse_empty, refuse_repeats, refuse_unknown_arms
from experiments.hinton_nets import Nets
from experiments.pareto_claims import CLAIMS, FIGURES, TABLES
from nncompress.errors import UserError
from nncompress.lab.neurons import Speed
from nncompress.lab.quantizing import CompressedFile, IntegerWeights, SharedWeights
from nncompress.lab.row import Row
from nncompress.lab.smallest import SmallestFile
from nncompress.lab.stage import Stage
from nncompress.lab.stages import Fit, Logits, fit_of
from nncompress.types import STRICT, Count, Distillation, Training

__all__ = ["CLAIMS", "FIGURES", "TABLES", "Config", "check", "rows", "smaller"]

SELECTS = ("seeds", "arms", "hidden", "methods")
IDENTITY = ("origin", "point")
ARMS = ("small", "small_int8", "small_shared", "distilled", "distilled_int8", "distilled_shared")
CONF = Path(__file__).resolve().parents[1] / "conf"


@dataclass(frozen=True)
class Method:
    """Arms of another experiment, whose nets become files."""

    __pydantic_config__ = STRICT
    experiment: str
    arms: list[str]


@dataclass(frozen=True)
class Config(Nets):
    """`hidden`: units of the hidden layers of the small nets, which else are `student`. `distillation`: of the distilled ones. `weight_bits`,
    `tuning`: width of the codes of shared weights, and how their codebooks are trained. `coder`: of all files that are made here. `methods`:
    what is taken from other experiments, of the same seeds."""

    distillation: Distillation
    hidden: list[tuple[Count, ...]]
    weight_bits: Annotated[int, Field(ge=1, le=16)]
    tuning: Training
    coder: Literal["huffman", "ans", "fixed"]
    arms: list[str]
    methods: list[Method]


def check(cfg: Config) -> None:
    """Refuse what the ranges of `Config` cannot see. Raises UserError, one line."""
    refuse_unknown_arms(cfg, ARMS)
    cfg.check_seeds()
    refuse_empty(cfg, "hidden")
    refuse_repeats(cfg, "hidden", "arms", "methods")
    if cfg.student.name != "mlp" or len(cfg.student.widths) < 2:
        raise UserError(f"student.name = {cfg.student.name}: the small nets are mlps; give student.widths of one, such as [784,300,100,10]")
    for method in cfg.methods:
        found = list(recorded(method))
        if missing := [arm for arm in method.arms if arm not in {row.columns["arm"] for row in found}]:
            raise UserError(f"methods: {method.experiment} has no arm {missing[0]!r} with a net in it")
        if wrong := {fit_of(row.stage).dataset.name for row in found} - {cfg.dataset.name}:
            raise UserError(
                f"methods: {method.experiment} is about {min(wrong)}, this experiment about {cfg.dataset.name}: errors on different images do "
                "not compare"
            )


def smaller(cfg: Config) -> Iterator[Config]:
    """`cfg` and ever cheaper parts of it: fewer methods, then arms, sizes and seeds."""
    yield cfg
    while cfg.methods:
        yield (cfg := replace(cfg, methods=cfg.methods[:-1]))
    while len(cfg.arms) > 3:
        yield (cfg := replace(cfg, arms=cfg.arms[:-1]))
    while len(cfg.hidden) > 2:
        yield (cfg := replace(cfg, hidden=cfg.hidden[:-1]))
    while len(cfg.seeds) > 3:
        yield (cfg := replace(cfg, seeds=cfg.seeds[:-1]))


def rows(cfg: Config) -> Iterator[Row]:
    """A file of every net: of each arm, size and seed, and of each row of other experiments. A net that two arms of a method have is the
    first's."""
    for arm in cfg.arms:
        for hidden in cfg.hidden:
            sized = of_size(cfg, hidden)
            for seed in cfg.seeds:
                point = "-".join(map(str, sized.student.widths))
                yield Row(small_file(sized, arm, seed), {"origin": "pareto", "arm": arm, "point": point, "seed": seed})
    for method in cfg.methods:
        seen: set[Stage] = set()
        for row in recorded(method):
            if row.columns["seed"] in cfg.seeds and row.stage not in seen:
                seen.add(row.stage)
                yield replace(row, stage=file_of(row.stage, cfg.coder))


def of_size(cfg: Config, hidden: tuple[int, ...]) -> Config:
    """`cfg` with a student of these hidden layers."""
    first, *_, last = cfg.student.widths
    return replace(cfg, student=replace(cfg.student, widths=(first, *hidden, last)))


def small_file(cfg: Config, arm: str, seed: int) -> CompressedFile:
    """The student of a seed, plain or distilled, in the form that the arm names. Codebooks are trained on what the net was trained on."""
    fit, (kind, _, form) = cfg.plain_fit(seed), arm.partition("_")
    if kind == "distilled":
        fit = cfg.taught(fit, cfg.distillation, Logits((cfg.teacher_fit(seed),), cfg.dataset))
    sizes = {f"fc{i}.weight": inputs * outputs for i, (inputs, outputs) in enumerate(pairwise(cfg.student.widths), start=1)}
    if form == "int8":
        integers = IntegerWeights(fit)
        return CompressedFile(integers, integers, dict.fromkeys(sizes, 8), {}, cfg.coder)
    if form == "shared":
        bits = {name: cfg.weight_bits for name, size in sizes.items() if shrinks(size, cfg.weight_bits)}
        shared = SharedWeights(fit, bits, seed=seed)
        return CompressedFile(replace(fit, start=shared, codebook=shared, training=cfg.tuning), shared, bits, {}, cfg.coder)
    return CompressedFile(fit, None, {}, {}, cfg.coder)


def shrinks(size: int, bits: int) -> bool:
    """Whether codes and codebook of so many weights take fewer bits than the weights in float32."""
    return bits * size + 32 * 2**bits < 32 * size


def recorded(method: Method) -> Iterator[Row]:
    """The rows of the other experiment, as it is written, that are of its arms and have a net. Their columns say which recipe they come from,
    `origin`, and what tells the rows of an arm apart, `point`: 'round 3', 'tau 0.05'."""
    from nncompress.lab.configuration import request

    asked = request(CONF, [f"experiment={method.experiment}"])
    for row in asked.recipe.rows(asked.config):
        if row.columns["arm"] in method.arms and isinstance(row.stage, Fit | Speed | CompressedFile | SmallestFile):
            point = " ".join(f"{name} {value}" for name, value in row.columns.items() if name not in ("arm", "seed"))
            columns = {"origin": asked.values["recipe"], "arm": row.columns["arm"], "point": point, "seed": row.columns["seed"]}
            yield Row(row.stage, columns)


def file_of(stage: Stage, coder: str) -> CompressedFile | SmallestFile:
    """The file of a net: what is one already as it is, but coded as all others where its weights share nothing; a pruned net as its weights
    and the gaps between them, as wide as takes the fewest bytes."""
    if isinstance(stage, CompressedFile):
        return stage if stage.codebook is not None else replace(stage, coder=coder)
    if isinstance(stage, SmallestFile):
        return stage
    fit = fit_of(stage)
    if isinstance(stage, Speed) and stage.form == "int8":
        integers = IntegerWeights(fit)
        layers = range(1, len(fit.model.widths))
        return CompressedFile(integers, integers, {f"fc{layer}.weight": 8 for layer in layers}, {}, coder)
    return CompressedFile(fit, None, {}, None if fit.mask is not None else {}, coder)
