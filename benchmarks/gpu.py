"""On a GPU: a step of five stacked replicates beside a step of one, and how long the ticket + reinit figure takes there.

The figure is an estimate from short fits at each density, with evaluation, scaled to 50,000 steps. The lab trains there in one process, the
ticket and the reinit nets of one round in one stack. Without a GPU this says so and measures nothing.
"""

from __future__ import annotations

import measuring
from loops import data_note, ours, paper, prepare, uniform_masks, whole_fit
from measuring import Table, Target, options, publish, ratios, spread
from whole_figure import density, only_once

DENSITIES = (1.0, 0.2)
MINUTES = 10


def main() -> None:
    given = options(__doc__).parse_args()
    import torch

    if not torch.cuda.is_available():
        print("No GPU is visible here: nothing was measured, and the results of an earlier run are left as they are.")
        return
    rounds, blocks = (2, 1) if given.quick else (given.rounds or 7, 10)
    config, splits = paper(), prepare(given.data)
    table = Table({"mask density": ".0%", "a step of one replicate, ms": ".3f", "a step of five, ms": ".3f", "five / one": ".2f"})
    seconds: dict[tuple[int, float], list[float]] = {(count, d): [] for count in (1, 5) for d in DENSITIES}
    for round_ in range(rounds):
        for count, d in seconds:
            seconds[count, d].append(ours(uniform_masks(d, range(count)), blocks, given.data, "cuda").step)
        measuring.progress(f"round {round_ + 1} of {rounds}")
    for d in DENSITIES:
        one, five = seconds[1, d], seconds[5, d]
        table.rows.append([d, spread([1e3 * s for s in one]), spread([1e3 * s for s in five]), ratios(five, one)])

    shown = [0, 10, 20] if given.quick else list(range(config.rounds + 1))
    figure = Table({"density": ".1%", "replicates in the stack": ".0f", "a step of the stack with evaluation, ms": ".3f", "one fit, s": ".1f"})
    fits = {}
    for r in shown:
        masks = config.masks(r, config.seeds) * (1 if r == 0 else 2)  # the ticket and the reinit nets
        timing = whole_fit(masks, blocks, given.data, "cuda")
        fits[r] = timing.evaluated_step * config.training.steps + only_once(timing)
        figure.rows.append([density(masks[0]), len(masks), 1e3 * timing.evaluated_step, fits[r]])
        measuring.progress(f"density {density(masks[0]):.1%}")
    from numpy import interp

    minutes = sum(float(interp(r, list(fits), list(fits.values()))) for r in range(config.rounds + 1)) / 60
    summary = Table({"the whole figure on the GPU": "", "minutes": ".1f"}, [["**estimate** from the steps below", minutes]])
    targets = [
        Target(
            "a step of five stacked replicates / of one", "<=", 1.5, "×", [row[3]["median"] for row in table.rows if isinstance(row[3], dict)]
        ),
        Target("the whole figure, estimated", "<=", MINUTES, " min", [minutes]),
    ]
    notes = [
        f"Steps of one and of five: medians and quartiles of {rounds} rounds, in turn, evaluation not counted.",
        f"The estimate is for {len(config.seeds)} seeds × ({config.rounds + 1} densities of the winning ticket + {config.rounds} of random "
        f"reinit) × {config.training.steps:,} steps, one stack after the other; {100 * blocks} steps a fit are timed, after 100 that are not.",
        data_note(splits),
    ]
    publish("gpu", [table, summary, figure], targets, notes, given, "cuda")


if __name__ == "__main__":
    main()
