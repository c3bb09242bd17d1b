"""Tables of the state API that nobody keeps: they are made of the rows of those that the GCS has."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

Row = dict[str, Any]
Rows = Callable[[str], list[Row]]
"""Gives all rows of a table, with all fields."""
Happened = tuple[float, str, str, str]
"""When, in milliseconds since the epoch; how severe; whose; what."""

RUNTIME_ENV_FIELDS: Final = ("runtime_env", "success", "creation_time_ms", "node_id", "ref_cnt", "error")
EVENT_FIELDS: Final = ("severity", "time", "source_type", "message", "event_id", "custom_fields")


def runtime_envs(rows: Rows) -> list[Row]:
    """The ``runtime_env`` of the actors that live, each with how many have it on which node."""
    living = [row for row in rows("actors") if row["state"] != "DEAD"]
    found = Counter((row["serialized_runtime_env"] or "{}", row["node_id"] or "") for row in living)
    return [
        dict(zip(RUNTIME_ENV_FIELDS, (json.loads(text), True, None, node, count, None), strict=True))
        for (text, node), count in found.items()
        if text != "{}"
    ]


def cluster_events(rows: Rows) -> list[Row]:
    """What has happened to nodes, drivers and workers, the oldest first.

    Nothing is written down for this, so what the tables have forgotten is not among them.
    """
    found = [*_of_nodes(rows("nodes")), *_of_jobs(rows("jobs")), *_of_workers(rows("workers"))]
    return [_event(*each) for each in sorted(found)]


def _of_nodes(rows: list[Row]) -> Iterator[Happened]:
    for row in rows:
        name = f"node {row['node_id'][:16]} ({row['node_ip']})"
        yield row["start_time_ms"] or 0, "INFO", "RAYLET", f"{name} was added"
        if row["state"] == "DEAD":
            why = row["state_message"] or "no reason is known"
            yield row["end_time_ms"] or row["start_time_ms"] or 0, "ERROR", "RAYLET", f"{name} is gone: {why}"


def _of_jobs(rows: list[Row]) -> Iterator[Happened]:
    for row in rows:
        name = f"driver {row['entrypoint']} (job {row['job_id']})"
        yield row["start_time"] or 0, "INFO", "JOBS", f"{name} joined"
        if row["end_time"]:
            yield row["end_time"], "INFO", "JOBS", f"{name} left: {row['message'] or row['status']}"


def _of_workers(rows: list[Row]) -> Iterator[Happened]:
    for row in rows:
        if row["worker_type"] == "WORKER" and not row["is_alive"] and row["exit_type"] == "SYSTEM_ERROR":
            # One whose end is not dated yet is told where it began.
            at = row["end_time_ms"] or row["start_time_ms"] or 0
            yield at, "ERROR", "CORE_WORKER", f"worker with pid {row['pid']} ended: {row['exit_detail']}"


def _event(at_ms: float, severity: str, source: str, message: str) -> Row:
    when = datetime.fromtimestamp(at_ms / 1000).isoformat(sep=" ", timespec="milliseconds")
    event_id = hashlib.sha256(f"{at_ms} {message}".encode()).hexdigest()[:36]
    return dict(zip(EVENT_FIELDS, (severity, when, source, message, event_id, {}), strict=True))


DERIVED: Final[Mapping[str, tuple[Callable[[Rows], list[Row]], tuple[str, ...]]]] = MappingProxyType(
    {"runtime_envs": (runtime_envs, RUNTIME_ENV_FIELDS), "cluster_events": (cluster_events, EVENT_FIELDS)}
)
"""How each is made, and what fields it has."""
