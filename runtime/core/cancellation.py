"""Cancelling: what was not started never will be; what runs is asked to stop, and ended where force is meant and it
can't listen.

An interrupted cell's tasks settle soon, also those whose workers don't listen: their references fail after
`Config.interrupt_settle_s`, and after `Config.interrupt_patience_s` the worker is ended. An actor's process never is.

The owner of a task cancels it. For another's, the request is passed on to the owner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raynb.runtime.core.actors import Actors
from raynb.runtime.core.effects import Send
from raynb.runtime.core.inbox import CancelObject
from raynb.runtime.core.scheduler import Scheduler
from raynb.runtime.core.task import PUSHED, Task
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.ids import task_of
from raynb.runtime.messages.node import KillWorker
from raynb.runtime.messages.tasks import CancelTask
from raynb.runtime.messages.values import Failed


class Cancellation:
    """Cancels the tasks of one client. ``fail`` ends one without a result, ``settle`` gives its references an outcome
    before it has ended."""

    def __init__(
        self,
        config: Config,
        address: str,
        node_manager: str,
        scheduler: Scheduler,
        actors: Actors,
        unfinished: dict[bytes, Task],
        fail: Callable[[Task, Failed], None],
        settle: Callable[[Task, Failed], None],
    ) -> None:
        self._config = config
        self._address = address
        self._node_manager = node_manager
        self._scheduler = scheduler
        self._actors = actors
        self._unfinished = unfinished
        self._fail = fail
        self._settle = settle
        self._interrupted: dict[bytes, tuple[float, bool]] = {}
        """By task: since when it is to stop, and whether its references have settled."""
        self._forced: dict[bytes, tuple[str, float]] = {}
        """By task: its worker, and since when that has had the chance to end itself."""

    def object(self, item: CancelObject, now: float) -> list[Any]:
        """Cancel the task that makes an object."""
        if item.owner and item.owner != self._address:
            return [Send(item.owner, CancelTask(task_of(item.oid), item.force, item.recursive))]
        return self.task(task_of(item.oid), now, force=item.force, recursive=item.recursive)

    def cell(self, cell: str, now: float) -> list[Any]:
        """Cancel the tasks of one run of a notebook cell."""
        found = [task for task in self._unfinished.values() if task.context.cell == cell]
        effects = self._all(found, now, told_only=False)
        running = [task.id for task in self._unfinished.values() if task.context.cell == cell and task.cancelled]
        self._interrupted.update(dict.fromkeys(running, (now, False)))
        return effects

    def children(self, parent: bytes, now: float) -> list[Any]:
        """Cancel the tasks that the task ``parent`` submitted from this process."""
        return self._all([task for task in self._unfinished.values() if task.parent == parent], now, told_only=True)

    def _all(self, tasks: list[Task], now: float, *, told_only: bool) -> list[Any]:
        effects: list[Any] = []
        for task in reversed(tasks):
            # The last first: so none is started because one before it was cancelled.
            effects += self.task(task.id, now, force=False, recursive=True, told_only=told_only)
        return effects

    def task(self, task_id: bytes, now: float, *, force: bool, recursive: bool, told_only: bool = True) -> list[Any]:
        """Cancel one task, if it has no outcome yet. ``told_only`` as in `CancelTask`."""
        task = self._unfinished.get(task_id)
        if task is None or task.creation is not None:
            return []
        task.cancelled = True
        if task.state is not PUSHED:
            if task.actor is None:
                self._scheduler.unqueue(task)
            else:
                self._actors.unqueue(task)
            name = task.name or task.function.name
            self._fail(task, Failed("TaskCancelledError", f"{name} was cancelled before it started"))
            return []
        worker = task.worker
        if not worker:
            return []
        if force:
            self._forced[task_id] = (worker, now)
        return [Send(worker, CancelTask(task_id, force, recursive, told_only and task.actor is not None))]

    def tick(self, now: float) -> list[Any]:
        """End the workers of forced tasks that did not listen (one holds the interpreter lock, say)."""
        effects = self._interrupt(now) if self._interrupted else []
        for task_id, (worker, since) in list(self._forced.items()):
            if task_id not in self._unfinished:
                del self._forced[task_id]
            elif now - since > self._config.force_patience_s:
                del self._forced[task_id]
                lease = self._scheduler.by_worker.get(worker)
                manager = lease.manager if lease is not None else self._node_manager
                effects.append(Send(manager, KillWorker(worker, "its task was cancelled by force")))
        return effects

    def _interrupt(self, now: float) -> list[Any]:
        effects: list[Any] = []
        for task_id, (since, settled) in list(self._interrupted.items()):
            task = self._unfinished.get(task_id)
            if task is None or task.state is not PUSHED:
                del self._interrupted[task_id]
            elif not settled and now - since >= self._config.interrupt_settle_s:
                self._interrupted[task_id] = since, True
                name = task.name or task.function.name
                self._settle(task, Failed("TaskCancelledError", f"{name} was interrupted, and has not stopped yet"))
            elif now - since >= self._config.interrupt_patience_s:
                del self._interrupted[task_id]
                if task.actor is None and task.lease is not None:
                    reason = f"its task did not stop within {now - since:.0f} s of an interrupt"
                    effects.append(Send(task.lease.manager, KillWorker(task.lease.worker, reason)))
        return effects
