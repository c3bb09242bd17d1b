"""What comes of a client's tasks: results, failures, tasks that come back unstarted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raynb.runtime.core import client_losses, client_streams
from raynb.runtime.core.actors import DEAD
from raynb.runtime.core.task import STREAMING, Task
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.tasks import RefsTaken, Result, TasksDone, TasksReturned
from raynb.runtime.messages.values import Failed, Value

if TYPE_CHECKING:
    from raynb.runtime.core.client import ClientMachine


def done(client: ClientMachine, sender: str, message: TasksDone, now: float) -> None:
    """Results of a worker or of an actor."""
    lease = client.scheduler.by_worker.get(sender)
    actor = client.actors.by_worker.get(sender) if lease is None else None
    taken: list[int] = []
    for result in message.results:
        values = result.values
        for value in values:
            if not isinstance(value, Failed) and value.refs:
                taken.append(result.seq)
        if lease is not None:
            task = client.scheduler.done(lease, result.seq, result.duration, now)
        elif actor is not None and actor.connection is not None:
            task = actor.connection.inflight.pop(result.seq, None)
        else:
            task = None
        if task is None:
            client.objects.discard(values)
            continue
        failure = values[0] if len(values) == 1 and isinstance(values[0], Failed) else None
        if failure is not None and result.retryable and task.retries_left != 0 and not task.cancelled and _lives(task):
            _retry(client, task, failure, now)
            continue
        client.story.step(task, "done")
        conclude(client, task, values, result, failure, now)
    if taken:
        client.objects.borrowing.send_guarded(sender, RefsTaken(taken))


def _lives(task: Task) -> bool:
    """Whether what runs a task may run it again: an actor may have died, and answered before."""
    return task.actor is None or task.actor.state != DEAD


def _retry(client: ClientMachine, task: Task, failure: Failed, now: float) -> None:
    if task.actor is None:
        client.scheduler.retry(task, failure, now)
    else:
        client.attempt_failed(task, failure, now)
        client.story.step(task, "retry")
        client.actors.await_lost(task)
        task.actor.queue.appendleft(task)
        client.actors.touch(task.actor)


def returned(client: ClientMachine, sender: str, message: TasksReturned, now: float) -> None:
    """Tasks come back that were not started."""
    lease = client.scheduler.by_worker.get(sender)
    if lease is not None:
        client.scheduler.returned(lease, message.seqs, message.reason, now)
        return
    actor = client.actors.by_worker.get(sender)
    if actor is not None:
        client.actors.returned(actor, message.seqs)


def conclude(
    client: ClientMachine, task: Task, values: list[Value], result: Result | None, failure: Failed | None, now: float
) -> None:
    """Give the outcome to whoever waits for it, and let go of what the task held."""
    client.unfinished.pop(task.id, None)
    if task.actor is not None:
        task.actor.concluded += 1
    failed = failure is not None and not (result is not None and failure.asked_for)
    client.recorder.ended(task, result, failure if failed else None, now)
    if failure is not None and failed and result is not None:
        client.failed.add(task, failure)
    objects = client.objects
    if failure is not None and type(values[0]) is Failed and task.num_returns >= 0 and not task.cancelled:
        objects.unhandled.failed(task, values[0])
    settle = objects.settle
    objects.lineage.saw(values)
    made = client_streams.objects_of(client, task) if objects.lineage.active else None
    if task.num_returns == 1:
        settle(task.id + FIRST_RETURN, values[0])
    elif task.num_returns < 0:
        client.add(client_streams.conclude(client, task, values[0], failure))
    else:
        oids = task.return_ids()
        for oid, value in zip(oids, values if len(values) == len(oids) else values * len(oids), strict=True):
            settle(oid, value)
    if task.num_returns < 0 and objects.directory.used:
        client_losses.left_undone(client, task, failure)
    if made is not None and not task.cancelled:
        objects.lineage.keep(task, made)
    if task.deps:
        for oid in task.deps:
            objects.unpin(oid)
    if task.refs:
        for oid in task.refs:
            objects.unpin(oid)
    task.lease = None


def settle_early(client: ClientMachine, task: Task, failure: Failed) -> None:
    """Nobody is to wait for a task any more, although it has not ended."""
    if task.num_returns != STREAMING:
        for oid in task.return_ids():
            client.objects.settle(oid, failure)
