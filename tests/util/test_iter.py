"""Iterators over items in several actors: what comes out, in which order, and what is refused."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raynb._common.test_utils import Semaphore
from raynb.util.iter import (
    LocalIterator,
    ParallelIteratorWorker,
    from_actors,
    from_items,
    from_iterators,
    from_range,
)
from tests.support.gate import Gate
from tests.support.module import Ray


def doubled(items: Iterable[int]) -> Iterator[int]:
    for item in items:
        yield 2 * item


def double(item: int) -> int:
    return 2 * item


def tallied(name: str, by: int = 0) -> Any:
    """A function that counts under a name: its items, or one at a time."""

    def tally(item: int) -> int:
        counters = LocalIterator.get_metrics().counters
        counters[name] += by or item
        count: int = counters[name]
        return count

    return tally


@pytest.mark.parametrize(
    ("made", "name", "items"),
    [
        (lambda: from_items([1, 2, 3, 4]), "from_items[int, 4, shards=2]", [1, 2, 3, 4]),
        (lambda: from_range(4), "from_range[4, shards=2]", [0, 2, 1, 3]),
        (lambda: from_iterators([range(2), range(2)]), "from_iterators[shards=2]", [0, 0, 1, 1]),
        (lambda: from_range(4).transform(doubled), "from_range[4, shards=2].transform()", [0, 4, 2, 6]),
        (
            lambda: from_range(4).for_each(double).for_each(double),
            "from_range[4, shards=2].for_each().for_each()",
            [0, 8, 4, 12],
        ),
        (lambda: from_range(4).filter(lambda x: x < 3), "from_range[4, shards=2].filter()", [0, 2, 1]),
        (lambda: from_range(3, 1).combine(lambda x: [x, x]), "from_range[3, shards=1].combine()", [0, 0, 1, 1, 2, 2]),
        (lambda: from_range(5, 1).batch(2), "from_range[5, shards=1].batch(2)", [[0, 1], [2, 3], [4]]),
        (lambda: from_items([[1, 2], [3]], 1).flatten(), "from_items[list, 2, shards=1].flatten()", [1, 2, 3]),
        (
            lambda: from_items(["a", "b"], 1).union(from_items(["x", "y"], 1)),
            "ParallelUnion[ParallelIterator[from_items[str, 2, shards=1]], "
            "ParallelIterator[from_items[str, 2, shards=1]]]",
            ["a", "x", "b", "y"],
        ),
    ],
)  # fmt: skip
def test_steps_run_in_the_shards_and_are_in_the_name(ray: Ray, made: Any, name: str, items: list[Any]) -> None:
    iterator = made()
    assert repr(iterator) == f"ParallelIterator[{name}]"
    assert list(iterator.gather_sync()) == items
    assert collections.Counter(map(repr, iterator.gather_async())) == collections.Counter(map(repr, items))
    assert repr(iterator.gather_async()) == f"LocalIterator[{iterator!r}.gather_async()]"


def test_items_are_repeated_where_that_is_asked_for(ray: Ray) -> None:
    iterator = from_items([1, 2, 3], repeat=True)
    assert repr(iterator) == "ParallelIterator[from_items[int, 3, shards=2, repeat=True]]"
    assert iterator.take(8) == [1, 2, 3, 2, 1, 2, 3, 2]


def test_actors_of_ones_own_are_shards(ray: Ray) -> None:
    class Mine(ParallelIteratorWorker):
        def __init__(self, items: list[int]) -> None:
            ParallelIteratorWorker.__init__(self, items, False)

    worker = ray.remote(Mine)
    iterator = from_actors([worker.remote([1, 2]), worker.remote([3, 4])])
    assert repr(iterator) == "ParallelIterator[from_actors[shards=2]]"
    assert list(iterator.gather_sync()) == [1, 3, 2, 4]


def test_shards_are_read_alone_and_again_and_elsewhere(ray: Ray) -> None:
    iterator = from_iterators([[0, 1], [3, 4], [5, 6, 7]])
    assert iterator.num_shards() == 3
    assert iterator.select_shards([0, 2]).take(9) == [0, 5, 1, 6, 7]
    read = ray.remote(lambda iterator, index: list(iterator.get_shard(index, batch_ms=5, num_async=3)))
    for _ in range(2):
        assert ray.get([read.remote(iterator, index) for index in range(3)], timeout=60) == [[0, 1], [3, 4], [5, 6, 7]]
    assert [list(shard) for shard in iterator.shards()] == [[0, 1], [3, 4], [5, 6, 7]]
    assert sorted(from_range(100).gather_async(batch_ms=50, num_async=4)) == list(range(100))
    assert list(iterator.batch_across_shards()) == [[0, 3, 5], [1, 4, 6], [7]]


def test_a_partition_has_every_nth_item_of_every_shard(ray: Ray) -> None:
    iterator = from_range(9, 3).repartition(2).for_each(double)
    assert repr(iterator) == "ParallelIterator[from_range[9, shards=3].repartition[num_partitions=2].for_each()]"
    for _ in range(2):
        assert sorted(iterator.get_shard(0)) == [0, 4, 6, 10, 12, 16]
    assert sorted(iterator.get_shard(1)) == [2, 8, 14]
    both = iterator.union(from_range(3, 1).repartition(2))
    assert both.num_shards() == 4
    assert sorted(both.gather_async()) == sorted([*range(0, 18, 2), 0, 1, 2])


def test_shuffling_keeps_the_items_of_a_shard(ray: Ray) -> None:
    iterator = from_range(60, 2).local_shuffle(20, seed=3)
    first = list(iterator.get_shard(0))
    assert first != list(range(30))
    assert sorted(first) == list(range(30))
    assert list(from_range(10, 1).local_shuffle(shuffle_buffer_size=1).gather_sync()) == list(range(10))


def test_local_steps_follow_and_an_iterator_that_was_not_begun_can_be_passed_on(ray: Ray) -> None:
    steps = from_items([1, 2, 3, 4]).gather_sync().for_each(lambda x: x).filter(lambda x: x != 2).batch(2).flatten()
    assert repr(steps) == (
        "LocalIterator[ParallelIterator[from_items[int, 4, shards=2]].gather_sync()"
        ".for_each().filter().batch(2).flatten()]"
    )
    assert ray.get(ray.remote(lambda items: list(items)).remote(steps), timeout=60) == [1, 3, 4]
    assert list(steps.transform(doubled)) == [2, 6, 8]


def test_functions_share_the_counts_of_their_iterator_alone(ray: Ray) -> None:
    first, second = (from_items([1, 2, 3, 4], 1).gather_sync().for_each(tallied("sum")) for _ in range(2))
    assert first.take(4) == second.take(4) == [1, 3, 6, 10]
    with pytest.raises(ValueError, match="no metrics"):
        LocalIterator.get_metrics()


def test_united_iterators_share_their_counts(ray: Ray) -> None:
    one, two, three = (from_items([1, 2], 1).gather_async().for_each(tallied(name, by=1)) for name in "abc")
    united = one.union(two, deterministic=True).union(three, deterministic=True)

    def names(_item: int) -> str:
        return "".join(sorted(LocalIterator.get_metrics().counters))

    assert united.for_each(names).take(9) == ["a", "ac", "abc", "abc", "abc", "abc"]


def test_the_actor_that_an_item_came_from_is_known(ray: Ray) -> None:
    pairs = from_items([1, 2, 3, 4]).gather_async().zip_with_source_actor()
    assert sorted(collections.Counter(actor for actor, _ in pairs).values()) == [2, 2]


def test_copies_keep_what_the_others_have_read(ray: Ray) -> None:
    one, two = from_range(5, 1).gather_sync().duplicate(2)
    items = one.batch(2).union(two).take(20)  # who has none yet is passed over: each part has its own order
    assert [item for item in items if isinstance(item, int)] == [0, 1, 2, 3, 4]
    assert [item for item in items if isinstance(item, list)] == [[0, 1], [2, 3], [4]]
    one, two = from_range(5, 1).gather_sync().duplicate(2)
    assert one.batch(2).union(two, deterministic=True).take(20) == [[0, 1], 0, [2, 3], 1, [4], 2, 3, 4]


def test_a_slow_part_of_a_union_holds_up_no_other(ray: Ray, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    slow = from_iterators([[1, 2]]).for_each(gate.through).gather_async()
    united = slow.union(from_range(5, 1).gather_async())
    assert re.fullmatch(r"LocalIterator\[LocalUnion\[LocalIterator\[.*\], LocalIterator\[.*\]\]\]", repr(united))
    assert united.take(5) == [0, 1, 2, 3, 4]
    gate.open()
    assert list(united) == [1, 2]


@pytest.mark.parametrize("way", ["gather_sync", "gather_async"])
def test_a_function_runs_in_as_many_tasks_as_it_may(ray: Ray, way: str) -> None:
    begun, free = Semaphore.remote(value=0), Semaphore.remote(value=0)

    def hold(item: int) -> int:
        ray.get(begun.release.remote())
        ray.get(free.acquire.remote())
        return item + 10

    iterator = from_range(8).for_each(hold, max_concurrency=2, resources={"num_cpus": 0.01})
    found = ray.remote(num_cpus=0.01)(lambda items: list(items)).remote(getattr(iterator, way)())
    ray.get([begun.acquire.remote() for _ in range(4)], timeout=60)
    assert ray.get(begun.locked.remote())
    ray.get([free.release.remote() for _ in range(8)])
    assert sorted(ray.get(found, timeout=60)) == list(range(10, 18))


def test_what_makes_no_sense_is_refused(ray: Ray) -> None:
    iterator: Any = from_range(4)
    local: Any = iterator.gather_sync()
    for error, attempt in (
        (TypeError, lambda: list(iterator)),
        (TypeError, lambda: iterator.union(local)),
        (ValueError, lambda: iterator.union(iterator).select_shards([0])),
        (ValueError, lambda: iterator.select_shards([])),
        (ValueError, lambda: iterator.get_shard(2)),
        (ValueError, lambda: iterator.gather_async(num_async=0)),
        (ValueError, lambda: iterator.gather_async(batch_ms=-1)),
        (ValueError, lambda: local.union(iterator)),
        (ValueError, lambda: local.union(local, round_robin_weights=[1])),
        (ValueError, lambda: local.duplicate(1)),
        (ValueError, lambda: local.for_each(double, max_concurrency=-1)),
    ):
        with pytest.raises(error):
            attempt()


def test_what_a_step_raises_comes_where_the_items_are_gathered(ray: Ray) -> None:
    for gathered in (from_range(2).for_each(lambda x: 1 // x).gather_sync(), from_range(2).for_each(1).gather_async()):  # type: ignore[arg-type]
        with pytest.raises((ZeroDivisionError, TypeError)):
            list(gathered)
