"""``raynb status``: what runs on this machine, at a glance."""

from __future__ import annotations

import time
from typing import Any, Final

import typer

from raynb.runtime.adapters.registry import ClusterEntry, clusters, find
from raynb.runtime.adapters.request import Requester
from raynb.runtime.cli.show import gib, print_json, print_table
from raynb.runtime.messages.errors import RpcError

PATIENCE_S: Final = 3.0
WAITING: Final = ("PENDING_ARGS_AVAIL", "PENDING_NODE_ASSIGNMENT", "SUBMITTED_TO_WORKER")

Status = dict[str, Any]


def show(cluster: str, as_json: bool) -> None:
    """Print all clusters, or one.

    Raises
    ------
    ClusterLookupError
        There is no such cluster.
    """
    entries = [find(cluster)] if cluster else clusters()
    found = [status_of(entry) for entry in entries]
    if as_json:
        print_json(found)
    elif not found:
        typer.echo("No cluster is running. Start one: raynb start --head, or raynb.init() in Python.")
    else:
        print_table(COLUMNS, [_row(status) for status in found])
        for status in found:
            if status["error"]:
                typer.echo(f"{status['name']}: {status['error']}", err=True)


COLUMNS: Final = ("CLUSTER", "PID", "UP", "NODES", "CPU", "MEMORY", "STORE", "TASKS", "ACTORS", "DRIVERS")


def _row(status: Status) -> list[Any]:
    name = status["name"] if status["name"] == status["id"] else f"{status['name']} ({status['id']})"
    head = [name, status["pid"], _duration(status["up_s"])]
    if status["error"]:
        return [*head, "?", "?", "?", "?", "?", "?", "?"]
    cpus, tasks, actors = status["cpus"], status["tasks"], status["actors"]
    return [
        *head,
        status["nodes"],
        f"{cpus['used']:g} of {cpus['total']:g}",
        f"{gib(status['memory']['used_bytes'])} of {gib(status['memory']['total_bytes'])}",
        f"{gib(status['store']['used_bytes'])} of {gib(status['store']['capacity_bytes'])}",
        f"{tasks['running']} running, {tasks['waiting']} waiting, {tasks['finished']} done, {tasks['failed']} failed",
        f"{actors['alive']} alive" + (f", {actors['restarting']} restarting" if actors["restarting"] else ""),
        status["drivers"],
    ]


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
            status |= _ask(guest, entry.gcs_address)
    except (RpcError, OSError, ValueError) as error:
        status["error"] = f"it does not answer: {error}"
    return status


def _ask(guest: Requester, gcs: str) -> Status:
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


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
