"""A step of distillation from stored logits beside a step that learns the labels alone: 784-800-800-10, batch 100, one thread.

Both are this project's learner under the Trainer, five stacked seeds and one alone; evaluation is not counted.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import measuring
import numpy as np
import yaml
from loops import data_note, paper, prepare, timed_fit
from measuring import Table, Target, options, publish, ratios, spread
from pydantic import TypeAdapter

from nncompress.models import initial_weights
from nncompress.train.fit import Replicate, Task
from nncompress.types import Distillation, Model, Training

STACKS = (5, 1)
DISTILLATION = Distillation(temperature=20, hard_weight=0.1)
"""That of conf/experiment/hinton_mnist.yaml."""


@cache
def student() -> tuple[Model, Training]:
    """The net and its training of conf/hinton/plain.yaml."""
    values = yaml.safe_load((measuring.ROOT / "conf" / "hinton" / "plain.yaml").read_text())
    return TypeAdapter(Model).validate_python(values["student"]), TypeAdapter(Training).validate_python(values["training"])


def seconds(count: int, distilled: bool, block: int, blocks: int, data_dir: Path) -> float:
    """Of one step of so many stacked students; a block of so many steps goes before those that are timed."""
    model, training = student()
    training = replace(training, evaluate_every=block)
    examples = len(prepare(data_dir).train_y)
    task = Task(model, paper().dataset, training, 0, block * (1 + blocks), DISTILLATION if distilled else None)
    logits = [np.random.default_rng(seed).normal(0, 5, (examples, 10)).astype(np.float32) if distilled else None for seed in range(count)]
    stack = [Replicate(f"student {seed}", seed, initial_weights(model, seed), teacher_logits=logits[seed]) for seed in range(count)]
    return timed_fit(task, stack, data_dir).step


def main() -> None:
    measuring.as_a_worker()
    parser = options(__doc__)
    parser.add_argument("--blocks", type=int, help="blocks of 20 steps that are timed in a round")
    given = parser.parse_args()
    rounds, block = given.rounds or (2 if given.quick else 9), 4 if given.quick else 20
    blocks = given.blocks or (1 if given.quick else 4)
    splits = prepare(given.data)
    taken: dict[tuple[int, bool], list[float]] = {(count, taught): [] for count in STACKS for taught in (False, True)}
    for round_ in range(rounds):
        for count in STACKS:
            for taught in (False, True) if round_ % 2 else (True, False):  # each begins as often
                taken[count, taught].append(seconds(count, taught, block, blocks, given.data))
        measuring.progress(f"round {round_ + 1} of {rounds}")

    table = Table({"students": "", "plain step, ms": ".2f", "distillation step, ms": ".2f", "distillation / plain": ".3f"})
    medians = []
    for count in STACKS:
        plain, distilled = taken[count, False], taken[count, True]
        ratio = ratios(distilled, plain)
        medians.append(ratio["median"])
        steps = (spread([1e3 * s / count for s in values]) for values in (plain, distilled))
        table.rows.append([f"{count} stacked" if count > 1 else "1", *steps, ratio])
    notes = [
        f"Medians and quartiles of {rounds} rounds of {block * blocks} steps; in each round the two loops run in turn, and ratios are taken "
        "within a round. Milliseconds are of one step of one student.",
        "The teacher's logits are random numbers: a step does not depend on them.",
        data_note(splits),
    ]
    publish("distillation_step", [table], [Target("distillation step / plain step", "<=", 1.15, "×", medians)], notes, given)


if __name__ == "__main__":
    main()
