"""The short tables at a moment that has passed: which rows there were, and how they stood, from the times they have.

What isn't recorded (a node's load then, how often an actor had been restarted) stands as it is now.
"""

from __future__ import annotations

from typing import Any, Final

from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.membership import Membership
from raynb.runtime.core.views import Row, ms

Lives = dict[str, list[tuple[int, int | None]]]
"""By an actor's id: when its processes started and ended, in milliseconds."""

THEN: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "nodes": (
        "start_time_ms",
        "end_time_ms",
        {"state": "ALIVE", "state_message": None, "death_reason": None, "death_message": ""},
    ),
    "workers": ("start_time_ms", "end_time_ms", {"is_alive": True, "exit_type": None, "exit_detail": None}),
    "jobs": ("start_time", "end_time", {"status": "RUNNING", "message": None}),
}
"""Of each table: the fields with its times, and what a row says that has not ended."""


def rows_then(table: str, rows: list[Row], at_ms: float, members: Membership) -> list[Row]:
    """The rows of ``nodes``, ``workers``, ``jobs`` or ``actors`` as they were."""
    if table == "actors":
        lives = actor_lives(members)
        found = (_actor_then(row, lives.get(row["actor_id"], []), at_ms) for row in rows)
        return [row for row in found if row is not None]
    start, end, alive = THEN[table]
    shown: list[Row] = []
    for row in rows:
        if (row[start] or 0) <= at_ms:
            ended = row[end]
            shown.append({**row, **alive, end: None} if ended and ended > at_ms else row)
    return shown


def rows_between(table: str, rows: list[Row], start_ms: float, end_ms: float, events: EventTable) -> list[Row]:
    """The rows of these tables that have to do with a window: actors that had calls in it, others that were there."""
    if table == "actors":
        busy = busy_actors(events, start_ms / 1000, end_ms / 1000)
        return [row for row in rows if bytes.fromhex(row["actor_id"]) in busy]
    start, end, _ = THEN[table]
    return [row for row in rows if (row[start] or 0) < end_ms and (not row[end] or row[end] >= start_ms)]


def busy_actors(events: EventTable, start: float, end: float) -> set[bytes]:
    """Those that were made or called in a window, as far as rows of tasks tell."""
    of_actors = {
        position for position, name in enumerate(events.names.names) if name is not None and name.kind in (1, 2)
    }
    found: set[bytes] = set()
    for slot in events.slots() if of_actors else ():
        if events.name[slot] in of_actors:
            began, ended = events.started[slot], events.ended[slot]
            if began and began < end and (not ended or ended >= start):
                found.add(events.names.name(events.name[slot]).actor_of(events.ids[slot]))
    return found


def actor_lives(members: Membership) -> Lives:
    """As far as the nodes know their workers still."""
    lives: Lives = {}
    for node in members.nodes.values():
        for listing in (*node.workers.values(), *node.dead_workers.values()):
            if listing.actor_id:
                life = ms(listing.started) or 0, ms(listing.ended)
                lives.setdefault(listing.actor_id.hex(), []).append(life)
    for of_one in lives.values():
        of_one.sort(key=lambda life: life[0])
    return lives


def _actor_then(row: Row, lives: list[tuple[int, int | None]], at_ms: float) -> Row | None:
    """None: it was not there yet. A pool's process may have waited for its actor a while: that counts as life."""
    if not lives:
        return row
    if at_ms < lives[0][0]:
        return None
    if any(started <= at_ms and (ended is None or at_ms < ended) for started, ended in lives):
        return {**row, "state": "ALIVE", "death_cause": None}
    return {**row, "state": "RESTARTING", "death_cause": None} if at_ms < lives[-1][0] else row
