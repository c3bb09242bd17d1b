"""Results as they come: `as_completed` and `map_unordered`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import pytest

from tests.support.gate import Gate
from tests.support.module import Ray


@pytest.fixture
def double(ray: Ray) -> Any:
    @ray.remote
    def double(value: int) -> int:
        return 2 * value

    return double


@pytest.mark.parametrize("chunk_size", [1, 2, 10])
def test_all_results_are_given(util: Any, double: Any, chunk_size: int) -> None:
    refs = [double.remote(value) for value in range(7)]
    assert sorted(util.as_completed(refs, chunk_size=chunk_size)) == [0, 2, 4, 6, 8, 10, 12]


def test_the_references_can_be_given_instead(util: Any, double: Any) -> None:
    refs = [double.remote(value) for value in range(5)]
    assert set(util.as_completed(refs, yield_obj_refs=True)) == set(refs)


def test_what_is_ready_does_not_wait_for_what_is_not(ray: Ray, util: Any, double: Any, gate: Gate) -> None:
    late = ray.remote(gate.through).remote()
    results = util.as_completed([late, double.remote(4)], chunk_size=1)
    assert next(results) == 8
    gate.open()
    assert len(list(results)) == 1


def test_a_failed_task_raises_in_its_turn(ray: Ray, util: Any) -> None:
    @ray.remote
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        list(util.as_completed([fail.remote()]))


def test_nothing_to_wait_for_is_an_empty_iteration(util: Any, double: Any) -> None:
    assert list(util.as_completed([])) == []
    assert list(util.map_unordered(double, [])) == []


@pytest.mark.parametrize("sizes", [{}, {"backpressure_size": 2}, {"backpressure_size": None}, {"chunk_size": 1}])
def test_map_unordered_calls_the_function_for_each_item(util: Any, double: Any, sizes: Any) -> None:
    assert sorted(util.map_unordered(double, range(23), **sizes)) == list(range(0, 46, 2))


def test_map_unordered_reads_no_more_items_than_may_be_under_way(util: Any, double: Any) -> None:
    read = []

    def items() -> Iterator[int]:
        for number in count():
            read.append(number)
            yield number

    results = util.map_unordered(double, items(), backpressure_size=4, chunk_size=2)
    assert len(list(islice(results, 10))) == 10
    assert len(read) <= 10 + 4 + 2


@pytest.mark.parametrize("sizes", [{"chunk_size": 0}, {"backpressure_size": 0}, {"backpressure_size": -1}])
def test_a_size_that_makes_no_sense_is_refused(util: Any, double: Any, sizes: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(sizes))):
        list(util.map_unordered(double, [1], **sizes))
