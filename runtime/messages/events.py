"""Task and object events: columns, not one message an event; always on, bounded, and honest about what was dropped.

A client notes each task's times as they pass and sends, at most ten times a second, one row for every task that has
changed since. A task that began and ended in between is a single row. Rows of one task overwrite each other, so a lost
message costs detail but never truth; counts are exact because they are sent as totals.
"""

from __future__ import annotations

from msgspec import Struct

from raynb.runtime.messages.values import ValueKind

#: Values of ``TaskRows.state``; the names are those of Ray's state API.
TASK_STATES = (
    "PENDING_ARGS_AVAIL",
    "PENDING_NODE_ASSIGNMENT",
    "SUBMITTED_TO_WORKER",
    "RUNNING",
    "FINISHED",
    "FAILED",
)
PENDING_ARGS_AVAIL, PENDING_NODE_ASSIGNMENT, SUBMITTED_TO_WORKER, RUNNING, FINISHED, FAILED = range(6)

#: Values of ``NameDef.kind``.
TASK_KINDS = ("NORMAL_TASK", "ACTOR_CREATION_TASK", "ACTOR_TASK", "DRIVER_TASK")


class NameDef(Struct, array_like=True, frozen=True, gc=False):
    """What rows refer to by number: a function or method, as called from one place. Sent once a connection."""

    number: int
    name: str
    function: str
    kind: int
    job: bytes
    call_site: str
    cell: str
    resources: dict[str, float]
    actor_id: bytes = b""
    runtime_env: str = ""


class WorkerDef(Struct, array_like=True, frozen=True, gc=False):
    """A worker that rows refer to by number."""

    number: int
    worker_id: bytes
    node_id: bytes
    pid: int


class TaskRows(Struct, array_like=True, gc=False, tag=110):
    """Client -> GCS's event hub: equally long columns, one entry a task.

    Attributes
    ----------
    ids
        Task ids, 24 bytes each, joined.
    states, attempts
        One byte each (`TASK_STATES`).
    names, workers
        Numbers of `NameDef` and `WorkerDef`; worker -1 where none is known.
    submitted, ready, pushed, started, ended
        Wall-clock seconds, 0 where it has not happened.
    sizes
        Bytes of all results.
    parents
        Task ids joined, or empty where all have the same parent ``parent``.
    errors
        (row, kind, message) of the failed ones.
    dependencies
        (row, object ids joined) of those that wait for, or were given, references.
    totals
        Exact counts since the client's start: (name number, submitted, finished, failed, running now).
    dropped
        Rows that were not kept, since the client's start.
    """

    ids: bytes
    states: bytes
    attempts: bytes
    names: list[int]
    workers: list[int]
    submitted: list[float]
    ready: list[float]
    pushed: list[float]
    started: list[float]
    ended: list[float]
    sizes: list[int]
    parent: bytes
    parents: bytes
    errors: list[tuple[int, str, str]]
    dependencies: list[tuple[int, bytes]]
    totals: list[tuple[int, int, int, int, int]]
    dropped: int
    new_names: list[NameDef] = []
    new_workers: list[WorkerDef] = []


class ObjectRow(Struct, array_like=True, frozen=True, gc=False):
    """An object in a process's table: its owner's, or a borrower's. ``local`` counts references and views there, of
    which ``views`` are views, ``tasks`` unfinished tasks that use it, ``contained`` values that have it inside,
    ``failures`` failed tasks that it is kept for, so that they can be run again."""

    oid: bytes
    size: int
    state: str
    """PENDING | READY | STORED | FAILED"""
    local: int
    tasks: int
    borrowers: int
    call_site: str = ""
    kind: ValueKind | None = None
    failures: int = 0
    used_by: list[str] = []
    """Unfinished tasks of the owner that use it, for people: ``task train``, ``3 x task train``; bounded."""
    borrowed_by: list[str] = []
    """Addresses of processes that hold it, too; bounded."""
    views: int = 0
    contained: int = 0
    owner: str = ""
    """Of a borrower's row: whose it is."""
    on_disk: bool = False
    """It went to disk, as memory had no room for it."""


class ObjectRows(Struct, array_like=True, gc=False, tag=111):
    """Owner -> GCS: answer to `ReportObjects`; the largest first, and how many there are in all."""

    request: int
    rows: list[ObjectRow]
    total: int
    pid: int


class ObjectNames(Struct, array_like=True, gc=False, tag=114):
    """Driver -> GCS's event hub, after a cell: which names of its notebook hold an object.

    Attributes
    ----------
    changed
        (object, its names from now on); no names: nothing of the notebook holds it any more.
    reset
        Everything that was told before is void.
    notebook
        What people call it: its file's name; empty where nobody knows.
    """

    changed: list[tuple[bytes, list[str]]]
    reset: bool = False
    notebook: str = ""


class Span(Struct, array_like=True, frozen=True, gc=False):
    """A part of a task's time, or of a driver's (whose ``task`` is empty). ``started``: wall-clock seconds."""

    task: bytes
    name: str
    started: float
    duration: float
    extra: dict[str, str] = {}


class Spans(Struct, array_like=True, gc=False, tag=115):
    """Worker or driver -> GCS's event hub: what it has timed, because its program says so (`profile`, RAY_PROFILING).

    Unlike `TaskRows` these are one by one, and nobody asks for those that are lost.
    """

    worker_id: bytes
    node_id: bytes
    pid: int
    spans: list[Span]


class SendNames(Struct, array_like=True, gc=False, tag=113):
    """GCS -> client: the hub was restarted, or has no definition of names or workers that rows refer to. Send all of
    them again with the next rows, and all totals. A hint: until then the rows stand under no name, and old tasks
    uncounted."""


class ReportObjects(Struct, array_like=True, gc=False, tag=112):
    """GCS -> each living client: send up to ``limit`` rows of your table of objects; with ``oid`` only this one's.
    ``borrowed``: also of those that are others'."""

    request: int
    limit: int
    oid: bytes = b""
    borrowed: bool = False
