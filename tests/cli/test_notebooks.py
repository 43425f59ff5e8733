"""Every committed notebook runs from top to bottom on the committed results, and was committed executed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted(Path("notebooks").glob("*.ipynb"))


def test_there_is_a_notebook_for_the_lottery_ticket() -> None:
    assert "lottery_ticket" in [path.stem for path in NOTEBOOKS]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom_without_torch_and_says_what_was_committed(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    committed = words(notebook)
    notebook.cells.append(nbformat.v4.new_code_cell("assert 'torch' not in sys.modules"))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": "notebooks"}}).execute()
    assert words(notebook)[:-1] == committed, "the results have changed: execute the notebook again and commit it with them"


def words(notebook: Any) -> list[list[str]]:
    """What each code cell printed or showed as text; the names that pandas draws for its styles are left out."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    found = []
    for cell in cells:
        shown = [output.get("text") or output.data.get("text/markdown") or output.data.get("text/html", "") for output in cell.outputs]
        found.append([re.sub(r"T_[0-9a-f]{5}", "T", text) for text in shown])
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_executed(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert cells and all(cell.execution_count for cell in cells)
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
