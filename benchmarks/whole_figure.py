"""How long the ticket + reinit figure takes on this machine's processor: five seeds, every density, 50,000 steps a fit, two processes.

An estimate: at each density two processes train a stack of five for a short while at the same time, as the lab's two workers do, with
evaluation; that is scaled to 50,000 steps, and what a fit does once (set-up, tracing, the final measurement of every split) is added. Beside
it stands what the fits in the committed records add up to: no time that a clock showed, so no target is held against it.
"""

from __future__ import annotations

import csv
from pathlib import Path

import measuring
from loops import Timing, data_note, pair, paper, prepare, whole_fit
from measuring import Table, Target, options, publish, spread

WORKERS = 2
HOURS = 2.5
ARMS = ("winning_ticket", "random_reinit")


def main() -> None:
    measuring.as_a_worker()
    parser = options(__doc__)
    parser.add_argument("--blocks", type=int, help="blocks of 100 steps that are timed at each density")
    parser.add_argument("--records", type=measuring.path, default=measuring.ROOT / "results" / "records" / "lottery_ticket.csv")
    given = parser.parse_args()
    passes = given.rounds or (1 if given.quick else 3)
    blocks = given.blocks or (1 if given.quick else 4)
    config = paper()
    rounds = [0, 10, 20] if given.quick else list(range(config.rounds + 1))
    splits = prepare(given.data)

    step: dict[int, list[float]] = {round_: [] for round_ in rounds}
    once: dict[int, list[float]] = {round_: [] for round_ in rounds}
    with pair(given.data) as processes:
        masks = {round_: config.masks(round_, config.seeds) for round_ in rounds}
        processes.run(2, whole_fit, masks[rounds[0]], 1, given.data)  # libraries loaded, data read
        for number in range(passes):
            for round_ in rounds:
                timings = processes.run(2, whole_fit, masks[round_], blocks, given.data)
                step[round_].append(sum(t.evaluated_step for t in timings) / len(timings))
                once[round_].append(sum(map(only_once, timings)) / len(timings))
                measuring.progress(f"pass {number + 1} of {passes}, density {density(masks[round_][0]):.1%}")

    replicates = len(config.seeds)
    fits = {r: [s * config.training.steps + o for s, o in zip(step[r], once[r], strict=True)] for r in rounds}  # seconds of one stack
    table = Table({"density": ".1%", "replicate-step with evaluation, ms": ".3f", "one fit of five replicates, min": ".1f"})
    for r in rounds:
        table.rows.append([density(masks[r][0]), spread([1e3 * s / replicates for s in step[r]]), spread([f / 60 for f in fits[r]])])
    hours = [estimate({r: fits[r][number] for r in rounds}, config.rounds) for number in range(passes)]
    summary = Table({"the whole figure on two cores": "", "hours": ".2f"}, [["**estimate** from the steps below", spread(hours)]])
    targets = [Target("the whole figure, estimated", "<=", HOURS, " h", [spread(hours)["median"]])]
    notes = [
        f"The estimate is for {replicates} seeds × ({config.rounds + 1} densities of the winning ticket + {config.rounds} of random reinit; "
        f"the dense nets of both are the same) × {config.training.steps:,} steps, in {WORKERS} processes: half of all fits' time, or the chain "
        "of winning tickets, each of which waits for the one before, whichever is longer. Random masks of the paper's layer densities stand "
        "for the real ones.",
        f"Medians and quartiles over passes through all densities, {passes} here; {100 * blocks} steps a fit are timed, after 100 untimed.",
        data_note(splits),
    ]
    recorded, note = from_records(given.records, config.rounds, config.seeds)
    if recorded is not None:
        summary.rows.append([f"summed time of the fits in the committed records / {WORKERS} processes", recorded])
    publish("whole_figure", [summary, table], targets, [*notes, note], given)


def density(mask: object) -> float:
    from nncompress.prune import density as share

    return share(mask) if mask else 1.0  # type: ignore[arg-type]


def only_once(timing: Timing) -> float:
    """Seconds of a fit that do not grow with its steps: one block before the timed ones is steps, all else is not."""
    return max(0.0, timing.wall - (timing.steps + timing.block) * timing.evaluated_step)


def estimate(fits: dict[int, float], rounds: int) -> float:
    """Hours of the figure, from the seconds of a fit at the rounds measured; rounds between them are interpolated."""
    from numpy import interp

    of = [float(interp(r, list(fits), list(fits.values()))) for r in range(rounds + 1)]
    return max((sum(of) + sum(of[1:])) / WORKERS, sum(of)) / 3600


def from_records(path: Path, rounds: int, seeds: list[int]) -> tuple[float | None, str]:
    """Hours of the recorded fits summed, over the number of processes, and a note; None without records of all of them."""
    if not path.exists():
        return None, "There are no committed records yet."
    with open(path, newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["arm"] in ARMS and r["scale"] == "paper" and not r["variant"] and int(r["seed"]) in seeds]
    wanted = len(seeds) * (2 * rounds + 1)
    if len(rows) != wanted:
        return None, f"The committed records hold {len(rows)} fits, not the {wanted} of the whole figure: their time is not given."
    hours = sum(float(row["seconds"]) for row in rows) / WORKERS / 3600
    devices = ", ".join(sorted({row["device"] for row in rows}))
    return hours, (
        f"The summed time is that of `seconds` over the {wanted} fits in results/records/{path.name} (each replicate's share of its stack), "
        f"divided by {WORKERS} as if that many processes had never waited; no clock showed it, so it has no target. The fits ran on {devices}, "
        "and whatever else ran there at the time is in it."
    )


if __name__ == "__main__":
    main()
