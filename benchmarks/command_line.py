"""How fast the command line answers, and how much memory a run on MNIST takes.

Each command runs in a process of its own, in turn with the others; the time is that of the whole process, from start to end. Memory: of a
short run of every arm of the paper's experiment, the most that all its processes hold together (proportional set size, which counts shared
pages once; sampled, Linux only) and the most that any one of them held (maximum resident set size, as `getrusage` has it).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import measuring
from measuring import Table, Target, options, publish, spread

PAPER = "experiment=lottery_ticket"
SHORT = [  # arms, stacks, data and number of processes are those of the whole run; rounds and steps hardly change what a process holds
    "rounds=2",
    "rewind_steps=[100]",
    "instability_rounds=[0]",
]


@dataclass(frozen=True)
class Command:
    """Arguments of run.py, the code that it must end with, and the seconds that it may take."""

    name: str
    arguments: list[str]
    code: int = 0
    limit: float | None = None


def main() -> None:
    parser = options(__doc__)
    parser.add_argument(
        "--store", type=measuring.path, default=measuring.ROOT / "results" / "store", help="store with all of lottery_ticket in it"
    )
    given = parser.parse_args()
    rounds = given.rounds or (1 if given.quick else 5)
    folder = Path(tempfile.mkdtemp(prefix="benchmark"))
    try:
        measure(given, rounds, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(given: measuring.argparse.Namespace, rounds: int, folder: Path) -> None:
    smoke = ["experiment=smoke/lottery_ticket", f"lab.results={folder / 'smoke'}", "lab.device=cpu"]
    data = f"lab.data_dir={given.data}"
    cached = [PAPER, f"lab.results={folder / 'cached'}", f"lab.store={given.store}", data, "lab.device=cpu"]
    commands = [
        Command("a wrong key: `run.py experiment=lottery_ticket trainng.steps=5`", [PAPER, "trainng.steps=5"], code=2, limit=2),
        Command("the list of experiments: `run.py`", []),
        Command("all cached: `run.py experiment=smoke/lottery_ticket`", smoke),
    ]
    run(smoke, 0)  # fills its store
    why_not = missing(given.store, cached) if measuring.has_mnist(given.data) else "there is no MNIST here"
    if why_not is None:
        commands.append(Command("all cached: `run.py experiment=lottery_ticket`", cached, limit=20))

    seconds: dict[str, list[float]] = {command.name: [] for command in commands}
    for command in commands:
        run(command.arguments, command.code)  # files read once
    for round_ in range(rounds):
        for command in commands:
            began = time.monotonic()
            run(command.arguments, command.code)
            seconds[command.name].append(time.monotonic() - began)
        measuring.progress(f"round {round_ + 1} of {rounds}")

    table = Table({"command": "", "seconds": ".2f"}, [[name, spread(values)] for name, values in seconds.items()])
    targets = [Target(c.name, "<", c.limit, " s", [spread(seconds[c.name])["median"]]) for c in commands if c.limit is not None]
    notes = [f"Medians and quartiles over runs of each in turn, {rounds} here, after one that is not counted."]
    if why_not is not None:
        notes.append(f"Not measured: a cached run of lottery_ticket, since {why_not}.")
    tables = [table]
    if measuring.has_mnist(given.data):
        steps = 200 if given.quick else 600
        short = [PAPER, *SHORT, f"training.steps={steps}", f"lab.results={folder / 'short'}", data, "lab.device=cpu"]
        together, largest = peak_memory(short)
        tables.append(
            Table(
                {"peak memory of a short run of every arm on MNIST": "", "GB": ".2f"},
                [["all processes together", together], ["the largest process", largest]],
            )
        )
        asked = together if together is not None else largest
        targets.append(Target("peak memory of a short run of every arm", "<", 3, " GB", [asked]))
        changes = " ".join(word for word in short if not word.startswith("lab."))
        notes.append(f"The short run: {changes}; every arm of the experiment, as many processes as cores.")
    else:
        notes.append("Memory was not measured: there is no MNIST here.")
    publish("command_line", tables, targets, notes, given)


def words(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, str(measuring.ROOT / "run.py"), *arguments]


def run(arguments: Sequence[str], code: int) -> str:
    """The output of run.py, which must end with this code."""
    done = subprocess.run(words(arguments), capture_output=True, text=True, cwd=measuring.ROOT)
    if done.returncode != code:
        sys.exit(f"run.py {' '.join(arguments)} ended with {done.returncode}, not {code}:\n{done.stderr}")
    return done.stdout


def missing(store: Path, arguments: Sequence[str]) -> str | None:
    """Why the experiment is not all in the store, None if it is."""
    if not store.exists():
        return "there is no store of it (give one with --store)"
    last = run([*arguments, "plan=true"], 0).strip().splitlines()[-1]
    return None if last.startswith("0 of ") else f"its store is not complete ({last.partition(':')[0]})"


# -- memory --------------------------------------------------------------------------------------------------------------------------------


def peak_memory(arguments: Sequence[str]) -> tuple[float | None, float]:
    """GB at the peak of a run: of all its processes together (None where the system does not tell), and of the largest one."""
    process = subprocess.Popen(words(arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=measuring.ROOT)
    peaks, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            peaks.append(sum(map(proportional, family(process.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)  # with the processes that it waited for
    ended.set()
    watcher.join()
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"run.py {' '.join(arguments)} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return max(peaks) / 1e9 or None, usage.ru_maxrss * unit / 1e9


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it ended meanwhile
    return found


def proportional(pid: int) -> int:
    """Proportional set size in bytes."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
