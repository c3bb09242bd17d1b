"""The node manager's hands on its workers: the forkserver that makes them, and each one from its fork to its last page.

Everything here happens on the node manager's main thread, in callbacks of its transport's loop; what is noticed is
posted as events for the machine. A forkserver that dies is started again, after a pause that grows while it keeps
dying.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, Final, Protocol

import msgspec

from raynb.runtime.adapters import worker_page
from raynb.runtime.adapters.processes import Process, is_stopped
from raynb.runtime.adapters.spawn_channel import SpawnChannel, channel
from raynb.runtime.core.node_effects import WorkerExited, WorkerForked
from raynb.runtime.daemons.log_files import open_log, say, since, tail
from raynb.runtime.daemons.pauses import Pauses
from raynb.runtime.daemons.start_daemon import start_daemon
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.node import WorkerSettings
from raynb.runtime.messages.tasks import LastWords

FORKSERVER: Final = "raynb.runtime.worker.forkserver"


class Watcher(Protocol):
    """Who calls back when a descriptor is readable, or a dead peer's last words are: the transport."""

    def watch(self, fd: int, callback: Callable[[], None]) -> None: ...
    def unwatch(self, fd: int) -> None: ...
    def after_all_of(self, dead: str, call: Callable[[], None]) -> None: ...


class WorkerProcess:
    """What belongs to one token."""

    __slots__ = ("process", "settings")

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.process: Process | None = None


class WorkerProcesses:
    """See the module.

    Parameters
    ----------
    session_dir : Path
    node_manager : str
        Address that workers join at.
    worker_main : str
        ``module:function`` that the forkserver runs in each.
    post
        Takes the events that happen.
    """

    def __init__(
        self,
        session_dir: Path,
        node_manager: str,
        worker_main: str,
        config: Config,
        post: Callable[[Any], None],
    ) -> None:
        self._session_dir = session_dir
        self._pages = session_dir / "pages"
        self._node_manager = node_manager
        self._worker_main = worker_main
        self._config = msgspec.msgpack.encode(config)
        self._watcher: Watcher | None = None
        self._post = post
        self._channel: SpawnChannel | None = None
        self.forkserver: Process | None = None
        self.forkserver_exit = ""
        """How the last one ended, for people; empty if none has."""
        self.proved = False
        """Whether a forkserver has ever forked: what it must import can be imported."""
        self._pauses = Pauses()
        self._workers: dict[str, WorkerProcess] = {}
        self._unsent: deque[WorkerSettings] = deque()
        self._pages.mkdir(mode=0o700, exist_ok=True)

    def __repr__(self) -> str:
        return f"<WorkerProcesses {len(self._workers)} workers, forkserver {self.forkserver!r}>"

    # -- the forkserver

    def start_forkserver(self, *, copy: bool = False) -> None:
        """Start it and return at once: orders may be given before it is ready. ``copy``: see `start_daemon`."""
        session = self._session_dir.name
        ours, theirs = channel()
        log = open_log(self._session_dir / "logs" / "forkserver.log")
        try:
            self.forkserver = start_daemon(
                FORKSERVER,
                [self._worker_main, str(os.getpid()), session],
                stdin=theirs.fileno(),
                log=log,
                title=f"raynb forkserver {session}",
                copy=copy,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(log)
        self._channel = ours
        self._pauses.started(time.monotonic())
        if self._watcher is not None:
            self.watch(self._watcher)

    def watch(self, watcher: Watcher) -> None:
        """From now on the forkserver and the workers are watched, by this."""
        self._watcher = watcher
        if self._channel is not None and self.forkserver is not None:
            watcher.watch(self._channel.fileno(), self._on_reports)
            watcher.watch(self.forkserver.fileno(), self._on_forkserver_exit)

    def _on_reports(self) -> None:
        assert self._channel is not None and self._watcher is not None
        reports = self._channel.reports()
        if not reports:
            # Its end is closed: it is about to be gone, and its pidfd will say so.
            self._watcher.unwatch(self._channel.fileno())
        for report in reports:
            self.proved = True
            worker = self._workers.get(report.token)
            if worker is None:
                continue
            if report.error:
                self._gone(report.token, 0, report.error)
                continue
            try:
                worker.process = Process(report.pid, leads_group=True)
            except (ProcessLookupError, OSError) as error:
                self._gone(report.token, report.pid, f"its process can't be watched: {error}")
                continue
            self._watcher.watch(worker.process.fileno(), partial(self._on_exit, report.token))
            self._post(WorkerForked(report.token, report.pid))

    def _on_forkserver_exit(self) -> None:
        forkserver, sock = self.forkserver, self._channel
        if forkserver is None or sock is None or (status := forkserver.collect()) is None:
            return
        self._on_reports()
        assert self._watcher is not None
        self._watcher.unwatch(forkserver.fileno())
        self._watcher.unwatch(sock.fileno())
        forkserver.close()
        sock.close()
        self.forkserver = self._channel = None
        self.forkserver_exit = str(status)
        say("warning", f"the forkserver (pid {forkserver.pid}) ended: {status}")
        waiting = {settings.token for settings in self._unsent}
        for token, worker in list(self._workers.items()):
            if worker.process is None and token not in waiting:
                self._gone(token, 0, f"the forkserver ended ({status})")

    # -- orders

    def order(self, token: str) -> None:
        """Have a worker forked, now or when there is a forkserver that takes the order."""
        settings = WorkerSettings(
            token=token,
            node_manager=self._node_manager,
            session_dir=str(self._session_dir),
            address=f"ipc://{self._session_dir}/p/{secrets.token_hex(8)}",
            page_path=str(self._pages / token),
            log_path=str(self._session_dir / "logs" / f"worker-{token}"),
            config=self._config,
        )
        self._workers[token] = WorkerProcess(settings)
        self._unsent.append(settings)
        self._send_orders()

    def _send_orders(self) -> None:
        while self._unsent and self._channel is not None and self._channel.order(self._unsent[0]):
            self._unsent.popleft()

    def end(self, token: str, force: bool) -> None:
        """End a worker and what its tasks started."""
        worker = self._workers.get(token)
        if worker is None:
            return
        if worker.process is not None:
            worker.process.signal_group(SIGKILL if force else SIGTERM)
        elif worker.settings in self._unsent:
            self._unsent.remove(worker.settings)
            self._gone(token, 0, "it was not needed any more")

    # -- exits

    def _on_exit(self, token: str) -> None:
        worker = self._workers.get(token)
        if worker is None or worker.process is None or self._watcher is None:
            return
        self._watcher.unwatch(worker.process.fileno())
        self._watcher.after_all_of(worker.settings.address, partial(self._collect, token))

    def _collect(self, token: str) -> None:
        worker = self._workers.get(token)
        if worker is None or worker.process is None:
            return
        status = worker.process.collect()
        worker.process.close()
        self._gone(token, worker.process.pid, str(status))

    def _gone(self, token: str, pid: int, reason: str) -> None:
        settings = self._workers.pop(token).settings
        page = worker_page.PageContent(0, 0, b"", 0)
        with suppress(OSError):
            page = worker_page.read(settings.page_path)
        for path in (settings.page_path, settings.address.removeprefix("ipc://")):
            Path(path).unlink(missing_ok=True)
        out, err = map(Path, settings.logs)
        last_lines = "\n".join(filter(None, map(tail, (out, err))))
        driver, words = _last_words(page, pid, (out, err))
        self._post(WorkerExited(token, pid, reason, last_lines, page.lease, page.seq, driver, words))

    # -- time and the end

    def tick(self, now: float) -> None:
        """Start the forkserver again where it is gone; send what it did not take."""
        if self.forkserver is None and self._pauses.over(now):
            try:
                self.start_forkserver()
            except OSError as error:
                self._pauses.started(now)
                say("error", f"can't start a forkserver: {error}")
        self._send_orders()

    def begun_last(self, token: str) -> bytes:
        """The task that a worker's page has; empty if none."""
        worker = self._workers.get(token)
        with suppress(OSError):
            return worker_page.read(worker.settings.page_path).task_id if worker is not None else b""
        return b""

    def pids(self) -> set[int]:
        """Whose exits are collected here."""
        pids = {worker.process.pid for worker in self._workers.values() if worker.process is not None}
        return pids | ({self.forkserver.pid} if self.forkserver is not None else set())

    def pids_by_token(self) -> dict[str, int]:
        """The living workers, each the leader of its process group."""
        return {token: worker.process.pid for token, worker in self._workers.items() if worker.process is not None}

    def stopped(self) -> frozenset[str]:
        """Tokens of the workers that the process table shows as stopped."""
        return frozenset(
            token
            for token, worker in self._workers.items()
            if worker.process is not None and is_stopped(worker.process.pid)
        )

    def end_all(self, patience_s: float) -> None:
        """End all workers and the forkserver: asked first, then not."""
        if self.forkserver is not None:
            self.forkserver.signal_group(SIGKILL)
        processes = [worker.process for worker in self._workers.values() if worker.process is not None]
        for process in processes:
            process.signal(SIGKILL)  # an actor takes a SIGTERM for leave to end its calls
            process.signal_group(SIGTERM)
        deadline = time.monotonic() + patience_s
        for process in processes:
            if process.wait(max(0.0, deadline - time.monotonic())) is None:
                process.signal_group(SIGKILL)


def _last_words(page: worker_page.PageContent, pid: int, logs: tuple[Path, Path]) -> tuple[str, LastWords | None]:
    """For whom a dead worker has written, and what, as far as its logs tell: an orderly end leaves no page."""
    if page.output is None:
        return "", None
    (out, out_end), (err, err_end) = map(since, logs, page.output.begins)
    if not (out or err):
        return "", None
    return page.output.driver, LastWords("", pid, page.output.cell, page.task_id, (out, err), (out_end, err_end))
