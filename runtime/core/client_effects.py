"""Events and effects that only the client machine has."""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages import Message
from raynb.runtime.messages.values import Failed


class Frames(Struct, frozen=True, gc=False):
    """Event: messages that arrived together, as (sender, message)."""

    received: list[tuple[str, Message]]


class Blocked(Struct, frozen=True, gc=False):
    """Effect: a thread of this process waits (or goes on). A worker's executor then gives its unstarted tasks back.

    ``briefly``: perhaps for no longer than it takes to ask, for all that it waits for is of other processes.
    """

    blocked: bool
    briefly: bool = False


class Notice(Struct, frozen=True, gc=False):
    """Effect: tell the person something once (an infeasible demand, say)."""

    text: str


class Unhandled(Struct, frozen=True, gc=False):
    """Effect: a task failed, and nobody has looked at that, or can any more. ``cell`` as in `ContextDef`."""

    failure: Failed
    cell: str
    name: str


class Retried(Struct, frozen=True, gc=False):
    """Effect: an attempt of a task failed, and it is tried again. ``left``: how often it may be, this time included;
    negative: always."""

    failure: Failed
    left: int
    cell: str
    name: str


class OutOfScope(Struct, frozen=True, gc=False):
    """Effect: this process has let an object go, or given it up, whose end was to be told."""

    oid: bytes


class Foreign(Struct, frozen=True, gc=False):
    """Effect: a message that is not for the client machine (a worker's executor, the output router)."""

    sender: str
    message: Message


class Forget(Struct, frozen=True, gc=False):
    """Effect: this process is dead; whatever it still sends is refused."""

    address: str
