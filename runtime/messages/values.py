"""How a value travels: inside a message, as a place in shared memory, or as the reason why there is none.

A reference to an object that stays behind in another process is a `RefInfo`; whoever receives one and keeps it
must have registered with its owner (`AddBorrower`) before whoever sent it lets go of it.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct


class RefInfo(Struct, array_like=True, frozen=True, gc=False):
    """An object and the address of the process that owns it."""

    oid: bytes
    owner: str


class ValueKind(Struct, array_like=True, frozen=True, gc=False):
    """What a value is, for people.

    Attributes
    ----------
    type
        With its package, but for builtins: ``numpy.ndarray``, ``list``.
    shape
        Of an array or a table (rows, columns); (length,) of a container or a text. None where there is none, or it
        isn't known.
    dtype
        Of an array.
    """

    type: str
    shape: tuple[int, ...] | None = None
    dtype: str = ""

    def __str__(self) -> str:
        if self.shape is None:
            return self.type
        if len(self.shape) == 1 and not self.dtype:
            return f"{self.type} of {self.shape[0]:,}"
        shown = f"({', '.join(map(str, self.shape))}{',' * (len(self.shape) == 1)})"
        return f"{self.type} {shown} {self.dtype}".rstrip()


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
    kind
        What it is, as its writer saw it; None where nobody said.
    """

    oid: bytes
    owner: str
    node: str
    segment: str
    offset: int
    size: int
    refs: list[RefInfo] | None = None
    kind: ValueKind | None = None


class Failed(Struct, array_like=True, frozen=True, gc=False, tag=2):
    """There is no value, and this is why.

    Attributes
    ----------
    kind
        Name of the class in `raynb.runtime.messages.errors` that ``get`` raises.
    message
        For the reader: what happened and what to do.
    cause
        Pickle of the user's own exception (for ``RayTaskError``), or of the error of what was cancelled while it ran;
        else empty.
    actor, constructor
        Of an actor's death: which one's, and whether its constructor raised.
    about
        Of an actor's death: what else is known of it, a line for each, as ``pid: 17``.
    through
        What this was an input of, and so did not run; empty: nothing, or it is the user's own error.
    asked_for
        Of an actor's death: the call that gets this has run, and ended the actor itself.
    """

    kind: str
    message: str
    cause: bytes = b""
    actor: bytes = b""
    constructor: bool = False
    through: str = ""
    about: str = ""
    asked_for: bool = False

    def as_input_of(self, name: str) -> Failed:
        """The outcome of what it was an input of. The user's own errors go through as they are."""
        if self.through or self.kind == "RayTaskError":
            return self
        return msgspec.structs.replace(self, through=name, asked_for=False)


class Local(Struct, array_like=True, frozen=True, gc=False, tag=3):
    """A dependency that the receiving worker itself computes earlier in the same queue.

    A worker that no longer has it returns the task unstarted (`TasksReturned`), it never waits for it.
    """

    oid: bytes


Value = Inline | Stored | Failed


def size_of(value: Value | None) -> int:
    """Bytes of a value as it lies in memory or in the store."""
    if type(value) is Inline:
        return len(value.data) + sum(map(len, value.buffers or ()))
    return value.size if type(value) is Stored else 0


NOTHING = Inline(b"\x80\x05N.")
"""The value None."""

Dependency = Inline | Stored | Failed | Local


def about_actor(class_name: str, pid: int, name: str, namespace: str, ip: str = "") -> str:
    """What is known of an actor, for `Failed.about`."""
    known = {"class_name": class_name, "pid": pid, "name": name, "namespace": namespace, "ip": ip}
    return "\n".join(f"{what}: {value}" for what, value in known.items() if value)
