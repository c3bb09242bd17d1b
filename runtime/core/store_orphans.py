"""Objects whose owner died: when may their memory be used again?

Nobody counts references to them any more, but clients may still view them. So each client is asked once (`OwnerGone`),
answers with what it has views of (`StillHeld`), and makes no new ones after that. When the last has answered or died,
what nobody holds is free; what is held is free when its last holder says so (`OrphansReleased`) or dies.

Objects of a dead owner can still turn up after everybody has answered: a worker had not yet told of them. Then there is
another round. A client that never answers holds everything up, and rightly: nobody knows what it reads. A client that
joins later learns which owners are gone: another node's process may not know yet, and pass on where their objects were.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

DEAD_OWNERS_MAX: Final = 1000


class Round(Struct):
    """One question to all clients about one owner."""

    waits_for: dict[str, None]
    asks_about: dict[bytes, None]
    next: dict[bytes, None] = {}
    """Turned up since."""


class Orphans:
    """What clients hold of dead owners' objects. Methods return the objects that are free now."""

    def __init__(self) -> None:
        self.rounds: dict[str, Round] = {}
        self._holders: dict[bytes, dict[str, None]] = {}
        """Object -> clients that view it."""
        self._holds: dict[str, dict[bytes, None]] = {}
        """Client -> objects."""
        self._owners: dict[bytes, str] = {}
        """Of objects in rounds and held ones."""
        self.dead_owners: dict[str, None] = {}
        """The owners that were asked about last."""

    def __len__(self) -> int:
        return len(self._owners)

    def __contains__(self, oid: bytes) -> bool:
        return oid in self._owners

    def owners(self) -> list[str]:
        """Dead ones whose objects are not all free yet."""
        return list(dict.fromkeys(self._owners.values()))

    def lost_owner(self, owner: str, oids: list[bytes], clients: Iterable[str]) -> bool:
        """Objects turned out to be orphans. True if all ``clients`` must be asked now; else it is done later."""
        running = self.rounds.get(owner)
        self.dead_owners.pop(owner, None)
        self.dead_owners[owner] = None
        if len(self.dead_owners) > DEAD_OWNERS_MAX:
            del self.dead_owners[next(iter(self.dead_owners))]
        for oid in oids:
            self._owners[oid] = owner
            if running is not None and oid not in running.asks_about:
                running.next[oid] = None
        if running is not None:
            return False
        self.rounds[owner] = Round(dict.fromkeys(clients), dict.fromkeys(oids), {})
        return True

    def joined(self, client: str) -> list[str]:
        """The owners that a new client must be asked about."""
        for running in self.rounds.values():
            running.waits_for[client] = None
        return self.owners()

    def answered(self, client: str, owner: str, held: Iterable[bytes]) -> None:
        """A client holds these, and nothing else, of an owner."""
        for oid in held:
            if self._owners.get(oid) == owner:
                self.hold(client, oid)
        running = self.rounds.get(owner)
        if running is not None:
            running.waits_for.pop(client, None)

    def hold(self, client: str, oid: bytes) -> bool:
        """A client holds an object; False if that is no orphan (any more)."""
        if oid not in self._owners:
            return False
        self._holders.setdefault(oid, {})[client] = None
        self._holds.setdefault(client, {})[oid] = None
        return True

    def released(self, client: str, oids: Iterable[bytes]) -> list[bytes]:
        """A client's last views of these are gone."""
        free = []
        for oid in oids:
            holds = self._holds.get(client)
            if holds is None or oid not in holds:
                continue
            del holds[oid]
            if not holds:
                del self._holds[client]
            holders = self._holders[oid]
            del holders[client]
            if not holders:
                del self._holders[oid]
                if not self._is_asked_about(oid):
                    del self._owners[oid]
                    free.append(oid)
        return free

    def died(self, client: str) -> list[bytes]:
        """A client is gone, and so are its views."""
        for running in self.rounds.values():
            running.waits_for.pop(client, None)
        return self.released(client, list(self._holds.get(client, ())))

    def finished(self) -> list[tuple[str, list[bytes], list[bytes]]]:
        """End the rounds that all have answered: (owner, objects that are free, objects to ask about next)."""
        over = [(owner, running) for owner, running in self.rounds.items() if not running.waits_for]
        result = []
        for owner, running in over:
            del self.rounds[owner]
            free = [oid for oid in running.asks_about if oid in self._owners and oid not in self._holders]
            for oid in free:
                del self._owners[oid]
            result.append((owner, free, [oid for oid in running.next if oid in self._owners]))
        return result

    def gone(self, oid: bytes) -> None:
        """An object was freed otherwise."""
        self._owners.pop(oid, None)
        for client in self._holders.pop(oid, {}):
            holds = self._holds[client]
            del holds[oid]
            if not holds:
                del self._holds[client]

    def _is_asked_about(self, oid: bytes) -> bool:
        running = self.rounds.get(self._owners[oid])
        return running is not None and (oid in running.asks_about or oid in running.next)

    def check(self) -> None:
        """Assert what must always hold."""
        for oid, owner in self._owners.items():
            assert oid in self._holders or self._is_asked_about(oid), f"orphan {oid.hex()} of {owner} is forgotten"
        forward = {(oid, client) for oid, clients in self._holders.items() for client in clients}
        backward = {(oid, client) for client, oids in self._holds.items() for oid in oids}
        assert forward == backward
        assert {oid for oid, _ in forward} <= set(self._owners)
        assert all(running.waits_for for running in self.rounds.values())
