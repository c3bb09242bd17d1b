"""What runs on the head node only: the GCS and its state store. Started, watched, started again, ended.

Killing one leaves the other alone. The GCS comes back at the same address and finds its state in the store; the private
Redis comes back on the same directory, and the GCS connects again by itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

import msgspec

from raynb.runtime.adapters.processes import Process
from raynb.runtime.core.node_effects import GcsStarted
from raynb.runtime.daemons.log_files import open_log, say
from raynb.runtime.daemons.pauses import Pauses
from raynb.runtime.daemons.start_daemon import start_daemon
from raynb.runtime.daemons.worker_processes import Watcher
from raynb.runtime.messages.gcs import GcsSettings

GCS: Final = "raynb.runtime.daemons.gcs"
REDIS_PATIENCE_S: Final = 5.0


class HeadServices:
    """See the module.

    Parameters
    ----------
    session_dir : Path
    address : str
        Of the GCS.
    cluster_id : str
    redis_url : str
        The user's own server; empty: a private one, or SQLite where there is no server to be had.
    config : bytes
        msgpack of the cluster's `Config`.

    Attributes
    ----------
    store_kind, store_address
        ``redis`` or ``sqlite``, and where it is, without any secret.
    """

    def __init__(
        self,
        session_dir: Path,
        address: str,
        cluster_id: str,
        redis_url: str,
        config: bytes,
        post: Callable[[Any], None],
    ) -> None:
        self._session_dir = session_dir
        self.address = address
        self._watcher: Watcher | None = None
        self._post = post
        self.gcs: Process | None = None
        self.gcs_exit = ""
        """How the last one ended, for people; empty if none has."""
        self.redis_exit = ""
        self._gcs_pauses = Pauses()
        self._redis_pauses = Pauses()
        # Here and not above: what it loads is not needed by the nodes that are no head.
        from raynb.runtime.adapters.redis_server import RedisServer, find_server

        directory = session_dir / "redis"
        self._redis: RedisServer | None = None
        settings = GcsSettings(address, str(session_dir), cluster_id, config=config)
        self.store_kind, self.store_address = "redis", ""
        if redis_url:
            settings = msgspec.structs.replace(settings, redis_url=redis_url)
            self.store_address = without_secret(redis_url)
        elif program := find_server():
            log = session_dir / "logs" / "redis.log"
            self._redis = RedisServer(directory, cluster_id, program=program.path, log=log)
            settings = msgspec.structs.replace(settings, redis_directory=str(directory))
            self.store_address = self._redis.address
        else:
            path = directory / "state.sqlite"
            settings = msgspec.structs.replace(settings, sqlite_path=str(path))
            self.store_kind, self.store_address = "sqlite", str(path)
        self._settings = settings

    def __repr__(self) -> str:
        return f"<HeadServices gcs {self.gcs!r}, {self.store_kind} {self.store_address}>"

    @property
    def redis_process(self) -> Process | None:
        return self._redis.process if self._redis is not None else None

    def pids(self) -> set[int]:
        """Whose exits are collected here."""
        return {process.pid for process in (self.gcs, self.redis_process) if process is not None}

    # -- starting

    def start_redis(self) -> None:
        """Start the private server, where there is one, and return at once."""
        if self._redis is not None:
            self._redis_pauses.started(time.monotonic())
            self._redis.start(time.monotonic() + REDIS_PATIENCE_S)

    def watch(self, watcher: Watcher) -> None:
        """From now on both are watched, by this."""
        self._watcher = watcher
        if self.gcs is not None:
            watcher.watch(self.gcs.fileno(), self._on_gcs_exit)
        self._watch_redis()

    def _watch_redis(self) -> None:
        process = self.redis_process
        if process is not None and self._watcher is not None:
            self._watcher.watch(process.fileno(), self._on_redis_exit)

    def start_gcs(self, *, copy: bool = False) -> None:
        """Start the GCS and return at once. ``copy``: see `start_daemon`."""
        source, sink = os.pipe()
        log = open_log(self._session_dir / "logs" / "gcs.log")
        try:
            os.write(sink, msgspec.msgpack.encode(self._settings))
            os.close(sink)
            session = self._session_dir.name
            self.gcs = start_daemon(GCS, [session], stdin=source, log=log, title=f"raynb gcs {session}", copy=copy)
        finally:
            os.close(source)
            os.close(log)
        self._gcs_pauses.started(time.monotonic())
        if self._watcher is not None:
            self._watcher.watch(self.gcs.fileno(), self._on_gcs_exit)
        self._post(GcsStarted())

    # -- watching

    def _on_gcs_exit(self) -> None:
        gcs = self.gcs
        if gcs is None or (status := gcs.collect()) is None:
            return
        assert self._watcher is not None
        self._watcher.unwatch(gcs.fileno())
        gcs.close()
        self.gcs = None
        self.gcs_exit = str(status)
        say("warning", f"the GCS (pid {gcs.pid}) ended: {status}")

    def _on_redis_exit(self) -> None:
        process = self.redis_process
        if process is None or (status := process.collect()) is None:
            return
        assert self._watcher is not None
        self._watcher.unwatch(process.fileno())
        self.redis_exit = str(status)
        say("warning", f"redis-server (pid {process.pid}) ended: {status}")

    def tick(self, now: float) -> None:
        """Start again what is gone."""
        redis = self.redis_process
        redis_gone = self._redis is not None and (redis is None or redis.exit is not None)
        if redis_gone and self._redis_pauses.over(now):
            self._restart_redis()
        if self.gcs is None and self._gcs_pauses.over(now):
            try:
                self.start_gcs()
            except OSError as error:
                self._gcs_pauses.started(now)
                say("error", f"can't start the GCS again: {error}")

    def _restart_redis(self) -> None:
        """Until it answers: some milliseconds, more where its file must be repaired."""
        assert self._redis is not None
        try:
            self.start_redis()
            self._redis.wait_ready(time.monotonic() + REDIS_PATIENCE_S)
        except (OSError, RuntimeError) as error:
            say("error", f"can't start redis-server again: {error}")
            return
        for loss in self._redis.losses:
            say("error", loss)
        self._redis.losses.clear()
        self._watch_redis()

    # -- the end

    def end(self, patience_s: float) -> None:
        """End both. The GCS has been asked to (`Shutdown`); the store after it, so that it can still write."""
        if self.gcs is not None and self.gcs.wait(patience_s) is None:
            self.gcs.signal_group(SIGKILL)
            self.gcs.wait(patience_s)
        if self._redis is not None:
            self._redis.stop(patience_s)


def without_secret(url: str) -> str:
    """A URL as it may be shown: without user and password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
