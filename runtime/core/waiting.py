"""The threads that wait for objects, or for a generator's items; a worker gives its CPUs back while one does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raynb.runtime.core.client_effects import Blocked
from raynb.runtime.core.inbox import StopWaiting, WaitFor, WaitForItem
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.core.streams import Streams
from raynb.runtime.core.waiters import Waiter


class Waiting:
    """Tells when the first thread begins to stand still, and when the last one goes on."""

    def __init__(self, objects: Ownership, streams: Streams) -> None:
        self._objects = objects
        self._streams = streams
        self.threads: set[Waiter] = set()

    def begin(self, item: WaitFor, now: float) -> list[Any]:
        """Wake the waiter when enough has settled; at once, if it has."""
        item.waiter.seen = True
        self._objects.wait(item.waiter, item.oids, now)
        return self._stands_still(item.waiter, item.oids) if item.blocking else []

    def begin_item(self, item: WaitForItem) -> list[Any]:
        """Wake the waiter when a generator has come so far."""
        effects = self._streams.wait(item.waiter, item.task_id, item.index)
        return effects + self._stands_still(item.waiter) if item.blocking else effects

    def _stands_still(self, waiter: Waiter, oids: Sequence[bytes] = ()) -> list[Any]:
        if waiter.needed <= 0:
            return []
        self.threads.add(waiter)
        if len(self.threads) > 1:
            return []
        entries = self._objects.entries
        briefly = all((entry := entries.get(oid)) is not None and entry.owner for oid in oids)
        return [Blocked(True, briefly and bool(oids))]

    def end(self, item: StopWaiting) -> list[Any]:
        """The thread has given up, or goes on."""
        self._objects.unwait(item.waiter, item.oids)
        if self._streams.streams:
            self._streams.unwait(item.waiter, item.oids)
        if item.waiter not in self.threads:
            return []
        self.threads.discard(item.waiter)
        return [] if self.threads else [Blocked(False)]
