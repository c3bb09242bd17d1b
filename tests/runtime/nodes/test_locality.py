"""Tasks go to their large inputs, and say why they wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import raynb
from raynb.runtime.client.refs import current
from tests.support.gate import Gate
from tests.support.nodes import Nodes
from tests.support.waiting import wait_until


@raynb.remote
def make(size: int) -> bytes:
    return bytes(size)


@raynb.remote
def where(*values: Any) -> str:
    return raynb.get_runtime_context().get_node_id()


@raynb.remote
def hold(through: Callable[[], None]) -> None:
    through()


def test_a_task_runs_where_its_large_input_lies(nodes: Nodes) -> None:
    second = nodes.add(num_cpus=1, resources={"special": 1})
    far = make.options(resources={"special": 1}).remote(1_000_000)
    near = raynb.put(bytes(2_000_000))
    raynb.wait([far], timeout=20, fetch_local=False)
    for _ in range(3):  # what has made it may have that node's only CPU still: that is given back for this
        assert raynb.get(where.remote(far), timeout=20) == second.node_id
    assert raynb.get(where.remote(far, near), timeout=20) == nodes.head.node_id
    assert raynb.get(where.remote(), timeout=20) == nodes.head.node_id


def test_where_there_is_no_room_it_runs_elsewhere(nodes: Nodes, gate: Gate) -> None:
    nodes.add(num_cpus=1, resources={"special": 1})
    far = make.options(resources={"special": 1}).remote(1_000_000)
    raynb.wait([far], timeout=20, fetch_local=False)
    busy = hold.options(resources={"special": 1}).remote(gate.through)
    gate.wait_for(1)
    wait_until(lambda: len(current().machine.scheduler.by_worker) == 1, 10, "the first one's lease has gone back")
    assert raynb.get(where.remote(far), timeout=20) == nodes.head.node_id
    gate.open()
    raynb.get(busy, timeout=20)


def test_a_task_that_waits_says_that_no_node_has_room(nodes: Nodes, gate: Gate) -> None:
    nodes.add(num_cpus=1)
    busy = [hold.remote(gate.through) for _ in range(2)]
    gate.wait_for(2)
    ref = where.remote()
    wait_until(lambda: "the other node has no room" in str(ref.why()), 10)
    gate.open()
    raynb.get([*busy, ref], timeout=20)


def test_one_that_waits_on_another_node_says_for_what(nodes: Nodes, gate: Gate) -> None:
    nodes.add(num_cpus=1, resources={"special": 1})
    busy = hold.options(num_cpus=0, resources={"special": 1}).remote(gate.through)
    gate.wait_for(1)
    ref = where.options(num_cpus=0, resources={"special": 1}).remote()
    wait_until(lambda: "special is taken" in str(ref.why()), 10)
    gate.open()
    raynb.get([busy, ref], timeout=20)


def test_what_no_node_has_says_so_with_what_the_nodes_have(nodes: Nodes) -> None:
    nodes.add(num_cpus=2)
    ref = where.options(num_cpus=3).remote()
    wait_until(lambda: "the largest node has 2 CPU in all" in str(ref.why()), 10)
    raynb.cancel(ref)
