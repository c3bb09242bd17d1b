"""What a store gives where little is left, and what it makes of frees that come before what they mean."""

from __future__ import annotations

import pytest

from raynb.runtime.core.store_effects import ClientDied, ClientJoined, SendChunk
from raynb.runtime.messages.objects import (
    AllocateExtent,
    ExtentGranted,
    ExtentRefused,
    FreeObjects,
    SealedObject,
    SealObjects,
)
from raynb.runtime.messages.transfers import PullChunk
from tests.runtime.core.test_store import KB, A, B, Store, X, answers, sealed

Y, Z = b"y" * 28, b"z" * 28


def asked(store: Store, request: int, size: int, least: int) -> list[ExtentGranted | ExtentRefused]:
    return answers(store.tell(A, AllocateExtent(request, size, least=least)))


def test_an_object_has_what_is_left_where_a_whole_extent_does_not_fit() -> None:
    store = Store()
    store.put(B, 1, X, 300 * KB, B)
    store.put(B, 2, Y, 300 * KB, B)
    store.put(B, 3, Z, 300 * KB, B)
    (answer,) = asked(store, 1, 512 * KB, 8 * KB)
    assert isinstance(answer, ExtentGranted) and answer.size == 8 * KB
    (answer,) = asked(store, 2, 64 * KB, 8 * KB)
    assert isinstance(answer, ExtentGranted) and answer.size == 64 * KB, "where it fits it is whole"


def test_pieces_that_are_left_between_objects_are_used() -> None:
    store = Store()
    oids = [bytes([number]) * 28 for number in range(16)]
    for number, oid in enumerate(oids):
        store.put(B, number, oid, 64 * KB, B)
    assert store.used == 1024 * KB
    store.tell(B, FreeObjects(oids[::2]))
    given = [answer for number in range(8) for answer in asked(store, number, 128 * KB, 64 * KB)]
    assert [answer.size for answer in given if isinstance(answer, ExtentGranted)] == [64 * KB] * 8


def test_a_store_that_is_smaller_than_an_extent_holds_objects() -> None:
    store = Store(capacity=64 * KB)
    (answer,) = asked(store, 1, 512 * KB, 8 * KB)
    assert isinstance(answer, ExtentGranted) and answer.size == 8 * KB
    (answer,) = asked(store, 2, 512 * KB, 128 * KB)
    assert isinstance(answer, ExtentRefused)


def attempts(store: Store) -> tuple[ExtentGranted, SealedObject, SealedObject]:
    """A worker has run a task twice, and tells of neither yet."""
    grant = store.granted(A, 1, 16 * KB)
    second = SealedObject(X, B, grant.grant, grant.offset + 2 * KB, 1000)
    return grant, sealed(X, B, grant, 1000), second


def test_each_attempt_of_a_task_that_was_freed_before_it_was_told_is_freed() -> None:
    store = Store()
    grant, first, second = attempts(store)
    store.tell(B, FreeObjects([X, X], [(grant.segment, first.offset), (grant.segment, second.offset)]))
    store.tell(A, SealObjects([first, second]))
    assert store.machine.usage()["objects"] == 0 and store.machine.statistics()["early_frees"] == 0
    store.tell(A, SealObjects([], [grant.grant]))
    assert store.used == 0


@pytest.mark.parametrize("last", [False, True])
def test_only_the_attempt_that_is_meant_is_freed(last: bool) -> None:
    store = Store()
    grant, first, second = attempts(store)
    meant = second if last else first
    store.tell(B, FreeObjects([X], [(grant.segment, meant.offset)]))
    store.tell(A, SealObjects([first, second]))
    assert store.machine.usage()["objects"] == 1
    kept = first if last else second
    (chunk,) = store.tell("ipc://far", PullChunk(X, 0, 0, 100))
    assert isinstance(chunk, SendChunk) and chunk.at == kept.offset


def test_another_node_waits_for_what_is_written_where_something_was_freed_in_an_open_grant() -> None:
    store = Store(capacity=64 * KB)
    first = store.granted(B, 1, 64 * KB)
    store.tell(B, SealObjects([sealed(X, B, first, 16 * KB)]))
    store.tell(B, FreeObjects([X]))
    (second,) = asked(store, 1, 64 * KB, 16 * KB)
    assert isinstance(second, ExtentGranted) and second.offset == first.offset
    assert store.tell("ipc://far", PullChunk(Y, 0, 0, 100, second.segment, second.offset)) == []
    (chunk,) = store.tell(A, SealObjects([sealed(Y, A, second, 1000)]))
    assert isinstance(chunk, SendChunk) and chunk.oid == Y


def test_who_joins_later_learns_whose_objects_were_let_go() -> None:
    store = Store()
    store.put(A, 1, X, 1000, A)
    store.do(ClientDied(B))
    assert not store.machine.orphans.dead_owners, "it had nothing here"
    store.do(ClientDied(A))
    assert list(store.machine.orphans.dead_owners) == [A] and store.used == 0
    assert store.do(ClientJoined("ipc://late", 9, "worker 9")) == []
