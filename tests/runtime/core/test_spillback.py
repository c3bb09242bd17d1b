"""What a node can't meet: its own clients are sent on, those of other nodes are declined."""

from __future__ import annotations

from typing import Any

import pytest

from raynb.runtime.core.effects import Send
from raynb.runtime.core.spillback import PROMISE_S, WAIT_S
from raynb.runtime.messages.node import ActorStartFailed, LeaseDemand, LeaseGranted, LeaseInfeasible, ProcessDied
from raynb.runtime.messages.nodes import ClusterView, LeaseDeclined, LeaseSpill, NodeRow
from raynb.runtime.messages.strategy import Strategy
from tests.runtime.core.node_world import GCS, World, actor_message

OTHER, THIRD = "ipc://other/p/manager", "ipc://third/p/manager"
CLIENT = "ipc://other/p/client"


def row(manager: str, cpus: float, free: float | None = None, **resources: float) -> NodeRow:
    total = {"CPU": cpus, **resources}
    return NodeRow(manager.encode().ljust(28), manager, total, total | {"CPU": cpus if free is None else free})


@pytest.fixture
def world() -> World:
    """A node of two CPUs with a driver, beside two others."""
    world = World(embedded=False)
    world.start()
    world.driver_joins()
    world.receive(GCS, ClusterView([row(OTHER, 4), row(THIRD, 2, gold=1)]))
    return world


def demand(world: World, count: int, sender: str = "driver", key: int = 1, **parts: Any) -> list[Any]:
    resources = parts.pop("resources", {"CPU": 1.0})
    return world.receive(sender, LeaseDemand(key, resources, count, "f", **parts))


def spills(effects: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for effect in effects:
        if isinstance(effect, Send) and isinstance(effect.message, LeaseSpill):
            found[effect.message.manager] = found.get(effect.message.manager, 0) + effect.message.count
    return found


def full(effects: list[Any]) -> list[bool]:
    return [e.message.full for e in effects if isinstance(e, Send) and isinstance(e.message, LeaseSpill)]


def declined(effects: list[Any]) -> list[int]:
    return [e.message.count for e in effects if isinstance(e, Send) and isinstance(e.message, LeaseDeclined)]


def granted(effects: list[Any], client: str) -> int:
    return sum(isinstance(e, Send) and isinstance(e.message, LeaseGranted) and e.to == client for e in effects)


def test_with_one_node_nothing_is_sent_on() -> None:
    world = World(embedded=False)
    world.start()
    world.driver_joins()
    assert spills(demand(world, 10)) == {}
    assert world.machine.leases.any_waiting


def test_what_finds_no_room_goes_to_the_emptiest_nodes(world: World) -> None:
    assert spills(demand(world, 7)) == {OTHER: 3, THIRD: 2}
    assert spills(world.tick()) == {}


def test_what_is_beyond_all_nodes_waits_at_home(world: World) -> None:
    assert spills(demand(world, 20)) == {OTHER: 4, THIRD: 2}
    assert world.machine.leases.demands["driver", 1].count == 14


def test_each_node_is_half_full_before_this_one_is_full(world: World) -> None:
    effects = demand(world, 4)
    assert (spills(effects), granted(effects, "driver")) == ({OTHER: 2, THIRD: 1}, 1)
    effects = demand(world, 2, key=2)
    assert (spills(effects), granted(effects, "driver")) == ({OTHER: 1}, 1), "the rest goes by room"


def test_what_needs_no_cpu_stays(world: World) -> None:
    assert spills(demand(world, 9, resources={})) == {}


def test_nodes_with_gpus_are_spared_by_what_asks_for_none(world: World) -> None:
    world.receive(GCS, ClusterView([row(OTHER, 4, GPU=1), row(THIRD, 2, GPU=1)]))
    assert spills(demand(world, 2)) == {}
    assert spills(demand(world, 3, key=2)) == {OTHER: 2, THIRD: 1}, "where there is no room here"


def test_a_node_with_gpus_is_spared_by_its_own_clients_while_another_has_room() -> None:
    world = World(embedded=False, gpus=1)
    world.start()
    world.driver_joins()
    world.receive(GCS, ClusterView([row(OTHER, 1), row(THIRD, 8, GPU=1)]))
    effects = demand(world, 2)
    assert (spills(effects), granted(effects, "driver")) == ({OTHER: 1}, 1)
    assert full(effects) == [False], "leases that idle here are no reason"


def test_it_says_whether_free_leases_here_would_have_been_room(world: World) -> None:
    assert full(demand(world, 7)) == [True, True]
    assert full(demand(world, 1, key=2, resources={"CPU": 1.0, "gold": 1.0})) == [False], "there is none here"
    strategy = Strategy(spread=True)
    assert not any(full(demand(world, 4, key=3, strategy=strategy)))


def test_what_was_sent_on_does_not_count_twice(world: World) -> None:
    """What the client said before it had heard of that still has it in it."""
    assert sum(spills(demand(world, 5)).values()) == 3
    assert spills(demand(world, 5)) == {}
    heeded = world.machine.spillback._number
    assert spills(demand(world, 2, heeded=heeded)) == {}
    assert world.machine.leases.demands["driver", 1].count == 2


def test_what_was_sent_on_as_a_whole_does_not_count_twice_either(world: World) -> None:
    """Nothing is left of the demand here, but the client has not heard of that yet."""
    world.receive(GCS, ClusterView([row(OTHER, 4, free=2), row(THIRD, 2, free=1)]))
    demand(world, 2, key=2)
    assert sum(spills(demand(world, 1)).values()) == 1
    assert sum(spills(demand(world, 3)).values()) == 2
    assert sum(spills(demand(world, 0, heeded=world.machine.spillback._number)).values()) == 0
    assert ("driver", 1) not in world.machine.leases.demands


def test_a_node_is_asked_again_only_when_it_may_have_room_by_then(world: World) -> None:
    demand(world, 8)
    heeded = world.machine.spillback._number
    assert spills(demand(world, 8, heeded=heeded)) == {}, "declined everywhere"
    world.receive(GCS, ClusterView([row(OTHER, 4, free=2)]))
    assert spills(world.tick()) == {}
    assert spills(world.tick(PROMISE_S)) == {OTHER: 2, THIRD: 2}


def test_what_is_spread_goes_in_turn_however_it_is_stated(world: World) -> None:
    """A unit that stayed and was granted is decided: the next one that is asked for has a turn of its own."""
    here, there = 0, {manager: 0 for manager in [OTHER, THIRD]}
    for _ in range(6):
        heeded = world.machine.spillback._number
        effects = demand(world, here + 1, strategy=Strategy(spread=True), heeded=heeded)
        here += granted(effects, "driver")
        for manager, count in spills(effects).items():
            there[manager] += count
    assert (here, there) == (2, {OTHER: 2, THIRD: 2})


def test_whether_a_node_has_room_now_it_says_itself(world: World) -> None:
    """What others know of it is late."""
    world.receive(GCS, ClusterView([row(THIRD, 2, free=0)]))
    there = Strategy(node_id=THIRD.encode().ljust(28), fails=True)
    assert spills(demand(world, 1, strategy=there)) == {THIRD: 1}
    here = Strategy(node_id=world.machine.identity.node_id, fails=True)
    effects = demand(world, 3, CLIENT, key=2, home=OTHER, sent_on=True, strategy=here)
    (told,) = [e.message for e in effects if isinstance(e, Send) and isinstance(e.message, LeaseInfeasible)]
    assert told.kind == "TaskUnschedulableError" and "no room for it now" in told.message


def test_what_this_node_never_has_goes_where_it_is_and_waits_there(world: World) -> None:
    effects = demand(world, 3, resources={"gold": 1.0})
    assert spills(effects) == {THIRD: 3}, "one has room, two wait"
    waits = [e.message.wait for e in effects if isinstance(e, Send) and isinstance(e.message, LeaseSpill)]
    assert sorted(waits) == [False, True]
    assert not [e for e in effects if isinstance(e, Send) and isinstance(e.message, LeaseInfeasible)]


def test_what_no_node_has_is_told_once_and_goes_on_when_a_node_brings_it(world: World) -> None:
    (told,) = [e.message for e in demand(world, 1, resources={"tin": 1.0}) if isinstance(e, Send)]
    assert isinstance(told, LeaseInfeasible) and "no node of this cluster has any tin" in told.message
    assert demand(world, 2, resources={"tin": 1.0}) == []
    assert spills(world.receive(GCS, ClusterView([row("ipc://new/p/manager", 1, tin=2)]))) == {"ipc://new/p/manager": 2}


def test_anothers_demand_is_granted_at_once_or_declined(world: World) -> None:
    effects = demand(world, 3, CLIENT, home=OTHER, sent_on=True, wait=False)
    assert granted(effects, CLIENT) == 2 and declined(effects) == [2]
    assert not world.machine.leases.any_waiting


def test_one_that_is_to_wait_waits_until_another_node_has_room(world: World) -> None:
    world.receive(GCS, ClusterView([row(OTHER, 4, free=0), row(THIRD, 2, free=0)]))
    effects = demand(world, 3, CLIENT, home=OTHER, sent_on=True, wait=True)
    assert granted(effects, CLIENT) == 2 and declined(effects) == []
    assert declined(world.tick(2 * WAIT_S)) == []
    assert declined(world.receive(GCS, ClusterView([row(THIRD, 2)]))) == [2]


def test_one_that_can_never_be_met_here_is_declined(world: World) -> None:
    assert declined(demand(world, 3, CLIENT, home=OTHER, sent_on=True, resources={"gold": 1.0})) == [0]


def test_an_actor_that_waits_is_given_back_when_another_node_has_room(world: World) -> None:
    world.receive(GCS, ClusterView([row(OTHER, 4, free=0), row(THIRD, 2, free=0)]))
    world.receive(GCS, actor_message(1, CPU=2))
    world.receive(GCS, actor_message(2, CPU=2))
    assert world.tick(2 * WAIT_S) is not None
    effects = world.receive(GCS, ClusterView([row(OTHER, 4)]))
    (failed,) = [e.message for e in effects if isinstance(e, Send) and isinstance(e.message, ActorStartFailed)]
    assert failed.failure.kind == "NoRoom" and not world.machine.leases.actors
    world.receive(GCS, actor_message(2, CPU=2))
    assert not world.machine.leases.actors, "a repeated order, which may be carried out elsewhere by now"


def test_the_demands_of_a_node_that_died_are_dropped(world: World) -> None:
    demand(world, 2, CLIENT, home=OTHER, sent_on=True, wait=False)
    world.receive(GCS, ProcessDied(OTHER, "node", 9, "its process has ended"))
    assert not world.machine.leases.demands
    assert OTHER not in world.machine.peers.views
