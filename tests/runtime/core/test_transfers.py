"""Objects between nodes: what is pulled, when it is there, and when its memory is used again."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raynb.runtime.core.effects import Received
from raynb.runtime.core.store_send import READERS_MAX
from raynb.runtime.messages.objects import AllocateExtent, FreeObjects, SealedObject, SealObjects
from raynb.runtime.messages.values import Stored
from tests.runtime.core.transfer_world import CAPACITY, Choose, Owned, Reader, TransferWorld

M0, M1, M2 = (f"ipc://m{i}" for i in range(3))


def made(world: TransferWorld, reader: Reader, size: int) -> Owned:
    owned = world.put(reader, size)
    world.run()
    return owned


def fetched(world: TransferWorld, reader: Reader, *objects: Owned, together: bool = False) -> int:
    request = world.fetch(reader, list(objects), together=together)
    world.run()
    return request


def used(world: TransferWorld, node: str) -> int:
    return world.nodes[node].machine.usage()["used_bytes"]


# -- one object


def test_an_object_of_another_node_is_copied_here_and_its_owner_is_told() -> None:
    world = TransferWorld()
    owner, reader = world.reader(M0), world.reader(M1)
    owned = made(world, owner, 1000)
    request = fetched(world, reader, owned)
    assert [stored.node for _, stored in reader.held[request]] == [M1]
    assert list(owned.copies) == [M1]
    world.view(reader, request)


def test_when_it_is_freed_no_node_keeps_anything_of_it() -> None:
    world = TransferWorld()
    owner, reader = world.reader(M0), world.reader(M1)
    owned = made(world, owner, 1000)
    world.view(reader, fetched(world, reader, owned))
    world.unview(reader, 0)
    world.free(owned)
    world.run()
    assert (used(world, M0), used(world, M1)) == (0, 0)


def test_what_many_want_is_pulled_once() -> None:
    world = TransferWorld()
    owner = world.reader(M0)
    readers = [world.reader(M1) for _ in range(5)]
    owned = made(world, owner, 1000)
    requests = [world.fetch(reader, [owned, owned]) for reader in readers]
    world.run()
    assert world.nodes[M0].sent_chunks == 4
    for reader, request in zip(readers, requests, strict=True):
        world.view(reader, request)


def test_what_is_here_already_is_answered_without_asking_anybody() -> None:
    world = TransferWorld()
    owner, reader = world.reader(M0), world.reader(M1)
    owned = made(world, owner, 1000)
    fetched(world, reader, owned)
    sent = world.nodes[M0].sent_chunks
    world.view(reader, fetched(world, reader, owned))
    assert world.nodes[M0].sent_chunks == sent


def test_an_owner_that_let_go_meanwhile_has_the_copy_freed() -> None:
    world = TransferWorld()
    owner, reader = world.reader(M0), world.reader(M1)
    owned = made(world, owner, 1000)
    request = world.fetch(reader, [owned])
    while not world.nodes[M1].machine.fetch.transfers:
        world.deliver(next(iter(world.wires))) if world.wires else world.nodes[M1].grow()
    world.stop_fetching(reader, request)
    world.free(owned)
    world.run()
    assert (used(world, M0), used(world, M1)) == (0, 0)


def test_what_was_made_again_beside_a_copy_is_freed_too_though_its_seal_comes_late() -> None:
    world = TransferWorld()
    owner, reader, maker = world.reader(M0), world.reader(M1), world.reader(M1)
    owned = made(world, owner, 1000)
    fetched(world, reader, owned)
    node = world.nodes[M1]
    node.do(Received(maker.address, AllocateExtent(1, 1024)))
    ((number, grant),) = node.machine.index.grants.items()
    node.do(Received(owner.address, FreeObjects([owned.oid], [(grant.segment, grant.offset)])))
    sealed = SealedObject(owned.oid, owner.address, number, grant.offset, 1000)
    node.do(Received(maker.address, SealObjects([sealed], [number])))
    assert used(world, M1) == 0
    assert node.machine.statistics()["early_frees"] == 0


def test_what_is_freed_while_it_is_sent_keeps_its_memory_until_it_has_arrived() -> None:
    world = TransferWorld()
    owner, reader = world.reader(M0), world.reader(M1)
    owned = made(world, owner, 5000)
    world.fetch(reader, [owned])
    while world.nodes[M0].sent_chunks < 3:
        world.deliver(next(iter(world.wires))) if world.wires else world.nodes[M1].grow()
    world.free(owned)
    world.deliver((owner.address, M0))
    assert used(world, M0) > 0
    assert owned.oid not in world.nodes[M0].machine.index.objects
    world.run()
    assert (used(world, M0), used(world, M1)) == (0, 0)


# -- many readers


def test_a_holder_sends_to_two_at_a_time_and_leaves_the_others_to_those_that_have_it() -> None:
    world = TransferWorld(nodes=16)
    owner = world.reader(M0)
    owned = made(world, owner, 2000)
    readers = [world.reader(f"ipc://m{i}") for i in range(1, 16)]
    requests = [world.fetch(reader, [owned]) for reader in readers]
    most = 0
    while world.wires or any(node.writes or node.growing for node in world.nodes.values()):
        for wire in list(world.wires):
            if wire in world.wires:
                world.deliver(wire)
        for node in world.nodes.values():
            node.grow()
            node.write()
            for sending in node.machine.sendings.sendings.values():
                most = max(most, len(sending.readers))
    assert most == READERS_MAX
    for reader, request in zip(readers, requests, strict=True):
        world.view(reader, request)
    chunks = 8
    by_the_first = world.nodes[M0].sent_chunks // chunks
    assert by_the_first < len(readers), "nobody else has sent anything"
    assert sum(node.sent_chunks for node in world.nodes.values()) == len(readers) * chunks


# -- deaths


def test_an_object_whose_node_dies_while_it_is_pulled_is_lost_and_its_room_is_free() -> None:
    world = TransferWorld()
    owner, maker, reader = world.reader(M0), world.reader(M1), world.reader(M2)
    owned = made(world, maker, 5000)
    world.objects.remove(owned)
    world.objects.append(owned)
    request = world.fetch(reader, [owned])
    while world.nodes[M1].sent_chunks < 3:
        world.deliver(next(iter(world.wires))) if world.wires else world.nodes[M2].grow()
    world.kill_node(M1)
    world.run()
    assert reader.held[request] == [] and reader.lost == 1
    assert used(world, M2) == 0
    assert owner.address in world.readers


def test_one_that_was_sent_to_a_holder_which_dies_asks_the_primary_again() -> None:
    world = TransferWorld(nodes=8)
    owner = world.reader(M0)
    owned = made(world, owner, 3000)
    readers = [world.reader(f"ipc://m{i}") for i in range(1, 8)]
    for reader in readers:
        world.fetch(reader, [owned])
    under_way = [world.nodes[f"ipc://m{i}"].machine.fetch.transfers for i in range(1, 8)]
    while not any(transfer.holder != M0 for transfers in under_way for transfer in transfers.values()):
        for wire in list(world.wires):
            if wire in world.wires:
                world.deliver(wire)
        for node in world.nodes.values():
            node.grow()
            node.write()
    sent_to = next(
        transfer.holder for transfers in under_way for transfer in transfers.values() if transfer.holder != M0
    )
    world.kill_node(sent_to)
    world.run()
    assert all(reader.held and reader.lost == 0 for reader in world.readers.values() if reader is not owner)


# -- room


def test_room_is_taken_for_all_arguments_of_a_task_or_for_none() -> None:
    world = TransferWorld()
    owner, here, reader = world.reader(M0), world.reader(M1), world.reader(M1)
    big = made(world, here, CAPACITY // 2)
    objects = [made(world, owner, CAPACITY // 4 + 1000) for _ in range(2)]
    request = world.fetch(reader, objects, together=True)
    world.run()
    assert request in reader.requests
    assert used(world, M1) == CAPACITY // 2
    world.free(big)
    world.run()
    world.view(reader, request)


def test_copies_that_nobody_views_make_room_before_anybody_is_refused() -> None:
    world = TransferWorld()
    owner, reader = world.reader(M0), world.reader(M1)
    objects = [made(world, owner, CAPACITY // 4) for _ in range(3)]
    for owned in objects:
        world.view(reader, fetched(world, reader, owned))
    mine = made(world, reader, CAPACITY // 2 - 1024)
    assert mine.primary is None, "a copy that is viewed was dropped"
    world.unview(reader, 0)
    world.tick(0.3)
    world.run()
    assert mine.primary is not None
    assert [list(owned.copies) for owned in objects] == [[], [M1], [M1]]
    reader.look(*reader.views[0])


def test_a_copy_that_was_evicted_can_be_fetched_again() -> None:
    world = TransferWorld()
    owner, reader = world.reader(M0), world.reader(M1)
    owned = made(world, owner, CAPACITY // 2)
    world.view(reader, fetched(world, reader, owned))
    world.unview(reader, 0)
    mine = made(world, reader, CAPACITY - 1024)
    assert mine.primary is not None and not owned.copies
    world.free(mine)
    world.run()
    world.view(reader, fetched(world, reader, owned))


def test_a_copy_that_its_owner_keeps_is_not_evicted() -> None:
    world = TransferWorld()
    owner, reader, maker = world.reader(M0), world.reader(M1), world.reader(M2)
    owned = made(world, owner, CAPACITY // 2)
    owned.primary = Stored(owned.oid, owner.address, M0, "1", 0, owned.size) if owned.primary is None else owned.primary
    world.view(reader, fetched(world, reader, owned))
    world.unview(reader, 0)
    owned.promoting = M1
    world.promote(owned)
    world.run()
    assert owned.primary.node == M1
    mine = made(world, reader, CAPACITY - 1024)
    assert mine.primary is None
    assert maker.address in world.readers


def test_who_waits_for_room_in_vain_is_told_that_the_store_is_full() -> None:
    world = TransferWorld()
    owner, reader = world.reader(M0), world.reader(M1)
    made(world, reader, CAPACITY // 2)
    owned = made(world, owner, CAPACITY // 2 + 1024)
    request = fetched(world, reader, owned)
    world.tick(6.0)
    world.run()
    assert reader.held[request] == [] and reader.refused == 1


def test_what_can_never_fit_is_refused_at_once() -> None:
    world = TransferWorld()
    owner, reader = world.reader(M0), world.reader(M1)
    objects = [made(world, owner, CAPACITY // 4) for _ in range(3)]
    objects += [made(world, world.reader(M2), CAPACITY // 2)]
    request = fetched(world, reader, *objects, together=True)
    assert reader.held[request] == [] and reader.refused == 4


# -- all at once


def a_reader_joins(world: TransferWorld, choose: Choose) -> None:
    if len(world.readers) < 8 and world.nodes:
        world.reader(list(world.nodes)[choose(len(world.nodes))])


def some_reader(world: TransferWorld, choose: Choose) -> Reader | None:
    return list(world.readers.values())[choose(len(world.readers))] if world.readers else None


def an_object_is_put(world: TransferWorld, choose: Choose) -> None:
    reader = some_reader(world, choose)
    if reader is not None:
        world.put(reader, (64, 700, 1500, 6000, 6000, 10_000, 12_000)[choose(7)])


def objects_are_fetched(world: TransferWorld, choose: Choose) -> None:
    reader = some_reader(world, choose)
    there = [o for o in world.objects if o.primary is not None and o.primary.node not in world.dead_nodes]
    if reader is None:
        return
    there = [owned for owned in there if owned.primary is not None and owned.primary.node != reader.node.address]
    if there:
        wanted = [there[choose(len(there))] for _ in range(1 + choose(3))]
        world.fetch(reader, wanted, together=choose(2) == 1)


def a_fetch_is_stopped(world: TransferWorld, choose: Choose) -> None:
    reader = some_reader(world, choose)
    if reader is not None and reader.requests:
        world.stop_fetching(reader, list(reader.requests)[choose(len(reader.requests))])


def what_was_fetched_is_viewed(world: TransferWorld, choose: Choose) -> None:
    reader = some_reader(world, choose)
    if reader is not None and reader.held:
        world.view(reader, list(reader.held)[choose(len(reader.held))])


def a_view_ends(world: TransferWorld, choose: Choose) -> None:
    reader = some_reader(world, choose)
    if reader is not None and reader.views:
        world.unview(reader, choose(len(reader.views)))


def an_owner_frees(world: TransferWorld, choose: Choose) -> None:
    free = [o for o in world.objects if not o.holders and o.primary is not None and not o.promoting]
    if free:
        world.free(free[choose(len(free))])


def a_message_arrives(world: TransferWorld, choose: Choose) -> None:
    if world.wires:
        world.deliver(list(world.wires)[choose(len(world.wires))])


def some_node_works(world: TransferWorld, choose: Choose) -> None:
    if world.nodes:
        node = list(world.nodes.values())[choose(len(world.nodes))]
        node.grow()
        node.write()


def a_reader_dies(world: TransferWorld, choose: Choose) -> None:
    owners = {owned.owner for owned in world.objects}
    idle = [r for r in world.readers.values() if r.address not in owners and not r.makes]
    if idle:
        world.kill_reader(idle[choose(len(idle))])


def a_node_dies(world: TransferWorld, choose: Choose) -> None:
    busy = {reader.node.address for reader in world.readers.values() if reader.makes}
    if len(world.nodes) > 2:
        idle = [name for name in world.nodes if name not in busy]
        if idle:
            world.kill_node(idle[choose(len(idle))])


def a_node_joins(world: TransferWorld, choose: Choose) -> None:
    if len(world.nodes) < 5:
        world.node()


def time_passes(world: TransferWorld, choose: Choose) -> None:
    world.tick((0.05, 0.05, 0.3, 1.0, 6.0)[choose(5)])


ACTIONS: dict[Callable[[TransferWorld, Choose], None], int] = {
    a_reader_joins: 8,
    an_object_is_put: 5,
    objects_are_fetched: 20,
    a_fetch_is_stopped: 2,
    what_was_fetched_is_viewed: 30,
    a_view_ends: 45,
    an_owner_frees: 3,
    a_message_arrives: 120,
    some_node_works: 50,
    a_reader_dies: 1,
    a_node_dies: 1,
    a_node_joins: 2,
    time_passes: 4,
}


def settle(world: TransferWorld) -> None:
    """Everything ends well: nothing may be left."""
    for _ in range(4):
        world.run()
        for reader in world.readers.values():
            for request in list(reader.held):
                world.view(reader, request)
            while reader.views:
                world.unview(reader, 0)
        for owned in list(world.objects):
            if not owned.holders and not owned.promoting and owned.primary is not None:
                world.free(owned)
        world.run()
        world.tick(6.0)
    assert not any(reader.requests or reader.makes for reader in world.readers.values()), "never answered"
    for node in world.nodes.values():
        left = node.machine.statistics()
        mine = {owned.oid for owned in world.objects}
        assert not mine, [owned.primary for owned in world.objects]
        gone = ("used_bytes", "objects", "grants", "waiting", "copies", "transfers", "fetches", "sendings", "orphans")
        assert {key: left[key] for key in gone if left[key]} == {}, (node.address, left)


class DrivenByHypothesis(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = TransferWorld()

    @rule(data=st.data(), number=st.integers(0, len(ACTIONS) - 1))
    def act(self, data: st.DataObject, number: int) -> None:
        list(ACTIONS)[number](self.world, lambda n: data.draw(st.integers(0, n - 1)))

    @invariant()
    def the_accounts_are_right(self) -> None:
        for node in self.world.nodes.values():
            node.machine.check()

    def teardown(self) -> None:
        settle(self.world)


TestDrivenByHypothesis = DrivenByHypothesis.TestCase
TestDrivenByHypothesis.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)


@pytest.mark.parametrize("seed", range(25))
def test_nobody_ever_reads_anything_but_what_was_stored(seed: int) -> None:
    draw = random.Random(seed)
    world = TransferWorld(nodes=3 + seed % 4)
    for action in draw.choices(list(ACTIONS), list(ACTIONS.values()), k=2500):
        action(world, draw.randrange)
    settle(world)


def test_a_store_that_evicts_without_asking_is_found_out() -> None:
    world = TransferWorld()
    owner, reader = world.reader(M0), world.reader(M1)
    owned = made(world, owner, CAPACITY // 2)
    world.view(reader, fetched(world, reader, owned))
    world.nodes[M1].machine.copies.copies[owned.oid].told.clear()
    made(world, reader, CAPACITY // 2)
    made(world, reader, CAPACITY // 2)
    with pytest.raises(AssertionError, match="not what was stored"):
        world.unview(reader, 0)


def test_a_store_that_frees_what_it_sends_is_found_out() -> None:
    world = TransferWorld()
    owner, reader = world.reader(M0), world.reader(M1)
    owned = made(world, owner, 5000)
    holder = world.nodes[M0].machine
    world.fetch(reader, [owned])
    while world.nodes[M0].sent_chunks < 3:
        world.deliver(next(iter(world.wires))) if world.wires else world.nodes[M1].grow()
    holder.index.free(owned.oid)
    again = world.put(owner, 5000)
    with pytest.raises(AssertionError, match=r"not what was stored|free"):
        world.run()
    assert again.oid != owned.oid


def test_a_holder_that_does_not_answer_holds_up_its_own_objects_alone() -> None:
    world = TransferWorld()
    silent, owner, reader = world.reader(M0), world.reader(M1), world.reader(M2)
    stuck = [made(world, silent, 300) for _ in range(20)]
    owned = made(world, owner, 1000)
    for found in stuck:
        world.fetch(reader, [found])
    request = world.fetch(reader, [owned])
    while request not in reader.held:
        for wire in [wire for wire in world.wires if wire[0] != M0]:
            world.deliver(wire)
        world.nodes[M2].grow()
        world.nodes[M2].write()
    world.run()
    assert not reader.requests
