"""What a submitter does with leases that idle where another class of its tasks is to run."""

from __future__ import annotations

from raynb.runtime.core.pools import Pool
from raynb.runtime.messages.node import LeaseDemand, LeaseReturned
from raynb.runtime.messages.nodes import LeaseSpill
from tests.runtime.core.owner_world import HOME, A, B, C, OwnerWorld


def spilled(world: OwnerWorld, key: int, *, full: bool) -> list[LeaseDemand]:
    """The node of the driver has one worker's demand stated at another; what the driver says there and at home."""
    world.take(LeaseDemand)
    world.tell(HOME, LeaseSpill(key, C, 1, 1, full=full))
    return [message for to, message in world.take(LeaseDemand) if message.key == key and to in (HOME, C)]


def test_a_demand_stays_where_a_lease_that_idles_makes_room() -> None:
    world = OwnerWorld()
    world.made(HOME)
    world.granting = False
    world.call(A)
    (stated,) = spilled(world, 2, full=True)
    assert (stated.count, stated.sent_on, stated.heeded) == (1, False, 1)
    assert [to for to, _ in world.take(LeaseReturned)] == [HOME]
    stated, there = sorted(spilled(world, 2, full=True), key=lambda each: each.sent_on)
    assert (stated.count, there.count) == (0, 1), "none idles any more"


def test_a_demand_stays_where_a_lease_has_gone_back_that_the_node_had_not_heard_of() -> None:
    world = OwnerWorld()
    world.made(HOME)
    world.granting = False
    world.call(A)
    world.tick()
    assert [to for to, _ in world.take(LeaseReturned)] == [HOME], "it has idled for long"
    (stated,) = spilled(world, 2, full=True)
    assert (stated.count, stated.sent_on, stated.heeded) == (1, False, 1)
    assert len(spilled(world, 2, full=True)) == 2, "it has heard of it by now"


def test_leases_are_kept_that_could_make_no_room() -> None:
    world = OwnerWorld()
    world.made(HOME)
    world.made(A)
    world.granting = False
    world.call(B)
    spilled(world, 3, full=False)
    assert not world.take(LeaseReturned)


def test_leases_that_have_work_and_those_of_other_nodes_are_kept() -> None:
    world = OwnerWorld()
    world.made(A)
    world.call(HOME)
    world.granting = False
    world.call(B)
    stated = spilled(world, 3, full=True)
    assert sorted((each.count, each.sent_on) for each in stated) == [(0, False), (1, True)]
    assert not world.take(LeaseReturned)


def test_what_holds_nothing_that_is_asked_for_makes_no_room() -> None:
    held: list[dict[str, float]] = [{"CPU": 1.0}, {"GPU": 1.0}, {}, {"CPU": 0.5, "GPU": 1.0}]
    wanted, *others = (Pool(key, resources, "", HOME) for key, resources in enumerate(held))
    assert [pool.makes_room_for(wanted) for pool in (wanted, *others)] == [False, False, False, True]
