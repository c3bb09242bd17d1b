"""The sums over a cluster that `raynb status` and the screens show, from rows of its tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

WAITING: Final = ("PENDING_ARGS_AVAIL", "PENDING_NODE_ASSIGNMENT", "SUBMITTED_TO_WORKER")


class Sums(Struct, frozen=True):
    """A cluster in numbers. ``tasks`` and ``actors``: how many are in each of Ray's states."""

    nodes: int
    cpus_used: float
    cpus_total: float
    cpu_percent: float
    memory_used_bytes: int
    memory_total_bytes: int
    store_used_bytes: int
    store_capacity_bytes: int
    objects: int
    tasks: Mapping[str, int]
    actors: Mapping[str, int]
    drivers: int

    @property
    def tasks_waiting(self) -> int:
        return sum(self.tasks.get(state, 0) for state in WAITING)


def sums(
    nodes: Iterable[Mapping[str, Any]],
    resources: Mapping[str, Mapping[str, float]],
    task_counts: Iterable[Mapping[str, int]],
    actor_states: Iterable[str],
    job_states: Iterable[str],
) -> Sums:
    """Add up.

    Parameters
    ----------
    nodes
        Rows of the table of nodes, with detail.
    resources
        ``total`` and ``available`` of the living nodes.
    task_counts
        Numbers by state, of each function.
    """
    alive = [node for node in nodes if node["state"] == "ALIVE"]
    tasks: Counter[str] = Counter()
    for counts in task_counts:
        tasks.update(counts)
    total, available = resources["total"].get("CPU", 0.0), resources["available"].get("CPU", 0.0)

    def of_all(field: str) -> int:
        return sum(node[field] for node in alive)

    return Sums(
        nodes=len(alive),
        cpus_used=total - available,
        cpus_total=total,
        cpu_percent=sum(node["cpu_percent"] for node in alive) / max(1, len(alive)),
        memory_used_bytes=of_all("memory_used_bytes"),
        memory_total_bytes=of_all("memory_total_bytes"),
        store_used_bytes=of_all("store_used_bytes"),
        store_capacity_bytes=of_all("store_capacity_bytes"),
        objects=of_all("store_objects"),
        tasks=tasks,
        actors=Counter(actor_states),
        drivers=sum(state == "RUNNING" for state in job_states),
    )


def actors_by_class(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """How many actors of each class are in each state: Ray's summary of actors."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row["class_name"], Counter())[row["state"]] += 1
    return {name: {"class_name": name, "state_counts": dict(states)} for name, states in counts.items()}


def objects_by_site(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """How many objects were made at each place, and how large they are: Ray's summary of objects."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["call_site"] or "unknown", []).append(row)
    return {
        site: {
            "total_objects": len(group),
            "total_size_mb": megabytes(group),
            "total_num_workers": len({row["pid"] for row in group}),
            "total_num_nodes": len({row["ip"] for row in group}),
            "task_state_counts": dict(Counter(row["task_status"] or "NIL" for row in group)),
            "ref_type_counts": dict(Counter(row["reference_type"] for row in group)),
        }
        for site, group in groups.items()
    }


def megabytes(rows: Iterable[Mapping[str, Any]]) -> float:
    """What objects hold in all, in MiB; those of unknown size count as nothing."""
    sizes: list[int] = [max(0, row["object_size"]) for row in rows]
    return round(sum(sizes) / 2**20, 3)
