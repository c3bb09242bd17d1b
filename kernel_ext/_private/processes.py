"""A node's daemons, as ``ray._private.services`` tells them: by kind, with a handle for each."""

from __future__ import annotations

import math
import signal
import subprocess
import time
from contextlib import suppress
from typing import Final, NamedTuple

import psutil

from raynb._private import ray_constants

KINDS: Final = {
    "raynb gcs ": ray_constants.PROCESS_TYPE_GCS_SERVER,
    "raynb.runtime.daemons.gcs": ray_constants.PROCESS_TYPE_GCS_SERVER,
    "redis-server": ray_constants.PROCESS_TYPE_REDIS_SERVER,
}
"""By what stands in a process's command."""


ENDED: Final = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
PATIENCE_S: Final = 5.0
POLL_S: Final = 0.02


class ProcessHandle:
    """A process that somebody else has started, with what a `subprocess.Popen` has.

    Attributes
    ----------
    pid : int
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.pid = pid

    def __repr__(self) -> str:
        return f"<ProcessHandle pid={self.pid}>"

    def poll(self) -> int | None:
        """0 when it has ended: how is not known; None while it runs."""
        return None if self._runs() else 0

    def wait(self, timeout: float | None = None) -> int:
        """Return when it has ended.

        Raises
        ------
        subprocess.TimeoutExpired
            It has not within so many seconds.
        """
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        while self._runs():
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self), timeout or 0.0)
            time.sleep(POLL_S)
        return 0

    def send_signal(self, number: int) -> None:
        """Nothing if it has ended."""
        with suppress(psutil.NoSuchProcess):
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def memory_bytes(self) -> int:
        """What it has in memory."""
        return int(self._process.memory_info().rss)

    def _runs(self) -> bool:
        try:
            return bool(self._process.is_running()) and self._process.status() not in ENDED
        except psutil.NoSuchProcess:
            return False


class ProcessInfo(NamedTuple):
    """One process."""

    process: ProcessHandle


def daemons_of(node_manager: int) -> dict[str, list[ProcessInfo]]:
    """A node's manager (for Ray it is the raylet), and on the head node its GCS and its Redis, as they are now."""
    found: dict[str, list[ProcessInfo]] = {}
    with suppress(psutil.NoSuchProcess):
        manager = ProcessHandle(node_manager)
        if manager.poll() is not None:
            return found
        found[ray_constants.PROCESS_TYPE_RAYLET] = [ProcessInfo(manager)]
        for child in psutil.Process(node_manager).children():
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                command = " ".join(child.cmdline())
                for words, kind in KINDS.items():
                    if words in command:
                        found.setdefault(kind, []).append(ProcessInfo(ProcessHandle(child.pid)))
    return found


def kill_all(process_infos: list[ProcessInfo]) -> None:
    """Kill these, and return when they are gone.

    Raises
    ------
    TimeoutError
        One is there after five seconds still.
    """
    for info in process_infos:
        info.process.kill()
        try:
            info.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{info.process} runs {PATIENCE_S:g} s after SIGKILL still") from error
