"""What reading a file may take."""

import time
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def traced(work: Callable[[], Result]) -> Result:
    """What `work` returns; it must not take 100 MB or five seconds."""
    began = time.process_time()
    tracemalloc.start()
    try:
        return work()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100e6 and time.process_time() - began < 5
