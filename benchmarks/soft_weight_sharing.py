"""A step under a mixture prior beside a plain step: LeNet-300-100, batch 256, 17 components, one thread.

All are this project's learner under the Trainer, five stacked seeds and one alone; evaluation is not counted. The exact form evaluates every
component at every weight and differentiates that by autograd; it is what the table replaces.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from unittest import mock

import measuring
import yaml
from loops import data_note, paper, prepare, timed_fit
from measuring import Table, Target, options, publish, ratios, spread
from pydantic import TypeAdapter

from nncompress.models import initial_weights
from nncompress.train import fit as training_module
from nncompress.train.fit import Replicate, Task
from nncompress.train.prior import MixturePrior, exact_gradients
from nncompress.types import SoftSharing, Training

STACKS = (5, 1)
LOOPS = ("plain", "table", "exact")


@cache
def settings() -> tuple[Training, SoftSharing]:
    """The training under the mixture of conf/experiment/soft_weight_sharing.yaml, upon what it inherits."""
    read = {
        name: yaml.safe_load((measuring.ROOT / "conf" / f"{name}.yaml").read_text()) for name in ("han/nets", "experiment/soft_weight_sharing")
    }
    base, own = read["han/nets"]["retraining"], read["experiment/soft_weight_sharing"]
    return TypeAdapter(Training).validate_python(base | own["retraining"]), TypeAdapter(SoftSharing).validate_python(own["sharing"])


def seconds(count: int, loop: str, block: int, blocks: int, data_dir: Path) -> float:
    """Of one step of so many stacked nets; a block of so many steps goes before those that are timed."""
    training, sharing = settings()
    training, model = replace(training, evaluate_every=block), paper().model
    prepare(data_dir)
    task = Task(model, paper().dataset, training, 0, block * (1 + blocks), sharing=None if loop == "plain" else sharing)
    stack = [Replicate(f"net {seed}", seed, initial_weights(model, seed)) for seed in range(count)]
    if loop != "exact":
        return timed_fit(task, stack, data_dir).step
    with mock.patch.object(training_module, "MixturePrior", partial(MixturePrior, gradients=exact_gradients)):
        return timed_fit(task, stack, data_dir).step


def main() -> None:
    measuring.as_a_worker()
    parser = options(__doc__)
    given = parser.parse_args()
    rounds, block, blocks = given.rounds or (2 if given.quick else 9), 2 if given.quick else settings()[0].evaluate_every, 1
    splits = prepare(given.data)
    taken: dict[tuple[int, str], list[float]] = {(count, loop): [] for count in STACKS for loop in LOOPS}
    for round_ in range(rounds):
        for count in STACKS:
            for loop in LOOPS if round_ % 2 else LOOPS[::-1]:  # each begins as often
                few = (2, 1) if loop == "exact" else (block, blocks)  # a step of it takes as long as twenty-five
                taken[count, loop].append(seconds(count, loop, *few, given.data))
        measuring.progress(f"round {round_ + 1} of {rounds}")

    table = Table(
        {
            "nets": "",
            "plain step, ms": ".2f",
            "with the prior, ms": ".2f",
            "exact form, ms": ".1f",
            "prior / plain": ".3f",
            "exact / plain": ".1f",
        }
    )
    medians = []
    for count in STACKS:
        plain, near, exact = (taken[count, loop] for loop in LOOPS)
        ratio = ratios(near, plain)
        medians.append(ratio["median"])
        steps = (spread([1e3 * s / count for s in values]) for values in (plain, near, exact))
        table.rows.append([f"{count} stacked" if count > 1 else "1", *steps, ratio, ratios(exact, plain)])
    notes = [
        f"Medians and quartiles of {rounds} rounds of {block * blocks} steps, of the exact form 2; in each round the loops run in turn, and "
        "ratios are taken within a round. Milliseconds are of one step of one net. The course of the mixture is noted after the last, as after "
        "as many in the experiment; after two of the exact form.",
        data_note(splits),
    ]
    publish("soft_weight_sharing", [table], [Target("step with the prior / plain step", "<=", 1.5, "×", medians)], notes, given)


if __name__ == "__main__":
    main()
