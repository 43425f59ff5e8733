"""Several processes: workers that end with their parent, and one fit shared by two of them."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock, Timeout

from nncompress.errors import UserError
from nncompress.lab import lab as lab_module
from nncompress.lab.lab import Lab
from nncompress.lab.processes import agreed, rank, world
from nncompress.lab.stage import ancestors
from nncompress.lab.stages import Fit
from tests.unit.lab import tiny

ROOT = tiny.ROOT
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}


def script(folder: Path, code: str) -> Path:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(code))
    return path


def test_one_process_is_rank_0_of_1_and_agrees_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    thing = object()
    assert (rank(), world()) == (0, 1)
    assert agreed(thing) is thing


def test_a_launcher_tells_each_process_its_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    assert (rank(), world()) == (3, 4)


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        import multiprocessing, os, sys, time
        from filelock import FileLock
        from nncompress.lab import lab

        def work(parent):
            lab.Lab = lambda *_, **__: None  # needs torch
            lock = FileLock(sys.argv[1] + ".lock")
            lock.acquire()
            lab._start_worker(None, {}, None, parent)
            open(sys.argv[1], "w").close()
            while True:
                time.sleep(60)

        if __name__ == "__main__":
            worker = multiprocessing.get_context("spawn").Process(target=work, args=(os.getpid(),))
            worker.start()
            worker.join()
        """,
    )
    ready = tmp_path / "ready"
    parent = subprocess.Popen([sys.executable, path, ready], env=ENVIRONMENT)
    while not ready.exists():
        assert parent.poll() is None
        time.sleep(0.02)
    with pytest.raises(Timeout):
        FileLock(f"{ready}.lock").acquire(timeout=0)
    parent.kill()
    parent.wait()
    FileLock(f"{ready}.lock").acquire(timeout=30)  # the worker held it until it ended


def test_a_worker_that_is_killed_ends_the_run_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait_in_vain(*given: Any, **named: Any) -> Any:
        for process in multiprocessing.active_children():
            process.kill()
        return wait(*given, **named)

    monkeypatch.setattr(lab_module, "wait", wait_in_vain)
    with pytest.raises(UserError, match=r"^a worker process was killed, perhaps for want of memory: start again"):
        tiny.run(tiny.experiment(), tiny.settings(tmp_path, workers=2))


SHARED = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.05, "steps": 40, "evaluate_every": 20}


@pytest.mark.slow
def test_two_processes_that_share_each_batch_train_the_nets_of_one_and_only_rank_0_writes(tmp_path: Path) -> None:
    path = script(
        tmp_path,
        f"""
        import os, sys
        from pathlib import Path
        from nncompress.lab import records
        from nncompress.lab.store import Store
        from tests.unit.lab import tiny

        def noted(function):
            def call(*given, **named):
                with open(f"{{sys.argv[1]}}/wrote_{{os.environ['RANK']}}", "a") as file:
                    print(function.__name__, file=file)
                return function(*given, **named)
            return call

        Store.write, Store.write_partial, Store.drop_partial, records.upsert = map(
            noted, (Store.write, Store.write_partial, Store.drop_partial, records.upsert)
        )
        settings = tiny.settings(Path(sys.argv[1]), checkpoint_seconds=1e-6, trainer={{"devices": 2, "strategy": "ddp"}})
        made = tiny.experiment({SHARED}, arms=["winning_ticket", "random_reinit", "rewinding", "instability"], control_seeds=[0])
        found = tiny.run(made, settings)
        assert len(found) == len(made.rows())
        """,
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(path), str(tmp_path)]
    done = subprocess.run(launch, env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not (tmp_path / "wrote_1").exists()
    assert {"write", "write_partial", "drop_partial", "upsert"} == set((tmp_path / "wrote_0").read_text().split())

    made = tiny.experiment(SHARED, arms=["winning_ticket", "random_reinit", "rewinding", "instability"], control_seeds=[0])
    shared, alone = Lab(tiny.settings(tmp_path)), Lab(tiny.settings(tmp_path / "alone"))
    fits = [stage for stage in ancestors([row.stage for row in made.rows()]) if isinstance(stage, Fit)]
    assert shared.missing([row.stage for row in made.rows()]) == []
    alone.run(made.rows(), lambda _: None)
    for fit in fits:
        one, two = alone.get(fit), shared.get(fit)
        for name, weights in one.weights.items():
            np.testing.assert_allclose(two.weights[name], weights, atol=1e-5, rtol=0)
        for name, mask in one.masks.items():
            np.testing.assert_array_equal(two.masks[name], mask)
        assert two.metrics == pytest.approx(one.metrics, abs=1e-4)
