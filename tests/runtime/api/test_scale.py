"""A cluster gets more CPUs, and fewer, while it runs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raynb.runtime.api import cluster
from raynb.runtime.client.refs import current
from tests.support.cluster import cluster_of
from tests.support.gate import Gate
from tests.support.leaks import processes_of
from tests.support.module import Ray
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")


@pytest.fixture
def ray(bare_ray: Ray) -> Iterator[Ray]:
    """A cluster of one CPU."""
    with cluster_of(bare_ray, num_cpus=1):
        yield bare_ray


def cpus(ray: Ray) -> tuple[float, float]:
    return ray.cluster_resources().get("CPU", 0.0), ray.available_resources().get("CPU", 0.0)


def test_what_waits_starts_when_there_are_more_cpus(ray: Ray, gate: Gate) -> None:
    refs = [ray.remote(gate.through).remote(number) for number in range(3)]
    gate.wait_for(1)
    assert ray.wait(refs, timeout=0.2)[0] == [] and gate.arrived() == 1
    cluster.scale(3)
    assert cpus(ray)[0] == 3, "at once when it returns"
    gate.wait_for(3)
    gate.open()
    assert ray.get(refs, timeout=30) == [0, 1, 2]


def test_fewer_cpus_wait_for_tasks_to_end_and_end_none(ray: Ray, gate: Gate) -> None:
    cluster.scale(3)
    refs = [ray.remote(gate.through).remote(number) for number in range(3)]
    gate.wait_for(3)
    cluster.scale(1)
    assert cpus(ray) == (1, 0)
    last = ray.remote(lambda: "after").remote()
    assert ray.wait([*refs, last], timeout=0.3)[0] == [], "what runs goes on, and nothing new begins"
    gate.open()
    assert ray.get([*refs, last], timeout=30) == [0, 1, 2, "after"]
    wait_until(lambda: cpus(ray) == (1, 1))


def test_a_long_queue_of_tasks_goes_on_with_fewer_cpus(ray: Ray) -> None:
    """Its workers are asked back, though there would be more for them to do."""

    def leases() -> int:
        return len(current().machine.scheduler.by_worker)

    cluster.scale(3)
    task = ray.remote(lambda: time.sleep(0.02))
    refs = [task.remote() for _ in range(400)]
    wait_until(lambda: leases() == 3)
    cluster.scale(1)
    wait_until(lambda: leases() == 1)
    assert ray.wait(refs, num_returns=len(refs), timeout=0)[1], "not because the queue has ended"
    ray.get(refs)


def test_processes_that_have_nothing_to_do_any_more_end(ray: Ray, gate: Gate) -> None:
    state: Any = ray.util.state

    def workers() -> int:
        return sum(worker.worker_type == "WORKER" for worker in state.list_workers(filters=[("is_alive", "=", "true")]))

    cluster.scale(3)
    refs = [ray.remote(gate.through).remote() for _ in range(3)]
    gate.wait_for(3)
    gate.open()
    ray.get(refs)
    del refs
    wait_until(lambda: workers() >= 2, what="workers")
    cluster.scale(1)
    wait_until(lambda: workers() == 1, timeout=20, what="one worker")


def test_a_task_that_asks_for_too_much_runs_when_it_can(ray: Ray) -> None:
    ref = ray.remote(num_cpus=4)(lambda: "ran").remote()
    assert ray.wait([ref], timeout=0.2)[0] == []
    assert ref.why().kind == "infeasible"
    cluster.scale(4)
    assert ray.get(ref, timeout=30) == "ran"


def test_the_gcs_keeps_the_number_when_it_is_started_again(ray: Ray) -> None:
    cluster.scale(5)
    session = Path(current().session_dir).name
    (gcs,) = [pid for pid, command in processes_of(session).items() if "gcs" in command]
    os.kill(gcs, signal.SIGKILL)
    wait_until(lambda: cpus(ray)[0] == 5)


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf")])
def test_a_number_that_makes_no_sense_is_refused(ray: Ray, wrong: float) -> None:
    with pytest.raises(ValueError):
        cluster.scale(wrong)
    assert cpus(ray)[0] == 1


def test_what_is_no_number_is_refused(ray: Ray) -> None:
    with pytest.raises(TypeError, match="num_cpus"):
        cluster.scale("many")  # type: ignore[arg-type]
