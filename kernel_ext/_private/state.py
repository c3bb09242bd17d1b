"""What the cluster is and does, under the names of ``ray._private.state``."""

from __future__ import annotations

from typing import Any

from raynb.runtime.api.cluster import available_resources, cluster_resources, nodes, query, timeline
from raynb.runtime.client.ids import JobID
from raynb.runtime.client.refs import current

__all__ = [
    "actors",
    "available_resources",
    "available_resources_per_node",
    "cluster_resources",
    "current_node_id",
    "jobs",
    "node_ids",
    "nodes",
    "timeline",
    "total_resources_per_node",
    "workers",
]

ROWS_MAX = 100_000


def actors(
    actor_id: str | None = None, job_id: JobID | None = None, actor_state_name: str | None = None
) -> dict[str, Any]:
    """Of one actor, or by id in hex of all (of a job, in a state): ``ActorID``, ``ActorClassName``, ``Name``,
    ``JobID``, ``Address`` (with its ``NodeID``), ``State``, ``NumRestarts``, ``Pid``, ``IsDetached``,
    ``RayNamespace``, ``DeathCause``."""
    filters = []
    if job_id is not None:
        filters.append(("job_id", "=", job_id.hex()))
    if actor_state_name is not None:
        filters.append(("state", "=", actor_state_name))
    rows = query("actors", limit=ROWS_MAX, detail=True, filters=filters, id=actor_id or "")["rows"]
    found = {row["actor_id"]: _actor(row) for row in rows}
    return found if actor_id is None else found.get(actor_id, {})


def _actor(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "ActorID": row["actor_id"],
        "ActorClassName": row["class_name"],
        "IsDetached": row["is_detached"],
        "Name": row["name"],
        "JobID": row["job_id"],
        "Address": {"NodeID": row["node_id"] or ""},
        "State": row["state"],
        "NumRestarts": row["num_restarts"],
        "Pid": row["pid"],
        "RayNamespace": row["ray_namespace"],
        "DeathCause": row["death_cause"],
    }


def jobs() -> list[dict[str, Any]]:
    """The drivers' connections: ``JobID``, ``IsDead``, ``DriverPid``, ``StartTime`` and ``EndTime`` in milliseconds."""
    return [
        {
            "JobID": row["job_id"],
            "IsDead": row["status"] != "RUNNING",
            "DriverPid": int((row.get("driver_info") or {}).get("pid") or 0),
            "StartTime": row["start_time"],
            "EndTime": row["end_time"],
            "Entrypoint": row["entrypoint"],
        }
        for row in query("jobs", limit=ROWS_MAX, detail=True)["rows"]
    ]


def workers() -> dict[str, Any]:
    """The processes of the cluster, by id in hex: ``node_ip_address``, ``pid``, ``IsDriver``."""
    return {
        row["worker_id"]: {
            "node_ip_address": row["ip"],
            "pid": row["pid"],
            "IsDriver": row["worker_type"] == "DRIVER",
        }
        for row in query("workers", limit=ROWS_MAX, detail=True)["rows"]
        if row["is_alive"]
    }


def node_ids() -> list[str]:
    """The resources by which a node is meant itself."""
    return [
        name
        for node in nodes()
        for name in node["Resources"]
        if name.startswith("node:") and not name.startswith("node:__internal")
    ]


def current_node_id() -> str:
    """The resource by which this process's node is meant itself."""
    mine = current().joined.node_id.hex()
    row = next(node for node in nodes() if node["NodeID"] == mine)
    return f"node:{row['NodeManagerAddress']}"


def total_resources_per_node() -> dict[str, dict[str, float]]:
    """What the living nodes have, by id in hex."""
    return {row["node_id"]: row["resources_total"] for row in _living()}


def available_resources_per_node() -> dict[str, dict[str, float]]:
    """What of it is not in use."""
    return {row["node_id"]: _positive(row["resources_available"]) for row in _living()}


def _positive(amounts: dict[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in amounts.items() if amount > 0}


def _living() -> list[dict[str, Any]]:
    rows = query("nodes", limit=ROWS_MAX, detail=True)["rows"]
    return [row for row in rows if row["state"] == "ALIVE"]
