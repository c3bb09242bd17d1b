"""The state API and its command line where there are several nodes, or several clusters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import raynb
from raynb.cluster_utils import Cluster, ClusterNode
from raynb.util import state
from tests.support.nodes import Nodes, several_nodes
from tests.support.stopped import stop_process
from tests.support.waiting import wait_until

COMMAND = [sys.executable, "-c", "from raynb.runtime.cli import main; main()"]
LOG = "node_manager.log"
"""Of which each node has one."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with several_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="module")
def far(nodes: Nodes) -> ClusterNode:
    return nodes.add(resources={"far": 1})


@pytest.fixture(scope="module")
def said(far: ClusterNode) -> Any:
    """A task that has printed on the far node, and the id of its process."""

    @raynb.remote(num_cpus=0, resources={"far": 1})
    def say() -> int:
        print("said there", flush=True)
        return os.getpid()

    ref = say.remote()
    pid = raynb.get(ref)
    wait_until(
        lambda: (
            [row.state for row in state.list_tasks(filters=[("task_id", "=", ref.task_id().hex())])] == ["FINISHED"]
        ),
        what="the task's end is known",
    )
    wait_until(lambda: state.list_workers(filters=[("pid", "=", pid)]), what="its process is known")
    return ref, pid


def logs(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, "logs", *arguments], capture_output=True, text=True, timeout=60)


def test_a_log_is_read_on_the_node_where_it_is(far: ClusterNode, said: Any) -> None:
    ref, pid = said
    for whose in ({"pid": pid}, {"task_id": ref.task_id().hex()}, {"pid": pid, "node_id": far.node_id}):
        wait_until(lambda whose=whose: "said there" in "".join(state.get_log(**whose)), what=f"the log of {whose}")
    for how in (("--pid", str(pid)), ("--task", ref.task_id().hex())):
        assert "said there" in logs(*how).stdout


def test_of_logs_with_the_same_name_that_of_the_own_node_is_meant_or_that_of_the_node_named(
    nodes: Nodes, far: ClusterNode
) -> None:
    near = nodes.head
    for node in (near, far):
        assert LOG in state.list_logs(node_id=node.node_id)["raylet"]
    texts = {node.node_id: "".join(state.get_log(filename=LOG, node_id=node.node_id)) for node in (near, far)}
    assert len(set(texts.values())) == 2
    assert "".join(state.get_log(filename=LOG)) == texts[near.node_id]
    assert logs(LOG, "--node", far.node_id[:8]).stdout == texts[far.node_id]
    assert "gcs.log" in state.list_logs()["gcs_server"]
    assert "gcs_server" not in state.list_logs(node_id=far.node_id)


def test_the_command_line_lists_the_logs_of_all_nodes(nodes: Nodes, far: ClusterNode) -> None:
    listed = logs().stdout
    assert "NODE" in listed and all(node.node_id[:12] in listed for node in (nodes.head, far))
    only = logs("--node", far.node_id).stdout
    assert "NODE" not in only and LOG in only and "gcs.log" not in only


def test_a_node_that_is_not_there_is_told(far: ClusterNode) -> None:
    with pytest.raises(FileNotFoundError, match="no living node 'abc'"):
        state.list_logs(node_id="abc")
    with pytest.raises(FileNotFoundError, match="no living node"):
        next(iter(state.get_log(filename=LOG, node_ip="10.0.0.1")))
    done = logs("--node", "abc")
    assert done.returncode == 1 and "no living node 'abc'" in done.stderr


def test_another_cluster_is_asked_by_its_address_without_a_connection(nodes: Nodes) -> None:
    assert state.list_nodes(address=nodes.cluster.address) == state.list_nodes()
    with another_cluster() as other:
        (node,) = state.list_nodes(address=other.address)
        assert node.node_id not in {row.node_id for row in state.list_nodes()}
        assert state.get_node(node.node_id) is None
        assert state.get_node(node.node_id, address=other.address)
        assert state.list_tasks(address=other.address) == []
        assert state.summarize_tasks(address=other.address)["cluster"]["total_tasks"] == 0
        assert any("was added" in event.message for event in state.list_cluster_events(address=other.address))
        assert "".join(state.get_log(filename=LOG, address=other.address)) != "".join(state.get_log(filename=LOG))
    with pytest.raises(ConnectionError, match="no cluster 'nowhere'"):
        state.list_nodes(address="nowhere")


def test_to_look_starts_no_cluster(nodes: Nodes) -> None:
    """In another process, which is connected to none."""
    look = "from raynb.util import state; import raynb; print(len(state.list_nodes()), raynb.is_initialized())"
    command = [sys.executable, "-c", look]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{len(state.list_nodes())} False\n", "the only one that runs is meant"
    nowhere = {**os.environ, "JUPYTER_RUNTIME_DIR": "/nonexistent"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=nowhere)
    assert "ClusterNotFoundError" in done.stderr


@contextmanager
def another_cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    cluster.add_node(num_cpus=1)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def test_objects_that_are_missing_from_a_list_are_an_error_unless_one_may_do_without(nodes: Nodes) -> None:
    class Owner:
        def __init__(self) -> None:
            self.kept = raynb.put("its own")

        def pid(self) -> int:
            return os.getpid()

    owner = raynb.remote(Owner).options(num_cpus=0).remote()
    kept = raynb.put("mine")
    pid = raynb.get(owner.pid.remote())
    stop_process(pid)
    try:
        with pytest.raises(state.RayStateApiException, match="did not answer"):
            state.list_objects(timeout=4)
        mine = state.list_objects(raise_on_missing_output=False)
        assert kept.hex() in {row.object_id for row in mine}
        with pytest.raises(state.RayStateApiException, match="raise_on_missing_output=False"):
            state.summarize_objects(timeout=4)
        assert state.summarize_objects(raise_on_missing_output=False)["cluster"]["total_objects"] == len(mine)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert len(state.list_objects()) > len(mine)


@pytest.mark.parametrize("limit", [-1, 10_001, "many"])
def test_a_limit_that_makes_no_sense_is_refused(nodes: Nodes, limit: Any) -> None:
    with pytest.raises(state.RayStateApiException, match="limit"):
        state.list_tasks(limit=limit)
