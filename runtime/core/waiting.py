"""The threads of this process that wait for objects; a worker gives its CPUs back while one does."""

from __future__ import annotations

from typing import Any

from raynb.runtime.core.client_effects import Blocked
from raynb.runtime.core.inbox import StopWaiting, WaitFor
from raynb.runtime.core.ownership import Ownership, Waiter


class Waiting:
    """Tells when the first thread begins to stand still, and when the last one goes on."""

    def __init__(self, objects: Ownership) -> None:
        self._objects = objects
        self.threads: set[Waiter] = set()

    def begin(self, item: WaitFor, now: float) -> list[Any]:
        """Wake the waiter when enough has settled; at once, if it has."""
        item.waiter.seen = True
        self._objects.wait(item.waiter, item.oids, now)
        if not item.blocking or item.waiter.needed <= 0:
            return []
        self.threads.add(item.waiter)
        return [Blocked(True)] if len(self.threads) == 1 else []

    def end(self, item: StopWaiting) -> list[Any]:
        """The thread has given up, or goes on."""
        self._objects.unwait(item.waiter, item.oids)
        if item.waiter not in self.threads:
            return []
        self.threads.discard(item.waiter)
        return [] if self.threads else [Blocked(False)]
