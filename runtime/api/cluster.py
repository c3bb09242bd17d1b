"""What the cluster is and has: nodes, resources, named actors, the store, the timeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from raynb.runtime.api import local_mode
from raynb.runtime.api.actors import ActorHandle, handle_from_reply
from raynb.runtime.api.options import TASK_OPTIONS, check_namespace, check_option
from raynb.runtime.api.session import connect
from raynb.runtime.client import refs
from raynb.runtime.client.client import Client
from raynb.runtime.codec.trace_lanes import arranged
from raynb.runtime.core.strategies import NODE_ID_LABEL
from raynb.runtime.messages.errors import RaySystemError
from raynb.runtime.messages.gcs import KvGet, NamedActor, Query
from raynb.runtime.messages.node import ScaleNode, StoreUsage

QUERY_TIMEOUT_S = 30.0
TIMELINE_PAGE = 20_000
METRICS_PORT_KEY = b"metrics port"
"""Of the GCS's table of keys."""


def query(table: str, *, timeout_s: float = QUERY_TIMEOUT_S, **how: Any) -> dict[str, Any]:
    """A page of one of the GCS's tables: ``{rows, total, dropped}`` (or what the table's kind gives).

    Raises
    ------
    RaySystemError
        `init` was not called.
    """
    return query_by(connected(), table, timeout_s, **how)


def connected() -> Client:
    """This process's client; what only tells of a cluster starts none.

    Raises
    ------
    RaySystemError
        `init` was not called.
    """
    if not refs.connected():
        raise RaySystemError(
            "Ray has not been started yet. Trying to use state API before ray.init() has been called. You can start "
            "Ray with 'ray.init()'."
        )
    return connect()


def query_by(client: Client, table: str, timeout_s: float, **how: Any) -> dict[str, Any]:
    """The same, for threads of ours: they must not start a cluster where the last one has just gone."""
    data = client.request(client.gcs, Query(0, table, **how), timeout_s)
    found: dict[str, Any] = msgspec.msgpack.decode(data)
    return found


DEATH_REASONS = (None, "EXPECTED_TERMINATION", "UNEXPECTED_TERMINATION")
"""Of nodes; their places are Ray's numbers of them."""


def nodes() -> list[dict[str, Any]]:
    """The cluster's nodes, with the keys that Ray's ``nodes()`` has."""
    port = metrics_port()
    return [node_of(row, port) for row in query("nodes", limit=10_000, detail=True)["rows"]]


def metrics_port() -> int:
    """Where the cluster's metrics are served; 0: nowhere."""
    client = connected()
    try:
        return int(client.request(client.gcs, KvGet(0, METRICS_PORT_KEY), QUERY_TIMEOUT_S))
    except KeyError:
        return 0


def node_of(row: dict[str, Any], metrics_port: int = 0) -> dict[str, Any]:
    """A node's row with Ray's keys."""
    return {
        "NodeID": row["node_id"],
        "Alive": row["state"] == "ALIVE",
        "alive": row["state"] == "ALIVE",
        "NodeManagerAddress": row["node_ip"],
        "NodeManagerHostname": row["hostname"],
        "NodeManagerPort": 0,
        "ObjectManagerPort": 0,
        "ObjectStoreSocketName": row["address"],  # who looks after the store
        "RayletSocketName": row["address"],
        "MetricsExportPort": metrics_port if row["is_head_node"] else 0,
        "MetricsAgentPort": 0,
        "DashboardAgentListenPort": 0,
        "RuntimeEnvAgentPort": 0,
        "DeathReason": DEATH_REASONS.index(row["death_reason"]),
        "DeathReasonMessage": row["death_message"],
        "NodeName": row["node_name"] if row["node_name"] != row["hostname"] else row["node_ip"],
        "Resources": row["resources_total"] if row["state"] == "ALIVE" else {},
        "Labels": {NODE_ID_LABEL: row["node_id"], **(row.get("labels") or {})},
    }


def cluster_resources() -> dict[str, float]:
    """What the living nodes have, by name of the resource."""
    total: dict[str, float] = query("resources")["rows"][0]["total"]
    return total


def available_resources() -> dict[str, float]:
    """What of `cluster_resources` is not in use; names with nothing left are missing, as in Ray."""
    available: dict[str, float] = query("resources")["rows"][0]["available"]
    return {name: amount for name, amount in available.items() if amount > 0}


def scale(num_cpus: float) -> None:
    """Change how many CPUs this node offers while it runs; when this returns, `cluster_resources` says so.

    With more, what waits starts at once. With fewer, nothing that runs is ended: the CPUs go as tasks end, and
    processes that have nothing to do any more are ended.

    Parameters
    ----------
    num_cpus
        From 0 (what runs is finished, and nothing new is started that needs a CPU) on; more than the machine has are
        shared out all the same.

    Raises
    ------
    ValueError
        It is negative, endless or no number.
    """
    scaled(num_cpus)


def scaled(num_cpus: float) -> float:
    """As `scale`; gives how many CPUs are in use, which may be more than there are now."""
    check_option("num_cpus", num_cpus, TASK_OPTIONS["num_cpus"])
    client = connect()
    reply = client.request(client.node_manager, ScaleNode(0, float(num_cpus)), QUERY_TIMEOUT_S)
    held: float = json.loads(reply)["held"]
    return held


def get_actor(name: str, namespace: str | None = None) -> ActorHandle:
    """A handle to a living named actor.

    Raises
    ------
    ValueError
        There is none of this name in the namespace.
    """
    if not name:
        raise ValueError("Please supply a non-empty value to get_actor")
    if not isinstance(name, str):
        raise TypeError(f"the name of an actor is a text, not {name!r}")
    check_namespace(namespace)
    client = connect()
    where = namespace or client.execution().context.namespace
    if local_mode.running is not None:
        found: ActorHandle | None = local_mode.running.names.get((where, name))
        if found is None:
            raise ValueError(f"Failed to look up actor with name '{name}' in the namespace {where!r}.")
        return found
    return handle_from_reply(client.request(client.gcs, NamedActor(0, name, where)))


def object_store_usage() -> dict[str, Any]:
    """How full this node's object store is: ``used_bytes``, ``capacity_bytes``, ``objects``, ``holders``."""
    client = connect()
    usage: dict[str, Any] = json.loads(client.request(client.node_manager, StoreUsage(0)))
    return usage


def timeline(filename: str | None = None) -> list[dict[str, Any]] | None:
    """What ran, and what happened in the object stores, as a Chrome trace (open it in Perfetto or chrome://tracing).

    Parameters
    ----------
    filename
        Where to write it as JSON; None: return the events.
    """
    client = connected()
    client.flush_events()
    events: list[dict[str, Any]] = []
    after = 0
    while True:
        page = query("timeline", limit=TIMELINE_PAGE, after=after)
        events += page["rows"]
        after = page.get("next", 0)
        if not after:
            break
    events = arranged(events)
    if filename is None:
        return events
    Path(filename).write_text(json.dumps(events))
    return None
