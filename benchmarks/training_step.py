"""A training step of masked LeNet-300-100 (batch 60, Adam, one thread): this project's loop beside a bare loop and a plain Lightning loop.

ours             five stacked replicates, hidden layers in bfloat16: the learner under the Trainer as in a run; evaluation counted apart
bare loop        one replicate in float32, images as tensors in memory, fused Adam, masks multiplied in the forward pass
plain Lightning  one replicate in float32, automatic optimisation, Adam as it comes, masks multiplied in the forward pass, a DataLoader
                 (num_workers 0) that makes a PIL image and then a tensor (torchvision's ToTensor) of every example; once as it comes,
                 and once without the check for CUDA that Lightning turns on and Adam makes at every step
"""

from __future__ import annotations

import measuring
from loops import bare, data_note, ours, pair, plain_lightning, prepare, throughput, uniform_masks
from measuring import Cell, Table, Target, options, publish, ratios, spread

REPLICATES = range(5)
DENSITIES = (1.0, 0.5, 0.2, 0.05)


def main() -> None:
    measuring.as_a_worker()
    parser = options(__doc__)
    parser.add_argument("--blocks", type=int, help="blocks of 100 steps of ours that are timed in a round")
    given = parser.parse_args()
    rounds = given.rounds or (2 if given.quick else 7)
    blocks = given.blocks or (1 if given.quick else 5)
    splits = prepare(given.data)
    seconds: dict[tuple[str, float], list[float]] = {}
    evaluation: dict[float, list[float]] = {density: [] for density in DENSITIES}

    def measure(loop: str, density: float) -> None:
        masks = uniform_masks(density, REPLICATES)
        if loop == "ours":
            timing = ours(masks, blocks, given.data)
            evaluation[density].append(timing.evaluating / timing.steps / len(REPLICATES))
            took = timing.step / len(REPLICATES)
        elif loop == "bare":
            took = bare(masks[0], 100 * blocks, given.data)
        else:
            took = plain_lightning(masks[0], 25 * blocks, given.data, cuda_check=loop == "plain")
        seconds.setdefault((loop, density), []).append(took)

    loops = ["ours", "bare", "plain", "plain unchecked"]
    for round_ in range(rounds):
        for density in DENSITIES:
            for loop in loops:
                measure(loop, density)
        loops = [*loops[1:], loops[0]]  # another one begins
        measuring.progress(f"round {round_ + 1} of {rounds}")

    share = lightning_share(2 if given.quick else 50, given)
    table, targets = compared(seconds, evaluation)
    processes, more = two_processes(rounds, 2 * blocks, given)
    targets += [Target("Lightning's share of our fit", "<", 5, " %", [100 * share]), *more]
    notes = [
        f"Medians and quartiles of {rounds} rounds; in each round the loops run in turn, and ratios are taken within a round. "
        "Milliseconds are of one step of one replicate. All loops run under the memory settings of the lab's workers.",
        "Importing Lightning sets PYTORCH_NVML_BASED_CUDA_CHECK=1, by which Adam looks for a CUDA library on disk at every step. "
        "Plain Lightning keeps the check, as a user's loop would, and the target is for that; the other "
        "column is the same loop with the check off. Ours and the bare loop compute alike: check off, denormal numbers taken as zero.",
        f"Evaluation: {len(splits.validation_y):,} validation images every 100 steps, for all replicates at once; not in the other columns.",
        "Lightning's share: time in `fit()` outside `training_step`, over the time in `fit()`, in a fit of "
        f"{200 if given.quick else 5000:,} steps; what `fit()` does once counts for less in the paper's 50,000.",
        data_note(splits),
    ]
    publish("training_step", [table, *processes], targets, notes, given)


def compared(seconds: dict[tuple[str, float], list[float]], evaluation: dict[float, list[float]]) -> tuple[Table, list[Target]]:
    """The loops at every density, and the targets for their ratios."""
    others = {"bare": "bare loop", "plain": "plain Lightning", "plain unchecked": "plain Lightning, CUDA check off"}
    columns = {"mask density": ".0%", "ours, ms": ".3f"}
    columns |= {f"{name}, ms": ".3f" if loop == "bare" else ".2f" for loop, name in others.items()}
    columns |= {f"{name} / ours": ".2f" if loop == "bare" else ".1f" for loop, name in others.items()}
    table = Table({**columns, "our evaluation, ms": ".3f"})
    medians: dict[str, list[float]] = {loop: [] for loop in others}
    for density in DENSITIES:
        taken = {loop: seconds[loop, density] for loop in ("ours", *others)}
        ratio = {loop: ratios(taken[loop], taken["ours"]) for loop in others}
        for loop, values in medians.items():
            values.append(ratio[loop]["median"])
        *loops, evaluated = (spread([1e3 * s for s in values]) for values in (*taken.values(), evaluation[density]))
        table.rows.append([density, *loops, *ratio.values(), evaluated])
    return table, [
        Target("bare loop / ours, at each density", ">=", 1.8, "×", medians["bare"]),
        Target("plain Lightning as it comes / ours, at each density", ">=", 6, "×", medians["plain"]),
    ]


def lightning_share(blocks: int, given: measuring.argparse.Namespace) -> float:
    """Time of a fit that is not in `training_step`, over all its time."""
    timing = ours(uniform_masks(0.2, REPLICATES), blocks - 1, given.data)
    return 1 - timing.inside / timing.wall


def two_processes(rounds: int, blocks: int, given: measuring.argparse.Namespace) -> tuple[list[Table], list[Target]]:
    """Throughput of two processes of one thread at once, over that of one."""
    if measuring.cores() < 2:
        return [], []
    alone, together = [], []
    with pair(given.data) as processes:
        masks = uniform_masks(0.2, REPLICATES)
        processes.run(2, ours, masks, 1, given.data)  # libraries loaded, data read
        for round_ in range(rounds):
            alone.append(throughput(processes.run(1, ours, masks, blocks, given.data)))
            together.append(throughput(processes.run(2, ours, masks, blocks, given.data)))
            measuring.progress(f"processes: round {round_ + 1} of {rounds}")
    replicates = len(REPLICATES)
    head = {"processes of one thread": "", "replicate-steps a second, evaluation included": ".0f", "times one process": ".2f"}
    ratio = ratios(together, alone)
    rows: list[list[Cell]] = [["1", spread([replicates * t for t in alone]), None], ["2", spread([replicates * t for t in together]), ratio]]
    return [Table(head, rows)], [Target("throughput of two processes / one", ">=", 1.6, "×", [ratio["median"]])]


if __name__ == "__main__":
    main()
