"""`%raynb nodes`: the machines of the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from raynb.magics.amounts import ago, amount, count, order, size
from raynb.magics.arguments import Options
from raynb.magics.connected import need_cluster
from raynb.magics.session import Session
from raynb.magics.table import Table
from raynb.runtime.api.cluster import query
from raynb.runtime.messages.sizes import size_text

ROWS_MAX = 1000


@dataclass(frozen=True)
class NodesOptions(Options):
    """Show each node: its resources, load, workers and object store."""

    usage: ClassVar[str] = "%raynb nodes"


def nodes(options: NodesOptions, session: Session) -> Table:
    """A row for each node, the living first."""
    need_cluster()
    page = query("nodes", limit=ROWS_MAX, detail=True)
    rows: list[dict[str, Any]] = sorted(page["rows"], key=lambda row: row["state"] != "ALIVE")
    alive = sum(row["state"] == "ALIVE" for row in rows)
    gone = f", {page['total'] - alive} gone" if page["total"] > alive else ""
    columns = ("node", "state", "host", "resources in use", "load", "memory", "store", "workers", "pid", "up", "why")
    return Table(f"{count(alive, 'node')}{gone}", columns, map(_row, rows), numbers=("workers", "pid"))


def _row(row: dict[str, Any]) -> list[Any]:
    head = [row["node_id"][:8], row["state"], f"{row['node_name']} ({row['node_ip']})"]
    if row["state"] != "ALIVE":
        return [*head, "", "", "", "", "", "", ago(row["end_time_ms"]), row["state_message"]]
    total, free = row["resources_total"], row["resources_available"]
    used = ", ".join(
        f"{amount(name, total[name] - free.get(name, 0.0))} of {amount(name, total[name])} {name}"
        for name in sorted(total, key=order)
        if not name.startswith("node:") and name not in {"memory", "object_store_memory"}
    )
    return [
        *head,
        used,
        f"{row['cpu_percent']:.0f} %",
        _share(row, "memory", "used_bytes", "total_bytes"),
        _share(row, "store", "used_bytes", "capacity_bytes"),
        row["workers"],
        row["pid"],
        ago(row["start_time_ms"]).removesuffix(" ago"),
        row["state_message"],
    ]


def _share(row: dict[str, Any], what: str, used: str, total: str) -> str:
    return f"{size_text(row[f'{what}_{used}'])} of {size(row[f'{what}_{total}'])}" if row[f"{what}_{total}"] else ""
