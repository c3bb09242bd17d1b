"""What a client does about values that are lost: who depends on them waits again, and what nobody has any more is made
again by the tasks that made it.

Rules
-----
1. What is lost is made again at once, whether or not somebody asks for it: as long as something refers to it, it would
   look like a result that is still to come, and whoever looks without asking would look for ever.
2. Inputs of such a task that were let go meanwhile come back as entries, and are made again as well, and theirs.
3. Each time a task is run again spends one of its retries. The results that it still has are left as they are.
4. A task that runs anyway (it is tried again, or is a generator that yields on) is waited for: what it leaves undone is
   made again when it has ended.
5. What can't be made again fails, and says why; so does what needs it.
6. An actor that this process has created, and that has gone out of scope, lives again for what is made again, if it
   may: its creation is run again like a task, and it goes out of scope again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from raynb.runtime.core.actors import DEAD
from raynb.runtime.core.inbox import LostValue
from raynb.runtime.core.object_failures import ACTOR_DIED, NOT_KEPT, unmakeable
from raynb.runtime.core.task import PUSHED, QUEUED, WAITING, Task
from raynb.runtime.messages.copies import ValuesLost
from raynb.runtime.messages.ids import task_of
from raynb.runtime.messages.values import Failed

if TYPE_CHECKING:
    from raynb.runtime.core.client import ClientMachine
    from raynb.runtime.core.lineage import Kept
    from raynb.runtime.core.ownership import Entry


def node_died(client: ClientMachine, node: str, reason: str, now: float) -> None:
    """A node is gone."""
    client.objects.directory.node_died(node, reason)
    _wait_again(client, now)


def not_had(client: ClientMachine, item: LostValue, now: float) -> None:
    """A thread could not have a value from its place."""
    client.objects.directory.value_lost(item.value, now, item.why)
    _wait_again(client, now)


def on_values_lost(client: ClientMachine, sender: str, message: ValuesLost, now: float) -> None:
    """Another process could not have values; or a worker the inputs of a task, and it is about to return that."""
    client.objects.directory.on_values_lost(sender, message, now)
    _wait_again(client, now)


def take_up(client: ClientMachine, now: float) -> None:
    """Look after all that was lost in this event."""
    directory = client.objects.directory
    while directory.lost:
        lost, directory.lost = directory.lost, {}
        if client.lost:
            for oid in lost:
                client.objects.settle(oid, Failed("LocalRayletDiedError", client.lost))
        else:
            _make_again(client, lost, now)


def _wait_again(client: ClientMachine, now: float) -> None:
    """Tasks that were given what has no value now wait for it again, unless they have been pushed: those come back.

    To be done before anything else happens to these tasks: from then on their entries count them as dependents."""
    objects = client.objects
    unset, objects.directory.unset = objects.directory.unset, {}
    if not unset:
        return
    unqueued = False
    for task in client.unfinished.values():
        if task.creation is not None and task.state is not WAITING:
            continue  # the GCS has its inputs, and its process asks their owners
        hits = [objects.entries[oid] for oid in task.deps or () if oid in unset and objects.entries[oid].value is None]
        if not hits:
            continue
        for hit in hits:
            hit.dependents = [*(hit.dependents or ()), task]
        if task.state is not PUSHED:
            if task.state is QUEUED:
                client.story.step(task, "await")
                unqueued |= task.actor is None
            task.missing += len(hits)
    for oid in unset:
        entry = objects.entries.get(oid)
        if entry is not None and entry.dependents:
            objects.want(oid, entry, now)
    if unqueued:
        client.scheduler.unqueue_waiting()


def _make_again(client: ClientMachine, lost: dict[bytes, str], now: float) -> None:
    """Run the tasks again that made these, and those that made their inputs."""
    objects, lineage = client.objects, client.objects.lineage
    again: dict[bytes, Task] = {}
    held: list[bytes] = []
    wanted = deque(lost)
    while wanted:
        oid = wanted.popleft()
        entry = objects.entries.get(oid)
        if entry is None or entry.value is not None:
            continue
        maker = task_of(oid)
        task = client.unfinished.get(maker) or again.get(maker)
        if task is None:
            kept = lineage.kept.get(maker)
            if kept is None or kept.task is None:
                objects.settle(oid, _unmakeable(client, oid, entry, kept, lost.get(oid, "")))
                continue
            if _has_no_actor(client, kept.task):
                objects.settle(oid, _unmakeable(client, oid, entry, kept, lost.get(oid, ""), ACTOR_DIED))
                continue
            task = kept.task = again[maker] = _anew(kept.task, now)
            wanted.extend(_restore_inputs(client, task, held))
        entry.task = task
    # The last found are those that others wait for.
    for task in reversed(again.values()):
        client.recorder.again(task, failed=False)
        task.missing = client.creations.await_lives(task)
        client.take_on(task, now)
    for oid in held:
        objects.unpin(oid)


def _has_no_actor(client: ClientMachine, call: Task) -> bool:
    """Whether a call can't be made again because its actor has ended for good."""
    actor = call.actor
    if actor is None or actor.state != DEAD:
        return False
    return not actor.revivable or client.objects.lineage.creation_of(call) is None


def _unmakeable(
    client: ClientMachine, oid: bytes, entry: Entry, kept: Kept | None, where: str, reason: str = ""
) -> Failed:
    site = client.rows.site_of(entry.site) if entry.site is not None else ""
    return unmakeable(oid, entry, kept, where, reason, site)


def _anew(ended: Task, now: float) -> Task:
    """Rule 3."""
    task = ended.anew(ended.retries_left - (ended.retries_left > 0))
    task.submitted_at = now
    if task.actor is not None:
        task.actor.concluded -= 1
    return task


def _restore_inputs(client: ClientMachine, task: Task, held: list[bytes]) -> list[bytes]:
    """Rule 2: have entries for all that a task was given, and hold them. Gives those that are to be made again."""
    objects, kept = client.objects, client.objects.lineage.kept
    missing = []
    for oid in dict.fromkeys([*(task.deps or ()), *(task.refs or ())]):
        if oid not in objects.entries:
            entry = objects.create(oid, 0)
            maker = kept.get(task_of(oid))
            if maker is not None:
                objects.lineage.restored(oid)
                entry.function = maker.task.function if maker.task is not None else None
                missing.append(oid)
            else:
                objects.settle(oid, unmakeable(oid, entry, None, "", NOT_KEPT))
        objects.pin(oid)
        held.append(oid)
    return missing


def unmade(client: ClientMachine, task: Task) -> list[bytes]:
    """What a task has made, or is to make, that somebody refers to and that has no value."""
    return [oid for oid, entry in client.objects.entries.items() if entry.value is None and task_of(oid) == task.id]


def left_undone(client: ClientMachine, task: Task, failure: Failed | None) -> None:
    """Rule 4: a generator has ended; what it was to yield again may have no value."""
    objects = client.objects
    for oid in unmade(client, task):
        if failure is not None:
            objects.settle(oid, failure)
        else:
            objects.directory.not_made(oid)
