"""A node joins a cluster, is counted, and ends: asked to, killed, or with the head."""

from __future__ import annotations

import os
import signal

import msgspec
import pytest

import raynb
from raynb.runtime.adapters.launch import ClusterLaunchError, ClusterOptions, launch_cluster
from raynb.runtime.adapters.registry import clusters
from tests.support.nodes import Nodes
from tests.support.waiting import wait_until


def test_a_node_that_joins_is_listed_with_what_it_has(nodes: Nodes) -> None:
    second = nodes.add(num_cpus=2, resources={"special": 3}, labels={"tier": "low"})
    assert raynb.cluster_resources()["CPU"] == 3
    (row,) = [row for row in raynb.nodes() if row["NodeID"] == second.node_id]
    assert row["Alive"] and row["Resources"]["special"] == 3 and row["Labels"]["tier"] == "low"
    heads = [row for row in raynb.nodes() if "node:__internal_head__" in row["Resources"]]
    assert [row["NodeID"] for row in heads] == [nodes.head.node_id]
    nodes.cluster.wait_for_nodes()


def test_processes_of_a_node_have_its_variables(nodes: Nodes) -> None:
    nodes.add(resources={"far": 1}, env_vars={"OF_THE_NODE": 7, "OMP_NUM_THREADS": 3})

    @raynb.remote(num_cpus=0)
    def variables() -> tuple[str | None, str | None]:
        return os.environ.get("OF_THE_NODE"), os.environ.get("OMP_NUM_THREADS")

    assert raynb.get(variables.options(resources={"far": 1}).remote()) == ("7", "3")
    assert raynb.get(variables.remote()) == (None, "1")


def test_it_is_no_cluster_of_its_own(nodes: Nodes) -> None:
    second = nodes.add()
    assert [entry.cluster_id for entry in clusters()] == [nodes.head.info.session]
    assert second.info.name == nodes.head.info.name and second.info.gcs == nodes.head.info.gcs
    assert second.info.session != nodes.head.info.session


@pytest.mark.parametrize("graceful", [True, False])
def test_a_node_that_is_removed_is_dead_at_once(nodes: Nodes, graceful: bool) -> None:
    second = nodes.add(num_cpus=2)
    nodes.cluster.remove_node(second, allow_graceful=graceful)
    wait_until(lambda: second.node_id not in nodes.alive(), 2)
    assert raynb.cluster_resources()["CPU"] == 1
    (row,) = [row for row in raynb.nodes() if row["NodeID"] == second.node_id]
    assert not row["Alive"]
    assert nodes.cluster.remaining_processes_alive()
    nodes.cluster.wait_for_nodes()


def test_nodes_end_with_the_cluster(nodes: Nodes) -> None:
    added = [nodes.add(), nodes.add()]
    raynb.shutdown()
    nodes.head.stop()
    wait_until(lambda: not any(node.any_processes_alive() for node in added), 5)


def test_nodes_end_when_the_head_is_killed(nodes: Nodes) -> None:
    second = nodes.add()
    raynb.shutdown()
    os.kill(nodes.head.info.pid, signal.SIGKILL)
    wait_until(lambda: not second.any_processes_alive(), 5)


def test_a_node_registers_again_with_a_gcs_that_was_killed(nodes: Nodes) -> None:
    second = nodes.add(num_cpus=2)
    pid = nodes.head.info.pids["gcs"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: second.node_id in nodes.alive() and raynb.cluster_resources().get("CPU") == 3, 15)
    assert nodes.cluster.remaining_processes_alive()


def test_a_node_of_another_protocol_is_refused_with_both_versions(nodes: Nodes) -> None:
    cluster = msgspec.structs.replace(nodes.head.info, protocol=999, raynb_version="77.0")
    with pytest.raises(ClusterLaunchError, match=r"77\.0 \(protocol 999\)"):
        launch_cluster(ClusterOptions(num_cpus=1, lifetime="daemon", join=cluster))
