"""What a cluster is and does, as metrics: some of those that Ray exports, with its names and tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from raynb.runtime.api.cluster import query
from raynb.runtime.api.metrics_text import Change, Tags

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
        for resource, total in node["resources_total"].items():
            free = node["resources_available"].get(resource, 0)
            for state, amount in (("AVAILABLE", free), ("USED", total - free)):
                yield _gauge("resources", "What a node offers.", amount, **where, Name=resource, State=state)


def _of_tasks(rows: list[dict[str, Any]]) -> Iterator[Change]:
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for state, count in row["state_counts"].items():
            found[row["func_or_class_name"], state] += count
    for (name, state), count in found.items():
        yield _gauge("tasks", "Tasks by function and state.", count, Name=name, State=state)


def _of_actors(rows: list[dict[str, Any]]) -> Iterator[Change]:
    for (name, state), count in Counter((row["class_name"], row["state"]) for row in rows).items():
        yield _gauge("actors", "Actors by class and state.", count, Name=name, State=state)


def _of_jobs(rows: list[dict[str, Any]]) -> Iterator[Change]:
    running = sum(row["status"] == "RUNNING" for row in rows)
    yield _gauge("running_jobs", "Drivers that are connected.", running)
    yield Change("counter", "finished_jobs", "Drivers that were.", (), len(rows) - running)


def _gauge(name: str, description: str, value: float, **tags: str) -> Change:
    ordered: Tags = tuple(sorted(tags.items()))
    return Change("gauge", name, description, ordered, value)
