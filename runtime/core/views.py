"""What the screens and the state API see: rows with Ray's field names, filtered, limited, counted.

Rules
-----
* A view reads tables and changes none. It gives plain maps: ids in hex, times in milliseconds since the epoch.
* Filters compare text in any case, as Ray's do: (field, "=" or "!=", value); with "in" the value is several lines. An
  unknown field or operator is a `ValueError`.
* `Page.total` is what matched before the limit; nothing is cut off silently.
* Fields beyond Ray's stand at the end of each row, and only with ``detail``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from raynb.runtime.core.bundle_names import group_hex
from raynb.runtime.core.gcs_actor_index import ActorIndex
from raynb.runtime.core.gcs_actor_life import DEAD, Actor, context_of
from raynb.runtime.core.gcs_jobs import JobRecord
from raynb.runtime.core.membership import Membership, Node
from raynb.runtime.core.placement import STORE_MEMORY
from raynb.runtime.messages.ids import WORKER_ID_BYTES
from raynb.runtime.messages.node import WorkerListing

Row = dict[str, Any]
Filter = tuple[str, str, str]

OPERATORS: Final = ("=", "!=", "in")


@dataclass(slots=True)
class Page:
    """The answer to a query.

    Attributes
    ----------
    total
        Rows that matched.
    dropped
        Things that the table no longer has.
    more
        Further entries of the reply's map.
    """

    rows: list[Row]
    total: int
    dropped: int = 0
    more: Row = field(default_factory=dict)

    def encode(self) -> bytes:
        """The data of a `Reply`."""
        whole = {"rows": self.rows, "total": self.total, "dropped": self.dropped, **self.more}
        return msgspec.msgpack.encode(whole)


def compile_filters(filters: Sequence[Filter], fields: Sequence[str]) -> Callable[[Row], bool]:
    """Whether a row passes all filters.

    Raises
    ------
    ValueError
        A field or an operator that does not exist; the message names those that do.
    """
    tests: list[tuple[str, Callable[[str], bool]]] = []
    for name, operator, value in filters:
        if name not in fields:
            raise ValueError(f"there is no field {name!r}; there are: {', '.join(fields)}")
        tests.append((name, matcher(operator, value)))

    def passes(row: Row) -> bool:
        return all(matches(str(row[name])) for name, matches in tests)

    return passes


def matcher(operator: str, value: str) -> Callable[[str], bool]:
    """Whether a text passes, in any spelling, as in Ray. ``in``: it is one of the lines of ``value``.

    Raises
    ------
    ValueError
        There is no such operator.
    """
    if operator not in OPERATORS:
        raise ValueError(f"there is no operator {operator!r}; there are: = and !=, and `in` with a value in each line")
    wanted = frozenset(value.lower().split("\n") if operator == "in" else [value.lower()])
    if operator == "!=":
        return lambda text: text.lower() not in wanted
    return lambda text: text.lower() in wanted


def page(
    rows: Iterable[Row],
    fields: Sequence[str],
    filters: Sequence[Filter],
    limit: int,
    only: tuple[str, str] = ("", ""),
) -> Page:
    """Filter and limit. ``only``: (field, id); rows with another id are left out."""
    passes = compile_filters(filters, fields)
    name, wanted = only
    found = [row for row in rows if (not wanted or row[name] == wanted) and passes(row)]
    return Page(found[:limit] if limit >= 0 else found, len(found))


def strip(rows: list[Row], base: Sequence[str]) -> list[Row]:
    """Only the fields that are given without ``detail``."""
    return [{name: row[name] for name in base} for row in rows]


def ms(wall_s: float) -> int | None:
    """Milliseconds since the epoch, None for what has not happened."""
    return round(wall_s * 1000) if wall_s else None


# -- nodes

NODE_FIELDS: Final = (
    "node_id",
    "node_ip",
    "is_head_node",
    "state",
    "state_message",
    "node_name",
    "resources_total",
    "labels",
    "start_time_ms",
    "end_time_ms",
)
NODE_MORE: Final = (
    "resources_available",
    "address",
    "pid",
    "hostname",
    "workers",
    "demand",
    "cpu_percent",
    "memory_used_bytes",
    "memory_total_bytes",
    "store_used_bytes",
    "store_capacity_bytes",
    "store_objects",
    "store_object_bytes",
    "store_spilled_bytes",
    "death_reason",
    "death_message",
)


def node_row(node: Node) -> Row:
    """Ray's NodeState, and how the node does."""
    registration, status = node.registration, node.status
    message, death = node.message or None, None
    if node.state == DEAD:
        death = "EXPECTED_TERMINATION" if node.orderly else "UNEXPECTED_TERMINATION"
        message = f"{death.replace('_', ' ').capitalize()}: {node.message}"
    return {
        "node_id": node.id.hex(),
        "node_ip": registration.ip,
        "is_head_node": registration.is_head,
        "state": node.state,
        "state_message": message,
        "node_name": registration.name or registration.hostname,
        "resources_total": registration.resources,
        "labels": registration.labels,
        "start_time_ms": ms(registration.started),
        "end_time_ms": ms(node.ended),
        "resources_available": _available(node) if node.state != DEAD else {},
        "address": registration.address,
        "pid": registration.pid,
        "hostname": registration.hostname,
        "workers": status.workers if status else 0,
        "demand": status.demand if status else {},
        "cpu_percent": status.cpu_percent if status else 0.0,
        "memory_used_bytes": status.memory_used_bytes if status else 0,
        "memory_total_bytes": status.memory_total_bytes if status else 0,
        "store_used_bytes": status.store_used_bytes if status else 0,
        "store_capacity_bytes": status.store_capacity_bytes if status else 0,
        "store_objects": status.store_objects if status else 0,
        "store_object_bytes": status.store_object_bytes if status else 0,
        "store_spilled_bytes": status.store_spilled_bytes if status else 0,
        "death_reason": death,
        "death_message": node.message if death else "",
    }


def resources_row(members: Membership) -> Row:
    """What the living nodes have in all, and what of it is free."""
    total: dict[str, float] = {}
    available: dict[str, float] = {}
    for node in members.nodes.values():
        if node.alive:
            for name, amount in node.registration.resources.items():
                total[name] = total.get(name, 0.0) + amount
            for name, amount in _available(node).items():
                available[name] = available.get(name, 0.0) + amount
    return {"total": total, "available": available}


def _available(node: Node) -> dict[str, float]:
    """What of a node is free; nobody leases its object store, but it fills up."""
    if node.status is None or STORE_MEMORY not in node.available:
        return node.available
    return node.available | {STORE_MEMORY: max(0.0, node.available[STORE_MEMORY] - node.status.store_used_bytes)}


STORE_FIELDS: Final = ("node_id", "used_bytes", "capacity_bytes", "objects")


def store_row(node: Node) -> Row:
    """A node's object store."""
    status = node.status
    return {
        "node_id": node.id.hex(),
        "used_bytes": status.store_used_bytes if status else 0,
        "capacity_bytes": status.store_capacity_bytes if status else 0,
        "objects": status.store_objects if status else 0,
    }


# -- workers

WORKER_FIELDS: Final = (
    "worker_id",
    "is_alive",
    "worker_type",
    "exit_type",
    "node_id",
    "ip",
    "pid",
    "exit_detail",
    "worker_launch_time_ms",
    "worker_launched_time_ms",
    "start_time_ms",
    "end_time_ms",
    "debugger_port",
    "num_paused_threads",
)
WORKER_BASE: Final = WORKER_FIELDS[:7]
WORKER_MORE: Final = ("state", "actor_id", "address")


def worker_rows(members: Membership, jobs: Iterable[JobRecord]) -> Iterable[Row]:
    """Ray's WorkerState of the living and the lately dead; drivers too."""
    head = members.head
    for job in jobs:
        if head is None:
            break
        driver = WorkerListing(
            job.job.ljust(WORKER_ID_BYTES, b"\xff"),
            job.driver,
            job.pid,
            "driver",
            "dead" if job.ended else "driver",
            started=job.started,
            ended=job.ended,
            reason=job.message or (DRIVER_LEFT if job.ended else ""),
        )
        yield _worker_row(driver, head)
    for node in members.nodes.values():
        for listing in (*node.workers.values(), *node.dead_workers.values()):
            yield _worker_row(listing, node)


def _worker_row(listing: WorkerListing, node: Node) -> Row:
    alive = listing.state != "dead"
    return {
        "worker_id": listing.worker_id.hex(),
        "is_alive": alive,
        "worker_type": listing.kind.upper(),
        "exit_type": None if alive else _exit_type(listing.reason),
        "node_id": node.id.hex(),
        "ip": node.registration.ip,
        "pid": listing.pid,
        "exit_detail": _exit_detail(listing.reason) or None,
        "worker_launch_time_ms": ms(listing.started),
        "worker_launched_time_ms": ms(listing.started),
        "start_time_ms": ms(listing.started),
        "end_time_ms": ms(listing.ended),
        "debugger_port": None,
        "num_paused_threads": 0,
        "state": listing.state,
        "actor_id": listing.actor_id.hex() or None,
        "address": listing.address,
    }


DRIVER_LEFT: Final = "it left, by ray.shutdown() or at the end of its program"
BY_SYSTEM: Final = "killed by SIGKILL"
_INTENDED: Final = (
    "its actor has ended",
    "its actor lives in another process",
    "its actor was started again elsewhere",
    "it did not end when it was asked to",
    "it left",
    "it was idle",
    "killed by `ray.kill`",
    "out of scope",
    "its placement group was removed",
    "placement group removed",
    "job ended",
    "owner died",
)


def _exit_detail(reason: str) -> str:
    if reason != BY_SYSTEM:
        return reason
    return f"{reason}: by a person, or by the system's OOM killer when memory has run out"


def _exit_type(reason: str) -> str:
    """Ray's word for the kind of end."""
    asked_for = "exit_actor()" in reason or "ray.cancel" in reason
    if reason == DRIVER_LEFT or asked_for or reason.startswith("it exits with"):
        return "INTENDED_USER_EXIT"
    if "constructor failed" in reason:
        return "USER_ERROR"
    if reason.startswith(_INTENDED):
        return "INTENDED_SYSTEM_EXIT"
    if "signal" in reason or "SIG" in reason:
        return "SYSTEM_ERROR"
    if "exit code" in reason and "exit code 0" not in reason:
        return "SYSTEM_ERROR"
    return "INTENDED_SYSTEM_EXIT"


# -- actors

ACTOR_FIELDS: Final = (
    "actor_id",
    "class_name",
    "state",
    "job_id",
    "name",
    "node_id",
    "pid",
    "ray_namespace",
    "serialized_runtime_env",
    "required_resources",
    "death_cause",
    "is_detached",
    "placement_group_id",
    "repr_name",
    "num_restarts",
    "num_restarts_due_to_lineage_reconstruction",
    "num_restarts_due_to_node_preemption",
    "call_site",
    "label_selector",
    "fallback_strategy",
)
ACTOR_BASE: Final = ACTOR_FIELDS[:8]
ACTOR_MORE: Final = (
    "start_time_ms",
    "end_time_ms",
    "node_ip",
    "max_restarts",
    "worker_address",
    "owner",
    "cell",
    "pending_calls",
    "running_calls",
    "methods",
)


@dataclass(slots=True)
class Calls:
    """Of one actor. ``methods`` are those that have been called so far."""

    waiting: int = 0
    running: int = 0
    methods: list[str] = field(default_factory=list)


NO_CALLS: Final = Calls()


def actor_row(actor: Actor, calls: Calls = NO_CALLS) -> Row:
    """Ray's ActorState, and what its calls are about."""
    spec, creation = actor.spec, actor.spec.creation
    cause = None
    if actor.failure is not None:
        cause = {
            context_of(actor.failure): {
                "error_message": actor.failure.message,
                "error_type": actor.failure.kind,
                "actor_id": actor.id.hex(),
                "class_name": spec.class_name,
                "name": spec.name,
                "ray_namespace": spec.namespace,
                "node_id": actor.node_id.hex(),
                "pid": actor.pid,
                "owner": actor.owner,
            }
        }
    return {
        "actor_id": actor.id.hex(),
        "class_name": spec.class_name,
        "state": actor.state,
        "job_id": actor.job.hex(),
        "name": spec.name,
        "node_id": (actor.node_id.hex() or None) if actor.worker or actor.state == DEAD else None,  # not before
        "pid": actor.pid,
        "ray_namespace": spec.namespace,
        "serialized_runtime_env": creation.runtime_env or "{}",
        "required_resources": creation.resources,
        "death_cause": cause,
        "is_detached": spec.detached,
        "placement_group_id": group_hex(creation.resources),
        "repr_name": actor.repr_name,
        "num_restarts": actor.incarnation,
        "num_restarts_due_to_lineage_reconstruction": actor.spec.revival,
        "num_restarts_due_to_node_preemption": 0,
        "call_site": spec.call_site,
        "label_selector": {},
        "fallback_strategy": [],
        "start_time_ms": ms(actor.started),
        "end_time_ms": ms(actor.ended),
        "node_ip": actor.ip,
        "max_restarts": spec.max_restarts,
        "worker_address": actor.worker,
        "owner": actor.owner,
        "cell": creation.context.cell,
        "pending_calls": calls.waiting,
        "running_calls": calls.running,
        "methods": calls.methods,
    }


def cause_of_death(row: Row) -> str:
    """What an actor's row says of its end; empty: nothing."""
    return next((str(context["error_message"]) for context in (row.get("death_cause") or {}).values()), "")


NAMED_FIELDS: Final = ("name", "namespace", "actor_id", "class_name", "state")


def named_rows(index: ActorIndex) -> Iterable[Row]:
    """Names in use, by namespace and name."""
    for (namespace, name), actor in sorted(index.names.items()):
        yield {
            "name": name,
            "namespace": namespace,
            "actor_id": actor.id.hex(),
            "class_name": actor.spec.class_name,
            "state": actor.state,
        }


# -- jobs

JOB_FIELDS: Final = (
    "job_id",
    "submission_id",
    "status",
    "type",
    "entrypoint",
    "message",
    "error_type",
    "driver_info",
    "start_time",
    "end_time",
    "metadata",
    "runtime_env",
    "driver_agent_http_address",
    "driver_node_id",
    "driver_exit_code",
)
JOB_MORE: Final = ("namespace", "driver_address", "notebook")


def job_row(job: JobRecord) -> Row:
    """Ray's JobState of a driver."""
    return {
        "job_id": job.job.hex(),
        "submission_id": None,
        "status": job.status,
        "type": "DRIVER",
        "entrypoint": job.entrypoint,
        "message": job.message or None,
        "error_type": None,
        "driver_info": {"id": job.job.hex(), "node_ip_address": "127.0.0.1", "pid": str(job.pid)},
        "start_time": ms(job.started),
        "end_time": ms(job.ended),
        "metadata": job.metadata,
        "runtime_env": msgspec.json.decode(job.runtime_env or "{}"),
        "driver_agent_http_address": None,
        "driver_node_id": None,
        "driver_exit_code": None,
        "namespace": job.namespace,
        "driver_address": job.driver,
        "notebook": job.notebook,
    }
