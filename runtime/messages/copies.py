"""Messages about objects that lie in several nodes' memory, and about those that are there no more.

The owner keeps the directory of its objects: a value's *primary* (the `Stored` that the task's result or the put told)
and its copies in other nodes. What becomes of a value when a node is gone, the owner alone decides: a copy takes the
primary's place, or the task that made it runs again, or its readers get an error.
"""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages.values import Stored


class CopyAdded(Struct, array_like=True, gc=False, tag=240):
    """Node manager -> owner, before it answers whoever asked for the copies: these lie in this node, too.

    An owner that has let one go already answers with `FreeObjects`."""

    copies: list[Stored]


class CopyDropped(Struct, array_like=True, gc=False, tag=241):
    """Node manager -> owner: this node's copies of these are gone. It never drops the primary."""

    oids: list[bytes]


class ValuesLost(Struct, array_like=True, gc=False, tag=242):
    """Reader -> whoever it has the values from: they can't be had from where these say they are. So it says a borrower
    to the owner, and a worker to a task's submitter (just before it returns the task unstarted).

    Each is answered by an `ObjectValues`, as a `PullObjects` is: now, or once there is another value or an error."""

    values: list[Stored]
    why: str = ""
    """As a part of a sentence, where more is known of it than that they are not there."""


class CopiesDamaged(Struct, array_like=True, gc=False, tag=246):
    """Client -> its node manager: these copies, which it made here, are not what they should be. They are fetched anew
    for whoever asks from now on."""

    copies: list[Stored]


class KeepCopies(Struct, array_like=True, gc=False, tag=243):
    """Owner -> node manager that told of copies: they are needed. From now on it drops none that it has; only the owner
    frees them. Idempotent; repeated until it is answered by `CopiesKept`."""

    oids: list[bytes]


class CopiesKept(Struct, array_like=True, gc=False, tag=244):
    """Node manager -> owner: ``kept`` are there and stay, ``gone`` are not there any more."""

    kept: list[bytes]
    gone: list[bytes]


class LocateObjects(Struct, array_like=True, gc=False, tag=245):
    """Client -> owner: where are these? Answered by a `Reply` with a `Location` for each, as it is known now."""

    request: int
    oids: list[bytes]


class Location(Struct, array_like=True, frozen=True):
    """Where one object is: the addresses of the managers of the nodes that have it (none: it has no value), its size in
    bytes, and whether its primary is on disk."""

    nodes: list[str]
    size: int = 0
    spilled: bool = False
