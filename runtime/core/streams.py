"""Streaming generators at their submitter: which items have come, and which are still held for the consumer.

Item ``i`` (from 0) of a task is its object with the index ``i + 2``; index 1 is the generator itself, which settles
when the task ends. An item is pinned by the stream from its arrival until the consumer takes it or lets the stream go.
Items of a repeated attempt that are known already are discarded.

An item may be *peeked* at before it is taken: its reference is there before it. One that never comes gets the error
that has ended the generator, or that there are no more.

A *paced* generator pauses while too many items are not taken: so its worker is told how many are, at each that is taken
and again at each item that comes twice. Let go, it runs to its end unpaced, and its items are discarded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from raynb.runtime.core.effects import Send
from raynb.runtime.core.inbox import TakePeeked
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.core.task import Task
from raynb.runtime.core.waiters import Waiter, Wake
from raynb.runtime.messages.ids import FIRST_RETURN, index_of, object_id, task_of
from raynb.runtime.messages.tasks import StreamAck
from raynb.runtime.messages.values import Failed, Value

FIRST_ITEM_INDEX = 2
NO_MORE = Failed("ObjectRefStreamEndOfStreamError", "the generator has no more items")


class Stream:
    """One generator. ``total`` is None until it has ended; then it counts the items, an error included."""

    __slots__ = ("closed", "paced", "peeked", "received", "strays", "taken", "task_id", "total", "waiters")

    def __init__(self, task_id: bytes, paced: bool = False) -> None:
        self.task_id = task_id
        self.paced = paced
        self.received = 0
        self.strays: dict[int, str] = {}
        """Items that have not come, of which a copy may lie in a node's memory (`Entry.stray`)."""
        self.taken: set[int] = set()
        self.peeked: set[int] = set()
        """Items that had not come when a reference to them was made."""
        self.total: int | None = None
        self.closed = False
        self.waiters: list[tuple[Waiter, int]] = []

    def item(self, index: int) -> bytes:
        return object_id(self.task_id, index + FIRST_ITEM_INDEX)


class Streams:
    """All generators whose refs this process owns."""

    def __init__(self, objects: Ownership, unfinished: dict[bytes, Task]) -> None:
        self._objects = objects
        self._unfinished = unfinished
        self.streams: dict[bytes, Stream] = {}
        self.unwanted: set[bytes] = set()
        """Tasks that run again for items that are lost, and are to be cancelled when those are there."""

    def open(self, stream: Stream) -> None:
        self.streams[stream.task_id] = stream

    def on_items(self, task_id: bytes, first: int, values: Sequence[Value]) -> list[Any]:
        """Items arrived, in order."""
        stream = self.streams.get(task_id)
        again = False
        task = self._unfinished.get(task_id)
        for index, value in enumerate(values, first):
            oid = object_id(task_id, index + FIRST_ITEM_INDEX)
            if stream is None or stream.closed or stream.total is not None or index != stream.received:
                self._objects.settle(oid, value)  # unless there is one, or nobody refers to it
                again = True
                continue
            entry = self._objects.entries.get(oid) or self._objects.create(oid, 0)
            entry.pins += 1
            entry.stray = stream.strays.pop(index, "")
            entry.function = task.function if task is not None else None
            self._objects.settle(oid, value)
            stream.received += 1
        if stream is None or stream.total is not None:
            return self._let_run(task)
        return self._wake(stream) + self._pace(stream) if again else self._wake(stream)

    def _let_run(self, task: Task | None) -> list[Any]:
        """A generator runs again for items that were lost: nobody consumes its others."""
        if task is None or not task.worker or not task.function.definition.backpressure:
            return []
        return [Send(task.worker, StreamAck(task.seq, 0, True))]

    def _pace(self, stream: Stream) -> list[Any]:
        task = self._unfinished.get(stream.task_id) if stream.paced else None
        if task is None or not task.worker:
            return []
        return [Send(task.worker, StreamAck(task.seq, len(stream.taken), stream.closed))]

    def ended(self, task_id: bytes, failure: Failed | None) -> list[Any]:
        """The generator's task is over; a failure is one more item, so that the consumer meets it in its place."""
        stream = self.streams.get(task_id)
        if stream is None or stream.total is not None:
            return []
        effects = self.on_items(task_id, stream.received, [failure]) if failure is not None else []
        stream.total = stream.received
        for index in stream.peeked:
            if (entry := self._objects.entries.get(stream.item(index))) is not None and entry.value is None:
                self._objects.settle(stream.item(index), _beyond(failure))
        self._free_strays(stream)
        if stream.closed:
            del self.streams[task_id]
        return effects + self._wake(stream)

    def wait(self, waiter: Waiter, task_id: bytes, index: int) -> list[Any]:
        stream = self.streams.get(task_id)
        if stream is None:
            waiter.needed -= waiter.needed > 0
            return [Wake(waiter)] if waiter.needed == 0 else []
        stream.waiters.append((waiter, index))
        return self._wake(stream)

    def unwait(self, waiter: Waiter, oids: Iterable[bytes]) -> None:
        """The waiter has given up, or goes on; ``oids`` are the generators' own objects (or others)."""
        for oid in oids:
            stream = self.streams.get(task_of(oid))
            if stream is not None:
                stream.waiters = [(other, index) for other, index in stream.waiters if other is not waiter]

    def _wake(self, stream: Stream) -> list[Any]:
        effects: list[Any] = []
        if stream.waiters:
            stay = []
            for waiter, index in stream.waiters:
                if index < stream.received or stream.total is not None or stream.closed:
                    # It may wait for others, too.
                    if waiter.needed > 0:
                        waiter.needed -= 1
                        if waiter.needed == 0:
                            effects.append(Wake(waiter))
                else:
                    stay.append((waiter, index))
            stream.waiters = stay
        return effects

    def peek(self, task_id: bytes, index: int) -> None:
        """The consumer made an ``ObjectRef`` of an item that it may take later, and that need not be there."""
        oid = object_id(task_id, index + FIRST_ITEM_INDEX)
        if oid in self._objects.entries:
            self._objects.retain(oid)
            return
        entry = self._objects.create(oid, 1, self._unfinished.get(task_id))
        stream = self.streams.get(task_id)
        if stream is not None and stream.total is None:
            entry.function = entry.task.function if entry.task is not None else None
            stream.peeked.add(index)
            return
        own = self._objects.entries.get(task_id + FIRST_RETURN)
        self._objects.settle(oid, _beyond(own.value if own is not None else None))

    def take_peeked(self, item: TakePeeked) -> list[Any]:
        """The consumer has done with the places of these items; the references of its own hold them."""
        effects: list[Any] = []
        for index in range(item.first, item.first + item.count):
            stream = self.streams.get(item.task_id)
            if stream is None or stream.closed or index >= stream.received:
                break
            effects += self.take(item.task_id, index)
            self._objects.release(stream.item(index))
        return effects

    def take(self, task_id: bytes, index: int) -> list[Any]:
        """The consumer made an ``ObjectRef`` of an item: its reference replaces the stream's pin."""
        stream = self.streams[task_id]
        oid = stream.item(index)
        self._objects.retain(oid)
        if index not in stream.taken:
            stream.taken.add(index)
            self._objects.unpin(oid)
        if stream.total is not None and len(stream.taken) == stream.total:
            stream.closed = True
            del self.streams[task_id]
        return self._pace(stream) if stream.paced else []

    def left_behind(self, node: str, oids: Iterable[bytes]) -> None:
        """Copies of objects that nobody will tell of: of items that are still to come, perhaps."""
        for oid in oids:
            stream = self.streams.get(task_of(oid))
            if stream is not None and not stream.closed and stream.total is None:
                index = index_of(oid) - FIRST_ITEM_INDEX
                if index >= stream.received:
                    stream.strays[index] = node
                    continue
            self._objects.left_behind(node, oid)

    def _free_strays(self, stream: Stream) -> None:
        strays, stream.strays = stream.strays, {}
        for index, node in strays.items():
            self._objects.left_behind(node, stream.item(index))

    def close(self, task_id: bytes) -> list[Any]:
        """The consumer has let the generator go: what it did not take is freed."""
        stream = self.streams.get(task_id)
        if stream is None or stream.closed:
            return []
        stream.closed = True
        for index in range(stream.received):
            if index not in stream.taken:
                self._objects.unpin(stream.item(index))
        self._free_strays(stream)
        if stream.total is not None:
            del self.streams[task_id]
        return self._pace(stream)


def _beyond(outcome: Value | None) -> Failed:
    """What is in the place of an item that never comes. What the generator's code raised is an item itself."""
    return outcome if isinstance(outcome, Failed) and outcome.kind != "RayTaskError" else NO_MORE
