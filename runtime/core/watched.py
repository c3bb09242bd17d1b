"""Objects whose end somebody waits for: it is told once, when this process has let one go, or has freed it by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from raynb.runtime.core.client_effects import OutOfScope
from raynb.runtime.messages.values import Failed

if TYPE_CHECKING:
    from raynb.runtime.core.ownership import Ownership


class WatchObject(Struct, frozen=True, gc=False):
    """Inbox: tell of the end of an object. Nothing, where it has come to that already."""

    oid: bytes


class Watched:
    """Those of one process."""

    def __init__(self, objects: Ownership) -> None:
        self._objects = objects
        self.oids: set[bytes] = set()

    def __repr__(self) -> str:
        return f"<Watched {len(self.oids)}>"

    def watch(self, oid: bytes) -> None:
        """From now on."""
        entry = self._objects.entries.get(oid)
        freed = entry is not None and isinstance(entry.value, Failed) and entry.value.kind == "ObjectFreedError"
        if entry is not None and not freed:
            self.oids.add(oid)

    def ended(self, oid: bytes) -> None:
        """The end of one that is watched, perhaps."""
        if oid in self.oids:
            self.oids.discard(oid)
            self._objects.tell(OutOfScope(oid))
