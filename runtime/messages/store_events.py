"""What happens in the stores of the nodes: columns, batched, bounded, and honest about what was dropped.

A node manager notes what it does and sees, and sends it with its other news, a few times a second. It alone tells: it
knows who waits for room, what is put on disk, and what it fetches from other nodes.
"""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages.values import ValueKind

#: Values of ``StoreEvents.kinds``: somebody waits for room; an object is written to disk, for memory has no room; an
#: object is fetched from another node; a copy is dropped to make room.
STORE_EVENT_KINDS = ("wait", "spill", "transfer", "evict")
WAIT, SPILL, TRANSFER, EVICT = range(4)


class StoreEvents(Struct, array_like=True, gc=False, tag=250):
    """Node manager -> GCS's event hub: equally long columns, one entry an event.

    Attributes
    ----------
    numbers
        Of the event, unique at its sender: a later row of the same number overwrites the earlier one.
    kinds
        One byte each (`STORE_EVENT_KINDS`).
    states
        One byte each (`raynb.runtime.messages.events.TASK_STATES`): RUNNING, FINISHED or FAILED.
    objects
        Ids; empty where none is known, or where there are several.
    sizes
        In bytes.
    others
        The other node of a transfer, by its manager's address; else empty.
    who
        For people: the process that waits or writes, or why it failed.
    started, ended
        Wall-clock seconds; ``ended`` is 0 while it lasts.
    dropped
        Events that were not kept, since the node's start.
    """

    numbers: list[int]
    kinds: bytes
    states: bytes
    objects: list[bytes]
    sizes: list[int]
    others: list[str]
    who: list[str]
    started: list[float]
    ended: list[float]
    dropped: int = 0


class StoredObjects(Struct, array_like=True, gc=False, tag=251):
    """Node manager -> GCS's event hub: which objects came into its store, and which have left it, in that order.

    Attributes
    ----------
    made
        Object ids; the columns below have one entry for each.
    at
        When it was complete, in wall-clock seconds.
    sizes
        In bytes.
    owners, notes
        Positions in ``texts``: the address of its owner, and what its writer says of it.
    kinds
        What it is, where its writer has said so.
    on_disk
        One byte each: 1 where it lies on disk.
    freed
        Ids of objects that are gone.
    freed_at
        When, in wall-clock seconds.
    reset
        These are all that there are (of more than fit, the newest): what was told before and is not among them is gone.
    """

    made: list[bytes]
    at: list[float]
    sizes: list[int]
    owners: list[int]
    notes: list[int]
    kinds: list[ValueKind | None]
    on_disk: bytes
    texts: list[str]
    freed: list[bytes]
    freed_at: list[float]
    reset: bool = False
