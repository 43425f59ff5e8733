"""The lab: finds which stages are stored, trains the others in as few stacks and on as many cores as there are, and hands out artifacts."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cache, partial
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from tqdm import tqdm

from nncompress.errors import UserError
from nncompress.lab.processes import agreed, rank, world
from nncompress.lab.provenance import cores, device_name, library_version, provenance
from nncompress.lab.row import Row
from nncompress.lab.stage import Artifact, Stage, ancestors
from nncompress.lab.stages import Fit, Netless, TransferSet, fit_of, pack
from nncompress.lab.store import Store
from nncompress.prune import density, layer_densities, whole_masks
from nncompress.types import STRICT, Count, Model, Positive

CPU_STACK = 5
"""Replicates in a stack on a CPU: beyond, their weights and moments leave the cache and nothing is gained."""
GPU_STACK = 64
MEMORY = {"THP_MEM_ALLOC_ENABLE": "1", "MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**28)}
"""Environment of the workers: large pages, and what a step frees kept for the next. Data sets
(above 32 MiB) go back to the system."""
Whole = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Settings:
    """How the lab computes. Nothing here enters a key.

    `workers`: processes, 0 = one per core on a CPU, one on a GPU. `stack`: most replicates trained together, 0 = automatic.
    `trainer`: passed on to Lightning's Trainer.
    """

    __pydantic_config__ = STRICT
    store: Path = Path("results/store")
    results: Path = Path("results")
    data_dir: Path = Path("data")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: Whole = 0
    threads: Count = 1
    replicates: Literal["stacked", "loop"] = "stacked"
    stack: Whole = 0
    checkpoint_seconds: Positive = 30.0
    progress: bool = True
    trainer: dict[str, Any] = field(default_factory=dict)

    def resolved(self) -> Settings:
        """With every automatic choice made. Raises UserError for a GPU where there is none."""
        import torch

        device = self.device if self.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise UserError("lab.device = cuda: no GPU is visible here; use lab.device=cpu or auto")
        workers = 1 if world() > 1 else self.workers or (1 if device == "cuda" else max(1, cores() // self.threads))
        return replace(self, device=device, workers=workers)

    def most_stacked(self, model: Model) -> int:
        """How many replicates of the model to train together at most."""
        from nncompress.models import convolutional

        if self.replicates == "loop":
            return 1
        return self.stack or (GPU_STACK if self.device == "cuda" else 1 if convolutional(model) else CPU_STACK)


class Lab:
    """Artifacts by stage: from memory, from the store, or computed.

    `say`: called with one line for each finished piece of work.
    """

    KEEP = 2**26  # bytes of artifacts held in memory: about 48 fits of LeNet-300-100

    def __init__(self, settings: Settings, say: Callable[[str], None] = print, labels: dict[str, str] | None = None) -> None:
        self.settings = settings.resolved()
        self.labels = labels or {}
        self.store = Store(self.settings.store)
        provenance()  # the commit of the code that is loaded now
        self.say = say
        self._memory: OrderedDict[Stage, Artifact] = OrderedDict()
        self._costs: dict[Stage, tuple[float, float]] = {}
        self._collected = time.monotonic()

    @property
    def runtime(self) -> Any:
        from nncompress.train.fit import Runtime

        s = self.settings
        return Runtime(s.data_dir, s.device, s.threads, s.checkpoint_seconds, s.trainer)

    # -- one stage -------------------------------------------------------------------------------------------------------------------------

    def find(self, stage: Stage) -> Artifact | None:
        """The artifact if it is in memory or in the store."""
        if stage in self._memory:
            self._memory.move_to_end(stage)
            return self._memory[stage]
        found = self.store.read(stage) if stage.stored else None
        return self._remember(stage, found) if found is not None else None

    def _remember(self, stage: Stage, artifact: Artifact) -> Artifact:
        self._memory[stage] = artifact
        while len(self._memory) > 1 and sum(held.nbytes for held in self._memory.values()) > self.KEEP:
            self._memory.popitem(last=False)
        return artifact

    def get(self, stage: Stage) -> Artifact:
        """The artifact, computed (and its upstream) if it must be."""
        found = self.find(stage)
        if found is None:
            if stage.stored:
                self.train([stage])
                found = self.find(stage)
                assert found is not None, stage.key
            else:
                found = self._remember(stage, stage.compute({s: self.get(s) for s in stage.upstream}, self))
        return found

    def cost(self, stage: Stage) -> tuple[float, float]:
        """Training FLOPs and seconds that the stage itself took, upstream not counted, whose FLOPs a stage that measures a fit repeats."""
        if stage not in self._costs:
            artifact = self.get(stage)
            flops = artifact.metrics.get("train_flops", 0.0) if isinstance(stage, Fit) else 0.0
            self._costs[stage] = flops, artifact.provenance.get("seconds", 0.0)
        return self._costs[stage]

    # -- a group of stages, in this process ------------------------------------------------------------------------------------------------

    def train(self, group: Sequence[Stage], on_steps: Callable[[int], None] | None = None) -> None:
        """Compute and store the stages of a group: fits that share all but start, mask and seed, or one stage of another kind.

        `on_steps` is called with the optimiser steps done since the last call, summed over replicates.

        Another process that computes one of them is waited for, and its result taken.
        """
        upstream = {stage: {s: self.get(s) for s in stage.upstream} for stage in group}
        with self.store.lock([stage.key for stage in group], partial(_say_waiting, self.labels)) if rank() == 0 else nullcontext():
            missing = agreed([stage for stage in group if self.store.read(stage) is None])
            began = time.perf_counter()
            if fits := [stage for stage in missing if isinstance(stage, Fit)]:
                self._train_fits(fits, upstream, on_steps)
            for stage in missing:
                if not isinstance(stage, Fit):
                    artifact = stage.compute(upstream[stage], self)
                    artifact.provenance |= self._provenance(time.perf_counter() - began, stage)
                    if rank() == 0:
                        self.store.write(stage, artifact)
            agreed(None)  # nobody reads before rank 0 has written

    def _train_fits(
        self,
        fits: Sequence[Fit],
        upstream: dict[Stage, dict[Stage, Artifact]],
        on_steps: Callable[[int], None] | None,
    ) -> None:
        states = agreed([self.store.read_partial(f) for f in fits])
        steps = [state[1]["step"] if state else 0 for state in states]
        for step in sorted(set(steps), reverse=True):  # replicates that were interrupted at different steps go on apart
            chosen = [place for place, at in enumerate(steps) if at == step]
            self._train_stack([fits[place] for place in chosen], [states[place] for place in chosen], upstream, on_steps)

    def _train_stack(
        self,
        fits: Sequence[Fit],
        states: Sequence[Any],
        upstream: dict[Stage, dict[Stage, Artifact]],
        on_steps: Callable[[int], None] | None,
    ) -> None:
        from nncompress.train.fit import Replicate, Task, fit

        first = fits[0]
        span = first.begin_step, first.last_step
        transfer_inputs = upstream[first][first.teacher].arrays["inputs"] if isinstance(first.teacher, TransferSet) else None
        task = Task(first.model, first.dataset, first.training, *span, first.distillation, first.adjust_dropout, transfer_inputs, first.sharing)
        masks = [upstream[f][f.mask].masks if f.mask is not None else {} for f in fits]
        replicates = [
            Replicate(
                self.labels.get(f.key, f.key),
                f.seed,
                upstream[f][f.start].weights,
                mask,
                upstream[f][f.teacher].arrays["logits"] if f.teacher is not None else None,
                upstream[f][f.specialty].arrays["special"] if f.specialty is not None else None,
                state,
                upstream[f][f.codebook].codes if f.codebook is not None else {},
            )
            for f, mask, state in zip(fits, masks, states, strict=True)
        ]

        def keep(partial_states: list[Any]) -> None:
            for stage, (arrays, meta) in zip(fits, partial_states, strict=True):
                self.store.write_partial(stage, arrays, meta)

        def tick(done: int) -> None:
            if on_steps is not None:
                on_steps(done * len(fits))

        # Finished fits are cycles of module and Trainer, which hold a hundred megabytes; to collect them takes a fifth of a second.
        if time.monotonic() - self._collected > 5:
            gc.collect()
            self._collected = time.monotonic()
        results = fit(task, replicates, self.runtime, tick, keep)
        if rank() != 0:
            return
        for f, mask, trained in zip(fits, masks, results, strict=True):
            densities = {"density": density(whole_masks(trained.weights) | mask)}
            densities |= {f"density_{name.removesuffix('.weight')}": share for name, share in layer_densities(mask).items()}
            arrays = pack("weights", trained.weights) | pack("mask", mask) | pack("curve", trained.curves)
            arrays |= pack("mixture", trained.mixture)
            self.store.write(f, Artifact(arrays, trained.metrics | densities, self._provenance(trained.seconds, f)))
        for f in fits:
            self.store.drop_partial(f)

    def _provenance(self, seconds: float, stage: Stage) -> dict[str, Any]:
        from nncompress.data import splits

        if isinstance(stage, Netless):
            origin = {"device": device_name("cpu"), "scikit_learn": library_version("scikit-learn")}
            return {**provenance(), **origin, "seconds": seconds, "data": stage.fingerprint(self.settings.data_dir)[:12]}
        fits = [stage] if isinstance(stage, Fit) else [s for s in ancestors([stage]) if isinstance(s, Fit)]
        precision = " and ".join(sorted({fit.training.precision for fit in fits}))
        dataset = getattr(stage, "dataset", None) or fit_of(stage).dataset
        data = splits(dataset, self.settings.data_dir).fingerprint[:12]
        return {**provenance(), "device": device_name(self.settings.device), "seconds": seconds, "precision": precision, "data": data}

    # -- a whole experiment ----------------------------------------------------------------------------------------------------------------

    def missing(self, stages: Sequence[Stage]) -> list[Stage]:
        """The stored kinds of stages that `stages` need and that are not in the store, upstream first."""
        return [stage for stage in ancestors(list(stages)) if stage.stored and not self.store.has(stage)]

    def run(self, rows: Sequence[Row], on_rows: Callable[[list[Row]], None]) -> None:
        """Compute what is missing for the rows. `on_rows` gets rows as their stages are there, those already stored first."""
        measured = {fit.key: row.label for row in reversed(rows) if isinstance(fit := getattr(row.stage, "fit", None), Fit)}
        self.labels = measured | {row.stage.key: row.label for row in reversed(rows)}
        missing = agreed(self.missing([row.stage for row in rows]))
        waiting = set(missing)
        needs = {stage: [s for s in ancestors([stage])[:-1] if s in waiting] for stage in missing}
        if rank() != 0:
            self.say, on_rows = (lambda _: None), (lambda _: None)
        # A row is entered when all that it stands on is there, since its costs count that too: a store may have lost an earlier round of it.
        lacking = [(row, waiting.intersection(ancestors([row.stage]))) for row in rows]
        on_rows([row for row, lacks in lacking if not lacks])
        lacking = [(row, lacks) for row, lacks in lacking if lacks]
        if not missing:
            return
        total = sum(stage.steps for stage in missing if isinstance(stage, Fit))
        bar = tqdm(
            total=total,
            unit="step",
            unit_scale=True,
            smoothing=0.02,
            disable=not self.settings.progress or rank() != 0,
            dynamic_ncols=True,
            file=sys.stderr,
        )
        bar.set_description(f"{len(missing)} stages to do")

        def finished(group: Sequence[Stage], seconds: float) -> None:
            bar.set_description(f"{len(waiting)} stages to do")
            self._announce(group, seconds)
            for _, lacks in lacking:
                lacks.difference_update(group)
            on_rows([row for row, lacks in lacking if not lacks])
            lacking[:] = [(row, lacks) for row, lacks in lacking if lacks]

        try:
            (self._run_here if self.settings.workers == 1 else self._run_pool)(needs, waiting, bar.update, finished)
        finally:
            bar.close()

    def _announce(self, group: Sequence[Stage], seconds: float) -> None:
        first = self.get(group[0])
        names = self.labels.get(group[0].key, type(group[0]).__name__) + (f" and {len(group) - 1} more" if len(group) > 1 else "")
        numbers = [f"validation accuracy {first.metrics['validation_accuracy']:.2%}"] if "validation_accuracy" in first.metrics else []
        numbers += [f"density {first.metrics['density']:.1%}"] if "density" in first.metrics else []
        text = f"done: {names}: {', '.join([*numbers, f'{seconds:.0f} s'])}"
        with tqdm.external_write_mode(file=sys.stderr):
            self.say(text)

    def _groups(self, needs: dict[Stage, list[Stage]], waiting: set[Stage], busy: set[Stage]) -> Iterator[list[Stage]]:
        """Groups that can be computed now, in the recipe's order; quick stages first, since fits that wait for them may share a stack."""
        ready = [s for s, upstream in needs.items() if s in waiting and s not in busy and waiting.isdisjoint(upstream)]
        ready.sort(key=lambda stage: isinstance(stage, Fit))
        fair = sum(_work_of(stage) for stage in (*ready, *busy)) / self.settings.workers
        while ready:
            first = ready[0]
            group: list[Stage] = [first]
            if isinstance(first, Fit):  # a stack as large as serves, but no larger than keeps every worker busy
                same = [s for s in ready if isinstance(s, Fit) and s.shared == first.shared]
                group = [*same[: min(self.settings.most_stacked(first.model), max(1, ceil(fair / max(1, _work_of(first)))))]]
            ready = [s for s in ready if s not in group]
            yield group

    def _run_here(self, needs: dict[Stage, list[Stage]], waiting: set[Stage], tick: Any, finished: Any) -> None:
        while waiting:
            group = next(self._groups(needs, waiting, set()))
            began = time.perf_counter()
            self.train(group, tick)
            waiting -= set(group)
            finished(group, time.perf_counter() - began)

    def _run_pool(self, needs: dict[Stage, list[Stage]], waiting: set[Stage], tick: Any, finished: Any) -> None:
        from nncompress.data import splits

        splits.cache_clear()  # the workers read their own
        for name, value in MEMORY.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker")  # it clears up after Ctrl-C, and need not say so
        context = multiprocessing.get_context("spawn")
        steps = context.SimpleQueue()
        listener = threading.Thread(target=lambda: [tick(n) for n in iter(steps.get, None)], daemon=True)
        listener.start()
        settings = replace(self.settings, workers=1)
        pool = ProcessPoolExecutor(self.settings.workers, context, _start_worker, (settings, self.labels, steps, os.getpid()))
        running: dict[Future[None], tuple[list[Stage], float]] = {}
        try:
            while waiting:
                busy = {stage for group, _ in running.values() for stage in group}
                for group in self._groups(needs, waiting, busy):
                    if len(running) >= self.settings.workers:
                        break
                    running[pool.submit(_work, group)] = (group, time.perf_counter())
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    group, began = running.pop(future)
                    future.result()
                    waiting -= set(group)
                    finished(group, time.perf_counter() - began)
            pool.shutdown()
            steps.put(None)
            listener.join(timeout=5)
        except BaseException as error:  # the listener is left to end with this process: a killed worker may hold the queue's lock for ever
            for process in list((pool._processes or {}).values()):
                process.kill()  # at once; the store has no half entries
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                raise UserError(
                    "a worker process was killed, perhaps for want of memory: start again to go on, with fewer at a time (lab.workers=1)"
                ) from error
            raise


def _work_of(stage: Stage) -> int:
    """Multiply-accumulates of a fit's training, forward; nothing for other stages, which are quick."""
    return stage.steps * stage.training.batch_size * _multiply_accumulates(stage.model) if isinstance(stage, Fit) else 0


@cache
def _multiply_accumulates(model: Model) -> int:
    from nncompress.models import multiply_accumulates

    return multiply_accumulates(model)


def _say_waiting(labels: dict[str, str], key: str) -> None:
    print(f"waiting for another process that computes {labels.get(key, key)}", file=sys.stderr)


_worker: dict[str, Any] = {}


def _start_worker(settings: Settings, labels: dict[str, str], steps: Any, parent: int) -> None:
    """Set up a worker process. It leaves Ctrl-C to its parent and ends when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _worker.update(lab=Lab(settings, say=lambda _: None, labels=labels), steps=steps)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work(group: list[Stage]) -> None:
    _worker["lab"].train(group, _worker["steps"].put)
