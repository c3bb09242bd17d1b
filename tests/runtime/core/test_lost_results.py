"""Lost results of actors, and lost items of generators."""

from __future__ import annotations

import pytest

from raynb.runtime.core.inbox import CloseStream, TakeItem
from raynb.runtime.core.task import STREAMING
from raynb.runtime.messages.copies import ValuesLost
from raynb.runtime.messages.gcs import ActorState
from raynb.runtime.messages.ids import object_id
from raynb.runtime.messages.tasks import CancelTask, StreamAck, TasksReturned
from raynb.runtime.messages.values import NOTHING, Failed, Inline, Stored
from tests.runtime.core.owner_world import GCS, A, B, C, OwnerWorld, at

# -- actors


ACTOR = b"a" * 16


def test_an_actors_result_is_made_again_by_the_actor_where_it_is_restarted() -> None:
    world = OwnerWorld()
    world.lives(ACTOR, A)
    oid = world.ask(ACTOR)
    world.end(oid)
    world.kill(A)
    assert world.value(oid) is None and not world.runs(oid)
    world.lives(ACTOR, B, 1)
    world.end(oid)
    assert world.node_of(oid) == B


@pytest.mark.parametrize("first", ["workers", "node"])
def test_calls_that_are_made_again_go_before_later_ones(first: str) -> None:
    world = OwnerWorld()
    world.lives(ACTOR, A)
    done, lost, under_way = (world.ask(ACTOR) for _ in range(3))
    world.end(done, Inline(b"1"))
    world.end(lost)
    world.kill(A, first=first)
    waits = world.ask(ACTOR)
    world.attempts.clear()
    world.lives(ACTOR, B, 1)
    assert world.attempts == [oid[:24] for oid in (lost, under_way, waits)]


def test_an_actors_result_without_retries_is_not_made_again() -> None:
    world = OwnerWorld()
    world.lives(ACTOR, A)
    oid = world.ask(ACTOR, retries=0)
    world.end(oid)
    world.kill(A)
    failure = world.failure(oid).message
    assert "RETRIES_DISABLED" in failure and "max_task_retries=N" in failure


def test_a_dead_actor_makes_nothing_again() -> None:
    world = OwnerWorld()
    world.lives(ACTOR, B)
    oid = world.ask(ACTOR)
    world.end(oid, world.stored(oid, A))
    world.tell(GCS, ActorState(ACTOR, "DEAD", 1, "", Failed("ActorDiedError", "it was killed")))
    world.kill(A)
    assert "ACTOR_DIED" in world.failure(oid).message


def test_a_call_that_comes_back_since_its_input_is_lost_waits_for_it() -> None:
    world = OwnerWorld()
    world.lives(ACTOR, B)
    value = world.made(A)
    first, second = world.ask(ACTOR, value), world.ask(ACTOR)
    given = world.value(value)
    assert isinstance(given, Stored)
    seqs = [world.running.pop(oid[:24])[1].seq for oid in (first, second)]
    world.tell(at(B, "actor0"), ValuesLost([given]), TasksReturned(seqs, "dependency"))
    world.lives(ACTOR, B)
    assert world.runs(value) and not world.runs(first) and not world.runs(second), "calls keep their order"
    world.end(value)
    assert world.runs(first) and world.runs(second)


def test_a_call_made_again_counts_once_among_those_that_are_pending() -> None:
    world = OwnerWorld()
    world.lives(ACTOR, A)
    oid = world.ask(ACTOR)
    world.end(oid)
    world.kill(A)
    assert world.machine.actors.of(ACTOR).concluded == 0
    world.lives(ACTOR, B, 1)
    world.end(oid)
    assert world.machine.actors.of(ACTOR).concluded == 1


# -- generators


def items_of(world: OwnerWorld, oid: bytes, count: int) -> list[bytes]:
    """The consumer has taken so many items of a generator."""
    for index in range(count):
        world.say(TakeItem(oid[:24], index))
    return [object_id(oid[:24], index + 2) for index in range(count)]


def test_lost_items_of_a_generator_are_yielded_again_and_the_others_left() -> None:
    world = OwnerWorld()
    oid = world.call(A, returns=STREAMING)
    first, second, third = (object_id(oid[:24], index) for index in (2, 3, 4))
    world.yields(oid, 0, world.stored(first, A), Inline(b"small"), world.stored(third, A))
    items_of(world, oid, 3)
    world.end(oid, NOTHING)
    world.kill(A)
    assert world.runs(oid)
    world.yields(oid, 0, world.stored(first, C), Inline(b"other"))
    assert world.node_of(first) == C and world.value(second) == Inline(b"small")
    world.yields(oid, 2, world.stored(third, C))
    world.end(oid, NOTHING)
    assert world.node_of(third) == C and world.ran(oid) == 2
    world.let_go(first, second, third, oid)
    assert not world.objects.entries and not world.objects.lineage.kept


def test_a_generator_that_runs_again_does_not_wait_for_a_consumer() -> None:
    world = OwnerWorld()
    oid = world.call(A, returns=STREAMING, backpressure=1)
    item = object_id(oid[:24], 2)
    world.yields(oid, 0, world.stored(item, A))
    items_of(world, oid, 1)
    world.end(oid, NOTHING)
    world.kill(A)
    worker, spec = world.running[oid[:24]]
    world.take(StreamAck)
    world.yields(oid, 0, world.stored(item, C))
    assert world.take(StreamAck) == [(worker, StreamAck(spec.seq, 0, True))]


def test_a_generator_that_still_yields_is_waited_for_before_it_runs_again() -> None:
    world = OwnerWorld()
    oid = world.call(B, returns=STREAMING)
    first, second = object_id(oid[:24], 2), object_id(oid[:24], 3)
    world.yields(oid, 0, world.stored(first, A))
    items_of(world, oid, 1)
    world.objects.lineage.are_far()
    world.kill(A)
    assert world.value(first) is None and world.ran(oid) == 1
    world.yields(oid, 1, Inline(b"second"))
    items_of(world, oid, 2)
    world.end(oid, NOTHING)
    assert world.ran(oid) == 2 and world.runs(oid)
    world.yields(oid, 0, world.stored(first, B), Inline(b"again"))
    world.end(oid, NOTHING)
    assert world.node_of(first) == B and world.value(second) == Inline(b"second")


def test_a_generator_that_fails_when_it_runs_again_fails_the_lost_items() -> None:
    world = OwnerWorld()
    oid = world.call(A, returns=STREAMING)
    first = object_id(oid[:24], 2)
    world.yields(oid, 0, world.stored(first, A), Inline(b"kept"))
    _, second = items_of(world, oid, 2)
    world.end(oid, NOTHING)
    world.kill(A)
    world.end(oid, Failed("RayTaskError", "it raised"))
    assert world.failure(first).kind == "RayTaskError" and world.value(second) == Inline(b"kept")


def test_a_generator_that_yields_less_each_time_ends_after_its_retries() -> None:
    world = OwnerWorld()
    oid = world.call(A, returns=STREAMING, retries=2)
    world.yields(oid, 0, world.stored(object_id(oid[:24], 2), A))
    (item,) = items_of(world, oid, 1)
    world.end(oid, NOTHING)
    world.kill(A)
    world.end(oid, NOTHING)
    world.end(oid, NOTHING)
    assert "MAX_ATTEMPTS" in world.failure(item).message and world.ran(oid) == 3


def test_a_generator_that_yields_more_the_second_time_gives_no_more() -> None:
    world = OwnerWorld()
    oid = world.call(A, returns=STREAMING)
    world.yields(oid, 0, world.stored(object_id(oid[:24], 2), A))
    world.end(oid, NOTHING)
    (item,) = items_of(world, oid, 1)
    world.kill(A)
    world.yields(oid, 0, world.stored(item, C), Inline(b"more"))
    world.end(oid, NOTHING)
    assert object_id(oid[:24], 3) not in world.objects.entries
    world.let_go(item, oid)
    assert not world.objects.entries


def lets_go_while_it_is_made_again(backpressure: int = 0) -> tuple[OwnerWorld, bytes, bytes]:
    """Nobody consumes a generator any more that runs again for an item that somebody refers to."""
    world = OwnerWorld()
    oid = world.call(A, returns=STREAMING, backpressure=backpressure)
    item = object_id(oid[:24], 2)
    world.yields(oid, 0, world.stored(item, A))
    items_of(world, oid, 1)
    world.end(oid, NOTHING)
    world.kill(A)
    world.say(CloseStream(oid[:24]))
    return world, oid, item


def test_a_generator_that_is_let_go_is_not_cancelled_before_it_has_made_again_what_is_lost() -> None:
    world, oid, item = lets_go_while_it_is_made_again()
    assert not world.take(CancelTask) and world.value(item) is None
    world.yields(oid, 0, world.stored(item, C))
    assert world.node_of(item) == C
    assert [message.task_id for _, message in world.take(CancelTask)] == [oid[:24]], "it may never end"


def test_a_generator_that_is_let_go_twice_is_cancelled_when_nobody_needs_it() -> None:
    world, oid, item = lets_go_while_it_is_made_again()
    world.let_go(item)
    world.say(CloseStream(oid[:24]))
    assert [message.task_id for _, message in world.take(CancelTask)] == [oid[:24]]
