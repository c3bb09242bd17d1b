"""Lost results of actors that have gone out of scope: their creator has them live again."""

from __future__ import annotations

import pytest

from raynb.runtime.core.creations import FOLLOWS_S
from raynb.runtime.messages.gcs import ActorState, CreateActor, KillActor, Reply, WatchActor
from raynb.runtime.messages.ids import actor_id_of
from raynb.runtime.messages.node import ProcessDied
from raynb.runtime.messages.values import Failed, Inline, Stored
from tests.runtime.core.owner_world import GCS, HOME, A, B, C, OwnerWorld, at, dead


class ActorWorld(OwnerWorld):
    """An actor of this process's own, on the node A, that was asked once, and for which nobody has a handle then."""

    def __init__(self, restarts: int = -1, begins: bool = True, **config: int) -> None:
        super().__init__(**config)
        self.objects.lineage.are_far()
        if begins:
            self.begin(restarts=restarts)

    def begin(self, *deps: bytes, restarts: int = -1) -> None:
        self.handle = self.create(*deps, restarts=restarts)
        self.actor = actor_id_of(self.handle[:24])
        self.registers()
        self.lives(self.actor, A)
        self.result = self.ask(self.actor, handle=self.handle)
        self.end(self.result)
        self.let_go(self.handle)

    def forgets_all(self) -> bool:
        return not self.objects.entries and not self.objects.lineage.kept and not self.machine.unfinished


def test_an_actor_out_of_scope_lives_again_to_make_what_is_lost_and_ends_again() -> None:
    world = ActorWorld()
    world.ends(world.actor)
    world.kill(A)
    creation = world.registers(revival=1)
    assert creation.creation.actor_id == world.actor and world.value(world.result) is None
    world.lives(world.actor, B, 1)
    assert world.ran(world.result) == 2
    world.end(world.result)
    assert world.node_of(world.result) == B
    world.ends(world.actor, 1, revival=1)
    world.let_go(world.result)
    assert world.forgets_all()


@pytest.mark.parametrize("first", ["node", "workers"])
def test_the_gcs_learns_with_a_creation_which_nodes_have_died(first: str) -> None:
    world = ActorWorld()
    world.ends(world.actor)
    world.kill(A, first=first)
    assert world.registers(revival=1).follows == [A], "it may not have heard, and would start it there"
    world.create()
    assert world.registers().follows == [A]
    world.tick(FOLLOWS_S)
    world.create()
    assert world.registers().follows == []


def test_it_lives_again_as_often_as_it_is_needed() -> None:
    world = ActorWorld()
    for life, (place, following) in enumerate([(A, B), (B, C)]):
        world.ends(world.actor, life, revival=life)
        world.kill(place)
        world.registers(revival=life + 1)
        world.lives(world.actor, following, life + 1)
        world.end(world.result)
    assert world.node_of(world.result) == C


def test_two_lost_results_need_one_life() -> None:
    world = ActorWorld(begins=False)
    handle = world.create(restarts=3)
    actor = actor_id_of(handle[:24])
    world.registers()
    world.lives(actor, A)
    results = [world.ask(actor, handle=handle) for _ in range(2)]
    for result in results:
        world.end(result)
    world.let_go(handle)
    world.ends(actor)
    world.kill(A)
    world.registers(revival=1)
    world.attempts.clear()
    world.lives(actor, B, 1)
    assert world.attempts == [result[:24] for result in results], "in their order"
    world.end(results[0])
    assert not world.take(KillActor)
    world.end(results[1])
    world.ends(actor, 1, revival=1)


def test_what_its_constructor_was_given_is_made_again_too() -> None:
    world = ActorWorld(begins=False)
    given, small = world.made(A), world.put(1)
    world.begin(given, small)
    world.let_go(given, small)
    world.ends(world.actor)
    assert given in world.objects.entries, "its process may read it until it has ended"
    world.tell(HOME, ProcessDied(at(A, "actor0"), "worker", 8, "it has ended"))
    assert given not in world.objects.entries, "who made it is known: it may go"
    assert small in world.objects.entries
    world.kill(A)
    known = {creation.creation.actor_id: creation for _, creation in world.take(CreateActor)}
    assert known[world.actor].awaits, "others may ask for it: it is known that it will live again"
    world.tell(GCS, ActorState(world.actor, "DEPENDENCIES_UNREADY", 1))
    world.end(given)
    whole = next(made for _, made in world.take(CreateActor) if made.creation.actor_id == world.actor)
    assert whole.creation.deps is not None
    first, second = whole.creation.deps
    assert not whole.awaits and isinstance(first, Stored) and first.node == C and second == Inline(b"x")


def test_its_end_may_be_under_way_when_it_is_needed_again() -> None:
    world = ActorWorld()
    stored = world.stored(world.result, B)
    kept = world.ask(world.actor)
    assert not world.runs(kept), "its end was asked for"
    world.let_go(kept)
    world.objects.entries[world.result].value = stored
    world.kill(B)
    assert not world.take(CreateActor) and world.value(world.result) is None
    world.ends(world.actor)
    world.registers(revival=1)
    world.lives(world.actor, C, 1)
    world.end(world.result)
    assert world.node_of(world.result) == C


@pytest.mark.parametrize("told", [False, True])
def test_late_news_of_the_life_before_change_nothing(told: bool) -> None:
    world = ActorWorld()
    world.ends(world.actor)
    world.kill(A, told=told)
    world.registers(revival=1)
    world.tell(GCS, dead(world.actor, 0, at(A, "actor0")))
    world.tell(HOME, ProcessDied(at(A, "actor0"), "worker", 8, "it has ended"))
    world.lives(world.actor, B, 1)
    world.tell(GCS, dead(world.actor, 0, at(A, "actor0")))
    world.end(world.result)
    assert world.node_of(world.result) == B


def test_who_may_not_be_restarted_makes_nothing_again() -> None:
    world = ActorWorld(restarts=0)
    world.ends(world.actor, revivable=False)
    world.kill(A)
    assert "[ACTOR_DIED]" in world.failure(world.result).message
    assert not world.take(CreateActor)
    world.let_go(world.result)
    assert world.forgets_all()


def test_one_whose_call_was_forgotten_makes_nothing_again() -> None:
    world = ActorWorld(lineage_bytes_max=0)
    world.ends(world.actor)
    world.kill(A)
    assert "LINEAGE_EVICTED]" in world.failure(world.result).message


def test_the_gcs_may_refuse() -> None:
    world = ActorWorld()
    world.ends(world.actor)
    world.kill(A)
    ((_, message),) = world.take(CreateActor)
    world.tell(GCS, Reply(message.request, error=Failed("ActorDiedError", "it ended too long ago")))
    failure = world.failure(world.result)
    assert failure.kind == "ActorDiedError" and failure.message.startswith("it ended too long ago")
    world.let_go(world.result)
    assert world.forgets_all()


def test_nobody_wants_it_any_more_while_it_is_to_live_again() -> None:
    world = ActorWorld()
    world.ends(world.actor)
    world.kill(A)
    world.let_go(world.result)
    world.registers(revival=1)
    world.lives(world.actor, B, 1)
    world.end(world.result)
    world.ends(world.actor, 1, revival=1)
    assert world.forgets_all()


def test_tasks_that_were_given_it_wait_until_it_is_known_to_live_again() -> None:
    world = ActorWorld(begins=False)
    handle = world.create()
    actor = actor_id_of(handle[:24])
    world.registers()
    world.lives(actor, B)
    result = world.call(A, refs=(handle,))
    world.end(result)
    world.let_go(handle)
    for _, kill in world.take(KillActor):
        world.tell(GCS, dead(kill.actor_id, 0, ""))
    world.kill(A)
    assert not world.runs(result)
    world.registers(revival=1)
    assert world.runs(result)
    world.end(result)
    assert world.node_of(result) == C
    assert [(kill.actor_id, kill.revival) for _, kill in world.take(KillActor)] == [(actor, 1)]


def test_another_process_that_has_known_it_as_dead_asks_again() -> None:
    world = OwnerWorld()
    actor = b"a" * 16
    world.lives(actor, A)
    world.tell(GCS, dead(actor, 0, ""))
    world.take(WatchActor)
    oid = world.ask(actor)
    assert world.value(oid) is None and [message.actor_id for _, message in world.take(WatchActor)] == [actor]
    world.tell(GCS, dead(actor, 0, ""))
    assert world.failure(oid).kind == "ActorDiedError"
    oid = world.ask(actor)
    world.lives(actor, B, 1)
    world.end(oid)
    assert world.node_of(oid) == B
