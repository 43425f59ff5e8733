"""The training loops that are compared: this project's own, a bare one, and a plain Lightning loop; and processes to run them in."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import measuring
import numpy as np
import pytorch_lightning as pl
import torch
import yaml
from PIL import Image
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms

from nncompress.data import Splits
from nncompress.models import initial_weights
from nncompress.prune import keep_largest, one_shot_fraction
from nncompress.train import fit as training
from nncompress.train.callbacks import Clock
from nncompress.types import Dataset, MaskArrays, Model, Training, Weights

WEIGHTS = ("fc1.weight", "fc2.weight", "fc3.weight")


@dataclass(frozen=True)
class Paper:
    """The experiment at the paper's scale, as conf/experiment/lottery_ticket.yaml has it."""

    dataset: Dataset
    model: Model
    training: Training
    prune_fraction: dict[str, float]
    rounds: int
    seeds: list[int]

    def masks(self, round_: int, seeds: Sequence[int]) -> list[MaskArrays]:
        """Masks of the densities of round `round_`; round 0 has none."""
        fraction = {f"{layer}.weight": one_shot_fraction(share, round_) for layer, share in self.prune_fraction.items()}
        return [keep_largest(initial_weights(self.model, seed), {}, fraction) if round_ else {} for seed in seeds]


@cache
def paper() -> Paper:
    values = yaml.safe_load((measuring.ROOT / "conf" / "experiment" / "lottery_ticket.yaml").read_text())
    return TypeAdapter(Paper).validate_python({name: values[name] for name in Paper.__dataclass_fields__})


def uniform_masks(density: float, seeds: Sequence[int]) -> list[MaskArrays]:
    """Masks that keep the share `density` of each layer, all ones at density 1."""
    return [keep_largest(initial_weights(paper().model, seed), {}, dict.fromkeys(WEIGHTS, 1 - density)) for seed in seeds]


# -- data ----------------------------------------------------------------------------------------------------------------------------------


@cache
def prepare(data_dir: Path) -> Splits:
    """One thread for torch, and the splits that all loops use: MNIST, or random images of its size if `data_dir` has no MNIST."""
    torch.set_num_threads(1)
    if measuring.has_mnist(data_dir):
        return training.splits(paper().dataset, data_dir)
    generator = torch.Generator().manual_seed(0)
    counts = {"train": 55_000, "validation": 5_000, "test": 10_000}
    parts = {f"{part}_x": torch.randint(256, (n, 1, 28, 28), generator=generator, dtype=torch.uint8) for part, n in counts.items()}
    parts |= {f"{part}_y": torch.randint(10, (n,), generator=generator) for part, n in counts.items()}
    made = Splits(
        **parts,
        classes=10,
        mean=torch.full((1,), 0.5),
        std=torch.full((1,), 0.29),
        source="random images, since there is no MNIST",
        fingerprint="",
    )
    training.splits = lambda dataset, data_dir: made  # type: ignore[assignment]
    return made


def data_note(splits: Splits) -> str:
    if splits.source.startswith("random"):
        return "Data: random images of MNIST's size, since there is no MNIST here."
    return f"Data: MNIST, {len(splits.train_y):,} training images."


@cache
def float_images(data_dir: Path) -> tuple[Tensor, Tensor]:
    """Training images (N, 784) in [0, 1], float32, and their labels."""
    splits = prepare(data_dir)
    assert isinstance(splits.train_x, Tensor)
    return splits.train_x.flatten(1).float() / 255, splits.train_y


# -- this project's loop -------------------------------------------------------------------------------------------------------------------


class Stamps(pl.Callback):
    """The time at the end of every Lightning step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.times.append(time.monotonic())


@dataclass(frozen=True)
class Timing:
    """Of a fit of R stacked replicates. `ends`: when each block of `block` steps ended, after the warm-up. `evaluating`: seconds of evaluation
    between the first and the last of them. `wall`: seconds in all; `inside`: of them in `training_step`."""

    ends: list[float]
    block: int
    evaluating: float
    wall: float
    inside: float

    @property
    def steps(self) -> int:
        return self.block * (len(self.ends) - 1)

    @property
    def step(self) -> float:
        """Seconds of one optimiser step of the stack, evaluation not counted."""
        return (self.ends[-1] - self.ends[0] - self.evaluating) / self.steps

    @property
    def evaluated_step(self) -> float:
        """The same with its share of evaluation."""
        return (self.ends[-1] - self.ends[0]) / self.steps


def ours(masks: Sequence[MaskArrays], blocks: int, data_dir: Path, device: str = "cpu", warm_up: int = 1) -> Timing:
    """Train stacked replicates, one for each of `masks`, by the learner under the Trainer, for `warm_up` and then `blocks` blocks up to an
    evaluation. The warm-up holds what is done once a fit: tracing the step."""
    prepare(data_dir)
    config = paper()
    task = training.Task(config.model, config.dataset, config.training, 0, config.training.evaluate_every * (warm_up + blocks))
    return timed_fit(task, _replicates(masks), data_dir, device, warm_up)


def timed_fit(task: training.Task, replicates: Sequence[training.Replicate], data_dir: Path, device: str = "cpu", warm_up: int = 1) -> Timing:
    """The steps of a task on stacked replicates, by the learner under the Trainer, timed after `warm_up` blocks up to an evaluation."""
    runtime = training.Runtime(data_dir, device)
    made = training.learner(task, replicates, runtime)
    made.to(device)
    evaluations, insides, stamps = timed(made, "evaluate"), timed(made, "training_step"), Stamps()
    began = time.monotonic()
    with training.computing(runtime):
        training.trainer(runtime, [Clock(), stamps]).fit(made)
    wall = time.monotonic() - began
    return Timing(stamps.times[warm_up - 1 :], task.training.evaluate_every, sum(evaluations[warm_up:]), wall, sum(insides))


def whole_fit(masks: Sequence[MaskArrays], blocks: int, data_dir: Path, device: str = "cpu") -> Timing:
    """The same by `fit`, as the lab calls it: with evaluation, set-up, and the measurement of every split at the end."""
    prepare(data_dir)
    config = paper()
    block = config.training.evaluate_every
    task = training.Task(config.model, config.dataset, config.training, 0, block * (1 + blocks))
    ends: list[float] = []
    began = time.monotonic()
    training.fit(task, _replicates(masks), training.Runtime(data_dir, device), on_steps=lambda _: ends.append(time.monotonic()))
    return Timing(ends[1:], block, 0.0, time.monotonic() - began, 0.0)  # the first report is before any step, the second ends the warm-up


def _replicates(masks: Sequence[MaskArrays]) -> list[training.Replicate]:
    return [training.Replicate(f"replicate {seed}", seed, initial_weights(paper().model, seed), mask) for seed, mask in enumerate(masks)]


def timed(module: nn.Module, name: str) -> list[float]:
    """The seconds of each call of a method, collected from now on."""
    method: Callable[..., Any] = getattr(module, name)
    seconds: list[float] = []

    def call(*given: Any) -> Any:
        began = time.monotonic()
        result = method(*given)
        seconds.append(time.monotonic() - began)
        return result

    setattr(module, name, call)
    return seconds


# -- the others ----------------------------------------------------------------------------------------------------------------------------


class MaskedLinear(nn.Linear):
    """A layer whose mask is multiplied in the forward pass, as public lottery ticket code does."""

    mask: Tensor

    def __init__(self, weight: np.ndarray, bias: np.ndarray, mask: np.ndarray) -> None:
        super().__init__(weight.shape[1], weight.shape[0])
        self.weight, self.bias = nn.Parameter(torch.tensor(weight)), nn.Parameter(torch.tensor(bias))
        self.register_buffer("mask", torch.tensor(mask, dtype=torch.float32))

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, self.weight * self.mask, self.bias)


def masked_net(start: Weights, mask: MaskArrays) -> nn.Sequential:
    """LeNet-300-100 of masked layers. Takes (B, ...) images in [0, 1]."""
    fc1, fc2, fc3 = (MaskedLinear(start[name], start[name.replace("weight", "bias")], mask[name]) for name in WEIGHTS)
    return nn.Sequential(nn.Flatten(), fc1, nn.ReLU(), fc2, nn.ReLU(), fc3)


def bare(mask: MaskArrays, steps: int, data_dir: Path, warm_up: int = 50) -> float:
    """Seconds of a step of one replicate in float32: tensors in memory, fused Adam, no framework. It computes as our loop does: denormal
    numbers taken as zero, and without the check for CUDA that Lightning turns on, which slows Adam here too."""
    images, labels = float_images(data_dir)
    config = paper().training
    net = masked_net(initial_weights(paper().model, 0), mask)
    optimizer = torch.optim.Adam(net.parameters(), lr=config.learning_rate, fused=True)
    return bare_loop(net, optimizer, images, labels, config.batch_size, steps, warm_up)


def bare_loop(
    net: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, batch: int, steps: int, warm_up: int, mixed: bool = False
) -> float:
    """Seconds of a step of a loop that is nothing but torch. `images`: (N, ...) as the net takes them; `mixed`: torch's bfloat16 autocast."""
    order = torch.randperm(len(labels))
    began = 0.0
    with training.computing(training.Runtime(Path())):
        for step in range(warm_up + steps):
            if step == warm_up:
                began = time.monotonic()
            places = order[step * batch % (len(labels) - batch) :][:batch]
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                loss = functional.cross_entropy(net(images[places]), labels[places])
            loss.backward()
            optimizer.step()
    return (time.monotonic() - began) / steps


class PilImages(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """What `torchvision.datasets.MNIST` with `ToTensor` does for each example: a PIL image, made a tensor."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images.squeeze(1), labels
        self.transform = transforms.ToTensor()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index].numpy())), int(self.labels[index])


class PlainModule(pl.LightningModule):
    """The LightningModule that one writes first: automatic optimisation, Adam as it comes, nothing logged."""

    def __init__(self, net: nn.Module, learning_rate: float) -> None:
        super().__init__()
        self.net, self.learning_rate = net, learning_rate

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, labels = batch
        return functional.cross_entropy(self.net(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


def plain_lightning(mask: MaskArrays, steps: int, data_dir: Path, cuda_check: bool = True, warm_up: int = 20) -> float:
    """Seconds of a step of one replicate in float32 in a plain Lightning loop over a DataLoader of PIL images.

    `cuda_check`: as it comes. Importing Lightning turns on a check for CUDA that Adam makes at every step, which is no
    fault of the loop."""
    splits, config = prepare(data_dir), paper().training
    assert isinstance(splits.train_x, Tensor)
    module = PlainModule(masked_net(initial_weights(paper().model, 0), mask), config.learning_rate)
    loader = DataLoader(PilImages(splits.train_x, splits.train_y), batch_size=config.batch_size, shuffle=True, num_workers=0)
    stamps = Stamps()
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=warm_up + steps,
        callbacks=[stamps],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with mock.patch.dict(os.environ, {training.CUDA_CHECK: "1" if cuda_check else "0"}):
        trainer.fit(module, loader)
    return (stamps.times[-1] - stamps.times[warm_up - 1]) / steps


# -- processes -----------------------------------------------------------------------------------------------------------------------------


class Pair:
    """Two processes of one thread each, that train alone or at the same time."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool

    def run(self, count: int, function: Callable[..., Timing], *given: Any) -> list[Timing]:
        """The timings of `function(*given)` in `count` of the processes at once."""
        return [future.result() for future in [self.pool.submit(function, *given) for _ in range(count)]]


@contextmanager
def pair(data_dir: Path) -> Iterator[Pair]:
    """Two processes with the data read."""
    with ProcessPoolExecutor(2, get_context("spawn"), initializer=_start, initargs=(data_dir,)) as pool:
        yield Pair(pool)


def _start(data_dir: Path) -> None:
    prepare(data_dir)


def throughput(timings: Sequence[Timing]) -> float:
    """Steps a second of processes together, over the time in which all of them were at work."""
    first, last = max(timing.ends[0] for timing in timings), min(timing.ends[-1] for timing in timings)
    if last <= first:
        raise RuntimeError("the two processes did not run at the same time: give more steps")
    done = 0.0
    for timing in timings:
        steps = timing.block * np.arange(len(timing.ends))
        done += float(np.interp(last, timing.ends, steps) - np.interp(first, timing.ends, steps))
    return done / (last - first)
