"""The store: what stages have yielded, by their keys, so that nothing is trained twice.

    <root>/<key[:2]>/<key>/    a finished entry: arrays.safetensors, entry.json, SHA256SUMS (`sha256sum -c SHA256SUMS` checks it by hand)
    <root>/partial/<key>       the state that an interrupted stage continues from
    <root>/locks/<key>.lock    held by the process that computes the stage; the system lets go of it when that process dies
    <root>/temporary/          what is being written or removed, and what killed processes left of it; readers never look here

An entry appears by renaming a finished folder, so it exists whole or not at all; its checksums are verified at every reading.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from safetensors import numpy as safetensors

from nncompress.errors import UserError
from nncompress.files import replace_file, write_synced, writing
from nncompress.lab.stage import Artifact, Stage, describe

ARRAYS, ENTRY, SUMS = "arrays.safetensors", "entry.json", "SHA256SUMS"
MEND = "choose another folder with lab.store=FOLDER"
SECONDS_PER_DAY = 86400


@dataclass(frozen=True)
class EntryInfo:
    """One finished entry. `bytes` on disk; `seconds` it took to compute, None where unknown; `date` (UTC day) it was written."""

    key: str
    stage: str
    bytes: int
    seconds: float | None
    date: str
    label: str


class Store:
    """Artifacts by the key of their stage, in the folder `root`, which is made when something is first written."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    # --- finished entries

    def has(self, stage: Stage) -> bool:
        """Whether there is an entry; cheap, so its checksums are not verified."""
        return self._folder(stage.key).exists()

    def read(self, stage: Stage) -> Artifact | None:
        """The stored artifact, None when there is none. A damaged entry is removed, said in one line on stderr, and None returned."""
        folder = self._folder(stage.key)
        try:
            content = {name: (folder / name).read_bytes() for name in (ARRAYS, ENTRY, SUMS)}
        except OSError as error:
            if not folder.exists():
                return None
            self._damaged("entry", folder, f"{Path(error.filename or folder).name}: {error.strerror}")
            return None
        if _sums(content) != content[SUMS]:
            self._damaged("entry", folder, "its checksums do not match")
            return None
        entry = json.loads(content[ENTRY])
        return Artifact(safetensors.load(content[ARRAYS]), entry["metrics"], entry["provenance"])

    def write(self, stage: Stage, artifact: Artifact) -> None:
        """Store the artifact; an entry that is there already is left as it is.

        Raises: UserError when the disk is full or the folder cannot be written; nothing is left behind then.
        """
        folder = self._folder(stage.key)
        if folder.exists():
            return
        entry = {"description": describe(stage), "metrics": artifact.metrics, "provenance": artifact.provenance}
        content = {ARRAYS: _save(artifact.arrays), ENTRY: json.dumps(entry, indent=1, default=_number).encode()}
        content[SUMS] = _sums(content)
        temporary = self._temporary(stage.key)
        with writing(self.root, MEND):
            try:
                temporary.mkdir(parents=True)
                for name, data in content.items():
                    write_synced(temporary / name, data)
                folder.parent.mkdir(parents=True, exist_ok=True)
                try:
                    temporary.rename(folder)
                except OSError:
                    if not folder.exists():  # otherwise another process stored the same stage first
                        raise
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    # --- locks

    @contextmanager
    def lock(self, stage_keys: Iterable[str], waiting: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the locks of stages while they are computed; ask for all of them at once, so that no two processes wait for each other.

        Args:
            stage_keys: keys, locked in sorted order.
            waiting: called with the key each time that another process holds one, before waiting for it.
        """
        with ExitStack() as held:
            for key in sorted(set(stage_keys)):
                lock = self._file_lock(key)
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    if waiting is not None:
                        waiting(key)
                    lock.acquire()
                held.callback(lock.release)
            yield

    def _file_lock(self, key: str) -> FileLock:
        folder = self.root / "locks"
        with writing(self.root, MEND):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{key}.lock").touch()
        return FileLock(folder / f"{key}.lock")

    # --- partial states

    def write_partial(self, stage: Stage, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Keep the state that `stage` would continue from, in the place of the one before. `meta`: plain JSON values."""
        head = json.dumps({"stage": type(stage).__name__, "meta": meta}, default=_number).encode()
        payload = head + b"\n" + _save(arrays)
        path = self._partial(stage.key)
        with writing(self.root, MEND):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._temporary(stage.key)
            temporary.parent.mkdir(exist_ok=True)
            # Not synced, for it is written often: the checksum tells a state that a power cut spoiled.
            replace_file(path, _digest(payload) + b"\n" + payload, temporary, sync=False)

    def read_partial(self, stage: Stage) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """The arrays and meta of the kept state, None when there is none. A damaged one is removed, said on stderr, and None returned."""
        path = self._partial(stage.key)
        try:
            digest, _, payload = path.read_bytes().partition(b"\n")
        except OSError as error:
            if path.exists():
                self._damaged("partial state", path, str(error.strerror))
            return None
        if _digest(payload) != digest:
            self._damaged("partial state", path, "its checksum does not match")
            return None
        head, _, arrays = payload.partition(b"\n")
        return safetensors.load(arrays), json.loads(head)["meta"]

    def drop_partial(self, stage: Stage) -> None:
        """Forget the kept state, if any."""
        self._partial(stage.key).unlink(missing_ok=True)

    # --- keeping house

    def entries(self) -> list[EntryInfo]:
        """Every finished entry, oldest first. Reads descriptions only."""
        return [_info(folder) for folder in sorted(self._folders(), key=_age_order)]

    def clean(
        self,
        *,
        partial: bool = False,
        older_than_days: float | None = None,
        keys: Iterable[str] | None = None,
        everything: bool = False,
        stage: str | None = None,
    ) -> tuple[int, int]:
        """Remove entries, never one whose lock is held. What killed processes left half done goes in any case.

        Args:
            partial: remove partial states instead of finished entries; with no other choice, all of them.
            older_than_days, keys, stage: remove what was written longer ago, whose key begins with one of these, whose stage class has this
                name; where several are given, all must hold.
            everything: remove all entries and all partial states.

        Returns: how many entries, partial states and leftovers were removed, and their bytes.
        """
        if older_than_days is not None and not older_than_days >= 0:
            raise UserError(f"older_than_days={older_than_days} must be 0 or more")
        prefixes = None if keys is None else tuple(key for key in keys if key)
        narrowed = older_than_days is not None or prefixes is not None or stage is not None

        def chosen(path: Path, stage_name: Callable[[Path], str]) -> bool:
            return everything or (
                (older_than_days is None or time.time() - _modified(path) > older_than_days * SECONDS_PER_DAY)
                and (prefixes is None or path.name.startswith(prefixes))
                and (stage is None or stage_name(path) == stage)
            )

        doomed = list(_children(self.root / "temporary"))
        if everything or (narrowed and not partial):
            doomed += [folder for folder in self._folders() if chosen(folder, lambda folder: _info(folder).stage)]
        if everything or partial:
            doomed += [path for path in _children(self.root / "partial") if chosen(path, _partial_stage)]
        removed = [size for path in doomed if (size := self._remove_unlocked(path)) is not None]
        return len(removed), sum(removed)

    def _remove_unlocked(self, path: Path) -> int | None:
        """Bytes freed; None when the key is locked or the path gone already."""
        lock = self._file_lock(path.name.partition(".")[0])
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        try:
            size = _size(path)
            return size if self._remove(path) else None
        finally:
            # Safe while held: who waits for a lock file that is gone opens a new one.
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()

    def _remove(self, path: Path) -> bool:
        """Remove in one step for every reader: rename away first."""
        with writing(self.root, MEND):
            aside = path
            if path.parent.name != "temporary":
                aside = self._temporary(path.name)
                aside.parent.mkdir(exist_ok=True)
                try:
                    path.rename(aside)
                except FileNotFoundError:
                    return False
            if aside.is_dir():
                shutil.rmtree(aside, ignore_errors=True)
            else:
                aside.unlink(missing_ok=True)
            return True

    def _damaged(self, what: str, path: Path, problem: str) -> None:
        self._remove(path)
        print(f"store {what} {path.name} is damaged ({problem}); it will be computed again", file=sys.stderr, flush=True)

    def _folder(self, key: str) -> Path:
        return self.root / key[:2] / key

    def _folders(self) -> Iterator[Path]:
        return (folder for folder in self.root.glob("??/*") if folder.name[:2] == folder.parent.name and folder.is_dir())

    def _partial(self, key: str) -> Path:
        return self.root / "partial" / key

    def _temporary(self, key: str) -> Path:
        return self.root / "temporary" / f"{key}.{uuid.uuid4().hex[:12]}"


def _save(arrays: Mapping[str, np.ndarray]) -> bytes:
    return safetensors.save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def _number(value: Any) -> Any:
    """numpy scalars, as JSON numbers."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"metrics, provenance and meta hold plain values only, not {type(value).__name__}: {value!r}")


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _sums(content: Mapping[str, bytes]) -> bytes:
    """The text of SHA256SUMS for the two files."""
    return b"".join(_digest(content[name]) + b"  " + name.encode() + b"\n" for name in (ARRAYS, ENTRY))


def _info(folder: Path) -> EntryInfo:
    size, date = _size(folder), datetime.fromtimestamp(_modified(folder), UTC).date().isoformat()
    try:
        entry = json.loads((folder / ENTRY).read_bytes())
        description, provenance = entry["description"], entry["provenance"]
        return EntryInfo(folder.name, description["stage"], size, provenance.get("seconds"), date, _label(description))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return EntryInfo(folder.name, "(damaged)", size, None, date, "")


def _label(description: Mapping[str, Any]) -> str:
    """A few words from a description: 'lenet_300_100 mnist steps=50000 seed=3'."""
    names = [description[part]["name"] for part in ("model", "dataset") if part in description]
    numbers = {"steps": description.get("training", {}).get("steps"), **description}
    wanted = ("steps", "begin_step", "stop_step", "seed")
    return " ".join([*names, *(f"{name}={numbers[name]}" for name in wanted if numbers.get(name) is not None)])


def _partial_stage(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            file.readline()
            return str(json.loads(file.readline())["stage"])
    except (OSError, ValueError, KeyError, TypeError):
        return "(damaged)"


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed by another process meanwhile
        return 0.0


def _age_order(path: Path) -> tuple[float, str]:
    return _modified(path), path.name


def _size(path: Path) -> int:
    try:
        return sum(child.stat().st_size for child in path.iterdir()) if path.is_dir() else path.stat().st_size
    except OSError:
        return 0
