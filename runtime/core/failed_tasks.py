"""Failed tasks, and what it takes to run one of them again: its call, and the inputs that it had.

Rules
-----
1. Nothing is kept until somebody asks for it (`KeepFailures`): a notebook does, a script and a worker don't.
2. Kept is what ran and raised. What was cancelled, lost its worker or failed since an input had failed has nothing to
   show that running it again would show.
3. The last ``count`` failures are kept. Their inputs are pinned: those of all together have at most ``nbytes`` bytes,
   each counted once, however many failures used it. Where there are more, the oldest failures lose their pins first; a
   failure without pins can still be run again while its inputs are held by others.
4. What is left of the bound is for the calls themselves (arguments and function): the oldest are forgotten where it
   doesn't do. The last failure is always kept.
5. The handle of an actor is not pinned: the actor, and what it has reserved, would live on with it.

What it never knows: why anybody wants a task again, values, functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from raynb.runtime.core.ownership import Entry, Ownership
from raynb.runtime.core.task import Task
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.ids import task_of
from raynb.runtime.messages.values import Failed, RefInfo, size_of


class KeepFailures(Struct, frozen=True, gc=False):
    """Inbox: from now on keep so many failures, and pin so many bytes for them; none: let go of all."""

    count: int
    nbytes: int


class RecallFailure(Struct, gc=False):
    """Inbox: find a failure, and retain what there still is of its inputs for the asking thread.

    ``waiter`` needs nothing and is woken when ``found`` is as it will be.
    """

    oid: bytes
    """An object that failed with the task or because of it; empty for the last failure."""
    waiter: Waiter
    found: Recalled | None = None


class Recalled(Struct, frozen=True):
    """A failure, and references to its inputs: each has been retained once for whoever asked."""

    task: Task
    failure: Failed
    inputs: list[RefInfo]


class _Kept(Struct):
    task: Task
    failure: Failed
    nbytes: int
    pinned: list[bytes]


class _Input(Struct, gc=False):
    users: int
    nbytes: int


class FailedTasks:
    """The failures of one client. See the module's rules."""

    def __init__(self, objects: Ownership) -> None:
        self._objects = objects
        self._count = 0
        self._nbytes_max = 0
        self._kept: dict[bytes, _Kept] = {}
        self._inputs: dict[bytes, _Input] = {}
        self.nbytes = 0
        """Bytes of the calls and of the pinned inputs."""
        self.handlers: dict[type, Callable[[Any, float], None]] = {
            KeepFailures: self._keep,
            RecallFailure: self._recall,
        }

    def __len__(self) -> int:
        return len(self._kept)

    def uses(self, oid: bytes) -> int:
        """How many failures pin an object."""
        used = self._inputs.get(oid)
        return 0 if used is None else used.users

    def add(self, task: Task, failure: Failed) -> None:
        """A task ran and raised; its inputs are still pinned by the task itself."""
        if self._count <= 0 or failure.kind != "RayTaskError":
            return
        size = len(task.args) + sum(map(len, task.buffers or ())) + len(task.function.definition.blob)
        kept = self._kept[task.id] = _Kept(task, failure, size, [])
        self.nbytes += size
        for oid in dict.fromkeys([*(task.deps or ()), *(task.refs or ())]):
            entry = self._objects.entries[oid]
            if not entry.is_actor:
                kept.pinned.append(oid)
                self._pin(oid, entry)
        self._trim()

    def task(self, task_id: bytes) -> Task | None:
        """A failed task that is kept."""
        kept = self._kept.get(task_id)
        return None if kept is None else kept.task

    def forget(self, task_id: bytes) -> None:
        """A failed task is tried again: it isn't one that has failed."""
        self._forget(task_id)

    def _pin(self, oid: bytes, entry: Entry) -> None:
        used = self._inputs.get(oid)
        if used is None:
            entry.pins += 1
            used = self._inputs[oid] = _Input(0, size_of(entry.value))
            self.nbytes += used.nbytes
        used.users += 1

    def _trim(self) -> None:
        while len(self._kept) > self._count:
            self._forget(next(iter(self._kept)))
        for kept in self._kept.values():
            if self.nbytes <= self._nbytes_max:
                return
            self._unpin(kept)
        while self.nbytes > self._nbytes_max and len(self._kept) > 1:
            self._forget(next(iter(self._kept)))

    def _forget(self, task_id: bytes) -> None:
        kept = self._kept.pop(task_id)
        self._unpin(kept)
        self.nbytes -= kept.nbytes

    def _unpin(self, kept: _Kept) -> None:
        pinned, kept.pinned = kept.pinned, []
        for oid in pinned:
            used = self._inputs[oid]
            used.users -= 1
            if not used.users:
                del self._inputs[oid]
                self.nbytes -= used.nbytes
                self._objects.unpin(oid)

    def _keep(self, item: KeepFailures, now: float) -> None:
        self._count, self._nbytes_max = item.count, item.nbytes
        if self._count > 0:
            self._trim()
        else:
            for task_id in list(self._kept):
                self._forget(task_id)

    def _recall(self, item: RecallFailure, now: float) -> None:
        kept = self._find(item.oid)
        if kept is not None:
            task, objects = kept.task, self._objects
            inputs = []
            for oid in dict.fromkeys([*(task.deps or ()), *(task.refs or ())]):
                entry = objects.entries.get(oid)
                if entry is not None:
                    objects.retain(oid)
                    inputs.append(RefInfo(oid, entry.owner or objects.address))
            item.found = Recalled(task, kept.failure, inputs)
        self._objects.wait(item.waiter, (), now)

    def _find(self, oid: bytes) -> _Kept | None:
        if not oid:
            return next(reversed(self._kept.values()), None)
        kept = self._kept.get(task_of(oid))
        if kept is None and (entry := self._objects.entries.get(oid)) is not None and type(entry.value) is Failed:
            # What failed since an input had failed did so with the very failure.
            same = [other for other in self._kept.values() if other.failure == entry.value]
            kept = same[-1] if same else None
        return kept

    def check(self) -> None:
        """The invariants, as assertions."""
        assert len(self._kept) <= max(self._count, 0), (len(self._kept), self._count)
        inputs = sum(used.nbytes for used in self._inputs.values())
        calls = sum(kept.nbytes for kept in self._kept.values())
        assert self.nbytes == inputs + calls, (self.nbytes, inputs, calls)
        assert self.nbytes <= self._nbytes_max or (len(self._kept) == 1 and not self._inputs), self.nbytes
        for oid in self._inputs:
            assert self._objects.entries[oid].pins > 0, (oid.hex(), "an input of a failure was let go")
