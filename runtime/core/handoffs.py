"""References inside results on their way: held by the worker until the receiver has registered with their owners."""

from __future__ import annotations

from raynb.runtime.core.inbox import HandOff
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.messages.tasks import RefsTaken


class Handoffs:
    """What this process holds for the receivers of its results."""

    def __init__(self, objects: Ownership) -> None:
        self._objects = objects
        self._held: dict[tuple[str, int], list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, item: HandOff) -> None:
        """A result with references is about to be sent."""
        for ref in item.refs:
            self._objects.borrow(ref.oid, ref.owner, pins=1)
        self._held.setdefault((item.to, item.seq), []).extend(ref.oid for ref in item.refs)

    def taken(self, sender: str, message: RefsTaken) -> None:
        """The receiver has registered."""
        for seq in message.seqs:
            self._let_go((sender, seq))

    def process_died(self, address: str) -> None:
        """A receiver is gone."""
        for key in [key for key in self._held if key[0] == address]:
            self._let_go(key)

    def _let_go(self, key: tuple[str, int]) -> None:
        for oid in self._held.pop(key, ()):
            self._objects.unpin(oid)
