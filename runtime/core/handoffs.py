"""References inside results on their way: held by the worker until the receiver has registered with their owners.

The values of one push with references in them (a generator's come one by one) are taken in the order in which they were
sent; `RefsTaken` names the push once for each.
"""

from __future__ import annotations

from collections import deque

from raynb.runtime.core.inbox import HandOff
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.messages.tasks import RefsTaken


class Handoffs:
    """What this process holds for the receivers of its results."""

    def __init__(self, objects: Ownership) -> None:
        self._objects = objects
        self._held: dict[tuple[str, int], deque[list[bytes]]] = {}
        """By receiver and push: the references of each value that was not taken yet."""

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, item: HandOff) -> None:
        """A result with references is about to be sent."""
        if self._objects.directory.is_gone(item.to):
            return
        for ref in item.refs:
            self._objects.borrow(ref.oid, ref.owner, pins=1)
        self._held.setdefault((item.to, item.seq), deque()).append([ref.oid for ref in item.refs])

    def taken(self, sender: str, message: RefsTaken) -> None:
        """The receiver has registered."""
        for seq in message.seqs:
            values = self._held.get((sender, seq))
            if values is not None:
                self._unpin(values.popleft())
                if not values:
                    del self._held[sender, seq]

    def process_died(self, address: str) -> None:
        """A receiver is gone."""
        for key in [key for key in self._held if key[0] == address]:
            for oids in self._held.pop(key):
                self._unpin(oids)

    @property
    def receivers(self) -> list[str]:
        """Processes that have not taken all yet."""
        return [address for address, _ in self._held]

    def _unpin(self, oids: list[bytes]) -> None:
        for oid in oids:
            self._objects.unpin(oid)
