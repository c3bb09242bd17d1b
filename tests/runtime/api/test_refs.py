"""Refs as values: inside containers, across processes, as futures, in `async` code."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import pickle
import queue
from typing import Any

import pytest

from tests.support.gate import Gate
from tests.support.module import Ray


def test_a_ref_at_the_top_of_the_arguments_arrives_as_its_value(ray: Ray) -> None:
    @ray.remote
    def types(positional: object, *, keyword: object) -> list[str]:
        return [type(positional).__name__, type(keyword).__name__]

    ref = ray.put([1, 2])
    assert ray.get(types.remote(ref, keyword=ref)) == ["list", "list"]


def test_a_ref_inside_a_container_arrives_as_a_ref(ray: Ray) -> None:
    @ray.remote
    def unpack(box: dict[str, list[Any]]) -> tuple[str, int]:
        inner = box["refs"][0]
        return type(inner).__name__, ray.get(inner)

    assert ray.get(unpack.remote({"refs": [ray.put(7)]})) == ("ObjectRef", 7)


def test_a_ref_comes_back_from_a_task_as_a_ref_that_can_be_read(ray: Ray) -> None:
    @ray.remote
    def leaf(x: int) -> int:
        return x * 10

    @ray.remote
    def delegate(x: int) -> list[Any]:
        return [leaf.remote(x), ray.put("made here")]

    refs = ray.get(delegate.remote(4))
    assert ray.get(refs) == [40, "made here"]


def test_a_ref_returned_alone_is_a_ref_too(ray: Ray) -> None:
    @ray.remote
    def put_inside() -> Any:
        return ray.put("inner")

    outer = ray.get(put_inside.remote())
    assert isinstance(outer, ray.ObjectRef)
    assert ray.get(outer) == "inner"


def test_a_ref_inside_an_object_that_was_put_keeps_what_it_refers_to(ray: Ray) -> None:
    inner = ray.put("kept")
    outer = ray.put([inner])
    del inner
    gc.collect()
    assert ray.get(ray.get(outer)[0]) == "kept"


def test_a_ref_held_by_an_actor_keeps_the_object_when_the_driver_has_dropped_it(ray: Ray) -> None:
    @ray.remote
    class Holder:
        def __init__(self) -> None:
            self.held: list[Any] = []

        def hold(self, box: list[Any]) -> None:
            self.held = box

        def read(self) -> object:
            return ray.get(self.held)

    holder = Holder.remote()
    ref = ray.put("borrowed")
    ray.get(holder.hold.remote([ref]))
    del ref
    gc.collect()
    assert ray.get(holder.read.remote()) == ["borrowed"]


def test_a_ref_may_pass_through_several_processes(ray: Ray) -> None:
    @ray.remote
    def relay(box: list[Any], hops: int) -> object:
        return ray.get(box[0]) if hops == 0 else ray.get(relay.remote(box, hops - 1))

    assert ray.get(relay.remote([ray.put("far")], 5)) == "far"


def test_a_task_may_be_submitted_with_a_ref_whose_value_is_not_there_yet(ray: Ray, gate: Gate) -> None:
    pending = ray.remote(gate.through).remote("late")

    @ray.remote
    def wait_inside(box: list[Any]) -> object:
        return ray.get(box[0])

    refs = [wait_inside.remote([pending]) for _ in range(6)]  # more than there are CPUs
    gate.open()
    assert ray.get(refs, timeout=30) == ["late"] * 6


def test_refs_are_equal_and_hash_by_what_they_refer_to(ray: Ray) -> None:
    first, second = ray.put(1), ray.put(1)
    same = ray.get(ray.remote(lambda box: box).remote([first]))[0]
    assert same == first != second
    assert len({first, second, same}) == 2
    assert first.hex() == first.binary().hex()
    assert first.hex() in repr(first)


def test_a_ref_has_the_length_of_an_id(ray: Ray) -> None:
    ref = ray.put(1)
    assert len(ref.binary()) == ray.ObjectRef.size() == 28
    assert not ref.is_nil()
    assert ray.ObjectRef.nil().is_nil()


def test_a_ref_knows_its_task_and_its_job(ray: Ray) -> None:
    @ray.remote
    def own_id() -> str:
        found: str = ray.get_runtime_context().get_task_id()
        return found

    ref = own_id.remote()
    assert ref.task_id().hex() == ray.get(ref)
    assert ref.job_id().hex() == ray.get_runtime_context().get_job_id()


def test_a_ref_can_not_be_pickled_by_the_programs_own_pickle_and_forgotten(ray: Ray) -> None:
    """Outside of a task's arguments nobody would count it; the object would go under it."""
    ref = ray.put(1)
    try:
        again = pickle.loads(pickle.dumps(ref))
    except Exception as error:
        assert "ObjectRef" in str(error) or "ref" in str(error).lower()
    else:
        assert ray.get(again) == 1


def test_a_future_of_a_ref_is_one_of_the_standard_library(ray: Ray, gate: Gate) -> None:
    future = ray.remote(gate.through).remote("value").future()
    assert isinstance(future, concurrent.futures.Future)
    assert not future.done()
    gate.open()
    assert future.result(timeout=20) == "value"
    assert ray.put(3).future().result(timeout=20) == 3


def test_a_future_of_a_failed_task_raises_its_exception(ray: Ray) -> None:
    future = ray.remote(lambda: 1 / 0).remote().future()
    with pytest.raises(ZeroDivisionError):
        future.result(timeout=20)


def test_a_ref_can_be_awaited(ray: Ray) -> None:
    square = ray.remote(lambda x: x * x)

    async def main() -> list[int]:
        first = await square.remote(3)
        return [first, *await asyncio.gather(*[square.remote(n) for n in range(4)])]

    assert asyncio.run(main()) == [9, 0, 1, 4, 9]


def test_a_future_may_be_made_before_its_loop_runs(ray: Ray) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        futures = [ray.remote(lambda x: x + 1).remote(n).as_future() for n in range(3)]
        assert loop.run_until_complete(asyncio.wait_for(futures[0], 20)) == 1
        assert [loop.run_until_complete(future) for future in futures] == [1, 2, 3]
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_a_function_is_called_with_what_has_come(ray: Ray) -> None:
    found: queue.Queue[Any] = queue.Queue()
    ray.remote(lambda: 7).remote()._on_completed(found.put)
    assert found.get(timeout=20) == 7
    ray.remote(lambda: 1 / 0).remote()._on_completed(found.put)
    assert isinstance(found.get(timeout=20), ZeroDivisionError)


def test_a_program_can_do_other_things_while_it_awaits(ray: Ray, gate: Gate) -> None:
    async def main() -> list[object]:
        waiting = asyncio.ensure_future(asyncio.wait_for(ray.remote(gate.through).remote(1), 30))
        await asyncio.sleep(0)
        assert not waiting.done()
        gate.open()
        return [await waiting]

    assert asyncio.run(main()) == [1]


def test_an_awaited_ref_of_a_failed_task_raises_its_exception(ray: Ray) -> None:
    async def main() -> None:
        await ray.remote(lambda: [][1]).remote()

    with pytest.raises(IndexError):
        asyncio.run(main())


def test_a_handle_of_an_actor_is_an_argument_like_any_other(ray: Ray) -> None:
    @ray.remote
    class Total:
        def __init__(self) -> None:
            self.total = 0

        def add(self, number: int) -> int:
            self.total += number
            return self.total

    @ray.remote
    def contribute(total: Any, boxed: dict[str, Any], number: int) -> None:
        ray.get([total.add.remote(number), boxed["same"].add.remote(number)])

    total = Total.remote()
    ray.get([contribute.remote(total, {"same": total}, number) for number in range(5)])
    assert ray.get(total.add.remote(0)) == 2 * sum(range(5))
