"""Durable state: what the GCS must find again after it, or the machine, was killed.

A store holds tables of rows (key and value are bytes) and knows nothing of what they mean. Rules:

* `StateStore.apply` returns when its writes are durable, all of them or none; many in one call are
  one round trip and one fsync, so callers gather what waits.
* Every incarnation of a GCS takes an *epoch* with `StateStore.next_epoch` before it writes. From
  then on the writes of all older incarnations are refused with `StaleEpochError`: one that is
  still alive can't overwrite what its successor wrote.
* What is lost is said aloud. A row that is torn or altered is left out of `StateStore.load` and
  named; a store that holds less than it had acknowledged (cut off, flushed, restored from an old
  copy) says so in `StateStore.losses`, and to a writer by `StateLostError`.
* Calls block, none of them longer than the store's ``call_timeout_s``. A store may be used from
  any thread, by one at a time.

Values come back as they were written, unread: nothing here unpickles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from msgspec import Struct

KEY_BYTES_MAX: Final = 4096
VALUE_BYTES_MAX: Final = 128 * 1024 * 1024
BATCH_BYTES_MAX: Final = 256 * 1024 * 1024
BATCH_WRITES_MAX: Final = 200_000
_TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Write(Protocol):
    """One change: set a key of a table, or delete it where ``value`` is None.

    Tables are named by letters, digits, ``_``, ``.`` and ``-``.
    """

    @property
    def table(self) -> str: ...
    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes | None: ...


class Put(Struct, frozen=True, gc=False):
    """Set a key of a table."""

    table: str
    key: bytes
    value: bytes


class Delete(Struct, frozen=True, gc=False):
    """Remove a key of a table; a key that is not there is no error."""

    table: str
    key: bytes

    @property
    def value(self) -> None:
        return None


class Loaded(Struct, frozen=True):
    """One table.

    Attributes
    ----------
    rows
        Key and value of each sound row, in the order of the keys.
    damaged
        Keys of the rows that could not be read, in order: these are lost.
    """

    rows: list[tuple[bytes, bytes]]
    damaged: list[bytes]


class StateStoreError(RuntimeError):
    """A call failed. Unless a subclass says otherwise it was refused for good, and nothing of it
    was done. The message says what to do.
    """


class StateStoreUnavailableError(StateStoreError):
    """The store did not answer in time. Whether the call was done is not known: repeat it.

    Calls on one store object keep their order whatever happened to earlier ones: what was under
    way when a call gave up is either done before the next call, or never.
    """


class StaleEpochError(StateStoreError):
    """A newer incarnation of the GCS writes here now; this one must stop."""


class StateLostError(StateStoreError):
    """Rows that were acknowledged are missing. Take a new epoch and write all tables anew."""


class StateStore(Protocol):
    """A place for tables that outlives its user. See the rules of this module."""

    def next_epoch(self) -> int:
        """Begin a new incarnation.

        Returns
        -------
        int
            Greater than every epoch taken before, by anybody; 1 at first.
        """
        ...

    def apply(self, writes: Sequence[Write]) -> None:
        """Make all these writes durable, or none. The last one to a key wins.

        Raises
        ------
        StaleEpochError, StateLostError, StateStoreUnavailableError, StateStoreError
            See there.
        ValueError
            A write is beyond the limits of this module.
        """
        ...

    def load(self, table: str) -> Loaded:
        """All rows of a table; an unknown table is empty. Needs no epoch.

        Raises
        ------
        StateStoreUnavailableError, StateStoreError
            See there.
        """
        ...

    def losses(self) -> Sequence[str]:
        """What this store object has found to be lost so far, a sentence each, for people."""
        ...

    def describe(self) -> str:
        """Which store this is and how far its word can be trusted, without any secret."""
        ...

    def close(self) -> None:
        """Let go of it; what was acknowledged stays. Idempotent."""
        ...


def check_table(table: str) -> None:
    """Raise `ValueError` for a name that no store has to take."""
    if not _TABLE.fullmatch(table):
        raise ValueError(f"{table!r} can't name a table: 1 to 64 letters, digits, '_', '.', '-'")


def net_writes(writes: Iterable[Write]) -> dict[str, dict[bytes, bytes | None]]:
    """What a batch comes to: the last value of each key (None: deleted) by table, limits checked.

    Raises
    ------
    ValueError
        A name, key, value or the whole batch is beyond the limits of this module.
    """
    net: dict[str, dict[bytes, bytes | None]] = {}
    size = count = 0
    for write in writes:
        rows = net.get(write.table)
        if rows is None:
            check_table(write.table)
            rows = net[write.table] = {}
        key, value = write.key, write.value
        length = len(value) if value is not None else 0
        if len(key) > KEY_BYTES_MAX or length > VALUE_BYTES_MAX:
            raise ValueError(
                f"a row of table {write.table} is too large for the state store: key "
                f"{len(key):,} bytes (at most {KEY_BYTES_MAX:,}), value {length:,} bytes "
                f"(at most {VALUE_BYTES_MAX:,})"
            )
        rows[key] = value
        size += len(key) + length
        count += 1
    if size > BATCH_BYTES_MAX or count > BATCH_WRITES_MAX:
        raise ValueError(
            f"{count:,} writes of {size:,} bytes are too many for one batch of the state store: "
            f"at most {BATCH_WRITES_MAX:,} and {BATCH_BYTES_MAX:,} bytes"
        )
    return net
