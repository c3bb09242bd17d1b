"""``ObjectRefGenerator``: the references of a generator's items, as they come."""

from __future__ import annotations

import time
from _thread import allocate_lock
from contextlib import suppress
from typing import Any, NoReturn

from raynb.runtime.client.client import RECHECK_S, Client
from raynb.runtime.client.refs import ObjectRef, current
from raynb.runtime.core.inbox import CloseStream, PeekItem, StopWaiting, TakeItem, TakePeeked, WaitForItem
from raynb.runtime.core.streams import FIRST_ITEM_INDEX, Stream
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.errors import RaySystemError
from raynb.runtime.messages.ids import TASK_ID_BYTES, object_id


class ObjectRefGenerator:
    """Iterates over references to the items of a remote generator; waits for each until it is there.

    An error in the generator is one more item, whose ``get`` raises it; then the iteration ends. Letting go of this
    object frees the items that were not taken; the generator runs on to its end, as in Ray. `close` ends it.
    """

    def __init__(self, generator_ref: ObjectRef[Any], worker: object) -> None:
        self._generator_ref = generator_ref
        self._client: Client = current()
        self._task_id = generator_ref._id[:TASK_ID_BYTES]
        self._next = 0
        self._closed = False

    def __repr__(self) -> str:
        return f"ObjectRefGenerator({self._generator_ref.hex()})"

    def __del__(self) -> None:
        if not self._closed:
            self._client.host.inbox.append(CloseStream(self._task_id, cancel=False))

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "You cannot return or pass a generator to other task. Serializing a ObjectRefGenerator is not allowed. "
            "Pass the references that it gives, or have the task return with num_returns='dynamic'."
        )

    def __iter__(self) -> ObjectRefGenerator:
        return self

    def __aiter__(self) -> ObjectRefGenerator:
        return self

    def __next__(self) -> ObjectRef[Any]:
        return self._next_sync()

    async def __anext__(self) -> ObjectRef[Any]:
        return await self._next_async()

    def _next_sync(self, timeout_s: float | None = None) -> ObjectRef[Any]:
        """The next reference; a nil one if there is none within ``timeout_s``."""
        if not self._wait(timeout_s):
            return ObjectRef.nil()
        return self._take_or_stop(StopIteration)

    async def _next_async(self, timeout_s: float | None = None) -> ObjectRef[Any]:
        """As `_next_sync`, in a coroutine."""
        import asyncio  # here: a script that awaits nothing does without

        deadline = None if timeout_s is None or timeout_s < 0 else time.monotonic() + timeout_s
        loop = asyncio.get_running_loop()
        while self.has_come() is None:
            left = RECHECK_S if deadline is None else min(RECHECK_S, deadline - time.monotonic())
            if left <= 0:
                return ObjectRef.nil()
            arrived = asyncio.Event()
            waiter = Waiter(1, lambda event=arrived: loop.call_soon_threadsafe(event.set))
            self._client.post(self.interest(waiter))
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(arrived.wait(), left)
            self._lose_interest(waiter)
            self._check_alive()
        return self._take_or_stop(StopAsyncIteration)

    def _take_or_stop(self, stop: type[Exception]) -> ObjectRef[Any]:
        if not self.has_come():
            raise stop
        oid = object_id(self._task_id, self._next + FIRST_ITEM_INDEX)
        self._client.post(TakeItem(self._task_id, self._next))
        self._next += 1
        return ObjectRef(oid, self._client.address, self._client.drop)

    def _wait(self, timeout_s: float | None) -> bool:
        """Stand still until the next item is there or the generator is over. False if the time is."""
        deadline = None if timeout_s is None or timeout_s < 0 else time.monotonic() + timeout_s
        while self.has_come() is None:
            lock = allocate_lock()
            lock.acquire()
            waiter = Waiter(1, lock.release)
            self._client.post(self.interest(waiter, blocking=self._client.gives_way))
            left = RECHECK_S if deadline is None else min(RECHECK_S, max(deadline - time.monotonic(), 0.0))
            try:
                woken = lock.acquire(timeout=left)
            finally:
                self._lose_interest(waiter)
            self._check_alive()
            if not woken and deadline is not None and time.monotonic() >= deadline:
                return self.has_come() is not None
        return True

    def _check_alive(self) -> None:
        if not self._client.host.alive:
            raise RaySystemError("raynb was shut down while this call waited")

    # -- several items at once

    def _get_next_ref_n(self, num_refs: int) -> list[ObjectRef[Any]]:
        """References to the next items, before they are there; none is taken.

        What never comes fails: with what has ended the generator, or with `ObjectRefStreamEndOfStreamError`.
        """
        return [self._peek(self._next + ahead) for ahead in range(_positive(num_refs))]

    def _peek(self, index: int) -> ObjectRef[Any]:
        self._client.post(PeekItem(self._task_id, index))
        return ObjectRef(object_id(self._task_id, index + FIRST_ITEM_INDEX), self._client.address, self._client.drop)

    def _consume_next_ref_n(self, num_refs: int) -> None:
        """Take what `_get_next_ref_n` has given references to. ValueError if the last is not there yet."""
        first = self._next
        last = first + _positive(num_refs) - 1
        if not self._has_settled(last):
            raise ValueError(f"item {last} of {self!r} is not there yet: wait for its reference before it is taken")
        self._client.post(TakePeeked(self._task_id, first, num_refs))
        self._next = last + 1

    def _has_settled(self, index: int) -> bool:
        stream: Stream | None = self._client.machine.streams.streams.get(self._task_id)
        entry = self._client.machine.objects.entries.get(object_id(self._task_id, index + FIRST_ITEM_INDEX))
        if entry is not None and entry.value is not None:
            return True
        return self._client.is_ready(self._generator_ref) if stream is None else stream.total is not None

    # -- for who waits for several things

    def has_come(self) -> bool | None:
        """True: an item is there. False: it is over. None: wait."""
        if self._closed:
            return False
        stream: Stream | None = self._client.machine.streams.streams.get(self._task_id)
        if stream is None:
            # Not yet known to the machine, or over and all taken: the generator's own object tells.
            return False if self._client.is_ready(self._generator_ref) else None
        if self._next < stream.received:
            return True
        return False if stream.total is not None else None

    def interest(self, waiter: Waiter, blocking: bool = False) -> WaitForItem:
        """What makes the machine wake the waiter at the next item or the end.."""
        return WaitForItem(waiter, self._task_id, self._next, blocking)

    def _lose_interest(self, waiter: Waiter) -> None:
        self._client.post(StopWaiting(waiter, [self._generator_ref._id]))

    # -- Ray's methods

    def completed(self) -> ObjectRef[Any]:
        """A reference that settles, to None, when the generator's task has ended."""
        return self._generator_ref

    def next_ready(self) -> bool:
        """Whether ``next`` would give an item at once."""
        return self.has_come() is True

    def is_finished(self) -> bool:
        """Whether all items were given out and the task has ended."""
        return self.has_come() is False

    def close(self) -> None:
        """End the iteration; what still runs of it is cancelled."""
        if not self._closed:
            self._closed = True
            self._client.post(CloseStream(self._task_id))

    async def aclose(self) -> None:
        self.close()

    def send(self, value: object) -> NoReturn:
        raise NotImplementedError("`gen.send` is not supported.")

    def throw(self, value: object) -> NoReturn:
        raise NotImplementedError("`gen.throw` is not supported.")

    async def asend(self, value: object) -> NoReturn:
        raise NotImplementedError("`gen.asend` is not supported.")

    async def athrow(self, value: object) -> NoReturn:
        raise NotImplementedError("`gen.athrow` is not supported.")


def _positive(num_refs: int) -> int:
    if num_refs <= 0:
        raise ValueError(f"num_refs must be positive, not {num_refs}")
    return num_refs
