"""What memory has no room for goes to disk, and comes from there as from memory."""

from __future__ import annotations

from typing import Any

import pytest

from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.store import StoreMachine
from raynb.runtime.core.store_effects import ClientJoined, DropSegment, GrowStore, SegmentFailed, SegmentReady
from raynb.runtime.core.store_growth import RETRY_S
from raynb.runtime.core.store_spill import EMPTY_S, PATIENCE_S
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.objects import (
    AllocateExtent,
    ExtentGranted,
    ExtentRefused,
    FreeObjects,
    SealedObject,
    SealObjects,
    is_spilled,
)

MB = 1 << 20


class Store:
    """A machine with 4 MB of memory, and a host that makes what it orders."""

    def __init__(self, *, spills: bool = True) -> None:
        self.now = 0.0
        self.machine = StoreMachine(4 * MB, Config(segment_bytes=4 * MB, store_full_timeout_s=2.0), spills=spills)
        self.disk_is_full = False
        self.told: list[Any] = []
        self.dropped: list[str] = []
        self.requests = 0
        self.step(ClientJoined("a", 1, "driver"))

    def step(self, event: Any) -> None:
        for effect in self.machine.handle(event, self.now):
            if isinstance(effect, Send):
                self.told.append(effect.message)
            elif isinstance(effect, GrowStore):
                if is_spilled(effect.name) and self.disk_is_full:
                    self.step(SegmentFailed(effect.name, "No space left on device", no_space=True))
                else:
                    self.step(SegmentReady(effect.name, effect.size))
            elif isinstance(effect, DropSegment):
                self.dropped.append(effect.name)
        self.machine.check()

    def receive(self, message: Any) -> None:
        self.step(Received("a", message))

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.step(Tick())

    def ask(self, size: int = MB) -> ExtentGranted | None:
        """The answer that comes at once, if one does."""
        self.requests += 1
        self.receive(AllocateExtent(self.requests, size))
        return self.granted(self.requests)

    def granted(self, request: int) -> ExtentGranted | None:
        found = [each for each in self.told if isinstance(each, ExtentGranted) and each.request == request]
        return found[-1] if found else None

    def store(self, number: int, size: int = MB) -> bool:
        """Store an object; whether it lies on disk."""
        grant = self.ask(size)
        if grant is None:
            self.tick(2 * PATIENCE_S)
            grant = self.granted(self.requests)
        assert grant is not None
        self.receive(SealObjects([SealedObject(b"o%d" % number, "a", grant.grant, grant.offset, size)], [grant.grant]))
        return is_spilled(grant.segment)

    def free(self, number: int) -> None:
        self.receive(FreeObjects([b"o%d" % number]))

    def usage(self, what: str) -> int:
        return self.machine.usage()[what]


@pytest.fixture
def store() -> Store:
    return Store()


def test_memory_comes_first_and_the_rest_goes_to_disk(store: Store) -> None:
    assert [store.store(number) for number in range(7)] == [False] * 4 + [True] * 3
    assert (store.usage("used_bytes"), store.usage("spilled_bytes")) == (4 * MB, 3 * MB)


def test_a_moment_is_waited_for_memory_that_may_be_freed_just_now(store: Store) -> None:
    for number in range(4):
        store.store(number)
    assert store.ask() is None
    store.free(2)
    grant = store.granted(store.requests)
    assert grant is not None and not is_spilled(grant.segment)


def test_what_is_freed_in_memory_is_used_before_disk(store: Store) -> None:
    for number in range(6):
        store.store(number)
    store.free(0)
    assert not store.store(6)
    assert store.store(7)


def test_an_object_larger_than_the_memory_goes_to_disk_at_once(store: Store) -> None:
    grant = store.ask(9 * MB)
    assert grant is not None and is_spilled(grant.segment)


def test_disk_that_nobody_uses_goes_back(store: Store) -> None:
    for number in range(6):
        store.store(number)
    for number in (4, 5):
        store.free(number)
    store.tick(0.05)
    assert store.dropped == []
    store.tick(EMPTY_S)
    assert store.dropped == ["spill-1"]
    assert store.usage("spilled_bytes") == 0
    assert store.store(8)


def test_a_full_disk_is_an_error_that_says_so_and_it_works_again_when_there_is_room(store: Store) -> None:
    for number in range(4):
        store.store(number)
    store.disk_is_full = True
    assert store.ask() is None
    for _ in range(50):
        store.tick(0.05)
    (refused,) = [each for each in store.told if isinstance(each, ExtentRefused)]
    assert "Nothing could be put on disk: No space left on device." in refused.message
    assert "Who holds most:" in refused.message and refused.kind == "OutOfDiskError"
    store.disk_is_full = False
    store.tick(RETRY_S)
    assert store.store(9)


def test_without_a_disk_a_full_store_is_an_error() -> None:
    store = Store(spills=False)
    for number in range(4):
        store.store(number)
    store.ask()
    store.tick(2.1)
    store.ask(9 * MB)
    full, too_large = [each for each in store.told if isinstance(each, ExtentRefused)]
    assert "is full" in full.message and "do not fit" in too_large.message
    assert full.kind == too_large.kind == "ObjectStoreFullError"
