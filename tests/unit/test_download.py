from pathlib import Path

import pytest

from nncompress.download import download_file
from tests.unit.served import address


def test_a_download_takes_the_place_of_a_damaged_file(tmp_path: Path) -> None:
    home, file = tmp_path / "home.data", tmp_path / "here" / "file.data"
    file.parent.mkdir()
    home.write_bytes(b"whole")
    file.write_bytes(b"dam")
    download_file(address(home), file)
    assert file.read_bytes() == b"whole" and [each.name for each in file.parent.iterdir()] == ["file.data"]


def test_a_download_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "file.data"
    file.write_bytes(b"mine")
    with pytest.raises(OSError):
        download_file(address(tmp_path / "nowhere"), file)
    assert [each.name for each in tmp_path.iterdir()] == ["file.data"] and file.read_bytes() == b"mine"
