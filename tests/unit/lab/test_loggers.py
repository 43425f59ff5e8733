"""Loggers: what they write, and that none of them can stop a run."""

from __future__ import annotations

import csv
import errno
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest

from nncompress.errors import UserError
from nncompress.lab.loggers import CsvLogger, NoLogger, RunLogger, WandbLogger, build

CURVE = {"step": np.arange(0, 400, 2), "validation_loss": np.linspace(1, 0, 200)}
LINE = {"alpha": np.linspace(0, 1, 5), "test_error": np.linspace(0, 0.1, 5)}


def tell(logger: RunLogger, folder: Path) -> None:
    """All that a run tells."""
    from matplotlib.figure import Figure

    picture = folder / "accuracy.png"
    Figure(figsize=(1, 1)).savefig(picture)
    logger.start("quick/lottery_ticket", {"training": {"steps": 5}, "variant": ""})
    logger.row({"arm": "winning_ticket", "round": 0, "seed": 0, "validation_accuracy": 0.9, "key": "a"})
    logger.row({"arm": "winning_ticket", "round": 0, "seed": 1, "validation_accuracy": 0.75, "key": "b"})
    logger.row({"arm": "rewinding", "round": 1, "seed": 0, "rewind_step": 5, "validation_accuracy": 0.8})
    logger.curve("winning_ticket round=0 seed=0", CURVE)
    logger.curve("instability round=0 seed=0", LINE)
    logger.table("accuracy", pd.DataFrame({"arm": ["winning_ticket"], "mean": [0.8]}))
    logger.figures([picture, folder / "accuracy.svg"])
    logger.finish()


def test_no_logger_writes_nothing(tmp_path: Path) -> None:
    logger = build({"name": "none"}, tmp_path / "logs")
    assert isinstance(logger, NoLogger)
    tell(logger, tmp_path)
    assert not (tmp_path / "logs").exists()


def test_the_csv_logger_keeps_rows_whose_columns_differ(tmp_path: Path) -> None:
    logger = build({"name": "csv"}, tmp_path)
    assert isinstance(logger, CsvLogger)
    tell(logger, tmp_path)
    assert logger.folder.is_relative_to(tmp_path / "csv" / "quick" / "lottery_ticket")
    with (logger.folder / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["validation_accuracy"] for row in rows] == ["0.9", "0.75", "0.8"]
    assert [row["rewind_step"] for row in rows] == ["", "", "5"]
    assert json.loads((logger.folder / "config.json").read_text())["training"] == {"steps": 5}
    curve = pd.read_csv(logger.folder / "curves" / "winning_ticket_round=0_seed=0.csv")
    assert np.allclose(curve["validation_loss"], CURVE["validation_loss"])
    assert pd.read_csv(logger.folder / "tables" / "accuracy.csv")["mean"].tolist() == [0.8]
    assert len((logger.folder / "figures.txt").read_text().splitlines()) == 2


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    pytest.importorskip("wandb")
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "no_netrc"))
    monkeypatch.setattr(WandbLogger, "server_failed", False)
    return monkeypatch


def offline_runs(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"))


def test_a_full_disk_ends_the_csv_log_and_not_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = CsvLogger(tmp_path)
    logger.start("x", {})

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", full)
    logger.row({"arm": "a", "seed": 0})
    logger.row({"arm": "a", "seed": 1})
    logger.figures([Path("a.png")])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "No space left on device; going on without it" in lines[0]


@pytest.mark.slow
def test_wandb_is_offline_where_no_key_is_configured(no_key: pytest.MonkeyPatch, tmp_path: Path) -> None:
    logger: Any = build({"name": "wandb", "project": "test"}, tmp_path / "logs", group="sweep")
    assert logger.mode == "offline"
    assert logger.options["group"] == "sweep"
    tell(logger, tmp_path)
    assert logger.run is not None
    logger._wandb.teardown()  # its own process writes the file; wait for it
    (run,) = offline_runs(tmp_path / "logs")
    content = run.read_bytes()
    assert all(word in content for word in (b"rewinding/validation_accuracy", b"tables/accuracy", b"figures/accuracy", b"curve/alpha"))
    assert b"0.825" in content  # the summary: the mean of 0.9 and 0.75


@pytest.mark.slow
def test_an_unreachable_server_neither_stops_nor_holds_up_a_run(
    no_key: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    no_key.setenv("WANDB_API_KEY", "a" * 40)
    no_key.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    for _ in range(2):  # two points of a sweep
        logger: Any = build({"name": "wandb", "timeout": 2}, tmp_path / "logs")
        assert logger.mode == "online"
        tell(logger, tmp_path)
    assert len([line for line in capfd.readouterr().err.splitlines() if "going on offline" in line]) == 1
    assert len(offline_runs(tmp_path / "logs")) == 2


class Server:
    """Stands for `wandb.init`, notes what it is asked. `fails`: when an online run fails, at its 'start' or its 'end'."""

    def __init__(self, fails: str) -> None:
        self.fails = fails
        self.asked: list[str] = []
        self.settings: list[Any] = []

    def __call__(self, *, mode: str, settings: Any, **_: Any) -> MagicMock:
        self.asked.append(mode)
        self.settings.append(settings)
        failure = TimeoutError("no answer") if mode == "online" else None
        if failure and self.fails == "start":
            raise failure
        return MagicMock(**{"finish.side_effect": failure if self.fails == "end" else None})


@pytest.mark.parametrize(
    ("fails", "consequence"),
    [("start", "going on offline (`wandb sync` uploads the run later)"), ("end", "`wandb sync` uploads the rest later")],
)
def test_a_server_that_failed_is_not_asked_again_by_this_process(
    fails: str, consequence: str, no_key: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(fails)
    no_key.setattr("wandb.init", server)
    for point in range(3):
        logger = build({"name": "wandb", "mode": "online"}, tmp_path)
        logger.start("x", {})
        logger.row({"arm": "winning_ticket", "seed": point, "validation_accuracy": 0.5})
        logger.finish()
    assert server.asked == ["online"] + ["offline"] * (3 if fails == "start" else 2)
    assert capsys.readouterr().err == f"wandb: no answer; {consequence}\n"


def test_a_run_waits_for_the_server_no_longer_at_its_end_than_at_its_start(no_key: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = Server(fails="never")
    no_key.setattr("wandb.init", server)
    build({"name": "wandb", "mode": "online", "timeout": 3}, tmp_path).start("x", {})
    [settings] = server.settings
    assert (settings.init_timeout, settings.finish_timeout) == (3, 3)


def test_whatever_wandb_raises_is_said_once_and_the_run_goes_on(
    no_key: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger: Any = build({"name": "wandb", "mode": "offline"}, tmp_path / "logs")

    class Broken:
        def log(self, _: object) -> None:
            raise OSError("disk full")

    logger.run = Broken()
    for _ in range(3):
        logger.row({"arm": "winning_ticket", "round": 0, "seed": 0, "validation_accuracy": 0.5})
    logger.finish()
    assert capsys.readouterr().err == "wandb: disk full; going on without it\n"


def test_an_unknown_mode_is_refused(no_key: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"logger\.mode = of: must be auto, online or offline"):
        build({"name": "wandb", "mode": "of"}, tmp_path)
