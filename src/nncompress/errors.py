"""The one error that users are meant to see."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend: its message is one line that names the value and the mend. `run.py` prints it without a traceback."""
