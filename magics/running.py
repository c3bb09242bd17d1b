"""Tasks of cells that run: watched, shown when they are done, cancelled when their cell runs again."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from raynb.magics.panel import Panel
from raynb.runtime.api import objects
from raynb.runtime.worker.displays import Bundle


@dataclass(eq=False)
class Submission:
    """One task of a cell.

    Attributes
    ----------
    outputs
        References to what the cell's names stand for.
    report
        Reference to the list of what the cell showed; it is there when the task is done.
    needs
        References that it depends on.
    superseded
        The cell has run again: nobody wants to hear what became of this one.
    """

    outputs: tuple[Any, ...]
    report: Any
    needs: tuple[Any, ...] = ()
    superseded: bool = False


def cancel(submissions: Iterable[Submission], *, superseded: bool = True) -> None:
    """Cancel these tasks, queued or running, and what they have submitted."""
    for submission in submissions:
        submission.superseded |= superseded
        objects.cancel(submission.report)


class Running:
    """The tasks that run, by the cell that submitted them. Callbacks come from other threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_cell: dict[str, list[Submission]] = {}

    def superseded(self, key: str, needed: Iterable[Any]) -> list[Submission]:
        """Tasks of earlier runs of the cell, but for those that the new run builds on."""
        found: list[Submission] = []
        needed = set(needed)
        with self._lock:
            for earlier in reversed(self._by_cell.get(key, [])):
                if needed & set(earlier.outputs):
                    needed |= set(earlier.needs)
                elif not earlier.superseded:
                    found.append(earlier)
        return found

    def add(self, key: str, submissions: Iterable[Submission]) -> None:
        """These run now."""
        with self._lock:
            self._by_cell.setdefault(key, []).extend(submissions)

    def forget(self, key: str, submission: Submission) -> None:
        """This one is over."""
        with self._lock:
            left = [other for other in self._by_cell.get(key, []) if other is not submission]
            if left:
                self._by_cell[key] = left
            else:
                self._by_cell.pop(key, None)

    def watch(self, key: str, submissions: Iterable[Submission], panel: Panel) -> None:
        """Show each task's outcome when it is there."""
        for submission in submissions:
            future = submission.report.future()
            future.add_done_callback(functools.partial(self._done, key, submission, panel))

    def _done(self, key: str, submission: Submission, panel: Panel, future: Any) -> None:
        self.forget(key, submission)
        if submission.superseded:
            panel.superseded()
            return
        try:
            shown: list[Bundle] = future.result()
        except BaseException as error:
            panel.failed(error)
        else:
            panel.done(shown)

    def wait(self, key: str, submissions: Iterable[Submission], panel: Panel) -> None:
        """Wait for these here, and show each one's outcome. An interrupt cancels what is left.

        Raises
        ------
        Exception
            Of the first that failed.
        """
        __tracebackhide__ = True
        waiting = list(submissions)
        try:
            for submission in list(waiting):
                panel.done(objects.get(submission.report))
                waiting.remove(submission)
                self.forget(key, submission)
        except KeyboardInterrupt:
            cancel(waiting, superseded=False)
            raise
        finally:
            for submission in waiting:
                self.forget(key, submission)
