"""The state store on Redis: a private server's, or one that the user names by URL.

Keys, all below ``raynb:{<cluster>}:``, so that clusters can share a server:

* ``t:<table>``  a hash with the table's sealed rows;
* ``epoch``  the newest GCS incarnation;
* ``batches``  the number of the last batch, written in the same transaction as the batch;
* ``connections``  counts writers' connections.

Fencing needs no scripts. A connection that writes first increments ``connections``, then WATCHes it
and ``epoch``. From then on a batch is one round trip: MULTI ... EXEC does it all or nothing, and
nothing if another took an epoch or connected since. The same round trip sets the next WATCH. So
when an exchange breaks off, the next connection's increment decides it: the batch was done before
that, or never is. That is why an older batch can't overtake a newer one, and why it does no harm to
repeat a batch after any failure.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from raynb.runtime.adapters.redis_server import SOCKET, USER, key_prefix, server_password
from raynb.runtime.adapters.redis_wire import (
    Command,
    LibraryWire,
    NoTimeError,
    RefusedError,
    Reply,
    UnixWire,
    Wire,
    WireError,
)
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
Dial = Callable[[float], Wire]

_FIELDS_MAX: Final = 10_000
_SCAN_COUNT: Final = 512
_RETRY_S: Final = 0.005
_RETRY_S_MAX: Final = 0.2
_PASSING: Final = frozenset({"LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY"})
_ADVICE: Final = {
    "WRONGPASS": "the user or password in its URL is wrong",
    "NOAUTH": "it asks for a password: redis://user:password@host:port",
    "NOPERM": "its ACL user must be allowed the keys raynb:* and hscan, hset, multi, watch etc.",
    "OOM": "it has reached its maxmemory: raise that, or use the embedded server",
    "MISCONF": "it can't write to its disk",
    "MOVED": "it is part of a Redis Cluster, which serves other keys on other hosts: use a single "
    "server or the embedded one",
}


class _LostError(Exception):
    """What the server holds is older than what it acknowledged."""


class RedisStateStore:
    """Keeps to the rules of `raynb.runtime.ports.state_store` on a Redis server. Made by `private`
    or `at`; it connects at the first call.

    Parameters
    ----------
    dial : Callable[[float], Wire]
        Makes a connection, before a deadline.
    name : str
        Of the server, for people; without any secret.
    cluster_id : str
        Whose keys these are.
    durability : str, optional
        What the server promises, for people; else it is asked.
    witness : Path, optional
        A file on this machine that remembers what was acknowledged.
    call_timeout_s : float
        No call lasts longer. Within it a server that is away is waited for.
    """

    def __init__(
        self,
        dial: Dial,
        name: str,
        cluster_id: str,
        *,
        durability: str | None = None,
        witness: Path | None = None,
        call_timeout_s: float = 10.0,
    ) -> None:
        self.name = name
        self.call_timeout_s = call_timeout_s
        self._dial = dial
        self._durability = durability
        self._prefix = key_prefix(cluster_id)
        try:
            self._witness = Witness(witness) if witness else None
        except OSError as error:
            raise StateStoreError(f"can't open {witness}: {error}") from error
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._writable = False
        self._epoch: int | None = None
        self._epoch_max = 0
        self._acknowledged = 0
        if self._witness:
            self._epoch_max, self._acknowledged = self._witness.read()
        self._losses: list[str] = []
        self._closed = False

    @classmethod
    def private(cls, directory: Path, cluster_id: str, *, call_timeout_s: float = 10.0) -> RedisStateStore:
        """On the `RedisServer` of this directory; the witness is in it too.

        Raises
        ------
        StateStoreUnavailableError
            None has been made there yet.
        """
        socket = directory / SOCKET
        try:
            password = server_password(directory)
        except FileNotFoundError as error:
            raise StateStoreUnavailableError(f"there is no redis-server in {directory} yet") from error
        return cls(
            lambda deadline: UnixWire(socket, USER, password, deadline),
            f"{socket} (private server)",
            cluster_id,
            durability="every write fsynced",
            witness=directory / "witness",
            call_timeout_s=call_timeout_s,
        )

    @classmethod
    def at(
        cls,
        url: str,
        cluster_id: str,
        *,
        witness: Path | None = None,
        call_timeout_s: float = 10.0,
    ) -> RedisStateStore:
        """On the user's own server: ``redis://``, ``rediss://`` (TLS) or ``unix://``.

        Raises
        ------
        ValueError
            It is no such URL. The message doesn't repeat it, for its password.
        """
        return cls(
            lambda deadline: LibraryWire(url, deadline),
            _without_secrets(url),
            cluster_id,
            witness=witness,
            call_timeout_s=call_timeout_s,
        )

    def __repr__(self) -> str:
        state = "closed" if self._closed else "connected" if self._wire else "not connected"
        return f"<RedisStateStore {self.name} epoch={self._epoch} {state}>"

    def next_epoch(self) -> int:
        with self._lock:
            self._epoch = None
            self._epoch = self._call(self._take_epoch)
            self._testify()
            return self._epoch

    def apply(self, writes: Sequence[Write]) -> None:
        net = net_writes(writes)
        with self._lock:
            epoch = self._epoch
            if epoch is None:
                raise StateStoreError("take an epoch with next_epoch() before writing")
            commands = self._batch_commands(epoch, net)

            def attempt(deadline: float) -> None:
                wire = self._writable_wire(epoch, deadline)
                if commands:
                    self._write_batch(wire, epoch, commands, deadline)

            try:
                self._call(attempt)
            except _LostError as error:
                self._epoch = None
                words = f"{error}: take a new epoch and write all tables anew"
                raise StateLostError(words) from None
            self._testify()

    def load(self, table: str) -> Loaded:
        check_table(table)
        with self._lock:
            records = self._call(lambda deadline: self._scan(table, deadline))
        loaded = Loaded([], [])
        for key, sealed in sorted(records.items()):
            record = unseal(table, key, sealed)
            if record is None:
                loaded.damaged.append(key)
            else:
                loaded.rows.append((key, record.value))
        if loaded.damaged:
            self._losses.append(f"{len(loaded.damaged)} rows of table {table} are damaged and left out")
        return loaded

    def losses(self) -> Sequence[str]:
        return tuple(self._losses)

    def describe(self) -> str:
        if self._durability is None:
            try:
                with self._lock:
                    self._durability = self._call(self._ask_durability)
            except StateStoreError as error:
                return f"Redis at {self.name} (not reachable: {error})"
        return f"Redis at {self.name} ({self._durability})"

    def erase(self) -> None:
        """Remove all that this cluster has on the server: a user's server must not keep the rests
        of clusters that are no more. Not for a private server, whose directory goes as a whole.
        """
        with self._lock:
            self._call(self._erase)
            self._epoch = None
            self._drop()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._drop()
            if self._witness:
                self._witness.close()

    def _call(self, attempt: Callable[[float], T]) -> T:
        """Try until it works or the time is over; afterwards nothing of it is under way on a
        connection that is used again.
        """
        if self._closed:
            raise StateStoreError("this store is closed: open another")
        deadline = time.monotonic() + self.call_timeout_s
        done = False
        cause: Exception | None = None
        pause = _RETRY_S
        while True:
            try:
                result = attempt(deadline)
                done = True
                return result
            except NoTimeError as error:
                cause = cause or error
            except WireError as error:
                cause = error
            except RefusedError as error:
                if error.code not in _PASSING:
                    advice = _ADVICE.get(error.code, "it must be Redis 6 or later")
                    words = f"{self.name} refused: {error}. Advice: {advice}"
                    raise StateStoreError(words) from error
                cause = error
            finally:
                # Whatever it was, an interrupt too: an answer may still be on its way.
                if not done:
                    self._drop()
            if (left := deadline - time.monotonic()) <= 0:
                raise StateStoreUnavailableError(
                    f"{self.name} did not do it within {self.call_timeout_s:g} s ({cause}): is it "
                    "running, and its disk not full?"
                )
            time.sleep(min(pause, left))
            pause = min(2 * pause, _RETRY_S_MAX)

    def _drop(self) -> None:
        self._writable = False
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _connected(self, deadline: float) -> Wire:
        if self._wire is None:
            self._wire = self._dial(deadline)
        return self._wire

    def _writable_wire(self, epoch: int, deadline: float) -> Wire:
        """A connection whose next EXEC does nothing if another writer has appeared by then."""
        wire = self._connected(deadline)
        if not self._writable:
            current, batches = self._fence(wire, deadline)
            if current > epoch:
                raise StaleEpochError(f"epoch {epoch} is over, another GCS writes in epoch {current}: stop this one")
            missing, self._acknowledged = self._acknowledged - batches, batches
            if missing > 0 or current < epoch:
                raise _LostError(self._note_loss(missing))
            self._writable = True
        return wire

    def _fence(self, wire: Wire, deadline: float) -> tuple[int, int]:
        """Make older connections harmless and watch for newer ones. Returns the server's epoch and
        the number of its last batch.
        """
        replies = wire.exchange([("INCR", self._key("connections")), *self._arm()], deadline)
        return _number(replies[-2]), _number(replies[-1])

    def _arm(self) -> list[Command]:
        epoch, connections = self._key("epoch"), self._key("connections")
        return [("WATCH", epoch, connections), ("GET", epoch), ("GET", self._key("batches"))]

    def _write_batch(self, wire: Wire, epoch: int, commands: list[Command], deadline: float) -> None:
        number = self._acknowledged + 1
        transaction: list[Command] = [
            ("MULTI",),
            *commands,
            ("SET", self._key("batches"), number),
            ("EXEC",),
        ]
        replies = wire.exchange([*transaction, *self._arm()], deadline)
        if replies[len(transaction) - 1] is None:
            raise WireError("another writer came between")
        self._acknowledged = number
        # One may have come after EXEC, before WATCH: then the next call has to find out.
        self._writable = _number(replies[-2]) == epoch

    def _take_epoch(self, deadline: float) -> int:
        wire = self._connected(deadline)
        self._writable = False
        current, batches = self._fence(wire, deadline)
        missing, self._acknowledged = self._acknowledged - batches, batches
        if missing > 0:
            self._note_loss(missing)
        epoch = max(current, self._epoch_max) + 1
        take: list[Command] = [("MULTI",), ("SET", self._key("epoch"), epoch), ("EXEC",)]
        replies = wire.exchange([*take, *self._arm()], deadline)
        if replies[2] is None:
            raise WireError("another writer came between")
        self._epoch_max = epoch
        self._writable = _number(replies[-2]) == epoch
        return epoch

    def _note_loss(self, batches: int) -> str:
        self._losses.append(
            f"{self.name} has lost its last {batches} batches, which had been acknowledged"
            if batches > 0
            else f"{self.name} has lost the epoch that it was in"
        )
        return self._losses[-1]

    def _testify(self) -> None:
        if self._witness and self._epoch is not None:
            self._witness.write(self._epoch, self._acknowledged)

    def _batch_commands(self, epoch: int, net: dict[str, dict[bytes, bytes | None]]) -> list[Command]:
        commands: list[Command] = []
        for table, rows in net.items():
            name = self._key(f"t:{table}")
            puts = [(k, seal(epoch, table, k, v)) for k, v in rows.items() if v is not None]
            deletes = [k for k, v in rows.items() if v is None]
            for at in range(0, len(puts), _FIELDS_MAX):
                some = puts[at : at + _FIELDS_MAX]
                commands.append(("HSET", name, *(part for row in some for part in row)))
            for at in range(0, len(deletes), _FIELDS_MAX):
                commands.append(("HDEL", name, *deletes[at : at + _FIELDS_MAX]))
        return commands

    def _scan(self, table: str, deadline: float) -> dict[bytes, bytes]:
        """All rows, in portions; a row may come twice, and then is the same."""
        rows: dict[bytes, bytes] = {}
        cursor = b"0"
        while True:
            wire = self._connected(deadline)
            command: Command = (
                "HSCAN", self._key(f"t:{table}"), cursor, "COUNT", _SCAN_COUNT,
            )  # fmt: skip
            (reply,) = wire.exchange([command], deadline)
            cursor, fields = _portion(reply)
            rows.update(zip(fields[::2], fields[1::2], strict=True))
            if cursor == b"0":
                return rows

    def _ask_durability(self, deadline: float) -> str:
        """What a user's server promises, as far as it lets us ask."""
        try:
            (reply,) = self._connected(deadline).exchange([("CONFIG", "GET", "append*")], deadline)
        except RefusedError:
            return "it doesn't tell how durable its writes are"
        flat = _strings(reply)
        settings = dict(zip(flat[::2], flat[1::2], strict=True))
        if settings.get(b"appendonly") != b"yes":
            return "appendonly is off: what it acknowledges is lost when it dies"
        policy = settings.get(b"appendfsync", b"").decode(errors="replace")
        if policy == "always":
            return "every write fsynced"
        return f"appendfsync is {policy}: it can lose the last moments when its machine dies"

    def _erase(self, deadline: float) -> None:
        cursor = b"0"
        while True:
            wire = self._connected(deadline)
            (reply,) = wire.exchange(
                [("SCAN", cursor, "MATCH", f"{self._prefix}*", "COUNT", _SCAN_COUNT)],
                deadline,
            )
            cursor, keys = _portion(reply)
            if keys:
                wire.exchange([("UNLINK", *keys)], deadline)
            if cursor == b"0":
                return

    def _key(self, name: str) -> str:
        return self._prefix + name


def _number(reply: Reply) -> int:
    return int(reply) if isinstance(reply, bytes | int) else 0


def _strings(reply: Reply) -> list[bytes]:
    if not isinstance(reply, list):
        raise WireError("a list was expected")
    strings = [one for one in reply if isinstance(one, bytes)]
    if len(strings) != len(reply):
        raise WireError("a list of strings was expected")
    return strings


def _portion(reply: Reply) -> tuple[bytes, list[bytes]]:
    """What SCAN and HSCAN answer: where to go on, and some of what was asked for."""
    if isinstance(reply, list) and len(reply) == 2 and isinstance(reply[0], bytes):
        return reply[0], _strings(reply[1])
    raise WireError("a portion of a scan was expected")


def _without_secrets(url: str) -> str:
    """Scheme, place and database of a URL: nothing of its user, password or query."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError("a Redis URL begins with redis://, rediss:// or unix://")
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"
