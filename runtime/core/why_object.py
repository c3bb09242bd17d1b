"""What a client knows of one of its objects that has no value: facts for whoever asks why.

Rules
-----
1. Facts only, from the tables as they are: nothing is guessed, nothing is changed, nobody else is asked.
2. What the client does not know (who holds the CPUs, what a worker runs) is named so that the asker can ask there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from raynb.runtime.core.inbox import AskWhy
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.core.task import DONE, QUEUED, WAITING, Task
from raynb.runtime.core.waiters import Wake
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.values import Failed, RefInfo, Stored
from raynb.runtime.messages.why import (
    Alive,
    Creating,
    Elsewhere,
    Finding,
    Gone,
    Held,
    Inputs,
    Pushed,
    Queued,
    Settled,
    TaskFacts,
    Unmade,
)

if TYPE_CHECKING:
    from raynb.runtime.core.client import ClientMachine

AHEAD_NAMED_MAX = 100
UNSETTLED_MAX = 100
MESSAGE_CHARS_MAX = 4000


def answer(machine: ClientMachine, request: int, oid: bytes, now: float) -> Reply:
    """The reply to somebody who asks about an object."""
    return Reply(request, msgspec.msgpack.encode(find(machine, oid, now)))


def answer_here(machine: ClientMachine, item: AskWhy, now: float) -> Wake:
    """The same for a thread of this process."""
    item.answer.reply = answer(machine, 0, item.oid, now)
    item.answer.waiter.needed = 0
    return Wake(item.answer.waiter)


def find(machine: ClientMachine, oid: bytes, now: float) -> Finding:
    """What is known of an object here."""
    entry = machine.objects.entries.get(oid)
    if entry is None:
        return Gone()
    value = entry.value
    if type(value) is Failed:
        return Settled("FAILED", kind=value.kind, message=value.message[-MESSAGE_CHARS_MAX:], note=entry.note)
    if type(value) is Stored:
        return Settled("STORED", value.size, note=entry.note)
    if value is not None:
        return Settled("READY", note=entry.note)
    if entry.owner:
        return Elsewhere(entry.owner)
    if entry.task is None:
        return Unmade()
    return of_task(machine, entry.task, now)


def of_task(machine: ClientMachine, task: Task, now: float) -> Finding:
    """What a task without an outcome waits for."""
    if task.creation is not None:
        return _of_creation(machine, task, now)
    if task.state is WAITING:
        held = _held_back(machine, task, now) if task.actor is not None else None
        unsettled = unsettled_inputs(machine.objects, task)
        return held or Inputs(facts(task, now), unsettled)
    if task.actor is not None:
        return _of_call(machine, task, now)
    if task.state is QUEUED:
        pool = machine.scheduler.queue_of(task)
        running = [
            (lease.worker, name_of(next(iter(lease.inflight.values()))))
            for each in machine.scheduler.pools.values()
            for lease in each.leases.values()
            if lease.inflight
        ]
        ahead = _place(pool.queue, task)
        return Queued(facts(task, now), pool.asks(), machine.address, pool.key, ahead, running)
    lease = task.lease
    if lease is None:
        return Unmade()
    return Pushed(facts(task, now), lease.worker, lease.pid, _before(task, lease.inflight.values()))


def _of_creation(machine: ClientMachine, task: Task, now: float) -> Finding:
    assert task.creation is not None
    actor_id = task.creation.creation.actor_id
    if task.state is WAITING:
        return Inputs(facts(task, now), unsettled_inputs(machine.objects, task))
    if task.state is DONE:
        return Alive(actor_id, task.creation.class_name)
    return Creating(facts(task, now), actor_id, task.state is QUEUED)


def _of_call(machine: ClientMachine, task: Task, now: float) -> Finding:
    actor = task.actor
    assert actor is not None
    if actor.connection is not None and task.seq in actor.connection.inflight and task.state is not QUEUED:
        before = _before(task, actor.connection.inflight.values())
        return Pushed(facts(task, now), actor.connection.worker, 0, before, actor.actor_id)
    sent = len(actor.connection.inflight) if actor.connection is not None else 0
    blocked = _held_back(machine, task, now)
    if blocked is not None:
        return blocked
    ahead = sent + _place(actor.queue, task)
    return Held(facts(task, now), actor.actor_id, actor.state, ahead, ending=actor.endings > 0)


def _held_back(machine: ClientMachine, task: Task, now: float) -> Held | None:
    """A call stands behind one whose inputs are not there."""
    actor = task.actor
    assert actor is not None
    if not actor.in_order:
        return None
    for other in actor.queue:
        if other is task:
            return None
        if other.state is WAITING:
            sent = len(actor.connection.inflight) if actor.connection is not None else 0
            unsettled = unsettled_inputs(machine.objects, other)
            behind = sent + _place(actor.queue, task)
            return Held(facts(task, now), actor.actor_id, actor.state, behind, name_of(other), unsettled)
    return None


def unsettled_inputs(objects: Ownership, task: Task) -> list[RefInfo]:
    """The inputs of a task that have no value yet, each once, and who owns them."""
    entries = objects.entries
    found = dict.fromkeys(oid for oid in task.deps or () if entries[oid].value is None)
    return [RefInfo(oid, entries[oid].owner or objects.address) for oid in list(found)[:UNSETTLED_MAX]]


def _before(task: Task, inflight: Iterable[Task]) -> list[str]:
    """Names of what was sent to a worker before this task."""
    names: list[str] = []
    for other in inflight:
        if other is task or len(names) >= AHEAD_NAMED_MAX:
            break
        names.append(name_of(other))
    return names


def _place(queue: deque[Task], task: Task) -> int:
    """How many are in front of it."""
    return next((place for place, other in enumerate(queue) if other is task), len(queue))


def name_of(task: Task) -> str:
    """How people call it."""
    return task.name or task.function.name


def facts(task: Task, now: float) -> TaskFacts:
    """What is always said of a task."""
    since = task.submitted_at
    if task.state is QUEUED:
        since = task.ready_at
    elif task.state is not WAITING:
        since = task.pushed_at
    return TaskFacts(task.id, name_of(task), task.attempt, max(0.0, now - since), task.context.cell, task.cancelled)
