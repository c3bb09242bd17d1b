"""Tasks that wait until the test lets them go on, so that no test has to guess durations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until


class Gate:
    """A place where tasks wait until the test opens it.

    `through` can be called in any task: a closure over two paths, it reaches workers by value.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._open = folder / "open"
        self._arrived = folder / "arrived"
        self.through = passage(str(self._open), str(self._arrived))

    def arrived(self) -> int:
        """How many calls of `through` there were."""
        return len(self._arrived.read_bytes()) if self._arrived.exists() else 0

    def wait_for(self, calls: int = 1, timeout: float = 20.0) -> None:
        wait_until(lambda: self.arrived() >= calls, timeout, f"{calls} at the gate")

    def open(self) -> None:
        self._open.touch()


def passage(opened: str, arrived: str) -> Callable[..., Any]:
    def through(value: Any = None, *_more: Any) -> Any:
        import os
        import time

        with open(arrived, "ab", buffering=0) as file:
            file.write(b".")
        while not os.path.exists(opened):
            time.sleep(0.005)
        return value

    return through
