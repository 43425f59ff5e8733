"""Fits: R replicates in, weights and metrics out, through the one Trainer. The only file that creates a Trainer."""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from nncompress.data import ImageFiles, as_images, scale, splits
from nncompress.distill import Distill, DistillOthers
from nncompress.errors import UserError
from nncompress.models import build, multiply_accumulates, output_layer
from nncompress.prune import layer_densities
from nncompress.train.callbacks import Checkpoint, Clock, Progress, State
from nncompress.train.constraint import COMPACT_BELOW, Free, constrain
from nncompress.train.learner import Learner, chunks
from nncompress.train.objective import HardLabels, System, WithL1
from nncompress.train.prior import MixturePrior
from nncompress.train.specialties import Specialties
from nncompress.types import Dataset, Distillation, MaskArrays, Model, SoftSharing, Split, Training, Weights

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="pytorch_lightning")

CUDA_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"


@dataclass(frozen=True)
class Runtime:
    """Where and how to compute. Nothing here changes a result beyond rounding. `trainer`: passed on to Lightning's Trainer."""

    data_dir: Path
    device: str = "cpu"
    threads: int = 1
    checkpoint_seconds: float = 30.0
    trainer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """What the replicates of a stack share: model, data, training, and the steps first .. last of its schedule. `adjust_dropout`: to each
    replicate's mask. `transfer_inputs`: (cases, features), of a transfer set that takes the place of the training split. `sharing`: the prior
    that the weights are drawn to, if any."""

    model: Model
    dataset: Dataset
    training: Training
    first_step: int
    last_step: int
    distillation: Distillation | None = None
    adjust_dropout: bool = False
    transfer_inputs: np.ndarray | None = None
    sharing: SoftSharing | None = None


@dataclass(frozen=True)
class Replicate:
    """What one replicate has of its own. `teacher_logits`: (examples, classes), for a distillation. `state`: (arrays, meta) of an interrupted
    fit to go on from, as `Checkpoint` hands out. `codes`: parameter name -> codebook entry of every weight, for shared weights. `special`:
    (classes,) bool, the special classes of a specialist."""

    label: str
    seed: int
    start: Weights
    mask: MaskArrays = field(default_factory=dict)
    teacher_logits: np.ndarray | None = None
    special: np.ndarray | None = None
    state: State | None = None
    codes: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """`seconds`: this replicate's share of the wall time of its stack. `mixture`: the course of its prior, if it has one; see
    `MixturePrior.course`."""

    weights: dict[str, np.ndarray]
    curves: dict[str, np.ndarray]
    metrics: dict[str, float]
    seconds: float
    mixture: dict[str, np.ndarray] = field(default_factory=dict)


@contextmanager
def computing(runtime: Runtime) -> Iterator[None]:
    """Threads; denormal numbers taken as zero: Adam's moments of weights that rarely see a gradient (an eighth of LeNet's on MNIST, those
    of the images' margins) decay into that range, where a CPU computes several times slower (they are below 1.2e-38); and the plain check for
    CUDA: Adam asks for it at every step, and the one that Lightning turns on looks for a library on disk each time."""
    check = os.environ.get(CUDA_CHECK)
    os.environ[CUDA_CHECK] = "0"
    torch.set_num_threads(runtime.threads)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        os.environ.update({CUDA_CHECK: check} if check else {})


def learner(task: Task, replicates: Sequence[Replicate], runtime: Runtime) -> Learner:
    """The learner of a stack, before its first or continued step."""
    net = build(task.model)
    output = output_layer(net)
    bf16 = task.training.precision == "bf16-mixed"
    low = {name for name, _ in net.named_parameters() if not name.startswith(f"{output}.")} if bf16 else set()
    compact_below = 0.0 if task.training.max_norm is not None else COMPACT_BELOW
    names = [name for name, _ in net.named_parameters()]  # their order is the same in every process; that of a stored file is not
    starts = [{name: r.state[0][f"weights/{name}"] if r.state else r.start[name] for name in names} for r in replicates]
    codes = [replicate.codes for replicate in replicates]
    if any(codes) and task.training.max_norm is not None:
        raise UserError("training.max_norm: shared weights cannot be scaled unit by unit; leave it out where a codebook is trained")
    constraint = constrain(starts, [replicate.mask for replicate in replicates], low, compact_below, codes)
    special = [r.special for r in replicates if r.special is not None]
    specialties = Specialties(special, net.get_parameter(f"{output}.bias").numel()) if special else None
    objective: nn.Module = HardLabels()
    if task.distillation:
        objective = (DistillOthers if special else Distill)(task.distillation)
    if task.training.l1:
        objective = WithL1(objective, task.training.l1)
    system = System(net, objective).to(runtime.device)
    labels, seeds = [replicate.label for replicate in replicates], [replicate.seed for replicate in replicates]
    span = (task.first_step, task.last_step)
    teachers = [r.teacher_logits for r in replicates if r.teacher_logits is not None]
    data = splits(task.dataset, runtime.data_dir)
    if task.transfer_inputs is not None:  # labelled by the teacher, which all replicates share
        labels_of_teacher = torch.from_numpy(teachers[0].argmax(1))
        data = replace(data, train_x=as_images(task.transfer_inputs), train_y=labels_of_teacher)
    prior = None
    if task.sharing is not None:
        if type(constraint) is not Free:
            raise UserError(
                "soft weight sharing finds by itself which weights are pruned and which share: give its fit no mask and no codebook"
            )
        prior = MixturePrior(task.sharing, constraint, len(data.train_y))
        prior.note(task.first_step, constraint)
    made = Learner(system, constraint, task.training, task.dataset, data, seeds, span, labels, teachers, specialties, prior)
    if task.adjust_dropout:
        made.adjust_dropout([layer_densities(replicate.mask) for replicate in replicates])
    if all(replicate.state for replicate in replicates):
        made.resume([replicate.state for replicate in replicates if replicate.state])
    return made


def fit(
    task: Task,
    replicates: Sequence[Replicate],
    runtime: Runtime,
    on_steps: Callable[[int], None] | None = None,
    on_checkpoint: Callable[[list[State]], None] | None = None,
) -> list[Trained]:
    """Train the replicates together and measure each.

    Args:
        on_steps: called with the optimiser steps done since the last call.
        on_checkpoint: called every `checkpoint_seconds` with one state per replicate, to hand back as `Replicate.state`.

    Raises: UserError when a replicate's loss is not finite; ValueError when model and data do not fit.
    """
    with computing(runtime):
        resumable = {r.state[1]["step"] for r in replicates if r.state} if all(r.state for r in replicates) else set()
        if len(resumable) != 1:  # replicates interrupted at different steps cannot go on together: begin again
            replicates = [replace(r, state=None) for r in replicates]
        made = learner(task, replicates, runtime)
        made.to(runtime.device)
        if made.step < made.last_step:
            callbacks: list[pl.Callback] = [Clock()]
            if on_steps is not None:
                on_steps(made.step - made.first_step)
                callbacks.append(Progress(on_steps))
            if on_checkpoint is not None:
                callbacks.append(Checkpoint(runtime.checkpoint_seconds, on_checkpoint))
            _run(trainer(runtime, callbacks), made)
        made.to(runtime.device)
        if not made.curve:  # no validation split: the last step stands for the best
            made.best, made.best_step = made.constraint.latent.detach(), [made.last_step] * len(replicates)
        return measure(made, task)


def _run(chief: pl.Trainer, made: Learner) -> None:
    """Fit to the last step. Lightning turns Ctrl-C into an exit of its own; here it stays one."""
    try:
        chief.fit(made)
    except SystemExit:
        if chief.interrupted:
            raise KeyboardInterrupt from None
        raise
    if made.step != made.last_step:
        raise UserError(f"the fit ended at step {made.step} of {made.last_step}; trainer.* may say where to compute, not how much")


def trainer(runtime: Runtime, callbacks: list[pl.Callback]) -> pl.Trainer:
    """The one Trainer. One epoch is one fit, one Lightning step a block of optimiser steps."""
    accelerator = "gpu" if runtime.device.startswith("cuda") else "cpu"
    settings: dict[str, Any] = {
        "accelerator": accelerator,
        "devices": 1,
        "max_epochs": 1,
        "logger": False,
        "callbacks": callbacks,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1_000_000,
        "use_distributed_sampler": False,
    }
    try:
        return pl.Trainer(**{**settings, **runtime.trainer})
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        given = " ".join(f"trainer.{name}={value}" for name, value in runtime.trainer.items())
        raise UserError(f"Lightning refuses {given or 'its settings'}: {str(error).splitlines()[0]}") from error


def measure(made: Learner, task: Task) -> list[Trained]:
    """The metrics of every replicate after its last step and at its early-stopping step.

    The test split is read here and in `interpolate` only.
    """
    began = time.perf_counter()
    data, constraint = made.splits, made.constraint
    given = [split for split in ("train", "validation", "test") if len(getattr(data, f"{split}_y"))]

    def examples(split: str) -> tuple[Tensor | ImageFiles, Tensor]:
        return getattr(data, f"{split}_x"), getattr(data, f"{split}_y")

    ends = {split: made.evaluate(*examples(split)) for split in given}
    weights = constraint.layout.unflatten(constraint.dense(constraint.latent))
    best = ends
    if any(step < made.last_step for step in made.best_step):
        again = [split for split in given if split != "validation"]  # that was measured there during training
        best = made.at(made.best, lambda: {split: made.evaluate(*examples(split)) for split in again})
    steps = task.last_step - task.first_step
    # Two operations per multiply-accumulate forward, twice that backward, as is usual: it counts a dense net, the gradient of the input that
    # nobody needs, and no evaluation.
    flops = 6.0 * multiply_accumulates(task.model) * task.training.batch_size * steps
    seconds = (made.seconds + time.perf_counter() - began) / len(made.seeds)
    trained = []
    for r in range(len(made.seeds)):
        if not all(np.isfinite(array).all() for array in weights[r].values()):  # the last update is in no loss of the training
            made.stop_diverged(r, "the weights are not finite")
        metrics = {"steps": steps, "train_flops": flops}
        for split, (loss, accuracy) in ends.items():
            metrics |= {f"{split}_loss": loss[r], f"{split}_accuracy": accuracy[r]}
        metrics |= {"early_stop_step": made.best_step[r], "early_stop_train_accuracy": best["train"][1][r]}
        if made.curve:
            seen = {step: accuracies[r] for step, _, accuracies in made.curve}
            metrics["early_stop_validation_loss"] = made.best_loss[r]
            metrics["early_stop_validation_accuracy"] = seen.get(made.best_step[r], math.nan)  # of a loss that was never finite
        metrics |= {"early_stop_loss": best["test"][0][r], "early_stop_accuracy": best["test"][1][r]}
        curves = {
            "step": np.array([step for step, _, _ in made.curve], np.int32),
            "validation_loss": np.array([loss[r] for _, loss, _ in made.curve], np.float32),
            "validation_accuracy": np.array([accuracy[r] for _, _, accuracy in made.curve], np.float32),
        }
        mixture = made.prior.course(r) if made.prior is not None else {}
        trained.append(Trained(weights[r], curves, metrics, seconds, mixture))
    return trained


def logits(
    model: Model,
    dataset: Dataset,
    training: Training,
    weights: Weights,
    runtime: Runtime,
    split: Split = "train",
    images_of: Dataset | None = None,
) -> np.ndarray:
    """The net's logits on a split as it is, without dropout or augmentation, in float32: rounding would be part of what a student is taught.

    Args:
        dataset: what the net was trained on: its inputs are scaled by the mean and std of that.
        split: of `images_of`, or of `dataset` if that is None.

    Returns: (examples, classes) float32.
    """
    with computing(runtime):
        task = Task(model, dataset, replace(training, precision="32-true"), 0, 1)
        made = learner(task, [Replicate("logits", 0, weights)], runtime)
        made.to(runtime.device)
        images = made.splits if images_of is None else splits(images_of, runtime.data_dir)
        return made.logits(getattr(images, f"{split}_x"))[0].cpu().numpy()


def score(
    model: Model, dataset: Dataset, training: Training, weights: Weights, runtime: Runtime, of: Sequence[Split] = ("validation", "test")
) -> dict[str, float]:
    """`<split>_loss` and `<split>_accuracy` of weights that no fit ended with, on the splits `of` that there are; in float32."""
    with computing(runtime):
        task = Task(model, dataset, replace(training, precision="32-true"), 0, 1)
        made = learner(task, [Replicate("score", 0, weights)], runtime)
        made.to(runtime.device)
        metrics: dict[str, float] = {}
        for split in of:
            if len(labels := getattr(made.splits, f"{split}_y")):
                [loss], [accuracy] = made.evaluate(getattr(made.splits, f"{split}_x"), labels)
                metrics |= {f"{split}_loss": loss, f"{split}_accuracy": accuracy}
        return metrics


def activations(model: Model, dataset: Dataset, weights: Weights, runtime: Runtime) -> dict[str, float]:
    """Mean share of each layer's outputs that is not zero on the training split, in float32: after its ReLU and pooling, of the output layer
    the logits (Han et al. 2015, Act%)."""
    return {name: float(shares.mean()) for name, shares in unit_activations(model, dataset, weights, runtime).items()}


def unit_activations(model: Model, dataset: Dataset, weights: Weights, runtime: Runtime) -> dict[str, np.ndarray]:
    """Of each unit of each layer the share of its outputs that is not zero, (units,), over the training split and, behind a convolution, its
    places: one less its APoZ (Hu et al. 2016). In float32, after ReLU and pooling; of the output layer the logits."""
    return mean_over_outputs(lambda x: x.count_nonzero((0, 2)), model, dataset, weights, runtime)


def unit_outputs(model: Model, dataset: Dataset, weights: Weights, runtime: Runtime) -> dict[str, np.ndarray]:
    """Of each unit of each layer its mean output, (units,), over the same outputs as `unit_activations`."""
    return mean_over_outputs(lambda x: x.sum((0, 2), dtype=torch.float64), model, dataset, weights, runtime)


def mean_over_outputs(
    total: Callable[[Tensor], Tensor], model: Model, dataset: Dataset, weights: Weights, runtime: Runtime
) -> dict[str, np.ndarray]:
    """Of each layer the sum of `total` over chunks of the training split, (examples, units, places) -> (units,), over the number of outputs of
    a unit."""
    with computing(runtime), torch.no_grad():
        net = build(model)
        net.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        net.to(runtime.device)
        data = splits(dataset, runtime.data_dir)
        layers = {name: module for name, module in net.named_children() if isinstance(module, nn.Linear | nn.Conv2d)}
        totals = {name: np.zeros(len(module.weight)) for name, module in layers.items()}
        outputs = dict.fromkeys(layers, 0)

        def count(layer: str, x: Tensor) -> None:
            by_unit = x.reshape(len(x), len(totals[layer]), -1)  # also of places that were laid flat already, channel by channel
            totals[layer] += total(by_unit).cpu().numpy()
            outputs[layer] += by_unit.shape[0] * by_unit.shape[2]

        for chunk in chunks(data.train_x):
            x, layer = scale(data.train_x[chunk].to(runtime.device), data, dataset.scaling, torch.float32), ""
            for name, module in net.named_children():
                if name in layers:
                    if layer:
                        count(layer, x)
                    layer = name
                x = module(x)
            count(layer, x)
        return {name: summed / outputs[name] for name, summed in totals.items()}


def interpolate(
    model: Model, dataset: Dataset, training: Training, first: Weights, second: Weights, points: int, runtime: Runtime
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Errors of the nets alpha W1 + (1 - alpha) W2 for `points` values of alpha in [0, 1] (Frankle et al. 2020, sec. 2).

    Returns: curves `alpha, test_error, train_error` (points,) and metrics `instability` (test) and `train_instability`: the largest
    error on the line minus the mean of the two ends' errors.
    """
    with computing(runtime):
        alphas = np.linspace(0, 1, points)
        errors: dict[str, list[float]] = {"test": [], "train": []}
        for group in np.array_split(alphas, max(1, points // 10)):
            line = [{name: (a * first[name] + (1 - a) * second[name]).astype(np.float32) for name in first} for a in group]
            made = learner(Task(model, dataset, training, 0, 1), [Replicate("interpolation", 0, weights) for weights in line], runtime)
            made.to(runtime.device)
            for split, found in errors.items():
                found += [1 - a for a in made.evaluate(getattr(made.splits, f"{split}_x"), getattr(made.splits, f"{split}_y"))[1]]
        metrics = {
            name: max(errors[split]) - (errors[split][0] + errors[split][-1]) / 2
            for split, name in (("test", "instability"), ("train", "train_instability"))
        }
        return {"alpha": alphas, **{f"{split}_error": np.array(found) for split, found in errors.items()}}, metrics


TIMING_RATE = 1e-6
"""Learning rate of the steps that are timed: none can diverge."""


def time_per_step(task: Task, replicates: Sequence[Replicate], runtime: Runtime, budget: float = 2.0) -> float:
    """Seconds that one optimiser step of the stack takes here, with its share of evaluation; measured for about `budget` seconds."""
    with computing(runtime):
        made = learner(task, replicates, runtime)
        made.to(runtime.device)
        clock, block = Clock(), 2
        while True:
            # More steps may be timed than the schedule has, after which it would turn negative; and what is timed must not diverge.
            made.training_spec = replace(task.training, schedule="constant", learning_rate=TIMING_RATE, evaluate_every=block)
            made.step, made.last_step = made.first_step, made.first_step + 3 * block
            trainer(runtime, [clock]).fit(made)
            made.to(runtime.device)  # the Trainer takes it off a GPU when it ends
            began = time.perf_counter()
            made.evaluate(*made.validation)
            evaluation = time.perf_counter() - began
            steps = max(min(clock.blocks[1:]) - evaluation, 1e-9)  # the first block also records the graph
            if steps > budget / 8 or block >= 64:
                return steps / block + evaluation / task.training.evaluate_every
            block *= 4


__all__ = [
    "Free",
    "Replicate",
    "Runtime",
    "Task",
    "Trained",
    "activations",
    "computing",
    "fit",
    "interpolate",
    "learner",
    "logits",
    "measure",
    "score",
    "splits",
    "time_per_step",
    "trainer",
    "unit_activations",
    "unit_outputs",
]
