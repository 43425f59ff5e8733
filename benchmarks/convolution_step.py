"""A training step of LeNet-5 (batch 64, SGD with momentum, one thread) in this project's loop beside bare loops of torch.

ours             one replicate: the learner under the Trainer as in a run, hidden layers in bfloat16; evaluation is not counted
bare, float32    nothing but torch: images as tensors in memory, fused SGD, channels first in memory, as tensors come
bare, bfloat16   the same under torch's automatic mixed precision
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import measuring
import torch
import yaml
from loops import bare_loop, data_note, float_images, paper, prepare, timed_fit
from measuring import Table, Target, options, publish, ratios, spread
from pydantic import TypeAdapter
from torch import nn

from nncompress.models import initial_weights
from nncompress.train import fit as training
from nncompress.types import Model, Training

MODEL = Model("lenet_5_relu")


@cache
def settings(block: int) -> Training:
    """Those of conf/han, evaluated every `block` steps."""
    nets, own = (yaml.safe_load((measuring.ROOT / "conf" / "han" / f"{name}.yaml").read_text()) for name in ("nets", "lenet_5"))
    return TypeAdapter(Training).validate_python({**nets["training"], **own["training"], "evaluate_every": block})


def ours(block: int, blocks: int, data_dir: Path) -> float:
    """Seconds of a step."""
    task = training.Task(MODEL, paper().dataset, settings(block), 0, block * (1 + blocks))
    return timed_fit(task, [training.Replicate("replicate", 0, initial_weights(MODEL, 0))], data_dir).step


def bare(steps: int, data_dir: Path, mixed: bool, warm_up: int = 10) -> float:
    """Seconds of a step. As ours it takes denormal numbers as zero."""
    images, labels = float_images(data_dir)
    images = images.view(-1, 1, 28, 28)
    config = settings(1)
    first = [nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    net = nn.Sequential(*first, nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))
    optimizer = torch.optim.SGD(
        net.parameters(), lr=config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay, fused=True
    )
    return bare_loop(net, optimizer, images, labels, config.batch_size, steps, warm_up, mixed)


def main() -> None:
    measuring.as_a_worker()
    parser = options(__doc__)
    parser.add_argument("--blocks", type=int, help="blocks of 20 steps that are timed in a round")
    given = parser.parse_args()
    rounds, block = given.rounds or (2 if given.quick else 9), 4 if given.quick else 20
    blocks = given.blocks or (1 if given.quick else 4)
    splits = prepare(given.data)
    taken: dict[str, list[float]] = {"ours": [], "float32": [], "bfloat16": []}
    loops = list(taken)
    for round_ in range(rounds):
        for loop in loops:
            taken[loop].append(ours(block, blocks, given.data) if loop == "ours" else bare(block * blocks, given.data, loop == "bfloat16"))
        loops = [*loops[1:], loops[0]]  # another one begins
        measuring.progress(f"round {round_ + 1} of {rounds}")

    table = Table({"loop": "", "a step, ms": ".2f", "its time / ours": ".2f"})
    for loop, name in (("ours", "ours"), ("float32", "bare, float32"), ("bfloat16", "bare, bfloat16")):
        table.rows.append([name, spread([1e3 * s for s in taken[loop]]), ratios(taken[loop], taken["ours"])])
    notes = [
        f"Medians and quartiles of {rounds} rounds of {block * blocks} steps; in each round the loops run in turn, and ratios are taken "
        "within a round.",
        data_note(splits),
    ]
    asked = [ratios(taken["float32"], taken["ours"])["median"]]
    publish("convolution_step", [table], [Target("bare loop in float32 / ours", ">=", 1.5, "×", asked)], notes, given)


if __name__ == "__main__":
    main()
