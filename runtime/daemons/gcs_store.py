"""The thread that makes the GCS's writes durable: all that has gathered since the last time in one batch.

Rules
-----
* Batches are applied in the order in which they were given, each until the store has taken or refused it. While the
  store is away it is tried again and again; how long a request waits for that is the machine's to say.
* A batch that is refused as a whole is tried write by write, so that one culprit doesn't take others with it.
* Losing an epoch to a newer GCS is the end: `StoreThread.fatal` says so, and nothing more is written.
* If the store has lost what it had acknowledged, a new epoch is taken and the machine told to write everything anew.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from raynb.runtime.adapters.redis_store import RedisStateStore
from raynb.runtime.adapters.sqlite_store import SqliteStateStore
from raynb.runtime.core.gcs_effects import Loaded, Persist, Persisted, PersistFailed, StoreLost, Write
from raynb.runtime.daemons.log_files import say
from raynb.runtime.messages.gcs import GcsSettings
from raynb.runtime.ports.state_store import (
    StaleEpochError,
    StateLostError,
    StateStore,
    StateStoreError,
    StateStoreUnavailableError,
)

START_PATIENCE_S: Final = 60.0
"""So long a starting GCS waits for its store; then it exits, and is started again by the node manager."""
RETRY_S: Final = 0.02
BATCH_BYTES: Final = 64 * 1024 * 1024
BATCH_WRITES: Final = 50_000
CALL_TIMEOUT_S: Final = 5.0

T = TypeVar("T")
StoreEvent = Persisted | PersistFailed | StoreLost


def open_store(settings: GcsSettings) -> StateStore:
    """The store that the settings name.

    Raises
    ------
    StateStoreError, OSError, ValueError
        It can't be opened (yet).
    """
    if settings.redis_directory:
        directory = Path(settings.redis_directory)
        return RedisStateStore.private(directory, settings.cluster_id, call_timeout_s=CALL_TIMEOUT_S)
    if settings.redis_url:
        witness = Path(settings.session_dir) / "witness"
        return RedisStateStore.at(
            settings.redis_url, settings.cluster_id, witness=witness, call_timeout_s=CALL_TIMEOUT_S
        )
    if settings.sqlite_path:
        return SqliteStateStore(Path(settings.sqlite_path), call_timeout_s=CALL_TIMEOUT_S)
    raise ValueError("the settings name no state store")


def begin(settings: GcsSettings, tables: Sequence[str]) -> tuple[StateStore, int, Loaded]:
    """Open the store, take an epoch, read all tables.

    Raises
    ------
    StateStoreError, OSError, ValueError
        After `START_PATIENCE_S`, or for good.
    """
    deadline = time.monotonic() + START_PATIENCE_S
    store = _patiently(lambda: open_store(settings), deadline)
    epoch = _patiently(store.next_epoch, deadline)
    rows: list[tuple[str, bytes, bytes]] = []
    for table in tables:
        loaded = _patiently(lambda table=table: store.load(table), deadline)  # type: ignore[misc]
        rows += [(table, key, value) for key, value in loaded.rows]
    return store, epoch, Loaded(rows, list(store.losses()))


def _patiently(call: Callable[[], T], deadline: float) -> T:
    while True:
        try:
            return call()
        except (StateStoreUnavailableError, FileNotFoundError) as error:
            # The node manager starts the server at the same time as us.
            if time.monotonic() >= deadline:
                raise
            say("warning", f"the state store is not there yet: {error}")
            time.sleep(RETRY_S * 5)


class StoreThread:
    """Applies `Persist` effects; see the module's rules.

    Parameters
    ----------
    store : StateStore
        With an epoch taken. From now on it is this thread's alone.
    wake : Callable[[], None]
        Called, on this thread, when there is something to `take`.
    """

    def __init__(self, store: StateStore, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        self._queue: deque[Persist] = deque()
        self._work = threading.Condition()
        self._under_way = 0
        self._closing = False
        self._events: deque[StoreEvent] = deque()
        self._losses_told = len(store.losses())
        self.fatal = ""
        self.batches = 0
        self._thread = threading.Thread(target=self._run, name="state-store", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<StoreThread {self._store!r} queued={len(self._queue)} batches={self.batches}>"

    def submit(self, persist: Persist) -> None:
        """Have it made durable; returns at once."""
        with self._work:
            self._queue.append(persist)
            self._work.notify()

    def take(self) -> list[StoreEvent]:
        """What has come of it since the last time."""
        events: list[StoreEvent] = []
        while self._events:
            events.append(self._events.popleft())
        return events

    def close(self, timeout_s: float, *, erase: bool = False) -> bool:
        """Write what is queued, and end. False if that took too long: then some of it may not be durable.

        Parameters
        ----------
        erase
            The cluster is over: a server that is not its own keeps nothing of it.
        """
        with self._work:
            self._closing = True
            self._work.notify()
        self._thread.join(timeout_s)
        done = not self._thread.is_alive()
        if done:
            if erase and isinstance(self._store, RedisStateStore):
                with suppress(StateStoreError):  # a server that is gone has nothing to keep
                    self._store.erase()
            self._store.close()
        return done

    # -- the thread

    def _run(self) -> None:
        while True:
            with self._work:
                while not self._queue and not self._closing:
                    self._work.wait()
                if not self._queue:
                    return
                batch = self._gather()
            for event in self._apply(batch):
                self._events.append(event)
                self._wake()
            if self.fatal:
                self._wake()
                return

    def _gather(self) -> list[Persist]:
        """As much of the queue as is one batch."""
        batch: list[Persist] = []
        size = count = 0
        while self._queue:
            persist = self._queue[0]
            count += len(persist.writes)
            size += sum(len(write.value or b"") for write in persist.writes)
            if batch and (size > BATCH_BYTES or count > BATCH_WRITES):
                break
            batch.append(self._queue.popleft())
        return batch

    def _apply(self, batch: list[Persist]) -> Iterator[StoreEvent]:
        writes = [write for persist in batch for write in persist.writes]
        try:
            for part in _parts(writes):
                lost = self._write(part)
                if lost:
                    yield StoreLost(lost)
                if self.fatal:
                    return
        except (StateStoreError, ValueError) as error:
            if len(batch) == 1:
                yield PersistFailed(batch[0].token, str(error))
            else:
                for persist in batch:
                    yield from self._apply([persist])
            return
        self.batches += 1
        for persist in batch:
            yield Persisted(persist.token)

    def _write(self, writes: list[Write]) -> str:
        """Until it is done. Returns what the store was found to have lost, empty if nothing."""
        lost, told = "", False
        while True:
            try:
                self._store.apply(writes)
                return lost
            except StaleEpochError as error:
                self.fatal = str(error)
                return lost
            except StateLostError as error:
                lost = str(error)
                self._take_epoch()
            except StateStoreUnavailableError as error:
                if not told:
                    say("warning", f"the state store is away, writes wait for it: {error}")
                told = True
                if self._closing:
                    self.fatal = f"the state store stayed away: {error}"
                    return lost
                time.sleep(RETRY_S)

    def _take_epoch(self) -> None:
        while not self._closing:
            try:
                self._store.next_epoch()
                return
            except StateStoreUnavailableError:
                time.sleep(RETRY_S)


def _parts(writes: list[Write]) -> Iterator[list[Write]]:
    """Pieces that a store takes at once: only all tables together are ever more than one."""
    part: list[Write] = []
    size = 0
    for write in writes:
        size += len(write.value or b"")
        if part and (size > 2 * BATCH_BYTES or len(part) >= 2 * BATCH_WRITES):
            yield part
            part, size = [], len(write.value or b"")
        part.append(write)
    yield part
