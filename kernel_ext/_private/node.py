"""The processes of a node, for tests that end some of them: as Ray's ``ray._private.node`` shows them."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Final, NamedTuple

import psutil

from raynb.runtime.adapters.launch import ClusterInfo
from raynb.runtime.adapters.request import Requester
from raynb.runtime.daemons.head_services import GCS
from raynb.runtime.daemons.worker_processes import FORKSERVER

KINDS: Final = {
    "raynb gcs": "gcs_server",
    f" {GCS} ": "gcs_server",
    "redis-server": "redis_server",
    "raynb forkserver": "forkserver",
    f" {FORKSERVER} ": "forkserver",
}
"""What the command lines of a node manager's children say, and what Ray's tests call such processes."""
RESTART_S_MAX: Final = 30.0
END_S_MAX: Final = 10.0


class ProcessHandle:
    """A process, with those methods of a `subprocess.Popen` that tests use."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process = psutil.Process(pid)
        self._ended_by = 0

    def __repr__(self) -> str:
        return f"<ProcessHandle {self._process}>"

    def send_signal(self, sig: int) -> None:
        """Send it a signal, if it still runs."""
        self._ended_by = sig
        with suppress(psutil.NoSuchProcess):
            self._process.send_signal(sig)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def poll(self) -> int | None:
        """None while it runs; then minus the last signal that it was sent from here, else 0: it is no child of this
        process, whose exit code would be known."""
        with suppress(psutil.NoSuchProcess):
            if self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
                return None
        return -self._ended_by

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; then as `poll`.

        Raises
        ------
        psutil.TimeoutExpired
            It still runs.
        """
        self._process.wait(timeout)
        return -self._ended_by


class ProcessInfo(NamedTuple):
    """One process of a node."""

    process: ProcessHandle


class NodeProcesses:
    """What a node's processes are, and how to end one of them. A node manager brings up again what ends beside it."""

    def _about(self) -> ClusterInfo:
        """What the node says of itself."""
        raise NotImplementedError

    @property
    def all_processes(self) -> dict[str, list[ProcessInfo]]:
        """The processes that run now, by their kind: ``raylet`` (the node manager), ``forkserver``; of a head node also
        ``gcs_server`` and ``redis_server``."""
        try:
            manager = ProcessHandle(self._about().pid)
            children = psutil.Process(self._about().pid).children()
        except psutil.NoSuchProcess:
            return {}
        if manager.poll() is not None:
            return {}
        found = {"raylet": [ProcessInfo(manager)]}
        for child in children:
            line = ""
            with suppress(psutil.Error):
                line = " ".join(child.cmdline())
            if kind := next((kind for title, kind in KINDS.items() if title in line), ""):
                found.setdefault(kind, []).append(ProcessInfo(ProcessHandle(child.pid)))
        return found

    def kill_gcs_server(self, check_alive: bool = True) -> None:
        """Kill the GCS. Its node manager starts another at once, which goes on from what was durable."""
        found = self.all_processes.get("gcs_server", [])
        if check_alive and not found:
            raise RuntimeError(f"{self!r} has no GCS that runs")
        for gcs in found:
            gcs.process.kill()
            gcs.process.wait(END_S_MAX)

    def start_gcs_server(self) -> None:
        """Wait until the GCS answers: its node manager has started it.

        Raises
        ------
        RpcError
            It did not answer in time.
        """
        with Requester(self._about().session_dir) as guest:
            guest.query(self._about().gcs, "nodes", timeout_s=RESTART_S_MAX)
