"""What becomes of an object that its owner gives up while others may still read it."""

from __future__ import annotations

import pytest

from raynb.runtime.core.effects import Send
from raynb.runtime.core.freed import SETTLE_S
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.objects import AddBorrowers, FreeObjects, PullObjects, RemoveBorrowers
from raynb.runtime.messages.values import Failed, Inline, RefInfo, Stored

ME, NODE, OTHER = "ipc://me", "ipc://node", "ipc://other"
OID, INNER = b"t" * 24 + FIRST_RETURN, b"i" * 24 + FIRST_RETURN


@pytest.fixture
def objects() -> Ownership:
    """A process that owns a stored object, which contains a reference, and refers to it once."""
    objects = Ownership(ME, NODE)
    objects.create(INNER, 1)
    objects.settle(INNER, Inline(b"1", None, None))
    objects.create(OID, 1)
    objects.settle(OID, Stored(OID, ME, NODE, "s", 0, 1000, [RefInfo(INNER, ME)]))
    objects.release(INNER)
    return objects


def freed(objects: Ownership, now: float) -> list[bytes]:
    """What the store is told to free by then."""
    objects.freed.tick(now)
    objects.check()
    sends = [effect.message for effect in objects.flush() if isinstance(effect, Send)]
    return [oid for message in sends if isinstance(message, FreeObjects) for oid in message.oids]


def test_its_value_is_gone_at_once_and_its_memory_a_little_later(objects: Ownership) -> None:
    objects.freed.free(OID, 10.0)
    value = objects.entries[OID].value
    assert isinstance(value, Failed) and value.kind == "ObjectFreedError"
    assert freed(objects, 10.1) == [], "a thread may have looked it up just before"
    assert freed(objects, 10.0 + SETTLE_S) == [OID]
    assert INNER not in objects.entries, "what it contained is let go, too"


def test_a_view_keeps_its_memory(objects: Ownership) -> None:
    objects.retain(OID, view=True)
    objects.freed.free(OID, 10.0)
    assert freed(objects, 20.0) == [] and INNER in objects.entries
    objects.let_view_go(OID)
    assert freed(objects, 20.1) == [OID]


def test_a_borrower_keeps_its_memory_and_nobody_gets_the_value_any_more(objects: Ownership) -> None:
    objects.on_add_borrowers(OTHER, AddBorrowers([OID]))
    objects.freed.free(OID, 10.0)
    objects.on_pull(OTHER, PullObjects([OID]))
    assert freed(objects, 20.0) == []
    objects.on_remove_borrowers(OTHER, RemoveBorrowers([OID]))
    assert freed(objects, 20.1) == [OID]


def test_the_last_reference_frees_it_once(objects: Ownership) -> None:
    objects.freed.free(OID, 10.0)
    objects.release(OID)
    assert freed(objects, 10.0) == [OID] and not objects.entries and not objects.freed.values
    assert freed(objects, 20.0) == []


def test_a_copy_that_was_left_behind_is_not_taken_for_another(objects: Ownership) -> None:
    objects.retain(OID, view=True)
    objects.freed.free(OID, 10.0)
    objects.left_behind(NODE, OID)
    assert freed(objects, 20.0) == [], "it is the one that is viewed"


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda objects: objects.pin(OID), "still need it"),
        (lambda objects: objects.freed.free(OID, 0.0), "nothing to free"),
        (lambda objects: objects.release(OID), None),
    ],
    ids=["a task needs it", "it is freed already", "it is not there"],
)
def test_what_can_not_be_freed_says_why(objects: Ownership, prepare: object, words: str | None) -> None:
    assert callable(prepare)
    prepare(objects)
    refusal = objects.freed.refusal(OID)
    assert refusal is None if words is None else words in (refusal or "")
