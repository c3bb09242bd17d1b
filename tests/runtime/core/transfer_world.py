"""Several nodes' stores with real bytes in them, their clients, the owners of objects, and a network between all.

Messages of one sender to one receiver keep their order, others overtake. A chunk is read when it arrives, not when it
is sent: what is pulled must stay what it is for so long. Whoever views an object sees its pattern, first and last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.store import StoreMachine
from raynb.runtime.core.store_effects import (
    ChunkWritten,
    ClientDied,
    ClientFault,
    ClientJoined,
    DropSegment,
    ExtentWalked,
    GrowStore,
    SegmentReady,
    SendChunk,
    WalkExtent,
    WriteChunk,
)
from raynb.runtime.messages import Config
from raynb.runtime.messages.copies import CopiesKept, CopyAdded, CopyDropped, KeepCopies
from raynb.runtime.messages.objects import (
    AllocateExtent,
    ExtentGranted,
    ExtentRefused,
    FreeObjects,
    OrphansReleased,
    OwnerGone,
    SealedObject,
    SealObjects,
    StillHeld,
)
from raynb.runtime.messages.transfers import (
    LOST,
    CopiesHeld,
    EvictCopies,
    FetchObjects,
    ObjectChunk,
    ObjectsFetched,
    StopFetching,
)
from raynb.runtime.messages.values import Stored

CONFIG = Config(
    segment_bytes=16_384, own_extent_bytes=64, store_full_timeout_s=5.0, transfer_chunk_bytes=256, transfer_window=3
)
CAPACITY = 65_536

Choose = Callable[[int], int]


class Node:
    """A node manager's store and memory."""

    def __init__(self, world: TransferWorld, name: str) -> None:
        self.world = world
        self.address = name
        self.machine = StoreMachine(CAPACITY, CONFIG, address=name)
        self.segments: dict[str, bytearray] = {}
        self.writes: deque[WriteChunk] = deque()
        """What its second thread has to do."""
        self.growing: list[GrowStore] = []
        self.walked: deque[WalkExtent] = deque()
        self.sent_chunks = 0

    def do(self, event: Any) -> None:
        for effect in self.machine.handle(event, self.world.now):
            match effect:
                case Send(to, message):
                    self.world.send(self.address, to, message)
                case SendChunk(to=to):
                    self.sent_chunks += 1
                    self.world.send(self.address, to, effect)
                case WriteChunk():
                    self.writes.append(effect)
                case GrowStore():
                    self.growing.append(effect)
                case DropSegment(name):
                    del self.segments[name]
                case ClientFault(address, message):
                    raise AssertionError(f"{address}: {message}")
                case WalkExtent():
                    # Those who die here have freed whatever they had written.
                    self.walked.append(effect)
        self.machine.check()

    def grow(self) -> None:
        if self.growing:
            growth = self.growing.pop(0)
            self.segments[growth.name] = bytearray(growth.size)
            self.do(SegmentReady(growth.name, growth.size))

    def write(self) -> None:
        if self.walked:
            self.do(ExtentWalked(self.walked.popleft().grant, []))
        if self.writes:
            write = self.writes.popleft()
            begin = write.begin + write.offset
            self.segments[write.segment][begin : begin + len(write.data)] = write.data
            if write.total:
                self.world.expect(self, write.oid, write.segment, write.begin, write.total)
            self.do(ChunkWritten(write.transfer, len(write.data)))

    def read(self, chunk: SendChunk) -> ObjectChunk:
        data = bytes(self.segments[chunk.segment][chunk.at : chunk.at + chunk.size])
        return ObjectChunk(chunk.oid, chunk.grant, chunk.offset, chunk.note, memoryview(data))


class Owned:
    """An object as its owner knows it."""

    def __init__(self, oid: bytes, owner: str, size: int) -> None:
        self.oid = oid
        self.owner = owner
        self.size = size
        self.primary: Stored | None = None
        self.copies: dict[str, Stored] = {}
        self.holders = 0
        """Requests and views of it: while there are any it is not freed."""
        self.gone = False
        self.promoting = ""


class Reader:
    """A client of a node: it stores, fetches, views, and owns what it has stored."""

    def __init__(self, world: TransferWorld, address: str, node: Node) -> None:
        self.world = world
        self.address = address
        self.node = node
        self.requests: dict[int, list[Owned]] = {}
        self.held: dict[int, list[tuple[Owned, Stored]]] = {}
        """What was fetched by a request and is not viewed yet."""
        self.views: list[tuple[Owned, Stored]] = []
        self.makes: dict[int, Owned] = {}
        self.gone_owners: set[str] = set()
        self.lost = 0
        self.refused = 0

    def receive(self, sender: str, message: Any) -> None:
        world = self.world
        match message:
            case ExtentGranted():
                self._store(message)
            case ExtentRefused():
                world.objects.remove(self.makes.pop(message.request))
            case ObjectsFetched():
                self._fetched(message)
            case EvictCopies():
                held = [owned.oid for owned in self.reads()]
                world.send(self.address, sender, CopiesHeld(message.round, [o for o in message.oids if o in held]))
            case CopyAdded(copies):
                for copy in copies:
                    owned = world.owned(copy.oid)
                    if owned is None or owned.gone:
                        world.send(self.address, sender, FreeObjects([copy.oid]))
                    else:
                        owned.copies[sender] = copy
            case CopyDropped(oids):
                for oid in oids:
                    owned = world.owned(oid)
                    if owned is not None:
                        assert owned.primary is None or owned.primary.node != sender, "a primary was dropped"
                        owned.copies.pop(sender, None)
            case CopiesKept():
                world.promoted(sender, message)
            case OwnerGone(owner):
                self.gone_owners.add(owner)
                held = list({owned.oid for owned in self.reads() if owned.owner == owner})
                world.send(self.address, sender, StillHeld(owner, held))
            case _:
                raise AssertionError(message)

    def reads(self) -> list[Owned]:
        """What it views, or is about to."""
        return [owned for pairs in (self.views, *self.held.values()) for owned, _ in pairs]

    def _store(self, granted: ExtentGranted) -> None:
        owned = self.makes.pop(granted.request)
        node = self.node
        pattern = self.world.pattern(owned.oid, owned.size)
        node.segments[granted.segment][granted.offset : granted.offset + owned.size] = pattern
        owned.primary = Stored(owned.oid, self.address, node.address, granted.segment, granted.offset, owned.size)
        sealed = SealedObject(owned.oid, self.address, granted.grant, granted.offset, owned.size)
        self.world.send(self.address, node.address, SealObjects([sealed], [granted.grant]))

    def _fetched(self, message: ObjectsFetched) -> None:
        wanted = self.requests.pop(message.request, None)
        if wanted is None:
            return
        got = []
        for owned, value in zip(wanted, message.values, strict=True):
            if isinstance(value, Stored) and owned.owner not in self.gone_owners:
                got.append((owned, value))
                continue
            owned.holders -= 1
            if isinstance(value, Stored):
                continue
            if value.kind == LOST:
                self.lost += 1
                assert self.world.dead_nodes, "it was lost, though no node has died"
            else:
                assert value.kind == "ObjectStoreFullError"
                self.refused += 1
        self.held[message.request] = got

    def look(self, owned: Owned, stored: Stored) -> None:
        self.world.expect(self.node, owned.oid, stored.segment, stored.offset, stored.size)


class TransferWorld:
    """See the module. Actions do nothing where they don't apply."""

    def __init__(self, nodes: int = 3) -> None:
        self.now = 0.0
        self.numbers = 0
        self.nodes: dict[str, Node] = {}
        self.node_numbers = count()
        self.dead_nodes: set[str] = set()
        self.readers: dict[str, Reader] = {}
        self.wires: dict[tuple[str, str], deque[Any]] = {}
        self.objects: list[Owned] = []
        for _ in range(nodes):
            self.node()

    def node(self) -> None:
        name = f"ipc://m{next(self.node_numbers)}"
        self.nodes[name] = Node(self, name)

    # -- what it is made of

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def pattern(self, oid: bytes, size: int) -> bytes:
        return (oid * (size // len(oid) + 1))[:size]

    def expect(self, node: Node, oid: bytes, segment: str, offset: int, size: int) -> None:
        assert node.segments[segment][offset : offset + size] == self.pattern(oid, size), "not what was stored"

    def owned(self, oid: bytes) -> Owned | None:
        return next((owned for owned in self.objects if owned.oid == oid), None)

    def send(self, sender: str, to: str, message: Any) -> None:
        if to in self.nodes or to in self.readers:
            self.wires.setdefault((sender, to), deque()).append(message)

    def deliver(self, wire: tuple[str, str]) -> None:
        sender, to = wire
        message = self.wires[wire].popleft()
        if not self.wires[wire]:
            del self.wires[wire]
        if isinstance(message, SendChunk):
            message = self.nodes[sender].read(message)
        if to in self.nodes:
            self.nodes[to].do(Received(sender, message))
        elif to in self.readers:
            self.readers[to].receive(sender, message)

    def run(self) -> None:
        """Until nothing is under way."""
        while self.wires or any(node.writes or node.growing or node.walked for node in self.nodes.values()):
            for wire in list(self.wires):
                if wire in self.wires:
                    self.deliver(wire)
            for node in self.nodes.values():
                node.grow()
                node.write()

    def tick(self, seconds: float = 0.05) -> None:
        self.now += seconds
        for node in self.nodes.values():
            node.do(Tick())

    # -- what its processes do

    def reader(self, node: str) -> Reader:
        address = f"ipc://r{self.number()}"
        reader = self.readers[address] = Reader(self, address, self.nodes[node])
        self.nodes[node].do(ClientJoined(address, self.numbers, f"worker {self.numbers}"))
        return reader

    def put(self, reader: Reader, size: int) -> Owned:
        owned = Owned(self.number().to_bytes(28, "big"), reader.address, size)
        self.objects.append(owned)
        request = self.number()
        reader.makes[request] = owned
        self.send(reader.address, reader.node.address, AllocateExtent(request, size))
        return owned

    def fetch(self, reader: Reader, objects: list[Owned], *, together: bool = False) -> int:
        request = self.number()
        reader.requests[request] = objects
        wanted: list[Stored] = []
        for owned in objects:
            assert owned.primary is not None
            owned.holders += 1
            wanted.append(owned.primary)
        self.send(reader.address, reader.node.address, FetchObjects(request, wanted, together))
        return request

    def stop_fetching(self, reader: Reader, request: int) -> None:
        for owned in reader.requests.pop(request):
            owned.holders -= 1
        self.send(reader.address, reader.node.address, StopFetching(request))

    def view(self, reader: Reader, request: int) -> None:
        for owned, stored in reader.held.pop(request):
            reader.look(owned, stored)
            reader.views.append((owned, stored))

    def unview(self, reader: Reader, at: int) -> None:
        owned, stored = reader.views.pop(at)
        reader.look(owned, stored)
        owned.holders -= 1
        if owned.owner in reader.gone_owners and owned not in reader.reads():
            self.send(reader.address, reader.node.address, OrphansReleased([owned.oid]))

    def free(self, owned: Owned) -> None:
        owned.gone = True
        self.objects.remove(owned)
        where = {*owned.copies, *([owned.primary.node] if owned.primary else [])}
        for node in sorted(where):
            self.send(owned.owner, node, FreeObjects([owned.oid]))

    def kill_reader(self, reader: Reader) -> None:
        """One that owns nothing and stores nothing just now."""
        del self.readers[reader.address]
        for objects in reader.requests.values():
            for owned in objects:
                owned.holders -= 1
        for owned, _ in [*reader.views, *(pair for held in reader.held.values() for pair in held)]:
            owned.holders -= 1
        self._cut(reader.address)
        for node in self.nodes.values():
            node.do(ClientDied(reader.address))

    def kill_node(self, name: str) -> None:
        """With all its clients; what they own is nobody's concern any more."""
        node = self.nodes.pop(name)
        self.dead_nodes.add(name)
        ended = [reader for reader in self.readers.values() if reader.node is node]
        for owned in [owned for owned in self.objects if owned.owner in {r.address for r in ended}]:
            self.objects.remove(owned)
            owned.gone = True
        for reader in ended:
            self.kill_reader(reader)
        self._cut(name)
        for other in self.nodes.values():
            other.do(ClientDied(name))
        for owned in self.objects:
            owned.copies.pop(name, None)
            if owned.promoting == name:
                owned.promoting = ""
            if owned.primary is not None and owned.primary.node == name:
                self.promote(owned)

    def promote(self, owned: Owned) -> None:
        """The primary is lost: a copy is to take its place."""
        for node in owned.copies:
            owned.promoting = node
            self.send(owned.owner, node, KeepCopies([owned.oid]))
            return

    def promoted(self, node: str, message: CopiesKept) -> None:
        for oid in message.kept:
            owned = self.owned(oid)
            if owned is not None and owned.promoting == node:
                owned.primary, owned.promoting = owned.copies.pop(node), ""
        for oid in message.gone:
            owned = self.owned(oid)
            if owned is not None and owned.promoting == node:
                owned.copies.pop(node, None)
                owned.promoting = ""
                self.promote(owned)

    def _cut(self, address: str) -> None:
        for wire in [wire for wire in self.wires if address in wire]:
            # What the dead one sent may be gone, or not; nothing reaches it.
            del self.wires[wire]
