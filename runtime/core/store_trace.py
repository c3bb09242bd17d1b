"""What happened in the stores, and how the whole cluster did, as events of a Chrome trace.

What happens in a store overlaps as it likes, so these are nestable asynchronous events (``b`` and ``e`` with one id of
their process's): slices of a thread must lie inside one another or apart. Numbers that change are counters (``C``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from raynb.runtime.core.run_history import RunHistory
from raynb.runtime.core.store_history import StoreEvent, StoreHistory
from raynb.runtime.messages.events import TASK_STATES

TraceEvent = dict[str, Any]

NAMES: Final = ("wait for room", "write to disk", "transfer in", "drop a copy")


def store_trace(history: StoreHistory, pid_of: Callable[[bytes], int], now_wall: float) -> list[TraceEvent]:
    """Both ends of everything that is kept; ``pid_of`` numbers the nodes."""
    events: list[TraceEvent] = []
    for event in sorted((*history.over, *history.open.values()), key=lambda event: event.started):
        common = {
            "name": NAMES[event.kind],
            "cat": "store",
            "id2": {"local": str(event.number)},
            "pid": pid_of(event.node),
            "tid": 0,
        }
        end = max(event.started, event.ended or now_wall)
        events.append({"ph": "b", **common, "ts": event.started * 1e6, "args": _args(event)})
        events.append({"ph": "e", **common, "ts": end * 1e6})
    return events


def _args(event: StoreEvent) -> dict[str, Any]:
    args: dict[str, Any] = {"bytes": event.size, "state": TASK_STATES[event.state]}
    if event.oid:
        args["object_id"] = event.oid.hex()
    if event.who:
        args["who"] = event.who
    if event.other:
        args["from"] = event.other
    return args


def counters(history: RunHistory) -> Iterable[TraceEvent]:
    """How many tasks waited and ran, and how full the stores were."""
    for at, state in history.samples:
        common = {"ph": "C", "pid": 0, "tid": 0, "ts": at * 1e6}
        yield {**common, "name": "tasks waiting", "args": {"tasks": state.tasks_waiting}}
        yield {**common, "name": "tasks running", "args": {"tasks": state.tasks_running}}
        yield {**common, "name": "object store", "args": {"bytes": state.store_used_bytes}}
