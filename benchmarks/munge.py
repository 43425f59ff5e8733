"""How long MUNGE takes for the synthetic cases of the largest transfer set of model_compression: 396,000 from 4,000, asked for in a minute.

LETTER    16 continuous attributes
ADULT     6 continuous and 8 nominal attributes

The cases are drawn uniformly. All passes cost the same, so some of them are timed and the time of 99 is counted.
"""

from __future__ import annotations

import time

from measuring import Cell, Table, Target, options, publish, spread  # first, since it sets the threads

import numpy as np  # isort: skip

from nncompress.data.cases import Cases
from nncompress.synthesis import munge

REAL, PASSES = 4_000, 99
ATTRIBUTES = {"LETTER": (16, ()), "ADULT": (6, (7, 16, 7, 14, 6, 5, 2, 41))}


def main() -> None:
    given = options(__doc__).parse_args()
    rounds, real = given.rounds or (1 if given.quick else 5), 400 if given.quick else REAL
    table = Table({"attributes of": "", "continuous": "", "nominal": "", "a pass, s": ".3f", f"{PASSES} passes, s": ".1f"})
    targets = []
    for name, (continuous, values) in ATTRIBUTES.items():
        draw = np.random.default_rng(0)
        nominal = np.array([draw.integers(0, count, real) for count in values], np.uint8).reshape(len(values), real).T
        cases = Cases(draw.random((real, continuous), np.float32), nominal)
        took = [seconds(cases, seed) for seed in range(rounds)]
        whole = spread([PASSES * each for each in took])
        row: list[Cell] = [name, str(continuous), str(len(values)), spread(took), whole]
        table.rows.append(row)
        targets.append(Target(f"{name}: {PASSES * real:,} cases from {real:,}", "<=", 60, " s", [whole["median"]]))
    notes = [f"Processor seconds of one thread; medians and quartiles of {rounds} passes, p = 0.5 and s = 1."]
    publish("munge", [table], targets, notes, given)


def seconds(cases: Cases, seed: int) -> float:
    """Processor seconds of one pass."""
    began = time.process_time()
    munge(cases, len(cases), 0.5, 1.0, seed)
    return time.process_time() - began


if __name__ == "__main__":
    main()
