"""Processes that stand still."""

from __future__ import annotations

import os
import signal

from raynb.runtime.adapters.processes import is_stopped
from tests.support.waiting import wait_until


def stop_process(pid: int) -> None:
    """SIGSTOP a process, and wait until it stands still: on a busy machine its threads run on for a while."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all(is_stopped(int(thread)) for thread in os.listdir(f"/proc/{pid}/task")))
