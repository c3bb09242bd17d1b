"""How a cluster does, in one look: the sums that the command line and the widgets show. Asked as a guest."""

from __future__ import annotations

import time
from typing import Any, Final

from raynb.runtime.adapters.registry import ClusterEntry
from raynb.runtime.adapters.request import Requester
from raynb.runtime.messages.errors import RpcError

PATIENCE_S: Final = 3.0
WAITING: Final = ("PENDING_ARGS_AVAIL", "PENDING_NODE_ASSIGNMENT", "SUBMITTED_TO_WORKER")

Status = dict[str, Any]


def status_of(entry: ClusterEntry) -> Status:
    """All of one cluster; ``error`` says why there isn't more."""
    status: Status = {
        "name": entry.name or entry.cluster_id,
        "id": entry.cluster_id,
        "pid": entry.pid,
        "address": entry.address,
        "session_dir": entry.session_dir,
        "python": entry.python,
        "raynb_version": entry.raynb_version,
        "started_at": entry.started_at,
        "up_s": max(0.0, time.time() - entry.started_at),
        "error": "",
    }
    try:
        with Requester(entry.session_dir) as guest:
            status |= sums_of(guest, entry.gcs_address)
    except (RpcError, OSError, ValueError) as error:
        status["error"] = f"it does not answer: {error}"
    return status


def sums_of(guest: Requester, gcs: str) -> Status:
    """What a cluster has and does.

    Returns
    -------
    dict
        ``nodes``, ``drivers``: how many; ``cpus``: ``used`` and ``total``; ``cpu_percent``: of the nodes' processors;
        ``memory`` and ``store``: ``used_bytes`` and so on; ``tasks``: ``running``, ``waiting``, ``finished``,
        ``failed``, and ``waiting_for_cpu``, those of the waiting that have all their inputs; ``actors``: ``alive``,
        ``starting``, ``restarting``, ``dead``; ``resources``: ``total`` and ``available`` by name.

    Raises
    ------
    RpcError
        The GCS does not answer within `PATIENCE_S`.
    """

    def rows(table: str, detail: bool = False) -> list[dict[str, Any]]:
        page = guest.query(gcs, table, limit=-1, detail=detail, timeout_s=PATIENCE_S)
        found: list[dict[str, Any]] = page["rows"]
        return found

    nodes = [node for node in rows("nodes", detail=True) if node["state"] == "ALIVE"]
    resources = rows("resources")[0]
    counts: dict[str, int] = {}
    for row in rows("task_summary"):
        for state, number in row["state_counts"].items():
            counts[state] = counts.get(state, 0) + number
    actors = [row["state"] for row in rows("actors")]
    total, available = resources["total"], resources["available"]
    return {
        "nodes": len(nodes),
        "cpus": {"used": total.get("CPU", 0.0) - available.get("CPU", 0.0), "total": total.get("CPU", 0.0)},
        "resources": resources,
        "cpu_percent": sum(node["cpu_percent"] for node in nodes) / max(1, len(nodes)),
        "memory": _sums(nodes, "memory", ("used_bytes", "total_bytes")),
        "store": _sums(nodes, "store", ("used_bytes", "capacity_bytes", "objects")),
        "tasks": {
            "running": counts.get("RUNNING", 0),
            "waiting": sum(counts.get(state, 0) for state in WAITING),
            "waiting_for_cpu": counts.get("PENDING_NODE_ASSIGNMENT", 0) + counts.get("SUBMITTED_TO_WORKER", 0),
            "finished": counts.get("FINISHED", 0),
            "failed": counts.get("FAILED", 0),
        },
        "actors": {
            "alive": actors.count("ALIVE"),
            "starting": actors.count("PENDING_CREATION") + actors.count("DEPENDENCIES_UNREADY"),
            "restarting": actors.count("RESTARTING"),
            "dead": actors.count("DEAD"),
        },
        "drivers": sum(row["status"] == "RUNNING" for row in rows("jobs")),
    }


def _sums(nodes: list[dict[str, Any]], prefix: str, fields: tuple[str, ...]) -> dict[str, Any]:
    return {field: sum(node[f"{prefix}_{field}"] for node in nodes) for field in fields}
