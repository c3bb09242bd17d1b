"""The state store on SQLite: for machines where no Redis server can be had.

One file with a write-ahead log, every commit fsynced (``synchronous=FULL``). Epochs and batches
are counted inside the transactions, so the database's own lock does the fencing.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from raynb.runtime.adapters.witness import Witness
from raynb.runtime.ports.state_record import seal, unseal
from raynb.runtime.ports.state_store import (
    Loaded,
    StaleEpochError,
    StateLostError,
    StateStoreError,
    StateStoreUnavailableError,
    Write,
    check_table,
    net_writes,
)

T = TypeVar("T")

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS state (name TEXT, key BLOB, record BLOB, PRIMARY KEY (name, key)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID",
    "INSERT OR IGNORE INTO counters VALUES ('epoch', 0), ('batches', 0)",
)


class SqliteStateStore:
    """Keeps to the rules of `raynb.runtime.ports.state_store` in one file.

    Parameters
    ----------
    path : Path
        The database, made (0600) if it is not there; a symlink is refused. Its directory must be
        the user's own, and on a local disk.
    call_timeout_s : float
        How long a call may wait for another process's transaction.

    Raises
    ------
    StateStoreError
        It can't be opened, or is no database.
    """

    def __init__(self, path: Path, *, call_timeout_s: float = 10.0) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._epoch: int | None = None
        self._losses: list[str] = []
        self._closed = False
        try:
            # Made here, for SQLite would make it with the umask's mode; its -wal follows this one.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(path, flags, 0o600))
            self._witness = Witness(path.with_name(path.name + ".witness"))
        except OSError as error:
            raise StateStoreError(f"can't open the state store {path}: {error}") from error
        self._acknowledged = self._witness.read().batches
        self._database = sqlite3.connect(path, timeout=call_timeout_s, isolation_level=None, check_same_thread=False)
        try:
            self._call(self._prepare)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<SqliteStateStore {self.path} epoch={self._epoch}>"

    def next_epoch(self) -> int:
        def take() -> int:
            with self._transaction():
                self._find_losses()
                epoch = max(self._counter("epoch"), self._witness.read().epoch) + 1
                self._count("epoch", epoch)
            return epoch

        with self._lock:
            self._epoch = self._call(take)
            self._witness.write(self._epoch, self._acknowledged)
            return self._epoch

    def apply(self, writes: Sequence[Write]) -> None:
        net = net_writes(writes)
        with self._lock:
            epoch = self._epoch
            if epoch is None:
                raise StateStoreError("take an epoch with next_epoch() before writing")
            if not self._call(lambda: self._commit(epoch, net)):
                self._epoch = None
                raise StateLostError(f"{self._losses[-1]}: take a new epoch and write all tables anew")
            self._witness.write(epoch, self._acknowledged)

    def load(self, table: str) -> Loaded:
        check_table(table)
        loaded = Loaded([], [])
        with self._lock:
            self._call(lambda: self._read(table, loaded))
            if loaded.damaged:
                self._losses.append(f"{len(loaded.damaged)} rows of table {table} are damaged and left out")
        return loaded

    def losses(self) -> Sequence[str]:
        return tuple(self._losses)

    def describe(self) -> str:
        return f"SQLite {sqlite3.sqlite_version} in {self.path} (every commit fsynced)"

    def close(self) -> None:
        with self._lock, suppress(sqlite3.Error):
            self._closed = True
            self._database.close()
            self._witness.close()

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        with self._transaction():
            for statement in _SCHEMA:
                self._database.execute(statement)

    def _commit(self, epoch: int, net: dict[str, dict[bytes, bytes | None]]) -> bool:
        """Write a batch; False if earlier ones turn out to be missing."""
        with self._transaction():
            current = self._counter("epoch")
            if current > epoch:
                raise StaleEpochError(f"epoch {epoch} is over, another GCS writes in epoch {current}: stop this one")
            if self._find_losses():
                return False
            if current < epoch:
                self._losses.append(f"{self.path} went back from epoch {epoch} to {current}")
                return False
            if not net:
                return True
            for table, rows in net.items():
                self._database.executemany(
                    "INSERT OR REPLACE INTO state VALUES (?, ?, ?)",
                    ((table, k, seal(epoch, table, k, v)) for k, v in rows.items() if v is not None),
                )
                self._database.executemany(
                    "DELETE FROM state WHERE name = ? AND key = ?",
                    ((table, k) for k, v in rows.items() if v is None),
                )
            batches = self._acknowledged + 1
            self._count("batches", batches)
        self._acknowledged = batches
        return True

    def _read(self, table: str, loaded: Loaded) -> None:
        rows = self._database.execute("SELECT key, record FROM state WHERE name = ? ORDER BY key", (table,))
        try:
            for key, sealed in rows:
                record = unseal(table, bytes(key), bytes(sealed))
                if record is None:
                    loaded.damaged.append(bytes(key))
                else:
                    loaded.rows.append((bytes(key), record.value))
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise
            # A page of the file is damaged: what came before it is sound.
            self._losses.append(f"the rest of table {table} can't be read: {error}")

    def _find_losses(self) -> bool:
        """Whether batches are missing that were acknowledged. Also takes up what another wrote."""
        batches = self._counter("batches")
        missing = self._acknowledged - batches
        if missing > 0:
            self._losses.append(f"{self.path} has lost its last {missing} batches, which had been acknowledged")
        self._acknowledged = batches
        return missing > 0

    def _counter(self, name: str) -> int:
        row = self._database.execute("SELECT number FROM counters WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def _count(self, name: str, number: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO counters VALUES (?, ?)", (name, number))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit at the end, roll back at any exception, an interrupt's too."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _call(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise StateStoreError("this store is closed: open another")
        try:
            return work()
        except sqlite3.OperationalError as error:
            # The low byte: the rest of the code tells kinds of busy apart.
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StateStoreUnavailableError(
                    f"{self.path} is locked by another process: repeat the call"
                ) from error
            raise StateStoreError(f"{self.path}: {error}. Is its disk full?") from error
        except sqlite3.Error as error:
            raise StateStoreError(
                f"{self.path} can't be used: {error}. Remove it to begin without its state."
            ) from error
