"""A client's part of the task events: what it tells the event hub, at most a few times a second.

One row for each task that has changed since the last flush, in columns; a short task is a single row that has all its
times. Rows are bounded (``event_rows_max`` a flush) and what was left out is counted; totals for each function, as
called from one cell, are exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from raynb.runtime.core.notebook_names import ToldNames
from raynb.runtime.core.task import DONE, QUEUED, Function, Task
from raynb.runtime.messages import events
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.events import NameDef, ObjectNames, TaskRows, WorkerDef
from raynb.runtime.messages.gcs import ActorProcess
from raynb.runtime.messages.tasks import Result
from raynb.runtime.messages.values import Failed, Inline, Stored

LOOK_AGAIN_EACH = 8
"""At every so many flushes it is looked whether tasks wait for something else by now: many may, for long."""

Row = tuple[bytes, int, int, int, int, float, float, float, float, float, int, bytes]


class Calls:
    """A function as one cell calls it: what rows refer to by number, and how many calls there were."""

    __slots__ = ("announced", "cell", "failed", "finished", "function", "number", "submitted")

    def __init__(self, number: int, function: Function, cell: str) -> None:
        self.number = number
        self.function = function
        self.cell = cell
        self.submitted = self.finished = self.failed = 0
        self.announced = False
        """Whether the event hub knows it."""

    def definition(self) -> NameDef:
        """What the hub is told."""
        function = self.function
        return NameDef(
            self.number,
            function.name,
            function.called or function.name,
            function.kind,
            function.job,
            function.call_site,
            self.cell,
            function.resources,
            function.actor_id,
            function.runtime_env,
        )


class Recorder:
    """Collects rows; ``wall_offset_s`` added to the machine's monotonic time gives wall-clock time."""

    def __init__(self, config: Config, wall_offset_s: float) -> None:
        self._config = config
        self._offset = wall_offset_s
        self._fresh: list[Task] = []
        self._flushes = 0
        self._waiting: list[tuple[Task, int]] = []
        """With what was told of it: tasks that will wait for something else before they run."""
        self._rows: list[Row] = []
        self._errors: list[tuple[int, str, str]] = []
        self._dependencies: list[tuple[int, bytes]] = []
        self._touched: dict[int, Calls] = {}
        self._calls: dict[tuple[int, str], Calls] = {}
        self._workers: dict[bytes, int] = {}
        self._new_workers: list[WorkerDef] = []
        self._new_names: list[NameDef] = []
        self._reported_running: set[tuple[bytes, int]] = set()
        self.names = ToldNames()
        self.dropped = 0
        self.quiet = False
        """A guest's: what it has a cluster do for itself is no part of the run."""

    @property
    def pending(self) -> bool:
        """Whether there is something to flush."""
        return bool(self._touched or self._rows or self._fresh or self._waiting or self.names.pending)

    def _calls_of(self, task: Task) -> Calls:
        function, cell = task.function, task.context.cell
        calls = function.calls
        if calls is None or calls.cell != cell:
            key = (function.definition.number, cell)
            calls = self._calls.get(key)
            if calls is None:
                calls = self._calls[key] = Calls(len(self._calls) + 1, function, cell)
            function.calls = calls
        return calls

    def submitted(self, task: Task) -> None:
        if self.quiet or not task.function.events:
            return
        calls = self._calls_of(task)
        calls.submitted += 1
        self._touched[calls.number] = calls
        if len(self._fresh) < self._config.event_rows_max:
            self._fresh.append(task)
        else:
            self.dropped += 1

    def ended(self, task: Task, result: Result | None, failure: Failed | None, now: float) -> None:
        """A task has its outcome."""
        if self.quiet or not task.function.events:
            return
        self._count(task, failure)
        self._add_outcome(task, result, failure, now, self._worker_number(task))

    def _count(self, task: Task, failure: Failed | None) -> None:
        calls = self._calls_of(task)
        if failure is None:
            calls.finished += 1
        else:
            calls.failed += 1
        self._touched[calls.number] = calls

    def constructed(self, task: Task, process: ActorProcess | None, failure: Failed | None, now: float) -> None:
        """An actor was created by this task, in a process of its own, or it was not."""
        if not task.function.events:
            return
        result = Result(0, process.began, process.took_s, []) if process is not None else None
        if process is not None and failure is not None and failure.constructor:
            failure = msgspec.structs.replace(failure, kind="RayTaskError")  # of the task; the actor's is another
        self._count(task, failure)
        self._add_outcome(task, result, failure, now, self._number_at(process))

    def attempt_failed(self, task: Task, failure: Failed, now: float) -> None:
        """One attempt of a task has failed; another follows."""
        if self.quiet or not task.function.events:
            return
        self._add_outcome(task, None, failure, now, self._worker_number(task))
        if len(self._fresh) < self._config.event_rows_max:
            self._fresh.append(task)

    def again(self, task: Task, *, failed: bool) -> None:
        """A task that had ended is run once more, so it has not failed (or finished) after all."""
        if self.quiet or not task.function.events:
            return
        calls = self._calls_of(task)
        if failed:
            calls.failed -= 1
        else:
            calls.finished -= 1
        self._touched[calls.number] = calls
        if len(self._fresh) < self._config.event_rows_max:
            self._fresh.append(task)

    def _add_outcome(self, task: Task, result: Result | None, failure: Failed | None, now: float, worker: int) -> None:
        if len(self._rows) >= self._config.event_rows_max:
            self.dropped += 1
            return
        if failure is not None:
            self._errors.append((len(self._rows), failure.kind, failure.message[:500]))
        if task.deps:
            self._dependencies.append((len(self._rows), b"".join(task.deps[:64])))
        offset = self._offset
        if result is not None:
            started, ended = result.started, result.started + result.duration
            size = 0
            for value in result.values:
                if type(value) is Inline:
                    size += len(value.data)
                elif type(value) is Stored:
                    size += value.size
        else:
            started, ended, size = 0.0, now + offset, 0
        self._rows.append(
            (
                task.id,
                events.FINISHED if failure is None else events.FAILED,
                task.attempt,
                self._calls_of(task).number,
                worker,
                task.submitted_at + offset,
                task.ready_at + offset if task.ready_at else 0.0,
                task.pushed_at + offset if task.pushed_at else 0.0,
                started,
                ended,
                size,
                task.parent,
            )
        )

    def _worker_number(self, task: Task) -> int:
        lease = task.lease
        if lease is not None:
            return self._number_of(lease.worker_id, lease.node_id, lease.pid)
        if task.actor is not None and task.pushed_at:
            return self._number_at(task.actor.process)
        return -1

    def _number_at(self, process: ActorProcess | None) -> int:
        return -1 if process is None else self._number_of(process.worker_id, process.node_id, process.pid)

    def _number_of(self, worker_id: bytes, node_id: bytes, pid: int) -> int:
        number = self._workers.get(worker_id)
        if number is None:
            number = self._workers[worker_id] = len(self._workers)
            self._new_workers.append(WorkerDef(number, worker_id, node_id, pid))
        return number

    def send_names_again(self) -> None:
        """The hub was restarted: it knows no names and no workers any more."""
        self._new_names = [calls.definition() for calls in self._calls.values()]
        self._workers.clear()
        self.names.again()
        self._touched.update((calls.number, calls) for calls in self._calls.values())

    def _snapshot(self, task: Task, state: int) -> None:
        """A row for a task that is not over yet."""
        if task.deps:
            self._dependencies.append((len(self._rows), b"".join(task.deps[:64])))
        offset = self._offset
        self._rows.append(
            (
                task.id,
                state,
                task.attempt,
                self._calls_of(task).number,
                self._worker_number(task),
                task.submitted_at + offset,
                task.ready_at + offset if task.ready_at else 0.0,
                task.pushed_at + offset if task.pushed_at else 0.0,
                task.pushed_at + offset if state == events.RUNNING else 0.0,
                0.0,
                0,
                task.parent,
            )
        )

    def flush(self, runs: Iterable[Task]) -> list[TaskRows | ObjectNames]:
        """What is to be told of what has changed since the last flush; ``runs`` is what runs just now."""
        told: tuple[TaskRows | ObjectNames | None, ...] = (self._task_rows(runs), self.names.take())
        return [message for message in told if message is not None]

    def _task_rows(self, runs: Iterable[Task]) -> TaskRows | None:
        if self.quiet:
            return None
        self._flushes += 1
        if self._flushes % LOOK_AGAIN_EACH == 0:
            before, self._waiting = self._waiting, []
            for task, told in before:
                self._tell_wait(task, told)
        for task in self._fresh:
            self._tell_wait(task, -1)
        self._fresh.clear()
        running: set[tuple[bytes, int]] = set()
        for task in runs:
            if not task.function.events:
                continue
            key = (task.id, task.attempt)
            running.add(key)
            if key not in self._reported_running:
                self._snapshot(task, events.RUNNING)
        self._reported_running = running
        if not self._rows and not self._touched:
            return None
        rows, self._rows = self._rows, []
        message = self._columns(rows)
        self._errors, self._dependencies = [], []
        self._new_names, self._new_workers = [], []
        self._touched = {}
        return message

    def _tell_wait(self, task: Task, told: int) -> None:
        """Tell what a task waits for, unless that was told, or it has been told to run."""
        if task.state is DONE or (task.id, task.attempt) in self._reported_running:
            return
        if task.missing:
            state = events.PENDING_ARGS_AVAIL
        elif task.state is QUEUED or not task.pushed_at:
            state = events.PENDING_NODE_ASSIGNMENT
        else:
            state = events.SUBMITTED_TO_WORKER
        if state != told:
            self._snapshot(task, state)
        # Other tasks run as soon as they are pushed, which is told.
        waits_on = task.missing or (task.actor is not None and state != events.SUBMITTED_TO_WORKER)
        if waits_on and len(self._waiting) < self._config.event_rows_max:
            self._waiting.append((task, state))

    def _columns(self, rows: list[Row]) -> TaskRows:
        columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * 12
        for calls in self._touched.values():
            if not calls.announced:
                calls.announced = True
                self._new_names.append(calls.definition())
        ids: tuple[bytes, ...] = columns[0]
        parents: tuple[bytes, ...] = columns[11]
        first = parents[0] if parents else b""
        same = all(parent == first for parent in parents)
        return TaskRows(
            ids=b"".join(ids),
            states=bytes(columns[1]),
            attempts=bytes(min(attempt, 255) for attempt in columns[2]),
            names=list(columns[3]),
            workers=list(columns[4]),
            submitted=list(columns[5]),
            ready=list(columns[6]),
            pushed=list(columns[7]),
            started=list(columns[8]),
            ended=list(columns[9]),
            sizes=list(columns[10]),
            parent=first if same else b"",
            parents=b"" if same else b"".join(parent or bytes(24) for parent in parents),
            errors=self._errors,
            dependencies=self._dependencies,
            totals=[
                (number, calls.submitted, calls.finished, calls.failed, 0) for number, calls in self._touched.items()
            ],
            dropped=self.dropped,
            new_names=self._new_names,
            new_workers=self._new_workers,
        )
