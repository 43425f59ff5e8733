"""Every benchmark, one after the other: about 25 minutes on two cores. `make benchmarks` calls this."""

from __future__ import annotations

import subprocess
import sys

from measuring import HERE, NAMES, ROOT, options

if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--store", help="store with all of lottery_ticket in it, for command_line.py")
    given = parser.parse_args()
    shared = ["--quick"] * given.quick + [f"--rounds={given.rounds}"] * bool(given.rounds)
    shared += [f"--data={given.data}"] * (given.data != ROOT / "data")
    for name in NAMES:
        print(f"\n== {name}\n", flush=True)
        own = [f"--store={given.store}"] if given.store and name == "command_line" else []
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *shared, *own])
        if done.returncode:
            sys.exit(done.returncode)
