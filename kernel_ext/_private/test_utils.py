"""Helpers for tests of programs, under the names of ``ray._private.test_utils``."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

import psutil

from raynb._common.network_utils import find_free_port
from raynb._common.prometheus import (
    MetricSamplePattern,
    PrometheusTimeseries,
    fetch_prometheus,
    fetch_prometheus_metric_timeseries,
    fetch_prometheus_metrics,
    fetch_prometheus_timeseries,
    fetch_raw_prometheus,
    get_metric_check_condition,
    raw_metric_timeseries,
)
from raynb._common.test_utils import (
    Semaphore,
    SignalActor,
    async_wait_for_condition,
    driver_command,
    run_string_as_driver,
    run_string_as_driver_stdout_stderr,
    wait_for_condition,
)
from raynb._private.commands import (
    check_call_ray,
    check_call_subprocess,
    find_available_port,
    get_current_unused_port,
    get_gcs_memory_used,
    wait_until_server_available,
)
from raynb._private.gcs_utils import ActorState
from raynb._private.listening import (
    get_error_message,
    get_log_batch,
    get_log_data,
    get_log_message,
    get_log_sources,
    init_error_pubsub,
    init_log_pubsub,
)
from raynb._private.processes import kill_all as kill_processes
from raynb.differences import ABSENT, OWN_WORKINGS, absent_names
from raynb.runtime.api import cluster, objects
from raynb.runtime.api.actors import ActorHandle
from raynb.runtime.api.placement_groups import PlacementGroup, placement_group_table
from raynb.runtime.api.remote import make_remote
from raynb.runtime.api.session import connect
from raynb.runtime.messages.errors import RayActorError
from raynb.runtime.messages.node import StopNode
from raynb.util import state as state_api
from raynb.util.queue import Empty, Queue

__all__ = [
    "BatchQueue",
    "MetricSamplePattern",
    "PrometheusTimeseries",
    "RayTestTimeoutException",
    "Semaphore",
    "SignalActor",
    "async_wait_for_condition",
    "chdir",
    "check_call_ray",
    "check_call_subprocess",
    "client_test_enabled",
    "convert_actor_state",
    "dicts_equal",
    "enable_external_redis",
    "external_redis_test_enabled",
    "fetch_prometheus",
    "fetch_prometheus_metric_timeseries",
    "fetch_prometheus_metrics",
    "fetch_prometheus_timeseries",
    "fetch_raw_prometheus",
    "find_available_port",
    "find_free_port",
    "generate_system_config_map",
    "get_actor_node_id",
    "get_current_unused_port",
    "get_error_message",
    "get_gcs_memory_used",
    "get_log_batch",
    "get_log_data",
    "get_log_message",
    "get_log_sources",
    "get_metric_check_condition",
    "get_non_head_nodes",
    "get_other_nodes",
    "init_error_pubsub",
    "init_log_pubsub",
    "is_placement_group_removed",
    "kill_actor_and_wait_for_failure",
    "kill_process_by_name",
    "kill_processes",
    "kill_raylet",
    "no_resource_leaks_excluding_node_resources",
    "object_memory_usage",
    "placement_group_assert_no_leak",
    "put_object",
    "raw_metric_timeseries",
    "recursive_fnmatch",
    "redis_replicas",
    "redis_sentinel_replicas",
    "reset_autoscaler_v2_enabled_cache",
    "run_string_as_driver",
    "run_string_as_driver_nonblocking",
    "run_string_as_driver_stdout_stderr",
    "same_elements",
    "skip_flaky_core_test_premerge",
    "wait_for_assertion",
    "wait_for_children_of_pid",
    "wait_for_children_of_pid_to_exit",
    "wait_for_condition",
    "wait_for_num_actors",
    "wait_for_pid_to_exit",
    "wait_until_server_available",
    "wait_until_succeeded_without_exception",
]


T = TypeVar("T")

# -- programs and processes


def run_string_as_driver_nonblocking(driver_script: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a program that is given as text; its streams are pipes."""
    process = subprocess.Popen(
        driver_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    )
    assert process.stdin is not None
    process.stdin.write(driver_script.encode())
    process.stdin.close()
    return process


def wait_for_pid_to_exit(pid: int, timeout: float = 20) -> None:
    """Return when a process is gone, or dead and not collected."""
    wait_for_condition(lambda: not _runs(pid), timeout)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def wait_for_children_of_pid(pid: int, num_children: int = 1, timeout: float = 20) -> None:
    """Return when a process has so many children at least."""
    wait_for_condition(lambda: len(psutil.Process(pid).children()) >= num_children, timeout)


def wait_for_children_of_pid_to_exit(pid: int, timeout: float = 20) -> None:
    """Return when the children that a process has now are gone."""
    for child in psutil.Process(pid).children():
        wait_for_pid_to_exit(child.pid, timeout)


def kill_process_by_name(name: str, SIGKILL: bool = False) -> None:
    """End the daemons of this process's cluster that are called so (``gcs``, ``node_manager``, ``redis``)."""
    from raynb.runtime.api.session import session

    found = {
        "gcs_server": "gcs", "raylet": "node_manager", "redis-server": "redis"
    }.get(name, name)  # fmt: skip
    pid = session().info.pids.get(found)
    if pid is None:
        raise ValueError(f"this cluster has no process {name!r}: it has {', '.join(session().info.pids)}")
    os.kill(pid, signal.SIGKILL if SIGKILL else signal.SIGTERM)


def kill_raylet(raylet: dict[str, Any], graceful: bool = False) -> None:
    """End the node manager of a node (a row of ``nodes()``), with which all else of it ends: killed, or asked to."""
    (row,) = cluster.query("nodes", detail=True, id=raylet["NodeID"])["rows"]
    if graceful:
        connect().send(row["address"], StopNode("kill_raylet(graceful=True) has asked for it"))
    else:
        os.kill(row["pid"], signal.SIGKILL)


# -- conditions


def wait_for_assertion(
    assertion_predictor: Callable[..., Any],
    timeout: float = 10,
    retry_interval_ms: float = 100,
    raise_exceptions: bool = False,
    **kwargs: Any,
) -> None:
    """Call until it raises no `AssertionError`."""

    def holds() -> bool:
        try:
            assertion_predictor(**kwargs)
        except AssertionError:
            return False
        return True

    try:
        wait_for_condition(holds, timeout, retry_interval_ms, raise_exceptions)
    except RuntimeError:
        assertion_predictor(**kwargs)  # what is wrong, in its own words


def wait_until_succeeded_without_exception(
    func: Callable[..., Any],
    exceptions: tuple[type[BaseException], ...],
    *args: Any,
    timeout_ms: int = 1000,
    retry_interval_ms: int = 100,
    raise_last_ex: bool = False,
) -> bool:
    """Call until none of these exceptions is raised; whether that came in time."""
    deadline = time.monotonic() + timeout_ms / 1000
    while True:
        try:
            func(*args)
            return True
        except exceptions:
            if time.monotonic() > deadline:
                if raise_last_ex:
                    raise
                return False
        time.sleep(retry_interval_ms / 1000)


def same_elements(elems_a: Iterable[Any], elems_b: Iterable[Any]) -> bool:
    """Whether both have the same elements, as often, in any order."""
    rest = list(elems_b)
    for element in elems_a:
        if element not in rest:
            return False
        rest.remove(element)
    return not rest


def recursive_fnmatch(dirpath: str, pattern: str) -> list[str]:
    """Files below a folder whose names match."""
    return [str(path) for path in Path(dirpath).rglob("*") if fnmatch(path.name, pattern)]


@contextmanager
def chdir(d: str) -> Iterator[None]:
    """Another working directory for a while."""
    before = Path.cwd()
    os.chdir(d)
    try:
        yield
    finally:
        os.chdir(before)


def generate_system_config_map(**kwargs: Any) -> dict[str, Any]:
    """The same as arguments of ``init``."""
    return {"_system_config": kwargs}


def dicts_equal(dict1: dict[Any, Any], dict2: dict[Any, Any], abs_tol: float = 1e-4) -> bool:
    """Whether both have the same keys and values; numbers with a fraction may differ by so much."""
    return dict1.keys() == dict2.keys() and all(
        math.isclose(value, dict2[key], abs_tol=abs_tol) if isinstance(value, float) else value == dict2[key]
        for key, value in dict1.items()
    )


class RayTestTimeoutException(Exception):
    """A test has waited for too long."""


def skip_flaky_core_test_premerge(reason: str) -> Callable[[T], T]:
    """A decorator that leaves a test as it is: here none is skipped for such a reason."""
    return lambda test: test


def client_test_enabled() -> bool:
    """Whether the tests run through a client connection: there are none."""
    return False


def external_redis_test_enabled() -> bool:
    """Whether the tests bring a Redis of their own: see ``init(redis=...)``."""
    return False


enable_external_redis = external_redis_test_enabled


def reset_autoscaler_v2_enabled_cache() -> None:
    """Nothing is remembered of an autoscaler: there is none."""


def redis_replicas() -> int:
    """Copies of the cluster's Redis."""
    return 0


def redis_sentinel_replicas() -> int:
    """Watchers of the cluster's Redis."""
    return 0


# -- actors, nodes, resources


def convert_actor_state(state: int | str) -> str:
    """A state by its number (``gcs_utils.ActorTableData.ALIVE``) as the cluster tells it: a text."""
    return ActorState.Name(state) if isinstance(state, int) else state


def wait_for_num_actors(num_actors: int, state: str | None = None, timeout: float = 10) -> None:
    """Return when there are so many actors (in this state)."""
    filters = [("state", "=", state)] if state else None
    wait_for_condition(lambda: len(state_api.list_actors(filters=filters, limit=10_000)) >= num_actors, timeout)


def kill_actor_and_wait_for_failure(actor: ActorHandle, timeout: float = 10, retry_interval_ms: float = 100) -> None:
    """Kill it, and return when calls fail."""
    objects.kill(actor)

    def fails() -> bool:
        try:
            objects.get(actor.__ray_ready__.remote(), timeout=timeout)
        except RayActorError:
            return True
        return False

    wait_for_condition(fails, timeout, retry_interval_ms)


def get_actor_node_id(actor_handle: ActorHandle) -> str:
    """The node that it is on."""
    node: str = objects.get(actor_handle.__ray_call__.remote(_own_node))
    return node


def _own_node(self: object) -> str:
    from raynb.runtime.api.context import get_runtime_context

    return get_runtime_context().get_node_id()


def get_other_nodes(cluster: Any, exclude_head: bool = False) -> list[Any]:
    """The nodes of a ``Cluster`` that this process is not connected to."""
    from raynb.runtime.api.context import get_runtime_context

    here = get_runtime_context().get_node_id()
    nodes = [node for node in cluster.list_all_nodes() if node.node_id != here]
    return [node for node in nodes if not exclude_head or node is not cluster.head_node]


def get_non_head_nodes(cluster: Any) -> list[Any]:
    """The nodes of a ``Cluster`` beside its head node."""
    return [node for node in cluster.list_all_nodes() if node is not cluster.head_node]


def put_object(obj: Any, use_ray_put: bool) -> Any:
    """A reference to a value, made by ``put`` or by a task."""
    return objects.put(obj) if use_ray_put else make_remote(_itself, {}).remote(obj)


def _itself(value: Any) -> Any:
    return value


def object_memory_usage() -> bool:
    """Bytes in shared memory."""
    return bool(cluster.object_store_usage()["used_bytes"])


def no_resource_leaks_excluding_node_resources() -> bool:
    """Whether all that the cluster has is available."""
    return _without_nodes(cluster.cluster_resources()) == _without_nodes(cluster.available_resources())


def _without_nodes(amounts: dict[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in amounts.items() if not name.startswith("node:") and amount}


def is_placement_group_removed(pg: PlacementGroup) -> bool:
    """Whether the cluster has removed it."""
    table = placement_group_table(pg)
    return bool(table) and table["state"] == "REMOVED"


def placement_group_assert_no_leak(pgs_created: Sequence[PlacementGroup]) -> None:
    """Remove these, and return when all their resources are back."""
    from raynb.runtime.api.placement_groups import remove_placement_group

    for group in pgs_created:
        remove_placement_group(group)
    wait_for_condition(lambda: all(is_placement_group_removed(group) for group in pgs_created))
    wait_for_condition(
        lambda: (
            not any("_group_" in name for name in cluster.cluster_resources())
            and _without_nodes(cluster.cluster_resources()) == _without_nodes(cluster.available_resources())
        )
    )


class BatchQueue(Queue):
    """A queue from which several items are had at once."""

    async def get_batch(
        self, batch_size: int | None = None, total_timeout: float | None = None, first_timeout: float | None = None
    ) -> list[Any]:
        """At least one item, and what comes within ``total_timeout``, up to ``batch_size``.

        Raises
        ------
        Empty
            None came within ``first_timeout``.
        """
        begun = time.monotonic()
        items = [await self.get_async(timeout=first_timeout)]
        while batch_size is None or len(items) < batch_size:
            left = None if total_timeout is None else total_timeout - (time.monotonic() - begun)
            try:
                items.append(await self.get_async(block=left is not None and left > 0, timeout=left))
            except (TimeoutError, Empty):
                break
        return items


__getattr__ = absent_names(
    "_private.test_utils",
    {
        **dict.fromkeys(
            (
                "EC2InstanceTerminator", "EC2InstanceTerminatorWithGracePeriod", "NodeKillerBase", "RayletKiller",
                "ResourceKillerActor", "WorkerKillerActor", "check_local_files_gced", "check_spilled_mb",
                "generate_runtime_env_dict", "get_and_run_node_killer", "get_and_run_resource_killer",
                "get_node_stats", "get_redis_cli", "get_resource_usage", "get_system_metric_for_component",
                "load_test_config", "make_global_state_accessor", "monitor_memory_usage", "raw_metrics", "setup_tls",
                "start_redis_instance", "start_redis_sentinel_instance", "teardown_tls",
            ),
            OWN_WORKINGS,
        ),
        "get_load_metrics_report": ABSENT["autoscaler"],
        **dict.fromkeys(
            ("format_web_url", "get_dashboard_agent_address", "wait_for_dashboard_agent_available"),
            ABSENT["dashboard"],
        ),
    },
)  # fmt: skip
