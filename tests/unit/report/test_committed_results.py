"""What is committed under `results/` is what the committed records give."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from nncompress.report.build import fill_readme, read_experiments, report

ROOT = Path(__file__).resolve().parents[3]
MADE = ("tables/**/*.md", "tables/**/*.csv", "claims/**/*.csv", "README.md")
AGAIN = "the committed reports are not those of the committed records: run `python run.py report`"


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `results/` and the project's README, reported on anew."""
    folder = tmp_path_factory.mktemp("project")
    results, described = folder / "results", read_experiments(ROOT / "conf")
    for name in ("records", "curves", "paper", "arrays"):
        if (ROOT / "results" / name).exists():
            shutil.copytree(ROOT / "results" / name, results / name, ignore=shutil.ignore_patterns(".*"))
    report(results, described)
    shutil.copy(ROOT / "README.md", folder)
    assert fill_readme(folder / "README.md", results, described)
    return folder


def texts(results: Path) -> dict[str, str]:
    return {path.relative_to(results).as_posix(): path.read_bytes().decode() for pattern in MADE for path in sorted(results.glob(pattern))}


def test_tables_claims_and_the_overview_are_those_of_the_records(again: Path) -> None:
    committed, made = texts(ROOT / "results"), texts(again / "results")
    assert committed.keys() == made.keys(), AGAIN
    for name in made:
        assert committed[name] == made[name], f"{name}: {AGAIN}"


def words(figure: Path) -> list[str]:
    """What is written in a figure, which an SVG repeats as comments beside the outlines of its letters."""
    return re.findall(r"<!-- (.*) -->", figure.read_text())


def test_figures_are_those_of_the_records(again: Path) -> None:
    committed, made = (
        {path.relative_to(folder / "results") for path in (folder / "results/figures").rglob("*.*g")} for folder in (ROOT, again)
    )
    assert committed == made, AGAIN
    for name in made:
        if name.suffix == ".svg":
            assert words(ROOT / "results" / name) == words(again / "results" / name) != [], f"{name}: {AGAIN}"


def test_the_projects_readme_sums_up_the_records(again: Path) -> None:
    assert (ROOT / "README.md").read_bytes() == (again / "README.md").read_bytes(), AGAIN
