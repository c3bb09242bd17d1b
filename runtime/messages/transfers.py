"""Messages by which an object that lies in one node's memory gets into another's.

Who reads a `Stored` of another node asks its own node manager (`FetchObjects`), which pulls a copy from the one that
has it, chunk by chunk, tells the owner (`raynb.runtime.messages.copies`), and answers where the copy lies.

Pulling. The first chunk is asked for alone; its answer says that the holder sends now, and under which grant the object
was made. What was asked for is kept by the holder, whatever becomes of the object, until `PullEnded`. A holder sends an
object to a few at a time; who comes later waits, and is then served, or sent to one that has it by then: so among many
readers a tree forms.

Evicting. Copies are what goes first when a store is full. Who may view some is asked (`EvictCopies`), and makes no new
views of those that it does not name in its answer. A copy that its owner wants to make the primary is kept from then on
(`KeepCopies`): only after the answer may others read it as such.
"""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages.values import Failed, Stored

LOST = "lost"
"""``Failed.kind`` of what can't be had from where it was said to be. The owner is asked then; nobody raises it."""


class FetchObjects(Struct, array_like=True, gc=False, tag=220):
    """Client -> its node manager: have these here. Answered by `ObjectsFetched` when all are, or can't be.

    ``together``: room is taken for all of them at once or for none, for nothing is done before all are here (the
    arguments of a task)."""

    request: int
    wanted: list[Stored]
    together: bool = False


class ObjectsFetched(Struct, array_like=True, gc=False, tag=221):
    """Node manager -> client, in the order of `FetchObjects`: where they lie in this node, or why they don't.

    The copies stay until the client says, asked by `EvictCopies`, that it does not hold them."""

    request: int
    values: list[Stored | Failed]


class StopFetching(Struct, array_like=True, gc=False, tag=222):
    """Client -> its node manager: it waits for this no longer. What is under way may still arrive.

    A request that was not answered before is answered by an empty `ObjectsFetched`."""

    request: int


class PullChunk(Struct, array_like=True, gc=False, tag=223):
    """Node manager -> the one that has the object: send ``size`` bytes from ``offset`` on.

    Attributes
    ----------
    grant
        As the first chunk said; 0 in the request for that one.
    segment, at
        In that request, to the primary's holder: where the object lies. Its writer may not have told of it yet.
    """

    oid: bytes
    grant: int
    offset: int
    size: int
    segment: str = ""
    at: int = 0


class ObjectChunk(Struct, array_like=True, gc=False, tag=224):
    """Holder -> who pulls. The bytes travel beside the message, in a frame of their own: see `Transport.send`."""

    oid: bytes
    grant: int
    offset: int
    note: str = ""
    data: memoryview = memoryview(b"")


class NotThere(Struct, array_like=True, gc=False, tag=225):
    """Holder -> who pulls: it has no such object (any more)."""

    oid: bytes
    grant: int


class TryAnother(Struct, array_like=True, gc=False, tag=226):
    """Holder -> who waits for the first chunk: this node manager has it by now, and has less to do."""

    oid: bytes
    holder: str


class PullEnded(Struct, array_like=True, gc=False, tag=227):
    """Who pulls -> holder: it needs no more of this object. ``whole``: it can send it to others now."""

    oid: bytes
    grant: int
    whole: bool = False


class EvictCopies(Struct, array_like=True, gc=False, tag=228):
    """Node manager -> those of its clients that got these copies. Answered by `CopiesHeld`."""

    round: int
    oids: list[bytes]


class CopiesHeld(Struct, array_like=True, gc=False, tag=229):
    """Client -> node manager: of the copies that it was asked about it views these, or is about to."""

    round: int
    oids: list[bytes]
