"""Actors on a node: how they get a worker, keep it, and lose it."""

from __future__ import annotations

from raynb.runtime.core.node_garbage import WAIT_S
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.node import (
    CollectGarbage,
    KillWorker,
    LeaseInfeasible,
    ProcessDied,
    StartActor,
    WorkerRetires,
)
from tests.runtime.core.node_world import GCS, World, actor_message, sent


def test_an_actor_gets_a_worker_for_life_and_its_death_names_it(world: World) -> None:
    message = actor_message(CPU=1)
    effects = world.receive(GCS, message)
    (send,) = sent(effects, StartActor)
    assert send.message == message
    assert len(world.ordered) == 1, "the pool is filled up"
    died = world.told("driver", ProcessDied, world.worker_dies(send.to))
    assert (died.actor_id, died.incarnation, died.lease) == (message.actor_id, 0, 0)


def test_who_may_hold_what_an_actor_waits_for_is_asked_to_look_for_garbage(world: World) -> None:
    world.demand("driver", 2, CPU=1)
    world.receive(GCS, actor_message(CPU=1))
    assert not sent(world.tick(), CollectGarbage)
    asked = {send.to for send in sent(world.tick(WAIT_S), CollectGarbage)}
    assert asked == {"driver", *world.machine.pool.by_address}
    assert not sent(world.tick(WAIT_S), CollectGarbage), "not again so soon"
    assert sent(world.tick(Config().garbage_pause_s), CollectGarbage)
    assert "driver" not in {send.to for send in sent(world.receive("driver", CollectGarbage()), CollectGarbage)}
    other = world.receive("ipc://other/p/manager", CollectGarbage())
    assert {send.to for send in sent(other, CollectGarbage)} == asked


def test_an_actor_that_was_given_a_worker_that_retires_gets_another(world: World) -> None:
    message = actor_message(CPU=2)
    (first,) = sent(world.receive(GCS, message), StartActor)
    (second,) = sent(world.receive(first.to, WorkerRetires()), StartActor)
    assert second.message == message
    assert second.to != first.to
    died = world.told(GCS, ProcessDied, world.worker_dies(first.to))
    assert died.actor_id == b"", "this is no loss of the actor"
    assert world.machine.pool.statistics()["actor"] == 1


def test_a_repeated_start_is_passed_on_to_the_worker_and_starts_no_other(world: World) -> None:
    message = actor_message(CPU=1)
    (first,) = sent(world.receive(GCS, message), StartActor)
    (second,) = sent(world.receive(GCS, message), StartActor)
    assert first.to == second.to
    assert world.machine.pool.statistics()["actor"] == 1


def test_a_repeated_start_of_one_that_waits_is_ignored(world: World) -> None:
    world.demand("driver", 2, CPU=1)
    message = actor_message(CPU=1)
    assert not sent(world.receive(GCS, message), StartActor)
    assert not sent(world.receive(GCS, message), StartActor)
    for lease in list(world.grants):
        world.give_back(lease)
    assert world.machine.pool.statistics()["actor"] == 1


def test_a_later_incarnation_replaces_one_that_waits(world: World) -> None:
    world.demand("driver", 2, CPU=1)
    world.receive(GCS, actor_message(incarnation=0, CPU=1))
    world.receive(GCS, actor_message(incarnation=1, CPU=1))
    effects = world.give_back(next(iter(world.grants)))
    assert [send.message.incarnation for send in sent(effects, StartActor)] == [1]


def test_a_killed_actor_that_waits_is_forgotten(world: World) -> None:
    world.demand("driver", 2, CPU=1)
    message = actor_message(CPU=1)
    world.receive(GCS, message)
    world.receive(GCS, KillWorker("", "killed", message.actor_id, 0))
    assert not world.machine.leases.actors
    assert not world.ended()


def test_a_killed_actor_is_ended_wherever_it_is(world: World) -> None:
    message = actor_message(CPU=1)
    (send,) = sent(world.receive(GCS, message), StartActor)
    world.receive(GCS, KillWorker("", "killed", message.actor_id, 0))
    assert world.ended() == [send.to.removeprefix("ipc://")]
    assert world.told("driver", ProcessDied, world.worker_dies(send.to)).intended


def test_a_kill_ends_an_earlier_incarnation_that_lives_beside_a_later_one(world: World) -> None:
    """A GCS that was away has had the actor started again."""
    world.receive(GCS, actor_message(incarnation=0))
    message = actor_message(incarnation=1)
    world.receive(GCS, message)
    later, earlier = sorted(world.machine.pool.workers.values(), key=lambda worker: -worker.incarnation)[:2]
    assert (earlier.actor_id, later.actor_id) == (message.actor_id, message.actor_id)
    world.receive(GCS, KillWorker(earlier.address, "its actor has ended", message.actor_id, 0))
    assert world.ended() == [earlier.token]


def test_a_kill_of_an_earlier_incarnation_spares_a_later_one(world: World) -> None:
    message = actor_message(incarnation=3, CPU=1)
    world.receive(GCS, message)
    world.receive(GCS, KillWorker("", "killed", message.actor_id, 2))
    assert not world.ended()


def test_an_actor_that_can_never_run_here_waits_and_its_creator_is_told_why(world: World) -> None:
    world.driver_joins()
    world.receive(GCS, actor_message(CPU=64))
    told = world.told("driver", LeaseInfeasible)
    assert told.key == 0 and "64 CPU" in told.message
    assert world.machine.leases.actors
