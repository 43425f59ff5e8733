"""Reading .npz files that people put in place by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nncompress.errors import UserError, one_line


def read_arrays(path: Path, names: Sequence[str], must_hold: str) -> dict[str, np.ndarray]:
    """The arrays `names` of an .npz file. `must_hold`: what belongs in it, in words.

    Raises: UserError of one line if it cannot be read or lacks one of them.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in names if name not in file]
            arrays = {name: file[name] for name in names if not missing}
    except Exception as error:  # a damaged archive or header fails in zipfile, any of its decompressors, the parser of headers or the allocator
        raise UserError(f"{path} cannot be read ({one_line(error)}): it is truncated, altered or not an .npz file; write it again") from error
    if missing:
        raise UserError(f"{path} has no array {missing[0]!r}: it must hold {must_hold}")
    return arrays
