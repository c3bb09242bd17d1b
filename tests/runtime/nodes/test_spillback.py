"""Tasks and actors run on whichever node has room, or what they need."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import raynb
from raynb.cluster_utils import ClusterNode
from tests.runtime.nodes.whereabouts import Counting, where, where_behind
from tests.support.gate import Gate
from tests.support.nodes import Nodes, several_nodes
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def three() -> Iterator[tuple[Nodes, ClusterNode, ClusterNode]]:
    """A head of one CPU, and two nodes of two; one has something `special`."""
    with several_nodes() as nodes:
        yield nodes, nodes.add(num_cpus=2), nodes.add(num_cpus=2, resources={"special": 2})


@raynb.remote
class Counted(Counting):
    def spread(self, through: Callable[[], None], count: int) -> Any:
        return [where_behind.remote(through) for _ in range(count)]


def test_tasks_fill_the_own_node_first_and_then_the_others(three: Any, gate: Gate) -> None:
    nodes, second, third = three
    refs = [where_behind.remote(gate.through) for _ in range(5)]
    gate.wait_for(5)
    gate.open()
    assert Counter(raynb.get(refs, timeout=20)) == {nodes.head.node_id: 1, second.node_id: 2, third.node_id: 2}


def test_a_task_runs_where_there_is_what_it_needs(three: Any) -> None:
    _, _, third = three
    found = raynb.get([where.options(resources={"special": 1}).remote() for _ in range(20)], timeout=20)
    assert set(found) == {third.node_id}


def test_one_that_needs_more_cpus_than_the_own_node_has_runs_on_another(three: Any) -> None:
    nodes, _, _ = three
    assert raynb.get(where.options(num_cpus=2).remote(), timeout=20) != nodes.head.node_id


def test_what_no_node_has_room_for_waits_and_runs_when_there_is(three: Any, gate: Gate) -> None:
    refs = [where_behind.options(num_cpus=2).remote(gate.through) for _ in range(4)]
    wait_until(lambda: raynb.available_resources().get("CPU", 0) == 1, 10)
    gate.open()
    assert len(raynb.get(refs, timeout=20)) == 4


def test_many_small_tasks_run_on_all_nodes(three: Any) -> None:
    wait_until(lambda: len(set(raynb.get([where.remote() for _ in range(2000)], timeout=30))) == 3, 30)


def test_actors_are_placed_where_there_is_room(three: Any) -> None:
    nodes, second, third = three
    actors = [Counted.options(num_cpus=1).remote() for _ in range(5)]
    found = Counter(raynb.get([actor.where.remote() for actor in actors], timeout=30))
    assert found == {nodes.head.node_id: 1, second.node_id: 2, third.node_id: 2}
    assert raynb.get([actor.add.remote() for actor in actors for _ in range(3)], timeout=20) == [1, 2, 3] * 5


def test_tasks_of_an_actor_elsewhere_come_home(three: Any, gate: Gate) -> None:
    nodes, second, third = three
    actor = Counted.options(num_cpus=0, resources={"special": 1}).remote()
    refs = raynb.get(actor.spread.remote(gate.through, 5), timeout=20)
    gate.wait_for(5)
    gate.open()
    assert Counter(raynb.get(refs, timeout=20)) == {nodes.head.node_id: 1, second.node_id: 2, third.node_id: 2}


def test_an_error_comes_home_with_its_traceback(three: Any) -> None:
    @raynb.remote(resources={"special": 1})
    def fails() -> None:
        raise KeyError("far away")

    with pytest.raises(KeyError, match="far away"):
        raynb.get(fails.remote(), timeout=20)


def test_a_task_elsewhere_is_cancelled_also_by_force(three: Any, tmp_path: Path) -> None:
    @raynb.remote(resources={"special": 1}, max_retries=0)
    def stubborn(path: str) -> None:
        open(path, "w").close()
        time.sleep(300)

    for number, force in enumerate((False, True)):
        started = str(tmp_path / str(number))
        ref = stubborn.remote(started)
        wait_until(lambda started=started: os.path.exists(started), 10)  # type: ignore[misc]
        raynb.cancel(ref, force=force)
        with pytest.raises((raynb.exceptions.TaskCancelledError, raynb.exceptions.WorkerCrashedError)):
            raynb.get(ref, timeout=20)


def test_when_nothing_runs_all_is_free_again(three: Any) -> None:
    wait_until(lambda: raynb.available_resources().get("CPU") == 5, 10)
    wait_until(lambda: raynb.available_resources().get("special") == 2, 10)
