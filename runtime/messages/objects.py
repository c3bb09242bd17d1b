"""Messages about objects: between owners and borrowers, and between clients and the store of their node.

Borrowing. A process that keeps a reference it received registers with the owner (`AddBorrower`, answered by
`BorrowersAdded`) before the one it received it from lets go; a borrower says `RemoveBorrower` once, when its last
reference and its last view are gone. Adding and removing travel on one connection, so their order is kept. A dead
borrower is removed when its node manager reports the death; when an owner dies its borrowers see ``OwnerDiedError``.

Storing. A client allocates inside extents that the node manager granted to it, without asking again, and tells
afterwards (`SealObjects`). Only the owner frees (`FreeObjects`); it may overtake the seal, which then frees at once.
"""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages.values import Value, ValueKind

STORE_FULL = "ObjectStoreFullError"
OUT_OF_DISK = "OutOfDiskError"
"""What it is called that there is no room: in memory, or on the disk that is to help either."""

SPILL_PREFIX = "spill-"
"""How the names of segments begin that are on disk."""


def is_spilled(segment: str) -> bool:
    """Whether this segment is on disk."""
    return segment.startswith(SPILL_PREFIX)


class PullObjects(Struct, array_like=True, gc=False, tag=30):
    """Borrower -> owner: send these values, now or once they are there. Idempotent; repeated while the wait lasts."""

    oids: list[bytes]


class ObjectValues(Struct, array_like=True, gc=False, tag=31):
    """Owner -> borrower."""

    oids: list[bytes]
    values: list[Value]


class AddBorrowers(Struct, array_like=True, gc=False, tag=32):
    """Borrower -> owner: the sender refers to these objects. Borrower -> node manager, if the owner is dead: its
    store keeps what that left there."""

    oids: list[bytes]


class BorrowersAdded(Struct, array_like=True, gc=False, tag=33):
    """Owner (or node manager) -> borrower. An object that is already gone comes back in ``lost``."""

    oids: list[bytes]
    lost: list[bytes] = []


class RemoveBorrowers(Struct, array_like=True, gc=False, tag=34):
    """Borrower -> owner: the sender no longer refers to these."""

    oids: list[bytes]


class AllocateExtent(Struct, array_like=True, gc=False, tag=40):
    """Client -> node manager: grant ``size`` bytes. Answered by `ExtentGranted`, or `ExtentRefused` within 30 s.

    ``oid`` is the object that needs the room, for people. ``least`` bytes will do where the store has no more; 0: all.
    """

    request: int
    size: int
    oid: bytes = b""
    least: int = 0


class ExtentGranted(Struct, array_like=True, gc=False, tag=41):
    """Node manager -> client. ``grant`` is unique in the node and stands in the header of each object made in it."""

    request: int
    grant: int
    segment: str
    offset: int
    size: int


class ExtentRefused(Struct, array_like=True, gc=False, tag=42):
    """Node manager -> client: the store is full; ``message`` lists the holders, ``kind`` names the error."""

    request: int
    message: str
    kind: str = STORE_FULL


class SealedObject(Struct, array_like=True, frozen=True, gc=False):
    """An object written into a grant. ``owner`` is the address of the process that frees it."""

    oid: bytes
    owner: str
    grant: int
    offset: int
    size: int
    note: str = ""
    """For people: type and call site."""
    kind: ValueKind | None = None
    """What it is, where its writer knows."""


class Place(Struct, frozen=True):
    """Where an object lies in a node's store: the answer to `LocateObject`. ``size`` is aligned."""

    segment: str
    offset: int
    size: int
    grant: int
    owner: str
    note: str = ""


class SealObjects(Struct, array_like=True, gc=False, tag=43):
    """Client -> node manager: these objects are written. Grants in ``closed`` take no more; their rest is free."""

    objects: list[SealedObject]
    closed: list[int] = []


class FreeObjects(Struct, array_like=True, gc=False, tag=44):
    """Owner -> node manager that stores them: all that it has of them, and what will turn up ``at`` these places (one
    for each; segment, offset), whose writer has not told of it yet. An empty segment: nothing was told of one."""

    oids: list[bytes]
    at: list[tuple[str, int]] = []


class OwnerGone(Struct, array_like=True, gc=False, tag=45):
    """Node manager -> each of its clients: this owner died. Answered by `StillHeld`; until all have answered nothing of
    it is recycled. After answering, a client makes no new view of an object of that owner."""

    owner: str


class StillHeld(Struct, array_like=True, gc=False, tag=46):
    """Client -> node manager: objects of a dead owner that the sender has views of (possibly none)."""

    owner: str
    oids: list[bytes]


class LeftBehind(Struct, array_like=True, gc=False, tag=48):
    """Node manager -> owner: what a process that is dead now had written for it. The owner frees what it was never
    told of, a result that was lost with the process, say."""

    oids: list[bytes]


class OrphansReleased(Struct, array_like=True, gc=False, tag=47):
    """Client -> node manager: the last view of these objects of a dead owner is gone."""

    oids: list[bytes]
