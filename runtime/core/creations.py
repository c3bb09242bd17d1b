"""The actors that this process has created: registered with the GCS when their inputs are there, ended when nobody has a handle.

A creation is a task whose first return value's entry is held by the actor's handles; it never gets a value. What the constructor
was given is pinned as long as the actor may be restarted. ::

    WAITING --ready--> QUEUED (asked the GCS) --push--> PUSHED (durable there) --done--> DONE (alive for the first time)
"""

from __future__ import annotations

from typing import Any

import msgspec

from raynb.runtime.core.actors import ALIVE, DEAD, Actors
from raynb.runtime.core.inbox import Ask
from raynb.runtime.core.ownership import Ownership, Wake
from raynb.runtime.core.recorder import Recorder
from raynb.runtime.core.task import DONE, PUSHED, QUEUED, WAITING, Story, Task
from raynb.runtime.messages.gcs import ActorState, CreateActor, KillActor, Reply
from raynb.runtime.messages.values import Failed


class _Registered(msgspec.Struct):
    """What a creator has to know of the reply to `CreateActor`."""

    actor_id: bytes


class Creations:
    """See the module's text. ``unfinished`` is the client's table of tasks without an outcome."""

    def __init__(
        self,
        gcs: str,
        objects: Ownership,
        actors: Actors,
        story: Story,
        recorder: Recorder,
        unfinished: dict[bytes, Task],
    ) -> None:
        self._gcs = gcs
        self._objects = objects
        self._actors = actors
        self._story = story
        self._recorder = recorder
        self._unfinished = unfinished
        self._living: dict[bytes, Task] = {}
        self._unwanted: dict[bytes, KillActor] = {}

    def submitted(self, task: Task) -> None:
        """An actor will be created; nothing is asked about it before it is registered."""
        assert task.creation is not None
        actor_id = task.creation.creation.actor_id
        self._living[actor_id] = task
        self._actors.of(actor_id).registered = False

    def ready(self, task: Task, now: float) -> Ask | ActorState:
        """The inputs have settled: what to ask the GCS, or how it ends if one of them has failed."""
        creation = task.creation
        assert creation is not None
        values: list[Any] = [self._objects.entries[oid].value for oid in task.deps or ()]
        self._story.step(task, "ready")
        task.ready_at = now
        failed = next((value for value in values if isinstance(value, Failed)), None)
        if failed is not None:
            return ActorState(creation.creation.actor_id, DEAD, 0, failure=failed)
        creation.creation.deps = values or None
        return Ask(self._gcs, creation, task.answer)

    def registered(self, creation: CreateActor, reply: Reply, now: float) -> tuple[list[Any], ActorState | None]:
        """The GCS has accepted an actor, durably; or refused it, and so it is dead."""
        actor_id = creation.creation.actor_id
        if reply.error is not None:
            return [], ActorState(actor_id, DEAD, 0, failure=reply.error)
        if creation.get_if_exists and msgspec.msgpack.decode(reply.data, type=_Registered).actor_id != actor_id:
            # Another has the name, and was asked for in that case: this one will never be.
            return [], ActorState(actor_id, DEAD, 0)
        actor = self._actors.of(actor_id)
        actor.registered = True
        task = self._living.get(actor_id)
        if task is not None and task.state is not DONE:
            self._story.step(task, "push")
            task.pushed_at = now
        effects: list[Any] = []
        self._actors.watch(actor, now, effects)
        return effects, None

    def end(self, kill: KillActor) -> Ask | ActorState | None:
        """End an actor: what to ask the GCS. One of our own that it does not know yet is ended without it, or later."""
        task = self._living.get(kill.actor_id)
        if task is None or task.state not in (WAITING, QUEUED):
            return Ask(self._gcs, kill, None)
        if not kill.no_restart:
            return None  # it has no process
        if task.state is WAITING:
            text = f"{task.function.name}: the actor was ended ({kill.reason}) before it was created"
            return ActorState(kill.actor_id, DEAD, 0, failure=Failed("ActorDiedError", text))
        self._unwanted[kill.actor_id] = kill
        return None

    def unwanted(self, actor_id: bytes) -> KillActor | None:
        """How to end one that was ended while the GCS was asked to create it."""
        return self._unwanted.pop(actor_id, None)

    def state_changed(self, message: ActorState, now: float) -> list[Any]:
        """The GCS (or a failed registration) tells what became of one. Wakes its creator, should that still wait."""
        task = self._living.get(message.actor_id)
        if task is None:
            return []
        if message.state == ALIVE and task.state is PUSHED:
            self._story.step(task, "done")
            self._ended(task, None, now)
        elif message.state == DEAD:
            del self._living[message.actor_id]
            if task.state is not DONE:
                self._story.step(task, "fail")
                self._ended(task, message.failure, now)
            for oid in (*(task.deps or ()), *(task.refs or ())):
                self._objects.unpin(oid)
            answer = task.answer
            if answer is not None and answer.reply is None:
                # It ended before the GCS was asked, or while it was: nobody else will tell.
                answer.reply = Reply(0, error=message.failure)
                answer.waiter.needed = 0
                return [Wake(answer.waiter)]
        return []

    def _ended(self, task: Task, failure: Failed | None, now: float) -> None:
        self._unfinished.pop(task.id, None)
        self._recorder.ended(task, None, failure, now)

    def dropped(self) -> list[KillActor]:
        """How to end those to which nobody has a handle any more."""
        dropped, self._objects.dropped_actors = self._objects.dropped_actors, []
        creations = [task.creation for task in dropped if task.creation is not None and not task.creation.detached]
        return [KillActor(creation.creation.actor_id, True, "out of scope") for creation in creations]
