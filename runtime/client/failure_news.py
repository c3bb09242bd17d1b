"""What a person is told of failures that no ``get`` raises: of tasks that are tried again, or that nobody looks at."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from raynb.runtime.client.failures import to_exception
from raynb.runtime.core.client_effects import Retried, Unhandled
from raynb.runtime.messages.errors import RayError, RayTaskError
from raynb.runtime.messages.node import LOG_END

UNHANDLED: Final = "Unhandled error (suppress with 'RAY_IGNORE_UNHANDLED_ERRORS=1'): "
"""Before an error that nobody has asked for."""
WINDOW_S: Final = 5.0
"""Tasks of one name that have equally many attempts left are told of once in so long."""
NAMES_MAX: Final = 1000


def unhandled(found: Unhandled) -> Exception | None:
    """The error to be told where nobody has asked for it; None where the person wants none."""
    return None if os.environ.get("RAY_IGNORE_UNHANDLED_ERRORS") == "1" else to_exception(found.failure)


class RetryNews:
    """Says, in Ray's words, that a task is tried again; of many in a short time once. Safe in every thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._told: OrderedDict[tuple[str, int], tuple[float, int]] = OrderedDict()
        """By name and attempts left: when it was told, and of how many it was not since."""

    def text(self, found: Retried) -> str:
        """What to say; empty: nothing now."""
        key, now = (found.name, found.left), self._clock()
        with self._lock:
            since, untold = self._told.get(key, (-WINDOW_S, 0))
            if now - since < WINDOW_S:
                self._told[key] = since, untold + 1
                return ""
            self._told[key] = now, 0
            self._told.move_to_end(key)
            if len(self._told) > NAMES_MAX:
                self._told.popitem(last=False)
        left = "infinite" if found.left < 0 else found.left
        more = f" (and {untold} more since the last time)" if untold else ""
        return (
            f"Task {found.name} failed{more}. There are {left} retries remaining, so the task will be retried. "
            f"Error: {_in_short(to_exception(found.failure))}"
        )


def _in_short(error: Exception) -> str:
    """What went wrong, without where: the last attempt, if it fails, is told with its traceback. Without the end of a
    log, too, which has been shown, as all that a process has written."""
    while isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
        error = error.cause
    if isinstance(error, RayTaskError):
        return str(error).rpartition("\n")[2]
    if not isinstance(error, RayError):
        return f"{type(error).__name__}: {error}"
    return str(error).partition("\n")[0].removesuffix(f" {LOG_END}")


retries: Final = RetryNews()
"""Of this process."""


def text_of(found: Retried | Unhandled) -> str:
    """What to say; empty: nothing."""
    if isinstance(found, Retried):
        return retries.text(found)
    error = unhandled(found)
    return "" if error is None else f"{UNHANDLED}{error}"
