"""What is left at the end, and what hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raynb.runtime.core import gcs_actor_life, placement_groups
from raynb.runtime.core.node import NodeMachine
from raynb.runtime.messages.values import Inline, Stored
from tests.sim.show import name_id
from tests.sim.worker import SimWorker

if TYPE_CHECKING:
    from tests.sim.client import SimClient
    from tests.sim.cluster import Cluster


def leftovers(cluster: Cluster) -> list[str]:
    """Everything that should be gone when nobody refers to anything any more.

    Nothing can be said if values refer to each other in a circle: whoever counts references keeps those. (A call that
    is made again may return what the actor was given of its first result.)
    """
    if _are_in_circles(cluster):
        return []
    found: list[str] = []
    for client in cluster.living_clients:
        found += [f"{client.address}: {what}" for what in _left_in(client)]
    for node in cluster.nodes:
        if node.alive:
            found += [f"{node.address}: {what}" for what in _left_at(node.machine)]
    found += [f"gcs: {actor!r}" for actor in _living_actors(cluster)]
    if not hasattr(cluster.gcs, "machine"):
        return [*found, "gcs: it is not there"]
    groups = cluster.gcs.machine.groups.groups.values()
    found += [f"gcs: {group!r}" for group in groups if group.state != placement_groups.REMOVED]
    if cluster.gcs.machine.requests.open or not cluster.gcs.machine.journal.idle:
        found.append(f"gcs: {cluster.gcs.machine.requests!r} {cluster.gcs.machine.journal!r}")
    return found


def _are_in_circles(cluster: Cluster) -> bool:
    contained = {
        oid: {info.oid for info in entry.value.refs or ()}
        for client in cluster.living_clients
        for oid, entry in client.machine.objects.entries.items()
        if isinstance(entry.value, Inline | Stored) and not entry.owner
    }
    while leaves := [oid for oid, refs in contained.items() if not refs & contained.keys()]:
        for oid in leaves:
            del contained[oid]
    return bool(contained)


def _left_at(node: NodeMachine) -> list[str]:
    usage = node.store.statistics()
    found = [f"store: {usage[name]} {name}" for name in ("objects", "grants", "waiting", "orphans") if usage[name]]
    if usage["used_bytes"]:
        found.append(f"store: {usage['used_bytes']} bytes are in use: {list(node.store.index.objects)}")
    if node.leases.by_number:
        found.append(f"leases: {list(node.leases.by_number.values())}")
    if node.leases.available != node.leases.total:
        found.append(f"resources: {node.leases.available} of {node.leases.total}")
    grouped = [name for name in node.leases.total if "_group_" in name]
    if grouped or any(node.leases._reserved.values()):
        found.append(f"bundles: {grouped}, reserved {node.leases._reserved}")
    return found


def _living_actors(cluster: Cluster) -> list[object]:
    if not cluster.gcs.alive or not hasattr(cluster.gcs, "machine"):
        return ["the GCS is not there"]
    actors = cluster.gcs.machine.actors.index.actors.values()
    return [actor for actor in actors if actor.state != gcs_actor_life.DEAD]


def _left_in(client: SimClient) -> list[str]:
    machine = client.machine
    found: list[str] = []
    for oid, entry in machine.objects.entries.items():
        found.append(
            f"{name_id(oid)} {client.oracle.facts.tasks.get(oid[:24])!r} of {entry.owner or 'itself'}: "
            f"local {entry.local}, pins {entry.pins}, borrowers {entry.borrowers}, {type(entry.value).__name__}"
        )
    left = {
        "unfinished": machine.unfinished,
        "streams": machine.streams.streams,
        "handed off": machine.handoffs._held,
        "requests": machine.requests._open,
        "creations": machine.creations._living,
        "held back": machine.objects.borrowing.held_back,
        "unanswered": machine.objects.borrowing.unanswered,
        "borrowed by": {k: v for k, v in machine.objects._borrowed_by.items() if v},
        "leases": machine.scheduler.by_worker,
        "open grants": client.store.statistics()["open_grants"],
    }
    found += [f"{name}: {what}" for name, what in left.items() if what]
    for actor in machine.actors.actors.values():
        if actor.queue or (actor.connection is not None and actor.connection.inflight):
            found.append(f"calls: {actor!r}")
    if isinstance(client, SimWorker) and (client.executor.queue or client.executor.refused):
        found.append(f"executor: {client.executor.queue}, {client.executor.refused}")
    return found


def what_hangs(cluster: Cluster) -> str:
    """For people: who waits for what."""
    lines: list[str] = []
    for client in cluster.living_clients:
        waiting = [thread for thread in client.threads if not thread.done]
        lines.append(f"{client.address}: {client.machine.statistics()} {waiting}")
        if client.machine.objects.borrowing.holds_back:
            borrowing = client.machine.objects.borrowing
            lines.append(f"  held back: {borrowing.held_back} for {borrowing.unanswered}")
        lines += [f"  unfinished: {task!r} missing={task.missing}" for task in client.machine.unfinished.values()]
        for pool in client.machine.scheduler.pools.values():
            lines.append(f"  pool {pool.resources}: queue {len(pool.queue)}, demanded {pool.demanded}")
            for lease in pool.leases.values():
                lines.append(f"    lease {lease.number} of {lease.worker}: {list(lease.inflight.values())}")
        lines += [f"  {actor!r}" for actor in client.machine.actors.actors.values() if actor.state != "DEAD"]
        lines += [
            f"  waits for {name_id(oid)} of {entry.owner or 'itself'}"
            for oid, entry in client.machine.objects.entries.items()
            if entry.value is None
        ]
    for node in cluster.nodes:
        lines.append(f"{node.address}: {node.machine.statistics()} {node.machine.leases.waiting()}")
        lines += [f"  {worker!r}" for worker in node.machine.pool.workers.values()]
    lines.append(f"gcs: {cluster.gcs!r}")
    if hasattr(cluster.gcs, "machine"):
        lines += [f"  {actor!r}" for actor in cluster.gcs.machine.actors.index.actors.values()]
    return "\n".join(lines)
