"""Actors that are constructed while the GCS is killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import raynb as ray
from raynb.runtime.adapters.launch import ClusterInfo
from tests.faults.test_kills_by_pid import cluster as cluster  # the fixture
from tests.support.gate import Gate
from tests.support.stopped import stop_process
from tests.support.waiting import wait_until


def tell_when_constructed(path: str) -> None:
    """Touch a file when the main thread is out of the constructor, and has told the GCS."""
    main = threading.main_thread().ident

    def names() -> list[str]:
        frame = sys._current_frames().get(main or 0)
        found = []
        while frame is not None:
            found.append(frame.f_code.co_name)
            frame = frame.f_back
        return found

    def watch() -> None:
        while {"__init__", "_construct"} & set(names()):
            time.sleep(0.002)
        Path(path).touch()

    threading.Thread(target=watch, daemon=True).start()


@ray.remote
class Slow:
    def __init__(self, through: Callable[[], None], told: str, *, fails: bool) -> None:
        tell_when_constructed(told)
        through()
        if fails:
            raise ValueError("it does not work")

    def pid(self) -> int:
        return os.getpid()


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_killed_gcs_was_told_of_a_constructor_is_told_to_the_next(
    cluster: ClusterInfo, tmp_path: Path, fails: bool
) -> None:
    gate, told = Gate(tmp_path / "gate"), tmp_path / "told"
    actor = Slow.remote(gate.through, str(told), fails=fails)
    gate.wait_for(1)
    pid = cluster.pids["gcs"]
    stop_process(pid)
    gate.open()
    wait_until(told.exists, 10, what="the constructor has returned")
    os.kill(pid, signal.SIGKILL)
    if fails:
        with pytest.raises(ray.exceptions.ActorDiedError, match="it does not work"):
            ray.get(actor.pid.remote(), timeout=30)
    else:
        assert ray.get(actor.pid.remote(), timeout=30) > 0
