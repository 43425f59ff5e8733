"""Watching a run: CSV files, or Weights & Biases. The results themselves are written by the lab and need no logger."""

from __future__ import annotations

import csv
import json
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from nncompress.errors import UserError
from nncompress.lab.records import IDENTITY

if TYPE_CHECKING:
    import pandas as pd

POINTS = 50
"""Points of a curve that are sent to Weights & Biases, of those that results/curves keeps."""


class RunLogger(Protocol):
    """What a run tells as it goes. No method may stop the run."""

    def start(self, experiment: str, config: Mapping[str, Any]) -> None:
        """Called once, before all else. `config`: plain values."""

    def row(self, row: Mapping[str, Any]) -> None:
        """One record, as soon as its stage is done."""

    def curve(self, label: str, arrays: Mapping[str, np.ndarray]) -> None:
        """A curve: columns of equal length, first the one that it runs along. `label`: 'winning_ticket round=3 seed=0'."""

    def table(self, name: str, frame: pd.DataFrame) -> None: ...

    def figures(self, paths: Iterable[Path]) -> None: ...

    def finish(self) -> None:
        """Called once, last, also when the run failed."""


def build(settings: Mapping[str, Any], folder: Path, group: str | None = None) -> RunLogger:
    """The logger that conf/logger/*.yaml describes. `folder`: where it may write. `group`: the sweep that the run is part of, if any."""
    options = {key: value for key, value in settings.items() if key != "name"}
    if settings["name"] == "csv":
        return CsvLogger(folder / "csv")
    if settings["name"] == "wandb":
        return WandbLogger(folder, **options | {"group": options.get("group") or group})
    return NoLogger()


class NoLogger:
    """Tells nobody."""

    def start(self, experiment: str, config: Mapping[str, Any]) -> None: ...

    def row(self, row: Mapping[str, Any]) -> None: ...

    def curve(self, label: str, arrays: Mapping[str, np.ndarray]) -> None: ...

    def table(self, name: str, frame: pd.DataFrame) -> None: ...

    def figures(self, paths: Iterable[Path]) -> None: ...

    def finish(self) -> None: ...


class CsvLogger:
    """Writes `<folder>/<experiment>/<time>/`: config.json, rows.csv (as they come), curves/, tables/, figures.txt.

    A file that cannot be written is said once, in one line, and nothing more is logged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: list[Mapping[str, Any]] = []
        self._columns: list[str] = []
        self._works = True

    def _guarded(self, action: Callable[[], Any]) -> None:
        if self._works:
            try:
                action()
            except OSError as error:
                self._works = False
                print(f"logger=csv: {self.folder}: {error.strerror}; going on without it", file=sys.stderr)

    def start(self, experiment: str, config: Mapping[str, Any]) -> None:
        self.folder = self.folder / experiment / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{os.getpid()}"

        def write() -> None:
            for name in ("curves", "tables"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            (self.folder / "config.json").write_text(json.dumps(config, indent=1, default=str) + "\n")

        self._guarded(write)

    def row(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        new = [name for name in row if name not in self._columns]
        self._columns += new

        def write() -> None:
            with (self.folder / "rows.csv").open("w" if new else "a", newline="") as file:
                writer = csv.DictWriter(file, self._columns, restval="")
                if new:
                    writer.writeheader()
                writer.writerows(self._rows if new else [row])

        self._guarded(write)

    def curve(self, label: str, arrays: Mapping[str, np.ndarray]) -> None:
        def write() -> None:
            with (self.folder / "curves" / f"{file_name(label)}.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(arrays)
                writer.writerows(zip(*(array.tolist() for array in arrays.values()), strict=True))

        self._guarded(write)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        self._guarded(lambda: frame.to_csv(self.folder / "tables" / f"{file_name(name)}.csv", index=False))

    def figures(self, paths: Iterable[Path]) -> None:
        def write() -> None:
            with (self.folder / "figures.txt").open("a") as file:
                file.writelines(f"{path}\n" for path in paths)

        self._guarded(write)

    def finish(self) -> None: ...


class WandbLogger:
    """Weights & Biases: every record as a step, learning curves against the step of training, tables, figures, sweeps as groups.

    Online only if a key is configured (or `mode` says so) and the server answers within `timeout` seconds; otherwise offline, in
    `<folder>/wandb`. At its end a run waits for the server no longer than that either. A server that failed once is not asked again by this
    process: the later runs of a sweep are offline at once. Whatever fails in here is said once, in one line, and the run goes on without it.

    Raises: UserError if wandb is not installed or `mode` is none of auto, online, offline.
    """

    server_failed: ClassVar[bool] = False

    def __init__(
        self,
        folder: Path,
        project: str = "nncompress",
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        mode: str = "auto",
        timeout: float = 10,
    ) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # reports on itself, for which it waits 20 s more where no server answers
        try:
            import wandb
        except ImportError as error:
            raise UserError("logger=wandb needs the package wandb: pip install wandb, or use logger=csv") from error
        if mode not in ("auto", "online", "offline"):
            raise UserError(f"logger.mode = {mode}: must be auto, online or offline")
        self._wandb = wandb
        self.folder, self.timeout = folder, timeout
        self.options: dict[str, Any] = {"project": project, "entity": entity, "group": group, "tags": list(tags)}
        self.mode = mode if mode != "auto" else os.environ.get("WANDB_MODE") or ("online" if self._has_key() else "offline")
        self.run: Any = None
        self._values: dict[str, list[float]] = defaultdict(list)

    def _has_key(self) -> bool:
        from requests.utils import get_netrc_auth

        try:
            settings = self._wandb.setup().settings
        except Exception:  # whatever ails it will be said when the run is started offline
            return False
        return bool(os.environ.get("WANDB_API_KEY") or settings.api_key or get_netrc_auth(settings.base_url))

    def start(self, experiment: str, config: Mapping[str, Any]) -> None:
        if self.mode == "online" and not WandbLogger.server_failed:
            self._guarded(lambda: self._init("online", experiment, config), "going on offline (`wandb sync` uploads the run later)")
            WandbLogger.server_failed = self.run is None
        if self.run is None:
            self._guarded(lambda: self._init("disabled" if self.mode == "disabled" else "offline", experiment, config))

    def _init(self, mode: Any, experiment: str, config: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        quiet = self._wandb.Settings(
            init_timeout=self.timeout,
            finish_timeout=self.timeout,
            finish_timeout_raises=True,
            silent=True,  # what is printed is no news to anyone
            console="off",
            disable_git=True,  # the commit is in the records
            x_disable_stats=True,
        )
        self.run = self._wandb.init(
            mode=mode,
            dir=str(self.folder),
            name=experiment,
            config=dict(config),
            job_type=experiment,
            settings=quiet,
            reinit="finish_previous",
            **self.options,
        )

    def _guarded(self, action: Callable[[], Any], consequence: str = "going on without it") -> None:
        """A watcher must not cost the run that it watches: whatever it raises is one line, and it is asked no more."""
        try:
            action()
        except Exception as error:
            self.run = None
            print(f"wandb: {(str(error) or type(error).__name__).splitlines()[0].rstrip('.')}; {consequence}", file=sys.stderr)

    def _log(self, values: Mapping[str, Any]) -> None:
        if self.run is not None:
            self._guarded(lambda: self.run.log(dict(values)))

    def row(self, row: Mapping[str, Any]) -> None:
        arm = row.get("arm", "row")
        numbers = {f"{arm}/{name}": value for name, value in row.items() if name not in IDENTITY and isinstance(value, int | float)}
        for name, value in numbers.items():
            self._values[name].append(float(value))
        self._log(numbers | {name: row[name] for name in ("round", "seed", "rewind_step") if name in row})

    def curve(self, label: str, arrays: Mapping[str, np.ndarray]) -> None:
        axis, *others = arrays
        length = len(arrays[axis])
        if self.run is not None:
            self._guarded(lambda: self.run.define_metric(f"curve/{label}/*", step_metric=f"curve/{axis}"))
        for place in np.unique(np.linspace(0, length - 1, min(POINTS, length)).astype(int)) if length else ():
            point = {f"curve/{label}/{name}": arrays[name][place].item() for name in others}
            self._log(point | {f"curve/{axis}": arrays[axis][place].item()})

    def table(self, name: str, frame: pd.DataFrame) -> None:
        if self.run is not None:
            self._guarded(lambda: self.run.log({f"tables/{name}": self._wandb.Table(dataframe=frame)}))

    def figures(self, paths: Iterable[Path]) -> None:
        for path in paths:
            if path.suffix == ".png" and self.run is not None:
                self._guarded(lambda path=path: self.run.log({f"figures/{path.stem}": self._wandb.Image(str(path))}))  # type: ignore[misc]

    def finish(self) -> None:
        """The summary holds the mean of every number of an arm; a W&B sweep maximises `winning_ticket/validation_accuracy`. A server that went
        away meanwhile is waited for `timeout` seconds; what it lacks stays in the folder."""
        if self.run is not None:
            self._guarded(lambda: self.run.summary.update({name: statistics.fmean(values) for name, values in self._values.items()}))
        if self.run is not None:
            self._guarded(self.run.finish, "`wandb sync` uploads the rest later")
            WandbLogger.server_failed |= self.run is None


def file_name(label: str) -> str:
    """The label as the name of a file."""
    return "".join(letter if letter.isalnum() or letter in "-_=." else "_" for letter in label)[:120]
