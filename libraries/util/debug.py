"""``log_once``: for messages that would come again and again."""

from __future__ import annotations

import threading
import time
from typing import Final

PERIOD_S: Final = 60.0
_lock = threading.Lock()
_seen: dict[str, float] = {}
"""When it was asked for last that was answered."""
_disabled = False
_periodic = False


def log_once(key: str) -> bool:
    """Whether this is the first time in this process that it is asked for ``key``, or in a minute
    (`enable_periodic_logging`).

    Examples
    --------
    >>> if log_once("slow disk"):
    ...     print("the disk is slow")
    the disk is slow
    """
    now = time.monotonic()
    with _lock:
        if _disabled or (key in _seen and not (_periodic and now - _seen[key] >= PERIOD_S)):
            return False
        _seen[key] = now
        return True


def disable_log_once_globally() -> None:
    """From now on `log_once` is False in this process."""
    global _disabled
    _disabled = True


def enable_periodic_logging() -> None:
    """From now on `log_once` is True once a minute in this process."""
    global _periodic
    _periodic = True


def reset_log_once(key: str | None = None) -> None:
    """Forget that it was asked for ``key``, or for any."""
    with _lock:
        if key is None:
            _seen.clear()
        else:
            _seen.pop(key, None)
