"""Places for a state store that tests can crash, damage and turn back: what the conformance suite
and the adapters' own tests run on.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from raynb.runtime.adapters.processes import children
from raynb.runtime.adapters.redis_server import USER, RedisServer, server_password
from raynb.runtime.adapters.redis_store import RedisStateStore
from raynb.runtime.adapters.redis_wire import UnixWire
from raynb.runtime.adapters.sqlite_store import SqliteStateStore
from raynb.runtime.ports.fake_state_store import FakeDisk, FakeStateStore
from raynb.runtime.ports.state_store import StateStore

CLUSTER = "test"


def soon(seconds: float = 10.0) -> float:
    """A deadline."""
    return time.monotonic() + seconds


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """A private directory with a path short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="rt", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """What is inside must leave no descriptor, thread or child process."""
    before = has()
    yield

    left = {kind: more for kind, now in has().items() if (more := now - before[kind])}
    assert not left, f"left behind: {left}"


def has() -> dict[str, set[object]]:
    """What this process has."""
    return {
        "descriptors": set(descriptors().items()),
        "threads": set(threading.enumerate()),
        "processes": set(children()),
    }


def descriptors() -> dict[str, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found[name] = os.readlink(f"/proc/self/fd/{name}")
    return found


class Backend(Protocol):
    """What outlives a store, and the accidents that can happen to it."""

    def open(self) -> StateStore:
        """A new incarnation's store."""
        ...

    def crash(self) -> None:
        """Kill what can be killed, and make it ready again."""
        ...

    def damage(self, table: str, key: bytes) -> None:
        """Turn one bit of a row."""
        ...

    def remember(self) -> None:
        """Keep what is stored now, for `turn_back`."""
        ...

    def turn_back(self) -> None:
        """Make it hold what it held at `remember`."""
        ...


class FakeBackend:
    def __init__(self) -> None:
        self.disk = FakeDisk()
        self._remembered = 0

    def open(self) -> StateStore:
        return FakeStateStore(self.disk)

    def crash(self) -> None:
        pass

    def damage(self, table: str, key: bytes) -> None:
        self.disk.damage(table, key)

    def remember(self) -> None:
        self._remembered = self.disk.batches

    def turn_back(self) -> None:
        self.disk.lose_last(self.disk.batches - self._remembered)


class SqliteBackend:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "state.sqlite"
        self._remembered: dict[str, list[tuple[Any, ...]]] = {}

    def open(self) -> StateStore:
        return SqliteStateStore(self.path)

    def crash(self) -> None:
        pass

    @contextlib.contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.path)) as database, database:
            yield database

    def damage(self, table: str, key: bytes) -> None:
        with self.database() as database:
            where = (table, key)
            query = "SELECT record FROM state WHERE name = ? AND key = ?"
            ((record,),) = database.execute(query, where).fetchall()
            change = "UPDATE state SET record = ? WHERE name = ? AND key = ?"
            assert database.execute(change, (flipped(record), *where)).rowcount == 1

    def remember(self) -> None:
        with self.database() as database:
            self._remembered = {
                table: database.execute(f"SELECT * FROM {table}").fetchall() for table in ("state", "counters")
            }

    def turn_back(self) -> None:
        with self.database() as database:
            for table, rows in self._remembered.items():
                database.execute(f"DELETE FROM {table}")
                marks = ", ".join("?" * len(rows[0])) if rows else ""
                database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


class RedisBackend:
    """A private server, in front of which stands raynb's own wire, or redis-py."""

    def __init__(self, directory: Path, through_library: bool) -> None:
        self.directory = directory
        self.through_library = through_library
        self.server = RedisServer(directory / "redis", CLUSTER)
        self.start()

    def start(self) -> None:
        self.server.start(soon())
        self.server.wait_ready(soon())

    def open(self, call_timeout_s: float = 10.0) -> RedisStateStore:
        if not self.through_library:
            return RedisStateStore.private(self.server.directory, CLUSTER, call_timeout_s=call_timeout_s)
        url = f"unix://{USER}:{server_password(self.server.directory)}@{self.server.socket}"
        witness = self.directory / "witness"
        return RedisStateStore.at(url, CLUSTER, witness=witness, call_timeout_s=call_timeout_s)

    def kill(self) -> None:
        process = self.server.process
        assert process is not None
        process.signal(signal.SIGKILL)
        assert process.wait(10.0) is not None

    def crash(self) -> None:
        self.kill()
        self.start()

    def damage(self, table: str, key: bytes) -> None:
        name = f"{self.server.prefix}t:{table}"
        with contextlib.closing(self.wire()) as wire:
            (record,) = wire.exchange([("HSCAN", name, 0, "COUNT", 1000)], soon())
            assert isinstance(record, list) and isinstance(record[1], list)
            fields = dict(zip(record[1][::2], record[1][1::2], strict=True))
            row = fields[key]
            assert isinstance(row, bytes)
            assert wire.exchange([("HSET", name, key, flipped(row))], soon()) == [0]

    def wire(self) -> UnixWire:
        return UnixWire(self.server.socket, USER, server_password(self.server.directory), soon())

    def files(self) -> list[Path]:
        """The append-only files."""
        return sorted([*self.server.directory.glob("*.aof"), *self.server.directory.glob("appendonlydir/*.aof")])

    def remember(self) -> None:
        self._remembered = {path: path.read_bytes() for path in self.files()}

    def turn_back(self) -> None:
        self.kill()
        for path, content in self._remembered.items():
            path.write_bytes(content)
        self.start()

    def stop(self) -> None:
        self.server.process.signal(signal.SIGCONT) if self.server.process else None
        self.server.process.signal(signal.SIGKILL) if self.server.process else None
        self.server.stop()


def flipped(record: bytes) -> bytes:
    return record[:-1] + bytes([record[-1] ^ 1])


@contextlib.contextmanager
def backend(kind: str) -> Iterator[Backend]:
    """One of ``fake``, ``sqlite``, ``redis`` and ``redis by redis-py``; nothing is left of it."""
    with short_directory() as directory, nothing_left():
        if kind == "fake":
            yield FakeBackend()
        elif kind == "sqlite":
            yield SqliteBackend(directory)
        else:
            redis = RedisBackend(directory, through_library="redis-py" in kind)
            try:
                yield redis
            finally:
                redis.stop()
