"""Arguments that running tasks read in shared memory: for as long, their workers hold them without a reference of their
own, so no process has them in its table."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.views import Row
from raynb.runtime.messages.events import RUNNING, TASK_KINDS
from raynb.runtime.messages.ids import OBJECT_ID_BYTES


def argument_rows(rows: Iterable[Row], table: EventTable, ip_of: Callable[[bytes], str]) -> list[Row]:
    """A row for each worker and each stored object that a task which runs there was given.

    Parameters
    ----------
    rows
        Of all processes that refer to objects.
    table
        Says what runs.
    ip_of
        Of a node.
    """
    stored = {bytes.fromhex(row["object_id"]): row for row in rows if row["state"] == "STORED"}
    seen = {(row["object_id"], row["pid"]) for row in rows}
    found: list[Row] = []
    for slot, joined in table.dependencies.items() if stored else ():
        if table.state[slot] != RUNNING or table.worker[slot] < 0:
            continue
        worker = table.names.workers[table.worker[slot]]
        for at in range(0, len(joined), OBJECT_ID_BYTES):
            row = stored.get(joined[at : at + OBJECT_ID_BYTES])
            if row is not None and (row["object_id"], worker.pid) not in seen:
                seen.add((row["object_id"], worker.pid))
                found.append(row | _held(table, slot) | {"pid": worker.pid, "ip": ip_of(worker.node_id)})
    return found


def _held(table: EventTable, slot: int) -> Row:
    name = table.names.name(table.name[slot])
    what = "task" if TASK_KINDS[name.kind] == "NORMAL_TASK" else "actor task"
    function = name.definition.function or name.definition.name if name.definition else ""
    return {
        "call_site": f"(deserialize {what} arg) {function}".rstrip(),
        "type": "WORKER",
        "task_status": "NIL",
        "attempt_number": 0,
        "reference_type": "PINNED_IN_MEMORY",
        "local_references": 0,
        "pending_tasks": 0,
        "borrowers": 0,
        "failed_tasks": 0,
    }
