"""Effects and events that only the GCS has.

Its host carries effects out in order, with one exception that the machine counts on: `Persist` goes to a thread of its
own. Persists are applied in the order of their tokens, several at once where that is faster, and each comes back as one
`Persisted` or `PersistFailed`, in that order too. The host retries on its own while the store is away.
"""

from __future__ import annotations

from msgspec import Struct


class Write(Struct, frozen=True, gc=False):
    """Set a key of a table; ``value`` None deletes it."""

    table: str
    key: bytes
    value: bytes | None


class Persist(Struct, frozen=True, gc=False):
    """Make these writes durable, all or none, then answer with the token."""

    token: int
    writes: tuple[Write, ...]


class Persisted(Struct, frozen=True, gc=False):
    """Event: everything up to and including this token is durable."""

    token: int


class PersistFailed(Struct, frozen=True, gc=False):
    """Event: the store refused these writes for good; nothing of them was done."""

    token: int
    reason: str


class Loaded(Struct, frozen=True, gc=False):
    """Event, the first one: what the store holds.

    Attributes
    ----------
    rows
        (table, key, value), in any order.
    damaged
        For people: records that could not be read, which are lost.
    """

    rows: list[tuple[str, bytes, bytes]]
    damaged: list[str]


class StoreLost(Struct, frozen=True, gc=False):
    """Event: the store has lost rows that it had acknowledged; all tables must be written anew."""

    reason: str


class ProcessEnded(Struct, frozen=True, gc=False):
    """Event: the kernel says that a process named by `WatchProcess` is gone."""

    address: str
    pid: int
    reason: str


class Malformed(Struct, frozen=True, gc=False):
    """Event: a peer sent what is not a message; it is not listened to any more."""

    sender: str
    reason: str


class WatchProcess(Struct, frozen=True, gc=False):
    """A node manager of this host: tell by `ProcessEnded` when it ends. The host ignores pids of other hosts."""

    address: str
    pid: int
    hostname: str


class ForgetPeer(Struct, frozen=True, gc=False):
    """This process is dead: drop what is queued for it, refuse what may still come of it."""

    address: str


class Say(Struct, frozen=True, gc=False):
    """A line for the log. ``level``: info | warning | error."""

    level: str
    text: str
