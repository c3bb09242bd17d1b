"""What a cell shows of its tasks once it has been submitted: their results in order of completion, and failures."""

from __future__ import annotations

import threading

from raynb.magics.screen import Placeholder, Screen
from raynb.magics.show import Bundle

SHOWN_MAX = 10
"""Of a mapped cell so many tasks show what they show; and one shows its failure."""


class Panel:
    """Collects the outcomes of one run of a cell. Its methods may be called from any thread.

    Parameters
    ----------
    tasks
        How many there are.
    awaits_value
        The cell ends in an expression: something stands in its place until the value is there.
    """

    def __init__(self, screen: Screen, label: str, tasks: int, *, awaits_value: bool) -> None:
        self._screen = screen
        self._label = label
        self._tasks = tasks
        self._lock = threading.Lock()
        self._done = self._failed = 0
        self._placeholder = Placeholder(screen, self._waiting()) if awaits_value and tasks else None

    def _waiting(self) -> str:
        return f"{self._label} is running" if self._tasks == 1 else f"{self._label}: {self._tasks} tasks are running"

    def done(self, shown: list[Bundle]) -> None:
        """A task has ended well, and showed this."""
        with self._lock:
            self._done += 1
            if self._done <= SHOWN_MAX:
                self._show(shown)
            self._sum_up()

    def failed(self, error: BaseException) -> None:
        """A task has no result."""
        with self._lock:
            self._failed += 1
            if self._failed == 1:
                self._screen.fail(error, self._label)
            self._sum_up()

    def superseded(self) -> None:
        """The cell runs again, and a task of this run was cancelled for it."""
        with self._lock:
            self._failed += 1
            self._sum_up()

    def _show(self, shown: list[Bundle]) -> None:
        first, rest = (shown[:1], shown[1:]) if self._placeholder and self._tasks == 1 else ([], shown)
        for bundle in first:
            assert self._placeholder
            self._placeholder.become(bundle)
            self._placeholder = None
        for bundle in rest:
            self._screen.show(bundle)

    def _sum_up(self) -> None:
        if self._done + self._failed < self._tasks or self._placeholder is None:
            return
        if self._tasks == 1:
            self._placeholder.vanish()
        else:
            hidden = max(0, self._done - SHOWN_MAX)
            text = f"{self._label}: {self._done} tasks done"
            text += f", {self._failed} failed" if self._failed else ""
            text += f" (what {hidden} of them show is left out)" if hidden else ""
            self._placeholder.become(({"text/plain": text}, {}))
