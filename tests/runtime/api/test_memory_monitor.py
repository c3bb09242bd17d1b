"""Memory that runs out, on real processes: the workers' own limit stands for the machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import raynb
from raynb.util.state import list_actors

MB = 1024 * 1024
LIMIT_BYTES = 900 * MB


@pytest.fixture
def cluster() -> Any:
    raynb.init(num_cpus=2, _system_config={"memory_limit_bytes": LIMIT_BYTES, "memory_monitor_s": 0.05})
    yield raynb
    raynb.shutdown()


def test_a_task_that_eats_the_memory_is_an_error_that_says_how_much_it_used(cluster: Any) -> None:
    @cluster.remote(max_retries=0)
    def eat() -> int:
        import time

        hoard = []
        while True:
            hoard.append(bytearray(b"x") * (50 * MB))
            time.sleep(0.02)

    with pytest.raises(cluster.exceptions.OutOfMemoryError, match=r"used \d\.\d\d GB when .*eat") as caught:
        cluster.get(eat.remote(), timeout=60)
    assert "max_retries=0" in str(caught.value)

    @cluster.remote
    def modest() -> str:
        return "goes on"

    assert cluster.get(modest.remote(), timeout=60) == "goes on"


def test_what_was_stopped_for_memory_is_tried_again_when_there_is_some(cluster: Any, tmp_path: Path) -> None:
    @cluster.remote
    def greedy_once(marker: Path) -> str:
        import time

        if marker.exists():
            return "second"
        marker.touch()
        hoard = bytearray(b"x") * (1000 * MB)
        while hoard:
            time.sleep(0.05)
        return "first"

    assert cluster.get(greedy_once.remote(tmp_path / "marker"), timeout=60) == "second"


@pytest.mark.parametrize("restarts", [0, 1])
def test_an_actor_that_eats_the_memory_is_an_error_that_says_so(cluster: Any, restarts: int) -> None:
    @cluster.remote
    class Glutton:
        def __init__(self) -> None:
            self.hoard: list[bytearray] = []

        def eat(self) -> None:
            import time

            while True:
                self.hoard.append(bytearray(b"x") * (50 * MB))
                time.sleep(0.02)

    glutton = Glutton.options(max_restarts=restarts, max_task_retries=restarts).remote()
    for call in (glutton.eat, glutton.eat):
        with pytest.raises(
            cluster.exceptions.OutOfMemoryError, match=r"the node running low on memory: it used \d"
        ) as e:
            cluster.get(call.remote(), timeout=60)
        assert "Glutton" in str(e.value)
    (row,) = list_actors(filters=[("actor_id", "=", glutton._actor_id.hex())], detail=True)
    assert row.state == "DEAD" and row.num_restarts == restarts
    assert "running low on memory" in row.death_cause["oom_context"]["error_message"]


def test_what_a_task_has_started_counts_as_its_own(cluster: Any) -> None:
    @cluster.remote(max_retries=0)
    def start_an_eater() -> int:
        import subprocess
        import sys

        program = "hoard = bytearray(b'x') * (1000 * 1024 * 1024)\nimport signal\nsignal.pause()"
        return subprocess.run([sys.executable, "-c", program]).returncode

    with pytest.raises(cluster.exceptions.OutOfMemoryError, match="start_an_eater"):
        cluster.get(start_an_eater.remote(), timeout=60)
