"""What clients of a node want from other nodes' memory, and the transfers by which it comes.

It knows: the requests (`FetchObjects`), which objects are on their way and from whom, which chunks of them were asked
for and are being written. It never knows the bytes, nor who else has an object: whoever is asked says so.

Rules
-----
1. An object is pulled once at a time, however many want it; at most `TRANSFERS_MAX` objects at once, and
   `PER_HOLDER_MAX` from the same node (one that does not answer holds up its own), in the order in which room was
   found for them. ``Config.transfer_window`` chunks of ``Config.transfer_chunk_bytes`` are under way for each.
2. Room is taken before anything is pulled: for all objects of a request that wants them ``together``, or for none;
   else object by object. Until then nothing that it wants is held for it.
3. Chunks are written by the host (`WriteChunk`, answered by `ChunkWritten`). Memory goes back only when nothing is
   being written to it any more.
4. A copy is sealed, its owner is told (`CopyAdded`), and then who waits for it: in this order.
5. A holder that is dead or has not got the object any more is given up; one that we were sent to is left for the
   primary, and then the object is *lost*: the owner knows what to do.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Container
from typing import Any

import msgspec
from msgspec import Struct

from raynb.runtime.core.effects import Send
from raynb.runtime.core.store_copies import Copies
from raynb.runtime.core.store_effects import ChunkWritten, WriteChunk
from raynb.runtime.core.store_index import Grant, StoreIndex
from raynb.runtime.core.store_room import Room, Want
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.copies import CopyAdded
from raynb.runtime.messages.objects import STORE_FULL, SealedObject
from raynb.runtime.messages.store_events import TRANSFER
from raynb.runtime.messages.transfers import (
    LOST,
    FetchObjects,
    NotThere,
    ObjectChunk,
    ObjectsFetched,
    PullChunk,
    PullEnded,
    StopFetching,
    TryAnother,
)
from raynb.runtime.messages.values import Failed, Stored

TRANSFERS_MAX = 8
PER_HOLDER_MAX = 4


class Request:
    """One `FetchObjects` that is not answered yet."""

    def __init__(self, client: str, message: FetchObjects) -> None:
        self.client = client
        self.number = message.request
        self.wanted = message.wanted
        self.undecided: dict[bytes, None] = dict.fromkeys(stored.oid for stored in message.wanted)
        self.failed: dict[bytes, Failed] = {}
        self.needs: set[bytes] = set()
        """Copies that stay until it is answered."""

    def __repr__(self) -> str:
        return f"<Request {self.number} of {self.client}: {len(self.undecided)} of {len(self.wanted)} to come>"


class FetchWant(Want):
    """Room for some objects of a request."""

    def __init__(self, fetch: Fetch, request: Request, objects: list[Stored], since: float, part: int) -> None:
        super().__init__(request.client, request.number, since, part)
        self.writer = fetch.me
        self._fetch = fetch
        self.of = request
        self.objects = objects

    def missing(self) -> list[Stored]:
        """What is neither here nor on its way."""
        return [stored for stored in self.objects if not self._fetch.is_coming(stored)]

    def sizes(self) -> list[int]:
        return [stored.size for stored in self.missing()]


class Transfer(Struct):
    """An object on its way. ``offset``: what is to be asked for next; ``asked`` has offset and size of the chunks that
    were and are not here."""

    stored: Stored
    grant: Grant
    number: int
    since: float
    holder: str = ""
    remote_grant: int = 0
    note: str = ""
    offset: int = 0
    asked: dict[int, int] = {}
    writing: int = 0
    written: int = 0
    failed: bool = False
    noted: int = 0
    """Its number in the log, once something is asked for."""
    for_requests: list[Request] = []


class Fetch:
    """The incoming side of a store. See the module's rules.

    Parameters
    ----------
    me
        Address of this node's manager.
    index, room, copies
        The store's.
    seal, close
        Of the store: an object is there; a grant is not needed any more.
    dead
        Processes that are gone.
    """

    def __init__(
        self,
        me: str,
        config: Config,
        index: StoreIndex,
        room: Room,
        copies: Copies,
        seal: Callable[[SealedObject], None],
        close: Callable[[int], None],
        dead: Container[str],
    ) -> None:
        self.me = me
        self._chunk_bytes = config.transfer_chunk_bytes
        self._window = config.transfer_window
        self._index = index
        self._room = room
        self._copies = copies
        self._seal = seal
        self._close = close
        self.requests: dict[tuple[str, int], Request] = {}
        self.transfers: dict[bytes, Transfer] = {}
        self._by_number: dict[int, Transfer] = {}
        """Also those that have failed and are still being written to."""
        self._queue: deque[Transfer] = deque()
        self._pulling: dict[bytes, None] = {}
        self._numbers = 0
        self._dead = dead

    # -- what clients want

    def is_coming(self, stored: Stored) -> bool:
        """Whether no room is needed for an object (any more)."""
        return stored.oid in self.transfers or self._here(stored) is not None

    def _here(self, stored: Stored) -> Stored | None:
        copy = self._copies.copies.get(stored.oid)
        if copy is not None:
            return None if copy.damaged else copy.stored
        entry = self._index.objects.get(stored.oid) if stored.node == self.me else None
        return None if entry is None else stored

    def wanted(self, sender: str, message: FetchObjects, now: float) -> list[Any]:
        """A client wants objects here."""
        key = (sender, message.request)
        if key in self.requests:
            return []
        request = self.requests[key] = Request(sender, message)
        objects_wanted = list({stored.oid: stored for stored in message.wanted}.values())
        parts = [objects_wanted] if message.together else [[stored] for stored in objects_wanted]
        effects: list[Any] = []
        for part, objects in enumerate(parts):
            want = FetchWant(self, request, objects, now, part)
            if not want.missing():
                effects += self.admitted(want, [], now)
            elif why := self._room.refusal(sum(stored.size for stored in objects)):
                effects += self.refused(want, why, STORE_FULL)
            else:
                # In order with all others that want room.
                self._room.ask(want)
        return effects + self._answer_if_done(request)

    def stop(self, sender: str, message: StopFetching) -> list[Any]:
        """A client waits no longer."""
        request = self.requests.get((sender, message.request))
        if request is None:
            return []
        self._forget(request)
        return [Send(sender, ObjectsFetched(message.request, []))]

    def _forget(self, request: Request) -> None:
        del self.requests[request.client, request.number]
        for key in [key for key in self._room.wants if key[:2] == (request.client, request.number)]:
            if isinstance(self._room.wants[key], FetchWant):
                self._room.drop(key)
        self._release(request)
        for transfer in self.transfers.values():
            if request in transfer.for_requests:
                transfer.for_requests.remove(request)

    def _release(self, request: Request) -> None:
        for oid in request.needs:
            copy = self._copies.copies.get(oid)
            if copy is not None:
                copy.needed -= 1
        request.needs.clear()

    def admitted(self, want: FetchWant, grants: list[Grant], now: float) -> list[Any]:
        """Rule 2: there is room for what was missing."""
        request = want.of
        for stored, grant in zip(want.missing(), grants, strict=True):
            self._begin(stored, grant, now)
        for stored in want.objects:
            transfer = self.transfers.get(stored.oid)
            if transfer is not None:
                transfer.for_requests.append(request)
            else:
                self._arrived_for(request, stored.oid)
        return [*self._start(), *self._answer_if_done(request)]

    def refused(self, want: FetchWant, why: str, kind: str) -> list[Any]:
        """There is no room, and won't be."""
        for stored in want.objects:
            want.of.failed[stored.oid] = Failed(kind, why)
            want.of.undecided.pop(stored.oid, None)
        return self._answer_if_done(want.of)

    def _arrived_for(self, request: Request, oid: bytes) -> None:
        request.undecided.pop(oid, None)
        copy = self._copies.copies.get(oid)
        if copy is not None and oid not in request.needs:
            request.needs.add(oid)
            copy.needed += 1

    def _answer_if_done(self, request: Request) -> list[Any]:
        if request.undecided or (request.client, request.number) not in self.requests:
            return []
        values: list[Stored | Failed] = []
        for stored in request.wanted:
            failed = request.failed.get(stored.oid)
            if failed is not None:
                values.append(failed)
            elif stored.oid in self._copies.copies:
                values.append(self._copies.told(stored.oid, request.client))
            else:
                values.append(self._here(stored) or _lost(stored))
        self._forget(request)
        return [Send(request.client, ObjectsFetched(request.number, values))]

    # -- transfers

    def _begin(self, stored: Stored, grant: Grant, now: float) -> None:
        self._numbers += 1
        transfer = Transfer(stored, grant, self._numbers, now, stored.node, asked={}, for_requests=[])
        self.transfers[stored.oid] = self._by_number[transfer.number] = transfer
        self._queue.append(transfer)

    def _start(self) -> list[Any]:
        effects: list[Any] = []
        while len(self._pulling) < TRANSFERS_MAX and (transfer := self._next()) is not None:
            self._queue.remove(transfer)
            self._pulling[transfer.stored.oid] = None
            effects += self._ask_first(transfer)
        return effects

    def _next(self) -> Transfer | None:
        busy = Counter(self.transfers[oid].holder for oid in self._pulling)
        return next((transfer for transfer in self._queue if busy[transfer.holder] < PER_HOLDER_MAX), None)

    def _ask_first(self, transfer: Transfer) -> list[Any]:
        if transfer.holder in self._dead or transfer.holder == self.me:
            return self._give_up_holder(transfer)
        if not transfer.noted:
            stored = transfer.stored
            transfer.noted = self._index.log.began(TRANSFER, stored.size, stored.oid)
        self._index.log.comes_from(transfer.noted, transfer.holder)
        return [self._ask(transfer, 0)]

    def _ask(self, transfer: Transfer, offset: int) -> Send:
        stored = transfer.stored
        size = min(self._chunk_bytes, stored.size - offset)
        transfer.asked[offset] = size
        transfer.offset = offset + size
        pull = PullChunk(stored.oid, transfer.remote_grant, offset, size)
        if not transfer.remote_grant and transfer.holder == stored.node:
            pull.segment, pull.at = stored.segment, stored.offset
        return Send(transfer.holder, pull)

    def chunk(self, sender: str, message: ObjectChunk) -> list[Any]:
        """A piece has arrived."""
        transfer = self.transfers.get(message.oid)
        if transfer is None or transfer.holder != sender:
            return []
        size = transfer.asked.get(message.offset)
        stale = transfer.remote_grant not in (0, message.grant)
        if size is None or stale or len(message.data) != size:
            return []
        del transfer.asked[message.offset]
        if not transfer.remote_grant:
            transfer.remote_grant, transfer.note = message.grant, message.note
        grant, oid = transfer.grant, transfer.stored.oid
        transfer.writing += 1
        write = WriteChunk(
            transfer.number, grant.segment, grant.offset, message.offset, message.data, oid, grant.number,
            transfer.stored.size if self._is_last(transfer) else 0,
        )  # fmt: skip
        return [*self._fill_window(transfer), write]

    def _is_last(self, transfer: Transfer) -> bool:
        return not transfer.asked and transfer.offset == transfer.stored.size

    def _fill_window(self, transfer: Transfer) -> list[Any]:
        effects: list[Any] = []
        while transfer.offset < transfer.stored.size and len(transfer.asked) + transfer.writing < self._window:
            effects.append(self._ask(transfer, transfer.offset))
        return effects

    def written(self, event: ChunkWritten, now: float) -> list[Any]:
        """The host has written a piece; with the last one, the whole was looked at."""
        transfer = self._by_number[event.transfer]
        transfer.writing -= 1
        if transfer.failed:
            self._let_memory_go(transfer)
            return []
        if event.problem:
            return self._fail(transfer, Failed(LOST, event.problem))
        transfer.written += event.size
        if transfer.written < transfer.stored.size:
            return self._fill_window(transfer)
        return self._arrived(transfer, now)

    def _arrived(self, transfer: Transfer, now: float) -> list[Any]:
        """Rule 4."""
        stored, grant = transfer.stored, transfer.grant
        here = msgspec.structs.replace(stored, node=self.me, segment=grant.segment, offset=grant.offset)
        note = transfer.note or "copy"
        self._index.log.ended(transfer.noted)
        self._end(transfer)
        del self._by_number[transfer.number]
        self._copies.added(here)
        self._seal(SealedObject(stored.oid, stored.owner, grant.number, grant.offset, stored.size, note, stored.kind))
        self._close(grant.number)
        effects: list[Any] = [
            Send(transfer.holder, PullEnded(stored.oid, transfer.remote_grant, whole=True)),
            Send(stored.owner, CopyAdded([here])),
        ]
        for request in transfer.for_requests:
            self._arrived_for(request, stored.oid)
        for request in transfer.for_requests.copy():
            effects += self._answer_if_done(request)
        return effects + self._start()

    def _end(self, transfer: Transfer) -> None:
        del self.transfers[transfer.stored.oid]
        self._pulling.pop(transfer.stored.oid, None)
        if transfer in self._queue:
            self._queue.remove(transfer)

    def _fail(self, transfer: Transfer, failure: Failed) -> list[Any]:
        self._end(transfer)
        self._index.log.ended(transfer.noted, failure.message)
        transfer.failed = True
        effects: list[Any] = []
        if transfer.holder not in self._dead:
            effects.append(Send(transfer.holder, PullEnded(transfer.stored.oid, transfer.remote_grant)))
        self._let_memory_go(transfer)
        for request in transfer.for_requests.copy():
            request.failed[transfer.stored.oid] = failure
            request.undecided.pop(transfer.stored.oid, None)
            effects += self._answer_if_done(request)
        return effects + self._start()

    def _let_memory_go(self, transfer: Transfer) -> None:
        """Rule 3."""
        if not transfer.writing:
            del self._by_number[transfer.number]
            self._close(transfer.grant.number)

    # -- holders

    def not_there(self, sender: str, message: NotThere) -> list[Any]:
        """A holder has not got it."""
        transfer = self.transfers.get(message.oid)
        if transfer is None or transfer.holder != sender or message.grant != transfer.remote_grant:
            return []
        return self._give_up_holder(transfer)

    def try_another(self, sender: str, message: TryAnother) -> list[Any]:
        """A holder has enough to do."""
        transfer = self.transfers.get(message.oid)
        if transfer is None or transfer.holder != sender or transfer.remote_grant:
            return []
        transfer.holder = message.holder
        return self._ask_first(transfer)

    def died(self, address: str) -> list[Any]:
        """A process is gone: a client, or a holder."""
        for request in [request for request in self.requests.values() if request.client == address]:
            self._forget(request)
        effects: list[Any] = []
        for transfer in list(self.transfers.values()):
            if transfer.holder == address and transfer.stored.oid in self._pulling:
                effects += self._give_up_holder(transfer)
        return effects

    def _give_up_holder(self, transfer: Transfer) -> list[Any]:
        """Rule 5."""
        primary = transfer.stored.node
        if transfer.holder == primary or primary in self._dead or transfer.remote_grant:
            return self._fail(transfer, _lost(transfer.stored))
        transfer.holder = primary
        return self._ask_first(transfer)

    def check(self) -> None:
        """Assert what must always hold."""
        for oid, transfer in self.transfers.items():
            assert oid == transfer.stored.oid and not transfer.failed, transfer
            assert (oid in self._pulling) != (transfer in self._queue), transfer
            assert len(transfer.asked) + transfer.writing <= max(self._window, 1), transfer
            assert self._index.grants[transfer.grant.number] is transfer.grant, transfer
            if oid in self._pulling:
                assert transfer.asked or transfer.writing, (transfer, "nothing is awaited")
        for transfer in self._by_number.values():
            assert transfer.writing or not transfer.failed, transfer
        assert len(self._pulling) <= TRANSFERS_MAX
        for request in self.requests.values():
            assert request.undecided, (request, "should be answered")
            for oid in request.undecided:
                on_its_way = oid in self.transfers and request in self.transfers[oid].for_requests
                waits = any(
                    isinstance(want, FetchWant) and want.of is request and any(s.oid == oid for s in want.objects)
                    for want in self._room.wants.values()
                )
                assert on_its_way or waits, (request, oid.hex(), "is forgotten")


def _lost(stored: Stored) -> Failed:
    return Failed(LOST, "its node has it no longer")
