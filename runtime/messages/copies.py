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
