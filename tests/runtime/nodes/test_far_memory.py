"""Copies of far objects take no room that anybody needs, wherever they are and whoever dies."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import raynb
from raynb.exceptions import GetTimeoutError, ObjectStoreFullError
from tests.runtime.nodes.stores import usage
from tests.support.gate import Gate
from tests.support.nodes import Nodes, several_nodes
from tests.support.stopped import stop_process
from tests.support.waiting import wait_until

MB = 2**20
HERE = {"resources": {"here": 1}, "num_cpus": 0}
THERE = {"resources": {"there": 1}, "num_cpus": 0}


@raynb.remote
def make(megabytes: int, value: float = 1.0) -> np.ndarray[Any, Any]:
    return np.full(megabytes * MB // 8, value)


@raynb.remote
def first(*arrays: np.ndarray[Any, Any]) -> list[float]:
    return [float(array[0]) for array in arrays]


@pytest.fixture
def small() -> Iterator[Nodes]:
    """Here are 64 MB and no disk, there is more."""
    config = {"spill_directory": "off", "store_full_timeout_s": 3.0}
    with several_nodes(resources={"here": 8}, _system_config=config) as nodes:
        nodes.add(num_cpus=2, resources={"there": 8}, object_store_memory=512 * MB)
        yield nodes


def test_copies_that_nobody_views_make_room_for_others(small: Nodes) -> None:
    refs = [make.options(**THERE).remote(25, float(i)) for i in range(6)]
    kept = raynb.get(refs[0], timeout=20)
    for i, ref in enumerate(refs):
        assert raynb.get(ref, timeout=20)[0] == i
    assert kept[0] == 0 and kept[-1] == 0
    assert raynb.get(refs[1], timeout=20)[0] == 1, "what was dropped is fetched again"
    mine = raynb.put(np.ones(25 * MB // 8))
    assert kept[-1] == 0
    assert usage(small.head)["used_bytes"] <= 64 * MB
    del mine


def test_a_full_store_is_an_error_that_lists_who_holds_what(small: Nodes) -> None:
    refs = [make.options(**THERE).remote(25, float(i)) for i in range(3)]
    views = raynb.get(refs[:2], timeout=20)
    with pytest.raises(ObjectStoreFullError, match=r"Who holds most:\n  \S+ MB in"):
        raynb.get(refs[2], timeout=20)
    del views
    assert raynb.get(refs[2], timeout=20)[0] == 2


def test_arguments_that_do_not_fit_together_wait_and_are_told(small: Nodes) -> None:
    refs = [make.options(**THERE).remote(25, float(i)) for i in range(3)]
    assert raynb.get(first.options(**HERE).remote(*refs[:2]), timeout=20) == [0, 1]
    with pytest.raises(ObjectStoreFullError, match="do not fit into"):
        raynb.get(first.options(**HERE).remote(*refs), timeout=20)
    assert raynb.get(first.options(**HERE).remote(*refs[1:]), timeout=20) == [1, 2]


def test_many_tasks_with_large_arguments_take_turns(small: Nodes) -> None:
    refs = [make.options(**THERE).remote(25, float(i)) for i in range(5)]
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    done = [first.options(num_cpus=1, resources={"here": 1}).remote(refs[i], refs[j]) for i, j in pairs]
    assert raynb.get(done, timeout=60) == [[i, j] for i, j in pairs]


def test_what_waits_behind_another_task_is_fetched_meanwhile(small: Nodes, gate: Gate) -> None:
    @raynb.remote(num_cpus=1, resources={"there": 1})
    def step(through: Callable[[], None] | None = None, array: Any = None) -> float:
        if through is not None:
            through()
        return 0.0 if array is None else float(array.sum())

    far = raynb.put(np.ones(MB))
    raynb.get([step.remote() for _ in range(50)], timeout=20)
    (there,) = [node for node in small.cluster.list_all_nodes() if node is not small.head]
    assert usage(there)["objects"] == 0
    blocked = [step.remote(gate.through) for _ in range(2)]
    behind = [step.remote(None, far) for _ in range(4)]
    wait_until(lambda: usage(there)["objects"] == 1, 20)
    gate.open()
    assert raynb.get(behind, timeout=20) == [MB] * 4
    raynb.get(blocked, timeout=20)


def test_all_nodes_get_what_one_has(small: Nodes) -> None:
    for number in range(3):
        small.add(num_cpus=1, resources={f"node{number}": 1})
    ref = raynb.put(np.full(20 * MB // 8, 2.0))
    nodes = small.cluster.list_all_nodes()
    names = ["here", "there", "node0", "node1", "node2"]
    done = [first.options(resources={name: 1}, num_cpus=0).remote(ref) for name in names]
    assert raynb.get(done, timeout=40) == [[2.0]] * len(nodes)
    assert [usage(node)["objects"] for node in nodes] == [1] * len(nodes)
    del ref
    for node in nodes:
        wait_until(lambda node=node: usage(node)["objects"] == 0, 10)


def test_a_get_that_can_wait_no_longer_gives_up(small: Nodes) -> None:
    (there,) = [node for node in small.cluster.list_all_nodes() if node is not small.head]
    ref = make.options(**THERE).remote(20)
    raynb.wait([ref], fetch_local=False, timeout=20)
    stop_process(there.info.pid)
    try:
        with pytest.raises(GetTimeoutError):
            raynb.get(ref, timeout=0.3)
        assert raynb.wait([ref], timeout=0.2) == ([], [ref])
    finally:
        os.kill(there.info.pid, signal.SIGCONT)
    assert raynb.get(ref, timeout=20)[0] == 1.0


def test_what_was_on_its_way_when_its_node_died_is_made_again(small: Nodes) -> None:
    (there,) = [node for node in small.cluster.list_all_nodes() if node is not small.head]
    ref = make.options(**THERE).remote(20)
    raynb.wait([ref], fetch_local=False, timeout=20)
    small.add(num_cpus=1, resources={"there": 8}, object_store_memory=128 * MB)
    stop_process(there.info.pid)
    got: list[float] = []
    reader = threading.Thread(target=lambda: got.append(float(raynb.get(ref, timeout=40)[0])))
    reader.start()
    small.kill(there)
    reader.join(40)
    assert got == [1.0]


def test_a_task_that_waits_for_its_arguments_gives_its_cpu_to_others(small: Nodes) -> None:
    @raynb.remote(num_cpus=1, resources={"beyond": 1})
    def step(array: Any = None) -> float:
        return 0.0 if array is None else float(array[0])

    small.add(num_cpus=1, resources={"beyond": 8})
    (there,) = [node for node in small.cluster.list_all_nodes() if "there" in node.info.resources]
    ref = make.options(**THERE).remote(20)
    raynb.wait([ref], fetch_local=False, timeout=20)
    raynb.get(step.remote(), timeout=20)
    stop_process(there.info.pid)
    try:
        waiting = step.remote(ref)
        assert raynb.wait([waiting], timeout=0.5) == ([], [waiting])
        assert raynb.get(step.remote(), timeout=20) == 0.0
    finally:
        os.kill(there.info.pid, signal.SIGCONT)
    assert raynb.get(waiting, timeout=20) == 1.0
