"""`cluster_utils.Cluster`: a cluster for tests, which outlives the programs that join it."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raynb
from raynb.cluster_utils import AutoscalingCluster, Cluster
from raynb.util.placement_group import placement_group
from tests.support.cluster import start_pyzmqs_own_thread
from tests.support.leaks import Before
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    start_pyzmqs_own_thread()
    before = Before.now()
    cluster = Cluster()
    session = Path(cluster.add_node(num_cpus=2, resources={"special": 1}).info.session_dir).name
    yield cluster
    raynb.shutdown()
    cluster.shutdown()
    before.assert_nothing_left(session)


def run_one(**options: Any) -> int:
    pid: int = raynb.get(raynb.remote(os.getpid).options(**options).remote(), timeout=30)
    return pid


def test_a_program_joins_it_by_its_address(cluster: Cluster) -> None:
    raynb.init(address=cluster.address)
    assert raynb.cluster_resources()["CPU"] == 2
    assert run_one(resources={"special": 1}) != os.getpid()
    (node,) = raynb.nodes()
    assert node["NodeID"] == cluster.list_all_nodes()[0].node_id


def test_it_outlives_the_programs_that_join_it(cluster: Cluster) -> None:
    for _ in range(2):
        cluster.connect(namespace="spec")
        run_one()
        raynb.shutdown()
    assert cluster.remaining_processes_alive()


def test_its_head_can_be_started_and_joined_at_once() -> None:
    cluster = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 3, "memory": 10**9})
    try:
        assert cluster.connected
        assert raynb.cluster_resources()["CPU"] == 3
        assert raynb.cluster_resources()["memory"] == 10**9
    finally:
        raynb.shutdown()
        cluster.shutdown()
    assert cluster.list_all_nodes() == []
    cluster.shutdown()


def test_without_a_node_there_is_nothing_to_join() -> None:
    assert Cluster().address is None
    with pytest.raises(RuntimeError, match="add_node"):
        Cluster().connect()
    with pytest.raises(RuntimeError, match="uninitialized"):
        Cluster(connect=True)


def test_a_cluster_that_grows_by_itself_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedError, match="autoscaler"):
        AutoscalingCluster(head_resources={"CPU": 1}, worker_node_types={})


def test_an_argument_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="num_cows"):
        Cluster(initialize_head=True, head_node_args={"num_cows": 1})


def test_the_node_that_this_process_is_connected_to_is_not_removed(cluster: Cluster) -> None:
    cluster.connect()
    (node,) = cluster.list_all_nodes()
    with pytest.raises(ValueError, match="connected"):
        cluster.remove_node(node)
    raynb.shutdown()
    cluster.remove_node(node, allow_graceful=False)
    assert cluster.list_all_nodes() == []


def test_a_node_that_was_killed_is_seen(cluster: Cluster) -> None:
    (node,) = cluster.list_all_nodes()
    os.kill(node.info.pid, signal.SIGKILL)
    wait_until(lambda: not cluster.remaining_processes_alive(), 10)
    with pytest.raises(TimeoutError, match="has ended"):
        cluster.wait_for_nodes(timeout=1)


def test_its_processes_are_there_to_be_ended(cluster: Cluster) -> None:
    cluster.connect()
    head, node = cluster.list_all_nodes()[0], cluster.add_node(num_cpus=1)
    assert (
        {"raylet", "gcs_server", "redis_server", "forkserver"} >= head.all_processes.keys() >= {"raylet", "gcs_server"}
    )
    assert node.all_processes.keys() == {"raylet", "forkserver"}
    kept = raynb.remote(type("Kept", (), {"pid": lambda self: os.getpid()})).options(name="kept").remote()
    pid = raynb.get(kept.pid.remote(), timeout=30)

    (before,) = head.all_processes["gcs_server"]
    assert before.process.poll() is None
    head.kill_gcs_server()
    assert before.process.poll() is not None
    head.start_gcs_server()
    (after,) = head.all_processes["gcs_server"]
    assert after.process.pid != before.process.pid
    assert raynb.get(raynb.get_actor("kept").pid.remote(), timeout=30) == pid

    (raylet,) = node.all_processes["raylet"]
    raylet.process.terminate()
    assert raylet.process.wait(timeout=10) == raylet.process.poll() == -signal.SIGTERM
    wait_until(lambda: [row["Alive"] for row in raynb.nodes()].count(True) == 1)
    assert node.all_processes == {} and not node.any_processes_alive()


def test_so_are_those_of_a_programs_own_node(cluster: Cluster) -> None:
    cluster.connect()
    own = importlib.import_module("raynb._private.worker")._global_node
    (gcs,) = own.all_processes["gcs_server"]
    own.kill_gcs_server()
    own.start_gcs_server()
    assert gcs.process.pid not in [gcs.process.pid for gcs in own.all_processes["gcs_server"]]
    assert run_one() > 0


def test_a_group_of_a_detached_actor_outlives_their_job_and_ends_with_the_actor(cluster: Cluster) -> None:
    class Reserves:
        def reserve(self) -> None:
            raynb.get(placement_group([{"CPU": 1}]).ready())

    cluster.connect(namespace="spec")
    first = raynb.remote(num_cpus=0)(Reserves).options(name="reserves", lifetime="detached").remote()
    raynb.get([first.reserve.remote(), placement_group([{"CPU": 1}]).ready()], timeout=30)
    wait_until(lambda: "CPU" not in raynb.available_resources())
    raynb.shutdown()
    cluster.connect(namespace="spec")
    wait_until(lambda: raynb.available_resources().get("CPU") == 1, what="the driver's group has ended with it")
    raynb.get(raynb.get_actor("reserves").reserve.remote(), timeout=30)
    wait_until(lambda: "CPU" not in raynb.available_resources(), what="the first group is still there")
    raynb.kill(raynb.get_actor("reserves"))
    wait_until(lambda: raynb.available_resources().get("CPU") == 2)
