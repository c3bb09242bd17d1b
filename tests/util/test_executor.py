"""`RayExecutor`: programs written for `concurrent.futures` run on the cluster."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Iterator

import pytest

from raynb.util import RayExecutor
from tests.support.gate import Gate
from tests.support.module import Ray

pytestmark = pytest.mark.usefixtures("ray", "raynb_only")


@pytest.fixture
def executor() -> Iterator[RayExecutor]:
    with RayExecutor() as executor:
        yield executor


def test_a_call_runs_in_another_process(executor: RayExecutor) -> None:
    assert executor.submit(os.getpid).result(20) != os.getpid()
    assert executor.submit(int, "ff", base=16).result(20) == 255


def test_a_future_raises_what_the_function_raised(executor: RayExecutor) -> None:
    future = executor.submit(int, "no number")
    with pytest.raises(ValueError, match="no number"):
        future.result(20)
    assert isinstance(future.exception(), ValueError)


def test_the_standard_librarys_ways_to_wait_work(executor: RayExecutor) -> None:
    futures = [executor.submit(pow, base, 2) for base in range(5)]
    assert sorted(each.result() for each in concurrent.futures.as_completed(futures, 20)) == [0, 1, 4, 9, 16]
    done, waiting = concurrent.futures.wait(futures, 20)
    assert (len(done), waiting) == (5, set())


@pytest.mark.parametrize("chunksize", [1, 2, 100])
def test_map_gives_results_in_order(executor: RayExecutor, chunksize: int) -> None:
    assert list(executor.map(pow, range(5), [2] * 9, chunksize=chunksize)) == [0, 1, 4, 9, 16]


def test_map_raises_when_a_result_is_late(executor: RayExecutor, gate: Gate) -> None:
    results = executor.map(gate.through, range(2), timeout=0.1)
    with pytest.raises(TimeoutError):
        next(results)
    gate.open()


def test_a_chunksize_that_makes_no_sense_is_refused(executor: RayExecutor) -> None:
    with pytest.raises(ValueError, match="chunksize"):
        executor.map(abs, [1], chunksize=0)


def test_an_event_loop_runs_blocking_code_in_it(executor: RayExecutor) -> None:
    async def program() -> int:
        return await asyncio.get_running_loop().run_in_executor(executor, pow, 3, 4)

    assert asyncio.run(program()) == 81


def test_a_callback_is_called_once_with_the_future(executor: RayExecutor) -> None:
    heard: list[object] = []
    called = threading.Event()
    future = executor.submit(pow, 2, 3)
    future.add_done_callback(lambda done: (heard.append(done), called.set()))
    assert called.wait(20)
    assert heard == [future]


def test_a_future_can_be_cancelled_while_its_task_runs(executor: RayExecutor, gate: Gate) -> None:
    future = executor.submit(gate.through)
    gate.wait_for(1)
    assert future.cancel()
    assert future.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()


def test_shutdown_waits_for_what_was_submitted(gate: Gate) -> None:
    executor = RayExecutor()
    future = executor.submit(gate.through)
    gate.wait_for(1)
    executor.shutdown(wait=False)
    assert not future.done()
    gate.open()
    executor.shutdown()
    assert future.done()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, 1)


def test_shutdown_can_cancel_what_has_not_ended(gate: Gate) -> None:
    executor = RayExecutor()
    futures = [executor.submit(gate.through) for _ in range(9)]
    executor.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in futures)


def test_the_options_are_those_of_the_tasks(ray: Ray) -> None:
    with RayExecutor(num_cpus=2) as executor:
        resources = executor.submit(lambda: ray.get_runtime_context().get_assigned_resources()).result(20)
    assert resources["CPU"] == 2
