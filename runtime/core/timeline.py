"""The run as a Chrome trace: a lane for each worker, a complete event for each task that has run, and what happened in
the nodes' stores.

Read by Perfetto (ui.perfetto.dev) and chrome://tracing. Times are wall-clock microseconds. Lanes are numbered:
processes are nodes, threads are workers; the metadata events say their names. Arrows (flow events) lead from the end
of a task to the start of those that use its result.
"""

from __future__ import annotations

from typing import Any, Final

from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.run_history import RunHistory
from raynb.runtime.core.span_table import SpanTable
from raynb.runtime.core.store_history import StoreHistory
from raynb.runtime.core.store_trace import counters, store_trace
from raynb.runtime.core.task_views import ERROR_TYPES
from raynb.runtime.core.views import Page
from raynb.runtime.messages.events import FAILED, RUNNING, TASK_STATES
from raynb.runtime.messages.ids import OBJECT_ID_BYTES, PUT_INDEX_BASE, TASK_ID_BYTES, index_of

TraceEvent = dict[str, Any]

FLOW_INSET_S: Final = 1e-6
"""So much before a task's end an arrow leaves it: at the end itself the slice is over."""
WITHOUT_WORKERS: Final = 1_000_000
"""From here on nodes are numbered that no worker is known of."""
OTHER_PROCESSES: Final = 500_000
"""From here on processes are numbered, as threads of their node, that have run no task."""
SPAN_COLOURS: Final = {
    "task:deserialize_arguments": "rail_load",
    "task:execute": "rail_animation",
    "task:store_outputs": "rail_idle",
}
COLOURS: Final = {"FINISHED": "good", "FAILED": "terrible", "RUNNING": "vsync_highlight_color"}
"""Of the palette that trace viewers have."""


def timeline_page(
    table: EventTable,
    after: int,
    limit: int,
    now_wall: float,
    stores: StoreHistory | None = None,
    history: RunHistory | None = None,
) -> Page:
    """A part of the trace: all parts together are made ready for viewers by `trace_lanes.arranged`.

    Parameters
    ----------
    after
        Where the page before ended (0: the beginning, with the metadata).
    limit
        Rows of the table to look at; negative: all.
    now_wall
        Until when the tasks last that run still, in wall-clock seconds.
    stores, history
        What else is told, at the beginning.

    Returns
    -------
    Page
        Its ``more["next"]`` is where the next page begins, 0 at the end.
    """
    end = len(table.ids) if limit < 0 else min(len(table.ids), after + limit)
    lanes = Lanes(table)
    events: list[TraceEvent] = []
    if after == 0:
        of_stores = store_trace(stores, lanes.node, now_wall) if stores is not None else []
        events += _metadata(table, lanes)
        events += of_stores
        events += counters(history) if history is not None else ()
        events += span_events(table.spans, lanes)
    for slot in range(after, end):
        if table.ids[slot] and table.started[slot] and table.state[slot] >= RUNNING:
            events.append(_task_event(table, slot, lanes, now_wall))
            events += _flows(table, slot, lanes)
    more = {"next": end if end < len(table.ids) else 0}
    return Page(events, len(table.ids), table.dropped, more)


class Lanes:
    """Numbers of nodes and workers in the trace; workers keep theirs from page to page."""

    def __init__(self, table: EventTable) -> None:
        self.nodes: dict[bytes, int] = {}
        self.workers = table.names.workers
        for worker in self.workers:
            self.nodes.setdefault(worker.node_id, len(self.nodes) + 1)

    def node(self, node_id: bytes) -> int:
        """The process that stands for a node, whether workers of it are known or not."""
        return self.nodes.setdefault(node_id, WITHOUT_WORKERS + len(self.nodes))

    def of(self, worker: int) -> tuple[int, int]:
        """(process, thread); lane 0 is for what no worker is known of."""
        if worker < 0:
            return 0, 0
        return self.nodes[self.workers[worker].node_id], worker + 1


def _metadata(table: EventTable, lanes: Lanes) -> list[TraceEvent]:
    events = [_named("process_name", 0, 0, "cluster"), _named("thread_name", 0, 0, "no worker known")]
    for node_id, pid in lanes.nodes.items():
        events.append(_named("process_name", pid, 0, f"node {node_id.hex()[:12]}"))
    for number, worker in enumerate(lanes.workers):
        pid, tid = lanes.of(number)
        label = f"worker {worker.pid}"
        events.append(_named("thread_name", pid, tid, label))
    return events


def _named(what: str, pid: int, tid: int, name: str) -> TraceEvent:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": {"name": name}}


def span_events(spans: SpanTable, lanes: Lanes) -> list[TraceEvent]:
    """What was timed by programs, on the lane of its process; one that has run no task has a lane of its own."""
    workers = {worker.worker_id: number for number, worker in enumerate(lanes.workers)}
    others: dict[bytes, int] = {}
    events: list[TraceEvent] = []
    for message, span in spans:
        number = workers.get(message.worker_id)
        if number is not None:
            pid, tid = lanes.of(number)
        else:
            pid = lanes.node(message.node_id)
            if message.worker_id not in others:
                others[message.worker_id] = OTHER_PROCESSES + len(others)
                events.append(_named("thread_name", pid, others[message.worker_id], f"process {message.pid}"))
            tid = others[message.worker_id]
        events.append(
            {
                "ph": "X",
                "name": span.extra.get("name", span.name),
                "cat": span.name,
                "pid": pid,
                "tid": tid,
                "ts": span.started * 1e6,
                "dur": span.duration * 1e6,
                "cname": span.extra.get("cname", SPAN_COLOURS.get(span.name, "generic_work")),
                "args": {**span.extra, "task_id": span.task.hex()},
                "part": True,
            }
        )
    return events


def _flows(table: EventTable, slot: int, lanes: Lanes) -> list[TraceEvent]:
    """Both ends of the arrows to a task: each belongs to the slice that encloses its moment."""
    joined = table.dependencies.get(slot, b"")
    events: list[TraceEvent] = []
    for at in range(0, len(joined), OBJECT_ID_BYTES):
        oid = joined[at : at + OBJECT_ID_BYTES]
        producer = table.index.get(oid[:TASK_ID_BYTES])
        if producer is None or index_of(oid) >= PUT_INDEX_BASE:
            continue
        started, ended = table.started[producer], table.ended[producer]
        if not started or not started <= ended <= table.started[slot]:
            continue
        arrow = {"name": "result", "cat": "data", "id": f"{oid.hex()}-{table.ids[slot].hex()}"}
        made_by, used_by = {"task_id": table.ids[producer].hex()}, {"task_id": table.ids[slot].hex()}
        leaves, arrives = max(started, ended - FLOW_INSET_S) * 1e6, table.started[slot] * 1e6
        pid, tid = lanes.of(table.worker[producer])
        events.append({"ph": "s", **arrow, "pid": pid, "tid": tid, "ts": leaves, "args": made_by})
        pid, tid = lanes.of(table.worker[slot])
        events.append({"ph": "f", "bp": "e", **arrow, "pid": pid, "tid": tid, "ts": arrives, "args": used_by})
    return events


def _task_event(table: EventTable, slot: int, lanes: Lanes, now_wall: float) -> TraceEvent:
    definition = table.names.name(table.name[slot]).definition
    state = TASK_STATES[table.state[slot]]
    started = table.started[slot]
    ended = table.ended[slot] or now_wall
    pid, tid = lanes.of(table.worker[slot])
    args: dict[str, Any] = {
        "task_id": table.ids[slot].hex(),
        "attempt": table.attempt[slot],
        "state": state,
        "job_id": definition.job.hex() if definition else "",
        "call_site": definition.call_site if definition else "",
        "cell": definition.cell if definition else "",
        "result_bytes": table.size[slot],
    }
    if any(table.parents[slot]):
        args["parent_task_id"] = table.parents[slot].hex()
    if table.submitted[slot]:
        args["waited_ms"] = round((started - table.submitted[slot]) * 1000, 3)
    if definition is not None and definition.actor_id:
        args["actor_id"] = definition.actor_id.hex()
    if table.state[slot] == FAILED:
        kind, message = table.errors.get(slot, ("", ""))
        args["error_type"] = ERROR_TYPES.get(kind, kind)
        args["error_message"] = message[-500:]
    return {
        "ph": "X",
        "name": definition.name if definition else "?",
        "cat": f"task::{definition.name if definition else '?'}",
        "pid": pid,
        "tid": tid,
        "ts": started * 1e6,
        "dur": max(0.0, ended - started) * 1e6,
        "cname": COLOURS[state],
        "args": args,
    }
