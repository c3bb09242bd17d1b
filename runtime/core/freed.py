"""Objects that their owner has given up by hand (`ObjectFreedError`), while others may still read them.

Rules
-----
1. From then on nobody gets the value any more. References to it stay what they were.
2. What an unfinished task or another object needs is not freed.
3. Its memory is free again when no view of it is left here and no borrower is registered: whoever reads it is one of
   these. Until then the value lies here.
4. A thread may have looked the value up just before. It counts its view first and then looks here whether it came too
   late; so nothing is let go before `SETTLE_S` have passed, in which everything is read that threads have said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from raynb.runtime.messages.values import Failed, Value

if TYPE_CHECKING:
    from raynb.runtime.core.ownership import Ownership

SETTLE_S: Final = 0.5


class LetViewGo(Struct, frozen=True, gc=False):
    """Inbox: a view that was counted by a `Retain` is gone."""

    oid: bytes


class Freed:
    """What one process has given up and can't let go yet. See the module's rules."""

    def __init__(self, objects: Ownership) -> None:
        self._objects = objects
        self.values: dict[bytes, Value] = {}
        self._since: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self.values)

    def refusal(self, oid: bytes) -> str | None:
        """Why an object can't be freed: empty if it can, None if it isn't of this process."""
        entry = self._objects.entries.get(oid)
        if entry is None or entry.owner:
            return None
        if entry.is_actor:
            return "this is an actor: kill it"
        if entry.value is None:
            return "it has no value yet: cancel the task that makes it"
        if isinstance(entry.value, Failed):
            return f"there is nothing to free: it has failed ({entry.value.kind})"
        if entry.pins:
            return "unfinished tasks, other objects, failed tasks that are kept or results on other nodes still need it"
        return ""

    def free(self, oid: bytes, now: float) -> None:
        """Give up an object of this process."""
        entry = self._objects.entries[oid]
        assert entry.value is not None
        self.values[oid], self._since[oid] = entry.value, now
        entry.value = Failed("ObjectFreedError", f"object {oid.hex()} was freed by hand: its value is gone.")
        self._objects.watched.ended(oid)

    def take(self, oid: bytes) -> Value | None:
        """The last holder of an object has let it go: its value, if that was freed before."""
        self._since.pop(oid, None)
        return self.values.pop(oid, None)

    def tick(self, now: float) -> None:
        """Rules 3 and 4."""
        for oid, since in list(self._since.items()):
            entry = self._objects.entries[oid]
            if now - since >= SETTLE_S and not (entry.views or entry.pins or entry.borrowers):
                value = self.take(oid)
                assert value is not None and not isinstance(value, Failed)
                self._objects.discard([value])
                self._objects.directory.freed(oid)
                for ref in value.refs or ():
                    self._objects.unpin(ref.oid)

    def check(self) -> None:
        """The invariants, as assertions."""
        assert self.values.keys() == self._since.keys()
        for oid in self.values:
            entry = self._objects.entries.get(oid)
            assert entry is not None and isinstance(entry.value, Failed), (oid.hex(), entry)
