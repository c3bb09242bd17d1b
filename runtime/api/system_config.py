"""``_system_config``: raynb's own limits (`raynb.runtime.messages.config.Config`), and what Ray calls them.

Names of Ray's for parts that raynb has not, or that it needs no limit for, are known and change nothing, which who
gives them is told; they are listed here and in docs/ray-compatibility.md. What changes how a cluster fails (the
injection of errors, for tests of Ray itself) is refused, as any other name is. As with Ray, what it calls ``name`` may
also be said by the environment variable ``RAY_name``; what the program says goes before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from raynb.runtime.api import without_effect
from raynb.runtime.api.ray_config_names import OTHERS
from raynb.runtime.messages import Config

SPILLING_DIRECTORY: Final = "object_spilling_directory"
"""The folder for what memory has no room for, as Ray calls it."""


def _seconds(milliseconds: float) -> float:
    return milliseconds / 1000


def _spill_directory(config: Any) -> str:
    """Of Ray's ``object_spilling_config``."""
    given = json.loads(config) if isinstance(config, str) else config
    if given.get("type") != "filesystem":
        raise ValueError(f"object_spilling_config: raynb spills to folders only, not to {given.get('type')!r}")
    params = given.get("params", {})
    if params.keys() - {"directory_path", "buffer_size"} or not params.get("directory_path"):
        raise TypeError(f"object_spilling_config: its params are a directory_path and a buffer_size, not {params!r}")
    place = params["directory_path"]
    return str(place[0] if isinstance(place, list) else place)


def _spilling(enabled: bool) -> str | None:
    """Of Ray's ``automatic_object_spilling_enabled``; None: it says nothing of where."""
    return None if enabled else "off"


def _lineage(pinned: bool) -> int | None:
    """Of Ray's ``lineage_pinning_enabled``: without it nothing that is lost is made again; None: it says no limit."""
    return None if pinned else 0


CALLED_OTHERWISE: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "actor_graceful_shutdown_timeout_ms": ("actor_end_patience_s", _seconds),
    "automatic_object_spilling_enabled": ("spill_directory", _spilling),
    "global_gc_min_interval_s": ("garbage_pause_s", float),
    "idle_worker_killing_time_threshold_ms": ("worker_idle_s", _seconds),
    "local_fs_capacity_threshold": ("spill_disk_fraction", float),
    "max_direct_call_object_size": ("inline_limit_bytes", int),
    "lineage_pinning_enabled": ("lineage_bytes_max", _lineage),
    "max_lineage_bytes": ("lineage_bytes_max", int),
    "memory_monitor_refresh_ms": ("memory_monitor_s", _seconds),
    "object_manager_default_chunk_size": ("transfer_chunk_bytes", int),
    "object_spilling_config": ("spill_directory", _spill_directory),
    SPILLING_DIRECTORY: ("spill_directory", str),
    "record_ref_creation_sites": ("record_call_sites", bool),
    "scheduler_spread_threshold": ("spread_threshold", float),
    "task_events_report_interval_ms": ("event_flush_s", _seconds),
    "task_events_max_num_task_in_gcs": ("hub_tasks_max", int),
    "worker_lease_timeout_milliseconds": ("lease_idle_s", _seconds),
    "worker_register_timeout_seconds": ("worker_start_timeout_s", float),
}
"""By Ray's name: raynb's, and how one becomes the other."""

WITHOUT_EFFECT: Final = OTHERS | {
    "actor_scheduling_queue_max_reorder_wait_seconds": "calls of one caller arrive in order",
    "core_worker_internal_heartbeat_ms": "nothing is polled",
    "core_worker_rpc_server_reconnect_timeout_base_s": "a process's death is seen, not waited for",
    "core_worker_rpc_server_reconnect_timeout_max_s": "a process's death is seen, not waited for",
    "debug_dump_period_milliseconds": "there are no dumps",
    "enable_cluster_auth": "a cluster's sockets are its user's alone",
    "enable_metrics_collection": "metrics are kept where they are made until they are asked for",
    "event_stats": "there are no statistics of the event loop",
    "event_stats_print_interval_ms": "there are no statistics of the event loop",
    "free_objects_batch_size": "objects are freed as they are let go",
    "free_objects_period_milliseconds": "objects are freed as they are let go",
    "gcs_rpc_server_connect_timeout_s": "a process's death is seen, not waited for",
    "gcs_rpc_server_reconnect_timeout_s": "the GCS is started again by its node manager",
    "gcs_server_request_timeout_seconds": "a process's death is seen, not waited for",
    "health_check_failure_threshold": "a process's death is seen, not guessed from silence",
    "health_check_initial_delay_ms": "a process's death is seen, not guessed from silence",
    "health_check_period_ms": "a process's death is seen, not guessed from silence",
    "health_check_timeout_ms": "a process's death is seen, not guessed from silence",
    "kill_child_processes_on_worker_exit": "what a worker has started ends with it",
    "kill_child_processes_on_worker_exit_with_raylet_subreaper": "what a worker has started ends with it",
    "kill_idle_workers_interval_ms": "idle workers are looked at all the time",
    "local_gc_interval_s": "processes look for garbage when the cluster asks them, or Python itself",
    "local_gc_min_interval_s": "processes look for garbage when the cluster asks them, or Python itself",
    "max_grpc_message_size": "large values go through shared memory",
    "max_io_workers": "the kernel writes back what is spilled",
    "metrics_report_interval_ms": "metrics are kept where they are made until they are asked for",
    "min_spilling_size": "the kernel writes back what is spilled",
    "num_heartbeats_timeout": "a process's death is seen, not guessed from silence",
    "num_workers_soft_limit": "workers follow the node's CPUs",
    "object_manager_pull_timeout_ms": "a process's death is seen, not waited for",
    "object_store_full_delay_ms": "who waits for room is told when there is some",
    "object_timeout_milliseconds": "who waits for an object is told when it is there",
    "prestart_worker_first_driver": "workers are forked in advance",
    "process_group_cleanup_enabled": "what a worker has started ends with it",
    "raylet_death_check_interval_milliseconds": "a process's death is seen, not guessed from silence",
    "raylet_heartbeat_period_milliseconds": "a process's death is seen, not guessed from silence",
    "raylet_report_resources_period_milliseconds": "resources are told when they change",
    "scheduler_avoid_gpu_nodes": "nodes with GPUs are spared for what asks for them",
    "task_retry_delay_ms": "a task is tried again at once",
    "timeout_ms_task_wait_for_death_info": "the reason of a death comes with it",
}
"""By Ray's name: why raynb has nothing like it."""


def _of_environment() -> dict[str, Any]:
    """What the environment says of Ray's limits.

    Raises
    ------
    ValueError
        Of a variable whose text means nothing.
    """
    found: dict[str, Any] = {}
    for name, (_, convert) in CALLED_OTHERWISE.items():
        text = os.environ.get(f"RAY_{name}", "")
        if not text:
            continue
        lowered = text.lower()
        try:
            value = json.loads(lowered if lowered in ("true", "false") else text)
        except ValueError:
            value = text
        try:
            convert(value)
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"the environment variable RAY_{name} can't be {text!r}: {error}") from error
        found[name] = value
    return found


def config_of(changes: Mapping[str, Any] | None) -> Config:
    """The configuration with these changes, and those that the environment asks for.

    Raises
    ------
    ValueError
        A name that is neither raynb's nor one of Ray's that are known here, or an environment variable for one of these
        whose text means nothing.
    """
    fields: dict[str, Any] = {}
    given = dict(changes or {})
    without_effect.tell("_system_config[{name!r}]", given, WITHOUT_EFFECT)
    environment = {name: value for name, value in _of_environment().items() if name not in given}
    for name, value in (given | environment).items():
        if name in CALLED_OTHERWISE:
            ours, convert = CALLED_OTHERWISE[name]
            if (converted := convert(value)) is not None:
                # Of two that mean the same the first holds, but no spilling is none, and no lineage, too.
                fields[ours] = converted if converted in ("off", 0) and name in given else fields.get(ours, converted)
        elif name in Config.__struct_fields__:
            fields[name] = value
        elif name not in WITHOUT_EFFECT:
            raise ValueError(
                f"_system_config: raynb has no {name!r}; the names are those of raynb.runtime.messages.config.Config, "
                "or Ray's as listed in docs/ray-compatibility.md"
            )
    return msgspec.structs.replace(Config(), **fields)
