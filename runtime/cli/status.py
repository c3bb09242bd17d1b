"""``raynb status``: what runs on this machine, at a glance."""

from __future__ import annotations

import time
from typing import Any, Final

import typer

from raynb.runtime.adapters.registry import ClusterEntry, clusters, find
from raynb.runtime.adapters.request import Requester
from raynb.runtime.cli.show import gib, print_json, print_table
from raynb.runtime.core.summary import sums
from raynb.runtime.messages.errors import RpcError

PATIENCE_S: Final = 3.0

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


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
