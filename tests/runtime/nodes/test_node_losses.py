"""What becomes of objects whose values were in the memory of a node that dies."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raynb
from raynb.cluster_utils import ClusterNode
from raynb.exceptions import ObjectLostError, ObjectReconstructionFailedError, OwnerDiedError
from tests.runtime.nodes.stores import usage
from tests.support.gate import Gate
from tests.support.nodes import Nodes
from tests.support.waiting import wait_until

BIG = 200_000
THERE = {"there": 1}


class Runs:
    """Counts runs of tasks, wherever they run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.note = noting(str(path))

    def __call__(self, what: str = "") -> int:
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return sum(not what or line == what for line in lines)


def noting(path: str) -> Callable[[str], None]:
    def note(what: str) -> None:
        with open(path, "a") as file:
            file.write(f"{what}\n")

    return note


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


@raynb.remote(num_cpus=0, resources=THERE)
def make(note: Callable[[str], None], value: float = 1.0, *inputs: Any) -> np.ndarray[Any, Any]:
    note(str(value))
    return np.full(BIG, value + sum(array[0] for array in inputs))


@raynb.remote(num_cpus=0)
def first_of(array: np.ndarray[Any, Any]) -> float:
    return float(array[0])


def replace(nodes: Nodes, node: ClusterNode) -> ClusterNode:
    """Another node that has what tasks need comes, this one dies."""
    other = nodes.add(num_cpus=1, resources={"there": 8})
    nodes.kill(node)
    return other


@pytest.fixture
def there(nodes: Nodes) -> ClusterNode:
    """A node beside the head, where tasks run that ask for it."""
    return nodes.add(num_cpus=1, resources={"there": 8})


def no_objects_left(nodes: Nodes) -> None:
    for node in nodes.cluster.list_all_nodes():
        wait_until(lambda node=node: usage(node)["objects"] == 0, 10, what=f"{node!r} has no objects")


def test_a_lost_result_is_made_again(nodes: Nodes, there: ClusterNode, runs: Runs) -> None:
    ref = make.remote(runs.note)
    raynb.wait([ref], fetch_local=False, timeout=20)
    replace(nodes, there)
    assert raynb.get(ref, timeout=20)[0] == 1.0
    assert runs() == 2
    del ref
    no_objects_left(nodes)


def test_a_copy_takes_the_place_of_a_lost_result(nodes: Nodes, there: ClusterNode, runs: Runs) -> None:
    ref = make.remote(runs.note)
    assert raynb.get(ref, timeout=20)[0] == 1.0
    locations = importlib.import_module("raynb.experimental").get_object_locations
    here = raynb.get_runtime_context().get_node_id()
    assert locations([ref])[ref]["node_ids"] == [there.node_id, here]
    nodes.kill(there)
    wait_until(lambda: locations([ref])[ref]["node_ids"] == [here], what="the copy is the value")
    assert raynb.get(ref, timeout=20)[0] == 1.0 and runs() == 1


def test_a_lost_chain_is_made_again_from_what_is_left(nodes: Nodes, there: ClusterNode, runs: Runs) -> None:
    start = raynb.put(np.full(BIG, 10.0))
    ref = make.remote(runs.note, 0.0, start)
    for number in range(1, 6):
        ref = make.remote(runs.note, float(number), ref)
    raynb.wait([ref], fetch_local=False, timeout=20)
    del start
    replace(nodes, there)
    assert raynb.get(ref, timeout=30)[0] == 10 + 1 + 2 + 3 + 4 + 5
    assert runs() == 12
    del ref
    no_objects_left(nodes)


def test_whoever_waits_for_what_is_lost_gets_it(nodes: Nodes, there: ClusterNode, runs: Runs, gate: Gate) -> None:
    @raynb.remote(num_cpus=0)
    def behind(array: np.ndarray[Any, Any], through: Callable[[], None], refs: list[Any]) -> float:
        through()
        return float(array[0] + raynb.get(refs[0])[0])

    @raynb.remote(num_cpus=0)
    class Holder:
        def hold(self, refs: list[Any]) -> None:
            self.ref = refs[0]

        def read(self) -> float:
            return float(raynb.get(self.ref)[0])

    first, second = make.remote(runs.note), make.remote(runs.note, 2.0)
    holder = Holder.remote()
    raynb.get(holder.hold.remote([second]), timeout=20)
    raynb.wait([first, second], num_returns=2, fetch_local=False, timeout=20)
    running = behind.remote(first, gate.through, [second])
    gate.wait_for(1)
    replace(nodes, there)
    gate.open()
    assert raynb.get(running, timeout=20) == 3.0
    assert raynb.get([first_of.remote(first), first_of.remote(second)], timeout=20) == [1.0, 2.0]
    assert raynb.get(holder.read.remote(), timeout=20) == 2.0


def test_what_must_not_run_again_says_so(nodes: Nodes, there: ClusterNode, runs: Runs) -> None:
    ref = make.options(max_retries=0).remote(runs.note)
    raynb.wait([ref], fetch_local=False, timeout=20)
    replace(nodes, there)
    with pytest.raises(ObjectReconstructionFailedError) as caught:
        raynb.get(ref, timeout=20)
    assert isinstance(caught.value, ObjectLostError)
    for part in (ref.hex(), "max_retries", "test_node_losses.py", there.node_id[:12]):
        assert part in str(caught.value)
    with pytest.raises(ObjectLostError) as of_dependent:
        raynb.get(first_of.remote(ref), timeout=20)
    for part in ("input arguments", "ObjectReconstructionFailedError: "):
        assert part in str(of_dependent.value)


def test_what_a_dead_process_owned_is_lost_with_it(nodes: Nodes, there: ClusterNode) -> None:
    @raynb.remote(num_cpus=0, resources=THERE)
    def put() -> list[Any]:
        return [raynb.put(np.ones(BIG))]

    (inner,) = raynb.get(put.remote(), timeout=20)
    replace(nodes, there)
    with pytest.raises(OwnerDiedError):
        raynb.get(inner, timeout=20)


def test_lost_items_of_a_generator_are_yielded_again(nodes: Nodes, there: ClusterNode, runs: Runs) -> None:
    @raynb.remote(num_cpus=0, resources=THERE, num_returns="streaming")
    def items(note: Callable[[str], None]) -> Any:
        note("items")
        for number in range(4):
            yield np.full(BIG, number) if number % 2 else number

    refs = list(items.remote(runs.note))
    replace(nodes, there)
    assert [float(np.max(value)) for value in raynb.get(refs, timeout=20)] == [0, 1, 2, 3]
    assert runs("items") == 2
    del refs
    no_objects_left(nodes)


def test_an_actors_lost_result_is_made_again_by_the_restarted_actor(nodes: Nodes, there: ClusterNode) -> None:
    @raynb.remote(num_cpus=0, resources=THERE, max_restarts=1, max_task_retries=2)
    class Maker:
        def make(self, value: float) -> np.ndarray[Any, Any]:
            return np.full(BIG, value)

    maker = Maker.remote()
    ref = maker.make.remote(7.0)
    raynb.wait([ref], fetch_local=False, timeout=20)
    replace(nodes, there)
    assert raynb.get(ref, timeout=30)[0] == 7.0


def test_results_lost_again_and_again_come_in_the_end(nodes: Nodes, there: ClusterNode, runs: Runs) -> None:
    refs = [make.options(max_retries=-1).remote(runs.note, float(number)) for number in range(20)]
    sums = [first_of.options(max_retries=-1, resources={"there": 0.1}).remote(ref) for ref in refs]
    for _ in range(2):
        there = replace(nodes, there)
    assert raynb.get(sums, timeout=60) == [float(number) for number in range(20)]
    assert [array[0] for array in raynb.get(refs, timeout=60)] == [float(number) for number in range(20)]


def test_wait_counts_what_there_is_when_it_returns(
    nodes: Nodes, there: ClusterNode, runs: Runs, gate: Gate, tmp_path: Path
) -> None:
    second = Gate(tmp_path / "second")

    @raynb.remote(num_cpus=0)
    def passes(through: Callable[[], None]) -> None:
        through()

    @raynb.remote(num_cpus=0, resources=THERE)
    def make_once_more(note: Callable[[str], None], through: Callable[[], None], runs: Runs) -> np.ndarray[Any, Any]:
        note("")
        if runs() > 1:
            through()
        return np.ones(BIG)

    refs = [make_once_more.remote(runs.note, second.through, runs), passes.remote(gate.through)]
    raynb.wait(refs, num_returns=1, fetch_local=False, timeout=20)
    gate.wait_for(1)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(raynb.wait, refs, num_returns=2, fetch_local=False)
        replace(nodes, there)
        second.wait_for(1)
        gate.open()
        raynb.get(refs[1], timeout=20)
        second.open()
        assert len(waiting.result(20)[0]) == 2
