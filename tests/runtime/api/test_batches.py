"""Several items of a generator at once: references before the items, waited for and taken together."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raynb._private.worker import _wait_generators_bulk, global_worker
from tests.support.gate import Gate
from tests.support.module import Ray
from tests.support.waiting import wait_until


def upto(number: int, fails: bool = False) -> Iterator[int]:
    yield from range(number)
    if fails:
        raise LookupError("the count is broken")


def held(gate: Gate) -> Iterator[int]:
    yield 0
    gate.through()
    yield 1


def outcomes(ray: Ray, refs: list[Any]) -> list[Any]:
    found: list[Any] = []
    for ref in refs:
        try:
            found.append(ray.get(ref, timeout=30))
        except ray.exceptions.RayTaskError as error:
            found.append(type(error.cause).__name__)
        except ray.exceptions.RayError as error:
            found.append(type(error).__name__)
    return found


END = "ObjectRefStreamEndOfStreamError"


def test_a_batch_is_taken_when_its_last_item_is_there(ray: Ray) -> None:
    generator = ray.remote(upto).remote(3)
    ((ready, refs),) = _wait_generators_bulk([(generator, [True, False])], timeout=30)
    assert ready is generator
    assert outcomes(ray, refs) == [0, 1]
    assert ray.get(next(generator)) == 2
    assert next(generator, None) is None


def test_places_after_the_last_item_fail_with_the_end_of_the_stream(ray: Ray) -> None:
    generator = ray.remote(upto).remote(1)
    ((_, refs),) = _wait_generators_bulk([(generator, [False, True, True])], timeout=30)
    assert outcomes(ray, refs) == [0, END, END]
    ((_, later),) = _wait_generators_bulk([(generator, [True])], timeout=30)
    assert later[0] not in refs
    assert outcomes(ray, later) == [END]


def test_what_a_generator_raises_is_one_item_after_which_there_are_none(ray: Ray) -> None:
    generator = ray.remote(upto).remote(1, fails=True)
    ((_, refs),) = _wait_generators_bulk([(generator, [False] * 3)], timeout=30)
    assert outcomes(ray, refs) == [0, "LookupError", END]


def test_a_batch_that_is_not_there_in_time_is_not_taken(ray: Ray, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    generator = ray.remote(held).remote(gate)
    assert _wait_generators_bulk([(generator, [True, True])], timeout=0.01) == []
    generator._get_next_ref_n(2)
    with pytest.raises(ValueError, match="not there yet"):
        generator._consume_next_ref_n(2)
    gate.open()
    ((_, refs),) = _wait_generators_bulk([(generator, [True, True])], timeout=30)
    assert outcomes(ray, refs) == [0, 1]


def test_no_more_generators_are_taken_from_than_were_asked_for(ray: Ray, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    slow, fast = ray.remote(held).remote(gate), ray.remote(upto).remote(2)
    ready = _wait_generators_bulk([(slow, [True, True]), (fast, [True, True])], timeout=30)
    assert [generator for generator, _ in ready] == [fast]
    gate.open()
    ready = _wait_generators_bulk([(slow, [True, True]), (fast, [True])], num_return=2, timeout=30)
    assert [generator for generator, _ in ready] == [slow, fast]


def test_an_item_that_a_dead_worker_can_not_make_fails_as_the_generator_does(ray: Ray) -> None:
    def dying() -> Iterator[int]:
        os._exit(1)
        yield 0

    generator = ray.remote(max_retries=0)(dying).remote()
    assert outcomes(ray, generator._get_next_ref_n(2)) == ["WorkerCrashedError"] * 2
    assert outcomes(ray, [generator.completed()]) == ["WorkerCrashedError"]


def test_a_peeked_item_of_a_cancelled_generator_is_cancelled(ray: Ray) -> None:
    def endless() -> Iterator[int]:
        yield 0
        time.sleep(1000)
        yield 1

    generator = ray.remote(endless).remote()
    first, second = generator._get_next_ref_n(2)
    assert ray.get(first, timeout=30) == 0
    ray.cancel(generator)
    assert outcomes(ray, [second, generator.completed()]) == ["TaskCancelledError"] * 2
    generator._consume_next_ref_n(1)
    assert generator._get_next_ref_n(1) == [second]


@pytest.mark.parametrize(
    ("wanted", "num_return", "error"),
    [
        ("no list", 1, TypeError),
        ([(1, [True])], 1, TypeError),
        ([("generator", True)], 1, TypeError),
        ([("generator", [1])], 1, TypeError),
        ([("generator", [])], 1, ValueError),
        ([("generator", [True])], 2, ValueError),
        ([("generator", [True]), ("generator", [True])], 1, ValueError),
    ],
)
def test_what_makes_no_sense_is_refused(ray: Ray, wanted: Any, num_return: int, error: type[Exception]) -> None:
    generator = ray.remote(upto).remote(1)
    if isinstance(wanted, list):
        wanted = [(generator if what == "generator" else what, flags) for what, flags in wanted]
    with pytest.raises(error):
        _wait_generators_bulk(wanted, num_return=num_return)


def test_nothing_is_left_of_what_was_taken(ray: Ray) -> None:
    before = global_worker.core_worker.get_memory_store_size()
    generator = ray.remote(upto).remote(2)
    ((_, refs),) = _wait_generators_bulk([(generator, [True] * 3)], timeout=30)
    assert outcomes(ray, refs) == [0, 1, END]
    del generator, refs, _

    def is_let_go() -> bool:
        gc.collect()
        return global_worker.core_worker.get_memory_store_size() <= before

    wait_until(is_let_go)
