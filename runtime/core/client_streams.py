"""What a client does with generators: items that come, the end, a consumer that lets go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raynb.runtime.core import client_losses
from raynb.runtime.core.inbox import CloseStream
from raynb.runtime.core.pools import Connection
from raynb.runtime.core.task import STREAMING, Task
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.tasks import RefsTaken, StreamItems
from raynb.runtime.messages.values import NOTHING, Failed, Value

if TYPE_CHECKING:
    from raynb.runtime.core.client import ClientMachine


def arrived(client: ClientMachine, sender: str, message: StreamItems, now: float) -> list[Any]:
    """Items of a generator that runs for this process."""
    connection: Connection | None = client.scheduler.by_worker.get(sender)
    if connection is None and (actor := client.actors.by_worker.get(sender)) is not None:
        connection = actor.connection
    task = connection.inflight.get(message.seq) if connection is not None else None
    effects: list[Any] = []
    if task is None:
        client.objects.discard(message.values)
    else:
        client.objects.lineage.saw(message.values)
        effects = client.streams.on_items(task.id, message.first, message.values)
        if task.id in client.streams.unwanted and not _needed(client, task):
            client.streams.unwanted.discard(task.id)
            effects += client.cancellation.task(task.id, now, force=False, recursive=True)
    taken = [message.seq for value in message.values if not isinstance(value, Failed) and value.refs]
    if taken:
        client.objects.borrowing.send_guarded(sender, RefsTaken(taken))
    return effects


def objects_of(client: ClientMachine, task: Task) -> list[bytes]:
    """Ids of all objects that a task makes, as far as they are known before it ends."""
    stream = client.streams.streams.get(task.id) if task.num_returns < 0 else None
    if stream is None:
        return task.return_ids()
    # What it raises will be one more item.
    return [*task.return_ids(), *map(stream.item, range(stream.received + 1))]


def conclude(client: ClientMachine, task: Task, value: Value, failure: Failed | None) -> list[Any]:
    """A generator's task is over."""
    own = task.id + FIRST_RETURN
    client.streams.unwanted.discard(task.id)
    if task.num_returns == STREAMING:
        effects = client.streams.ended(task.id, failure)
        # What its code raised is its last item; its own object tells whether the machinery has failed.
        raised = failure is not None and failure.kind == "RayTaskError"
        client.objects.settle(own, NOTHING if raised else value)
        return effects
    client.objects.settle(own, value)  # which holds the items from now on
    return client.streams.ended(task.id, None) + client.streams.close(task.id)


def close(client: ClientMachine, item: CloseStream, now: float) -> list[Any]:
    """The consumer has let a generator go."""
    effects = client.streams.close(item.task_id)
    task = client.unfinished.get(item.task_id)
    if not item.cancel or task is None:
        return effects
    if _needed(client, task):
        client.streams.unwanted.add(task.id)
        return effects
    return effects + client.cancellation.task(task.id, now, force=False, recursive=True)


def _needed(client: ClientMachine, task: Task) -> bool:
    """Whether a generator runs again for items that are lost, and that somebody refers to."""
    if not task.attempt or not client.objects.directory.used:
        return False
    return any(oid != task.id + FIRST_RETURN for oid in client_losses.unmade(client, task))
