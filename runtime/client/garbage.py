"""Looking for garbage of Python's, beside what a process does."""

from __future__ import annotations

import gc
import threading

_looking = threading.Lock()


def collect_soon() -> None:
    """Have Python collect what is in circles, in a thread of its own; not twice at once."""
    if _looking.acquire(blocking=False):
        threading.Thread(target=_collect, name="raynb-garbage", daemon=True).start()


def _collect() -> None:
    try:
        gc.collect()
    finally:
        _looking.release()
