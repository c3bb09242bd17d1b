"""Where copies lie, on a client's own node, of values that are in other nodes' memory.

Rules
-----
1. A copy may be viewed while the fetch that brought it is *held*, or as long as its place is known here. Asked which
   copies it needs, the client forgets the places of all that are neither held nor viewed (`asked`): from then on they
   are fetched again.
2. A place is that of one value, and not of an object: whoever has got another value of the same object, because it was
   lost and made again, say, does not find it.
3. `answered` and `asked` are called in the order in which messages came, before the machine handles them. All else is
   safe in every thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeGuard

from raynb.runtime.core.ownership import Entry
from raynb.runtime.messages.transfers import LOST, EvictCopies, ObjectsFetched
from raynb.runtime.messages.values import Dependency, Failed, Stored

PLACES_MAX: Final = 10_000


class FarPlaces:
    """See the module's rules. ``node_manager`` is the own node's."""

    def __init__(self, node_manager: str) -> None:
        self._node_manager = node_manager
        self._places: dict[int, tuple[Stored, Stored]] = {}
        """By identity of a value: the value itself, and its copy here."""
        self._held: dict[int, list[bytes]] = {}
        """Request -> objects."""

    def is_far(self, value: Dependency | None) -> TypeGuard[Stored]:
        """Whether a value lies in another node's memory."""
        return type(value) is Stored and value.node != self._node_manager

    def place(self, value: Stored) -> Stored | None:
        """Where the copy of a value lies here, as far as that is known."""
        known = self._places.get(id(value))
        return known[1] if known is not None and known[0] is value else None

    def answered(self, message: ObjectsFetched) -> None:
        """Rule 1: from here until `let_go` these are held."""
        self._held[message.request] = [value.oid for value in message.values if isinstance(value, Stored)]

    def asked(self, message: EvictCopies) -> set[bytes]:
        """Forget what is not held; gives what is."""
        held = {oid for oids in list(self._held.values()) for oid in oids}
        going = set(message.oids) - held
        for key, (value, _) in list(self._places.items()):
            if value.oid in going:
                self._places.pop(key, None)
        return held

    def learn(self, wanted: Sequence[Stored], values: Sequence[Stored | Failed]) -> None:
        """What a fetch has brought, value by value; none where it brought nothing."""
        if len(self._places) > PLACES_MAX:
            self._places.clear()  # they are asked for again
        for value, here in zip(wanted, values, strict=False):
            if isinstance(here, Stored):
                self._places[id(value)] = (value, here)

    def forget(self, value: Stored) -> None:
        """The copy of a value is not to be viewed any more."""
        self._places.pop(id(value), None)

    def let_go(self, request: int) -> None:
        """What a fetch has brought is viewed by now, or won't be."""
        self._held.pop(request, None)

    def sweep(self, entries: Mapping[bytes, Entry]) -> None:
        """Forget the places of values that nobody here has an entry for (any more); call it now and then."""
        for key, (value, _) in list(self._places.items()):
            entry = entries.get(value.oid)
            if entry is None or entry.value is not value:
                self._places.pop(key, None)


def outcome(wanted: Sequence[Stored], values: Sequence[Stored | Failed]) -> tuple[list[Stored], Failed | None]:
    """Which values can't be had from where they were said to be, and a failure: why the first of them can't, or, where
    there is one, the first that is something else."""
    lost: list[Stored] = []
    why: Failed | None = None
    for value, here in zip(wanted, values, strict=True):
        if isinstance(here, Failed):
            if here.kind != LOST:
                return lost, here
            lost.append(value)
            why = why or here
    return lost, why
