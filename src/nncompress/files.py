"""Writing files so that a reader finds the old one or the new one, never half of one, and failures that a user can mend."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nncompress.errors import UserError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
_IS_A_FOLDER = {errno.EISDIR, errno.ENOTEMPTY}


@contextmanager
def writing(folder: Path, mend: str) -> Iterator[None]:
    """Run a block that writes in `folder`; a full disk, a folder that cannot be written, or one where a file is to be, becomes a UserError of
    one line.

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
        raise


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
