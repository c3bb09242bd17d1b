"""What a cell shows of its tasks once it has been submitted: their results in order of completion, and failures."""

from __future__ import annotations

import threading

from raynb.magics.screen import Placeholder, Screen
from raynb.magics.source import CellSource
from raynb.runtime.messages.errors import RayTaskError, TaskCancelledError
from raynb.runtime.worker.displays import Bundle

SHOWN_MAX = 10
"""Of a mapped cell so many tasks show what they show; and one shows its failure."""


class Panel:
    """Collects the outcomes of one run of a cell. Its methods may be called from any thread.

    Parameters
    ----------
    cell
        The cell that was submitted.
    name
        How its tasks are called.
    tasks
        How many there are.
    awaits_value
        The cell ends in an expression: something stands in its place until the value is there.
    """

    def __init__(self, screen: Screen, cell: CellSource, name: str, tasks: int, *, awaits_value: bool) -> None:
        self._screen = screen
        self._cell = cell
        self._label = label = cell.label
        self._name = name
        self._tasks = tasks
        self._lock = threading.Lock()
        self._done = self._failed = 0
        self._placeholder: Placeholder | None = None
        if awaits_value and tasks:
            many = f"{label}: {tasks} tasks are running"
            self._placeholder = Placeholder(screen, f"{label} is running" if tasks == 1 else many)

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
                self._say_why(error)
            self._sum_up()

    def superseded(self) -> None:
        """The cell runs again, and a task of this run was cancelled for it."""
        with self._lock:
            self._failed += 1
            self._sum_up()

    def _say_why(self, error: BaseException) -> None:
        if isinstance(error, TaskCancelledError):
            self._say(f"{self._label} was cancelled")
        elif isinstance(error, RayTaskError) and error.function_name != self._name:
            # Its traceback is in the cell that failed.
            self._say(f"{self._label} did not run: {error.function_name} failed, which makes an input of it")
        else:
            self._screen.fail(error, self._cell)

    def _say(self, text: str) -> None:
        self._screen.show(({"text/plain": text}, {}))

    def _show(self, shown: list[Bundle]) -> None:
        for bundle in shown:
            if self._placeholder is not None and self._tasks == 1:
                self._placeholder.become(bundle)
                self._placeholder = None
            else:
                self._screen.show(bundle)

    def _sum_up(self) -> None:
        if self._done + self._failed < self._tasks or self._placeholder is None:
            return
        if self._tasks == 1:
            self._placeholder.say("")
            return
        hidden = max(0, self._done - SHOWN_MAX)
        text = f"{self._label}: {self._done} tasks done"
        text += f", {self._failed} failed" if self._failed else ""
        text += f" (what {hidden} of them show is left out)" if hidden else ""
        self._placeholder.say(text)
