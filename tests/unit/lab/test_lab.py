"""The lab: what is trained, what is reused, and that neither faults nor ways of computing change the records."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from nncompress.errors import UserError
from nncompress.lab import records
from nncompress.lab import store as store_module
from nncompress.lab.experiment import Book
from nncompress.lab.lab import Lab, Settings
from nncompress.lab.stage import Stage, ancestors
from nncompress.lab.stages import Fit
from nncompress.lab.store import ARRAYS
from nncompress.train import fit as fit_module
from nncompress.types import Model
from tests.unit.lab import tiny

CONTROLS: dict[str, Any] = {"arms": ["winning_ticket", "rewinding", "instability"], "control_seeds": [0]}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The labels of every stack that is trained in this process, as they come."""
    stacks: list[list[str]] = []
    fit = fit_module.fit

    def counting(task: Any, replicates: Any, *rest: Any) -> Any:
        stacks.append([replicate.label for replicate in replicates])
        return fit(task, replicates, *rest)

    monkeypatch.setattr(fit_module, "fit", counting)
    return stacks


def assert_close(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Equal in what is counted, near in what is measured: a few steps of float32, the sums taken in another order."""
    pd.testing.assert_frame_equal(tiny.without_chance(first), tiny.without_chance(second), rtol=0, atol=0.005)


def entry(settings: Settings, stage: Stage) -> Path:
    return settings.store / stage.key[:2] / stage.key


def unfinished(settings: Settings) -> list[Path]:
    """What a run that failed must not leave: entries that lack a file, and temporary ones."""
    halves = [folder for folder in settings.store.glob("??/*") if len(list(folder.iterdir())) != 3]
    return halves + list((settings.store / "temporary").glob("*"))


# -- what is trained -----------------------------------------------------------------------------------------------------------------------


def test_a_second_run_trains_nothing_and_changes_no_byte(tmp_path: Path, trained: list[list[str]]) -> None:
    settings = tiny.settings(tmp_path)
    first = tiny.run(tiny.experiment(**CONTROLS), settings)
    # dense nets and tickets of two seeds; of seed 0 step 5, its rewound ticket, and the dense net in another batch order
    assert sum(map(len, trained)) == len(list(settings.store.glob("??/*"))) - 1 == 7
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.csv")}
    trained.clear()
    again = tiny.run(tiny.experiment(**CONTROLS), settings)
    assert trained == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.csv")} == files
    pd.testing.assert_frame_equal(first, again)


def test_one_more_seed_trains_that_seed_only(tmp_path: Path, trained: list[list[str]]) -> None:
    settings = tiny.settings(tmp_path)
    two = tiny.run(tiny.experiment(), settings)
    trained.clear()
    three = tiny.run(tiny.experiment(seeds=[0, 1, 7]), settings)
    assert sorted(label for stack in trained for label in stack) == [
        "random_reinit round=1 seed=7", "winning_ticket round=0 seed=7", "winning_ticket round=1 seed=7"
    ]  # fmt: skip
    pd.testing.assert_frame_equal(three[three["seed"] < 7].reset_index(drop=True), two)


def test_seeds_and_arms_that_differ_in_masks_and_starts_train_as_one_stack(tmp_path: Path, trained: list[list[str]]) -> None:
    tiny.run(tiny.experiment(), tiny.settings(tmp_path))
    assert [len(stack) for stack in trained] == [2, 4]
    trained.clear()
    tiny.run(tiny.experiment(), tiny.settings(tmp_path / "small", stack=3))
    assert [len(stack) for stack in trained] == [2, 3, 1]
    trained.clear()
    tiny.run(tiny.experiment(), tiny.settings(tmp_path / "loop", replicates="loop"))
    assert [len(stack) for stack in trained] == [1] * 6


def test_a_row_whose_earlier_round_the_store_has_lost_is_entered_when_that_is_there_again(
    tmp_path: Path, trained: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, made = tiny.settings(tmp_path), tiny.experiment()
    before = tiny.run(made, settings)
    for row in made.rows()[:2]:  # the dense nets
        shutil.rmtree(entry(settings, row.stage))
    trained.clear()
    enter = Book.enter

    def entering(book: Book, rows: list[Any]) -> None:
        count = len(trained)
        enter(book, rows)
        assert len(trained) == count, "a fit was trained while rows were entered"

    monkeypatch.setattr(Book, "enter", entering)
    assert_close(tiny.run(made, settings), before)
    assert [sorted(stack) for stack in trained] == [["winning_ticket round=0 seed=0", "winning_ticket round=0 seed=1"]]


def test_rows_are_entered_as_their_stages_finish_those_already_stored_first(tmp_path: Path) -> None:
    settings = tiny.settings(tmp_path)
    tiny.run(tiny.experiment(rounds=0), settings)
    said: list[str] = []
    lab, entered = Lab(settings, said.append), []
    lab.run(tiny.experiment().rows(), lambda rows: entered.append([row.label for row in rows]))
    assert [len(labels) for labels in entered] == [2, 4]
    assert entered[0] == ["winning_ticket round=0 seed=0", "winning_ticket round=0 seed=1"]
    assert len(said) == 1
    assert said[0].startswith("done: winning_ticket round=1 seed=0 and 3 more: validation accuracy ")


def test_progress_counts_every_step_of_every_replicate_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nncompress.lab import lab as lab_module

    bars = []

    class Bar(lab_module.tqdm):
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "file": io.StringIO(), "disable": False})
            bars.append(self)

    monkeypatch.setattr(lab_module, "tqdm", Bar)
    tiny.run(tiny.experiment(**CONTROLS), tiny.settings(tmp_path, checkpoint_seconds=1e-6))
    assert [(bar.n, bar.total) for bar in bars] == [(5 * 12 + 5 + 7, 5 * 12 + 5 + 7)]


# -- ways of computing ---------------------------------------------------------------------------------------------------------------------


def test_stacked_and_looped_replicates_have_the_same_keys_and_close_numbers(tmp_path: Path) -> None:
    stacked = tiny.run(tiny.experiment(), tiny.settings(tmp_path / "stacked"))
    looped = tiny.run(tiny.experiment(), tiny.settings(tmp_path / "loop", replicates="loop"))
    assert list(stacked["key"]) == list(looped["key"])
    assert_close(stacked, looped)


@pytest.mark.slow
def test_two_workers_leave_the_records_of_one(tmp_path: Path) -> None:
    made = tiny.experiment(**CONTROLS)
    looped: Callable[..., Settings] = lambda name, **changes: tiny.settings(tmp_path / name, replicates="loop", **changes)
    one = tiny.run(made, looped("one"))
    two = tiny.run(made, looped("two", workers=2))
    pd.testing.assert_frame_equal(tiny.without_chance(one), tiny.without_chance(two))  # exactly: each fit alone, wherever it is computed


TWO_AT_ONCE = """
import sys
from pathlib import Path
from nncompress.train import fit as fit_module
from nncompress.types import Model
from tests.unit.lab import tiny

if __name__ == "__main__":
    results, mine, other = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    fit = fit_module.fit

    def noting(task, replicates, *rest):
        with open(mine, "a") as file:
            file.writelines(replicate.label + "\\n" for replicate in replicates)
        return fit(task, replicates, *rest)

    fit_module.fit = noting
    Path(f"{mine}.ready").touch()
    while not Path(f"{other}.ready").exists():  # both begin together
        pass
    tiny.run(tiny.experiment({"steps": 60}), tiny.settings(results))
"""


@pytest.mark.slow
def test_of_two_processes_that_want_the_same_stage_one_trains_it_and_the_other_waits(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(TWO_AT_ONCE)
    notes = [tmp_path / "first.txt", tmp_path / "second.txt"]
    started = [
        subprocess.Popen(
            [sys.executable, script, tmp_path, mine, other], cwd=tiny.ROOT, env=os.environ | {"PYTHONPATH": f"{tiny.ROOT}:{tiny.ROOT}/src"}
        )
        for mine, other in (notes, notes[::-1])
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    labels = [label for note in notes if note.exists() for label in note.read_text().splitlines()]
    assert sorted(labels) == sorted(row.label for row in tiny.experiment().rows())
    alone = tiny.run(tiny.experiment({"steps": 60}), tiny.settings(tmp_path / "alone"))
    together = records.read(tmp_path / "records" / "tiny.csv")
    assert_close(together, alone)  # not exactly: who comes later may find some seeds stored, and stack the others


# -- faults --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["a row's own stage", "a stage that others start from"])
def test_a_damaged_entry_is_said_computed_again_and_leaves_the_same_records(
    tmp_path: Path, place: str, trained: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    settings, made = tiny.settings(tmp_path, replicates="loop"), tiny.experiment()
    before = tiny.run(made, settings)
    rows = {row.label: row.stage for row in made.rows()}
    damaged = rows["winning_ticket round=1 seed=1" if place == "a row's own stage" else "winning_ticket round=0 seed=1"]
    arrays = entry(settings, damaged) / ARRAYS
    content = bytearray(arrays.read_bytes())
    content[len(content) // 2] ^= 1
    arrays.write_bytes(content)
    trained.clear()
    after = tiny.run(made, settings)
    assert capsys.readouterr().err == f"store entry {damaged.key} is damaged (its checksums do not match); it will be computed again\n"
    assert sum(map(len, trained)) == 1
    pd.testing.assert_frame_equal(tiny.without_chance(after), tiny.without_chance(before))
    trained.clear()
    pd.testing.assert_frame_equal(tiny.run(made, settings), after)
    assert trained == []


@pytest.mark.parametrize("function", ["write_synced", "replace_file"])
def test_a_full_disk_is_one_line_leaves_no_half_entry_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, made = tiny.settings(tmp_path, checkpoint_seconds=1e-6), tiny.experiment()
    write, calls = getattr(store_module, function), []

    def full(path: Path, content: bytes, *rest: Any, **options: Any) -> None:
        calls.append(path)
        if len(calls) > 4:
            path.write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content, *rest, **options)

    with monkeypatch.context() as small_disk:
        small_disk.setattr(store_module, function, full)
        with pytest.raises(UserError) as refusal:
            tiny.run(made, settings)
    assert str(refusal.value) == f"no space left to write in {settings.store}: free some, or choose another folder with lab.store=FOLDER"
    assert unfinished(settings) == []
    assert_close(tiny.run(made, settings), tiny.run(made, tiny.settings(tmp_path / "undisturbed")))


def test_divergence_names_stage_step_and_learning_rate_and_stores_nothing(tmp_path: Path) -> None:
    settings = tiny.settings(tmp_path)
    training = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 1e20}
    with pytest.raises(UserError) as refusal:
        tiny.run(tiny.experiment(training), settings)
    assert str(refusal.value) in {
        f"winning_ticket round=0 seed=0: the loss is {loss} by step 6 at learning rate 1e+20; lower the learning rate"
        for loss in ("nan", "inf")
    }
    assert list(settings.store.glob("??/*")) == []


def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"^lab.device = cuda: no GPU is visible here; use lab.device=cpu or auto$"):
        Lab(tiny.settings(tmp_path, device="cuda"))
    assert Lab(tiny.settings(tmp_path, device="auto")).settings.device == "cpu"


@pytest.mark.parametrize("name", ["workers", "stack"])
def test_a_negative_number_of_workers_or_replicates_is_refused(name: str) -> None:
    from nncompress.lab.configuration import validated

    with pytest.raises(UserError, match=f"lab.{name} = -1: must be ≥ 0"):
        validated(Settings, {name: -1}, "lab")


def test_settings_are_resolved_to_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nncompress.lab.lab.cores", lambda: 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    net = Model("lenet_300_100")

    def resolved(**given: Any) -> tuple[str, int, int]:
        found = Settings(**given).resolved()
        return found.device, found.workers, found.most_stacked(net)

    assert resolved() == ("cpu", 8, 5)
    assert resolved(threads=3) == ("cpu", 2, 5)
    assert resolved(threads=16) == ("cpu", 1, 5)
    assert resolved(workers=3, stack=7) == ("cpu", 3, 7)
    assert resolved(replicates="loop", stack=4) == ("cpu", 8, 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolved() == ("cuda", 1, 64)
    assert resolved(workers=2, device="cpu") == ("cpu", 2, 5)
    monkeypatch.setenv("WORLD_SIZE", "2")  # several processes for one fit: no workers beside them
    assert resolved(workers=4) == ("cuda", 1, 64)


# -- the graph -----------------------------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_the_fits_upstream_first(tmp_path: Path) -> None:
    lab = Lab(tiny.settings(tmp_path))
    stages = [row.stage for row in tiny.experiment(**CONTROLS).rows()]
    missing = lab.missing(stages)
    assert [type(stage).__name__ for stage in missing].count("Fit") == 7
    assert all(stage.stored for stage in missing)
    places = {stage: place for place, stage in enumerate(missing)}
    for stage in missing:
        assert all(places[upstream] < places[stage] for upstream in ancestors([stage])[:-1] if upstream in places)


def test_getting_a_stage_computes_what_it_stands_on(tmp_path: Path, trained: list[list[str]]) -> None:
    lab = Lab(tiny.settings(tmp_path))
    last = tiny.experiment().rows()[-1].stage
    assert isinstance(last, Fit)
    found = lab.get(last)
    assert found.metrics["density"] < 1
    assert [len(stack) for stack in trained] == [1, 1]
    assert lab.get(last) is found


def test_the_density_counts_layers_that_are_never_pruned(tmp_path: Path) -> None:
    lab, rows = Lab(tiny.settings(tmp_path)), tiny.experiment(prune_fraction={"fc1": 0.5}).rows()
    found = lab.get(next(row.stage for row in rows if row.columns["round"] == 1))
    sizes = {name: array.size for name, array in found.weights.items() if name.endswith("weight")}
    kept = {name: int(found.masks[name].sum()) if name in found.masks else size for name, size in sizes.items()}
    assert set(found.masks) == {"fc1.weight"}
    assert found.metrics["density"] == sum(kept.values()) / sum(sizes.values()) > found.metrics["density_fc1"] == 0.5


def test_stacks_are_split_only_where_a_worker_would_stand_idle(tmp_path: Path) -> None:
    lab = Lab(tiny.settings(tmp_path, workers=2))
    made = tiny.experiment(seeds=[0, 1, 2, 3, 4], arms=["winning_ticket", "random_reinit"], rounds=1)
    dense = [row.stage for row in made.rows() if row.columns["round"] == 0]
    pruned = [row.stage for row in made.rows() if row.columns["round"] == 1]
    tickets, reinit = pruned[:5], pruned[5:]

    def sizes(ready: list[Stage], busy: list[Stage]) -> list[int]:
        return [len(group) for group in lab._groups({stage: [] for stage in (*busy, *ready)}, {*ready, *busy}, {*busy})]

    assert sizes(dense, []) == [3, 2]  # not five on one worker
    assert sizes(pruned, []) == [5, 5]
    assert sizes(reinit, tickets) == [5]  # the other worker has its five
    assert sizes(dense[:1], []) == [1]
