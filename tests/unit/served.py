"""Files with addresses, in the place of the web's."""

from pathlib import Path


def address(file: Path) -> str:
    """The URL of a file here, with a host as the web's have."""
    return file.as_uri().replace("file://", "file://localhost", 1)
