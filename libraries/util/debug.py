"""``log_once``: for messages that would come again and again."""

from __future__ import annotations

import threading

_lock = threading.Lock()
_seen: set[str] = set()
_disabled = False


def log_once(key: str) -> bool:
    """Whether this is the first time in this process that it is asked for ``key``.

    Examples
    --------
    >>> if log_once("slow disk"):
    ...     print("the disk is slow")
    the disk is slow
    """
    with _lock:
        if _disabled or key in _seen:
            return False
        _seen.add(key)
        return True


def disable_log_once_globally() -> None:
    """From now on `log_once` is False in this process."""
    global _disabled
    _disabled = True


def enable_periodic_logging() -> None:
    """`log_once` works again."""
    global _disabled
    _disabled = False


def reset_log_once(key: str) -> None:
    """Forget that it was asked for ``key``."""
    with _lock:
        _seen.discard(key)
