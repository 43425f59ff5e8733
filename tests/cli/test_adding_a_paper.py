"""The README's example of a new paper, as it is printed, is a whole experiment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_the_example_of_the_readme_runs_and_is_judged(tmp_path: Path) -> None:
    for name in ("conf", "experiments", "src"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "run.py", tmp_path)
    blocks = re.findall(r'^ *```\w+ title="(\S+)"\n(.*?)^ *```$', (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    files = {name: textwrap.dedent(text) for name, text in blocks}
    assert set(files) == {"experiments/my_paper.py", "conf/experiment/my_paper.yaml", "conf/experiment/smoke/my_paper.yaml"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    command = [sys.executable, "run.py", "experiment=smoke/my_paper", "lab.device=cpu"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ.copy(), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert re.search(r"(reproduced|not reproduced|inconclusive) +slow_ends_lower +ours .*n = 5", done.stdout), done.stdout
    for made in ("records/smoke/my_paper.csv", "tables/smoke/my_paper.md", "claims/smoke/my_paper.csv", "README.md"):
        assert (tmp_path / "results" / made).exists(), made
