"""Files from the web."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


def download_file(url: str, file: Path) -> None:
    """Put what is at `url` in the place of `file`, whole or not at all.

    Raises: OSError if it cannot be had.
    """
    from sklearn.datasets import fetch_file

    with no_endless_wait():
        fresh = fetch_file(url, folder=file.parent, local_filename=f".{file.name}.new", n_retries=0)  # scikit-learn keeps a file that is there
        os.replace(fresh, file)


@contextlib.contextmanager
def no_endless_wait(seconds: float = 30) -> Iterator[None]:
    """scikit-learn, torchvision and urllib open their connections without a time limit."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
