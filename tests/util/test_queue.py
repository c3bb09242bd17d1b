"""`Queue`: items that processes hand to each other."""

from __future__ import annotations

import asyncio
import importlib
import queue as standard
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import module
from tests.support.module import Ray
from tests.support.waiting import wait_until


@pytest.fixture
def queues(ray: Ray) -> Any:
    return importlib.import_module(f"{module.NAME}.util.queue")


@pytest.fixture
def queue(queues: Any) -> Iterator[Any]:
    queue = queues.Queue()
    yield queue
    queue.shutdown(force=True)


@pytest.fixture
def short(queues: Any) -> Iterator[Any]:
    queue = queues.Queue(maxsize=2)
    yield queue
    queue.shutdown(force=True)


def test_items_come_out_in_the_order_they_went_in(queue: Any) -> None:
    for item in ("a", None, [3]):
        queue.put(item)
    assert [queue.get(), queue.get(), queue.get()] == ["a", None, [3]]


def test_it_knows_how_many_items_it_has(short: Any) -> None:
    assert (len(short), short.size(), short.qsize(), short.empty(), short.full()) == (0, 0, 0, True, False)
    short.put_nowait(1)
    short.put_nowait(2)
    assert (len(short), short.size(), short.qsize(), short.empty(), short.full()) == (2, 2, 2, False, True)


def test_who_does_not_wait_is_told_without_a_task_s_error(queues: Any, short: Any) -> None:
    async def ask() -> None:
        with pytest.raises(queues.Empty) as none:
            await short.get_async(block=False)
        assert type(none.value) is queues.Empty

    asyncio.run(ask())
    with pytest.raises(queues.Empty) as none:
        short.get_nowait()
    short.put_nowait_batch([1, 2])
    with pytest.raises(queues.Full) as full:
        short.put_nowait(3)
    assert (type(none.value), type(full.value)) == (queues.Empty, queues.Full)


def test_without_waiting_no_item_and_no_room_are_errors_of_the_standard_library_too(queues: Any, short: Any) -> None:
    for ask in (short.get_nowait, lambda: short.get(block=False), lambda: short.get(timeout=0.05)):
        with pytest.raises(queues.Empty) as caught:
            ask()
        assert isinstance(caught.value, standard.Empty)
    short.put_nowait_batch([1, 2])
    for ask in (lambda: short.put_nowait(3), lambda: short.put(3, block=False), lambda: short.put(3, timeout=0.05)):
        with pytest.raises(queues.Full) as caught:
            ask()
        assert isinstance(caught.value, standard.Full)
    assert short.get_nowait_batch(2) == [1, 2]


def test_a_negative_timeout_is_refused(queue: Any) -> None:
    with pytest.raises(ValueError, match="timeout"):
        queue.get(timeout=-1)
    with pytest.raises(ValueError, match="timeout"):
        queue.put(1, timeout=-1)


def test_get_waits_for_an_item_that_another_process_puts(ray: Ray, queue: Any) -> None:
    @ray.remote
    def produce(queue: Any) -> None:
        for number in range(5):
            queue.put(number)

    producer = produce.remote(queue)
    assert [queue.get(timeout=20) for _ in range(5)] == list(range(5))
    ray.get(producer)


def test_put_waits_for_room(ray: Ray, short: Any) -> None:
    @ray.remote
    def produce(queue: Any) -> str:
        for number in range(6):
            queue.put(number)
        return "all in"

    producer = produce.remote(short)
    wait_until(lambda: short.full(), 20)
    assert ray.wait([producer], timeout=0)[0] == []
    assert [short.get() for _ in range(6)] == list(range(6))
    assert ray.get(producer, timeout=20) == "all in"


def test_consumers_share_the_items_out(ray: Ray, queue: Any) -> None:
    @ray.remote(num_cpus=0)
    def consume(queue: Any) -> list[int]:
        return [queue.get() for _ in range(4)]

    consumers = [consume.remote(queue) for _ in range(3)]
    for number in range(12):
        queue.put(number)
    assert sorted(item for items in ray.get(consumers, timeout=30) for item in items) == list(range(12))


def test_a_batch_goes_in_and_comes_out_as_a_whole_or_not_at_all(queues: Any, short: Any) -> None:
    with pytest.raises(queues.Full):
        short.put_nowait_batch([1, 2, 3])
    assert short.empty()
    short.put_nowait_batch(iter([1, 2]))
    with pytest.raises(queues.Empty):
        short.get_nowait_batch(3)
    assert short.get_nowait_batch(2) == [1, 2]
    assert short.get_nowait_batch(0) == []


@pytest.mark.parametrize(
    ("method", "argument", "kind"),
    [("put_nowait_batch", 3, TypeError), ("get_nowait_batch", 1.5, TypeError), ("get_nowait_batch", -1, ValueError)],
)
def test_a_batch_that_makes_no_sense_is_refused(queue: Any, method: str, argument: Any, kind: Any) -> None:
    with pytest.raises(kind):
        getattr(queue, method)(argument)


def test_coroutines_use_it_too(queues: Any, short: Any) -> None:
    async def program() -> list[Any]:
        await asyncio.gather(short.put_async("a"), short.put_async("b"))
        with pytest.raises(queues.Full):
            await short.put_async("c", block=False)
        with pytest.raises(queues.Full):
            await short.put_async("c", timeout=0.05)
        with pytest.raises(ValueError, match="timeout"):
            await short.put_async("c", timeout=-1)
        got = sorted(await asyncio.gather(short.get_async(), short.get_async(timeout=5)))
        with pytest.raises(queues.Empty):
            await short.get_async(block=False)
        with pytest.raises(queues.Empty):
            await short.get_async(timeout=0.05)
        return got

    assert asyncio.run(program()) == ["a", "b"]


def test_an_item_nobody_waits_for_any_more_is_not_lost(queues: Any, queue: Any) -> None:
    with pytest.raises(queues.Empty):
        queue.get(timeout=0.05)
    queue.put("kept")
    assert queue.get(timeout=5) == "kept"


def test_the_actor_behind_it_has_the_options_that_were_given(ray: Ray, queues: Any) -> None:
    queue = queues.Queue(actor_options={"name": "mailbox", "num_cpus": 0})
    queue.put(1)
    assert ray.get(ray.get_actor("mailbox").qsize.remote()) == 1
    queue.shutdown(force=True)


@pytest.mark.parametrize("force", [False, True])
def test_after_shutdown_the_queue_is_gone_for_everybody(ray: Ray, queues: Any, force: bool) -> None:
    queue = queues.Queue()
    queue.put(1)
    actor = queue.actor
    queue.shutdown(force=force)
    assert queue.actor is None
    queue.shutdown()
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(actor.qsize.remote(), timeout=20)


def test_a_shutdown_does_not_wait_longer_than_it_was_told(queues: Any) -> None:
    queue = queues.Queue()
    waiting = queue.actor.get.remote()  # never answered
    began = time.monotonic()
    queue.shutdown(grace_period_s=0.2)
    assert time.monotonic() - began < 10
    del waiting
