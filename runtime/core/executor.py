"""The executor machine: what a worker has been given to run, and what it refuses.

Rules
-----
1. Tasks run in the order of arrival. The thread that runs them takes them from ``queue`` itself, without an event (a
   deque's ends are safe to use from two threads); everything else goes through ``handle``.
2. A push under an older lease than the newest seen is returned: whoever sent it has lost the worker.
3. Asked to, it gives back the last unstarted tasks; while its own task waits in ``get`` it gives back all, and what
   arrives. An actor never gives back: its calls keep their order.
4. Asked to start the actor that it has become already, it repeats the answer to that.
5. A cancelled task that has not started is answered with ``TaskCancelledError``; one that runs is for the host to
   interrupt, which checks that it still is that task.
6. A task with a tombstone is refused, whoever pushes it, as if it had been cancelled in the queue.

What it never knows: values, functions' code, threads. Its host carries out the effects in order.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from msgspec import Struct

from raynb.runtime.core.effects import Received, Send
from raynb.runtime.messages import Message
from raynb.runtime.messages.acts import Tombstones
from raynb.runtime.messages.node import ExitWorker, LeaseGranted, StartActor
from raynb.runtime.messages.tasks import (
    CancelTask,
    ContextDef,
    FunctionDef,
    PushTasks,
    Result,
    StealTasks,
    TasksDone,
    TaskSpec,
    TasksReturned,
)
from raynb.runtime.messages.values import Failed

TOMBSTONES_MAX = 10_000


class Job(Struct, frozen=True, gc=False):
    """A task to run, with what its numbers mean."""

    sender: str
    lease: int
    spec: TaskSpec
    function: FunctionDef
    context: ContextDef
    gpus: list[str] = []


class Work(Struct, frozen=True, gc=False):
    """Effect: there is something in the queue."""


class Interrupt(Struct, frozen=True, gc=False):
    """Effect: interrupt this task (``force``: end this process), if it still is the one that runs."""

    task_id: bytes
    recursive: bool
    force: bool
    told_only: bool = False
    """Of an actor's thread: it runs on, and may ask."""


class TellRunning(Struct, frozen=True, gc=False):
    """Effect: say by `TombstonesSeen` which of these run."""

    to: str
    task_ids: list[bytes]


class BecomeActor(Struct, frozen=True, gc=False):
    """Effect: run this constructor, then serve calls."""

    start: StartActor


class Exit(Struct, frozen=True, gc=False):
    """Effect: leave when nothing runs (``force``: now)."""

    force: bool


class SelfBlocked(Struct, frozen=True, gc=False):
    """Event: the running task waits in ``get`` or ``wait`` (or goes on)."""

    blocked: bool


class ExecutorMachine:
    """See the module's rules."""

    def __init__(self) -> None:
        self.queue: deque[Job] = deque()
        self.lease = 0
        self.is_actor = False
        self.started: tuple[str, Message] | None = None
        """Set by the host of an actor that is constructed, or could not be: whom it told so, and how."""
        self.blocked = False
        self.exiting = False
        self.lessee = ""
        """Who pushes tasks here now."""
        self.refused: set[bytes] = set()
        """Tasks cancelled while they were queued: the running thread looks here, should it have taken one already."""
        self.tombstones: dict[bytes, None] = {}
        self._functions: dict[str, dict[int, FunctionDef]] = {}
        self._contexts: dict[str, dict[int, ContextDef]] = {}

    def handle(self, event: Received | SelfBlocked, now: float) -> list[Any]:
        """Take one event; gives the effects in order."""
        if isinstance(event, SelfBlocked):
            return self._on_blocked(event.blocked)
        sender, message = event.sender, event.message
        if isinstance(message, PushTasks):
            return self._on_push(sender, message)
        if isinstance(message, StealTasks):
            return self._on_steal(sender, message)
        if isinstance(message, CancelTask):
            return self._on_cancel(sender, message)
        if isinstance(message, Tombstones):
            return self._on_tombstones(sender, message)
        if isinstance(message, StartActor):
            return self._on_start(message)
        if isinstance(message, ExitWorker):
            return [*self.retire(), Exit(message.force)]
        assert isinstance(message, LeaseGranted), f"an executor has no use for {type(message).__name__}"
        self.lease = max(self.lease, message.lease)
        return []

    def retire(self) -> list[Any]:
        """Take nothing more, and give back what has not begun."""
        self.exiting = True
        return self._give_back("exiting")

    def _on_start(self, message: StartActor) -> list[Any]:
        if self.is_actor:
            # Asked again, by a GCS that was started again, say: it gets the answer again, once there is one.
            return [Send(*self.started)] if self.started is not None else []
        if self.exiting:
            return []  # the node manager gives it to another process
        self.is_actor = True
        return [BecomeActor(message)]

    @staticmethod
    def concerns(message: Message) -> bool:
        """Whether a message is for an executor."""
        return isinstance(
            message, PushTasks | StealTasks | CancelTask | Tombstones | StartActor | ExitWorker | LeaseGranted
        )

    def _on_push(self, sender: str, message: PushTasks) -> list[Any]:
        functions = self._functions.setdefault(sender, {})
        for function in message.functions:
            functions[function.number] = function
        contexts = self._contexts.setdefault(sender, {})
        for context in message.contexts:
            contexts[context.number] = context
        if not self.is_actor:
            if message.lease < self.lease:
                return [Send(sender, TasksReturned([spec.seq for spec in message.tasks], "lease"))]
            self.lease = message.lease
            self.lessee = sender
            if self.blocked:
                return [Send(sender, TasksReturned([spec.seq for spec in message.tasks], "blocked"))]
        if self.exiting:
            return [Send(sender, TasksReturned([spec.seq for spec in message.tasks], "exiting"))]
        lease, gpus = message.lease, message.gpus
        jobs = [
            Job(sender, lease, spec, functions[spec.function], contexts[spec.context], gpus) for spec in message.tasks
        ]
        refused: list[Result] = []
        if self.tombstones:
            refused = [refusal(job) for job in jobs if job.spec.task_id in self.tombstones]
            jobs = [job for job in jobs if job.spec.task_id not in self.tombstones]
        self.queue.extend(jobs)
        effects: list[Any] = [Work()] if jobs else []
        return [*effects, Send(sender, TasksDone(refused))] if refused else effects

    def _on_steal(self, sender: str, message: StealTasks) -> list[Any]:
        seqs: list[int] = []
        while len(seqs) < message.count and self.queue and not self.is_actor:
            try:
                if self.queue[-1].sender != sender:  # who had this worker before asks late
                    break
                job = self.queue.pop()
            except IndexError:  # the running thread was faster
                break
            seqs.append(job.spec.seq)
        return [Send(sender, TasksReturned(seqs, "stolen"))]

    def _give_back(self, reason: str) -> list[Any]:
        returned: dict[str, list[int]] = {}
        while self.queue:
            try:
                job = self.queue.popleft()
            except IndexError:
                break
            returned.setdefault(job.sender, []).append(job.spec.seq)
        return [Send(sender, TasksReturned(seqs, reason)) for sender, seqs in returned.items()]

    def _on_blocked(self, blocked: bool) -> list[Any]:
        self.blocked = blocked
        if not blocked or self.is_actor:
            return []
        # Also when there is nothing to give back: so that nothing more is pushed behind the one that waits.
        return self._give_back("blocked") or ([Send(self.lessee, TasksReturned([], "blocked"))] if self.lessee else [])

    def _on_cancel(self, sender: str, message: CancelTask) -> list[Any]:
        job = self._unqueue(message.task_id)
        if job is not None:
            return [Send(job.sender, TasksDone([refusal(job)]))]
        return [Interrupt(message.task_id, message.recursive, message.force, message.told_only)]

    def _unqueue(self, task_id: bytes) -> Job | None:
        """Take a task that must not run out of the queue. None: it isn't there (any more)."""
        for job in list(self.queue):
            if job.spec.task_id == task_id:
                self.refused.add(task_id)
                try:
                    self.queue.remove(job)
                except ValueError:  # the running thread was faster, and will look at `refused`
                    return None
                self.refused.discard(task_id)
                return job
        return None

    def _on_tombstones(self, sender: str, message: Tombstones) -> list[Any]:
        """Rule 6."""
        self.tombstones.update(dict.fromkeys(message.task_ids))
        while len(self.tombstones) > TOMBSTONES_MAX:
            del self.tombstones[next(iter(self.tombstones))]
        effects: list[Any] = []
        for task_id in message.task_ids:
            job = self._unqueue(task_id)
            if job is not None:
                effects.append(Send(job.sender, TasksDone([refusal(job)])))
            elif message.force or not message.again:
                effects.append(Interrupt(task_id, not message.again, message.force, told_only=self.is_actor))
        return [*effects, TellRunning(sender, message.task_ids)]

    def forget(self, sender: str) -> None:
        """A submitter is dead: what it sent and has not started is dropped."""
        self._functions.pop(sender, None)
        self._contexts.pop(sender, None)
        for job in list(self.queue):
            if job.sender == sender:
                try:
                    self.queue.remove(job)
                except ValueError:
                    continue

    def check(self) -> None:
        for job in self.queue:
            assert self.is_actor or job.lease <= self.lease, job


def refusal(job: Job) -> Result:
    """The outcome of a task that was cancelled before it ran."""
    name = job.spec.name or job.function.name
    return Result(job.spec.seq, 0.0, 0.0, [Failed("TaskCancelledError", f"{name} was cancelled before it started")])
