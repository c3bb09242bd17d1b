"""The store's machine among simulated clients: they write, free, view and die, and messages between them overtake.

Memory is a map from 64 bytes to the object that was written there last. What somebody may still read is never written.
One world, two drivers: hypothesis, which shrinks what it finds, and long random walks.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raynb.runtime.core.client_store import ClientStore, Place
from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.store import StoreEvent, StoreMachine
from raynb.runtime.core.store_effects import (
    ClientDied,
    ClientFault,
    ClientJoined,
    DropSegment,
    ExtentWalked,
    GrowStore,
    SegmentFailed,
    SegmentReady,
    WalkExtent,
)
from raynb.runtime.messages import Config, Message
from raynb.runtime.messages.objects import (
    ExtentGranted,
    ExtentRefused,
    FreeObjects,
    LeftBehind,
    OrphansReleased,
    OwnerGone,
    SealedObject,
    StillHeld,
)

BLOCK = 64
CONFIG = Config(segment_bytes=16_384, client_extent_bytes=2048, own_extent_bytes=1024, store_full_timeout_s=5.0)
CAPACITY = 131_072
CLIENTS_MAX = 4
SIZES = (1, 64, 64, 100, 500, 500, 500, 1000, 1000, 1024, 3000, 3000, 5000, 5000, 9000, 9000, 20_000, 60_000)

Choose = Callable[[int], int]
"""Gives a number below its argument."""


class SimClient:
    def __init__(self, address: str) -> None:
        self.address = address
        self.store = ClientStore(CONFIG)
        self.inbox: deque[Message] = deque()
        self.outbox: deque[Message] = deque()
        self.asks: dict[int, tuple[int, str]] = {}
        self.writing: list[tuple[Place, str]] = []
        self.gone_owners: set[str] = set()


class SimObject:
    """One copy of an object."""

    def __init__(self, key: int, oid: bytes, writer: str, owner: str, place: Place) -> None:
        self.key = key
        self.oid = oid
        self.writer = writer
        self.owner = owner
        self.place = place
        self.freed = False
        self.useless = False
        """Its owner never heard of it, since its writer died, and has the task done again."""
        self.views: set[str] = set()

    def blocks(self) -> list[tuple[str, int]]:
        first = self.place.offset // BLOCK
        return [(self.place.segment, first + i) for i in range(-(-self.place.size // BLOCK))]


class StoreWorld:
    """Actions do nothing where they don't apply."""

    def __init__(self) -> None:
        self.machine = StoreMachine(CAPACITY, CONFIG)
        self.now = 0.0
        self.count = 0
        self.clients: dict[str, SimClient] = {}
        self.dead: set[str] = set()
        self.objects: dict[int, SimObject] = {}
        self.memory: dict[tuple[str, int], int] = {}
        self.retries: list[SimObject] = []
        self.segments: dict[str, int] = {}
        self.growing: list[GrowStore] = []
        self.walks: list[WalkExtent] = []

    # -- the host

    def step(self, event: StoreEvent) -> None:
        for effect in self.machine.handle(event, self.now):
            match effect:
                case Send(to, message):
                    if to in self.clients:
                        self.clients[to].inbox.append(message)
                case GrowStore():
                    self.growing.append(effect)
                    assert len(self.growing) == 1, "two segments at a time"
                case DropSegment(name):
                    del self.segments[name]
                    lying_there = [found for found in self.objects.values() if found.place.segment == name]
                    assert not any(self.is_needed(found) for found in lying_there), "memory that is in use was dropped"
                case WalkExtent():
                    self.walks.append(effect)
                case ClientFault(address, message):
                    raise AssertionError(f"{address}: {message}")

    def is_needed(self, found: SimObject) -> bool:
        return bool(found.views) or not (found.freed or found.useless or found.owner in self.dead)

    def check(self) -> None:
        self.machine.check()
        for client in self.clients.values():
            client.store.check()

    # -- what clients do

    def a_client_joins(self, choose: Choose) -> None:
        if len(self.clients) < CLIENTS_MAX:
            self.count += 1
            client = SimClient(f"ipc://{self.count}")
            self.clients[client.address] = client
            self.step(ClientJoined(client.address, self.count, f"worker {self.count}"))

    def a_client_stores(self, choose: Choose) -> None:
        if self.clients:
            client, owner = self.some_client(choose), self.some_client(choose).address
            self.store(client, owner, SIZES[choose(len(SIZES))])

    def store(self, client: SimClient, owner: str, size: int) -> None:
        place = client.store.place(size, self.now)
        if place is not None:
            client.writing.append((place, owner))
        else:
            ask = client.store.ask(size)
            client.asks[ask.request] = (size, owner)
            client.outbox.append(ask)

    def some_client(self, choose: Choose) -> SimClient:
        return list(self.clients.values())[choose(len(self.clients))]

    def some_object(self, choose: Choose) -> SimObject | None:
        needed = [found for found in self.objects.values() if self.is_needed(found)]
        return needed[choose(len(needed))] if needed else None

    def a_write_ends(self, choose: Choose) -> None:
        writers = [client for client in self.clients.values() if client.writing]
        if writers:
            client = writers[choose(len(writers))]
            place, owner = client.writing.pop(choose(len(client.writing)))
            if choose(5) == 0:
                client.store.abandon(place)
            else:
                self.write(client, place, owner)

    def write(self, client: SimClient, place: Place, owner: str) -> None:
        self.count += 1
        oid = self.count.to_bytes(28, "big")
        if self.retries and self.retries[0].owner == owner:
            oid = self.retries.pop(0).oid
        made = SimObject(self.count, oid, client.address, owner, place)
        assert place.offset + place.size <= self.segments[place.segment]
        for block in made.blocks():
            before = self.objects.get(self.memory.get(block, 0))
            assert before is None or not self.is_needed(before), "memory that is in use was written"
            self.memory[block] = made.key
        self.objects[made.key] = made
        client.store.written(place, made.oid, owner)

    def a_client_tells(self, choose: Choose) -> None:
        if self.clients:
            self.tell(self.some_client(choose))

    def tell(self, client: SimClient) -> None:
        news = client.store.take_news()
        if news is not None:
            client.outbox.append(news)

    def a_client_is_idle(self, choose: Choose) -> None:
        if self.clients:
            self.some_client(choose).store.idle(self.now)

    def a_client_views(self, choose: Choose) -> None:
        found = self.some_object(choose)
        if found is not None and self.clients:
            client = self.some_client(choose)
            if not found.freed and found.owner not in client.gone_owners:
                found.views.add(client.address)

    def a_view_ends(self, choose: Choose) -> None:
        viewed = [found for found in self.objects.values() if found.views]
        if viewed:
            self.unview(viewed[choose(len(viewed))])

    def unview(self, found: SimObject) -> None:
        address = min(found.views)
        found.views.discard(address)
        client = self.clients[address]
        if found.owner in client.gone_owners:
            client.outbox.append(OrphansReleased([found.oid]))

    def an_owner_frees(self, choose: Choose) -> None:
        found = self.some_object(choose)
        if found is not None:
            self.free(found)

    def free(self, found: SimObject) -> None:
        if not found.freed and not found.views and found.owner in self.clients:
            found.freed = True
            place = (found.place.segment, found.place.offset)
            self.clients[found.owner].outbox.append(FreeObjects([found.oid], [place]))

    def a_client_dies(self, choose: Choose) -> None:
        if self.clients:
            client = self.some_client(choose)
            for _ in range(choose(1 + len(client.outbox))):
                self.to_the_store(client)
            for found in self.objects.values():
                if found.writer == client.address and not found.views and self.untold(found):
                    self.lose_the_answer(found, choose)
            self.kill(client)

    def untold(self, found: SimObject) -> bool:
        return found.oid not in self.machine.index.objects and found.owner in self.clients and not found.freed

    def lose_the_answer(self, found: SimObject, choose: Choose) -> None:
        """The owner may have heard of the object, or has the task done again, or gives it up."""
        fate = choose(3)
        if fate == 1:
            found.useless = True
            self.retries.append(found)
        elif fate == 2:
            self.free(found)

    def kill(self, client: SimClient) -> None:
        del self.clients[client.address]
        self.dead.add(client.address)
        for found in self.objects.values():
            found.views.discard(client.address)
        self.step(ClientDied(client.address))

    # -- the network

    def a_message_reaches_the_store(self, choose: Choose) -> None:
        senders = [client for client in self.clients.values() if client.outbox]
        if senders:
            self.to_the_store(senders[choose(len(senders))])

    def to_the_store(self, client: SimClient) -> None:
        self.step(Received(client.address, client.outbox.popleft()))

    def a_message_reaches_a_client(self, choose: Choose) -> None:
        receivers = [client for client in self.clients.values() if client.inbox]
        if receivers:
            self.to_a_client(receivers[choose(len(receivers))])

    def to_a_client(self, client: SimClient) -> None:
        message = client.inbox.popleft()
        match message:
            case ExtentGranted(request=request):
                size, owner = client.asks.pop(request)
                place = client.store.granted(message, self.now)
                assert place is not None and place.size == size
                client.writing.append((place, owner))
            case ExtentRefused(request=request):
                assert client.store.refused(message) and client.asks.pop(request)
            case OwnerGone(owner):
                client.gone_owners.add(owner)
                views = [found for found in self.objects.values() if client.address in found.views]
                client.outbox.append(StillHeld(owner, [found.oid for found in views if found.owner == owner]))
            case LeftBehind(oids):
                # The owners of this world free all they own in their own time, told or not.
                assert oids
            case _:
                raise AssertionError(message)

    # -- what surrounds the machine

    def a_segment_is_made(self, choose: Choose) -> None:
        if self.growing:
            growth = self.growing.pop(0)
            if choose(8) == 7:
                self.step(SegmentFailed(growth.name, "no space left on device"))
            else:
                self.segments[growth.name] = growth.size
                self.step(SegmentReady(growth.name, growth.size))

    def an_extent_is_walked(self, choose: Choose) -> None:
        if self.walks:
            walk = self.walks.pop(choose(len(self.walks)))
            self.step(ExtentWalked(walk.grant, [self.sealed(found) for found in self.lying_in(walk)]))

    def lying_in(self, walk: WalkExtent) -> list[SimObject]:
        return [
            found
            for found in self.objects.values()
            if found.place.grant == walk.grant
            and walk.offset <= found.place.offset < walk.offset + walk.size
            and self.memory[found.blocks()[0]] == found.key
        ]

    def sealed(self, found: SimObject) -> SealedObject:
        return SealedObject(found.oid, found.owner, found.place.grant, found.place.offset, found.place.size)

    def time_passes(self, choose: Choose) -> None:
        self.now += (0.05, 0.05, 0.05, 0.2, 0.2, 0.5, 1.0, 2.0, 30.0)[choose(9)]
        self.step(Tick())

    # -- the end

    def deliver_everything(self) -> None:
        while self.growing or self.walks or any(client.outbox or client.inbox for client in self.clients.values()):
            self.a_segment_is_made(lambda n: 0)
            self.an_extent_is_walked(lambda n: 0)
            for client in self.clients.values():
                while client.outbox:
                    self.to_the_store(client)
                while client.inbox:
                    self.to_a_client(client)

    def settle(self) -> None:
        """Everything ends well: nothing may be left."""
        for _ in range(3):
            self.deliver_everything()
            for client in self.clients.values():
                for place, _owner in client.writing:
                    client.store.abandon(place)
                client.writing.clear()
                client.store.idle(self.now + 1.0)
                self.tell(client)
            for found in self.objects.values():
                while found.views:
                    self.unview(found)
                self.free(found)
            self.deliver_everything()
            self.now += 10.0
            self.step(Tick())
        assert not any(client.asks for client in self.clients.values()), "a request was never answered"
        self.check()
        left = self.machine.statistics()
        assert (left["used_bytes"], left["objects"], left["grants"], left["waiting"]) == (0, 0, 0, 0), left
        assert (left["orphans"], left["walking"], left["early_frees"]) == (0, 0, 0), left
        assert left["segment_bytes"] == sum(self.segments.values())
        for _ in range(2):
            self.now += 60.0
            self.step(Tick())
        assert self.machine.usage()["segment_bytes"] <= CONFIG.segment_bytes


ACTIONS: dict[Callable[[StoreWorld, Choose], None], int] = {
    StoreWorld.a_client_joins: 4,
    StoreWorld.a_client_stores: 20,
    StoreWorld.a_write_ends: 20,
    StoreWorld.a_client_tells: 20,
    StoreWorld.a_client_is_idle: 4,
    StoreWorld.a_client_views: 20,
    StoreWorld.a_view_ends: 12,
    StoreWorld.an_owner_frees: 16,
    StoreWorld.a_client_dies: 2,
    StoreWorld.a_message_reaches_the_store: 40,
    StoreWorld.a_message_reaches_a_client: 30,
    StoreWorld.a_segment_is_made: 10,
    StoreWorld.an_extent_is_walked: 3,
    StoreWorld.time_passes: 4,
}
"""What can happen, and how often it does on a random walk."""


class DrivenByHypothesis(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = StoreWorld()

    @rule(data=st.data(), number=st.integers(0, len(ACTIONS) - 1))
    def act(self, data: st.DataObject, number: int) -> None:
        list(ACTIONS)[number](self.world, lambda n: data.draw(st.integers(0, n - 1)))

    @invariant()
    def the_accounts_are_right(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self.world.settle()


TestDrivenByHypothesis = DrivenByHypothesis.TestCase
TestDrivenByHypothesis.settings = settings(max_examples=50, stateful_step_count=60, deadline=None)


@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_lost_or_overwritten_on_a_long_walk(seed: int) -> None:
    draw = random.Random(seed)
    world = StoreWorld()
    for action in draw.choices(list(ACTIONS), list(ACTIONS.values()), k=1000):
        action(world, draw.randrange)
        world.check()
    world.settle()


def test_a_store_that_forgets_to_ask_is_found_out() -> None:
    world = StoreWorld()
    world.a_client_joins(random.randrange)
    world.a_client_joins(random.randrange)
    owner, reader = world.clients.values()
    world.store(owner, owner.address, 3000)
    world.deliver_everything()
    world.write(owner, *owner.writing.pop())
    world.tell(owner)
    world.deliver_everything()
    (found,) = world.objects.values()
    found.views.add(reader.address)
    world.kill(owner)
    world.machine.index.free(found.oid)
    world.store(reader, reader.address, 3000)
    world.deliver_everything()
    with pytest.raises(AssertionError, match="in use"):
        world.write(reader, *reader.writing.pop())
