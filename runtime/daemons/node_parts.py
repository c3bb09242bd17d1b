"""What a node consists of, apart from its manager: the session's folder and the processes. Begun before any socket."""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from raynb.runtime.adapters.launch import ClusterOptions
from raynb.runtime.adapters.processes import become_subreaper, kill_children, raise_file_limit
from raynb.runtime.adapters.session_dir import create_session
from raynb.runtime.adapters.title import set_title
from raynb.runtime.core.node_effects import GcsStarted
from raynb.runtime.daemons.log_files import open_log, say
from raynb.runtime.daemons.worker_processes import Watcher, WorkerProcesses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from raynb.runtime.daemons.head_services import HeadServices

END_PATIENCE_S: Final = 0.5


class NodeParts:
    """A session, its forkserver and workers, its GCS and state store.

    Attributes
    ----------
    address
        Endpoint of the node manager.
    events
        What happened, for the machine.

    Raises
    ------
    SessionError, UnsafePathError, OSError
        There is no place for the session.
    """

    def __init__(self, options: ClusterOptions) -> None:
        become_subreaper()
        raise_file_limit()
        self.options = options
        self.session = create_session(options.temp_dir or None)
        self.log = self.session.logs / "node_manager.log"
        log = open_log(self.log)
        for fd in (1, 2):
            os.dup2(log, fd)
        os.close(log)
        set_title(f"raynb node_manager {self.session.name}")
        self.address = self.new_address()
        self.events: deque[Any] = deque()
        self._wake: Callable[[], None] | None = None
        self.workers = WorkerProcesses(self.session.path, self.address, options.worker_main, options.config, self.post)
        self._head: HeadServices | None = None

    def __repr__(self) -> str:
        return f"<NodeParts {self.session!r} {self.workers!r} {self._head!r}>"

    @property
    def head(self) -> HeadServices | None:
        """The GCS and its store; None on a node that has joined a cluster."""
        return self._head

    @property
    def gcs_address(self) -> str:
        """Of the cluster's GCS, here or elsewhere."""
        if self.options.join is not None:
            return self.options.join.gcs
        assert self._head is not None, "start it first"
        return self._head.address

    def new_address(self) -> str:
        """An endpoint in the session that nobody else has."""
        return f"ipc://{self.session.path}/p/{secrets.token_hex(8)}"

    def start(self) -> None:
        """Start everything, side by side. What takes longest until the first result begins first.

        Raises
        ------
        StateStoreError, OSError
            Something of it can't be started.
        """
        self.workers.start_forkserver(copy=True)
        if self.options.join is not None:
            self.post(GcsStarted())  # elsewhere, and long ago
            return
        # Here and not above: the GCS needs what this loads, but the forkserver doesn't.
        from raynb.runtime.daemons.head_services import HeadServices

        self._head = HeadServices(
            self.session.path,
            self.new_address(),
            self.session.name,
            self.options.redis,
            msgspec.msgpack.encode(self.options.config),
            self.post,
        )
        self._head.start_redis()
        self._head.start_gcs(copy=True)

    def watch(self, watcher: Watcher, wake: Callable[[], None]) -> None:
        """From now on ``watcher`` watches the processes; ``wake`` ends its waiting."""
        self._wake = wake
        self.workers.watch(watcher)
        if self._head is not None:
            self._head.watch(watcher)

    def post(self, event: Any) -> None:
        """Have the machine handle an event; from any thread."""
        self.events.append(event)
        if self._wake is not None:
            self._wake()

    def pids(self) -> set[int]:
        """Processes whose exits are collected here."""
        return self.workers.pids() | (self._head.pids() if self._head is not None else set())

    def end(self) -> None:
        """End every process."""
        self._wake = None
        self.workers.end_all(END_PATIENCE_S / 2)
        if self._head is not None:
            self._head.end(END_PATIENCE_S)
        left = kill_children(END_PATIENCE_S)
        if left:
            say("error", f"{left} processes could not be ended")

    def remove(self) -> None:
        """Remove what is left in files: the session and its shared memory."""
        with suppress(OSError):
            self.session.remove()
