"""``ObjectRefGenerator``: the references of a generator's items, as they come."""

from __future__ import annotations

import asyncio
import time
from _thread import allocate_lock
from typing import Any

from raynb.runtime.client.client import RECHECK_S, Client
from raynb.runtime.client.refs import ObjectRef, current
from raynb.runtime.core.inbox import CloseStream, TakeItem, WaitForItem
from raynb.runtime.core.ownership import Waiter
from raynb.runtime.core.streams import Stream
from raynb.runtime.messages.errors import GetTimeoutError, ObjectRefStreamEndOfStreamError, RaySystemError


class ObjectRefGenerator:
    """Iterates over references to the items of a remote generator; waits for each until it is there.

    An error in the generator is one more item, whose ``get`` raises it; then the iteration ends. Letting go of this
    object cancels what still runs and frees the items that were not taken.
    """

    def __init__(self, generator_ref: ObjectRef[Any], worker: object = None) -> None:
        self._ref = generator_ref
        self._client: Client = current()
        self._task_id = generator_ref.task_id()
        self._next = 0
        self._closed = False

    def __repr__(self) -> str:
        return f"ObjectRefGenerator({self._ref.hex()})"

    def __del__(self) -> None:
        if not self._closed:
            self._client.host.inbox.append(CloseStream(self._task_id))

    def __iter__(self) -> ObjectRefGenerator:
        return self

    def __aiter__(self) -> ObjectRefGenerator:
        return self

    def __next__(self) -> ObjectRef[Any]:
        return self._next_sync(None)

    async def __anext__(self) -> ObjectRef[Any]:
        loop = asyncio.get_running_loop()
        while True:
            state = self._state()
            if state is not None:
                if state:
                    return self._take()
                raise StopAsyncIteration
            arrived = asyncio.Event()
            waiter = Waiter(1, lambda event=arrived: loop.call_soon_threadsafe(event.set))
            self._client.post(WaitForItem(waiter, self._task_id, self._next))
            await arrived.wait()

    def _state(self) -> bool | None:
        """True: an item is there. False: it is over. None: wait."""
        stream: Stream | None = self._client.machine.streams.streams.get(self._task_id)
        if self._closed:
            return False
        if stream is None:
            # Not yet known to the machine, or over and all taken: the generator's own object tells.
            return False if self._next and self._client.is_ready(self._ref) else None
        if self._next < stream.received:
            return True
        return False if stream.total is not None else None

    def _next_sync(self, timeout_s: float | None) -> ObjectRef[Any]:
        deadline = None if timeout_s is None or timeout_s < 0 else time.monotonic() + timeout_s
        while True:
            state = self._state()
            if state:
                return self._take()
            if state is False:
                raise StopIteration
            lock = allocate_lock()
            lock.acquire()
            self._client.post(WaitForItem(Waiter(1, lock.release), self._task_id, self._next))
            left = RECHECK_S if deadline is None else min(RECHECK_S, max(deadline - time.monotonic(), 0.0))
            if lock.acquire(timeout=left):
                if self._state() is None and self._client.is_ready(self._ref):
                    raise StopIteration
                continue
            if not self._client.host.alive:
                raise RaySystemError("raynb was shut down while this call waited")
            if deadline is not None and time.monotonic() >= deadline:
                raise GetTimeoutError(f"no item within {timeout_s} s")

    def _take(self) -> ObjectRef[Any]:
        oid = self._task_id + (self._next + 2).to_bytes(4, "little")
        self._client.post(TakeItem(self._task_id, self._next))
        self._next += 1
        return ObjectRef(oid, self._client.address, self._client.drop)

    # -- Ray's methods

    def completed(self) -> ObjectRef[Any]:
        """A reference that settles when the generator's task has ended."""
        return self._ref

    def next_ready(self) -> bool:
        """Whether ``next`` would give an item at once."""
        return self._state() is True

    def is_finished(self) -> bool:
        """Whether all items were given out and the task has ended."""
        return self._state() is False

    def close(self) -> None:
        """End the iteration; what still runs is cancelled."""
        if not self._closed:
            self._closed = True
            self._client.post(CloseStream(self._task_id))

    async def aclose(self) -> None:
        self.close()

    def send(self, value: object) -> Any:
        raise ObjectRefStreamEndOfStreamError("a remote generator can't be sent values")

    def throw(self, value: object) -> Any:
        raise ObjectRefStreamEndOfStreamError("a remote generator can't be thrown into")

    async def asend(self, value: object) -> Any:
        self.send(value)

    async def athrow(self, value: object) -> Any:
        self.throw(value)
