"""The one error that users are meant to see, and how it is worded."""

from __future__ import annotations

import argparse
import difflib
import textwrap
from collections.abc import Collection
from typing import NoReturn


class UserError(Exception):
    """Something the user can mend: its message is one line that names the value and the mend. `run.py` prints it without a traceback."""


class OneLineParser(argparse.ArgumentParser):
    """Refuses arguments by a UserError, where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; `{self.prog} --help` says what is asked for")


def one_line(error: Exception) -> str:
    """What an error of a library says, short and on one line."""
    return textwrap.shorten(str(error) or type(error).__name__, 200)


def suggestion(word: str, known: Collection[str]) -> str:
    """'; did you mean ...?' if something near is known, else ''."""
    close = [name for name in known if name.endswith((f".{word}", f"/{word}"))]
    close = close or difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
