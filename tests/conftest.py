"""What all tests share: one thread, no network, and one finished run of every smoke experiment."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # the first example of a test pays for what is loaded late
settings.load_profile("unhurried")
ROOT = Path(__file__).resolve().parent.parent
for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_MODE", "HYDRA_FULL_ERROR"):
    os.environ.pop(name, None)
os.environ |= {"OMP_NUM_THREADS": "1", "NETRC": os.devnull, "MPLBACKEND": "agg"}

SMOKE = sorted(f"smoke/{path.stem}" for path in (ROOT / "conf" / "experiment" / "smoke").glob("*.yaml"))

Command = Callable[..., subprocess.CompletedProcess[str]]


def run_command(*arguments: str, timeout: float = 240, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python run.py <arguments>` from the repository's folder, its output as text."""
    return subprocess.run(
        [sys.executable, "run.py", *arguments], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=timeout
    )


@pytest.fixture(scope="session")
def command() -> Command:
    return run_command


@dataclass(frozen=True)
class SmokeRun:
    """A finished run of `experiment` whose results lie in `results`."""

    experiment: str
    results: Path
    done: subprocess.CompletedProcess[str]

    @property
    def files(self) -> dict[str, bytes]:
        """Every result but logs and store, by its name."""
        found = [path for path in self.results.rglob("*") if path.is_file()]
        names = {path.relative_to(self.results).as_posix(): path for path in found}
        return {name: path.read_bytes() for name, path in names.items() if name.split("/")[0] not in ("logs", "store")}


@pytest.fixture(scope="session", params=SMOKE)
def smoke_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SmokeRun:
    """The run is a program of its own, with two workers, for one experiment; for the others it is made in this process, which has torch
    imported already."""
    results = tmp_path_factory.mktemp(request.param.replace("/", "_"))
    arguments = (f"experiment={request.param}", f"lab.results={results}", "lab.device=cpu", "logger=csv")
    if request.param == "smoke/lottery_ticket":
        return SmokeRun(request.param, results, run_command(*arguments, "lab.workers=2"))
    import run

    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(ROOT)
        patch.setattr(sys, "argv", ["run.py"])
        code = run.main([*arguments, "lab.workers=1"])
    return SmokeRun(request.param, results, subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue()))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests in parallel processes (`-n`): those that share a costly run go to the same process."""
    given = getattr(item, "callspec", None)
    if given is not None and "smoke_run" in given.params:
        item.add_marker(pytest.mark.xdist_group(given.params["smoke_run"]))
    elif item.path.parent.name == "science" or item.path.name == "test_committed_results.py":
        item.add_marker(pytest.mark.xdist_group(item.path.stem))
