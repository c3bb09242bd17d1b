"""Remote generators: their items are references that come while the generator runs."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.gate import Gate
from tests.support.module import NAME, Ray
from tests.support.waiting import wait_until


def values(ray: Ray, refs: Any) -> list[Any]:
    """The values of references; the name of the error's cause where one fails."""
    found: list[Any] = []
    for ref in refs:
        try:
            found.append(ray.get(ref, timeout=30))
        except ray.exceptions.RayTaskError as error:
            found.append(type(error.cause).__name__)
    return found


def count(number: int, fails_at: int = -1) -> Iterator[int]:
    for i in range(number):
        if i == fails_at:
            raise LookupError("the count is broken")
        yield i


def noted(folder: Path) -> int:
    """How many items a `noting` generator has made."""
    return len(os.listdir(folder))


def noting(number: int, folder: Path) -> Iterator[int]:
    for i in range(number):
        (folder / str(i)).touch()
        yield i


LATE = f"""
import {NAME} as ray
ray.init(num_cpus=1, include_dashboard=False)
@ray.remote(num_returns=2)
def fails():
    yield 0
    yield 1
    raise LookupError("too late")
@ray.remote(num_returns=2)
def too_many():
    yield from range(5)
print(ray.get([*fails.remote(), *too_many.remote()]))
"""


class Counting:
    def items(self, number: int, fails_at: int = -1) -> Iterator[int]:
        yield from count(number, fails_at)

    def noted(self, number: int, folder: Path) -> Iterator[int]:
        yield from noting(number, folder)

    def one(self) -> int:
        return 1


class Awaiting:
    async def items(self, number: int, fails_at: int = -1) -> AsyncIterator[int]:
        for i in count(number, fails_at):
            await asyncio.sleep(0)
            yield i

    async def noted(self, number: int, folder: Path) -> AsyncIterator[int]:
        for i in noting(number, folder):
            yield i


# -- iteration


@pytest.mark.parametrize("of", ["task", "actor", "threaded actor", "async actor"])
def test_items_come_in_order_and_an_error_is_the_last_of_them(ray: Ray, of: str) -> None:
    if of == "task":
        call: Any = ray.remote(count)
    else:
        cls = ray.remote(Awaiting if of == "async actor" else Counting)
        actor = cls.options(max_concurrency=2 if of == "threaded actor" else None).remote()
        call = actor.items
    assert values(ray, call.remote(3)) == [0, 1, 2]
    assert values(ray, call.remote(0)) == []
    if ray.__name__ == "raynb" or of == "task":  # Ray retries nothing here either, but logs each
        assert values(ray, call.remote(4, 2)) == [0, 1, "LookupError"]


def test_a_generator_gives_its_items_while_it_runs(ray: Ray, gate: Gate) -> None:
    through = gate.through

    @ray.remote
    def slow() -> Iterator[str]:
        yield "first"
        through()
        yield "second"

    items = slow.remote()
    assert isinstance(items, ray.ObjectRefGenerator)
    assert ray.get(next(items), timeout=30) == "first"
    gate.wait_for(1)
    assert not items.next_ready()
    assert not items.is_finished()
    gate.open()
    assert ray.get(next(items), timeout=30) == "second"
    with pytest.raises(StopIteration):
        next(items)
    assert items.is_finished()
    assert not items.next_ready()


def test_completed_settles_to_none_when_the_generator_has_ended(ray: Ray) -> None:
    task = ray.remote(count)
    items, broken = task.remote(2), task.remote(2, 1)
    assert ray.get(items.completed(), timeout=30) is None
    assert ray.get(broken.completed(), timeout=30) is None
    assert values(ray, items) == [0, 1]
    assert values(ray, broken) == [0, "LookupError"]


def test_items_can_be_awaited(ray: Ray) -> None:
    async def consume(items: Any) -> list[Any]:
        return [await ref async for ref in items]

    assert asyncio.run(consume(ray.remote(count).remote(5))) == list(range(5))
    assert asyncio.run(consume(ray.remote(Awaiting).remote().items.remote(5))) == list(range(5))


def test_large_items_go_through_the_store(ray: Ray) -> None:
    @ray.remote
    def arrays() -> Iterator[Any]:
        for i in range(4):
            yield np.full(200_000, i)

    assert [int(ray.get(ref, timeout=30).sum()) for ref in arrays.remote()] == [i * 200_000 for i in range(4)]


def test_items_can_be_passed_on(ray: Ray) -> None:
    double = ray.remote(lambda x: 2 * x)
    assert ray.get([double.remote(ref) for ref in ray.remote(count).remote(4)], timeout=30) == [0, 2, 4, 6]


def test_many_items_come(ray: Ray) -> None:
    assert values(ray, ray.remote(count).remote(3_000)) == list(range(3_000))


def test_a_task_consumes_a_generator_of_its_own_while_all_cpus_are_taken(ray: Ray) -> None:
    items = ray.remote(count)

    @ray.remote
    def consume() -> int:
        return sum(ray.get(list(items.remote(10))))

    assert ray.get([consume.remote() for _ in range(8)], timeout=60) == [45] * 8


def test_a_generator_can_not_be_passed_on(ray: Ray) -> None:
    items = ray.remote(count).remote(2)
    with pytest.raises(TypeError):
        ray.put(items)
    with pytest.raises(TypeError):
        ray.remote(lambda x: x).remote(items)
    with pytest.raises(TypeError):
        ray.get([items])
    assert ray.get(items) is items


def test_what_generators_of_python_can_more_is_not_there(ray: Ray) -> None:
    items = ray.remote(count).remote(2)
    with pytest.raises(NotImplementedError):
        items.send(1)
    with pytest.raises(NotImplementedError):
        items.throw(ValueError())
    with pytest.raises(NotImplementedError):
        asyncio.run(items.asend(1))
    with pytest.raises(NotImplementedError):
        asyncio.run(items.athrow(ValueError()))


# -- wait


def test_wait_takes_a_generator_as_ready_when_it_has_an_item_or_is_over(ray: Ray, gate: Gate) -> None:
    through = gate.through

    @ray.remote
    def slow() -> Iterator[int]:
        yield 1
        through()

    items, ref = slow.remote(), ray.remote(gate.through).remote()
    assert ray.wait([ref, items], timeout=30) == ([items], [ref])
    assert ray.get(next(items)) == 1
    gate.wait_for(2)
    assert ray.wait([ref, items], timeout=0.1) == ([], [ref, items])
    gate.open()
    assert ray.wait([ref, items], num_returns=2, timeout=30) == ([ref, items], [])
    with pytest.raises(StopIteration):
        next(items)
    with pytest.raises(ValueError, match="unique"):
        ray.wait([items, items])


# -- back-pressure


@pytest.mark.parametrize("of", ["task", "actor", "threaded actor", "async actor"])
def test_a_generator_waits_for_its_consumer_where_it_is_told_to(ray: Ray, tmp_path: Path, of: str) -> None:
    if of == "task":
        call: Any = ray.remote(noting)
    else:
        cls = ray.remote(Awaiting if of == "async actor" else Counting)
        call = cls.options(max_concurrency=2 if of == "threaded actor" else None).remote().noted
    items = call.options(_generator_backpressure_num_objects=2).remote(6, tmp_path)
    wait_until(lambda: noted(tmp_path) == 2)
    for consumed in range(1, 5):
        assert ray.get(next(items), timeout=30) == consumed - 1
        wait_until(lambda consumed=consumed: noted(tmp_path) == 2 + consumed)  # type: ignore[misc]
    assert values(ray, items) == [4, 5]


def test_one_object_of_back_pressure_is_a_generator_as_pythons(ray: Ray, tmp_path: Path) -> None:
    items = ray.remote(_generator_backpressure_num_objects=1)(noting).remote(3, tmp_path)
    wait_until(lambda: noted(tmp_path) == 1)
    ray.wait([items], timeout=30)
    assert noted(tmp_path) == 1
    assert values(ray, items) == [0, 1, 2]
    with pytest.raises(ValueError, match="backpressure"):
        ray.remote(_generator_backpressure_num_objects=0)(noting)


def test_a_dropped_generator_runs_to_its_end(ray: Ray, tmp_path: Path) -> None:
    folders = [tmp_path / "free", tmp_path / "paced"]
    for folder, pace in zip(folders, (-1, 2), strict=True):
        folder.mkdir()
        items = ray.remote(noting).options(_generator_backpressure_num_objects=pace).remote(20, folder)
        next(items)
        del items
    wait_until(lambda: [noted(folder) for folder in folders] == [20, 20])


# -- ending one early


@pytest.mark.parametrize("paced", [False, True])
def test_a_cancelled_generator_ends_with_the_error(ray: Ray, gate: Gate, paced: bool) -> None:
    through = gate.through

    @ray.remote
    def endless() -> Iterator[int]:
        yield 0
        if not paced:
            through()
        while True:
            yield 1

    items = endless.options(_generator_backpressure_num_objects=1 if paced else None).remote()
    first = next(items)
    if paced:
        ray.wait([items], timeout=30)
    else:
        gate.wait_for(1)
    ray.cancel(items)
    rest = list(items)
    assert ray.get(first) == 0
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(rest[-1], timeout=30)


def test_a_paced_generator_of_an_actors_thread_can_be_cancelled(ray: Ray, raynb_only: None) -> None:
    class Endless:
        def items(self) -> Iterator[int]:
            while True:
                yield 1

        def ping(self) -> str:
            return "here"

    actor = ray.remote(Endless).options(max_concurrency=2).remote()
    calls = [actor.items.options(_generator_backpressure_num_objects=1).remote() for _ in range(2)]
    for items in calls:
        ray.wait([items], timeout=30)
        ray.cancel(items)
    assert ray.get(actor.ping.remote(), timeout=30) == "here"  # both threads are free again


def test_closing_a_generator_cancels_it(ray: Ray, gate: Gate, raynb_only: None) -> None:
    through = gate.through

    @ray.remote(max_retries=0)
    def endless() -> Iterator[int]:
        while True:
            yield 1
            through()

    items = endless.remote()
    next(items)
    gate.wait_for(1)
    items.close()
    assert items.is_finished()
    with pytest.raises(StopIteration):
        next(items)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(items.completed(), timeout=30)


# -- retries


def test_a_generator_that_is_tried_again_gives_each_item_once(ray: Ray, tmp_path: Path) -> None:
    @ray.remote(max_retries=1, retry_exceptions=[LookupError])
    def unlucky(folder: Path) -> Iterator[tuple[int, int]]:
        attempt = len(os.listdir(folder))
        (folder / str(attempt)).touch()
        for i in range(4):
            if attempt == 0 and i == 2:
                raise LookupError("the first time")
            yield attempt, i

    assert values(ray, unlucky.remote(tmp_path)) == [(0, 0), (0, 1), (1, 2), (1, 3)]


def test_a_paced_generator_whose_worker_dies_goes_on_in_another(ray: Ray, tmp_path: Path) -> None:
    @ray.remote(max_retries=1, _generator_backpressure_num_objects=2)
    def dying(folder: Path) -> Iterator[int]:
        attempt = len(os.listdir(folder))
        (folder / str(attempt)).touch()
        for i in range(6):
            if attempt == 0 and i == 4:
                os._exit(3)
            yield i

    assert values(ray, dying.remote(tmp_path)) == list(range(6))


# -- generators that are no streams


def dynamic(ray: Ray, function: Callable[..., Any]) -> Any:
    with pytest.warns(DeprecationWarning):
        return ray.remote(num_returns="dynamic")(function)


def test_a_dynamic_number_of_results_is_one_reference_to_many(ray: Ray) -> None:
    ref = dynamic(ray, count).remote(3)
    assert isinstance(ref, ray.ObjectRef)
    items = ray.get(ref, timeout=30)
    assert isinstance(items, ray.DynamicObjectRefGenerator)
    assert values(ray, items) == [0, 1, 2]
    with pytest.warns(DeprecationWarning):
        method = ray.remote(Counting).remote().items.options(num_returns="dynamic")
    assert values(ray, ray.get(method.remote(2))) == [0, 1]


def test_that_a_dynamic_number_of_results_is_deprecated_is_said_where_it_is_asked_for(ray: Ray) -> None:
    asks: list[Callable[[], Any]] = [
        lambda: ray.remote(num_returns="dynamic")(count),
        lambda: ray.remote(count).options(num_returns="dynamic"),
        lambda: ray.method(num_returns="dynamic")(lambda self: iter(())),
    ]
    for ask in asks:
        with pytest.warns(DeprecationWarning, match="num_returns='dynamic' is deprecated") as said:
            ask()
        assert [warning.filename for warning in said] == [__file__]
    assert dynamic(ray, count).options(num_cpus=0.5), "nothing is said again of what was said"


def test_dynamic_results_live_as_long_as_their_generator_or_they_themselves(ray: Ray) -> None:
    def arrays() -> Iterator[Any]:
        for i in range(3):
            yield np.full(200_000, i)

    @ray.remote
    def total(items: Any) -> int:
        return sum(int(ray.get(ref).sum()) for ref in items)

    ref = dynamic(ray, arrays).remote()
    assert ray.get(total.remote(ref), timeout=30) == 600_000
    refs = list(ray.get(ref))
    del ref
    assert [int(ray.get(item)[0]) for item in refs] == [0, 1, 2]


def test_the_last_dynamic_result_fails_where_the_generator_has(ray: Ray) -> None:
    ref = dynamic(ray, count).remote(4, 2)
    assert values(ray, ray.get(ref, timeout=30)) == [0, 1, "LookupError"]


def test_a_fixed_number_of_results_takes_so_many_items(ray: Ray) -> None:
    task = ray.remote(count)
    assert ray.get(task.options(num_returns=1).remote(3), timeout=30) == 0
    assert values(ray, task.options(num_returns=2).remote(3)) == [0, 1]
    assert values(ray, task.options(num_returns=3).remote(1)) == [0, "ValueError", "ValueError"]
    assert values(ray, task.options(num_returns=3).remote(3, 1)) == [0, "LookupError", "LookupError"]
    assert task.options(num_returns=0).remote(3) is None


def test_a_generator_with_a_fixed_number_of_results_runs_to_its_end(ray: Ray, tmp_path: Path) -> None:
    def pair() -> Iterator[int]:
        yield 0
        yield 1
        (tmp_path / "end").touch()

    assert values(ray, ray.remote(num_returns=2)(pair).remote()) == [0, 1]
    assert (tmp_path / "end").exists()


def test_an_error_after_the_last_result_is_printed(python: str, tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(LATE)
    done = subprocess.run([python, "late.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    said = done.stdout + done.stderr
    assert "[0, 1, 0, 1]" in said
    assert said.count("Unhandled error") == 2
    assert "LookupError: too late" in said
    assert "ValueError: Task returned more than num_returns=2 objects." in said


@pytest.mark.parametrize("how", ["streaming", "dynamic"])
def test_what_is_no_generator_can_not_be_called_as_one(ray: Ray, how: str) -> None:
    with pytest.raises(ValueError, match="generator"):
        ray.remote(num_returns=how)(lambda: 1)
    with pytest.raises(ValueError, match="generator"):
        ray.remote(lambda: 1).options(num_returns=how)
    with pytest.raises(ValueError, match="generator"):
        ray.remote(Counting).remote().one.options(num_returns=how).remote()


# -- results of tasks that are no generators


def test_a_wrong_number_of_results_says_both_numbers(ray: Ray) -> None:
    pair = ray.remote(max_retries=0)(lambda: (1, 2))
    for ref in pair.options(num_returns=3).remote():
        with pytest.raises(ValueError, match="Task returned 2 objects, but num_returns=3"):
            ray.get(ref, timeout=30)
    for ref in ray.remote(num_returns=2)(lambda: 1).remote():
        with pytest.raises(TypeError):
            ray.get(ref, timeout=30)
    assert ray.get(pair.options(num_returns=2).remote(), timeout=30) == [1, 2]


@pytest.mark.parametrize("bad", [-1, "several"])
def test_a_number_of_results_that_makes_no_sense_is_refused(ray: Ray, bad: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        ray.remote(num_returns=bad)(lambda: 1)


def test_a_generator_of_references_is_refused_as_an_argument_by_its_own_words(ray: Ray) -> None:
    def items() -> Iterator[int]:
        yield 1

    generator = ray.remote(items).remote()
    with pytest.raises(TypeError, match=r"Could not serialize the argument[\s\S]*ObjectRefGenerator"):
        ray.remote(lambda x: x).remote(generator)
    assert ray.get(next(generator)) == 1
