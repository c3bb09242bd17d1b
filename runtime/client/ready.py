"""``wait``: which of some objects are ready, and, where that is asked for, here."""

from __future__ import annotations

import time
from _thread import allocate_lock
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from raynb.runtime.client.refs import ids_of
from raynb.runtime.core.inbox import LostValue, StopWaiting, WaitFor
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.transfers import LOST
from raynb.runtime.messages.values import Failed, Stored, Value

if TYPE_CHECKING:
    from raynb.runtime.client.client import Client
    from raynb.runtime.client.refs import ObjectRef

RECHECK_S: Final = 1.0


def wait(
    client: Client, refs: Sequence[ObjectRef[Any]], num_returns: int, timeout_s: float | None, *, fetch_local: bool
) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
    """See `Client.wait`."""
    __tracebackhide__ = True
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    ready = _settled(client, refs, num_returns)
    while len(ready) < num_returns:
        left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        in_time = client.wait_for(ids_of(refs, client), num_returns, left_s)
        ready = _settled(client, refs, num_returns)  # fewer, if a node has died: what was there is made again
        if not in_time:
            break
    if fetch_local and any(client.fetching.is_far(_value(client, refs[at])) for at in ready):
        ready = Arrivals(client, refs, num_returns).wait(deadline)
    if fetch_local and client.machine.objects.lineage.far:
        # What is not told as ready is on its way here when it is asked for.
        client.fetching.bring_ahead(_value(client, ref) for ref in refs)
    if len(ready) == 1:
        (at,) = ready
        return [refs[at]], [*refs[:at], *refs[at + 1 :]]
    chosen = set(ready)
    return [refs[i] for i in ready], [ref for i, ref in enumerate(refs) if i not in chosen]


def _settled(client: Client, refs: Sequence[ObjectRef[Any]], most: int) -> list[int]:
    entries = client.machine.objects.entries
    ready: list[int] = []
    for i, ref in enumerate(refs):
        entry = entries.get(ref._id)
        if entry is not None and entry.value is not None:
            ready.append(i)
            if type(entry.value) is Failed:
                client.machine.objects.unhandled.saw(entry.value)
            if len(ready) == most:
                break
    return ready


def _value(client: Client, ref: ObjectRef[Any]) -> Value | None:
    entry = client.machine.objects.entries.get(ref._id)
    return None if entry is None else entry.value


class Arrivals:
    """One wait for objects some of which lie in other nodes' memory: these are fetched, all of them, side by side."""

    def __init__(self, client: Client, refs: Sequence[ObjectRef[Any]], num_returns: int) -> None:
        self._client = client
        self._refs = refs
        self._num_returns = num_returns
        self._begun: dict[int, Stored] = {}
        """By identity: values that were asked for."""
        self._arrived: set[int] = set()
        """Those that are here, or that `get` will say the reason of."""
        self._lock = allocate_lock()
        self._lock.acquire()

    def wait(self, deadline: float | None) -> list[int]:
        """Positions of what is ready."""
        unsettled = [ref._id for ref in self._refs if _value(self._client, ref) is None]
        waiter = Waiter(1, self._wake)
        if unsettled:
            self._client.post(WaitFor(waiter, unsettled, blocking=False))
        try:
            while True:
                ready = self._look()
                if len(ready) >= self._num_returns or not self._client.host.alive:
                    return ready[: self._num_returns]
                left = RECHECK_S if deadline is None else min(RECHECK_S, deadline - time.monotonic())
                if left <= 0:
                    return ready
                self._lock.acquire(timeout=left)
        finally:
            if unsettled:
                self._client.post(StopWaiting(waiter, unsettled))

    def _wake(self) -> None:
        if self._lock.locked():
            self._lock.release()

    def _look(self) -> list[int]:
        client = self._client
        ready: list[int] = []
        for at, ref in enumerate(self._refs):
            value = _value(client, ref)
            if value is None:
                continue
            if not client.fetching.is_far(value) or id(value) in self._arrived:
                ready.append(at)
            elif id(value) not in self._begun:
                if client.fetching.place(value) is not None:
                    ready.append(at)
                else:
                    self._begin(value)
        return ready

    def _begin(self, value: Stored) -> None:
        self._begun[id(value)] = value

        def done(values: list[Stored | Failed] | None) -> None:
            outcome = values[0] if values else None
            if isinstance(outcome, Failed) and outcome.kind == LOST:
                self._client.post(LostValue(value, outcome.message))
            else:
                self._arrived.add(id(value))
            self._wake()

        self._client.fetching.begin([value], done)
