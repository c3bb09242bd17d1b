"""Which copies of other nodes' objects a client still needs: its answer when its node's store wants to drop some."""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.core.effects import Send
from raynb.runtime.core.ownership import Entry
from raynb.runtime.messages.transfers import CopiesHeld


class CopiesAsked(Struct, frozen=True, gc=False):
    """Inbox: the node manager has asked about these copies. ``held`` are about to be viewed; all views of others have
    been told by now, and there will be no new ones."""

    by: str
    round: int
    oids: list[bytes]
    held: set[bytes]


def answer(entries: dict[bytes, Entry], asked: CopiesAsked) -> Send:
    """Name those that are viewed here."""
    held = []
    for oid in asked.oids:
        entry = entries.get(oid)
        if oid in asked.held or (entry is not None and entry.views > 0):
            held.append(oid)
    return Send(asked.by, CopiesHeld(asked.round, held))
