"""``raynb status``: what runs on this machine, at a glance."""

from __future__ import annotations

from typing import Any, Final

import typer

from raynb.runtime.adapters.registry import clusters, find
from raynb.runtime.cli.show import print_json, print_table
from raynb.runtime.client.cluster_status import Status, status_of
from raynb.runtime.messages.sizes import size_text


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
        f"{size_text(status['memory']['used_bytes'])} of {size_text(status['memory']['total_bytes'])}",
        f"{size_text(status['store']['used_bytes'])} of {size_text(status['store']['capacity_bytes'])}",
        f"{tasks['running']} running, {tasks['waiting']} waiting, {tasks['finished']} done, {tasks['failed']} failed",
        f"{actors['alive']} alive" + (f", {actors['restarting']} restarting" if actors["restarting"] else ""),
        status["drivers"],
    ]


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
