"""Objects that lie in another node's memory are read as any others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import raynb
from raynb.cluster_utils import ClusterNode
from tests.runtime.nodes.stores import usage
from tests.support.nodes import Nodes, several_nodes
from tests.support.waiting import wait_until

BIG = 1_000_000


@pytest.fixture(scope="module")
def two() -> Iterator[Nodes]:
    """The head, where this process is, has `here`; a second node has `there`."""
    with several_nodes(resources={"here": 8}) as nodes:
        nodes.add(num_cpus=2, resources={"there": 8})
        yield nodes


@pytest.fixture
def nodes(two: Nodes) -> Iterator[Nodes]:
    """No test leaves anything in any store."""
    yield two
    for node in two.cluster.list_all_nodes():
        wait_until(lambda node=node: usage(node)["objects"] == 0, 10, what=f"{node!r} has no objects")


def second(nodes: Nodes) -> ClusterNode:
    (node,) = [node for node in nodes.cluster.list_all_nodes() if node is not nodes.head]
    return node


@raynb.remote(num_cpus=0)
def make(size: int, value: float = 1.0) -> np.ndarray[Any, Any]:
    return np.full(size, value)


@raynb.remote(num_cpus=0)
def total(*arrays: np.ndarray[Any, Any]) -> float:
    return float(sum(array.sum() for array in arrays))


@raynb.remote(num_cpus=0)
class Keeper:
    def __init__(self, value: Any = None) -> None:
        self.value: Any = value

    def keep(self, value: Any) -> float:
        self.value = value
        return float(value.sum())

    def sum(self) -> float:
        return float(self.value.sum())

    def drop(self) -> None:
        self.value = None

    def give(self) -> Any:
        return self.value

    async def sum_of(self, refs: list[Any]) -> float:
        return float(sum([(await ref).sum() for ref in refs]))


THERE = {"resources": {"there": 1}}
HERE = {"resources": {"here": 1}}


def test_the_driver_reads_an_array_that_was_made_on_another_node(nodes: Nodes) -> None:
    ref = make.options(**THERE).remote(BIG, 3.0)
    array = raynb.get(ref, timeout=20)
    assert array.sum() == 3 * BIG
    assert not array.flags.writeable
    again = raynb.get(ref)
    assert np.shares_memory(array, again), "it is a view of one copy"


def test_a_task_of_another_node_reads_what_the_driver_has_put(nodes: Nodes) -> None:
    ref = raynb.put(np.ones(BIG))
    assert raynb.get(total.options(**THERE).remote(ref), timeout=20) == BIG


def test_what_was_made_there_is_read_by_tasks_here_and_there(nodes: Nodes) -> None:
    made = [make.options(**THERE).remote(BIG, float(i)) for i in range(3)]
    expected = BIG * 3.0
    assert raynb.get(total.options(**HERE).remote(*made), timeout=20) == expected
    assert raynb.get(total.options(**THERE).remote(*made), timeout=20) == expected


def test_a_copy_is_freed_with_its_object(nodes: Nodes) -> None:
    ref = make.options(**THERE).remote(BIG)
    raynb.get(ref, timeout=20)
    assert usage(nodes.head)["objects"] == usage(second(nodes))["objects"] == 1
    del ref
    for node in nodes.cluster.list_all_nodes():
        wait_until(lambda node=node: usage(node)["objects"] == 0, 10)


def test_a_view_keeps_the_copy_when_the_reference_is_gone(nodes: Nodes) -> None:
    array = raynb.get(make.options(**THERE).remote(BIG, 2.0), timeout=20)
    assert raynb.get(total.options(**HERE).remote(make.options(**HERE).remote(BIG)), timeout=20) == BIG
    assert array.sum() == 2 * BIG


def test_many_references_are_got_in_one_call(nodes: Nodes) -> None:
    refs = [(make.options(**(THERE if i % 2 else HERE))).remote(50_000, float(i)) for i in range(20)]
    arrays = raynb.get([*refs, raynb.put(7)], timeout=20)
    assert [float(array[0]) for array in arrays[:-1]] == list(range(20)) and arrays[-1] == 7


def test_an_actor_of_another_node_takes_keeps_and_gives_arrays(nodes: Nodes) -> None:
    keeper = Keeper.options(**THERE).remote(make.options(**HERE).remote(BIG))
    assert raynb.get(keeper.sum.remote(), timeout=20) == BIG
    assert raynb.get(keeper.keep.remote(np.full(BIG, 2.0)), timeout=20) == 2 * BIG
    assert raynb.get(keeper.give.remote(), timeout=20).sum() == 2 * BIG
    assert raynb.get(keeper.keep.remote(make.options(**HERE).remote(BIG, 3.0)), timeout=20) == 3 * BIG
    raynb.get(keeper.drop.remote())


def test_an_async_actor_awaits_what_lies_elsewhere(nodes: Nodes) -> None:
    keeper = Keeper.options(**THERE).remote()
    refs = [make.options(**HERE).remote(BIG, float(i)) for i in range(3)]
    assert raynb.get(keeper.sum_of.remote(refs), timeout=20) == 3 * BIG


def test_await_and_futures_bring_values_here(nodes: Nodes) -> None:
    async def sums() -> float:
        arrays = await asyncio.gather(*[make.options(**THERE).remote(BIG, float(i)) for i in range(3)])
        return float(sum(array.sum() for array in arrays))

    assert asyncio.run(sums()) == 3 * BIG
    assert make.options(**THERE).remote(BIG).future().result(20).sum() == BIG


def test_wait_counts_what_is_here_only_if_that_is_asked_for(nodes: Nodes) -> None:
    refs = [make.options(**THERE).remote(BIG, float(i)) for i in range(3)]
    assert raynb.wait(refs, num_returns=3, timeout=20, fetch_local=False) == (refs, [])
    assert usage(nodes.head)["objects"] == 0
    assert raynb.wait(refs, num_returns=3, timeout=20) == (refs, [])
    assert usage(nodes.head)["objects"] == 3
    assert raynb.wait(refs, num_returns=3, timeout=0) == (refs, [])


def test_wait_has_brought_here_what_is_not_told_as_ready_yet(nodes: Nodes) -> None:
    near, far = ([make.options(**place).remote(BIG) for _ in range(2)] for place in (HERE, THERE))
    raynb.wait(near + far, num_returns=4, timeout=20, fetch_local=False)
    assert usage(nodes.head)["objects"] == 2
    assert raynb.wait(near + far, num_returns=2, timeout=20) == (near, far)
    wait_until(lambda: usage(nodes.head)["objects"] == 4, 20, "they are here")
    assert raynb.wait(far, num_returns=2, timeout=0) == (far, [])


def test_wait_for_generators_and_far_objects_counts_what_is_here(nodes: Nodes) -> None:
    @raynb.remote(num_cpus=0, num_returns="streaming")
    def numbers() -> Iterator[int]:
        yield 1

    ref, items = make.options(**THERE).remote(BIG), numbers.remote()
    raynb.wait([ref], timeout=20, fetch_local=False)
    assert raynb.wait([ref, items], num_returns=2, timeout=20, fetch_local=False) == ([ref, items], [])
    assert usage(nodes.head)["objects"] == 0
    assert raynb.wait([ref, items], num_returns=2, timeout=20) == ([ref, items], [])
    assert usage(nodes.head)["objects"] == 1


def test_references_inside_of_values_are_followed_across_nodes(nodes: Nodes) -> None:
    @raynb.remote(num_cpus=0)
    def nested() -> list[Any]:
        return [raynb.put(np.full(BIG, 5.0))]

    @raynb.remote(num_cpus=0)
    def inner(refs: list[Any]) -> float:
        return float(raynb.get(refs[0]).sum())

    refs = raynb.get(nested.options(**THERE).remote(), timeout=20)
    assert raynb.get(refs[0], timeout=20).sum() == 5 * BIG
    assert raynb.get(inner.options(**HERE).remote(refs), timeout=20) == 5 * BIG
