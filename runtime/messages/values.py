"""How a value travels: inside a message, as a place in shared memory, or as the reason why there is none.

A reference to an object that stays behind in another process is a `RefInfo`; whoever receives one and keeps it
must have registered with its owner (`AddBorrower`) before whoever sent it lets go of it.
"""

from __future__ import annotations

from msgspec import Struct


class RefInfo(Struct, array_like=True, frozen=True, gc=False):
    """An object and the address of the process that owns it."""

    oid: bytes
    owner: str


class Inline(Struct, array_like=True, frozen=True, gc=False, tag=0):
    """A small value, complete.

    ``data`` is a pickle of protocol 5, ``buffers`` its out-of-band buffers, ``refs`` the references inside it.
    """

    data: bytes
    buffers: list[bytes] | None = None
    refs: list[RefInfo] | None = None


class Stored(Struct, array_like=True, frozen=True, gc=False, tag=1):
    """A value in the shared memory of one node: an extent of a segment, that begins with its object header.

    Attributes
    ----------
    oid, owner
        As in `RefInfo`: a view of the memory counts as a reference to this object.
    node
        Address of the node manager whose memory it is.
    segment
        Name of the segment, without the session's prefix.
    offset, size
        Where the extent lies in the segment, in bytes, header included.
    """

    oid: bytes
    owner: str
    node: str
    segment: str
    offset: int
    size: int
    refs: list[RefInfo] | None = None


class Failed(Struct, array_like=True, frozen=True, gc=False, tag=2):
    """There is no value, and this is why.

    Attributes
    ----------
    kind
        Name of the class in `raynb.runtime.messages.errors` that ``get`` raises.
    message
        For the reader: what happened and what to do.
    cause
        Pickle of the user's own exception (for ``RayTaskError``), else empty.
    """

    kind: str
    message: str
    cause: bytes = b""


class Local(Struct, array_like=True, frozen=True, gc=False, tag=3):
    """A dependency that the receiving worker itself computes earlier in the same queue.

    A worker that no longer has it returns the task unstarted (`TasksReturned`), it never waits for it.
    """

    oid: bytes


Value = Inline | Stored | Failed

NOTHING = Inline(b"\x80\x05N.")
"""The value None."""

Dependency = Inline | Stored | Failed | Local
