"""The CPUs of a node change while it runs: more at once, fewer as tasks end."""

from __future__ import annotations

from typing import Any

import pytest

from raynb.runtime.core.effects import Send
from raynb.runtime.messages.gcs import NodeRegistered, RegisterNode, Reply
from raynb.runtime.messages.node import (
    ActorStartFailed,
    ExitWorker,
    LeaseDemand,
    LeaseGranted,
    LeaseInfeasible,
    LeaveNode,
    NodeStatus,
    ScaleNode,
    StartActor,
)
from tests.runtime.core.node_world import GCS, World, actor_message, sent


def scale(world: World, cpus: float, client: str = "driver", request: int = 9) -> list[Any]:
    return world.receive(client, ScaleNode(request, cpus))


def units(world: World) -> tuple[float, float]:
    """CPUs in all, and available."""
    leases = world.machine.leases
    return leases.total["CPU"] / 10_000, leases.available["CPU"] / 10_000


def test_more_cpus_are_granted_at_once_and_workers_ordered_for_them(world: World) -> None:
    assert len(world.demand("driver", 4, CPU=1)) == 2
    scale(world, 4)
    assert units(world) == (4, 2)
    assert len(world.ordered) == 2
    granted = [world.worker_joins() for _ in range(2)]
    assert [world.grants[number].worker for number in sorted(world.grants)][2:] == granted


def test_fewer_cpus_end_nothing_that_runs_and_nothing_starts_until_enough_has_ended(world: World) -> None:
    first, second = world.demand("driver", 3, CPU=1)
    effects = scale(world, 1)
    assert units(world) == (1, -1)
    assert not world.ended() and not sent(effects, ExitWorker)
    assert not sent(world.give_back(first.lease), LeaseGranted), "one runs, and there is one CPU"
    assert units(world) == (1, 0)
    again = sent(world.give_back(second.lease), LeaseGranted)
    assert {message.client for _, message in again} == {"driver"}
    assert units(world) == (1, 0)


def test_idle_workers_beyond_the_cpus_are_asked_to_leave_at_once_and_busy_ones_when_they_are_idle(world: World) -> None:
    (lease,) = world.demand("driver", 1, CPU=1)
    idle = next(address for address in world.living.values() if address != lease.worker)
    effects = scale(world, 1)
    assert [send.to for send in sent(effects, ExitWorker)] == [idle]
    world.receive(idle, LeaveNode())
    world.worker_dies(idle, "exit code 0")
    world.give_back(lease.lease)
    world.tick()
    assert not [send for send in sent(world.effects, ExitWorker) if send.to == lease.worker], "one is kept"


def test_workers_that_get_idle_after_the_node_was_made_smaller_are_asked_to_leave(world: World) -> None:
    leases = world.demand("driver", 2, CPU=1)
    scale(world, 1)
    world.receive("driver", LeaseDemand(1, {"CPU": 1.0}, 0))
    world.give_back(leases[0].lease)
    effects = world.tick()
    assert [send.to for send in sent(effects, ExitWorker)] == [leases[0].worker]


def test_a_worker_that_stays_is_asked_once_and_not_at_each_tick(world: World) -> None:
    scale(world, 1)
    asked = len(sent(world.effects, ExitWorker))
    for _ in range(10):
        world.tick()
    assert len(sent(world.effects, ExitWorker)) == asked == 1


def test_who_asked_is_answered_when_the_gcs_knows(world: World) -> None:
    effects = scale(world, 5)
    assert not sent(effects, Reply)
    kinds = [type(effect.message) for effect in effects if isinstance(effect, Send) and effect.to == GCS]
    assert kinds.index(NodeStatus) < kinds.index(RegisterNode), "what is free is known no later than the total"
    assert world.told(GCS, RegisterNode).resources == {"CPU": 5.0}
    assert world.told(GCS, NodeStatus).available == {"CPU": 5.0}
    reply = world.told("driver", Reply, world.receive(GCS, NodeRegistered(1)))
    assert (reply.request, reply.error) == (9, None)
    assert not sent(world.receive(GCS, NodeRegistered(1)), Reply)


def test_two_who_scale_at_once_are_both_answered_and_the_last_one_counts(world: World) -> None:
    world.driver_joins("other")
    scale(world, 5)
    scale(world, 3, "other", request=4)
    answered = {send.to for send in sent(world.receive(GCS, NodeRegistered(1)), Reply)}
    assert answered == {"driver", "other"}
    assert world.told(GCS, RegisterNode).resources == {"CPU": 3.0}


def test_who_is_gone_is_not_answered(world: World) -> None:
    world.driver_joins("other")
    scale(world, 5, "other")
    world.receive("other", LeaveNode())
    assert not sent(world.receive(GCS, NodeRegistered(1)), Reply)


def test_what_can_not_be_met_any_more_is_told_once_and_comes_back_with_the_cpus(world: World) -> None:
    world.demand("driver", 1, key=1, CPU=2)
    world.demand("driver", 1, key=2, CPU=2)
    effects = scale(world, 1)
    (told,) = sent(effects, LeaseInfeasible)
    assert told.message.key == 2 and "1 CPU in all" in told.message.message
    assert not sent(scale(world, 1), LeaseInfeasible)
    scale(world, 4)
    world.worker_joins()
    assert world.told("driver", LeaseGranted).key == 2


def test_an_actor_that_waits_outlasts_a_node_that_is_too_small_for_it(world: World) -> None:
    world.demand("driver", 1, CPU=2)
    world.receive(GCS, actor_message(1, CPU=2))
    assert not sent(scale(world, 1), ActorStartFailed)
    assert not sent(world.tick(), ActorStartFailed)
    effects = scale(world, 4)
    assert sent(effects, StartActor)


def test_a_node_without_cpus_finishes_what_runs_and_starts_nothing_that_needs_one(world: World) -> None:
    (lease,) = world.demand("driver", 1, CPU=1)
    scale(world, 0)
    world.give_back(lease.lease)
    assert not world.demand("driver", 1, CPU=1)
    assert len(world.demand("driver", 1, key=2)) == 1


@pytest.mark.parametrize("cpus", [-1.0, float("nan"), float("inf"), 0.00001])
def test_an_amount_that_makes_no_sense_is_refused_and_changes_nothing(world: World, cpus: float) -> None:
    reply = world.told("driver", Reply, scale(world, cpus))
    assert reply.error is not None and reply.error.kind == "ValueError" and "CPU=" in reply.error.message
    assert units(world) == (2, 2)


def test_no_more_workers_are_kept_than_the_machine_has_cpus() -> None:
    world = World(cpus=2, cores=2)
    world.start()
    world.driver_joins()
    scale(world, 64)
    assert not world.ordered
    assert world.machine.pool.cpus == 2
