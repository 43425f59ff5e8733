"""Records: tidy rows that several processes write, and that longer runs refine."""

import errno
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nncompress import files
from nncompress.errors import UserError
from nncompress.lab import provenance, records
from nncompress.lab.records import COLUMNS, IDENTITY, read, text, upsert


def row(**columns: Any) -> dict[str, Any]:
    words = {"experiment": "lottery_ticket", "scale": "paper", "dataset": "mnist", "model": "lenet_300_100", "variant": ""}
    numbers = {"round": 0, "rewind_step": None, "seed": 0, "steps": 50_000, "test_accuracy": 0.98}
    return words | {"arm": "winning_ticket"} | numbers | columns


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records" / "lottery_ticket.csv"


def test_the_file_is_tidy_sorted_and_in_the_order_of_columns(path: Path) -> None:
    upsert(path, [row(round=10, key="b", zeal=1, density_fc2=0.5, density_fc1=0.25), row(round=2, density=0.64, key="a")])
    assert path.read_text() == (
        "experiment,scale,dataset,model,variant,arm,round,rewind_step,seed,density,density_fc1,density_fc2,steps,test_accuracy,key,zeal\n"
        "lottery_ticket,paper,mnist,lenet_300_100,,winning_ticket,2,,0,0.64,,,50000,0.98,a,\n"
        "lottery_ticket,paper,mnist,lenet_300_100,,winning_ticket,10,,0,,0.25,0.5,50000,0.98,b,1\n"
    )


def test_a_row_replaces_the_one_with_its_identity_and_the_others_stay(path: Path) -> None:
    upsert(path, [row(seed=seed) for seed in range(3)])
    upsert(path, [row(seed=1, test_accuracy=0.5, instability=0.1)])
    frame = read(path)
    assert list(frame.seed) == [0, 1, 2] and list(frame.test_accuracy) == [0.98, 0.5, 0.98]
    assert frame.instability.isna().tolist() == [True, False, True]


@pytest.mark.parametrize("name", IDENTITY)
def test_every_identifying_column_makes_another_record(path: Path, name: str) -> None:
    upsert(path, [row(), row(**{name: 7})])
    assert len(read(path)) == 2


def test_the_scale_is_not_identity(path: Path) -> None:
    upsert(path, [row(scale="quick"), row(scale="paper")])
    assert list(read(path).scale) == ["paper"]


@pytest.mark.parametrize(
    ("old", "new", "replaces"),
    [
        ({"steps": 2000, "scale": "quick"}, {"steps": 50_000}, True),
        ({"steps": 50_000}, {"steps": 2000, "scale": "quick"}, False),
        ({"steps": 50_000, "scale": "quick"}, {"steps": 50_000, "scale": "paper"}, True),
        ({"steps": 50_000, "scale": "paper"}, {"steps": 50_000, "scale": "quick"}, False),
        ({"steps": 9000, "scale": "paper"}, {"steps": 10_000, "scale": "quick"}, False),
        ({"steps": 9000, "scale": "quick"}, {"steps": 10_000, "scale": "quick"}, True),  # by number, not by text
        ({"steps": 50_000, "scale": "9min"}, {"steps": 40_000, "scale": "10min"}, True),  # likewise
        ({"steps": 50_000, "scale": "60min"}, {"steps": 2000, "scale": "smoke"}, True),
        ({}, {}, True),
        ({"steps": None}, {"steps": 1}, True),
        ({"steps": 1}, {"steps": None}, False),
    ],
)
def test_a_longer_run_refines_a_shorter_one_and_not_the_other_way_round(path: Path, old: dict, new: dict, replaces: bool) -> None:
    upsert(path, [row(test_accuracy=0.1) | old])
    upsert(path, [row(test_accuracy=0.2) | new])
    assert list(read(path).test_accuracy) == [0.2 if replaces else 0.1]


def test_writing_the_same_rows_again_changes_no_byte_and_writes_no_file(path: Path) -> None:
    rows = [row(seed=seed, test_loss=1 / (3 + seed), density=0.8**seed) for seed in range(5)]
    upsert(path, rows)
    before, stamp = path.read_bytes(), path.stat().st_mtime_ns
    upsert(path, rows[::-1])
    upsert(path, [])
    assert path.read_bytes() == before and path.stat().st_mtime_ns == stamp
    assert sorted(p.name for p in path.parent.iterdir()) == [".lottery_ticket.csv.lock", "lottery_ticket.csv"]


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(6)), st.integers(1, 5))
def test_the_file_does_not_depend_on_who_wrote_first(tmp_path_factory: pytest.TempPathFactory, order: list[int], cut: int) -> None:
    rows = [row(seed=n, round=11 - n, **({"extra": n} if n % 2 else {"density_fc1": 0.1 * n})) for n in range(6)]
    folder = tmp_path_factory.mktemp("order")
    upsert(folder / "a.csv", rows)
    upsert(folder / "b.csv", [rows[n] for n in order[:cut]])
    upsert(folder / "b.csv", [rows[n] for n in order[cut:]])
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()


def test_all_points_of_a_curve_are_replaced_together(path: Path) -> None:
    def curve(every: int, last: int, loss: float) -> list[dict[str, Any]]:
        return [row(steps=None, step=step, validation_loss=loss) for step in range(every, last + 1, every)]

    upsert(path, curve(40, 200, 1.0), along=["step"])
    upsert(path, curve(100, 500, 0.5), along=["step"])
    assert list(read(path).step) == [100, 200, 300, 400, 500]
    upsert(path, curve(40, 200, 1.0), along=["step"])
    assert list(read(path).validation_loss) == [0.5] * 5


def test_another_recipe_may_identify_its_rows_by_other_columns(path: Path) -> None:
    identity = (*IDENTITY, "temperature")
    upsert(path, [row(temperature=20), row(temperature=2.5), row(temperature=20, test_accuracy=0.5)], identity)
    frame = read(path)
    assert list(frame.temperature) == [2.5, 20] and list(frame.test_accuracy) == [0.98, 0.5]
    assert list(frame.columns)[8:10] == ["temperature", "seed"]


# --- cells


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""), (math.nan, ""), (np.float32("nan"), ""), ("", ""), ("a,b", "a,b"), ("two\r\nlines", "two lines"),
        (True, "True"), (3, "3"), (np.int64(3), "3"), (3.0, "3"),
        (0.1, "0.1"), (np.float32(0.1), "0.1"), (1 / 3, "0.33333333"), (1e-12, "1e-12"), (-0.0, "0"), (123456789012, "123456789012"),
        (1.5e12, "1500000000000"), (1e300, "1e+300"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_the_same_value_has_the_same_text(value: Any, cell: str) -> None:
    assert text(value) == cell


@settings(deadline=None, max_examples=20)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_eight_digits_and_their_text_is_stable(value: float) -> None:
    assert math.isclose(float(text(value)), value, rel_tol=1e-7, abs_tol=1e-300)
    assert text(float(text(value))) == text(value)


@settings(deadline=None, max_examples=20)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1))
def test_words_of_any_characters_come_back_on_one_line(tmp_path_factory: pytest.TempPathFactory, word: str) -> None:
    path = tmp_path_factory.mktemp("words") / "a.csv"
    upsert(path, [row(variant=word)])
    upsert(path, [row(variant=word), row(seed=1)])
    upsert(path, [row(variant=word)])
    assert sorted(found["variant"] for found in records._parse(path, path.read_bytes())) == sorted(["", text(word)])


def test_reading_gives_numbers_as_numbers_and_no_variant_as_an_empty_word(path: Path) -> None:
    upsert(path, [row(), row(arm="rewinding", rewind_step=500, variant="training.learning_rate=0.01", commit="0123456", key="1e5")])
    frame = read(path)
    assert frame.seed.dtype == np.int64 and frame.test_accuracy.dtype == np.float64
    assert frame.set_index("arm").rewind_step.isna().to_dict() == {"rewinding": False, "winning_ticket": True}
    assert set(frame.variant) == {"", "training.learning_rate=0.01"}
    assert set(frame.commit.dropna()) == {"0123456"} and set(frame.key.dropna()) == {"1e5"}


def test_the_identity_is_among_the_columns() -> None:
    assert set(IDENTITY) < set(COLUMNS) and "scale" not in IDENTITY


# --- faults


def test_no_records_is_one_clear_line(path: Path) -> None:
    with pytest.raises(UserError, match=r"there are no records at .*lottery_ticket\.csv: run the experiment first"):
        read(path)


@pytest.mark.parametrize("content", [b"a,b\n1,2,3\n", b"a,b\n1\n", b'a,b\n"1,2\n', b"a,b\n\xff,1\n", b"a,b\n<<<<<<< HEAD\n"])
def test_a_file_that_is_no_table_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"lottery_ticket\.csv is no table .*: mend or remove it"):
        upsert(path, [row()])
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot write in .*results.records .*lab\.results=FOLDER") as error:
        upsert(tmp_path / "results" / "records" / "a.csv", [row()])
    assert "\n" not in str(error.value)


def test_a_full_disk_is_one_clear_line_and_keeps_the_records(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upsert(path, [row()])
    before = path.read_bytes()

    def fill_up(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", fill_up)
    with pytest.raises(UserError, match="no space left to write in"):
        upsert(path, [row(seed=1)])
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 2


WRITER = """
import sys
from pathlib import Path
from nncompress.lab.records import upsert
path, writer = Path(sys.argv[1]), int(sys.argv[2])
for seed in range(15):
    upsert(path, [{"experiment": "a", "arm": arm, "seed": 100 * writer + seed, "steps": 1} for arm in ("one", "two")])
"""


def test_several_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(number)], env=environment) for number in range(4)]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 4
    assert {(r["arm"], int(r["seed"])) for r in records._parse(path, path.read_bytes())} == {
        (arm, 100 * number + seed) for arm in ("one", "two") for number in range(4) for seed in range(15)
    }


def test_records_are_written_without_pandas_or_torch(path: Path) -> None:
    code = WRITER + "assert not {'pandas', 'torch'} & set(sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    subprocess.run([sys.executable, "-c", code, str(path), "0"], env=environment, check=True)


def test_a_row_enters_a_file_of_five_thousand_in_less_than_a_second_of_the_processor(path: Path) -> None:
    """The lab writes after every finished stage."""
    upsert(path, [row(round=n % 25, seed=n // 25, test_loss=1 / (n + 2)) for n in range(5000)])
    began = time.process_time()
    upsert(path, [row(arm="random_mask")])
    assert time.process_time() - began < 1
    assert len(records._parse(path, path.read_bytes())) == 5001


# --- provenance


def test_provenance_names_commit_versions_and_day() -> None:
    found = provenance.provenance()
    assert set(found) == {"commit", "torch", "numpy", "python", "date"}
    assert len(found["date"]) == 10 and found["python"].startswith("3.")
    assert all(isinstance(value, str) and value for value in found.values())


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def test_the_commit_is_dirty_only_when_sources_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_REPOSITORY", tmp_path.resolve())
    commit = provenance._commit.__wrapped__
    assert commit() == "unknown"
    for name in ("src/a.py", "results/a.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("1")
    git(tmp_path, "init", "-q")
    assert commit() == "unknown"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first", "--no-verify")
    head = git(tmp_path, "rev-parse", "--short", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as within a hook
    assert commit() == head
    (tmp_path / "results" / "a.csv").write_text("2")
    assert commit() == head
    (tmp_path / "src" / "new.py").write_text("2")  # a recipe that nobody committed
    assert commit() == f"{head}+dirty"
    (tmp_path / "src" / "new.py").unlink()
    (tmp_path / "src" / "a.py").write_text("2")
    assert commit() == f"{head}+dirty"
    monkeypatch.setattr(provenance, "_REPOSITORY", tmp_path.resolve() / "src")
    assert commit() == "unknown"  # somebody else's repository around the package


def test_the_device_is_named_with_its_cores() -> None:
    name = provenance.device_name("cpu")
    assert name.startswith("cpu (") and name.endswith(("core)", "cores)")) and ", " in name
