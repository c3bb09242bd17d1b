"""The copies in a store of objects whose primary lies in another node, and how they make room for others.

Rules
-----
1. A copy goes when its owner frees it, or when its room is needed: nobody asks for that but `make_room`.
2. A client may view a copy from when it was told of it. So before copies go, the clients that were told are asked once
   (`EvictCopies`); what none of them holds, nobody has asked for since, and no request here needs, goes. Its owner is
   told. Those asked for least lately go first, and not many more than are needed are asked about.
3. A client that does not answer holds what it was asked about; others need not wait for it for longer than
   `PATIENCE_S`. Where nothing could be had, nobody is asked again for `PAUSE_S`.
4. A copy that its owner wants kept, or whose owner is dead, is an object like any other.
5. A copy that a client has found to be *damaged* (it lies on disk) is given to nobody any more: whoever wants it has it
   fetched anew. Its memory goes with the object's, or with that of the copy that takes its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from raynb.runtime.core.effects import Send
from raynb.runtime.core.store_index import StoreIndex
from raynb.runtime.messages.copies import CopiesDamaged, CopiesKept, CopyDropped, KeepCopies
from raynb.runtime.messages.store_events import EVICT
from raynb.runtime.messages.transfers import CopiesHeld, EvictCopies
from raynb.runtime.messages.values import Stored

PATIENCE_S = 1.0
PAUSE_S = 0.05


class Copy(Struct):
    """One copy. ``told``: clients that may view it. ``needed``: by how many requests that are not answered yet."""

    stored: Stored
    told: dict[str, None]
    needed: int = 0
    kept: bool = False
    damaged: bool = False


class _Round(Struct):
    number: int
    began: float
    waits_for: dict[str, None]
    victims: dict[bytes, None]


class Copies:
    """The copies of one store.

    Parameters
    ----------
    index
        The store's.
    free
        Frees an object.
    """

    def __init__(self, index: StoreIndex, free: Callable[[bytes], None]) -> None:
        self._index = index
        self._free = free
        self.copies: dict[bytes, Copy] = {}
        """Those asked for least lately first."""
        self._round: _Round | None = None
        self._rounds = 0
        self._not_before = 0.0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self.copies)

    def added(self, stored: Stored) -> Copy:
        """A copy has arrived."""
        old = self.copies.pop(stored.oid, None)
        copy = Copy(stored, {}) if old is None else Copy(stored, old.told, old.needed, old.kept)
        self.copies[stored.oid] = copy
        return copy

    def found_damaged(self, message: CopiesDamaged) -> list[Any]:
        """Rule 5."""
        for stored in message.copies:
            copy = self.copies.get(stored.oid)
            if copy is not None and (copy.stored.segment, copy.stored.offset) == (stored.segment, stored.offset):
                copy.damaged = True
        return []

    def gone(self, oid: bytes) -> None:
        """An object is freed."""
        self.copies.pop(oid, None)
        if self._round is not None:
            self._round.victims.pop(oid, None)

    def told(self, oid: bytes, client: str) -> Stored:
        """A client is about to be told where a copy lies."""
        copy = self.copies.pop(oid)
        self.copies[oid] = copy
        copy.told[client] = None
        if self._round is not None:
            self._round.victims.pop(oid, None)
        return copy.stored

    def orphaned(self, oids: list[bytes]) -> None:
        """Their owner is dead: what becomes of them is decided elsewhere."""
        for oid in oids:
            copy = self.copies.get(oid)
            if copy is not None:
                copy.kept = True

    def keep(self, sender: str, message: KeepCopies) -> list[Any]:
        """Rule 4."""
        kept: list[bytes] = []
        gone: list[bytes] = []
        for oid in message.oids:
            copy = self.copies.get(oid)
            if copy is None:
                # It may have been kept already, for the same owner.
                (kept if oid in self._index.objects else gone).append(oid)
                continue
            copy.kept = True
            kept.append(oid)
            if self._round is not None:
                self._round.victims.pop(oid, None)
        return [Send(sender, CopiesKept(kept, gone))]

    def died(self, client: str) -> list[Any]:
        """A client is gone, and so are its views."""
        for copy in self.copies.values():
            copy.told.pop(client, None)
        if self._round is None or client not in self._round.waits_for:
            return []
        del self._round.waits_for[client]
        return self._end_round()

    # -- making room

    def asking(self, now: float) -> bool:
        """Whether room may come of an answer that is awaited."""
        return self._round is not None and now - self._round.began < PATIENCE_S

    def make_room(self, size: int, now: float) -> list[Any]:
        """Nothing that is free fits a request for ``size`` bytes: what to do."""
        if self._round is not None or now < self._not_before or not self.copies:
            return []
        victims: dict[bytes, None] = {}
        clients: dict[str, dict[bytes, None]] = {}
        found = 0
        for oid, copy in self.copies.items():
            if copy.needed or copy.kept:
                continue
            victims[oid] = None
            for client in copy.told:
                clients.setdefault(client, {})[oid] = None
            found += copy.stored.size
            if found >= 2 * size:
                break
        self._not_before = now + PAUSE_S
        if not victims:
            return []
        self._rounds += 1
        self._round = _Round(self._rounds, now, dict.fromkeys(clients), victims)
        effects: list[Any] = [Send(client, EvictCopies(self._rounds, list(asked))) for client, asked in clients.items()]
        return effects + self._end_round()

    def held(self, sender: str, message: CopiesHeld) -> list[Any]:
        """A client has said what it views of what it was asked about."""
        running = self._round
        if running is None or message.round != running.number or sender not in running.waits_for:
            return []
        del running.waits_for[sender]
        held = frozenset(message.oids)
        for oid in running.victims:
            copy = self.copies[oid]
            if oid not in held:
                copy.told.pop(sender, None)
        return self._end_round()

    def _end_round(self) -> list[Any]:
        running = self._round
        if running is None or running.waits_for:
            return []
        self._round = None
        dropped: dict[str, list[bytes]] = {}
        for oid in running.victims:
            copy = self.copies[oid]
            if copy.told or copy.needed or copy.kept:
                # It is in use: others are asked about first the next time.
                del self.copies[oid]
                self.copies[oid] = copy
                continue
            dropped.setdefault(copy.stored.owner, []).append(oid)
        for oids in dropped.values():
            for oid in oids:
                self._index.log.note(EVICT, self.copies[oid].stored.size, oid)
                self._free(oid)
                self.evicted += 1
        if dropped:
            self._not_before = 0.0
        return [Send(owner, CopyDropped(oids)) for owner, oids in dropped.items()]

    def check(self) -> None:
        """Assert what must always hold."""
        for oid, copy in self.copies.items():
            entry = self._index.objects.get(oid)
            assert entry is not None, f"the copy of {oid.hex()} is not there"
            assert copy.needed >= 0, copy
        running = self._round
        if running is not None:
            assert running.waits_for, "a round that nobody is waited for"
            assert all(oid in self.copies for oid in running.victims)
