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

**A full store.** What memory has no room for goes to disk, where there is one (`raynb.runtime.core.store_spill`). Else
requests wait up to ``Config.store_full_timeout_s`` and are served in order of arrival. One that can't be met is passed
by others that can, but not for longer than `PASSING_S`: from then on what is freed is kept for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.store_allocator import aligned
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
from raynb.runtime.core.store_growth import Growth, pages
from raynb.runtime.core.store_index import BadSealError, Grant, StoreIndex
from raynb.runtime.core.store_orphans import Orphans
from raynb.runtime.core.store_spill import Spill
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.objects import (
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
from raynb.runtime.messages.sizes import size_text

StoreEvent = Received | Tick | ClientJoined | ClientDied | SegmentReady | SegmentFailed | ExtentWalked
StoreEffect = Send | GrowStore | DropSegment | WalkExtent | ClientFault

PASSING_S = 1.0
DEAD_OWNERS_MAX = 100_000
EARLY_FREES_MAX = 1_000_000
HOLDERS_IN_MESSAGE = 8


class Holder(Struct, frozen=True):
    """Who holds how much of the store. ``owner`` is for people; ``note`` is what its objects say of themselves."""

    owner: str
    address: str
    note: str
    size: int
    objects: int


class WaitsForRoom(Struct, frozen=True):
    """A process that the store had no room for so far; ``size`` in bytes."""

    address: str
    owner: str
    size: int
    waits_s: float


class _Client(Struct):
    address: str
    pid: int
    name: str
    grants: dict[int, int] = {}
    """Open grant -> the request that it answered."""


class _Waiting(Struct):
    client: str
    request: int
    size: int
    since: float


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
    """

    def __init__(self, capacity_bytes: int, config: Config, *, spills: bool = False) -> None:
        self._timeout_s = config.store_full_timeout_s
        self.index = StoreIndex()
        self.growth = Growth(self.index.allocator, capacity_bytes, config)
        self.spill = Spill(self.index.disk, config, enabled=spills)
        self.orphans = Orphans()
        self._clients: dict[str, _Client] = {}
        self._waiting: dict[tuple[str, int], _Waiting] = {}
        """By client and request, in order of arrival."""
        self._walking: dict[int, str] = {}
        """Grants of dead clients, and whose they were."""
        self._early_frees: dict[bytes, tuple[str, int]] = {}
        """Object -> who freed it, and the newest grant at that time."""
        self._dead: dict[str, None] = {}
        """Owners. Those that died long ago are forgotten: nobody seals for them any more."""
        self._effects: list[StoreEffect] = []

    def __repr__(self) -> str:
        return f"<StoreMachine {self.usage()}>"

    # -- the one door

    def handle(self, event: StoreEvent, now: float) -> list[StoreEffect]:
        """Take an event; what to do about it."""
        effects = self._effects = []
        what = event.message if isinstance(event, Received) else event
        method = _HANDLERS.get(type(what))
        if method is None:
            raise TypeError(f"the store knows no {type(what).__name__}")
        if isinstance(event, Received):
            method(self, event.sender, what, now)
        else:
            method(self, what, now)
        self._finish_rounds()
        if self._waiting:
            self._serve(now)
        return effects

    # -- clients

    def _joined(self, event: ClientJoined, now: float) -> None:
        if event.address in self._clients:
            return
        self._clients[event.address] = _Client(event.address, event.pid, event.name, {})
        for owner in self.orphans.joined(event.address):
            self._effects.append(Send(event.address, OwnerGone(owner)))

    def _died(self, event: ClientDied, now: float) -> None:
        address = event.address
        self._dead[address] = None
        if len(self._dead) > DEAD_OWNERS_MAX:
            del self._dead[next(iter(self._dead))]
        client = self._clients.pop(address, None)
        if client is not None:
            for key in [key for key in self._waiting if key[0] == address]:
                del self._waiting[key]
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
                self._seal(sealed)
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
            if entry.writer == writer and entry.owner in self._clients:
                left.setdefault(entry.owner, []).append(entry.oid)
        self._effects += [Send(owner, LeftBehind(oids)) for owner, oids in left.items()]

    # -- grants

    def _allocate(self, sender: str, message: AllocateExtent, now: float) -> None:
        client = self._clients.get(sender)
        size = aligned(message.size)
        key = (sender, message.request)
        if client is None or message.size <= 0:
            why = "only processes of this node can store here" if client is None else "a size must be positive"
            self._effects.append(Send(sender, ExtentRefused(message.request, why)))
        elif self._is_too_large(size) and not self.spill.enabled:
            self._effects.append(Send(sender, ExtentRefused(message.request, self._too_large(size))))
        elif message.request in client.grants.values():
            # Asked again: the answer must have been lost.
            number = next(number for number, request in client.grants.items() if request == message.request)
            self._tell_grant(self.index.grants[number], message.request)
        elif key not in self._waiting:
            self._waiting[key] = _Waiting(sender, message.request, size, now)

    def _serve(self, now: float) -> None:
        """Meet what can be met of the requests that wait."""
        served = []
        for key, waiting in self._waiting.items():
            grant = self._grant(waiting, now)
            if grant is not None:
                served.append(key)
                self._clients[waiting.client].grants[grant.number] = waiting.request
                self._tell_grant(grant, waiting.request)
                continue
            if now - waiting.since >= PASSING_S:
                break
        for key in served:
            del self._waiting[key]
        if served:
            self._effects += self.growth.ahead()

    def _is_too_large(self, size: int) -> bool:
        return pages(size) > self.growth.capacity_bytes

    def _grant(self, waiting: _Waiting, now: float) -> Grant | None:
        """Memory if there is some, else disk; else more of that is on its way."""
        grant = self.index.grant(waiting.client, waiting.size)
        if grant is not None:
            self.growth.used(grant.segment, grant.size)
            return grant
        more = self.growth.for_request(waiting.size, now)
        self._effects += more
        coming = more or self.growth.making is not None
        if coming or not self.spill.may_take(now - waiting.since, too_large=self._is_too_large(waiting.size)):
            return None
        grant = self.index.grant(waiting.client, waiting.size, on_disk=True)
        if grant is not None:
            self.spill.used(grant.segment)
        else:
            self._effects += self.spill.for_request(waiting.size, now)
        return grant

    def _tell_grant(self, grant: Grant, request: int) -> None:
        granted = ExtentGranted(request, grant.number, grant.segment, grant.offset, grant.size)
        self._effects.append(Send(grant.client, granted))

    def _close(self, number: int) -> None:
        self.index.close(number)
        # What was freed before it was sealed, in grants that are all closed now, will never be sealed.
        oldest = next(iter(self.index.grants), self.index.last_grant + 1)
        while self._early_frees:
            oid, (_, newest) = next(iter(self._early_frees.items()))
            if newest >= oldest:
                break
            del self._early_frees[oid]

    def _tick(self, event: Tick, now: float) -> None:
        late = [key for key, waiting in self._waiting.items() if now - waiting.since >= self._timeout_s]
        if late:
            self._serve(now)
        for key in late:
            waiting = self._waiting.pop(key, None)
            if waiting is not None:
                refused = ExtentRefused(waiting.request, self._full(waiting.size))
                self._effects.append(Send(waiting.client, refused))
        if not self._waiting:
            self._effects += self.growth.give_back(now)
            self._effects += self.spill.give_back(now)

    def _maker(self, segment: str) -> Growth | Spill:
        return self.spill if is_spilled(segment) else self.growth

    def _segment_ready(self, event: SegmentReady, now: float) -> None:
        self._maker(event.name).ready(event.name, event.size)

    def _segment_failed(self, event: SegmentFailed, now: float) -> None:
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

    def _seal(self, sealed: SealedObject) -> None:
        self.index.seal(sealed)
        early = self._early_frees.get(sealed.oid)
        if early is not None and sealed.owner in (early[0], ""):
            if not self._walking:
                del self._early_frees[sealed.oid]
            self.index.free(sealed.oid)
        elif sealed.owner in self._dead:
            self._orphaned(sealed.owner, [sealed.oid])

    def _freed(self, sender: str, message: FreeObjects, now: float) -> None:
        for oid in message.oids:
            entry = self.index.objects.get(oid)
            if entry is not None and entry.owner not in (sender, ""):
                fault = f"it frees object {oid.hex()}, whose owner is {entry.owner}"
                self._effects.append(ClientFault(sender, fault))
                continue
            if entry is not None:
                self.index.free(oid)
            # A second copy may still be found in a dead client's memory, or was made because the first one's maker
            # died.
            again = self._walking or (self.index.grants and (entry is None or entry.writer not in self._clients))
            if again:
                self._early_frees.pop(oid, None)
                self._early_frees[oid] = (sender, self.index.last_grant)
        while len(self._early_frees) > EARLY_FREES_MAX:
            del self._early_frees[next(iter(self._early_frees))]

    def _free_all(self, oids: list[bytes]) -> None:
        for oid in oids:
            self.index.free(oid)

    # -- orphans

    def _orphaned(self, owner: str, oids: list[bytes]) -> None:
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
            "waiting": len(self._waiting),
            "orphans": len(self.orphans),
        }

    def statistics(self) -> dict[str, int]:
        """`usage`, and what is of interest to tests only."""
        return {
            **self.usage(),
            "clients": len(self._clients),
            "walking": len(self._walking),
            "early_frees": len(self._early_frees),
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
            WaitsForRoom(waiting.client, self._who(waiting.client), waiting.size, now - waiting.since)
            for waiting in self._waiting.values()
        ]

    def _who(self, address: str) -> str:
        client = self._clients.get(address)
        if client is not None:
            return f"{client.name} (pid {client.pid})"
        return f"{'a process that died' if address in self._dead else 'process'} ({address or 'unknown'})"

    def _too_large(self, size: int) -> str:
        return (
            f"{size_text(size)} do not fit into the object store of this node, which has "
            f"{size_text(self.growth.capacity_bytes)} in all. {_ADVICE_LARGER}"
        )

    def _full(self, size: int) -> str:
        usage = self.usage()
        room = usage["capacity_bytes"] - usage["used_bytes"]
        lines = [
            f"The object store of this node is full: {size_text(size)} were asked for, "
            f"{size_text(usage['used_bytes'])} of {size_text(usage['capacity_bytes'])} are taken, "
            f"and nothing was freed within {self._timeout_s:g} s."
        ]
        if self.growth.failure:
            lines.append(f"It could not grow: {self.growth.failure}.")
        elif self.spill.failure:
            lines.append(f"Nothing could be put on disk: {self.spill.failure}.")
        elif room >= size:
            lines.append(f"{size_text(room)} are free, but not in one piece.")
        lines.append("Who holds most:")
        for holder in self.holders(HOLDERS_IN_MESSAGE):
            note = f": {holder.note}" if holder.note else ""
            objects = f"{holder.objects} object{'s' * (holder.objects != 1)}"
            lines.append(f"  {size_text(holder.size)} in {objects} of {holder.owner}{note}")
        rest = usage["used_bytes"] - usage["object_bytes"]
        if rest:
            lines.append(f"  {size_text(rest)} granted to {len(self._clients)} processes for objects to come")
        lines.append(
            "Delete references that are no longer needed (variables and Out[...] hold them, too, and so do arrays that "
            f"view stored memory). {_ADVICE_LARGER}"
        )
        return "\n".join(lines)

    def check(self) -> None:
        """Assert what must always hold."""
        self.index.check()
        self.orphans.check()
        assert self.index.allocator.total_bytes <= self.growth.capacity_bytes
        clients = {number: client.address for client in self._clients.values() for number in client.grants}
        for number, grant in self.index.grants.items():
            assert clients.get(number) == grant.client or number in self._walking, f"nobody has {grant}"
        assert len(clients) + len(self._walking) == len(self.index.grants)
        assert all(waiting.client in self._clients for waiting in self._waiting.values())
        assert all(running.waits_for.keys() <= self._clients.keys() for running in self.orphans.rounds.values())
        for owner, owned in self.index.by_owner.items():
            assert owner not in self._dead or all(oid in self.orphans for oid in owned), f"{owner}'s objects leak"


_ADVICE_LARGER = "A larger store: init(object_store_memory=BYTES)."

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
}


def handles(message: Any) -> bool:
    """Whether a message is one of the store's."""
    return type(message) in _HANDLERS
