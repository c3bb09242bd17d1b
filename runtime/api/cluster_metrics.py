"""What a cluster is and does, as metrics: some of those that Ray exports, with its names and tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from raynb.runtime.api.cluster import query
from raynb.runtime.api.metrics_text import Change, Tags
from raynb.runtime.core.gcs_actor_life import ALIVE, DEAD, DEPENDENCIES_UNREADY, PENDING_CREATION, RESTARTING
from raynb.runtime.messages.events import TASK_STATES

HUB_NAME: Final = "raynb:metrics"
HUB_NAMESPACE: Final = "raynb"
"""The actor that serves them, which is not counted; its calls are not recorded."""
IDLE: Final = "ALIVE_IDLE"
BUSY: Final = "ALIVE_RUNNING_TASKS"
"""Those that are ALIVE are counted once more, as one of these."""
ACTOR_STATES: Final = (DEPENDENCIES_UNREADY, PENDING_CREATION, ALIVE, IDLE, BUSY, RESTARTING, DEAD)
ROWS_MAX: Final = 100_000
NODE: Final = {
    "node_cpu_utilization": ("cpu_percent", "Percent of its CPUs that a node uses."),
    "node_mem_used": ("memory_used_bytes", "Bytes of its memory that a node uses."),
    "node_mem_total": ("memory_total_bytes", "Bytes of memory that a node has."),
    "object_store_used_memory": ("store_used_bytes", "Bytes of objects in a node's store."),
    "object_store_num_local_objects": ("store_objects", "Objects in a node's store."),
}
"""By metric: the field of a node's row, and what it is."""


def cluster_changes() -> list[Change]:
    """As they are now."""
    nodes = [row for row in _rows("nodes") if row["state"] == "ALIVE"]
    return [
        *_of_nodes(nodes),
        *_of_tasks(_rows("task_summary")),
        *_of_actors(_rows("actors")),
        *_of_jobs(_rows("jobs")),
    ]


def _rows(table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = query(table, limit=ROWS_MAX, detail=True)["rows"]
    return found


def _of_nodes(nodes: list[dict[str, Any]]) -> Iterator[Change]:
    yield _gauge("cluster_active_nodes", "Nodes that live.", len(nodes))
    for node in nodes:
        where = {"NodeAddress": node["node_ip"], "NodeId": node["node_id"]}
        for name, (field, description) in NODE.items():
            yield _gauge(name, description, node[field], **where)
        left = node["memory_total_bytes"] - node["memory_used_bytes"]
        yield _gauge("node_mem_available", "Bytes of its memory that a node does not use.", left, **where)
        room = node["store_capacity_bytes"] - node["store_used_bytes"]
        yield _gauge("object_store_available_memory", "Bytes that a node's store has room for.", room, **where)
        yield from _of_store(node, where)
        for resource, total in node["resources_total"].items():
            free = node["resources_available"].get(resource, 0)
            for state, amount in (("AVAILABLE", free), ("USED", total - free)):
                yield _gauge("resources", "What a node offers.", amount, **where, Name=resource, State=state)


def _of_store(node: dict[str, Any], where: dict[str, str]) -> Iterator[Change]:
    """Where the bytes of its objects are. raynb maps no files, and small values are counted nowhere."""
    spilled = node["store_spilled_bytes"]
    sealed = max(0, node["store_object_bytes"] - spilled)
    unsealed = max(0, node["store_used_bytes"] - sealed)
    for location, state, nbytes in (
        ("MMAP_SHM", "SEALED", sealed),
        ("MMAP_SHM", "UNSEALED", unsealed),
        ("MMAP_DISK", "SEALED", 0),
        ("MMAP_DISK", "UNSEALED", 0),
        ("SPILLED", "", spilled),
        ("WORKER_HEAP", "", 0),
    ):
        yield _gauge("object_store_memory", "Bytes of objects.", nbytes, **where, Location=location, ObjectState=state)


def _of_tasks(rows: list[dict[str, Any]]) -> Iterator[Change]:
    found: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        of, counts = (row["func_or_class_name"], row["job_id"]), row["state_counts"]
        # Also zeros: who reads a series again and again is to see that nothing is in a state any more.
        found.update({(*of, state): counts.get(state, 0) for state in TASK_STATES})
    for (name, job, state), count in found.items():
        yield _gauge("tasks", "Tasks by function, job and state.", count, Name=name, JobId=job, State=state)


def _of_actors(rows: list[dict[str, Any]]) -> Iterator[Change]:
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        name, state = row["class_name"], row["state"]
        if (row["ray_namespace"], row["name"]) == (HUB_NAMESPACE, HUB_NAME):
            continue
        found.update({(name, each): 0 for each in ACTOR_STATES})
        found[name, state] += 1
        if state == ALIVE:
            found[name, BUSY if row["running_calls"] else IDLE] += 1
    for (name, state), count in found.items():
        yield _gauge("actors", "Actors by class and state.", count, Name=name, State=state)


def _of_jobs(rows: list[dict[str, Any]]) -> Iterator[Change]:
    running = sum(row["status"] == "RUNNING" for row in rows)
    yield _gauge("running_jobs", "Drivers that are connected.", running)
    yield Change("counter", "finished_jobs", "Drivers that were.", (), len(rows) - running)


def _gauge(name: str, description: str, value: float, **tags: str) -> Change:
    ordered: Tags = tuple(sorted(tags.items()))
    return Change("gauge", name, description, ordered, value)
