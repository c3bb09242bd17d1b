"""Why an actor does not take calls, from what the GCS, its node manager and its process say."""

from __future__ import annotations

import time
from typing import Any, Protocol

from raynb.runtime.client.why import Step, span
from raynb.runtime.core.views import cause_of_death
from raynb.runtime.core.why_waiting import Reason
from raynb.runtime.messages.node import WhyWaiting
from raynb.runtime.messages.why import WorkerRuns


class Sources(Protocol):
    """Who is asked."""

    def rows(self, table: str, **how: Any) -> list[dict[str, Any]]: ...
    def reason(self, message: WhyWaiting, node_manager: str = "") -> Reason | None: ...
    def words_of(self, reason: Reason, running: dict[str, str] | None = None) -> str: ...
    def what_runs(self, worker: str, task_id: bytes = b"") -> WorkerRuns | None: ...


def of_actor(sources: Sources, actor_id: bytes) -> list[Step]:
    """What an actor waits for, or does."""
    rows = sources.rows("actors", id=actor_id.hex())
    if not rows:
        words = "is not registered yet: its creator has not told the GCS of it, or the GCS does not answer"
        return [Step("creating", f"actor {actor_id.hex()}", words, "Ask again.")]
    row = rows[-1]
    class_name = str(row["class_name"]).rpartition(".")[2]
    subject = f"{class_name} {row['name']!r}" if row["name"] else class_name
    match row["state"]:
        case "ALIVE":
            return [_alive(sources, subject, row)]
        case "DEAD":
            return [_dead(subject, row)]
        case "RESTARTING":
            return [_starting(sources, subject, row, again=True)]
    return [_starting(sources, subject, row, again=False)]


def _alive(sources: Sources, subject: str, row: dict[str, Any]) -> Step:
    runs = sources.what_runs(row["worker_address"])
    if runs is None:
        return Step("alive", subject, f"is alive (pid {row['pid']}), but too busy to say what it does")
    if not runs.running:
        return Step("alive", subject, f"is alive (pid {row['pid']}) and has nothing to do")
    first = runs.running[0]
    more = f" and {len(runs.running) - 1} more" if len(runs.running) > 1 else ""
    queued = f"; {runs.queued} call{'s wait' if runs.queued != 1 else ' waits'} for their turn" if runs.queued else ""
    ran = span(max(0.0, time.time() - first.started))
    return Step("alive", subject, f"is alive (pid {row['pid']}) and has run {first.name} for {ran}{more}{queued}")


def _dead(subject: str, row: dict[str, Any]) -> Step:
    message = cause_of_death(row) or "no reason is known"
    reason = message.partition(" is dead because ")[2] or message
    fix = "Create it again; max_restarts lets it come back by itself."
    return Step("actor dead", subject, f"is dead: {reason.strip().splitlines()[0].rstrip('.:')}", fix)


def _starting(sources: Sources, subject: str, row: dict[str, Any], *, again: bool) -> Step:
    actor = bytes.fromhex(row["actor_id"])
    state = "is being restarted" if again else "is not created yet"
    if again:
        most = f" of {row['max_restarts']}" if row["max_restarts"] >= 0 else ""
        state += f" (restart {row['num_restarts']}{most}) because its process ended ({_last_end(sources, row)})"
    reason = sources.reason(WhyWaiting(0, 0, actor_id=actor), _node_manager(sources, row))
    if reason is None:
        return Step("restarting" if again else "creating", subject, f"{state}; its node does not answer", "Ask again.")
    if reason.kind != "served":
        kind = "restarting" if again else reason.kind
        return Step(kind, subject, f"{state}, and {sources.words_of(reason)}", reason.fix)
    kind = "restarting" if again else "creating"
    if not reason.pid:
        return Step(kind, subject, f"{state}; the GCS is about to have it started", "Ask again.")
    return Step(kind, subject, f"{state}: its constructor runs (pid {reason.pid})", "Calls wait until it returns.")


def _last_end(sources: Sources, row: dict[str, Any]) -> str:
    """How its last process ended."""
    filters = [("actor_id", "=", row["actor_id"]), ("is_alive", "=", "false")]
    found = sources.rows("workers", filters=filters, limit=-1)
    newest = max(found, key=lambda worker: worker["start_time_ms"] or 0, default={})
    return str(newest.get("exit_detail") or "nobody knows how").strip().splitlines()[0].rstrip(".")


def _node_manager(sources: Sources, row: dict[str, Any]) -> str:
    """Address of the node where it is being started; empty where none is picked."""
    if not row["node_id"]:
        return ""
    nodes = sources.rows("nodes", id=row["node_id"])
    return str(nodes[0]["address"]) if nodes else ""
