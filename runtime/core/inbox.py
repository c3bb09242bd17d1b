"""What the user's threads tell the client machine. They append these to one queue; its order is what keeps counts
right.

Two kinds of items are not wrapped, for they are by far the most: a `Task` is a submission (its return values' entries
begin with one local reference each), and plain ``bytes`` are an object id one local reference to which is gone.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from raynb.runtime.core.task import Task
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages import Message
from raynb.runtime.messages.values import RefInfo, Stored, Value


class Inbox(Struct, frozen=True, gc=False):
    """Event: everything that the user's threads have said since the last one, in order."""

    items: list[object]


class Retain(Struct, frozen=True, gc=False):
    """One more reference to an object; ``owner`` is empty if this process is known to have an entry for it."""

    oid: bytes
    owner: str = ""
    view: bool = False
    """It is a view of the value in shared memory, and ends with a `LetViewGo`."""


class PutValue(Struct, frozen=True, gc=False):
    """A value made here, with one local reference."""

    oid: bytes
    value: Value
    note: str = ""
    site: Any = None
    """Where in the program; `OwnRows.site_of` reads it."""


class LostValue(Struct, frozen=True, gc=False):
    """A thread could not have this value from its place; whoever wants the object waits for another."""

    value: Stored
    why: str = ""
    """As a part of a sentence, where more is known of it."""


class HeldBy(Struct, frozen=True, gc=False):
    """By object: the names of this process's notebook that hold it, as of a cell's end; and what that is called."""

    names: dict[bytes, list[str]]
    notebook: str = ""


class WaitFor(Struct, frozen=True, gc=False):
    """Wake the waiter when enough of these have settled."""

    waiter: Waiter
    oids: list[bytes]
    blocking: bool = True
    """Whether a thread stands still for it: a worker then gives its CPU back."""


class StopWaiting(Struct, frozen=True, gc=False):
    """The thread has given up, or goes on."""

    waiter: Waiter
    oids: list[bytes]


class WaitForItem(Struct, frozen=True, gc=False):
    """Wake the waiter when a generator has this item, or has ended."""

    waiter: Waiter
    task_id: bytes
    index: int
    blocking: bool = False
    """As in `WaitFor`. Ended by a `StopWaiting` with the generator's own object."""


class TakeItem(Struct, frozen=True, gc=False):
    """The consumer has a reference to this item now."""

    task_id: bytes
    index: int


class PeekItem(Struct, frozen=True, gc=False):
    """The consumer has a reference to this item, which may never come, and has not taken it."""

    task_id: bytes
    index: int


class TakePeeked(Struct, frozen=True, gc=False):
    """The consumer has taken these items, as far as they have come; what peeked at them holds them from now on."""

    task_id: bytes
    first: int
    count: int


class CloseStream(Struct, frozen=True, gc=False):
    """The consumer has let a generator go; ``cancel``: what still runs of it is to stop."""

    task_id: bytes
    cancel: bool = True


class HandOff(Struct, frozen=True, gc=False):
    """A worker's result contains references: hold them until the receiver says that it has registered."""

    to: str
    seq: int
    refs: list[RefInfo]


class Outgoing(Struct, frozen=True, gc=False):
    """Send a message; ``guarded``: not before references registered by it are acknowledged."""

    to: str
    message: Message
    guarded: bool = False


class CancelObject(Struct, frozen=True, gc=False):
    """Cancel the task that makes this object."""

    oid: bytes
    owner: str
    force: bool
    recursive: bool


class CancelCell(Struct, frozen=True, gc=False):
    """Cancel the unfinished tasks of one run of a notebook cell."""

    cell: str


class KillByHandle(Struct, frozen=True, gc=False):
    """End an actor's process; calls made from here afterwards wait for what becomes of it."""

    actor_id: bytes
    no_restart: bool


class Ask(Struct, frozen=True, gc=False):
    """A request whose message has a field ``request`` that the reply repeats. ``answer`` is woken with it."""

    to: str
    message: Message
    answer: Answer | None


class Answer:
    """Where a reply is put; ``waiter.needed`` is 0 when it is there."""

    __slots__ = ("reply", "waiter")

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter
        self.reply: Message | None = None


class AskWhy(Struct, frozen=True, gc=False):
    """Why has an object no value? ``answer`` gets what this process knows, as if its owner had been asked."""

    oid: bytes
    answer: Answer


class StopAsking(Struct, frozen=True, gc=False):
    """Nobody waits for this answer any more."""

    answer: Answer


class NodeManagerDied(Struct, frozen=True, gc=False):
    """Event: the node manager's process is gone, and with it the node."""

    reason: str


__all__ = [
    "Answer",
    "Ask",
    "AskWhy",
    "CancelCell",
    "CancelObject",
    "CloseStream",
    "HandOff",
    "HeldBy",
    "Inbox",
    "KillByHandle",
    "LostValue",
    "NodeManagerDied",
    "Outgoing",
    "PeekItem",
    "PutValue",
    "Retain",
    "StopAsking",
    "StopWaiting",
    "TakeItem",
    "TakePeeked",
    "Task",
    "WaitFor",
    "WaitForItem",
]
