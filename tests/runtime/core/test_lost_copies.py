"""Copies in other nodes take the place of lost values; borrowers ask for the next value."""

from __future__ import annotations

from raynb.runtime.core.inbox import WaitFor
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.copies import CopiesKept, CopyAdded, CopyDropped, KeepCopies, ValuesLost
from raynb.runtime.messages.objects import AddBorrowers, BorrowersAdded, ObjectValues, PullObjects
from raynb.runtime.messages.tasks import TasksReturned
from raynb.runtime.messages.values import Stored
from tests.runtime.core.owner_world import HOME, OTHER, A, B, C, OwnerWorld, at

# -- copies


def test_a_copy_takes_the_place_of_a_lost_value_when_its_node_promises_to_keep_it() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    copy = world.stored(oid, B)
    world.tell(B, CopyAdded([copy]))
    world.kill(A)
    assert world.value(oid) is None and not world.runs(oid)
    assert world.take(KeepCopies) == [(B, KeepCopies([oid]))]
    world.tick()
    world.tick()
    assert world.take(KeepCopies) == [(B, KeepCopies([oid]))], "an answer may be lost"
    world.tell(B, CopiesKept([oid], []))
    assert world.value(oid) == copy
    world.let_go(oid)
    assert world.freed() == {B: [oid]}


def test_copies_are_asked_one_after_another_and_then_it_is_made_again() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.tell(B, CopyAdded([world.stored(oid, B)]))
    world.tell(C, CopyAdded([world.stored(oid, C)]))
    world.kill(A)
    world.tell(B, CopiesKept([], [oid]))
    assert [to for to, _ in world.take(KeepCopies)] == [B, C]
    world.standby = B
    world.kill(C)
    assert world.runs(oid)
    world.end(oid)
    assert world.node_of(oid) == B


def test_a_copy_that_was_dropped_is_not_asked_for() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.tell(B, CopyAdded([world.stored(oid, B)]), CopyDropped([oid]))
    world.kill(A)
    assert world.runs(oid) and not world.take(KeepCopies)


def test_last_words_of_a_process_of_a_dead_node_are_too_late_if_nobody_told_of_its_own_death() -> None:
    world = OwnerWorld()
    oid = world.made(B)
    world.kill(A)
    world.tell(at(A, "unheard-of"), AddBorrowers([oid]))
    assert [message.lost for _, message in world.take(BorrowersAdded)] == [[oid]]
    world.let_go(oid)
    assert world.freed() == {B: [oid]}


def test_a_copy_that_a_dead_node_had_told_of_is_ignored() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.kill(B)
    world.tell(B, CopyAdded([world.stored(oid, B)]))
    world.kill(A)
    assert world.runs(oid) and not world.take(KeepCopies)


def test_a_copy_of_what_nobody_needs_is_freed_at_once() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.let_go(oid)
    world.tell(B, CopyAdded([world.stored(oid, B)]))
    assert world.freed() == {A: [oid], B: [oid]}


def test_all_copies_are_freed_with_the_object() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.tell(B, CopyAdded([world.stored(oid, B)]))
    world.tell(C, CopyAdded([world.stored(oid, C)]))
    world.let_go(oid)
    assert world.freed() == {A: [oid], B: [oid], C: [oid]}


def test_all_copies_are_freed_by_hand() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.tell(B, CopyAdded([world.stored(oid, B)]))
    world.objects.freed.free(oid, world.now)
    world.tick()
    assert world.freed() == {A: [oid], B: [oid]}


def test_news_of_a_copy_help_while_the_value_is_made_again() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.kill(A)
    copy = world.stored(oid, B)
    world.tell(B, CopyAdded([copy]), CopiesKept([oid], []))
    assert world.value(oid) == copy
    world.end(oid)
    assert world.value(oid) == copy and world.freed() == {}
    world.let_go(oid)
    assert world.freed() == {B: [oid], C: [oid]}


def test_a_copy_on_the_owners_own_node_takes_the_place_too() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.tell(HOME, CopyAdded([world.stored(oid, HOME)]))
    world.kill(A)
    world.tell(HOME, CopiesKept([oid], []))
    assert world.node_of(oid) == HOME and world.objects.directory.locate(oid).nodes == [HOME]


# -- borrowers


def test_a_borrower_that_could_not_read_a_value_gets_the_next_one() -> None:
    world = OwnerWorld()
    oid = world.made(A)
    world.tell(OTHER, AddBorrowers([oid]), PullObjects([oid]))
    given = world.value(oid)
    assert isinstance(given, Stored)
    world.take(ObjectValues)
    world.tell(OTHER, ValuesLost([given]))
    assert world.take(ObjectValues) == [] and world.runs(oid), "the owner believes it"
    world.end(oid)
    next_value = world.value(oid)
    assert next_value is not None
    assert world.take(ObjectValues) == [(OTHER, ObjectValues([oid], [next_value]))]
    world.tell(OTHER, ValuesLost([given]))
    assert world.take(ObjectValues) == [(OTHER, ObjectValues([oid], [next_value]))], "that is known already"


def test_a_borrowed_value_on_a_dead_node_is_asked_for_again_when_it_is_wanted() -> None:
    world = OwnerWorld()
    oid = b"o" * 24 + b"\x01\0\0\0"
    world.objects.borrow(oid, OTHER, local=1)
    user = world.call(B, oid)
    world.tell(OTHER, ObjectValues([oid], [world.stored(oid, A, OTHER)]))
    world.end(user)
    world.take(PullObjects)
    world.kill(A)
    assert world.value(oid) is None and world.take(PullObjects) == []
    waiter = Waiter(1, None)
    world.say(WaitFor(waiter, [oid]))
    assert world.take(PullObjects) == [(OTHER, PullObjects([oid]))]
    stale = world.stored(oid, A, OTHER)
    world.tell(OTHER, ObjectValues([oid], [stale]))
    assert waiter.needed == 1 and world.take(ValuesLost) == [(OTHER, ValuesLost([stale]))], "it may not have heard"
    world.tell(OTHER, ObjectValues([oid], [world.stored(oid, B, OTHER)]))
    assert waiter.needed == 0 and world.node_of(oid) == B


def test_a_borrower_passes_on_what_its_worker_says() -> None:
    world = OwnerWorld()
    oid = b"o" * 24 + b"\x01\0\0\0"
    world.objects.borrow(oid, OTHER, local=1)
    user = world.call(B, oid)
    given = world.stored(oid, A, OTHER)
    world.tell(OTHER, ObjectValues([oid], [given]))
    worker, spec = world.running.pop(user[:24])
    world.tell(worker, ValuesLost([given]), TasksReturned([spec.seq], "dependency"))
    assert world.take(ValuesLost) == [(OTHER, ValuesLost([given]))] and not world.runs(user)
    world.tell(OTHER, ObjectValues([oid], [world.stored(oid, C, OTHER)]))
    assert world.runs(user)


def test_an_owner_that_dies_with_the_node_fails_what_was_borrowed() -> None:
    world = OwnerWorld()
    oid = b"o" * 24 + b"\x01\0\0\0"
    owner = at(A, "owner")
    world.workers[owner] = A
    world.objects.borrow(oid, owner, local=1)
    waiter = Waiter(1, None)
    world.say(WaitFor(waiter, [oid]))
    world.tell(owner, ObjectValues([oid], [world.stored(oid, A, owner)]))
    world.kill(A)
    assert world.failure(oid).kind == "OwnerDiedError"


def test_all_that_a_node_had_to_do_with_this_process_ends_with_it_whether_it_is_told_or_not() -> None:
    """Nobody may have heard of its processes: the GCS was started again in between, say."""
    world = OwnerWorld()
    borrower, owner = at(A, "borrower"), at(A, "owner")
    mine, theirs = world.put(), b"o" * 24 + b"\x01\0\0\0"
    world.tell(borrower, AddBorrowers([mine]))
    world.objects.borrow(theirs, owner, local=1)
    world.machine.actors.of(b"a" * 16)
    world.lives(b"a" * 16, A)
    call = world.ask(b"a" * 16, retries=0)
    world.let_go(mine)
    assert mine in world.objects.entries and world.runs(call)
    waiter = Waiter(1, None)
    world.say(WaitFor(waiter, [theirs]))
    world.kill(A, first="node", told=False)
    assert mine not in world.objects.entries
    assert world.failure(theirs).kind == "OwnerDiedError"
    assert world.machine.actors.of(b"a" * 16).state == "RESTARTING", "the GCS will say more"
