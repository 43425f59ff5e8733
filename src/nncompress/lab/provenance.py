"""Where a result came from: the commit, the library versions, the device, the day."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[3]
_SOURCES = ("src", "experiments", "conf", "run.py")


def provenance() -> dict[str, Any]:
    """`commit` (short hash, '+dirty' when tracked sources differ from it, 'unknown' outside a repository), versions of `torch`,
    `numpy` and `python`, `date` (UTC day).

    Imports no torch. The commit is that of the first call: later edits do not change the code that a running process has loaded.
    """
    return {
        "commit": _commit(),
        "torch": library_version("torch"),
        "numpy": library_version("numpy"),
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


@cache
def device_name(device: str) -> str:
    """What `device` is: 'cpu (AMD EPYC 7B13, 2 cores)', 'NVIDIA H100 80GB HBM3'."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return f"{device} ({_processor()}, {cores()} core{'' if cores() == 1 else 's'})"


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _commit() -> str:
    # The package may be installed inside somebody else's repository: only the one it is the source of counts.
    head = _git("rev-parse", "--show-toplevel", "--short", "HEAD").split("\n")
    if len(head) != 2 or Path(head[0]).resolve() != _REPOSITORY:
        return "unknown"
    return head[1] + ("+dirty" if _git("status", "--porcelain", "--", *_SOURCES) else "")


def _git(*arguments: str) -> str:
    """The output of git in the repository of the package, empty where it fails. Not the repository that GIT_DIR names, as within a hook."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        command = ["git", "-C", str(_REPOSITORY), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True, env=environment).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


@cache
def library_version(package: str) -> str:
    """The version that is installed, 'unknown' if none is."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine() or "unknown processor"
