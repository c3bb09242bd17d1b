"""The store of a node: who gets memory, whose objects lie in it, and when it may be used again.

It knows: clients and what was granted to them, objects and their owners, requests that wait, what a dead owner's
objects wait for. It never knows the memory itself, nor who refers to an object whose owner lives: the owner does, and
frees it.

Its host (the node manager) tells it of messages, of processes that come and go, and that time passes; and carries out
in order what `raynb.runtime.core.store_effects` says, each answered by its event. A segment that is to be dropped is
removed before a new one is made.

**A seal and a free.** A client writes and then tells (`SealObjects`); the owner may have freed the object before that
is here. Such a free is kept until the object is sealed, or until no grant of that time is open any more: an object is
always sealed before its grant is closed.

**A dead client.** What it had finished but not told of lies in its grants: they are walked, and what is found there is
sealed. Only then are their rests free. Then the owners of all that it wrote are told (`LeftBehind`): its last words to
them may be lost, and nobody else would ever free what only those told of.

**A dead owner.** See `raynb.runtime.core.store_orphans`.

**A full store.** See `raynb.runtime.core.store_room`.

**Other nodes.** What clients want from them comes as copies (`raynb.runtime.core.store_fetch`, `store_copies`), and
they pull what lies here (`store_send`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import repeat
from typing import Any

from msgspec import Struct

from raynb.runtime.core import store_report as report
from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.store_allocator import aligned
from raynb.runtime.core.store_copies import Copies
from raynb.runtime.core.store_early import EarlyFrees
from raynb.runtime.core.store_effects import (
    ChunkWritten,
    ClientDied,
    ClientFault,
    ClientJoined,
    DropSegment,
    ExtentWalked,
    GrowStore,
    SegmentFailed,
    SegmentReady,
    SendChunk,
    WalkExtent,
    WriteChunk,
)
from raynb.runtime.core.store_fetch import Fetch, FetchWant
from raynb.runtime.core.store_growth import Growth
from raynb.runtime.core.store_index import BadSealError, Grant, StoreIndex
from raynb.runtime.core.store_log import StoreLog
from raynb.runtime.core.store_orphans import Orphans
from raynb.runtime.core.store_report import Holder, WaitsForRoom
from raynb.runtime.core.store_room import ExtentWant, Room, Want
from raynb.runtime.core.store_send import Sendings
from raynb.runtime.core.store_spill import Spill
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.copies import CopiesDamaged, KeepCopies
from raynb.runtime.messages.objects import (
    OUT_OF_DISK,
    STORE_FULL,
    AddBorrowers,
    AllocateExtent,
    BorrowersAdded,
    ExtentGranted,
    ExtentRefused,
    FreeObjects,
    LeftBehind,
    OrphansReleased,
    OwnerGone,
    SealedObject,
    SealObjects,
    StillHeld,
    is_spilled,
)
from raynb.runtime.messages.transfers import (
    CopiesHeld,
    FetchObjects,
    NotThere,
    ObjectChunk,
    PullChunk,
    PullEnded,
    StopFetching,
    TryAnother,
)

StoreEvent = Received | Tick | ClientJoined | ClientDied | SegmentReady | SegmentFailed | ExtentWalked | ChunkWritten
StoreEffect = Send | GrowStore | DropSegment | WalkExtent | SendChunk | WriteChunk | ClientFault

DEAD_OWNERS_MAX = 100_000


class _Client(Struct):
    address: str
    pid: int
    name: str
    grants: dict[int, int] = {}
    """Open grant -> the request that it answered."""


class StoreMachine:
    """The machine. See this module.

    Parameters
    ----------
    capacity_bytes : int
        All segments together are never larger.
    config : Config
        The cluster's limits.
    spills : bool
        Whether there is a disk for what does not fit.
    address : str
        Of the node manager.
    """

    def __init__(self, capacity_bytes: int, config: Config, *, spills: bool = False, address: str = "") -> None:
        self.address = address
        self._timeout_s = config.store_full_timeout_s
        self._disk_is_full = False
        self.log = StoreLog()
        self.log.names[address] = "node manager"
        self.index = StoreIndex(self.log)
        self.growth = Growth(self.index.allocator, capacity_bytes, config)
        self.spill = Spill(self.index.disk, config, enabled=spills)
        self.orphans = Orphans()
        self._clients: dict[str, _Client] = {}
        self._walking: dict[int, str] = {}
        """Grants of dead clients, and whose they were."""
        self._dead: dict[str, None] = {}
        """Owners. Those that died long ago are forgotten: nobody seals for them any more."""
        self._effects: list[StoreEffect] = []
        self.copies = Copies(self.index, self._free)
        self.room = Room(self.index, self.growth, self.spill, self.copies, self._timeout_s)
        self.sendings = Sendings(self.index)
        self._early = EarlyFrees(self.index)
        self.fetch = Fetch(address, config, self.index, self.room, self.copies, self._seal, self._close, self._dead)

    def __repr__(self) -> str:
        return f"<StoreMachine {self.usage()}>"

    # -- the one door

    def handle(self, event: StoreEvent, now: float) -> list[StoreEffect]:
        """Take an event; what to do about it."""
        effects = self._effects = []
        self.log.now = now
        what = event.message if isinstance(event, Received) else event
        method = _HANDLERS.get(type(what))
        if method is None:
            raise TypeError(f"the store knows no {type(what).__name__}")
        if isinstance(event, Received):
            method(self, event.sender, what, now)
        else:
            method(self, what, now)
        self._finish_rounds()
        if self.room.wants:
            effects += self.room.serve(now, partial(self._give, now))
        return effects

    # -- clients

    def _joined(self, event: ClientJoined, now: float) -> None:
        if event.address in self._clients:
            return
        self._clients[event.address] = _Client(event.address, event.pid, event.name, {})
        self.log.names[event.address] = self._who(event.address)
        for owner in self.orphans.joined(event.address):
            self._effects.append(Send(event.address, OwnerGone(owner)))

    def _died(self, event: ClientDied, now: float) -> None:
        address = event.address
        self._dead[address] = None
        if len(self._dead) > DEAD_OWNERS_MAX:
            del self._dead[next(iter(self._dead))]
        client = self._clients.pop(address, None)
        self.room.forget(address)
        self._effects += [*self.fetch.died(address), *self.sendings.died(address), *self.copies.died(address)]
        self.log.names.pop(address, None)
        if client is not None:
            for number in client.grants:
                grant = self.index.grants[number]
                self._walking[number] = address
                self._effects.append(WalkExtent(number, grant.segment, grant.offset, grant.size))
            if not client.grants:
                self._tell_what_is_left(address)
            self._free_all(self.orphans.died(address))
        owned = self.index.by_owner.get(address)
        if owned:
            self._orphaned(address, list(owned))

    def _walked(self, event: ExtentWalked, now: float) -> None:
        if event.grant not in self._walking:
            return
        for sealed in event.objects:
            try:
                self._seal(sealed, found=True)
            except BadSealError:
                # It was told of already, or freed since: its place is taken.
                continue
        writer = self._walking.pop(event.grant)
        self._close(event.grant)
        if writer not in self._walking.values():
            self._tell_what_is_left(writer)

    def _tell_what_is_left(self, writer: str) -> None:
        left: dict[str, list[bytes]] = {}
        for entry in self.index.entries():
            # Owners of other nodes, too, which are no clients here.
            if entry.writer == writer and entry.owner and entry.owner not in self._dead:
                left.setdefault(entry.owner, []).append(entry.oid)
        self._effects += [Send(owner, LeftBehind(oids)) for owner, oids in left.items()]

    # -- grants

    def _allocate(self, sender: str, message: AllocateExtent, now: float) -> None:
        client = self._clients.get(sender)
        size, least = aligned(message.size), aligned(message.least or message.size)
        key = (sender, message.request, 0)
        if client is None or message.size <= 0:
            why = "only processes of this node can store here" if client is None else "a size must be positive"
            self._effects.append(Send(sender, ExtentRefused(message.request, why)))
        elif why := self.room.refusal(least):
            self._effects.append(Send(sender, ExtentRefused(message.request, why)))
        elif message.request in client.grants.values():
            # Asked again: the answer must have been lost.
            number = next(number for number, request in client.grants.items() if request == message.request)
            self._tell_grant(self.index.grants[number], message.request)
        elif key not in self.room.wants:
            self.room.ask(ExtentWant(sender, message.request, now, size, message.oid, least))

    def _give(self, now: float, want: Want, grants: list[Grant]) -> None:
        """Room was found."""
        if isinstance(want, FetchWant):
            self._effects += self.fetch.admitted(want, grants, now)
            return
        (grant,) = grants
        self._clients[want.client].grants[grant.number] = want.request
        self._tell_grant(grant, want.request)

    def _tell_grant(self, grant: Grant, request: int) -> None:
        granted = ExtentGranted(request, grant.number, grant.segment, grant.offset, grant.size)
        self._effects.append(Send(grant.client, granted))

    def _close(self, number: int) -> None:
        self.index.close(number)
        self._effects += self.sendings.closed(number)
        self._early.closed(number)

    def _tick(self, event: Tick, now: float) -> None:
        if self.room.wants:
            self._effects += self.room.serve(now, partial(self._give, now))
        for want in self.room.late(now):
            why, kind = self._full(sum(want.sizes())), OUT_OF_DISK if self._disk_is_full else STORE_FULL
            if isinstance(want, FetchWant):
                self._effects += self.fetch.refused(want, why, kind)
            else:
                self._effects.append(Send(want.client, ExtentRefused(want.request, why, kind)))
        if not self.room.wants:
            self._effects += self.growth.give_back(now)
            self._effects += self.spill.give_back(now)

    def _maker(self, segment: str) -> Growth | Spill:
        return self.spill if is_spilled(segment) else self.growth

    def _segment_ready(self, event: SegmentReady, now: float) -> None:
        if is_spilled(event.name):
            self._disk_is_full = False
        self._maker(event.name).ready(event.name, event.size)

    def _segment_failed(self, event: SegmentFailed, now: float) -> None:
        if is_spilled(event.name):
            self._disk_is_full = event.no_space
        self._maker(event.name).failed(event.name, event.reason, now)

    # -- objects

    def _sealed(self, sender: str, message: SealObjects, now: float) -> None:
        client = self._clients.get(sender)
        if client is None:
            self._effects.append(ClientFault(sender, "it seals objects, but never joined this node"))
            return
        for sealed in message.objects:
            try:
                if sealed.grant not in client.grants:
                    raise BadSealError(f"object {sealed.oid.hex()} was sealed in grant {sealed.grant}, not its own")
                self._seal(sealed)
            except BadSealError as error:
                self._effects.append(ClientFault(sender, str(error)))
        for number in message.closed:
            if client.grants.pop(number, None) is None:
                self._effects.append(ClientFault(sender, f"it closes grant {number}, which is not its own"))
            else:
                self._close(number)

    def _seal(self, sealed: SealedObject, *, found: bool = False) -> None:
        entry = self.index.seal(sealed)
        self._effects += self.sendings.sealed(entry)
        if not self._early.means(entry, found=found):
            if sealed.owner in self._dead:
                self._orphaned(sealed.owner, [sealed.oid])
        elif entry.twin is None:
            self._free(sealed.oid)
        else:
            self.index.free_alone(entry, self.sendings.sends)  # another copy of it is not meant

    def _freed(self, sender: str, message: FreeObjects, now: float) -> None:
        for oid, (segment, offset) in zip(message.oids, message.at or repeat(("", 0)), strict=False):
            entry = self.index.objects.get(oid)
            if entry is not None and entry.owner not in (sender, ""):
                fault = f"it frees object {oid.hex()}, whose owner is {entry.owner}"
                self._effects.append(ClientFault(sender, fault))
                continue
            if entry is not None:
                self._free(oid)
            if segment:
                self._early.at(sender, oid, segment, offset)
            # A second copy may still be found in a dead client's memory, or was made because the first one's maker
            # died (that of a copy from another node may have).
            lost_writer = not segment if entry is None else entry.writer not in self._clients
            if self._walking or (self.index.grants and lost_writer):
                self._early.anywhere(sender, oid)

    def _free(self, oid: bytes) -> None:
        self.copies.gone(oid)
        if self.sendings:
            self._effects += self.sendings.freed(oid)
            self.index.free(oid, self.sendings.sends)
        else:
            self.index.free(oid)

    def _free_all(self, oids: list[bytes]) -> None:
        for oid in oids:
            self._free(oid)

    # -- orphans

    def _orphaned(self, owner: str, oids: list[bytes]) -> None:
        self.copies.orphaned(oids)
        if self.orphans.lost_owner(owner, oids, self._clients):
            for address in self._clients:
                self._effects.append(Send(address, OwnerGone(owner)))

    def _still_held(self, sender: str, message: StillHeld, now: float) -> None:
        if sender in self._clients:
            self.orphans.answered(sender, message.owner, message.oids)

    def _orphans_released(self, sender: str, message: OrphansReleased, now: float) -> None:
        self._free_all(self.orphans.released(sender, message.oids))

    def _borrowed(self, sender: str, message: AddBorrowers, now: float) -> None:
        """Who holds an orphan has passed it on; as with a living owner, that one is told before the other lets go."""
        lost = [oid for oid in message.oids if sender not in self._clients or not self.orphans.hold(sender, oid)]
        self._effects.append(Send(sender, BorrowersAdded(message.oids, lost)))

    def _finish_rounds(self) -> None:
        while over := self.orphans.finished():
            for owner, free, further in over:
                self._free_all(free)
                if further:
                    self._orphaned(owner, further)

    # -- other nodes

    def _add(self, effects: list[StoreEffect]) -> None:
        self._effects += effects

    def _fetched(self, sender: str, message: FetchObjects, now: float) -> None:
        if sender in self._clients:
            self._effects += self.fetch.wanted(sender, message, now)
        else:
            self._effects.append(ClientFault(sender, "it wants objects here, but never joined this node"))

    # -- what people see

    def usage(self) -> dict[str, int]:
        """Counts and bytes. ``used_bytes``: memory of objects and of what clients hold to make more; ``spilled_bytes``:
        the same on disk."""
        return {
            "used_bytes": self.index.used_bytes,
            "spilled_bytes": self.index.spilled_bytes,
            "capacity_bytes": self.growth.capacity_bytes,
            "segment_bytes": self.index.allocator.total_bytes,
            "objects": self.index.object_count,
            "object_bytes": self.index.object_bytes,
            "segments": len(self.index.allocator.segments),
            "grants": len(self.index.grants),
            "waiting": len(self.room.wants),
            "orphans": len(self.orphans),
        }

    def statistics(self) -> dict[str, int]:
        """`usage`, and what is of interest to tests only."""
        return {
            **self.usage(),
            "clients": len(self._clients),
            "walking": len(self._walking),
            "early_frees": len(self._early),
            "copies": len(self.copies),
            "transfers": len(self.fetch.transfers),
            "fetches": len(self.fetch.requests),
            "sendings": len(self.sendings),
        }

    def holders(self, n: int) -> list[Holder]:
        """The ``n`` groups of objects (one owner, one note) that take most, the largest first."""
        return [
            Holder(self._who(group.owner), group.owner, group.note, group.size, group.count)
            for group in self.index.largest_groups(n)
        ]

    def waiting(self, now: float) -> list[WaitsForRoom]:
        """Who waits for room, the longest first."""
        return [
            WaitsForRoom(want.client, self._who(want.client), sum(want.sizes()), now - want.since)
            for want in self.room.wants.values()
        ]

    def _who(self, address: str) -> str:
        client = self._clients.get(address)
        if client is not None:
            return f"{client.name} (pid {client.pid})"
        if address in self._dead:
            return f"a process that died ({address})"
        return f"a process of another node ({address})" if address else "somebody unknown"

    def _full(self, size: int) -> str:
        holders = self.holders(report.HOLDERS_IN_MESSAGE)
        clients, growth, spill = len(self._clients), self.growth.failure, self.spill.failure
        return report.full(size, self.usage(), holders, clients, self._timeout_s, growth, spill)

    def check(self) -> None:
        """Assert what must always hold."""
        self.index.check()
        self.orphans.check()
        assert self.index.allocator.total_bytes <= self.growth.capacity_bytes
        clients = {number: client.address for client in self._clients.values() for number in client.grants}
        for number, grant in self.index.grants.items():
            known = clients.get(number) == grant.client or number in self._walking or grant.client == self.address
            assert known, f"nobody has {grant}"
        own = sum(grant.client == self.address for grant in self.index.grants.values()) if self.address else 0
        assert len(clients) + len(self._walking) + own == len(self.index.grants)
        assert all(want.client in self._clients for want in self.room.wants.values())
        for part in (self.copies, self.sendings, self.fetch):
            part.check()
        assert all(running.waits_for.keys() <= self._clients.keys() for running in self.orphans.rounds.values())
        for owner, owned in self.index.by_owner.items():
            assert owner not in self._dead or all(oid in self.orphans for oid in owned), f"{owner}'s objects leak"


_HANDLERS: dict[type, Callable[..., None]] = {
    ClientJoined: StoreMachine._joined,
    ClientDied: StoreMachine._died,
    ExtentWalked: StoreMachine._walked,
    SegmentReady: StoreMachine._segment_ready,
    SegmentFailed: StoreMachine._segment_failed,
    Tick: StoreMachine._tick,
    AddBorrowers: StoreMachine._borrowed,
    AllocateExtent: StoreMachine._allocate,
    SealObjects: StoreMachine._sealed,
    FreeObjects: StoreMachine._freed,
    StillHeld: StoreMachine._still_held,
    OrphansReleased: StoreMachine._orphans_released,
    FetchObjects: StoreMachine._fetched,
    StopFetching: lambda self, sender, message, now: self._add(self.fetch.stop(sender, message)),
    ObjectChunk: lambda self, sender, message, now: self._add(self.fetch.chunk(sender, message)),
    ChunkWritten: lambda self, event, now: self._add(self.fetch.written(event, now)),
    NotThere: lambda self, sender, message, now: self._add(self.fetch.not_there(sender, message)),
    TryAnother: lambda self, sender, message, now: self._add(self.fetch.try_another(sender, message)),
    PullChunk: lambda self, sender, message, now: self._add(self.sendings.asked(sender, message)),
    PullEnded: lambda self, sender, message, now: self._add(self.sendings.ended(sender, message)),
    CopiesHeld: lambda self, sender, message, now: self._add(self.copies.held(sender, message)),
    KeepCopies: lambda self, sender, message, now: self._add(self.copies.keep(sender, message)),
    CopiesDamaged: lambda self, sender, message, now: self._add(self.copies.found_damaged(message)),
}


def handles(message: Any) -> bool:
    """Whether a message is one of the store's."""
    return type(message) in _HANDLERS
