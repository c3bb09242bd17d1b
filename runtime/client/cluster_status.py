"""How a cluster does, in one look: the sums that the command line and the widgets show. Asked as a guest."""

from __future__ import annotations

import time
from typing import Any, Final

from raynb.runtime.adapters.registry import ClusterEntry
from raynb.runtime.adapters.request import Requester
from raynb.runtime.core.summary import sums
from raynb.runtime.messages.errors import RpcError

PATIENCE_S: Final = 3.0

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

    resources = rows("resources")[0]
    found = sums(
        rows("nodes", detail=True),
        resources,
        (row["state_counts"] for row in rows("task_summary")),
        (row["state"] for row in rows("actors")),
        (row["status"] for row in rows("jobs")),
    )
    tasks, actors = found.tasks, found.actors
    return {
        "nodes": found.nodes,
        "cpus": {"used": found.cpus_used, "total": found.cpus_total},
        "resources": resources,
        "cpu_percent": found.cpu_percent,
        "memory": {"used_bytes": found.memory_used_bytes, "total_bytes": found.memory_total_bytes},
        "store": {
            "used_bytes": found.store_used_bytes,
            "capacity_bytes": found.store_capacity_bytes,
            "objects": found.objects,
        },
        "tasks": {
            "running": tasks.get("RUNNING", 0),
            "waiting": found.tasks_waiting,
            "waiting_for_cpu": tasks.get("PENDING_NODE_ASSIGNMENT", 0) + tasks.get("SUBMITTED_TO_WORKER", 0),
            "finished": tasks.get("FINISHED", 0),
            "failed": tasks.get("FAILED", 0),
        },
        "actors": {
            "alive": actors.get("ALIVE", 0),
            "starting": actors.get("PENDING_CREATION", 0) + actors.get("DEPENDENCIES_UNREADY", 0),
            "restarting": actors.get("RESTARTING", 0),
            "dead": actors.get("DEAD", 0),
        },
        "drivers": found.drivers,
    }
