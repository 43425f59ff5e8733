"""run.py from the command line to the results: every smoke experiment, sweeps, plans, reports and the store."""

from __future__ import annotations

import ast
import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import run
from nncompress.lab.configuration import experiments, request
from nncompress.lab.records import text
from nncompress.lab.stages import Fit, Netless
from nncompress.report.experiments import read_words
from nncompress.report.words import spoken

RECIPES = [
    path.stem
    for path in sorted((run.ROOT / "experiments").glob("*.py"))
    if any(isinstance(node, ast.FunctionDef) and node.name == "rows" for node in ast.parse(path.read_text()).body)
]
SMOKE = [name for name in experiments(run.CONF) if name.startswith("smoke/")]
TINY = (
    "experiment=smoke/lottery_ticket",
    "arms=[winning_ticket]",
    "rounds=1",
    "training.steps=4",
    "training.evaluate_every=2",
    "rewind_steps=[2]",
    "instability_rounds=[0]",
    "lab.workers=1",
)
COLUMNS = {
    *("experiment", "scale", "dataset", "model", "variant", "arm", "seed"),
    *("seconds", "total_seconds", "key", "device", "commit", "torch", "date", "data"),
}
"""What the records of any recipe hold."""
NETS = {"steps", "precision", "test_loss", "total_flops"}
"""And of any whose rows stand on nets."""
FITS = {"density", "train_loss", "train_accuracy", "early_stop_step", "early_stop_loss", "early_stop_accuracy", "train_flops"}
"""And of any whose rows are fits."""
UNTESTED = {"born_again_trees_search"}
"""Searches whose stages read no test split at all."""
LOTTERY = {"round", "rewind_step", "validation_loss", "validation_accuracy", "early_stop_validation_loss"}
"""And those of the lottery ticket, which has rounds and stops early on a validation split."""


def records(results: Path, experiment: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((results / "records" / f"{experiment}.csv").read_text())))


def stored(results: Path) -> set[str]:
    return {path.parent.name for path in (results / "store").glob("??/*/entry.json")}


def succeeded(done: CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`run.py` in this process, which has torch imported already. Returns what it prints."""

    def call(*arguments: str) -> str:
        monkeypatch.chdir(run.ROOT)
        monkeypatch.setattr(sys, "argv", ["run.py"])
        capsys.readouterr()
        assert run.main(list(arguments)) == 0
        return capsys.readouterr().out

    return call


def test_there_is_a_recipe_and_no_fewer_smoke_experiments_than_recipes() -> None:
    assert "lottery_ticket" in RECIPES
    assert len(SMOKE) >= len(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_its_experiment_a_quick_and_a_smoke_twin_and_the_published_values(recipe: str) -> None:
    written = [name for name in experiments(run.CONF) if "/" not in name and read_words(run.CONF, name)["recipe"] == recipe]
    assert written
    for name in (twin for each in written for twin in (each, f"quick/{each}", f"smoke/{each}")):
        assert (run.CONF / "experiment" / f"{name}.yaml").exists()
        assert request(run.CONF, [f"experiment={name}"]).values["recipe"] == recipe
    assert (run.ROOT / "results" / "paper" / f"{recipe}.csv").exists()


def test_a_smoke_run_records_every_row_it_declares(smoke_run: Any) -> None:
    succeeded(smoke_run.done)
    asked = request(run.CONF, [f"experiment={smoke_run.experiment}"])
    rows = list(asked.recipe.rows(asked.config))
    declared = [row.columns for row in rows]
    names = sorted({name for columns in declared for name in columns})
    found = records(smoke_run.results, smoke_run.experiment)
    assert sorted([row[name] for name in names] for row in found) == sorted([text(columns.get(name)) for name in names] for columns in declared)
    assert set(found[0]) >= COLUMNS | (LOTTERY if asked.values["recipe"] == "lottery_ticket" else set())
    assert set(found[0]) >= NETS or all(isinstance(row.stage, Netless) for row in rows)
    assert set(found[0]) >= FITS or not any(isinstance(row.stage, Fit) for row in rows)
    assert {(row["scale"], row["variant"], row["device"] != "") for row in found} == {("smoke", "", True)}
    split = "test_accuracy"
    if asked.values["recipe"] in UNTESTED:
        split = "validation_accuracy"
        assert not any(value for row in found for name, value in row.items() if name.startswith("test_"))
    accuracies = [float(row[split]) for row in found if row[split]]
    assert accuracies and 0 <= min(accuracies) <= max(accuracies) <= 1


def test_a_smoke_run_leaves_tables_figures_claims_and_says_where(smoke_run: Any) -> None:
    name = smoke_run.experiment
    files = smoke_run.files
    for path in (f"records/{name}.csv", f"tables/{name}.md", f"tables/{name}.csv", f"claims/{name}.csv", "README.md"):
        assert files[path], path
    asked = request(run.CONF, [f"experiment={name}"])
    assert (f"curves/{name}.csv" in files) == any(row.keep_curves for row in asked.recipe.rows(asked.config))
    figures = {path for path in files if path.startswith("figures/")}
    assert {path.rpartition(".")[2] for path in figures} - {"gif"} == ({"png", "svg"} if figures else set())
    lines = [line.partition(": ") for line in smoke_run.done.stdout.splitlines()]
    said = {path for kind, _, paths in lines if kind in ("records", "tables", "figures", "claims") for path in paths.split(", ") if path}
    made = {path for path in files if path.split("/")[0] in ("records", "tables", "figures", "claims") and not path.endswith(".lock")}
    assert said == {str(smoke_run.results / path) for path in made}
    verdicts = list(csv.DictReader(io.StringIO(files[f"claims/{name}.csv"].decode())))
    assert verdicts
    assert {row["verdict"] for row in verdicts} <= {"reproduced", "not reproduced", "inconclusive"}
    assert set(verdicts[0]) >= {"claim", "statement", "paper", "ours", "n", "ci_low", "ci_high", "scale", "verdict"}


def test_a_run_prints_the_first_table_of_its_recipe_with_the_arms_that_it_shows(smoke_run: Any) -> None:
    table = request(run.CONF, [f"experiment={smoke_run.experiment}"]).recipe.TABLES[0]
    _, title, printed = smoke_run.done.stdout.partition(table.title)
    assert title
    with open(smoke_run.results / "tables" / f"{smoke_run.experiment}.csv", newline="") as file:
        shown = {cell["row"] for cell in csv.DictReader(file) if cell["table"] == table.name}
    assert shown and all(spoken(name.removesuffix(".0")) in printed for name in shown)


def test_the_csv_logger_was_told_every_row(smoke_run: Any) -> None:
    (rows,) = (smoke_run.results / "logs" / "csv").rglob("rows.csv")
    assert len(rows.read_text().splitlines()) == 1 + len(records(smoke_run.results, smoke_run.experiment))


def test_a_second_run_trains_nothing_and_writes_the_same_report_again(smoke_run: Any, here: Callable[..., str]) -> None:
    files, entries = smoke_run.files, stored(smoke_run.results)
    for folder in ("tables", "figures", "claims"):
        for path in (smoke_run.results / folder).rglob("*.*"):
            path.unlink()
    out = here(f"experiment={smoke_run.experiment}", f"lab.results={smoke_run.results}", "lab.device=cpu")
    assert "done:" not in out
    assert smoke_run.files == files
    assert stored(smoke_run.results) == entries


def test_a_plan_of_a_finished_run_has_nothing_to_train(smoke_run: Any, here: Callable[..., str]) -> None:
    entries = stored(smoke_run.results)
    out = here(f"experiment={smoke_run.experiment}", f"lab.results={smoke_run.results}", "lab.device=cpu", "plan=true")
    [line] = [line for line in out.splitlines() if "stages to train" in line]
    assert line.startswith(f"0 of {len(entries)} stages to train: ")
    assert stored(smoke_run.results) == entries


@pytest.mark.parametrize("smoke_run", ["smoke/lottery_ticket"], indirect=True)
def test_a_report_writes_the_same_files_again(smoke_run: Any, here: Callable[..., str]) -> None:
    files = smoke_run.files
    for folder in ("tables", "figures", "claims"):
        for path in (smoke_run.results / folder).rglob("*.*"):
            path.unlink()
    out = here("report", smoke_run.experiment, f"lab.results={smoke_run.results}")
    assert f"tables/{smoke_run.experiment}.md" in out
    assert smoke_run.files.keys() == files.keys()
    drawn = (".png", ".svg", ".gif")
    assert all(content == files[name] for name, content in smoke_run.files.items() if not name.endswith(drawn))


def test_the_store_is_listed(smoke_run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["store", "list", f"lab.results={smoke_run.results}"]) == 0
    out = capsys.readouterr().out
    assert f"{len(stored(smoke_run.results))} entries" in out
    assert all(key in out for key in stored(smoke_run.results))


def test_the_configuration_is_printed_and_nothing_run(here: Callable[..., str], tmp_path: Path) -> None:
    out = here("experiment=quick/lottery_ticket", "--cfg", "job", f"lab.results={tmp_path}")
    assert "learning_rate: 0.004" in out
    assert "scale: quick" in out
    assert not list(tmp_path.iterdir())


def test_a_budget_in_minutes_shrinks_the_experiment_and_a_longer_run_refines_its_records(
    here: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nncompress.lab.experiment import Stopwatch

    monkeypatch.setattr(Stopwatch, "_step", lambda *_: 1e-3)  # seconds; all of it would take 0.5
    common = ("experiment=smoke/lottery_ticket", f"lab.results={tmp_path}", "lab.device=cpu", "lab.workers=1")
    here(*common, "minutes=0.005")
    short, kept = records(tmp_path, "smoke/lottery_ticket"), stored(tmp_path)
    assert {row["scale"] for row in short} == {"0.005min"}
    here(*common)
    whole = records(tmp_path, "smoke/lottery_ticket")
    assert {row["scale"] for row in whole} == {"smoke"}
    assert {row["key"] for row in short} < {row["key"] for row in whole}
    assert kept < stored(tmp_path)


@pytest.mark.slow
def test_a_sweep_in_parallel_processes_shares_the_store(command: Any, here: Callable[..., str], tmp_path: Path) -> None:
    sweep = ("-m", *TINY, f"lab.results={tmp_path}")
    succeeded(command(*sweep, "training.learning_rate=1e-3,4e-3", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"))
    found = records(tmp_path, "smoke/lottery_ticket")
    assert len({row["variant"] for row in found}) == 2
    assert len(found) == 2 * 2 * 2  # rates, rounds, seeds
    entries = stored(tmp_path)
    assert len(entries) == len(found)
    assert "done:" not in here(*sweep, "training.learning_rate=4e-3,1e-3")
    assert stored(tmp_path) == entries


@pytest.mark.slow
def test_the_sweep_over_temperatures_fills_one_grid_and_logs_each_point(command: Any, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    sweep = ("experiment=smoke/hinton_temperature", "hparams_search=temperature", "units=[5],[30]", "temperatures=[4]", "seeds=[0]")
    succeeded(command(*sweep, f"lab.results={tmp_path}", HOME=str(tmp_path)))
    found = records(tmp_path, "smoke/hinton_temperature")
    assert sorted((row["arm"], row["units"]) for row in found) == [(arm, units) for arm in ("plain", "temperature") for units in ("30", "5")]
    assert {row["variant"] for row in found} == {""}
    assert len(list((tmp_path / "logs" / "wandb").glob("offline-run-*/*.wandb"))) == 2
    assert (tmp_path / "figures" / "smoke" / "hinton_temperature_temperature.png").exists()


@pytest.mark.slow
def test_a_sweep_through_submitit_runs_as_it_would_on_a_cluster(command: Any, tmp_path: Path) -> None:
    sweep = ("experiment=smoke/lottery_ticket", "hparams_search=grid_local", *TINY[1:], "training.learning_rate=1e-3,2e-3")
    succeeded(command(*sweep, f"lab.results={tmp_path}"))
    assert len(records(tmp_path, "smoke/lottery_ticket")) == 2 * 2 * 2


@pytest.mark.slow
def test_a_search_maximises_validation_accuracy(here: Callable[..., str], tmp_path: Path) -> None:
    results = f"lab.results={tmp_path}"
    here(*TINY, "hparams_search=optuna", "hydra.sweeper.n_trials=2", "training.batch_size=30", results)
    (best,) = tmp_path.rglob("optimization_results.yaml")
    found = records(tmp_path, "smoke/lottery_ticket")
    by_variant: dict[str, list[float]] = {}
    for row in found:
        by_variant.setdefault(row["variant"], []).append(float(row["validation_accuracy"]))
    value = float(best.read_text().rpartition("best_value:")[2])
    assert value == pytest.approx(max(sum(values) / len(values) for values in by_variant.values()), abs=1e-6)


def test_a_run_without_a_validation_split_ends_well_and_has_no_number_for_a_search(tmp_path: Path) -> None:
    asked = request(run.CONF, [*TINY, "seeds=[0]", "dataset.validation=0", "lab.progress=false", "lab.device=cpu", f"lab.results={tmp_path}"])
    assert asked.optimized is not None and run.execute(asked, None) is None
    assert len(records(tmp_path, "smoke/lottery_ticket")) == 2


def test_a_mistake_in_one_job_of_a_sweep_is_one_line_and_the_others_are_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.ROOT)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    assert run.main(["-m", *TINY, "training.batch_size=2000,30", f"lab.results={tmp_path}"]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1] == "training.batch_size = 2000 is more than the 997 training examples"
    assert len(records(tmp_path, "smoke/lottery_ticket")) == 2 * 2


@pytest.mark.slow
def test_one_fit_on_two_devices_runs_the_whole_program_in_two_processes(command: Any, tmp_path: Path) -> None:
    """run.py starts itself again, once a device; each Python that starts leaves a file here that says which one it is."""
    note = "import os, pathlib\npathlib.Path(__file__).with_name('rank_' + os.environ.get('RANK', 'none')).touch()\n"
    (tmp_path / "sitecustomize.py").write_text(note)
    devices = ("trainer.devices=2", "trainer.strategy=ddp", "lab.device=cpu")
    out = succeeded(command(*TINY, *devices, f"lab.results={tmp_path / 'results'}", PYTHONPATH=str(tmp_path)))
    assert {path.name for path in tmp_path.glob("rank_*")} == {"rank_none", "rank_0", "rank_1"}
    assert out.count("records: ") == 1  # one of them writes and speaks
    found = records(tmp_path / "results", "smoke/lottery_ticket")
    assert sorted((row["round"], row["seed"]) for row in found) == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
    assert stored(tmp_path / "results") == {row["key"] for row in found}


@pytest.mark.slow
def test_wandb_offline_logs_a_whole_run(command: Any, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    succeeded(command(*TINY, "logger=wandb", f"lab.results={tmp_path}", HOME=str(tmp_path)))
    (log,) = (tmp_path / "logs" / "wandb").glob("offline-run-*/*.wandb")
    assert b"winning_ticket/validation_accuracy" in log.read_bytes()
