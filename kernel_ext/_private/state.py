"""What the cluster is and does, under the names of ``ray._private.state``."""

from __future__ import annotations

from typing import Any

from raynb._private.gcs_client import GcsClientOptions
from raynb._private.gcs_utils import ActorState
from raynb.differences import absent_names
from raynb.runtime.api.cluster import (
    QUERY_TIMEOUT_S,
    available_resources,
    cluster_resources,
    node_of,
    nodes,
    timeline,
)
from raynb.runtime.api.init_arguments import NOT_STARTED
from raynb.runtime.api.placement_groups import placement_group_table
from raynb.runtime.client.ids import JobID, PlacementGroupID
from raynb.runtime.client.refs import connected, current
from raynb.runtime.messages.errors import RaySystemError
from raynb.util.state_source import ask

__all__ = [
    "GlobalState",
    "actors",
    "available_resources",
    "available_resources_per_node",
    "cluster_resources",
    "current_node_id",
    "jobs",
    "next_job_id",
    "node_ids",
    "nodes",
    "state",
    "timeline",
    "total_resources_per_node",
    "workers",
]

ROWS_MAX = 100_000


class GlobalState:
    """What a cluster is and does: the one that this process is connected to, or another one.

    Examples
    --------
    >>> other = GlobalState()  # doctest: +SKIP
    >>> other._initialize_global_state(GcsClientOptions.create(address))  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._address: str | None = None

    def __repr__(self) -> str:
        return f"<GlobalState {self._address or 'of this process'}>"

    def _initialize_global_state(self, gcs_options: GcsClientOptions) -> None:
        self._address = gcs_options.gcs_address

    def _check_connected(self) -> None:
        """Raise where there is no cluster to ask."""
        self._rows("resources")

    def disconnect(self) -> None:
        """Ask this process's own cluster again."""
        self._address = None

    def _rows(self, table: str, **how: Any) -> list[dict[str, Any]]:
        if self._address is None and not connected():
            raise RaySystemError(NOT_STARTED)
        page = ask(self._address, table, QUERY_TIMEOUT_S, limit=ROWS_MAX, detail=True, **how)
        rows: list[dict[str, Any]] = page["rows"]
        return rows

    def _living(self) -> list[dict[str, Any]]:
        return [row for row in self._rows("nodes") if row["state"] == "ALIVE"]

    def actor_table(
        self, actor_id: str | None, job_id: JobID | None = None, actor_state_name: str | None = None
    ) -> dict[str, Any]:
        """Of one actor, or by id in hex of all (of a job, in a state): ``ActorID``, ``ActorClassName``, ``Name``,
        ``JobID``, ``Address`` and ``OwnerAddress`` (``NodeID``, ``IPAddress``, ``Port``: 0), ``State``,
        ``NumRestarts``, ``Pid``, ``IsDetached``, ``RayNamespace``, ``DeathCause``, ``StartTime`` and ``EndTime`` in
        milliseconds (0: not yet)."""
        if actor_state_name is not None and actor_state_name not in ActorState.__members__:
            known = ", ".join(ActorState.__members__)
            raise ValueError(f"{actor_state_name!r} is not a valid actor state name: they are {known}")
        filters = []
        if job_id is not None:
            filters.append(("job_id", "=", job_id.hex()))
        if actor_state_name is not None:
            filters.append(("state", "=", actor_state_name))
        rows = self._rows("actors", filters=filters, id=actor_id or "")
        processes = {row["address"]: row for row in self._rows("workers")}
        found = {row["actor_id"]: _actor(row, processes.get(row["owner"], {})) for row in rows}
        return found if actor_id is None else found.get(actor_id, {})

    def job_table(self) -> list[dict[str, Any]]:
        """The drivers' connections: ``JobID``, ``IsDead``, ``DriverIPAddress``, ``DriverPid``, ``StartTime`` and
        ``EndTime`` in milliseconds."""
        return [_job(row) for row in self._rows("jobs")]

    def next_job_id(self) -> JobID:
        """An id that no job has had or will have."""
        self._check_connected()
        return JobID.from_random()

    def node_table(self) -> list[dict[str, Any]]:
        """As `nodes`."""
        return [node_of(row) for row in self._rows("nodes")]

    def workers(self) -> dict[str, Any]:
        """The processes of the cluster, by id in hex: ``node_ip_address``, ``pid``, ``IsDriver``."""
        return {row["worker_id"]: _worker(row) for row in self._rows("workers") if row["is_alive"]}

    def placement_group_table(self, placement_group_id: PlacementGroupID | None = None) -> dict[str, Any]:
        """As `placement_group_table`, of this process's cluster."""
        table = placement_group_table()
        return table if placement_group_id is None else table.get(placement_group_id.hex(), {})

    def cluster_resources(self) -> dict[str, float]:
        """What the living nodes have."""
        total: dict[str, float] = self._rows("resources")[0]["total"]
        return total

    def available_resources(self) -> dict[str, float]:
        """What of it is not in use."""
        return _positive(self._rows("resources")[0]["available"])

    def total_resources_per_node(self) -> dict[str, dict[str, float]]:
        """What the living nodes have, by id in hex."""
        return {row["node_id"]: row["resources_total"] for row in self._living()}

    def available_resources_per_node(self) -> dict[str, dict[str, float]]:
        """What of it is not in use."""
        return {row["node_id"]: _positive(row["resources_available"]) for row in self._living()}

    def chrome_tracing_dump(self, filename: str | None = None) -> list[dict[str, Any]] | None:
        """As `timeline`, of this process's cluster."""
        return timeline(filename)


state = GlobalState()
"""Of the cluster that this process is connected to."""


def actors(
    actor_id: str | None = None, job_id: JobID | None = None, actor_state_name: str | None = None
) -> dict[str, Any]:
    """As `GlobalState.actor_table`."""
    return state.actor_table(actor_id, job_id, actor_state_name)


jobs = state.job_table
next_job_id = state.next_job_id
workers = state.workers
total_resources_per_node = state.total_resources_per_node
available_resources_per_node = state.available_resources_per_node


def _place(node_id: str | None, ip: str) -> dict[str, Any]:
    return {"NodeID": node_id or "", "IPAddress": ip, "Port": 0}


def _actor(row: dict[str, Any], owner: dict[str, Any]) -> dict[str, Any]:
    return {
        "ActorID": row["actor_id"],
        "ActorClassName": row["class_name"],
        "IsDetached": row["is_detached"],
        "Name": row["name"],
        "JobID": row["job_id"],
        "Address": _place(row["node_id"], row["node_ip"]),
        "OwnerAddress": _place(owner.get("node_id"), owner.get("ip", "")),
        "State": row["state"],
        "NumRestarts": row["num_restarts"],
        "Timestamp": float(row["end_time_ms"] or row["start_time_ms"] or 0),
        "StartTime": row["start_time_ms"] or 0,
        "EndTime": row["end_time_ms"] or 0,
        "Pid": row["pid"],
        "RayNamespace": row["ray_namespace"],
        "DeathCause": row["death_cause"],
    }


def _job(row: dict[str, Any]) -> dict[str, Any]:
    driver = row.get("driver_info") or {}
    return {
        "JobID": row["job_id"],
        "IsDead": row["status"] != "RUNNING",
        "DriverIPAddress": driver.get("node_ip_address", ""),
        "DriverPid": int(driver.get("pid") or 0),
        "StartTime": row["start_time"],
        "EndTime": row["end_time"],
        "Timestamp": float(row["end_time"] or row["start_time"] or 0),
        "Entrypoint": row["entrypoint"],
    }


def _worker(row: dict[str, Any]) -> dict[str, Any]:
    return {"node_ip_address": row["ip"], "pid": row["pid"], "IsDriver": row["worker_type"] == "DRIVER"}


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


def _positive(amounts: dict[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in amounts.items() if amount > 0}


__getattr__ = absent_names("_private.state")
