"""The store under faults: damage, kills, full disks and several processes at once."""

import errno
import json
import os
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nncompress import files
from nncompress.errors import UserError
from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.store import ARRAYS, ENTRY, SUMS, EntryInfo, Store


@dataclass(frozen=True, eq=False)
class Work(Stage):
    seed: int = 0


STAGE = Work(seed=1)
ARTIFACT = Artifact(
    {
        "weights/fc1.weight": np.random.default_rng(0).normal(size=(30, 20)).astype(np.float32),
        "mask/fc1.weight": np.random.default_rng(1).random((30, 20)) < 0.2,
        "curve/step": np.arange(0, 500, 100),
    },
    {"test_accuracy": 0.9812, "steps": 500},
    {"commit": "abc1234", "device": "cpu", "seconds": 12.5},
)


def same(first: Artifact | None, second: Artifact) -> bool:
    return (
        first is not None
        and first.metrics == second.metrics
        and first.provenance == second.provenance
        and first.arrays.keys() == second.arrays.keys()
        and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in ((first.arrays[name], b) for name, b in second.arrays.items()))
    )


def contents(root: Path) -> set[str]:
    """Every file beside the empty lock files."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.parent.name != "locks"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results" / "store")


@pytest.fixture
def stored(store: Store) -> Store:
    store.write(STAGE, ARTIFACT)
    return store


def entry_folder(store: Store, stage: Stage = STAGE) -> Path:
    return store.root / stage.key[:2] / stage.key


# --- entries


def test_what_is_written_is_read(stored: Store) -> None:
    assert stored.has(STAGE) and same(stored.read(STAGE), ARTIFACT)
    assert not stored.has(Work(seed=2)) and stored.read(Work(seed=2)) is None
    assert contents(stored.root) == {f"{STAGE.key[:2]}/{STAGE.key}/{name}" for name in (ARRAYS, ENTRY, SUMS)}


def test_arrays_of_any_layout_and_shape_come_back(store: Store) -> None:
    arrays = {
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "scalar": np.array(3.0),
        "empty": np.zeros((0, 3), np.float32),
        "strided": np.arange(10)[::3],
    }
    store.write(STAGE, Artifact(arrays, {"loss": float(np.float32(0.1)), "count": np.int64(3), "nothing": float("inf")}))  # type: ignore[dict-item]
    found = store.read(STAGE)
    assert found is not None and found.metrics == {"loss": float(np.float32(0.1)), "count": 3, "nothing": float("inf")}
    for name, array in arrays.items():
        assert found.arrays[name].shape == array.shape and found.arrays[name].dtype == array.dtype
        assert np.array_equal(found.arrays[name], array) and found.arrays[name].flags.writeable


def test_an_entry_holds_its_own_description_for_people(stored: Store) -> None:
    entry = json.loads((entry_folder(stored) / ENTRY).read_text())
    assert entry["description"] == {"stage": "Work", "version": 1, "seed": 1}


def test_an_entry_that_is_there_is_left(stored: Store) -> None:
    stored.write(STAGE, Artifact({}, {"test_accuracy": 0.0}))
    assert same(stored.read(STAGE), ARTIFACT)


def test_reading_a_megabyte_takes_milliseconds(store: Store) -> None:
    store.write(STAGE, Artifact({"weights/fc1.weight": np.ones(262_144, np.float32)}))
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        store.read(STAGE)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.005


# --- damage


@pytest.mark.parametrize("name", [ARRAYS, ENTRY, SUMS])
def test_a_flipped_byte_anywhere_is_noticed_said_and_mended(store: Store, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    store.write(STAGE, ARTIFACT)
    size = (entry_folder(store) / name).stat().st_size
    for place in {0, size // 3, size // 2, size - 1}:
        path = entry_folder(store) / name
        content = bytearray(path.read_bytes())
        content[place] ^= 0x20
        path.write_bytes(content)
        assert store.read(STAGE) is None
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and f"store entry {STAGE.key} is damaged" in said and "it will be computed again" in said
        assert not store.has(STAGE) and contents(store.root) == set()
        store.write(STAGE, ARTIFACT)
        assert same(store.read(STAGE), ARTIFACT)


@pytest.mark.parametrize("name", [ARRAYS, ENTRY, SUMS])
@pytest.mark.parametrize("how", ["emptied", "cut", "lengthened", "missing"])
def test_a_truncated_or_missing_file_is_noticed(stored: Store, name: str, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = entry_folder(stored) / name
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes({"emptied": b"", "cut": content[:-1], "lengthened": content + b"\n"}[how])
    assert stored.read(STAGE) is None
    assert capsys.readouterr().err.count("is damaged") == 1
    assert stored.read(STAGE) is None and capsys.readouterr().err == ""


# --- failures of the disk


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def fill_up(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", fill_up)
    with pytest.raises(UserError) as error:
        store.write(STAGE, ARTIFACT)
    assert str(error.value) == f"no space left to write in {store.root}: free some, or choose another folder with lab.store=FOLDER"
    assert not store.has(STAGE) and store.read(STAGE) is None and contents(store.root) == set()
    assert list((store.root / "temporary").iterdir()) == []
    store.write(STAGE, ARTIFACT)  # there is room again
    assert same(store.read(STAGE), ARTIFACT)


def test_a_full_disk_keeps_the_partial_state_before(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write_partial(STAGE, {"moment": np.ones(2)}, {"step": 100})

    def fill_up(path: Path, content: bytes) -> int:
        with open(path, "wb") as file:
            file.write(content[:20])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(UserError, match="no space left to write in"):
        store.write_partial(STAGE, {"moment": np.ones(2)}, {"step": 200})
    kept = store.read_partial(STAGE)
    assert kept is not None and kept[1] == {"step": 100}
    assert list((store.root / "temporary").iterdir()) == []


@pytest.mark.parametrize("what", ["write", "write_partial", "lock"])
def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = Store(tmp_path / "file" / "store")
    with pytest.raises(UserError, match=r"cannot write in .*file.store \(Not a directory\).*lab\.store=FOLDER") as error:
        if what == "write":
            store.write(STAGE, ARTIFACT)
        elif what == "write_partial":
            store.write_partial(STAGE, {}, {})
        else:
            with store.lock([STAGE.key]):
                pass
    assert "\n" not in str(error.value)
    assert not store.has(STAGE) and store.read(STAGE) is None and store.read_partial(STAGE) is None and store.entries() == []


# --- partial states


def test_a_partial_state_is_kept_replaced_and_dropped(store: Store) -> None:
    assert store.read_partial(STAGE) is None
    for step in (100, 200):
        store.write_partial(STAGE, {"weights/w": np.full(3, step, np.float32), "step": np.array(step)}, {"step": step, "best": {"loss": 0.5}})
    found = store.read_partial(STAGE)
    assert found is not None
    arrays, meta = found
    assert meta == {"step": 200, "best": {"loss": 0.5}}
    assert np.array_equal(arrays["weights/w"], np.full(3, 200, np.float32)) and arrays["step"].shape == ()
    assert not store.has(STAGE) and store.read(STAGE) is None
    store.drop_partial(STAGE)
    store.drop_partial(STAGE)
    assert store.read_partial(STAGE) is None


@pytest.mark.parametrize("place", [0, 64, 70, 150, -1])
def test_a_damaged_partial_state_is_said_and_forgotten(store: Store, place: int, capsys: pytest.CaptureFixture[str]) -> None:
    store.write_partial(STAGE, {"moment": np.ones(50)}, {"step": 100})
    path = store.root / "partial" / STAGE.key
    content = bytearray(path.read_bytes())
    content[place] ^= 0x01
    path.write_bytes(content)
    assert store.read_partial(STAGE) is None
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"store partial state {STAGE.key} is damaged" in said
    assert store.read_partial(STAGE) is None and capsys.readouterr().err == ""


# --- several processes

PRELUDE = """
import os, signal, sys, time
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from nncompress.lab.stage import Artifact, Stage
from nncompress.lab.store import Store

@dataclass(frozen=True, eq=False)
class Work(Stage):
    seed: int = 0

store, STAGE = Store(Path(sys.argv[1])), Work(seed=1)
"""


def start(code: str, root: Path) -> "subprocess.Popen[str]":
    """Run `code` in a process of its own, with `store` and `STAGE` at hand."""
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(code), str(root)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_of_two_processes_one_computes_and_the_other_reuses(store: Store) -> None:
    code = """
        with store.lock([STAGE.key]):
            artifact = store.read(STAGE)
            if artifact is None:
                time.sleep(0.2)
                store.write(STAGE, Artifact({"weights/w": np.ones(3)}, {"process": os.getpid()}))
                print("computed", os.getpid())
            else:
                print("reused", artifact.metrics["process"])
    """
    processes = [start(code, store.root) for _ in range(3)]
    said = [process.communicate(timeout=60)[0].split() for process in processes]
    computed = [number for verb, number in said if verb == "computed"]
    assert len(computed) == 1 and all(number == computed[0] for _, number in said)


def test_locks_asked_for_in_any_order_never_wait_for_each_other(store: Store) -> None:
    code = """
        keys = ["a", "b", "c"][:: int(sys.stdin.readline())]
        for _ in range(20):
            with store.lock(iter(keys)):
                mine = store.root / "inside"
                mine.touch(exist_ok=False)
                mine.unlink()
        print("done")
    """
    processes = [start(code, store.root) for _ in range(2)]
    for process, direction in zip(processes, (1, -1), strict=True):
        assert process.stdin is not None
        process.stdin.write(f"{direction}\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in processes] == ["done\n", "done\n"]


def test_a_lock_dies_with_its_process(store: Store) -> None:
    holder = start("with store.lock([STAGE.key]):\n    print('held', flush=True)\n    time.sleep(60)", store.root)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    waited: list[str] = []

    def kill(key: str) -> None:
        waited.append(key)
        holder.kill()

    with store.lock([STAGE.key], waiting=kill):
        assert waited == [STAGE.key]
    holder.communicate()


def test_a_lock_is_let_go_after_an_error(store: Store) -> None:
    with pytest.raises(RuntimeError, match="training failed"), store.lock([STAGE.key]):
        raise RuntimeError("training failed")
    with store.lock([STAGE.key], waiting=pytest.fail):
        pass


KILLED_AT_EVERY_STEP = """
    # Fork a child for each moment: it dies, as by `kill -9`, when it opens, makes or renames its n-th file in the store.
    for moment in range(1000):
        root = store.root / str(moment)
        child = os.fork()
        if child == 0:
            left = [moment]
            def watch(event, arguments):
                if event in ("open", "os.mkdir", "os.rename") and str(root) in str(arguments[0]):
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left[0] -= 1
            sys.addaudithook(watch)
            WRITE
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            break
    print(moment)
"""


def test_a_process_killed_while_writing_leaves_no_half_entry(store: Store) -> None:
    write = "Store(root).write(STAGE, Artifact({'weights/w': np.ones(3)}, {'x': 1.0}))"
    moments = int(start(KILLED_AT_EVERY_STEP.replace("WRITE", write), store.root).communicate(timeout=60)[0])
    assert moments >= 6  # three files, a folder, a rename and more
    leftovers = 0
    for moment in range(moments):
        broken = Store(store.root / str(moment))
        assert not broken.has(STAGE) and broken.read(STAGE) is None and broken.entries() == []
        leftovers += len(contents(broken.root))
        broken.clean()
        assert contents(broken.root) == set() and not list(broken.root.glob("temporary/*"))
        broken.write(STAGE, ARTIFACT)
        assert same(broken.read(STAGE), ARTIFACT)
    assert leftovers > 0  # the test did kill in the middle
    assert Store(store.root / str(moments)).has(STAGE)


def test_a_process_killed_while_keeping_a_partial_state_leaves_the_one_before(store: Store) -> None:
    write = "Store(root).write_partial(STAGE, {'moment': np.ones(3)}, {'step': 100})"
    again = write.replace("100", "200")
    moments = int(start(KILLED_AT_EVERY_STEP.replace("WRITE", f"{write}; {again}"), store.root).communicate(timeout=60)[0])
    assert moments >= 4
    steps = []
    for moment in range(moments + 1):
        found = Store(store.root / str(moment)).read_partial(STAGE)
        steps.append(0 if found is None else found[1]["step"])
    assert steps == sorted(steps) and set(steps) == {0, 100, 200}


# --- keeping house


def test_entries_are_listed_with_what_a_person_wants_to_know(stored: Store) -> None:
    stored.write(Work(seed=2), Artifact({}, {}, {"seconds": 3.0}))
    os.utime(entry_folder(stored), (86400 * 365, 86400 * 365))
    first, second = stored.entries()
    size = sum(path.stat().st_size for path in entry_folder(stored).iterdir())
    assert first == EntryInfo(STAGE.key, "Work", size, 12.5, "1971-01-01", "seed=1")
    assert (second.seconds, second.label) == (3.0, "seed=2")


def test_a_damaged_description_does_not_stop_the_list(stored: Store) -> None:
    (entry_folder(stored) / ENTRY).write_text("{")
    assert [info.stage for info in stored.entries()] == ["(damaged)"]


@dataclass(frozen=True, eq=False)
class Rest(Stage):
    seed: int = 0


@pytest.fixture
def full(store: Store) -> Store:
    """Work 1, 2 and 3 (Work 1 is ten days old), Rest 0, and partial states of Work 8 and 9."""
    for stage in (STAGE, Work(2), Work(3), Rest()):
        store.write(stage, ARTIFACT)
    for stage in (Work(8), Work(9)):
        store.write_partial(stage, {"moment": np.ones(3)}, {})
    old = time.time() - 10 * 86400
    os.utime(entry_folder(store), (old, old))
    return store


def left(store: Store) -> set[str]:
    entries = [stage for stage in (STAGE, Work(2), Work(3), Rest()) if store.has(stage)]
    return {f"{type(s).__name__}{s.seed}" for s in entries} | {f"partial{s.seed}" for s in (Work(8), Work(9)) if store.read_partial(s)}


@pytest.mark.parametrize(
    ("choice", "gone"),
    [
        ({}, set()),
        ({"partial": True}, {"partial8", "partial9"}),
        ({"keys": [STAGE.key[:10], Work(3).key]}, {"Work1", "Work3"}),
        ({"keys": [""]}, set()),
        ({"stage": "Work"}, {"Work1", "Work2", "Work3"}),
        ({"older_than_days": 5}, {"Work1"}),
        ({"older_than_days": 5, "stage": "Rest"}, set()),
        ({"older_than_days": 20}, set()),
        ({"partial": True, "keys": [Work(9).key]}, {"partial9"}),
        ({"partial": True, "stage": "Rest"}, set()),
        ({"partial": True, "older_than_days": 5}, set()),
        ({"everything": True}, {"Work1", "Work2", "Work3", "Rest0", "partial8", "partial9"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_clean_removes_what_was_chosen_and_nothing_else(full: Store, choice: dict, gone: set[str]) -> None:
    before, bytes_before = left(full), sum((full.root / name).stat().st_size for name in contents(full.root))
    count, freed = full.clean(**choice)
    assert left(full) == before - gone and count == len(gone)
    assert freed == bytes_before - sum((full.root / name).stat().st_size for name in contents(full.root))


def test_clean_never_removes_what_is_locked(full: Store) -> None:
    keys = [Work(2).key, Work(8).key]
    code = f"with store.lock({keys}):\n    print('held', flush=True)\n    sys.stdin.readline()"
    holder = start(code, full.root)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    assert full.clean(everything=True)[0] == 4
    assert left(full) == {"Work2", "partial8"}
    holder.communicate("go\n")
    assert full.clean(everything=True)[0] == 2
    assert left(full) == set() and contents(full.root) == set()


def test_clean_removes_the_leftovers_of_a_killed_process(stored: Store) -> None:
    leftover = stored.root / "temporary" / f"{Work(2).key}.0123456789ab"
    leftover.mkdir(parents=True)
    (leftover / ARRAYS).write_bytes(b"half")
    assert [info.key for info in stored.entries()] == [STAGE.key]
    with stored.lock([Work(2).key]):
        assert stored.clean() == (0, 0)  # it is being written
    assert stored.clean() == (1, 4)
    assert not leftover.exists() and same(stored.read(STAGE), ARTIFACT)


@pytest.mark.parametrize("days", [-1, float("nan")])
def test_a_negative_age_is_refused(store: Store, days: float) -> None:
    with pytest.raises(UserError, match=f"older_than_days={days} must be 0 or more"):
        store.clean(older_than_days=days)


def test_cleaning_an_empty_store_finds_nothing(store: Store) -> None:
    assert store.clean(everything=True) == (0, 0) and store.entries() == []
