"""`%raynb status`: the cluster in a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from raynb.magics.amounts import amount, amounts, order
from raynb.magics.arguments import Options
from raynb.magics.session import Session
from raynb.runtime.api import cluster
from raynb.runtime.api import session as connection


@dataclass(frozen=True)
class StatusOptions(Options):
    """Show the nodes and how much of their resources is in use."""

    usage: ClassVar[str] = "%raynb status"


def status(options: StatusOptions, session: Session) -> None:
    """Print a table of the nodes and the resources."""
    if not connection.is_initialized():
        print("No cluster: %raynb init starts one, and so does the first remote call.")
        return
    print("\n".join(_lines()))


def _lines() -> Iterator[str]:
    nodes = cluster.nodes()
    alive = [node for node in nodes if node["Alive"]]
    yield f"{len(alive)} node{'s' if len(alive) != 1 else ''}" + (
        f", {len(nodes) - len(alive)} gone" if len(nodes) > len(alive) else ""
    )
    for node in alive:
        yield f"  {node['NodeID'][:8]}  {node['NodeManagerAddress']}  {amounts(node['Resources'])}"
    total, free = cluster.cluster_resources(), cluster.available_resources()
    yield "in use"
    for name in sorted(total, key=order):
        if not name.startswith("node:"):
            used = total[name] - free.get(name, 0)
            yield f"  {name:<20} {amount(name, used)} of {amount(name, total[name])}"
