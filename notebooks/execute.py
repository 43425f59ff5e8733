"""`python notebooks/execute.py [NAME ...]`: executes the notebooks, all or those named, again and in place, on the results as they are."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent / "src"))

from nncompress.report.figures import in_palette

PNG = "image/png"


def execute(path: Path) -> None:
    """Times of execution are left out, so that what has not changed shows no difference, and pictures have the few colours of the report's."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, record_timing=False, resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    for output in outputs:
        if PNG in output.get("data", {}):
            output.data[PNG] = base64.b64encode(in_palette(base64.b64decode(output.data[PNG]))).decode()
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for path in [FOLDER / f"{name}.ipynb" for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        execute(path)
