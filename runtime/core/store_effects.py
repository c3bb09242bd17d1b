"""Events and effects that only the store of a node has. Its host is the node manager."""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages.objects import SealedObject

# -- effects


class GrowStore(Struct, frozen=True, gc=False):
    """Make a segment of this name and size, in the background. Answered by `SegmentReady` or `SegmentFailed`."""

    name: str
    size: int


class DropSegment(Struct, frozen=True, gc=False):
    """Remove a segment: nothing is in it. Its pages are free when the clients that mapped it have let go of it, too."""

    name: str


class WalkExtent(Struct, frozen=True, gc=False):
    """Find the complete objects in what was granted to a client that is dead now. Answered by `ExtentWalked`.

    ``raynb.runtime.codec.layout.walk_extent(memory[offset : offset + size], grant, base=offset)`` finds them.
    """

    grant: int
    segment: str
    offset: int
    size: int


class ClientFault(Struct, frozen=True, gc=False):
    """A client said what can't be; it was not followed. For the log."""

    address: str
    message: str


class SendChunk(Struct, frozen=True, gc=False):
    """Send an `ObjectChunk`: ``size`` bytes of a segment, which stay what they are until the receiver has said that it
    has them, or is dead."""

    to: str
    oid: bytes
    grant: int
    offset: int
    size: int
    note: str
    segment: str
    at: int
    """Where they are in the segment."""


class WriteChunk(Struct, frozen=True, gc=False):
    """Write a piece of a copy, in order with the others of its transfer. Answered by `ChunkWritten`.

    Attributes
    ----------
    segment, begin
        Where the copy begins.
    offset, data
        Where in it the piece goes.
    oid, grant, total
        If ``total`` is not 0 this is the last piece to come: then see that all ``total`` bytes are this object, and
        have its header say that it was made in ``grant``.
    """

    transfer: int
    segment: str
    begin: int
    offset: int
    data: memoryview
    oid: bytes
    grant: int
    total: int


# -- events


class ChunkWritten(Struct, frozen=True, gc=False):
    """A piece is where it belongs. ``problem`` says why the whole is not what it should be; empty: it is."""

    transfer: int
    size: int
    problem: str = ""


class ClientJoined(Struct, frozen=True, gc=False):
    """A process of this node may use the store from now on. ``name`` is for people: "driver analysis.ipynb", say."""

    address: str
    pid: int
    name: str


class ClientDied(Struct, frozen=True, gc=False):
    """A process is gone: a client of this store, or one elsewhere that may own objects in it."""

    address: str


class SegmentReady(Struct, frozen=True, gc=False):
    """A segment can be used; all its pages are there."""

    name: str
    size: int


class SegmentFailed(Struct, frozen=True, gc=False):
    """A segment can't be made. ``reason`` is for people: no space left in /dev/shm, say; ``no_space``: it is that."""

    name: str
    reason: str
    no_space: bool = False


class ExtentWalked(Struct, frozen=True, gc=False):
    """What lies in a dead client's grant (nothing, if its memory can't be read)."""

    grant: int
    objects: list[SealedObject]
