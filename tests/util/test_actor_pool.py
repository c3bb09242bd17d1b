"""`ActorPool`: a few actors take turns at many calls."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.gate import Gate
from tests.support.module import Ray


class Worker:
    def double(self, value: Any) -> Any:
        return 2 * value

    def held(self, gate: Gate, value: int) -> int:
        gate.through()
        return value

    def fail(self, value: int) -> None:
        raise ValueError(value)


@pytest.fixture
def actors(ray: Ray) -> Any:
    worker = ray.remote(num_cpus=0)(Worker)
    return [worker.remote() for _ in range(2)]


@pytest.fixture
def pool(util: Any, actors: Any) -> Any:
    return util.ActorPool(actors)


def double(actor: Any, value: int) -> Any:
    return actor.double.remote(value)


def test_results_of_map_are_in_the_order_of_the_values(pool: Any) -> None:
    assert list(pool.map(double, range(7))) == [0, 2, 4, 6, 8, 10, 12]


def test_results_of_map_unordered_are_all_there(pool: Any) -> None:
    assert sorted(pool.map_unordered(double, iter(range(7)))) == [0, 2, 4, 6, 8, 10, 12]


def test_map_submits_at_once_and_gives_results_when_asked(pool: Any) -> None:
    results = pool.map(double, [1])
    assert pool.has_next()
    assert next(results) == 2
    assert not pool.has_next()


def test_map_drops_what_was_submitted_before(pool: Any) -> None:
    pool.submit(double, 100)
    assert list(pool.map(double, [1, 2])) == [2, 4]


def test_get_next_gives_results_in_the_order_of_their_submission(pool: Any, gate: Gate) -> None:
    pool.submit(lambda actor, value: actor.held.remote(gate, value), 1)
    pool.submit(double, 2)
    gate.open()
    assert [pool.get_next(), pool.get_next()] == [1, 4]


def test_get_next_unordered_gives_what_is_ready_first(pool: Any, gate: Gate) -> None:
    pool.submit(lambda actor, value: actor.held.remote(gate, value), 1)
    pool.submit(double, 2)
    assert pool.get_next_unordered() == 4
    gate.open()
    assert pool.get_next_unordered() == 1


def test_a_pool_without_calls_has_no_results(pool: Any) -> None:
    assert not pool.has_next()
    for ask in (pool.get_next, pool.get_next_unordered):
        with pytest.raises(StopIteration):
            ask()


def test_more_calls_than_actors_wait_for_a_free_one(pool: Any) -> None:
    for value in range(5):
        pool.submit(double, value)
    assert not pool.has_free()
    assert [pool.get_next() for _ in range(5)] == [0, 2, 4, 6, 8]
    assert pool.has_free()


@pytest.mark.parametrize("ask", ["get_next", "get_next_unordered"])
def test_a_late_result_can_be_waited_for_again(pool: Any, gate: Gate, ask: str) -> None:
    pool.submit(lambda actor, value: actor.held.remote(gate, value), 1)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        getattr(pool, ask)(timeout=0.05)
    assert time.monotonic() - began < 5
    assert pool.has_next()
    gate.open()
    assert getattr(pool, ask)(timeout=20) == 1


@pytest.mark.parametrize("ask", ["get_next", "get_next_unordered"])
def test_a_late_result_can_be_given_up(pool: Any, gate: Gate, ask: str) -> None:
    pool.submit(lambda actor, value: actor.held.remote(gate, value), 1)
    with pytest.raises(TimeoutError, match="ignored"):
        getattr(pool, ask)(timeout=0.05, ignore_if_timedout=True)
    assert not pool.has_next()
    assert pool.has_free()


def test_a_call_that_raises_leaves_its_actor_in_the_pool(util: Any, actors: Any) -> None:
    pool = util.ActorPool(actors[:1])
    pool.submit(lambda actor, value: actor.fail.remote(value), 3)
    pool.submit(double, 4)
    with pytest.raises(ValueError, match="3"):
        pool.get_next()
    assert pool.get_next() == 8
    assert pool.has_free()


def test_idle_actors_can_be_taken_out_and_put_back(util: Any, actors: Any) -> None:
    pool = util.ActorPool(actors)
    taken = [pool.pop_idle(), pool.pop_idle()]
    assert set(taken) == set(actors)
    assert pool.pop_idle() is None
    assert not pool.has_free()
    pool.push(taken[0])
    assert pool.has_free()
    with pytest.raises(ValueError, match="already"):
        pool.push(taken[0])


def test_a_busy_actor_can_not_be_added_a_second_time(util: Any, actors: Any) -> None:
    pool = util.ActorPool(actors[:1])
    pool.submit(double, 1)
    with pytest.raises(ValueError, match="already"):
        pool.push(actors[0])


def test_what_waits_starts_when_an_actor_is_added(util: Any, actors: Any) -> None:
    pool = util.ActorPool([])
    pool.submit(double, 21)
    assert not pool.has_next()
    pool.push(actors[0])
    assert pool.get_next() == 42
