"""An experiment that is killed again and again, and started again each time, ends with the records of an undisturbed one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nncompress.lab import records
from nncompress.lab.store import ARRAYS, ENTRY, SUMS, Store
from tests.unit.lab import tiny

ROOT = tiny.ROOT
KILLS = {"loop": 4, "stacked": 20, "workers": 2}
"""How often each kind of run is killed: fits one by one or stacked in the run's own process, or one by one in two worker processes."""
WORDS = [
    "experiment=smoke/lottery_ticket", "lab.device=cpu", "lab.checkpoint_seconds=1e-6", "lab.progress=false",
    "arms=[winning_ticket,rewinding]", "rounds=1", "instability_rounds=[0]", "training.steps=60", "training.evaluate_every=6",
]  # fmt: skip

DRIVER = """
# Imports once, then forks a process for each attempt: `python run.py ...`, killed with its process group after a random while; the first time,
# as soon as it has left a state to go on from. `kills`: how many such states each kill left. `continued`: step and last step of each fit that
# began from one.
import json, os, pathlib, random, signal, sys, time

import run
import hydra, pandas, pytorch_lightning, torch
import nncompress.lab.experiment, nncompress.report.build, nncompress.train.fit
from nncompress.lab import configuration

torch.set_num_threads(1)
folder, wanted, words = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
configuration.request(run.CONF, words)  # what it reads is kept for the attempts
fit = nncompress.train.fit.fit


def note(file, *values):
    with open(f"{folder}/{file}", "a") as lines:
        print(*values, file=lines)


def states(results):
    "Of stages that are not finished."
    partial, finished = pathlib.Path(results, "store", "partial").glob("*"), pathlib.Path(results, "store").glob("??/*")
    return {path.name for path in partial} - {path.name for path in finished}


def attempt(replicates, name, seconds, until_a_state):
    "Whether the run ended by itself within that time."
    results = f"{folder}/{replicates}/{name}"

    def noting(task, stack, *rest):
        for replicate in stack:
            if replicate.state:
                note("continued", replicates, replicate.state[1]["step"], task.last_step)
        return fit(task, stack, *rest)

    nncompress.train.fit.fit = noting
    child = os.fork()
    if child == 0:
        os.setsid()
        log = os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2)
        code = 1
        try:
            sys.argv = ["run.py"]
            how = ["lab.replicates=loop", "lab.workers=2"] if replicates == "workers" else [f"lab.replicates={replicates}", "lab.workers=1"]
            code = run.main([*words, *how, f"lab.results={results}"])
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (until_a_state and states(results)):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if status:
                sys.exit(open(f"{folder}/log").read())
            return True
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    note("kills", replicates, len(states(results)))
    return False


moments = random.Random(20)
for replicates, kills in wanted.items():
    began = time.monotonic()
    attempt(replicates, "undisturbed", 600, False)
    whole = time.monotonic() - began
    history, left = 0, kills
    while left > 0:
        while not attempt(replicates, f"killed_{history}", moments.uniform(0, 0.5 * whole) if 0 < left < kills else 600, left == kills):
            left -= 1
        history += 1
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder <loop or stacked>/<undisturbed or killed_N> for each run, and the file `log` of all that they said."""
    folder = tmp_path_factory.mktemp("interruption")
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    command = [sys.executable, "-c", DRIVER, str(folder), json.dumps(KILLS), *WORDS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def measured(results: Path, kind: str) -> pd.DataFrame:
    return tiny.without_chance(records.read(results / kind / "smoke" / "lottery_ticket.csv"))


def leftovers(root: Path) -> list[Any]:
    """What must not be there after the last run: halves of entries, and states to continue from whose stage is not finished."""
    entries = list(root.glob("??/*"))
    halves = [folder for folder in entries if {file.name for file in folder.iterdir()} != {ARRAYS, ENTRY, SUMS}]
    return halves + [path for path in (root / "partial").glob("*") if path.name not in {folder.name for folder in entries}]


@pytest.mark.slow
@pytest.mark.parametrize("replicates", KILLS)
def test_killed_at_random_moments_and_restarted_a_run_ends_with_the_records_of_an_undisturbed_one(replicates: str, results: Path) -> None:
    """To the last digit: a continued fit ends exactly as an undisturbed one. Of stacked replicates a kill may leave some stored and some not;
    the others then train in a smaller stack, which changes nothing in their numbers."""
    undisturbed, *killed = sorted((results / replicates).iterdir(), key=lambda folder: folder.name != "undisturbed")
    assert len(killed) >= 1
    expected = measured(undisturbed, "records")
    assert len(expected) == 5
    for folder in killed:
        found = measured(folder, "records")
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
        pd.testing.assert_frame_equal(measured(folder, "curves"), measured(undisturbed, "curves"), check_exact=True)
        assert leftovers(folder / "store") == []
        assert {entry.key for entry in Store(folder / "store").entries()} == {entry.key for entry in Store(undisturbed / "store").entries()}
    assert "damaged" not in (results / "log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("replicates", KILLS)
def test_runs_were_killed_while_they_trained_and_went_on_from_the_states_that_they_had_left(replicates: str, results: Path) -> None:
    def noted(file: str) -> list[list[int]]:
        lines = [line.split() for line in (results / file).read_text().splitlines()]
        return [[int(number) for number in numbers] for kind, *numbers in lines if kind == replicates]

    kills = noted("kills")
    assert len(kills) == KILLS[replicates]
    assert any(states > 0 for [states] in kills)
    if replicates != "workers":  # worker processes leave no notes
        assert any(0 < step < last_step for step, last_step in noted("continued"))
