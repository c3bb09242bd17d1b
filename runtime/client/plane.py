"""Values in and out of the node's shared memory, and the pins that keep them there.

A view is a reference: whoever holds an array that lies in shared memory holds the object, and its owner counts it.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from raynb.runtime.adapters.disk_reads import DiskReads
from raynb.runtime.adapters.shared_memory import SegmentMap
from raynb.runtime.client.failures import to_exception
from raynb.runtime.client.fetching import Fetching, ValuesLostError
from raynb.runtime.codec.layout import object_size, read_object, write_object
from raynb.runtime.codec.values import Packed, unpack
from raynb.runtime.core.client_store import ClientStore, Place
from raynb.runtime.core.evictions import CopiesAsked
from raynb.runtime.core.freed import LetViewGo
from raynb.runtime.core.inbox import Outgoing, Retain
from raynb.runtime.core.ownership import Entry
from raynb.runtime.messages import Message
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.copies import CopiesDamaged
from raynb.runtime.messages.errors import (
    ObjectFreedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OwnerDiedError,
    RaySystemError,
    make_error,
)
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.objects import ExtentGranted, ExtentRefused, is_spilled
from raynb.runtime.messages.transfers import EvictCopies
from raynb.runtime.messages.values import Dependency, Inline, Stored, ValueKind


class Pin:
    """Keeps one stored object while anything views it.

    A *guarded* pin is one that somebody else's count covers already (the arguments of a running task): it is counted
    only if it outlives that, which spares most tasks two messages to the owner.
    """

    __slots__ = ("__weakref__", "_counted", "_drop", "oid", "owner")

    def __init__(self, stored: Stored, drop: Callable[[LetViewGo], object]) -> None:
        self.oid = stored.oid
        self.owner = stored.owner
        self._drop = drop
        self._counted = False

    def count(self, inbox: deque[object]) -> None:
        """From now on this is a reference like any other."""
        if self._counted:
            return
        self._counted = True
        inbox.append(Retain(self.oid, self.owner, view=True))

    def __del__(self) -> None:
        if self._counted:
            self._drop(LetViewGo(self.oid))


class Guard:
    """The pins that were made while a task's arguments were unpacked."""

    def __init__(self) -> None:
        self._pins: list[weakref.ref[Pin]] = []

    def add(self, pin: Pin) -> None:
        self._pins.append(weakref.ref(pin))

    def release(self, inbox: deque[object]) -> None:
        """The task is over: what still lives must be counted before its submitter lets go."""
        for reference in self._pins:
            pin = reference()
            if pin is not None:
                pin.count(inbox)


class ObjectPlane:
    """One client's way to its node's object store. Safe in every thread.

    Parameters
    ----------
    ask
        Sends a request to the node manager and waits for its answer; what comes after the wait was broken off goes to
        the callback.
    inbox
        The client machine's.
    known, freed
        The objects that the client machine has entries for; those whose values it has given up.
    """

    def __init__(
        self,
        config: Config,
        node_manager: str,
        segments: SegmentMap,
        inbox: deque[object],
        ask: Callable[[str, Message, Callable[[Message], None]], Message],
        known: Mapping[bytes, Entry],
        freed: Container[bytes],
        dead_owners: set[str],
    ) -> None:
        self._node_manager = node_manager
        self._inbox = inbox
        self._ask = ask
        self._freed = freed
        self._lock = threading.Lock()
        self._store = ClientStore(config)
        self.segments = segments
        self._disk = DiskReads(segments)
        self._known = known
        self._guarded: weakref.WeakSet[Pin] = weakref.WeakSet()
        self._dead_owners = dead_owners
        self.waiting: dict[int, float] = {}
        """Threads that wait for room in the store, and since when."""
        self.fetching: Fetching
        """Set by the client, for what lies in other nodes' memory."""

    def write(self, packed: Packed, oid: bytes, owner: str, note: str = "", kind: ValueKind | None = None) -> Stored:
        """Put a packed value into shared memory.

        Raises
        ------
        ObjectStoreFullError, OutOfDiskError
            There is no room; the message lists the holders.
        """
        size = object_size(packed)
        with self._lock:
            place = self._store.place(size, time.monotonic())
        if place is None:
            place = self._allocate(size, oid)
        try:
            view = self.segments.write_view(place.segment, place.offset, size)
            write_object(view, oid, place.grant, packed, owner, on_disk=is_spilled(place.segment))
            view.release()
        except BaseException:
            with self._lock:
                self._store.abandon(place)
            raise
        with self._lock:
            self._store.written(place, oid, owner, note, kind)
            self._tell()
        return Stored(oid, owner, self._node_manager, place.segment, place.offset, size, packed.refs, kind)

    def _allocate(self, size: int, oid: bytes) -> Place:
        with self._lock:
            request = self._store.ask(size, oid)
        number = request.request
        thread = threading.get_ident()
        self.waiting[thread] = time.monotonic()
        try:
            answer = self._ask(self._node_manager, request, lambda late: self._too_late(number, late))
        except BaseException:
            with self._lock:
                self._store.forget(number)
            raise
        finally:
            del self.waiting[thread]
        with self._lock:
            if isinstance(answer, ExtentGranted):
                answer.request = number
                place = self._store.granted(answer, time.monotonic())
                assert place is not None
                return place
            self._store.forget(number)
        if isinstance(answer, ExtentRefused):
            raise make_error(answer.kind, answer.message)
        assert isinstance(answer, Reply) and answer.error is not None, answer
        raise to_exception(answer.error)

    def _too_late(self, number: int, answer: Message) -> None:
        """Who asked was interrupted: what is granted to nobody goes back."""
        if isinstance(answer, ExtentGranted):
            with self._lock:
                answer.request = number
                self._store.granted(answer, time.monotonic())
                self._tell()

    def _tell(self) -> None:
        news = self._store.take_news()
        if news is not None:
            self._inbox.append(Outgoing(self._node_manager, news))

    def read(self, value: Inline | Stored, guard: Guard | None = None) -> Any:
        """The value itself; arrays of a stored one are read-only views of shared memory.

        Raises
        ------
        ObjectFreedError
            Its owner, this process, has freed it by hand just now.
        ValuesLostError
            It lies on this node's disk, which does not give it back as it was written.
        RaySystemError
            It can't be unpickled here.
        """
        try:
            return self._read(value, guard)
        except (ObjectFreedError, ObjectLostError, ObjectStoreFullError, OutOfDiskError):
            raise
        except Exception as error:
            raise RaySystemError(f"the value can't be unpickled here: {type(error).__name__}: {error}") from error

    def _read(self, value: Inline | Stored, guard: Guard | None) -> Any:
        if type(value) is Inline:
            return unpack(value.data, value.buffers)
        assert isinstance(value, Stored)
        if value.node == self._node_manager:
            return self._view(value, value, self._pin(value, guard), guard)
        while True:
            here = self.fetching.place(value)
            if here is None:
                with self.fetching.held([value]):
                    here = self.fetching.place(value)
                    if here is not None:
                        return self._view(value, here, self._pin(value, guard), guard)
            else:
                pin = self._pin(value, guard)
                # The pin is known before the place is looked at: whoever drops the copy sees the pin, or this sees it.
                if self.fetching.place(value) is here:
                    return self._view(value, here, pin, guard)

    def _pin(self, value: Stored, guard: Guard | None) -> Pin:
        pin = Pin(value, self._inbox.append)
        if guard is None:
            pin.count(self._inbox)
        else:
            guard.add(pin)
            self._guarded.add(pin)
        return pin

    def _view(self, value: Stored, here: Stored, pin: Pin, guard: Guard | None) -> Any:
        """A value that lies ``here``."""
        if value.oid in self._freed:
            # It was looked up before, and is counted too late.
            raise ObjectFreedError(f"object {value.oid.hex()} was freed by hand: its value is gone.")
        # The pin is known before the owner is looked at: whoever sees the owner die sees the pin, or this sees it.
        if value.owner in self._dead_owners and value.oid not in self._known:
            raise OwnerDiedError.told(f"the process that owned object {value.oid.hex()} died, and its memory with it")
        if is_spilled(here.segment) and (why := self._disk.problem(here)):
            if here is value:
                raise ValuesLostError([value], why)
            self.fetching.forget(value)
            self._inbox.append(Outgoing(self._node_manager, CopiesDamaged([here])))
            return self._read(value, guard)
        view = self.segments.read_view(here.segment, here.offset, here.size, pin)
        return read_object(view, value.oid)

    def read_ahead(self, values: Iterable[Dependency]) -> None:
        """These will be read soon: those on this node's disk are fetched from there, by a thread of its own."""
        on_disk = [value for value in values if type(value) is Stored and is_spilled(value.segment)]
        if on_disk:
            self._disk.ahead(value for value in on_disk if value.node == self._node_manager)

    def owner_died(self, owner: str) -> None:
        """From now on nothing of this owner's is viewed that is not known here; views of running tasks are counted."""
        self._dead_owners.add(owner)
        for pin in list(self._guarded):
            if pin.owner == owner:
                pin.count(self._inbox)

    def copies_asked(self, sender: str, message: EvictCopies) -> None:
        """In the seat: which of these copies does this client need?"""
        held = self.fetching.asked(message)
        asked = frozenset(message.oids)
        for pin in list(self._guarded):
            if pin.oid in asked:
                pin.count(self._inbox)
        self._inbox.append(CopiesAsked(sender, message.round, message.oids, held))

    def idle(self) -> None:
        """To be called about once a second: what isn't used goes back."""
        with self._lock:
            self._store.idle(time.monotonic())
            self._tell()
        self.segments.sweep()
        self.fetching.sweep(self._known)

    def close(self) -> None:
        with self._lock:
            self._store.close()
            self._tell()
        self._disk.close()
        self.segments.close()
