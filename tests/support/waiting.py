"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_S = 0.01


def wait_until(condition: Callable[[], T], timeout: float = 10.0, what: str = "") -> T:
    """Ask `condition` until it gives something true, and return that.

    Raises
    ------
    AssertionError
        If there was nothing true for `timeout` seconds; it has the last answer.
    """
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            name = what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"{name}: still {answer!r} after {timeout} s")
        time.sleep(PAUSE_S)
    return answer
