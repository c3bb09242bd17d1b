"""Rows of tasks and objects with Ray's fields, from the event hub's table.

A query over many tasks must not hold the GCS up: filters on a task's function, state, worker or job are decided on the
columns, before any map is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import nlargest
from typing import Final

from raynb.runtime.core.bundle_names import group_hex
from raynb.runtime.core.event_flows import cell_key
from raynb.runtime.core.event_names import NO_WORKER, Totals
from raynb.runtime.core.event_table import EventTable
from raynb.runtime.core.views import Filter, Page, Row, compile_filters, matcher, ms, strip
from raynb.runtime.messages.events import (
    FAILED,
    FINISHED,
    PENDING_ARGS_AVAIL,
    PENDING_NODE_ASSIGNMENT,
    RUNNING,
    SUBMITTED_TO_WORKER,
    TASK_KINDS,
    TASK_STATES,
    ObjectRow,
)
from raynb.runtime.messages.ids import OBJECT_ID_BYTES, PUT_INDEX_BASE, TASK_ID_BYTES, task_of

TASK_FIELDS: Final = (
    "task_id",
    "attempt_number",
    "name",
    "state",
    "job_id",
    "actor_id",
    "type",
    "func_or_class_name",
    "parent_task_id",
    "node_id",
    "worker_id",
    "worker_pid",
    "error_type",
    "language",
    "required_resources",
    "runtime_env_info",
    "placement_group_id",
    "events",
    "profiling_data",
    "creation_time_ms",
    "start_time_ms",
    "end_time_ms",
    "task_log_info",
    "error_message",
    "is_debugger_paused",
    "call_site",
    "label_selector",
    "fallback_strategy",
)
TASK_BASE: Final = TASK_FIELDS[:13]
MORE_TASK_FIELDS: Final = ("cell", "cell_id", "result_size", "dependencies", "submitter")

NAME_FIELDS: Final = frozenset(
    ("name", "func_or_class_name", "type", "job_id", "actor_id", "call_site", "cell", "cell_id", "submitter")
)
"""What all rows of one function have in common."""

WORKER_FIELDS: Final = frozenset(("worker_id", "worker_pid", "node_id"))

ERROR_TYPES: Final = {
    "RayTaskError": "TASK_EXECUTION_EXCEPTION",
    "WorkerCrashedError": "WORKER_DIED",
    "TaskCancelledError": "TASK_CANCELLED",
    "ActorDiedError": "ACTOR_DIED",
    "ActorUnavailableError": "ACTOR_UNAVAILABLE",
    "OwnerDiedError": "OWNER_DIED",
    "ObjectLostError": "OBJECT_LOST",
    "ObjectFreedError": "OBJECT_FREED",
    "OutOfMemoryError": "OUT_OF_MEMORY",
    "OutOfDiskError": "OUT_OF_DISK_ERROR",
    "NodeDiedError": "NODE_DIED",
    "TaskUnschedulableError": "TASK_UNSCHEDULABLE_ERROR",
    "ActorUnschedulableError": "ACTOR_UNSCHEDULABLE_ERROR",
    "RuntimeEnvSetupError": "RUNTIME_ENV_SETUP_FAILED",
}
"""Ray's names of what `Failed.kind` says; other kinds stand as they are."""


def task_row(table: EventTable, slot: int) -> Row:
    """Ray's TaskState, and what raynb knows besides."""
    name = table.names.name(table.name[slot])
    definition = name.definition
    number = table.worker[slot]
    worker = table.names.workers[number] if number >= 0 else None
    parent = table.parents[slot]
    kind, message = table.errors.get(slot, (None, None))
    return {
        "task_id": table.ids[slot].hex(),
        "attempt_number": table.attempt[slot],
        "name": table.names.shown(name),
        "state": TASK_STATES[table.state[slot]],
        "job_id": (definition.job if definition else table.ids[slot][-4:]).hex(),
        "actor_id": name.actor_of(table.ids[slot]).hex() or None,
        "type": TASK_KINDS[name.kind],
        "func_or_class_name": name.called,
        "parent_task_id": parent.hex() if any(parent) else None,
        "node_id": worker.node_id.hex() if worker else None,
        "worker_id": worker.worker_id.hex() if worker else None,
        "worker_pid": worker.pid if worker else None,
        "error_type": ERROR_TYPES.get(kind, kind) if kind else None,
        "language": "PYTHON",
        "required_resources": definition.resources if definition else {},
        "runtime_env_info": {"serialized_runtime_env": (definition.runtime_env if definition else "") or "{}"},
        "placement_group_id": group_hex(definition.resources) if definition else None,
        "events": _events(table, slot),
        "profiling_data": None,
        "creation_time_ms": ms(table.submitted[slot]),
        "start_time_ms": ms(table.started[slot]),
        "end_time_ms": ms(table.ended[slot]),
        "task_log_info": None,
        "error_message": message or None,
        "is_debugger_paused": None,
        "call_site": (definition.call_site or None) if definition else None,
        "label_selector": {},
        "fallback_strategy": [],
        "cell": definition.cell if definition else "",
        "cell_id": cell_key(name.cell),
        "result_size": table.size[slot],
        "dependencies": _object_ids(table.dependencies.get(slot, b"")),
        "submitter": name.owner,
    }


def task_row_then(row: Row, state: str, at_ms: float) -> Row:
    """A row as it was at a moment, in this state then."""
    then = dict(row, state=state, events=[step for step in row["events"] if step["created_ms"] <= at_ms])
    for field in ("start_time_ms", "end_time_ms"):
        if row[field] and row[field] > at_ms:
            then[field] = None
    if state not in (TASK_STATES[FINISHED], TASK_STATES[FAILED]):
        then |= {"error_type": None, "error_message": None, "result_size": 0}
    return then


def _events(table: EventTable, slot: int) -> list[Row]:
    """The states that its attempt went through, as far as their times are known."""
    steps = (
        (PENDING_ARGS_AVAIL, table.submitted[slot]),
        (PENDING_NODE_ASSIGNMENT, table.ready[slot]),
        (SUBMITTED_TO_WORKER, table.pushed[slot]),
        (RUNNING, table.started[slot]),
        (max(table.state[slot], FINISHED), table.ended[slot]),
    )
    last = table.state[slot]
    return [{"state": TASK_STATES[state], "created_ms": ms(when)} for state, when in steps if when and state <= last]


def _object_ids(joined: bytes) -> list[str]:
    ends = range(0, len(joined), OBJECT_ID_BYTES)
    return [joined[at : at + OBJECT_ID_BYTES].hex() for at in ends]


def task_page(table: EventTable, filters: Sequence[Filter], limit: int, task_id: str, detail: bool) -> Page:
    """The newest tasks that match, in the order of their submission."""
    fields = (*TASK_FIELDS, *MORE_TASK_FIELDS)
    passes = compile_filters(filters, fields)
    test, whole = column_test(table, filters)
    slots = _attempts_of(table, task_id) if task_id else table.slots()
    found = [slot for slot in slots if test(slot)]
    if not whole:
        found = [slot for slot in found if passes(task_row(table, slot))]
    total = len(found)
    submitted = table.submitted
    if 0 <= limit < total:
        found = nlargest(limit, found, key=submitted.__getitem__)
    found.sort(key=submitted.__getitem__)
    rows = [task_row(table, slot) for slot in found]
    return Page(rows if detail else strip(rows, TASK_BASE), total, table.dropped)


def _attempts_of(table: EventTable, task_id: str) -> list[int]:
    """Rows of one task."""
    wanted = bytes.fromhex(task_id)
    last = table.index.get(wanted)
    if last is None or table.attempt[last] == 0:
        return [] if last is None else [last]
    return [slot for slot in table.slots() if table.ids[slot] == wanted]


def column_test(table: EventTable, filters: Sequence[Filter]) -> tuple[Callable[[int], bool], bool]:
    """A test on the columns, that lets too many rows pass where False comes with it."""
    states = set(range(len(TASK_STATES)))
    names = {p for p, name in enumerate(table.names.names) if name is not None}
    workers = set(range(-1, len(table.names.workers)))
    errors: list[Callable[[str], bool]] = []
    whole = True
    for field, operator, value in filters:
        matches = matcher(operator, value)
        if field == "state":
            states = {s for s in states if matches(TASK_STATES[s])}
        elif field in NAME_FIELDS:
            names = {p for p in names if matches(name_text(table, p, field))}
        elif field in WORKER_FIELDS:
            workers = {n for n in workers if matches(worker_text(table, n, field))}
        elif field == "error_type":
            errors.append(matches)
        else:
            whole = False
    name, worker, state = table.name, table.worker, table.state

    def test(slot: int) -> bool:
        return state[slot] in states and name[slot] in names and worker[slot] in workers

    def test_errors_too(slot: int) -> bool:
        kind = table.errors.get(slot, ("None",))[0]
        shown = ERROR_TYPES.get(kind, kind)
        return test(slot) and all(matches(shown) for matches in errors)

    return test_errors_too if errors else test, whole


def worker_text(table: EventTable, number: int, field: str) -> str:
    """A field that all tasks of a worker have in common."""
    if number == NO_WORKER:
        return "None"
    worker = table.names.workers[number]
    if field == "worker_pid":
        return str(worker.pid)
    return (worker.worker_id if field == "worker_id" else worker.node_id).hex()


def name_text(table: EventTable, position: int, field: str) -> str:
    """A field that all rows of a name have in common."""
    name = table.names.name(position)
    definition = name.definition
    if field == "func_or_class_name":
        return name.called
    if field == "type":
        return TASK_KINDS[name.kind]
    if field == "submitter":
        return name.owner
    if field == "cell_id":
        return cell_key(name.cell)
    if definition is None:
        return "?"
    if field == "actor_id":
        return str(definition.actor_id.hex() or None)
    if field == "job_id":
        return definition.job.hex()
    if field == "call_site":
        return str(definition.call_site or None)
    return definition.cell if field == "cell" else table.names.shown(name)


SUMMARY_FIELDS: Final = ("func_or_class_name", "type", "state_counts")


def state_counts(totals: Totals) -> list[int]:
    """How many tasks are in each of `TASK_STATES`: exact, but for how what waits is divided, which the rows tell."""
    known = totals.states
    waiting = max(0, totals.submitted - totals.finished - totals.failed)
    running = min(waiting, max(totals.running, known[RUNNING]))
    waiting -= running
    pushed = min(waiting, known[SUBMITTED_TO_WORKER])
    blocked = min(waiting - pushed, known[PENDING_ARGS_AVAIL])
    return [blocked, waiting - pushed - blocked, pushed, running, totals.finished, totals.failed]


def summary_page(table: EventTable, filters: Sequence[Filter], limit: int, by_job: bool = False) -> Page:
    """Exact counts by function (and job); what waits is divided into its states as the kept rows tell."""
    passes = compile_filters(filters, SUMMARY_FIELDS)
    rows: list[Row] = []
    kinds = [0] * len(TASK_KINDS)
    for totals in table.names.totals(by_job):
        kinds[totals.kind] += totals.submitted
        counts = zip(TASK_STATES, state_counts(totals), strict=True)
        row: Row = {
            "func_or_class_name": totals.function,
            "type": TASK_KINDS[totals.kind],
            "state_counts": {state: n for state, n in counts if n},
        }
        if by_job:
            row["job_id"] = totals.job.hex()
        if totals.submitted and passes(row):
            rows.append(row)
    rows.sort(key=lambda row: (-sum(row["state_counts"].values()), row["func_or_class_name"]))
    more: Row = {
        "total_tasks": kinds[0],
        "total_actor_scheduled": kinds[1],
        "total_actor_tasks": kinds[2],
        "summary_by": "func_name",
    }
    shown = rows[:limit] if limit >= 0 else rows
    return Page(shown, len(rows), table.dropped, more)


# -- objects

OBJECT_FIELDS: Final = (
    "object_id",
    "object_size",
    "task_status",
    "attempt_number",
    "reference_type",
    "call_site",
    "type",
    "pid",
    "ip",
)


def object_row(
    row: ObjectRow,
    table: EventTable,
    pid: int,
    worker_type: str,
    ip: str,
    names: list[str],
    users: list[str],
    holder: str = "",
    *,
    is_actor: bool = False,
    says_how: bool = False,
) -> Row:
    """Ray's ObjectState of an object in the table of the process ``holder``; who has it besides: the notebook's
    ``names``, and ``users``. ``says_how``: its ``call_site`` is Ray's, with how this process came by it."""
    reference_type = _reference_type(row, table)
    status = _task_status(row, table)
    if says_how and status == "RUNNING":
        status = "SUBMITTED_TO_WORKER"  # as Ray has it, where an owner can't know that a task has begun
    return {
        "object_id": row.oid.hex(),
        "object_size": row.size,
        "task_status": status,
        "attempt_number": _attempt(row, table),
        "reference_type": reference_type,
        "call_site": _made_at(row, table, is_actor) if says_how else _place(row.call_site),
        "type": worker_type,
        "pid": pid,
        "ip": ip,
        "state": row.state if reference_type != ACTOR_HANDLE else "",  # it has no value ever
        "value_type": row.kind.type if row.kind is not None else "",
        "value_shape": row.kind.shape if row.kind is not None else None,
        "value_dtype": row.kind.dtype if row.kind is not None else "",
        "held_by": names + users,
        "used_by": users,
        "local_references": row.local,
        "pending_tasks": row.tasks,
        "borrowers": row.borrowers,
        "failed_tasks": row.failures,
        "owner": row.owner or holder,
        "on_disk": row.on_disk,
    }


ACTOR_HANDLE: Final = "ACTOR_HANDLE"
"""The `reference_type` of what an actor's handles hold."""


def makes_actor(table: EventTable, slot: int) -> bool:
    """Whether a task is the creation of an actor."""
    return TASK_KINDS[table.names.name(table.name[slot]).kind] == "ACTOR_CREATION_TASK"


def _reference_type(row: ObjectRow, table: EventTable) -> str:
    """The strongest of the reasons for which a process has it, in Ray's order."""
    slot = table.index.get(task_of(row.oid))
    if slot is not None and makes_actor(table, slot):
        return ACTOR_HANDLE
    if row.views:
        return "PINNED_IN_MEMORY"
    if row.tasks:
        return "USED_BY_PENDING_TASK"
    if row.local:
        return "LOCAL_REFERENCE"
    return "CAPTURED_IN_OBJECT" if row.contained else "PINNED_IN_MEMORY"  # by borrowers, or for failed tasks


HOW: Final = ("(put object) ", "(task call) ", "(actor call) ")
MADE_BY: Final = {"NORMAL_TASK": "task call"}
"""How Ray calls the calls that make objects; all others are an actor's."""


def _made_at(row: ObjectRow, table: EventTable, is_actor: bool) -> str:
    """How and where this process came by it; what was put says so itself."""
    if row.owner:
        return "(deserialize actor task arg)" if is_actor else "(deserialize task arg)"
    slot = None if is_put(row.oid) else table.index.get(task_of(row.oid))
    if slot is None or row.call_site.startswith(HOW):
        return row.call_site
    called = MADE_BY.get(TASK_KINDS[table.names.name(table.name[slot]).kind], "actor call")
    return f"({called}) {row.call_site}".rstrip()


def _place(call_site: str) -> str:
    """Where something was made, without how: for screens."""
    for how in HOW:
        call_site = call_site.removeprefix(how)
    return call_site.replace(":<module>:", ":")


def is_put(oid: bytes) -> bool:
    """Whether it was put, not returned by a task."""
    return int.from_bytes(oid[TASK_ID_BYTES:], "little") >= PUT_INDEX_BASE


def _task_status(row: ObjectRow, table: EventTable) -> str:
    """The state of the task that makes it; only its owner knows."""
    if row.owner:
        return "NIL"
    if row.state in ("READY", "STORED") or is_put(row.oid):
        return "FINISHED"
    if row.state == "FAILED":
        return "FAILED"
    slot = table.index.get(task_of(row.oid))
    return TASK_STATES[table.state[slot]] if slot is not None else "PENDING_NODE_ASSIGNMENT"


def _attempt(row: ObjectRow, table: EventTable) -> int:
    slot = table.index.get(task_of(row.oid))
    return table.attempt[slot] if slot is not None else 0
