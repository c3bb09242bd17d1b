"""``raynb.util.state``'s part about events: what has happened to nodes, drivers and workers, the oldest first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from raynb.util.state_source import ask

ROWS_MAX = 10_000


def events(address: str | None, timeout_s: float) -> list[Row]:
    """Starts and ends, from the cluster's tables: nothing is written down for this, so what those have forgotten is
    not among them."""

    def rows(table: str) -> list[Row]:
        found: list[Row] = ask(address, table, timeout_s, limit=ROWS_MAX, detail=True)["rows"]
        return found

    found = [*_of_nodes(rows("nodes")), *_of_jobs(rows("jobs")), *_of_workers(rows("workers"))]
    return [_event(*each) for each in sorted(found)]


Row = dict[str, Any]
Happened = tuple[float, str, str, str]
"""When, in milliseconds since the epoch; how severe; whose; what."""


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
    return {
        "severity": severity,
        "time": when,
        "source_type": source,
        "message": message,
        "event_id": event_id,
        "custom_fields": {},
    }
