"""What all benchmarks share: their options, medians with spreads, the files they leave, and the numbers in README.md. Imports no torch.

`python benchmarks/measuring.py` writes the tables of README.md again from results/*.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "benchmarks"
RESULTS = HERE / "results"
README = HERE / "README.md"
NAMES = (
    "training_step",
    "convolution_step",
    "distillation_step",
    "soft_weight_sharing",
    "whole_figure",
    "command_line",
    "storage",
    "munge",
    "gpu",
)
PACKAGES = ("torch", "torchvision", "pytorch-lightning", "numpy", "constriction")

sys.path[:0] = [str(ROOT), str(ROOT / "src")]
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before torch is imported, here and in every child

Spread = dict[str, float]
"""`median`, `low`, `high` (the quartiles) and `n` of repeated measurements."""
Cell = str | float | Spread | None


@dataclass
class Table:
    """`columns`: name -> format of its numbers, such as '.2f'. A cell that was not measured is None."""

    columns: dict[str, str]
    rows: list[list[Cell]] = field(default_factory=list)


@dataclass
class Target:
    """What is asked for: every one of `values` at least (`sense` '>=') or at most ('<=', '<') the bound."""

    what: str
    sense: str
    bound: float
    unit: str
    values: list[float]

    @property
    def verdict(self) -> str:
        holds = {">=": lambda v: v >= self.bound, "<=": lambda v: v <= self.bound, "<": lambda v: v < self.bound}[self.sense]
        met = sum(map(holds, self.values))
        return "met" if met == len(self.values) else "missed" if met == 0 else f"met by {met} of {len(self.values)}"


def path(text: str) -> Path:
    """A path of the command line; benchmarks start other processes elsewhere."""
    return Path(text).resolve()


def as_a_worker() -> None:
    """Start this script again with the memory settings of the lab's worker processes, under which all loops are then compared."""
    from nncompress.lab.lab import MEMORY

    if any(os.environ.get(name) != value for name, value in MEMORY.items()):
        os.environ.update(MEMORY)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny settings, to see that it works; results go to benchmarks/results/quick")
    parser.add_argument("--rounds", type=int, help="how often everything is measured in turn")
    parser.add_argument("--data", type=path, default=ROOT / "data", help="folder with mnist.npz; random images if it has none")
    return parser


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return {"median": statistics.median(values), "low": low, "high": high, "n": len(values)}


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """The spread of the ratios within each round, in which noise of the machine that lasts longer than a round cancels."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_mnist(data_dir: Path) -> bool:
    """Whether MNIST can be read there without a download."""
    return (data_dir / "mnist.npz").exists() or any((data_dir / "MNIST" / "raw").glob("train-images-idx3-ubyte*"))


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# -- what a benchmark leaves ---------------------------------------------------------------------------------------------------------------


def publish(
    name: str, tables: Sequence[Table], targets: Sequence[Target], notes: Sequence[str], given: argparse.Namespace, device: str = "cpu"
) -> None:
    """Print a benchmark's tables and write them to results/<name>.json and .md and, unless it was a quick one, into README.md."""
    result = {
        "name": name,
        "command": " ".join(["python", f"benchmarks/{name}.py", *_as_written(sys.argv[1:])]),
        "quick": given.quick,
        "provenance": _provenance(device),
        "tables": [asdict(table) for table in tables],
        "targets": [{**asdict(target), "verdict": target.verdict} for target in targets],
        "notes": list(notes),
    }
    folder = RESULTS / "quick" if given.quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    (folder / f"{name}.md").write_text(markdown(result))
    print(markdown(result))
    if not given.quick:
        fill_readme()


def _as_written(arguments: Sequence[str]) -> list[str]:
    """Arguments as one would type them in the repository's folder; of a path elsewhere only its last name is anybody's business."""
    return [re.sub(r"(^|=)/(?:[^/]+/)*", r"\1.../", word.replace(f"{ROOT}/", "")) for word in arguments]


def _provenance(device: str) -> dict[str, Any]:
    from nncompress.lab.provenance import device_name, provenance

    packages = {}
    for package in PACKAGES:
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = "unknown"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"device": device_name(device), **provenance(), "packages": packages, "load_at_the_end": load}


def markdown(result: Mapping[str, Any]) -> str:
    """A result, as its JSON file holds it, as Markdown."""
    origin = result["provenance"]
    packages = ", ".join(f"{name} {number}" for name, number in origin["packages"].items())
    lines = [
        f"`{result['command']}` on {origin['device']}, {origin['date']}, commit {origin['commit']}; Python {origin['python']}, {packages}."
    ]
    if result["quick"]:
        lines += ["", "**A quick run: it shows that the benchmark works; its numbers mean nothing.**"]
    for table in result["tables"]:
        formats = list(table["columns"].values())
        rows = [[_text(cell, how) for cell, how in zip(row, formats, strict=True)] for row in table["rows"]]
        lines += ["", *_grid(list(table["columns"]), rows)]
    if result["targets"]:
        rows = [[t["what"], f"{_sign(t['sense'])} {t['bound']:g}{t['unit']}", _range(t), t["verdict"]] for t in result["targets"]]
        lines += ["", *_grid(["target", "asked for", "measured", "verdict"], rows)]
    lines += ["", *(f"- {note}" for note in result["notes"])]
    return "\n".join(lines).rstrip() + "\n"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def _text(cell: Cell, how: str) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, dict):
        return f"{cell['median']:{how}}" + (f" ({cell['low']:{how}} – {cell['high']:{how}})" if cell["n"] > 1 else "")
    return f"{cell:{how}}"


def _sign(sense: str) -> str:
    return {">=": "≥", "<=": "≤"}.get(sense, sense)


def _range(target: Mapping[str, Any]) -> str:
    low, high = (f"{value:.3g}" for value in (min(target["values"]), max(target["values"])))
    return (low if low == high else f"{low} – {high}") + target["unit"]


def fill_readme() -> None:
    """Put the committed results between their markers in README.md."""
    text = README.read_text()
    for name in NAMES:
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        file = RESULTS / f"{name}.json"
        content = markdown(json.loads(file.read_text())) if file.exists() else "Not measured yet.\n"
        text = f"{before}{begin}\n{content}{end}{after}"
    README.write_text(text)


if __name__ == "__main__":
    fill_readme()
