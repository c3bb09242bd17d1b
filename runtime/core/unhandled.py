"""Failures of tasks that nobody has looked at: they are told when nobody can any more.

Whoever gets the value, waits for it, passes it on or has it as an input has looked at it. Ray's rule, and its choice of
failures: what a task raised, and the death of its process.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from raynb.runtime.core.client_effects import Unhandled
from raynb.runtime.messages.values import Failed

if TYPE_CHECKING:
    from raynb.runtime.core.ownership import Entry, Ownership
    from raynb.runtime.core.task import Task

TOLD = ("RayTaskError", "WorkerCrashedError")


class UnhandledFailures:
    """See the module. By the identity of the failure, which its objects hold."""

    def __init__(self, objects: Ownership) -> None:
        self._objects = objects
        self._unseen: dict[int, tuple[Failed, Task]] = {}

    def __repr__(self) -> str:
        return f"<UnhandledFailures {len(self._unseen)}>"

    def failed(self, task: Task, failure: Failed) -> None:
        """A task is about to have this outcome."""
        if failure.kind not in TOLD:
            return
        entries = [entry for oid in task.return_ids() if (entry := self._objects.entries.get(oid)) is not None]
        if not entries:
            self._tell(failure, task)
        elif not any(entry.waiters or entry.dependents or entry.subscribers for entry in entries):
            self._unseen[id(failure)] = failure, task

    def saw(self, failure: object) -> None:
        """Somebody has looked at it; in any thread."""
        self._unseen.pop(id(failure), None)

    def saw_all(self, entries: Iterable[Entry | None]) -> Failed | None:
        """Somebody has asked for all these, and is told one failure, the first; in any thread."""
        failed = [entry.value for entry in entries if entry is not None and type(entry.value) is Failed]
        for failure in failed:
            self.saw(failure)
        return failed[0] if failed else None

    def dropped(self, failure: Failed) -> None:
        """One of its objects is gone."""
        _, task = self._unseen.get(id(failure), (failure, None))
        if task is not None and not any(oid in self._objects.entries for oid in task.return_ids()):
            self.saw(failure)
            self._tell(failure, task)

    def _tell(self, failure: Failed, task: Task) -> None:
        self._objects.tell(Unhandled(failure, task.context.cell, task.name or task.function.name))
