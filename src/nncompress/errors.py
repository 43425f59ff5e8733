"""The one error that users are meant to see."""

from __future__ import annotations

import textwrap


class UserError(Exception):
    """Something the user can mend: its message is one line that names the value and the mend. `run.py` prints it without a traceback."""


def one_line(error: Exception) -> str:
    """What an error of a library says, short and on one line."""
    return textwrap.shorten(str(error) or type(error).__name__, 200)
