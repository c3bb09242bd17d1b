"""Why a task waits, in one sentence, as far as the event hub can tell.

Its submitter knows more (`why_waiting`); but a kernel that computes does not answer.
"""

from __future__ import annotations

from raynb.runtime.core.live_view import Tables
from raynb.runtime.core.views import resources_row
from raynb.runtime.messages.events import (
    FINISHED,
    PENDING_ARGS_AVAIL,
    PENDING_NODE_ASSIGNMENT,
    SUBMITTED_TO_WORKER,
    TASK_STATES,
)
from raynb.runtime.messages.ids import OBJECT_ID_BYTES, TASK_ID_BYTES


def waiting_reason(tables: Tables, slot: int) -> str:
    """A sentence about the row of a task that does not run yet; empty for another."""
    table = tables.events
    match table.state[slot]:
        case state if state == PENDING_ARGS_AVAIL:
            return _inputs(tables, slot)
        case state if state == PENDING_NODE_ASSIGNMENT:
            definition = table.names.name(table.name[slot]).definition
            return _resources(tables, definition.resources if definition else {})
        case state if state == SUBMITTED_TO_WORKER:
            return "It is in a worker's queue: it runs when what stands before it there is done."
    return ""


def _inputs(tables: Tables, slot: int) -> str:
    table = tables.events
    joined = table.dependencies.get(slot, b"")
    for at in range(0, len(joined), OBJECT_ID_BYTES):
        producer = table.index.get(joined[at : at + TASK_ID_BYTES])
        if producer is not None and table.state[producer] < FINISHED:
            name = table.names.name(table.name[producer])
            label = name.definition.name if name.definition else "?"
            return f"It waits for the result of {label}, which is {TASK_STATES[table.state[producer]]}."
    return "It waits for its inputs."


def _resources(tables: Tables, needed: dict[str, float]) -> str:
    row = resources_row(tables.members)
    total, available = row["total"], row["available"]
    for name, amount in needed.items():
        if total.get(name, 0.0) < amount:
            return (
                f"It needs {amount:g} {name}, and the cluster has {total.get(name, 0.0):g}: add a node that has them."
            )
    for name, amount in needed.items():
        if available.get(name, 0.0) < amount:
            free = available.get(name, 0.0)
            return f"It needs {amount:g} {name}, and {free:g} of {total[name]:g} are free."
    return "It waits for a worker."
