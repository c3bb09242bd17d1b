"""`cluster_utils.Cluster`: a cluster for tests, which outlives the programs that join it."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raynb
from raynb._common.utils import reset_ray_address
from raynb._private import ray_constants, services
from raynb._private.test_utils import (
    get_error_message,
    get_gcs_memory_used,
    init_error_pubsub,
    kill_processes,
    kill_raylet,
)
from raynb._private.worker import global_worker
from raynb.cluster_utils import AutoscalingCluster, Cluster
from raynb.util.placement_group import placement_group
from raynb.util.state import list_jobs, list_nodes
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


def cluster_session(cluster: Cluster) -> str:
    return cluster.list_all_nodes()[0].info.session_dir


def run_one(**options: Any) -> int:
    pid: int = raynb.get(raynb.remote(os.getpid).options(**options).remote(), timeout=30)
    return pid


def test_a_program_joins_it_by_its_address(cluster: Cluster) -> None:
    raynb.init(address=cluster.address)
    assert raynb.cluster_resources()["CPU"] == 2
    assert run_one(resources={"special": 1}) != os.getpid()
    (node,) = raynb.nodes()
    assert node["NodeID"] == cluster.list_all_nodes()[0].node_id
    assert node["RayletSocketName"] == cluster.list_all_nodes()[0].raylet_socket_name
    assert node["ObjectStoreSocketName"] == global_worker.node.plasma_store_socket_name


def test_it_outlives_the_programs_that_join_it(cluster: Cluster) -> None:
    for _ in range(2):
        cluster.connect(namespace="spec")
        run_one()
        raynb.shutdown()
    assert cluster.remaining_processes_alive()


def test_programs_that_leave_at_once_were_there(cluster: Cluster) -> None:
    for _ in range(5):
        cluster.connect(namespace="spec")
        raynb.shutdown()
    cluster.connect(namespace="spec")
    assert sorted(job.status for job in list_jobs()) == ["RUNNING", *["SUCCEEDED"] * 5]


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


def test_what_has_no_effect_is_told_to_who_adds_a_node(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    config = {"health_check_period_ms": 10, "event_stats": False, "worker_idle_s": 5.0}
    try:
        cluster.add_node(
            num_cpus=1, dashboard_port=8265, node_ip_address="127.0.0.1", enable_object_reconstruction=True,
            _system_config=config,
        )  # fmt: skip
    finally:
        cluster.shutdown()
    told = [record.getMessage() for record in caplog.records if "no effect" in record.msg]
    assert told == [
        "raynb: Cluster.add_node(dashboard_port=8265) has no effect: "
        "raynb has no dashboard of Ray's kind: JupyterLab shows what a cluster does, and `raynb` in a terminal.",
        "raynb: _system_config['health_check_period_ms'] has no effect: "
        "a process's death is seen, not guessed from silence.",
    ]


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


# -- its processes


def test_that_a_node_is_gone_is_told_if_nobody_has_asked_for_it(cluster: Cluster) -> None:
    raynb.init(address=cluster.address)
    subscriber = init_error_pubsub()
    asked, killed = cluster.add_node(num_cpus=0), cluster.add_node(num_cpus=0)
    cluster.remove_node(asked)
    cluster.remove_node(killed, allow_graceful=False)
    (told,) = get_error_message(subscriber, 1, ray_constants.REMOVED_NODE_ERROR)
    assert told["error_message"].split(" ")[5] == killed.node_id  # where Ray's tests look for it
    assert get_error_message(subscriber, timeout=0.3) == []


def test_this_process_joins_it_where_nothing_is_said(cluster: Cluster) -> None:
    assert raynb.init().address_info["session_dir"] == cluster_session(cluster)
    raynb.shutdown()
    others: list[dict[str, Any]] = [{"num_cpus": 1}, {"address": "local"}, {"resources": {"special": 2}}]
    for asked in others:
        assert raynb.init(**asked).address_info["session_dir"] != cluster_session(cluster)
        raynb.shutdown()
    reset_ray_address()
    assert raynb.init().address_info["session_dir"] != cluster_session(cluster)


def test_its_daemons_are_told_by_kind(cluster: Cluster) -> None:
    head, other = cluster.list_all_nodes()[0], cluster.add_node(num_cpus=0)
    assert sorted(head.all_processes) == ["gcs_server", "raylet", "redis_server"]
    assert sorted(other.all_processes) == ["raylet"]
    raynb.init(address=cluster.address)
    (gcs,) = head.all_processes[ray_constants.PROCESS_TYPE_GCS_SERVER]
    (own,) = _global_node().all_processes[ray_constants.PROCESS_TYPE_GCS_SERVER]
    assert own.process.pid == gcs.process.pid
    assert ("gcs_server", gcs.process.pid) in [(kind, process.pid) for kind, process in head.live_processes()]
    assert services.remaining_processes_alive()
    assert gcs.process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        gcs.process.wait(timeout=0.05)
    assert get_gcs_memory_used() > 10**6


def _global_node() -> Any:
    return importlib.import_module("raynb._private.worker")._global_node


def test_a_killed_gcs_is_started_anew(cluster: Cluster) -> None:
    raynb.init(address=cluster.address)
    head = cluster.list_all_nodes()[0]
    (before,) = head.all_processes["gcs_server"]
    head.kill_gcs_server()
    assert before.process.poll() == 0
    head.start_gcs_server()
    (after,) = head.all_processes["gcs_server"]
    assert after.process.pid != before.process.pid
    run_one()
    _global_node().kill_gcs_server()
    _global_node().start_gcs_server()
    (last,) = head.all_processes["gcs_server"]
    assert last.process.pid != after.process.pid


def test_a_killed_node_manager_is_a_node_s_end(cluster: Cluster) -> None:
    node = cluster.add_node(num_cpus=0)
    kill_processes(node.all_processes[ray_constants.PROCESS_TYPE_RAYLET])
    wait_until(lambda: not node.any_processes_alive())
    assert node.all_processes == {}
    cluster.remove_node(node)


@pytest.mark.parametrize("graceful", [True, False])
def test_a_node_s_manager_is_ended_by_the_node_s_row(cluster: Cluster, graceful: bool) -> None:
    raynb.init(address=cluster.address)
    node = cluster.add_node(num_cpus=0)
    (row,) = [row for row in raynb.nodes() if row["NodeID"] == node.node_id]
    kill_raylet(row, graceful=graceful)
    wait_until(lambda: not node.any_processes_alive())
    wait_until(lambda: [row["Alive"] for row in raynb.nodes()].count(True) == 1)
    cluster.remove_node(node)


def test_a_worker_knows_its_node_s_manager(cluster: Cluster) -> None:
    raynb.init(address=cluster.address)
    pid = raynb.get(raynb.remote(lambda: os.environ["RAY_RAYLET_PID"]).remote())
    assert int(pid) == cluster.list_all_nodes()[0].info.pid


def test_its_state_is_had_without_joining_it(cluster: Cluster) -> None:
    state = cluster.global_state
    state._check_connected()
    (node,) = state.node_table()
    assert state.total_resources_per_node()[node["NodeID"]]["CPU"] == 2
    assert state.cluster_resources()["special"] == state.available_resources()["special"] == 1
    assert (state.actor_table(None), state.job_table(), state.workers()) != ([], [], [])
    assert not raynb.is_initialized()


def test_a_dead_node_says_how_it_ended() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        asked, killed, other = (cluster.add_node(num_cpus=1) for _ in range(3))
        cluster.connect()
        cluster.remove_node(asked)
        cluster.remove_node(killed, allow_graceful=False)
        os.kill(other.info.pid, signal.SIGTERM)

        def dead() -> dict[str, Any]:
            return {node["NodeID"]: node for node in raynb.nodes() if not node["Alive"]}

        wait_until(lambda: len(dead()) == 3, 20)
        found = dead()
        assert [found[node.node_id]["DeathReason"] for node in (asked, killed, other)] == [1, 2, 1]
        assert all(node["DeathReasonMessage"] for node in found.values())
        told = {row.node_id: row.state_message for row in list_nodes(detail=True)}
        assert told[asked.node_id].startswith("Expected termination: ")
        assert told[killed.node_id].startswith("Unexpected termination: ")
        head = cluster.head_node
        assert head is not None
        assert told[head.node_id] is None
    finally:
        raynb.shutdown()
        cluster.shutdown()
