"""An experiment from its recipe to its records and report; its plan; and the largest part of it that fits into some minutes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from nncompress.errors import UserError
from nncompress.files import replace_file, writing
from nncompress.lab import records
from nncompress.lab.lab import Lab, Settings
from nncompress.lab.loggers import RunLogger, file_name
from nncompress.lab.pretrained import PretrainedWeights
from nncompress.lab.processes import agreed, rank
from nncompress.lab.quantizing import CompressedFile, SharedWeights
from nncompress.lab.row import Row
from nncompress.lab.stage import Artifact, Stage, ancestors
from nncompress.lab.stages import BiasShift, Fit, MaskStage, Netless, Specialty, TransferSet, Utterances, expected_shares, fit_of
from nncompress.prune import keep_largest
from nncompress.quantize.tensors import codebook_size
from nncompress.types import Augmentation, Model

if TYPE_CHECKING:
    import pandas as pd

    from nncompress.data import Splits


@dataclass(frozen=True)
class Experiment:
    """A recipe with its values. `variant`: what a sweep changed, empty for the experiment as written. `part`: whether only some of its rows
    (seeds, rounds, arms) were asked for, or others than are written.
    """

    name: str
    recipe: ModuleType
    config: Any
    scale: str
    about: dict[str, str]
    deviations: list[str]
    variant: str = ""
    part: bool = False

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that tell this experiment's records apart: those of all recipes, and the recipe's own IDENTITY, if any."""
        return (*records.IDENTITY, *getattr(self.recipe, "IDENTITY", ()))

    @property
    def along(self) -> tuple[str, ...]:
        """The arrays that curves run along: the training step, and what the recipe's ALONG names, if any."""
        return ("step", *getattr(self.recipe, "ALONG", ()))

    def rows(self) -> list[Row]:
        """The recipe's rows, each checked to have columns of its own."""
        rows = list(self.recipe.rows(self.config))
        if not rows:
            raise UserError(f"{self.name} has nothing to do: give at least one arm and one seed for it")
        seen: dict[str, Row] = {}
        for row in rows:
            if unknown := row.columns.keys() - set(self.identity):
                raise ValueError(f"column {min(unknown)!r} of row {row.label!r} identifies no record: name it in the recipe's IDENTITY")
            if seen.setdefault(row.label, row) is not row:
                raise UserError(f"{self.name} has two rows {row.label!r}: give seeds, rounds and arms once each")
        return rows


def run(experiment: Experiment, settings: Settings, logger: RunLogger) -> pd.DataFrame:
    """Train what is missing, write records as stages finish, then tables, figures and claims; print the main table and the verdicts.

    Returns: the records of this experiment and variant.
    """
    rows = experiment.rows()
    lab = Lab(settings)
    preflight(rows, lab)
    book = Book(experiment, lab, logger)
    lab.run(rows, book.enter)
    agreed(None)  # nobody reads the records before rank 0 has written them
    return book.close()


class Book:
    """Keeps an experiment's records: tidy rows with their costs, and the learning curves that the recipe wants kept."""

    def __init__(self, experiment: Experiment, lab: Lab, logger: RunLogger) -> None:
        self.experiment, self.lab, self.logger = experiment, lab, logger
        self.results = lab.settings.results
        self.path = self.results / "records" / f"{experiment.name}.csv"
        self.curves = self.results / "curves" / f"{experiment.name}.csv"
        self.keys: set[str] = set()

    def enter(self, rows: Sequence[Row]) -> None:
        """Write the rows' records; their stages are in the store."""
        entries, points = [], []
        for row in rows:
            self.keys.add(row.stage.key)
            artifact = self.lab.get(row.stage)
            entry = self.record(row, artifact)
            entries.append(entry)
            self.logger.row(entry)
            if row.keep_curves:
                curve = self.curve(row, artifact)
                identity = {name: entry[name] for name in ("scale", *self.experiment.identity) if name in entry}
                points += [{**identity, **dict(zip(curve, values, strict=True))} for values in zip(*curve.values(), strict=True)]
                self.logger.curve(row.label, curve)
        if entries:
            records.upsert(self.path, entries, self.experiment.identity)
        if points:
            records.upsert(self.curves, points, self.experiment.identity, along=self.experiment.along)
        for row in rows:
            if row.keep_arrays:
                self.keep_arrays(row)
            if row.keep_file:
                content = self.lab.get(row.stage).arrays["file"].tobytes()
                self.write(self.results / "files" / self.experiment.name, row.keep_file, content)

    def curve(self, row: Row, artifact: Artifact) -> dict[str, np.ndarray]:
        """What is kept of the row's curve, first the array that it runs along."""
        found = thinned(artifact.curves)
        axis = [name for name in self.experiment.along if name in found]
        if len(axis) != 1:
            raise ValueError(f"the curve of row {row.label!r} has {', '.join(found)}: name the one that it runs along in the recipe's ALONG")
        return {axis[0]: found[axis[0]], **found}

    def keep_arrays(self, row: Row) -> None:
        """Write arrays of the row's stage to `arrays/<experiment>/<key>.npz`, and remove those of keys that no record has any more."""
        folder, artifact = self.results / "arrays" / self.experiment.name, self.lab.get(row.stage)
        content = BytesIO()
        np.savez_compressed(content, allow_pickle=False, **{name: artifact.arrays[name] for name in row.keep_arrays})
        self.write(folder, f"{row.stage.key}.npz", content.getvalue())
        known = set(records.read(self.path)["key"])
        for other in folder.glob("*.npz"):
            if other.stem not in known:
                other.unlink(missing_ok=True)

    def write(self, folder: Path, name: str, content: bytes) -> None:
        with writing(folder, records.MEND):
            folder.mkdir(parents=True, exist_ok=True)
            replace_file(folder / name, content, folder / f".{name}.{os.getpid()}.tmp")

    def record(self, row: Row, artifact: Artifact) -> dict[str, Any]:
        """One tidy row. `total_*` counts every stored stage that the row stands on once: earlier rounds, teachers, their logits and itself.
        Of a row without nets there are no steps and no FLOPs."""
        from nncompress.data import known_fingerprint

        e, stage = self.experiment, row.stage
        costs = [self.lab.cost(each) for each in ancestors([stage]) if each.stored]
        identity = {"experiment": e.name, "scale": e.scale, "variant": e.variant}
        totals = {"total_seconds": sum(seconds for _, seconds in costs)}
        if isinstance(stage, Netless):
            identity |= {"dataset": stage.dataset_name, "model": stage.model}
            return {**identity, **row.columns, **artifact.metrics, **totals, **artifact.provenance, "key": stage.key}
        fit = fit_of(stage)
        identity |= {"dataset": fit.dataset.name, "model": fit.model.name}
        totals |= {"total_flops": sum(flops for flops, _ in costs)}
        origin = {"data": known_fingerprint(fit.dataset.name), **artifact.provenance}
        if not isinstance(stage, Fit) and "train_flops" in artifact.metrics:  # the fit's operations are shown, so is the time that they took
            origin["seconds"] += self.lab.cost(fit)[1]
        return {**identity, **row.columns, "steps": fit.steps, **artifact.metrics, **totals, **origin, "key": stage.key}

    def close(self) -> pd.DataFrame:
        """Report on what is recorded, to files and to the terminal."""
        from nncompress.report import build

        if rank() != 0:
            return records.read(self.path)
        e = self.experiment
        conf = Path(e.recipe.__file__ or "").resolve().parents[1] / "conf"
        every = build.read_experiments(conf)
        described = next((d for d in every if d.name == e.name), None)
        paths = []
        if described is not None and e.variant:  # the report is of the experiment as written
            paths = build.draw_all(self.results, described, e.variant, self.results / "logs" / "figures" / file_name(e.variant))
        elif described is not None:
            paths = build.report(self.results, every, e.name)
        if described is not None:
            print(f"\n{build.render_text(self.results, described, e.variant)}\n")
        for kind in ("records", "tables", "figures", "claims", "logs"):
            if written := [str(path) for path in [self.path, *paths] if path.relative_to(self.results).parts[0] == kind]:
                print(f"{kind}: {', '.join(written)}")
        found = records.read(self.path)
        found = found[found["variant"] == e.variant]
        stale = int((~found["key"].isin(self.keys)).sum())
        if stale and not e.part and not e.scale.endswith("min"):
            print(f"note: {stale} records in {self.path} are not of this configuration; delete the file to keep only what it declares")
        found = found[found["key"].isin(self.keys)]
        self.logger.table(e.name, found)
        self.logger.figures([path for path in paths if path.suffix == ".png"])
        return found


def thinned(curve: dict[str, np.ndarray], whole: int = 50, every: int = 10) -> dict[str, np.ndarray]:
    """The first `whole` points of a learning curve, then each `every`-th: where it bends all of it is kept. Other curves are kept whole."""
    if "step" not in curve:
        return curve
    return {name: np.concatenate([values[:whole], values[whole + every - 1 :: every]]) for name, values in curve.items()}


def preflight(rows: Iterable[Row], lab: Lab) -> None:
    """Refuse before any training what no stage could be computed with: unknown models, data sets, layers; nets that do not fit the data."""
    from nncompress.data import splits
    from nncompress.models import build, input_shape, output_layer

    outputs: dict[Any, int] = {}  # by model and data set that were found to fit
    for stage in ancestors([row.stage for row in rows]):
        if isinstance(stage, MaskStage) and stage.by_layer:
            _check_layers(stage.option, stage.by_layer, fit_of(stage).model)
        if isinstance(stage, SharedWeights):
            _check_layers("weight_bits", stage.weight_bits, stage.fit.model)
            _check_codebooks(stage)
        if isinstance(stage, CompressedFile):
            _check_layers("weight_bits", stage.weight_bits, fit_of(stage.net).model)
            _check_layers("index_bits", stage.index_bits or {}, fit_of(stage.net).model)
        if isinstance(stage, Utterances):
            _check_utterances(stage, outputs, splits(stage.dataset, lab.settings.data_dir))
        if isinstance(stage, Netless):
            stage.fingerprint(lab.settings.data_dir)
        if isinstance(stage, PretrainedWeights):
            stage.require(lab.settings.data_dir)
        if isinstance(stage, BiasShift):
            _check_shift(stage, splits(stage.whole, lab.settings.data_dir).classes)
        if not isinstance(stage, Fit):
            continue
        pair = stage.model, stage.dataset
        if pair not in outputs:
            net = build(stage.model)
            data = splits(stage.dataset, lab.settings.data_dir)
            wanted, found = input_shape(stage.model), tuple(data.train_x.shape[1:])
            if int(np.prod(wanted)) != int(np.prod(found)) or (stage.model.name != "mlp" and wanted != found):
                raise UserError(f"model {stage.model.name} takes inputs of {wanted}, but {stage.dataset.name} has images of {found}")
            outputs[pair] = net.get_parameter(f"{output_layer(net)}.bias").numel()
            if outputs[pair] < data.classes:
                mend = "end model.widths with them" if stage.model.name == "mlp" else f"set model.classes={data.classes}"
                raise UserError(
                    f"model {stage.model.name} has {outputs[pair]} outputs, but {stage.dataset.name} has {data.classes} classes: {mend}"
                )
            if stage.training.batch_size > len(data.train_y):
                raise UserError(f"training.batch_size = {stage.training.batch_size} is more than the {len(data.train_y)} training examples")
        processes = lab.settings.trainer.get("devices", 1) * lab.settings.trainer.get("num_nodes", 1)
        shares = processes * (1 if stage.specialty is None else 2)  # of a specialist's batch each half is shared out by itself
        if stage.training.batch_size % shares:
            raise UserError(f"training.batch_size = {stage.training.batch_size} does not divide among {processes} processes")
        _check_teacher(stage, outputs)
        if isinstance(stage.specialty, Specialty):
            _check_batches(stage, stage.specialty.classes.size, splits(stage.dataset, lab.settings.data_dir))


def _check_layers(option: str, by_layer: Mapping[str, float], model: Model) -> None:
    """What an option names, by parameter, is in the model."""
    from nncompress.models import parameter_names

    if not by_layer:
        return
    known = parameter_names(model)
    for name in by_layer:
        if name not in known:
            layers = [n.removesuffix(".weight") for n in known if n.endswith(".weight")]
            raise UserError(f"{option}.{name.removesuffix('.weight')}: the model has no such layer; it has {', '.join(layers)}")


def _check_codebooks(stage: SharedWeights) -> None:
    """A net that is not pruned has as many weights in each layer as its codebook has entries. What pruning leaves is known only afterwards."""
    from nncompress.models import parameter_sizes

    if stage.fit.mask is not None:
        return
    sizes = parameter_sizes(stage.fit.model)
    for name, bits in stage.weight_bits.items():
        entries = (stage.entries or {}).get(name, codebook_size(bits, False))
        if entries > sizes[name]:
            raise UserError(f"{name}: {entries} codebook entries for {sizes[name]} weights: take fewer bits, or leave the layer unshared")


def _check_utterances(stage: Utterances, outputs: dict[Any, int], data: Splits) -> None:
    """Words are recognised in recordings of speech, by nets with an output for each state and no other."""
    if data.test_recording is None:
        raise UserError(f"dataset.name = {stage.dataset.name}: utterance errors are of recordings of speech; use fsdd")
    for fit in stage.fits:
        if (found := outputs[fit.model, fit.dataset]) != data.classes:
            raise UserError(f"model {fit.model.name} has {found} outputs, but {stage.dataset.name} has {data.classes} states: give it as many")


def _check_shift(stage: BiasShift, classes: int) -> None:
    """Only some of the classes that there are can be shifted against the others."""
    if unknown := [label for label in stage.classes if label >= classes]:
        raise UserError(f"shifted = {list(stage.classes)}: {stage.whole.name} has no class {unknown[0]}, only 0 to {classes - 1}")
    if len(stage.classes) == classes:
        raise UserError(f"shifted = {list(stage.classes)}: a shift of all classes changes no answer; leave at least one of them out")


def _check_batches(specialist: Fit, size: int, data: Splits) -> None:
    """Whichever `size` classes a specialist will get, they must fill half of its batches, and the others the other half."""
    counts = np.sort(np.bincount(data.train_y.numpy(), minlength=data.classes))
    batch = specialist.training.batch_size
    for kind, fewest in ((f"{size} special", counts[:size].sum()), ("all other", counts[: len(counts) - size].sum())):
        if batch // 2 > fewest:
            raise UserError(
                f"training.batch_size = {batch} of a specialist: {kind} classes may have no more than {fewest} training examples, which do not "
                f"fill half a batch; give at most {2 * fewest}"
            )


def _check_teacher(student: Fit, outputs: dict[Any, int]) -> None:
    """A student needs a teacher with its classes, whose stored logits are of the images that the student sees."""
    if student.distillation is None:
        return
    if student.teacher is None:
        raise UserError("a fit with a distillation needs a teacher: give it one by Logits((fit, ...), dataset)")
    if student.dataset.augmentation != Augmentation():
        raise UserError("dataset.augmentation: a student learns from stored logits of the images as they are; leave its augmentation out")
    for teacher in getattr(student.teacher, "fits", ()):
        if (theirs := outputs[teacher.model, teacher.dataset]) != (own := outputs[student.model, student.dataset]):
            raise UserError(f"a teacher with {theirs} classes cannot teach a student with {own}: give both models the same number of outputs")


# -- plans and budgets ---------------------------------------------------------------------------------------------------------------------


class Stopwatch:
    """How long stages take here: measured once for each kind of fit, dense and with a tenth of the weights, and interpolated by density; and
    once for each kind of stage without a net and its data. Other stages are quick."""

    SPARSE = 0.1

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._per_step: dict[tuple[str, ...], float] = {}

    def seconds(self, stages: Sequence[Stage]) -> float:
        """Wall time of computing the stages, all workers busy."""
        each = [stage.steps * self._step(stage) if isinstance(stage, Fit) else self._netless(stage) for stage in stages]
        return sum(each) / self.lab.settings.workers

    def _netless(self, stage: Stage) -> float:
        if not isinstance(stage, Netless):
            return 0.0
        kind = (type(stage).__name__, stage.dataset_name)
        if kind not in self._per_step:
            self._per_step[kind] = stage.estimated_seconds(self.lab.settings.data_dir)
        return self._per_step[kind]

    def _step(self, fit: Fit) -> float:
        """Seconds of one step of one replicate in a full stack."""
        from nncompress.models import parameter_sizes

        if fit.mask is None:
            return self._measured(fit, 1.0)
        sizes = {name: size for name, size in parameter_sizes(fit.model).items() if name.endswith("weight")}
        kept = expected_shares(fit.mask)
        density = sum(size * kept.get(name, 1.0) for name, size in sizes.items()) / sum(sizes.values())
        dense, sparse = self._measured(fit, 1.0), self._measured(fit, self.SPARSE)
        return sparse + (dense - sparse) * max(0.0, density - self.SPARSE) / (1 - self.SPARSE)

    def _measured(self, fit: Fit, density: float) -> float:
        training = replace(fit.training, learning_rate=1.0, steps=1)
        dataset = replace(fit.dataset, split_seed=0)  # which examples they are does not matter
        kind = (*map(repr, (fit.model, dataset, training, fit.sharing, isinstance(fit.teacher, TransferSet))), str(density))
        if kind not in self._per_step:
            from nncompress.models import initial_weights
            from nncompress.train.fit import Replicate, Task, time_per_step

            # Fits on transfer sets of their own are not stacked.
            count = 1 if isinstance(fit.teacher, TransferSet) else self.lab.settings.most_stacked(fit.model)
            task = Task(fit.model, fit.dataset, fit.training, 0, fit.training.steps, sharing=fit.sharing)
            starts = [initial_weights(fit.model, seed) for seed in range(count)]
            fractions = [{name: 1 - density for name in start if name.endswith("weight")} for start in starts]
            masks = [keep_largest(start, {}, fraction) if density < 1 else {} for start, fraction in zip(starts, fractions, strict=True)]
            stack = [Replicate("timing", seed, start, mask) for seed, (start, mask) in enumerate(zip(starts, masks, strict=True))]
            self._per_step[kind] = time_per_step(task, stack, replace(self.lab.runtime, trainer={})) / count
        return self._per_step[kind]


def plan(experiment: Experiment, settings: Settings) -> str:
    """What a run would train and reuse, by arm, and about how long it would take here. Trains nothing but a few timing steps."""
    rows, lab = experiment.rows(), Lab(settings)
    preflight(rows, lab)
    watch, missing = Stopwatch(lab), set(lab.missing([row.stage for row in rows]))
    lines = [f"{experiment.name} (scale: {experiment.scale}) on {lab.settings.device}, {lab.settings.workers} at a time"]
    counted: set[Stage] = set()
    for arm, group in groupby(sorted(rows, key=lambda row: str(row.columns.get("arm"))), key=lambda row: str(row.columns.get("arm"))):
        needed = [stage for stage in ancestors([row.stage for row in group]) if stage.stored and stage not in counted]
        counted.update(needed)
        todo = [stage for stage in needed if stage in missing]
        steps = sum(stage.steps for stage in todo if isinstance(stage, Fit))
        lines.append(
            f"  {arm:<26} {len(todo):>5} to train, {len(needed) - len(todo):>5} reused, {steps:>11,} steps, about {_span(watch.seconds(todo))}"
        )
    total = watch.seconds(list(missing))
    lines.append(f"{len(missing)} of {len(counted)} stages to train: about {_span(total)} here")
    return "\n".join(lines)


def within(experiment: Experiment, settings: Settings, minutes: float) -> Experiment:
    """The first of the recipe's `smaller` configurations that trains within `minutes` here, what is stored not counted.

    Its records carry the scale '<minutes>min'. A recipe gives up arms, seeds and rounds before steps, so that a later, longer run reuses
    what was trained and refines the same records.
    """
    if not hasattr(experiment.recipe, "smaller"):
        raise UserError(f"minutes = {minutes:g}: {experiment.name} cannot be made smaller; leave minutes out, or run its quick twin")
    lab = Lab(settings)
    preflight(experiment.rows(), lab)
    watch = Stopwatch(lab)
    estimate = 0.0
    for count, config in enumerate(experiment.recipe.smaller(experiment.config)):
        smaller = experiment if count == 0 else replace(experiment, config=config, scale=f"{minutes:g}min")
        estimate = agreed(watch.seconds(lab.missing([row.stage for row in smaller.rows()])))
        if estimate <= 60 * minutes:
            return smaller
    raise UserError(
        f"minutes = {minutes:g}: even the smallest part of {experiment.name} takes about {_span(estimate)} here; allow more minutes"
    )


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


__all__ = ["Experiment", "plan", "run", "within"]
