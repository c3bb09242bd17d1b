"""What a program meets when a process of its cluster is killed by its pid: each its own, documented effect, and
nothing hangs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import raynb as ray
from raynb.runtime.adapters.launch import ClusterInfo
from raynb.runtime.api.session import session
from tests.support.leaks import Before
from tests.support.stopped import stop_process
from tests.support.waiting import wait_until

MEGABYTE = 1 << 20


@pytest.fixture
def cluster() -> Iterator[ClusterInfo]:
    """A cluster of its own for each test; nothing of it may be left."""
    before = Before.now()
    ray.init(num_cpus=2, namespace="faults")
    info = session().info
    yield info
    ray.shutdown()
    before.assert_nothing_left(info.session)


def pid_of(info: ClusterInfo, name: str) -> int:
    return info.pids[name]


@ray.remote
def square(x: int) -> int:
    return x * x


@ray.remote
def own_pid() -> int:
    return os.getpid()


@ray.remote
class Counter:
    def __init__(self) -> None:
        self.n = 0

    def increment(self) -> int:
        self.n += 1
        return self.n

    def pid(self) -> int:
        return os.getpid()


@ray.remote(max_retries=3)
def hold(here: str, gate: str) -> int:
    with open(here, "a") as file:
        file.write(f"{os.getpid()}\n")
    while not os.path.exists(gate):
        time.sleep(0.005)
    return os.getpid()


def pids_in(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def eventually(call: Callable[[], Any], timeout_s: float) -> Any:
    """The first answer that is no error."""
    last: list[BaseException] = []

    def attempt() -> tuple[Any] | None:
        try:
            return (call(),)
        except Exception as error:
            last.append(error)
            return None

    try:
        answer = wait_until(attempt, timeout_s)
    except AssertionError:
        raise AssertionError(f"no answer within {timeout_s} s, but {last[-1:]}") from None
    assert isinstance(answer, tuple)
    return answer[0]


def test_a_killed_worker_costs_its_task_a_retry(cluster: ClusterInfo, tmp_path: Path) -> None:
    here, gate = tmp_path / "here", tmp_path / "gate"
    ref = hold.remote(str(here), str(gate))
    wait_until(lambda: pids_in(here), 10)
    (first,) = pids_in(here)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(pids_in(here)) == 2, 10, "the second attempt runs")
    gate.touch()
    assert ray.get(ref, timeout=10) == pids_in(here)[1] != first


def test_a_killed_worker_without_retries_says_which_signal_it_was(cluster: ClusterInfo, tmp_path: Path) -> None:
    here = tmp_path / "here"
    ref = hold.options(max_retries=0).remote(str(here), str(tmp_path / "gate"))
    wait_until(lambda: pids_in(here), 10)
    os.kill(pids_in(here)[0], signal.SIGKILL)
    with pytest.raises(ray.exceptions.WorkerCrashedError, match="SIGKILL"):
        ray.get(ref, timeout=10)
    assert ray.get(square.remote(3), timeout=10) == 9


def test_running_tasks_and_calls_do_not_notice_that_the_gcs_was_killed(cluster: ClusterInfo) -> None:
    counter = Counter.options(name="kept").remote()
    assert ray.get(counter.increment.remote(), timeout=10) == 1
    os.kill(pid_of(cluster, "gcs"), signal.SIGKILL)
    for n in range(2, 50):
        assert ray.get(counter.increment.remote(), timeout=5) == n
        assert ray.get(square.remote(n), timeout=5) == n * n


def test_the_gcs_is_back_within_ten_seconds_and_knows_what_it_had_acknowledged(cluster: ClusterInfo) -> None:
    counter = Counter.options(name="kept").remote()
    pid = ray.get(counter.pid.remote(), timeout=10)
    os.kill(pid_of(cluster, "gcs"), signal.SIGKILL)
    found = eventually(lambda: ray.get_actor("kept"), 10)
    assert ray.get(found.pid.remote(), timeout=10) == pid, "the actor lives on, it was not started again"
    another = Counter.options(name="new").remote()
    assert ray.get(another.increment.remote(), timeout=10) == 1


def test_a_killed_redis_is_back_with_all_it_had_acknowledged(cluster: ClusterInfo) -> None:
    counter = Counter.options(name="kept").remote()
    assert ray.get(counter.increment.remote(), timeout=10) == 1
    os.kill(pid_of(cluster, "redis"), signal.SIGKILL)
    assert ray.get(counter.increment.remote(), timeout=5) == 2
    another = Counter.options(name="new").remote()
    assert ray.get(another.increment.remote(), timeout=15) == 1
    os.kill(pid_of(cluster, "gcs"), signal.SIGKILL)
    assert ray.get(eventually(lambda: ray.get_actor("kept"), 10).increment.remote(), timeout=10) == 3


def test_workers_can_be_started_after_the_forkserver_was_killed(cluster: ClusterInfo) -> None:
    assert ray.get(square.remote(2), timeout=10) == 4
    os.kill(pid_of(cluster, "forkserver"), signal.SIGKILL)
    counters = [Counter.remote() for _ in range(4)]
    assert ray.get([counter.increment.remote() for counter in counters], timeout=20) == [1, 1, 1, 1]


def test_a_killed_node_manager_fails_what_waits_within_two_seconds(cluster: ClusterInfo, tmp_path: Path) -> None:
    here = tmp_path / "here"
    ref = hold.remote(str(here), str(tmp_path / "gate"))
    wait_until(lambda: pids_in(here), 10)
    (worker,) = pids_in(here)
    os.kill(cluster.pid, signal.SIGKILL)
    begin = time.monotonic()
    with pytest.raises(ray.exceptions.NodeDiedError, match="init"):
        ray.get(ref, timeout=10)
    assert time.monotonic() - begin < 2.0
    wait_until(lambda: not psutil.pid_exists(worker), 2, "its workers are gone with it")
    with pytest.raises(ray.exceptions.LocalRayletDiedError):
        ray.get(square.remote(1), timeout=10)


def test_after_a_killed_node_manager_one_can_start_again(cluster: ClusterInfo) -> None:
    os.kill(cluster.pid, signal.SIGKILL)
    with pytest.raises(ray.exceptions.LocalRayletDiedError):
        ray.get(square.remote(1), timeout=10)
    ray.shutdown()
    ray.init(num_cpus=1)
    assert ray.get(square.remote(4), timeout=10) == 16


def test_a_stopped_worker_holds_up_nobody_else(cluster: ClusterInfo, tmp_path: Path) -> None:
    here, gate = tmp_path / "here", tmp_path / "gate"
    ref = hold.remote(str(here), str(gate))
    wait_until(lambda: pids_in(here), 10)
    (pid,) = pids_in(here)
    stop_process(pid)
    try:
        assert ray.get([square.remote(n) for n in range(100)], timeout=10) == [n * n for n in range(100)]
    finally:
        os.kill(pid, signal.SIGCONT)
    gate.touch()
    assert ray.get(ref, timeout=10) == pid


def test_an_actor_with_restarts_outlives_its_process(cluster: ClusterInfo) -> None:
    counter = Counter.options(max_restarts=1, max_task_retries=-1).remote()
    first = ray.get(counter.pid.remote(), timeout=10)
    os.kill(first, signal.SIGKILL)
    assert ray.get(counter.pid.remote(), timeout=10) != first
    second = ray.get(counter.pid.remote(), timeout=10)
    os.kill(second, signal.SIGKILL)
    with pytest.raises(ray.exceptions.ActorDiedError, match="SIGKILL"):
        ray.get(counter.pid.remote(), timeout=10)


@ray.remote
class Maker:
    """Owns an array in shared memory that others read."""

    def __init__(self) -> None:
        self.ref = ray.put(np.full(MEGABYTE, 7, np.uint8))

    def make(self) -> list[Any]:
        return [self.ref]

    def pid(self) -> int:
        return os.getpid()


def test_the_memory_of_a_dead_owner_stays_as_long_as_somebody_views_it(cluster: ClusterInfo) -> None:
    maker = Maker.remote()
    (ref,) = ray.get(maker.make.remote(), timeout=10)
    array = ray.get(ref, timeout=10)
    os.kill(ray.get(maker.pid.remote(), timeout=10), signal.SIGKILL)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(maker.pid.remote(), timeout=10)
    # What the store would recycle, were it free, is written over by this.
    others = [ray.put(np.zeros(MEGABYTE, np.uint8)) for _ in range(20)]
    assert (array == 7).all()
    assert ray.object_store_usage()["objects"] == len(others) + 1
    del array, ref, others
    wait_until(lambda: ray.object_store_usage()["used_bytes"] == 0, 10, "the memory is free again")


def test_a_placement_group_and_what_runs_in_it_outlive_the_gcs(cluster: ClusterInfo) -> None:
    from raynb.util.placement_group import placement_group, placement_group_table, remove_placement_group
    from raynb.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    group = placement_group([{"CPU": 1}], name="lasting")
    strategy = PlacementGroupSchedulingStrategy(group)
    counter = Counter.options(num_cpus=1, scheduling_strategy=strategy).remote()
    assert ray.get(counter.increment.remote(), timeout=30) == 1
    os.kill(pid_of(cluster, "gcs"), signal.SIGKILL)
    assert ray.get(counter.increment.remote(), timeout=30) == 2
    wait_until(lambda: placement_group_table(group)["state"] == "CREATED", 30)
    assert ray.get(counter.increment.remote(), timeout=30) == 3
    late = placement_group([{"CPU": 1}])
    assert late.wait(30)
    for one in (group, late):
        remove_placement_group(one)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(counter.increment.remote(), timeout=30)
    wait_until(lambda: ray.available_resources().get("CPU") == 2, 30)
