"""What other nodes pull from a store.

Rules
-----
1. An object is sent to at most `READERS_MAX` nodes at a time. Who comes later waits; when one has all of it, those that
   wait are served, or sent to that one.
2. What is being sent keeps its memory until all who pull it have said `PullEnded` or are dead, freed or not; but nobody
   else gets it once it is freed.
3. A reader may hear of an object before its writer has told the store. If it should lie in an open grant, where nothing
   has been sealed yet, it is waited for, until that grant is closed: an object is always sealed before.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from raynb.runtime.core.effects import Send
from raynb.runtime.core.store_effects import SendChunk
from raynb.runtime.core.store_index import Entry, StoreIndex
from raynb.runtime.messages.transfers import NotThere, PullChunk, PullEnded, TryAnother

READERS_MAX = 2


class Sending(Struct):
    """An object that is being sent. ``waits`` has the size of the first chunk that each wants."""

    entry: Entry
    readers: dict[str, None]
    waits: dict[str, int]


class Sendings:
    """The outgoing side of a store. See the module's rules."""

    def __init__(self, index: StoreIndex) -> None:
        self._index = index
        self.sendings: dict[tuple[bytes, int], Sending] = {}
        """By object and grant: the same object may be made again while an earlier copy is being sent."""
        self._unsealed: dict[bytes, dict[str, tuple[int, PullChunk]]] = {}
        """Rule 3: by object and reader, the grant in which it should be."""

    def __len__(self) -> int:
        return len(self.sendings)

    def sends(self, entry: Entry) -> bool:
        """Whether a copy of an object is being read."""
        sending = self.sendings.get((entry.oid, entry.grant))
        return sending is not None and sending.entry is entry

    def asked(self, sender: str, message: PullChunk) -> list[Any]:
        """Somebody wants a chunk."""
        if message.grant:
            sending = self.sendings.get((message.oid, message.grant))
            if sending is None or sender not in sending.readers:
                return [Send(sender, NotThere(message.oid, message.grant))]
            return self._chunk(sender, sending.entry, message.offset, message.size)
        entry = self._index.objects.get(message.oid)
        if entry is None:
            grant = self._index.unsealed_at(message.segment, message.at) if message.segment else None
            if grant is None:
                return [Send(sender, NotThere(message.oid, 0))]
            self._unsealed.setdefault(message.oid, {})[sender] = (grant, message)
            return []
        sending = self.sendings.get((entry.oid, entry.grant))
        if sending is None:
            sending = self.sendings[entry.oid, entry.grant] = Sending(entry, {}, {})
        if len(sending.readers) >= READERS_MAX and sender not in sending.readers:
            sending.waits[sender] = message.size
            return []
        sending.readers[sender] = None
        return self._chunk(sender, sending.entry, message.offset, message.size)

    def _chunk(self, to: str, entry: Entry, offset: int, size: int) -> list[Any]:
        if offset < 0 or size <= 0 or offset + size > entry.size:
            # It has another object in mind.
            return [Send(to, NotThere(entry.oid, entry.grant)), *self._leave(to, (entry.oid, entry.grant))]
        return [SendChunk(to, entry.oid, entry.grant, offset, size, entry.note, entry.segment, entry.offset + offset)]

    def sealed(self, entry: Entry) -> list[Any]:
        """A writer has told of an object."""
        if not self._unsealed or entry.oid not in self._unsealed:
            return []
        effects: list[Any] = []
        for reader, (_, message) in self._unsealed.pop(entry.oid).items():
            effects += self.asked(reader, message)
        return effects

    def closed(self, grant: int) -> list[Any]:
        """Nothing will be sealed in a grant any more."""
        if not self._unsealed:
            return []
        effects: list[Any] = []
        for oid, readers in list(self._unsealed.items()):
            for reader in [reader for reader, (where, _) in readers.items() if where == grant]:
                del readers[reader]
                effects.append(Send(reader, NotThere(oid, 0)))
            if not readers:
                del self._unsealed[oid]
        return effects

    def ended(self, sender: str, message: PullEnded) -> list[Any]:
        """One reader needs no more."""
        if message.grant:
            return self._leave(sender, (message.oid, message.grant), whole=message.whole)
        effects: list[Any] = []
        for key in [key for key in self.sendings if key[0] == message.oid]:
            effects += self._leave(sender, key)
        return effects

    def died(self, address: str) -> list[Any]:
        """A process is gone."""
        effects: list[Any] = []
        for key in list(self.sendings):
            effects += self._leave(address, key)
        for oid, readers in list(self._unsealed.items()):
            readers.pop(address, None)
            if not readers:
                del self._unsealed[oid]
        return effects

    def freed(self, oid: bytes) -> list[Any]:
        """An object is freed: who waits for it waits in vain."""
        effects: list[Any] = []
        for key, sending in self.sendings.items():
            if key[0] == oid:
                effects += [Send(waiting, NotThere(oid, 0)) for waiting in sending.waits]
                sending.waits.clear()
        return effects

    def _leave(self, reader: str, key: tuple[bytes, int], *, whole: bool = False) -> list[Any]:
        sending = self.sendings.get(key)
        if sending is None:
            return []
        sending.waits.pop(reader, None)
        if reader in sending.readers:
            del sending.readers[reader]
        effects: list[Any] = []
        while sending.waits and len(sending.readers) < READERS_MAX:
            waiting = next(iter(sending.waits))
            size = sending.waits.pop(waiting)
            sending.readers[waiting] = None
            effects += self._chunk(waiting, sending.entry, 0, size)
        if whole:
            for waiting in list(sending.waits)[:READERS_MAX]:
                del sending.waits[waiting]
                effects.append(Send(waiting, TryAnother(key[0], reader)))
        if not sending.readers and not sending.waits:
            self.sendings.pop(key, None)
            self._index.left(sending.entry)
        return effects

    def check(self) -> None:
        """Assert what must always hold."""
        for (oid, grant), sending in self.sendings.items():
            assert (sending.entry.oid, sending.entry.grant) == (oid, grant)
            assert sending.readers, (sending, "nobody reads it")
            assert len(sending.readers) <= READERS_MAX
            there = any(entry is sending.entry for entry in self._index.entries())
            assert there or self._index.is_leaving(sending.entry), (sending, "its memory is free")
