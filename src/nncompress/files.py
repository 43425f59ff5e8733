"""Writing files so that a reader finds the old one or the new one, never half of one, and failures that a user can mend."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nncompress.errors import UserError, one_line

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
_IS_A_FOLDER = {errno.EISDIR, errno.ENOTEMPTY}


@contextmanager
def writing(folder: Path, mend: str) -> Iterator[None]:
    """Run a block that writes in `folder`; whatever the system refuses, such as a full disk, a folder that cannot be written, or one where a
    file is to be, becomes a UserError of one line.

    Args:
        folder: where the block writes.
        mend: how to write elsewhere, such as 'choose another folder with lab.store=FOLDER'.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(f"no space left to write in {folder}: free some, or {mend}") from error
        if error.errno in _DENIED:
            raise UserError(f"cannot write in {folder} ({os.strerror(error.errno)}): mend its permissions, or {mend}") from error
        if error.errno in _IS_A_FOLDER:
            raise UserError(f"{error.filename2 or error.filename} is a folder, where a file is to be written: {mend}") from error
        raise UserError(f"cannot write in {folder} ({error.strerror or one_line(error)}): {mend}") from error


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes, temporary: Path, *, sync: bool = True) -> None:
    """Put `content` in the place of `path` in one step, by way of `temporary` on the same disk, which is gone afterwards."""
    try:
        if sync:
            write_synced(temporary, content)
        else:
            temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_file(path: Path, content: bytes, mend: str) -> None:
    """Write a file that a user named, whole or not at all, and its folder where there is none. `mend`: as in `writing`.

    Raises: UserError where it cannot be written, or something stands there that is no file, such as a device, which is left alone.
    """
    with writing(path.parent, mend):
        target = Path(os.path.realpath(path))  # what a link points to is replaced, not the link: it may be /dev/stdout
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if target.exists() and not target.is_file():
            raise UserError(f"{path} is no regular file, and is left as it is: {mend}")
        target.parent.mkdir(parents=True, exist_ok=True)
        # a name that is short whatever the target's is, and that no other thread takes
        replace_file(target, content, target.with_name(f".{secrets.token_hex(8)}.tmp"))


def check_apart(source: Path, target: Path, mend: str) -> None:
    """Raises: UserError if the file to be written is the one that is read, by whatever name."""
    try:
        same = os.path.samefile(source, os.path.realpath(target))  # resolved, for a folder on the way may yet have to be made
    except OSError:  # one of them is not there, or cannot be: whoever reads or writes it says so
        return
    if same:
        raise UserError(f"{target} is the file that is read: {mend}")
