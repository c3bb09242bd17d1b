"""A node dies: what ran there is tried again elsewhere, or fails with an error that names the node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import raynb
from tests.runtime.nodes.whereabouts import Counting, where_behind
from tests.support.gate import Gate
from tests.support.nodes import Nodes
from tests.support.waiting import wait_until


@raynb.remote
class Counted(Counting):
    def sleep(self) -> None:
        time.sleep(300)


@pytest.mark.parametrize("graceful", [True, False])
def test_its_tasks_are_tried_again_elsewhere(nodes: Nodes, gate: Gate, graceful: bool) -> None:
    second = nodes.add(num_cpus=1, resources={"special": 1})
    refs = [where_behind.options(resources={"special": 1}).remote(gate.through) for _ in range(2)]
    gate.wait_for(1)
    third = nodes.add(num_cpus=2, resources={"special": 2})
    gate.wait_for(2)
    nodes.cluster.remove_node(second, allow_graceful=graceful)
    gate.wait_for(3)
    gate.open()
    assert raynb.get(refs, timeout=20) == [third.node_id] * 2


def test_one_that_may_not_be_tried_again_fails_with_the_node_in_the_error(nodes: Nodes, gate: Gate) -> None:
    second = nodes.add(resources={"special": 1})
    ref = where_behind.options(resources={"special": 1}, max_retries=0).remote(gate.through)
    gate.wait_for(1)
    nodes.cluster.remove_node(second, allow_graceful=False)
    began = time.monotonic()
    with pytest.raises(raynb.exceptions.NodeDiedError, match=second.node_id[:12]) as caught:
        raynb.get(ref, timeout=20)
    assert raynb.nodes()[0]["NodeManagerAddress"] in str(caught.value)
    assert time.monotonic() - began < 5


def test_what_waits_there_comes_home(nodes: Nodes, gate: Gate) -> None:
    second = nodes.add(num_cpus=1)
    refs = [where_behind.options(max_retries=-1).remote(gate.through) for _ in range(4)]
    gate.wait_for(2)
    nodes.kill(second)
    gate.open()
    assert set(raynb.get(refs, timeout=20)) == {nodes.head.node_id}


def test_an_actor_restarts_on_another_node(nodes: Nodes) -> None:
    second = nodes.add(resources={"special": 1})
    actor = Counted.options(max_restarts=1, max_task_retries=-1, resources={"special": 1}).remote()
    assert raynb.get([actor.add.remote(), actor.where.remote()], timeout=20) == [1, second.node_id]
    third = nodes.add(resources={"special": 1})
    nodes.cluster.remove_node(second, allow_graceful=False)
    assert raynb.get(actor.where.remote(), timeout=20) == third.node_id
    assert raynb.get(actor.add.remote(), timeout=20) == 1


def test_one_that_does_not_restart_is_dead_with_the_node_in_the_error(nodes: Nodes) -> None:
    second = nodes.add(resources={"special": 1})
    actor = Counted.options(resources={"special": 1}).remote()
    assert raynb.get(actor.add.remote(), timeout=20) == 1
    ref = actor.sleep.remote()
    nodes.cluster.remove_node(second, allow_graceful=False)
    with pytest.raises(raynb.exceptions.ActorDiedError, match=f"its node .*{second.node_id[:12]}.* is gone"):
        raynb.get(ref, timeout=20)


def test_an_actor_that_waits_for_its_node_to_come_starts_when_there_is_one(nodes: Nodes) -> None:
    second = nodes.add(resources={"special": 1})
    actor = Counted.options(max_restarts=-1, max_task_retries=-1, num_cpus=0, resources={"special": 1}).remote()
    assert raynb.get(actor.add.remote(), timeout=20) == 1
    nodes.kill(second)
    ref = actor.add.remote()
    assert raynb.wait([ref], timeout=0.5)[0] == []
    nodes.add(resources={"special": 1})
    assert raynb.get(ref, timeout=20) == 1


def test_tasks_go_on_when_a_node_dies_while_the_gcs_is_away(nodes: Nodes, gate: Gate) -> None:
    second = nodes.add(num_cpus=1)
    refs = [where_behind.options(max_retries=-1).remote(gate.through) for _ in range(2)]
    gate.wait_for(2)
    os.kill(nodes.head.info.pids["gcs"], signal.SIGKILL)
    second.kill_raylet()
    nodes.cluster.worker_nodes.discard(second)
    second.process.close()
    gate.open()
    assert set(raynb.get(refs, timeout=30)) == {nodes.head.node_id}
    wait_until(lambda: nodes.alive() == {nodes.head.node_id}, 20)


def test_nodes_come_and_go_under_load(nodes: Nodes) -> None:
    @raynb.remote(max_retries=-1)
    def square(number: int) -> int:
        time.sleep(0.002)
        return number * number

    refs = [square.remote(number) for number in range(2000)]
    for _ in range(3):
        added = nodes.add(num_cpus=2)
        done = 500
        wait_until(lambda done=done: len(raynb.wait(refs, num_returns=done, timeout=0.01)[0]) >= done, 30)  # type: ignore[misc]
        nodes.kill(added)
    assert raynb.get(refs, timeout=60) == [number * number for number in range(2000)]
    wait_until(lambda: raynb.available_resources().get("CPU") == 1, 10)


PROGRAM = """
import sys, raynb
raynb.init(address=sys.argv[1])

@raynb.remote(resources={"special": 1})
def hang(path):
    open(path, "w").close()
    import time
    time.sleep(300)

refs = [hang.remote(sys.argv[2]), raynb.put(b"x" * 1000000)]
raynb.get(refs[0])
"""


def test_what_a_dead_driver_had_on_other_nodes_is_free_again(nodes: Nodes, tmp_path: Path) -> None:
    nodes.add(num_cpus=1, resources={"special": 1})
    started = tmp_path / "started"
    command = [sys.executable, "-c", PROGRAM, str(nodes.cluster.address), str(started)]
    driver = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(started.exists, 20)
    finally:
        driver.kill()
        driver.wait()
    wait_until(lambda: raynb.available_resources().get("special") == 1, 10)
