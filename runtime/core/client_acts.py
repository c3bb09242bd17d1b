"""What others want done to a client's tasks and objects: cancelled whoever owns them, or done by their owner alone.

Rules
-----
1. A task with a tombstone is cancelled, and not tried again, if this process owns it. A worker is told, too: it may be
   running it.
2. An owner is asked first whether it is there, and then to act (see `raynb.runtime.messages.acts`). Nothing is done
   upon the first question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from raynb.runtime.core.client_effects import Foreign
from raynb.runtime.core.effects import Send
from raynb.runtime.core.task import STREAMING
from raynb.runtime.messages.acts import OwnerAct, Tombstones
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.values import Failed

if TYPE_CHECKING:
    from raynb.runtime.core.client import ClientMachine

OWNER = b"1"
"""The answer of the process that is asked for."""


class ClientActs:
    """See the module's rules."""

    def __init__(self, machine: ClientMachine) -> None:
        self._machine = machine
        self.handlers: dict[type, Callable[[str, Any, float], list[Any]]] = {
            Tombstones: self._on_tombstones,
            OwnerAct: self._on_owner_act,
        }

    def _on_tombstones(self, sender: str, message: Tombstones, now: float) -> list[Any]:
        machine = self._machine
        effects: list[Any] = []
        for task_id in message.task_ids:
            if task_id in machine.unfinished:
                effects += machine.cancellation.task(task_id, now, force=False, recursive=True)
        return [*effects, Foreign(sender, message)]

    def _on_owner_act(self, sender: str, message: OwnerAct, now: float) -> list[Any]:
        """Rule 2."""
        free = message.action == "free"
        refusal = self._machine.objects.freed.refusal(message.target) if free else self._may_retry(message.target)
        if refusal:
            return [Send(sender, Reply(message.request, error=Failed("ValueError", refusal)))]
        if refusal is None:
            return [Send(sender, Reply(message.request))]
        if message.go and free:
            self._machine.objects.freed.free(message.target, now)
        elif message.go:
            self._retry(message.target, now)
        return [Send(sender, Reply(message.request, OWNER))]

    def _may_retry(self, task_id: bytes) -> str | None:
        """Why a task can't be tried again; empty if it can, None if it is not of this process."""
        machine = self._machine
        if task_id in machine.unfinished:
            return "the task has not ended"
        task = machine.failed.task(task_id)
        entries = machine.objects.entries
        if task is None:
            entry = entries.get(task_id + FIRST_RETURN)
            if entry is None or entry.owner:
                return None
            if not isinstance(entry.value, Failed):
                return "the task has not failed"
            return (
                f"its call is not kept ({entry.value.kind}): what it takes to try a task again is kept of the last "
                "tasks of a notebook that raised an exception"
            )
        if task.num_returns == STREAMING:
            return "it is a generator, and some of its items may be in use: call it again"
        if not any(oid in entries for oid in task.return_ids()):
            return "nobody refers to its result any more"
        lost = [oid for oid in (*(task.deps or ()), *(task.refs or ())) if oid not in entries]
        return f"its input {lost[0].hex()} is not kept any more" if lost else ""

    def _retry(self, task_id: bytes, now: float) -> None:
        """The same task, its next attempt; its references have no value again until that has one."""
        machine = self._machine
        failed = machine.failed.task(task_id)
        assert failed is not None
        retries = failed.function.max_retries if failed.actor is None else 0
        task = failed.anew(retries)
        task.submitted_at = now
        for oid in task.return_ids():
            entry = machine.objects.entries.get(oid)
            if entry is not None:
                entry.value, entry.task = None, task
        machine.recorder.again(task, failed=True)
        machine.take_on(task, now)
        # Now the task itself holds what it needs.
        machine.failed.forget(task_id)
