"""`multiprocessing.Pool` as programs know it, its processes on the cluster."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from tests.support import module
from tests.support.cluster import CPUS
from tests.support.gate import Gate
from tests.support.module import Ray
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def pools(ray: Ray) -> Any:
    return importlib.import_module(f"{module.NAME}.util.multiprocessing")


@pytest.fixture(scope="module")
def pool(pools: Any) -> Iterator[Any]:
    """Two processes that all tests share which don't close them."""
    with pools.Pool(2) as pool:
        yield pool


def double(value: int) -> int:
    return 2 * value


def odd_fails(value: int) -> int:
    if value % 2:
        raise KeyError(value)
    return value


def pid_of(_: object = None) -> int:
    return os.getpid()


# -- one call


def test_apply_calls_the_function_in_another_process(pool: Any) -> None:
    assert pool.apply(pid_of) != os.getpid()
    assert pool.apply(divmod, (7, 3)) == (2, 1)
    assert pool.apply(int, ("ff",), {"base": 16}) == 255


def test_apply_raises_what_the_function_raised(pool: Any) -> None:
    with pytest.raises(KeyError) as caught:
        pool.apply(odd_fails, (1,))
    assert type(caught.value) is KeyError
    assert caught.value.args == (1,)


def test_apply_async_is_asked_for_its_result(pool: Any, gate: Gate) -> None:
    result = pool.apply_async(gate.through, ("value",))
    assert not result.ready()
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    with pytest.raises(multiprocessing.TimeoutError):
        result.get(timeout=0.05)
    result.wait(timeout=0.05)
    gate.open()
    result.wait()
    assert result.ready()
    assert result.successful()


def test_a_failed_call_is_ready_and_not_successful(pool: Any) -> None:
    result = pool.apply_async(odd_fails, (1,))
    result.wait(20)
    assert result.ready()
    assert not result.successful()
    with pytest.raises(KeyError):
        result.get()


# -- many calls


@pytest.mark.parametrize("chunksize", [None, 1, 3, 100])
def test_map_gives_the_results_in_order(pool: Any, chunksize: Any) -> None:
    assert pool.map(double, range(10), chunksize=chunksize) == list(range(0, 20, 2))
    assert pool.map(double, iter([1, 2]), chunksize=chunksize) == [2, 4]
    assert pool.map(double, [], chunksize=chunksize) == []


def test_map_uses_all_processes(pools: Any, gate: Gate) -> None:
    with pools.Pool(3) as pool:
        result = pool.map_async(gate.through, range(3), chunksize=1)
        gate.wait_for(3)
        gate.open()
        result.get(timeout=20)


def test_map_raises_what_an_item_raised(pool: Any) -> None:
    with pytest.raises(KeyError):
        pool.map(odd_fails, range(6))
    assert pool.map(double, [1]) == [2]


def test_starmap_unpacks_the_items(pool: Any) -> None:
    assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
    assert pool.starmap(pow, [(2, 3), (3, 2)], chunksize=1) == [8, 9]
    assert pool.starmap_async(pow, [(2, 3)]).get(timeout=20) == [8]


@pytest.mark.parametrize("chunksize", [1, 4])
def test_imap_gives_results_one_by_one(pool: Any, chunksize: int) -> None:
    results = pool.imap(double, range(10), chunksize=chunksize)
    assert results.next(timeout=20) == 0
    assert next(results) == 2
    assert list(results) == list(range(4, 20, 2))
    with pytest.raises(StopIteration):
        results.next()
    assert sorted(pool.imap_unordered(double, range(10), chunksize=chunksize)) == list(range(0, 20, 2))


def test_imap_reads_endless_items_as_it_needs_them(pool: Any) -> None:
    assert list(islice(pool.imap(double, count()), 6)) == [0, 2, 4, 6, 8, 10]
    assert len(list(islice(pool.imap_unordered(double, count()), 6))) == 6


def test_imap_keeps_the_order_and_imap_unordered_does_not_wait_for_it(pools: Any, gate: Gate) -> None:
    through = gate.through

    def first_is_late(value: int) -> int:
        return through(value) or value if value == 0 else value

    with pools.Pool(2) as pool:
        ordered = pool.imap(first_is_late, range(4))
        with pytest.raises(multiprocessing.TimeoutError):
            ordered.next(timeout=0.1)
        unordered = pool.imap_unordered(first_is_late, range(4))
        gate.open()
        assert list(ordered) == [0, 1, 2, 3]
        assert sorted(unordered) == [0, 1, 2, 3]


def test_an_item_that_raises_is_given_as_an_error_and_imap_goes_on(pool: Any) -> None:
    results = list(pool.imap(odd_fails, range(4)))
    assert results[0::2] == [0, 2]
    for error in results[1::2]:
        assert isinstance(error, Exception)
        assert isinstance(error.underlying, KeyError)  # pyright: ignore


@pytest.mark.usefixtures("raynb_only")
@pytest.mark.parametrize("chunksize", [0, -1])
def test_a_chunksize_that_makes_no_sense_is_refused(pool: Any, chunksize: int) -> None:
    for call in (pool.map, pool.imap, pool.imap_unordered, pool.starmap):
        with pytest.raises(ValueError, match="chunksize"):
            call(double, [(1,)], chunksize=chunksize)


# -- callbacks


class Heard:
    """What callbacks were called with."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.errors: list[Any] = []
        self.threads: list[threading.Thread] = []

    def of(self, call: Any, *args: Any) -> Heard:
        call(*args, callback=self._result, error_callback=self.errors.append).wait(20)
        return self

    def _result(self, result: Any) -> None:
        self.threads.append(threading.current_thread())
        self.results.append(result)


def test_the_callback_gets_the_result_once(pool: Any) -> None:
    assert Heard().of(pool.apply_async, double, (4,)).results == [8]
    assert Heard().of(pool.map_async, double, [1, 2]).results == [[2, 4]]
    assert Heard().of(pool.starmap_async, pow, [(2, 3)]).results == [[8]]


def test_the_error_callback_gets_the_first_error_once(pool: Any) -> None:
    for heard in (Heard().of(pool.apply_async, odd_fails, (1,)), Heard().of(pool.map_async, odd_fails, range(6))):
        assert heard.results == []
        (error,) = heard.errors
        assert isinstance(error.underlying, KeyError)


def test_a_callback_does_not_run_in_the_thread_that_submitted(pool: Any) -> None:
    (thread,) = Heard().of(pool.apply_async, double, (4,)).threads
    assert thread is not threading.current_thread()


# -- processes


def test_by_default_there_are_as_many_processes_as_cpus(pools: Any, gate: Gate) -> None:
    with pools.Pool() as pool:
        result = pool.map_async(gate.through, range(CPUS), chunksize=1)
        gate.wait_for(CPUS)
        gate.open()
        result.get(20)


@pytest.mark.parametrize("processes", [0, -1, CPUS + 1])
def test_a_number_of_processes_that_can_not_be_is_refused(pools: Any, processes: int) -> None:
    with pytest.raises(ValueError, match=r"(?i)processes"):
        pools.Pool(processes)


def test_the_initializer_runs_in_each_process_first(pools: Any) -> None:
    def initialize(key: str, value: str) -> None:
        os.environ[key] = value

    with pools.Pool(2, initializer=initialize, initargs=("POOL_WAS_HERE", "yes")) as pool:
        assert pool.map(lambda _: os.environ.get("POOL_WAS_HERE"), range(4), chunksize=1) == ["yes"] * 4


def test_the_initializer_has_run_when_there_is_a_pool(pools: Any, tmp_path: Path) -> None:
    with pools.Pool(2, initializer=lambda: (tmp_path / str(os.getpid())).touch()):
        assert len(list(tmp_path.iterdir())) == 2


def test_a_failing_initializer_fails_the_calls(ray: Ray, pools: Any) -> None:
    with pools.Pool(1, initializer=odd_fails, initargs=(1,)) as pool:
        with pytest.raises(ray.exceptions.RayActorError, match="KeyError"):
            pool.map(double, [1])
        heard = Heard()
        pool.apply_async(double, (1,), callback=heard.results.append, error_callback=heard.errors.append).wait(20)
        assert (len(heard.results), len(heard.errors)) == (0, 1)


def test_processes_are_replaced_after_so_many_tasks(pools: Any) -> None:
    with pools.Pool(1, maxtasksperchild=2) as pool:
        pids = pool.map(pid_of, range(6), chunksize=1)
    assert len(set(pids)) == 3
    assert pids[0] == pids[1]


def test_processes_stay_without_a_limit(pools: Any) -> None:
    with pools.Pool(1) as pool:
        assert len(set(pool.map(pid_of, range(6), chunksize=1))) == 1


def test_the_processes_are_actors_with_the_options_that_were_given(ray: Ray, pools: Any) -> None:
    with pools.Pool(1, ray_remote_args={"num_cpus": 2}) as pool:
        pool.apply(pid_of)
        wait_until(lambda: ray.available_resources().get("CPU", 0) <= CPUS - 2, 20)


def test_a_call_in_the_pool_can_use_the_cluster(ray: Ray, pool: Any) -> None:
    def nested(value: int) -> Any:
        return ray.get(ray.remote(double).remote(value))

    assert pool.map(nested, range(3)) == [0, 2, 4]


# -- the end


def test_a_closed_pool_finishes_what_it_has_and_takes_no_more(pools: Any, gate: Gate) -> None:
    pool = pools.Pool(2)
    with pytest.raises(ValueError, match="running"):
        pool.join()
    result = pool.map_async(gate.through, range(4), chunksize=1)
    pool.close()
    for refused in (lambda: pool.apply(double, (1,)), lambda: pool.map(double, [1]), lambda: pool.imap(double, [1])):
        with pytest.raises(ValueError, match="not running"):
            refused()
    gate.open()
    pool.join()
    assert len(result.get(timeout=0.5)) == 4


def test_a_terminated_pool_ends_at_once(ray: Ray, pools: Any, gate: Gate) -> None:
    pool = pools.Pool(1)
    result = pool.apply_async(gate.through, (1,))
    gate.wait_for(1)
    pool.terminate()
    pool.join()
    with pytest.raises(ray.exceptions.RayActorError):
        result.get(timeout=20)


def test_the_end_of_a_with_block_ends_the_pool(pools: Any) -> None:
    with pools.Pool(1) as pool:
        assert pool.apply(double, (2,)) == 4
    with pytest.raises(ValueError, match="not running"):
        pool.apply(double, (2,))
    with pytest.raises(ValueError, match="not running"), pool:
        pass
