"""Files that are written whole or not at all, and one line for whatever the system refuses."""

import errno
import os
from pathlib import Path

import pytest

from nncompress.errors import UserError
from nncompress.files import check_apart, write_file, writing

MEND = "choose another path"


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT), "net"), "No such file or directory"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "Input/output error"),
        (OSError("of no number,\nin two lines"), "of no number, in two lines"),
    ],
)
def test_whatever_the_system_refuses_is_one_line(tmp_path: Path, refusal: OSError, reason: str) -> None:
    with pytest.raises(UserError) as error, writing(tmp_path, MEND):
        raise refusal
    assert str(error.value) == f"cannot write in {tmp_path} ({reason}): {MEND}"


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    write_file(tmp_path / ("a" * 255), b"new", MEND)
    with pytest.raises(UserError, match=r"File name too long\): choose another path$"):
        write_file(tmp_path / ("a" * 256), b"new", MEND)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


def test_what_is_no_regular_file_is_left_alone(tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    for path in (fifo, link):
        with pytest.raises(UserError) as error:
            write_file(path, b"new", MEND)
        assert str(error.value) == f"{path} is no regular file, and is left as it is: {MEND}"
    assert fifo.is_fifo() and link.is_symlink() and sorted(tmp_path.iterdir()) == [fifo, link]


def test_a_link_is_followed(tmp_path: Path) -> None:
    link, new = tmp_path / "link", tmp_path / "folder" / "new"
    link.symlink_to(new)
    for content in (b"first", b"second"):
        write_file(link, content, MEND)
        assert link.is_symlink() and new.read_bytes() == content
    assert list(new.parent.iterdir()) == [new]


def test_the_file_that_is_read_is_known_by_every_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source, other = tmp_path / "source", tmp_path / "other"
    source.write_bytes(b"old")
    (tmp_path / "link").symlink_to(source)
    for target in (source, Path("source"), Path("missing/../source"), Path("link")):
        with pytest.raises(UserError) as error:
            check_apart(source, target, MEND)
        assert str(error.value) == f"{target} is the file that is read: {MEND}"
    check_apart(source, other, MEND)
    check_apart(other, other, MEND)  # there is none, which is said when it is read
