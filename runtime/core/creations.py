"""The actors that this process has created: registered with the GCS when their inputs are there (those with a name
before that), ended with the last handle.

A creation is a task whose first return value's entry is held by the actor's handles; it never gets a value. What the
constructor was given is pinned as long as the actor may be restarted. ::

    WAITING --ready--> QUEUED (asked the GCS) --push--> PUSHED (durable there) --done--> DONE (alive for the first time)

To make lost values again that an actor had made, or was a part of, it lives again by another such task, for as long as
what is made again needs it. That begins when the life before is known to have ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from raynb.runtime.core.actors import ALIVE, DEAD, Actors
from raynb.runtime.core.inbox import Ask, KillByHandle
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.core.recorder import Recorder
from raynb.runtime.core.task import DONE, PUSHED, QUEUED, WAITING, Story, Task
from raynb.runtime.core.waiters import Wake
from raynb.runtime.messages.gcs import ActorState, CreateActor, KillActor, Reply
from raynb.runtime.messages.ids import FIRST_RETURN
from raynb.runtime.messages.values import Failed

FOLLOWS_S: Final = 30.0
"""For so long the GCS may not have heard of a node's death (of one on its host it hears at once)."""


class _Registered(msgspec.Struct):
    """What a creator has to know of the reply to `CreateActor`."""

    actor_id: bytes


class Creations:
    """See the module's text. Its methods give the effects.

    Parameters
    ----------
    unfinished
        The client's table of tasks without an outcome.
    ask
        Sends a request, until it is answered; then `answered` is to be called.
    """

    def __init__(
        self,
        gcs: str,
        objects: Ownership,
        actors: Actors,
        story: Story,
        recorder: Recorder,
        unfinished: dict[bytes, Task],
        ask: Callable[[Ask, float], None],
    ) -> None:
        self._gcs = gcs
        self._objects = objects
        self._actors = actors
        self._story = story
        self._recorder = recorder
        self._unfinished = unfinished
        self._ask = ask
        self._living: dict[bytes, Task] = {}
        self._next: dict[bytes, Task] = {}
        """By actor: its next life, that waits for the end of this one."""
        self._unwanted: dict[bytes, KillActor] = {}
        self._dead_nodes: dict[str, float] = {}
        """Their managers, and when that was heard."""

    def submitted(self, task: Task, now: float) -> list[Any]:
        """An actor will be created, or live again; nothing is asked about it before it is registered."""
        assert task.creation is not None
        actor_id = task.creation.creation.actor_id
        actor = self._actors.of(actor_id)
        if actor_id in self._living:
            self._next[actor_id] = task
            actor.reviving = True
            return []
        self._living[actor_id] = task
        if task.creation.revival:
            self._actors.revive(actor_id, now)
        actor.registered, actor.wanted, actor.starting = False, True, True
        if task.missing == 0:
            return self.ready(task, now)
        if task.creation.name or task.creation.revival:
            # Its inputs are not there: its name is to be known before, and that it will live again.
            task.creation.awaits = True
            self._register(msgspec.structs.replace(task.creation), task.answer, now)
        return []

    def ready(self, task: Task, now: float) -> list[Any]:
        """The inputs have settled: have the GCS create it, unless one of them has failed."""
        creation = task.creation
        assert creation is not None
        if self._is_next(task):
            return []
        values: list[Any] = [self._objects.entries[oid].value for oid in task.deps or ()]
        self._story.step(task, "ready")
        task.ready_at = now
        failed = next((value for value in values if isinstance(value, Failed)), None)
        if failed is not None:
            return self._give_up(creation, _of_input(failed, creation.creation.actor_id), now)
        creation.creation.deps = values or None
        # Who waits for the name is answered as soon as that is known.
        answer = None if creation.awaits else task.answer
        creation.awaits = False
        self._register(creation, answer, now)
        return []

    def _register(self, creation: CreateActor, answer: Any, now: float) -> None:
        self._dead_nodes = {node: heard for node, heard in self._dead_nodes.items() if now - heard < FOLLOWS_S}
        creation.follows = list(self._dead_nodes)
        self._ask(Ask(self._gcs, creation, answer), now)

    def node_died(self, manager: str, now: float) -> None:
        """What is created from now on must not be started there."""
        self._dead_nodes[manager] = now

    def _give_up(self, creation: CreateActor, failure: Failed, now: float) -> list[Any]:
        """It is not created. Others may have handles, and wait for it: the GCS tells them."""
        creation.failure, creation.awaits = failure, False
        self._ask(Ask(self._gcs, creation, None), now)
        return self.on_state(self._end_of(creation.creation.actor_id, failure), now)

    def _end_of(self, actor_id: bytes, failure: Failed | None) -> ActorState:
        """As the GCS would tell it."""
        return ActorState(actor_id, DEAD, max(0, self._actors.of(actor_id).incarnation), failure=failure)

    def answered(self, asked: object, reply: Reply, now: float) -> list[Any]:
        """The GCS has answered one of our requests."""
        if type(asked) is CreateActor and asked.failure is None:
            return self._registered(asked, reply, now)
        if type(asked) is KillActor:
            self._actors.ended(asked.actor_id, reply.data.decode())
        return []

    def _registered(self, creation: CreateActor, reply: Reply, now: float) -> list[Any]:
        """The GCS has accepted an actor, durably; or refused it, and so it is dead."""
        actor_id = creation.creation.actor_id
        kill = self._unwanted.pop(actor_id, None)
        if reply.error is not None:
            return self.on_state(self._end_of(actor_id, reply.error), now)
        if creation.get_if_exists and msgspec.msgpack.decode(reply.data, type=_Registered).actor_id != actor_id:
            # Another has the name, and was asked for in that case: this one will never be.
            return self.on_state(self._end_of(actor_id, None), now, reply)
        actor = self._actors.of(actor_id)
        actor.registered = True
        task = self._living.get(actor_id)
        if task is not None:
            self._let_go_on(task)
        if task is not None and task.state is QUEUED and not creation.awaits:
            self._story.step(task, "push")
            task.pushed_at = now
        effects: list[Any] = []
        self._actors.watch(actor, now, effects)
        return effects if kill is None else effects + self._end(kill, now)

    def on_state(self, message: ActorState, now: float, reply: Reply | None = None) -> list[Any]:
        """The GCS (or a failed registration) tells what became of an actor. Wakes its creator if that still waits, with
        this ``reply``, if there is one."""
        known = self._actors.actors.get(message.actor_id)
        if known is not None and message.incarnation < known.incarnation:
            return []  # late: of a life, or a process, before
        self._actors.on_state(message, now)
        task = self._living.get(message.actor_id)
        if task is None:
            return []
        if message.state == ALIVE and task.state is PUSHED:
            self._story.step(task, "done")
            self._ended(task, message, now)
        elif message.state == DEAD:
            return self._dead(task, message, now, reply)
        return []

    def _dead(self, task: Task, message: ActorState, now: float, reply: Reply | None) -> list[Any]:
        del self._living[message.actor_id]
        effects: list[Any] = []
        self._over(task, message, now)
        answer = task.answer
        if answer is not None and answer.reply is None:
            # It ended before the GCS was asked, or while it was: nobody else will tell.
            answer.reply = reply or Reply(0, error=message.failure)
            answer.waiter.needed = 0
            effects.append(Wake(answer.waiter))
        following = self._next.pop(message.actor_id, None)
        if following is None:
            self._let_go_on(task)
        elif not message.revivable:
            self._over(following, message, now)
            self._let_go_on(following)
        else:
            effects += self.submitted(following, now)
        return effects

    def _over(self, task: Task, message: ActorState, now: float) -> None:
        """This life has ended, or will never begin."""
        if task.state is not DONE:
            self._story.step(task, "fail")
            self._ended(task, message, now)
        # Its process may still construct it, of what it was given.
        self._actors.let_go_with(message.worker, [*(task.deps or ()), *(task.refs or ())], now)

    def await_lives(self, task: Task) -> int:
        """Have a task that is made again wait for actors that it was given until the GCS knows that they live again:
        it may ask at once. So many they are."""
        count = 0
        for oid in task.refs or ():
            entry = self._objects.entries[oid]
            creation = entry.task.creation if entry.task is not None else None
            if creation is None or not creation.revival:
                continue
            actor = self._actors.of(creation.creation.actor_id)
            if actor is not task.actor and (actor.reviving or not actor.registered):
                entry.dependents = [*(entry.dependents or ()), task]
                count += 1
        return count

    def _let_go_on(self, task: Task) -> None:
        """Of an actor that lives again is known, or that it does not: who was given it may begin."""
        entry = self._objects.entries.get(task.id + FIRST_RETURN)
        if entry is not None and entry.dependents:
            self._objects.ready_dependents.extend(entry.dependents)
            entry.dependents = None

    def _is_next(self, task: Task) -> bool:
        creation = task.creation
        return creation is not None and self._next.get(creation.creation.actor_id) is task

    def _ended(self, task: Task, said: ActorState, now: float) -> None:
        self._unfinished.pop(task.id, None)
        self._recorder.constructed(task, said.process, said.failure, now)

    def lost(self, failure: Failed, now: float) -> list[Any]:
        """The node is gone, and what was to be created with it."""
        effects: list[Any] = []
        for actor_id in list(self._living):
            effects += self.on_state(ActorState(actor_id, DEAD, 1 << 30, failure=failure), now)
        return effects

    # -- their ends

    def kill(self, item: KillByHandle, now: float) -> list[Any]:
        """The user wants an actor's process ended."""
        known = self._actors.of(item.actor_id)
        incarnation = known.incarnation if known.state == ALIVE else -1
        return self._end(KillActor(item.actor_id, item.no_restart, "killed", incarnation=incarnation), now)

    def drop(self, now: float) -> list[Any]:
        """End those to which nobody has a handle any more."""
        dropped, self._objects.dropped_actors = self._objects.dropped_actors, []
        effects: list[Any] = []
        for task in dropped:
            creation = task.creation
            if creation is None or creation.detached:
                continue
            actor_id = creation.creation.actor_id
            if self._is_next(task):
                del self._next[actor_id]
                self._actors.of(actor_id).reviving = False
                self._over(task, self._end_of(actor_id, None), now)
            else:
                effects += self._end(KillActor(actor_id, True, "out of scope", revival=creation.revival), now)
        return effects

    def _end(self, kill: KillActor, now: float) -> list[Any]:
        """One of our own that the GCS does not know yet is ended without it, or as soon as it does."""
        task = self._living.get(kill.actor_id)
        if task is None or task.state not in (WAITING, QUEUED):
            self._actors.ending(kill.actor_id)
            self._ask(Ask(self._gcs, kill, None), now)
        elif kill.no_restart and task.state is WAITING:
            text = f"{task.function.name}: the actor was ended ({kill.reason}) before it was created"
            assert task.creation is not None
            return self._give_up(task.creation, Failed("ActorDiedError", text), now)
        elif kill.no_restart:
            self._unwanted[kill.actor_id] = kill
        return []


def _of_input(failed: Failed, actor_id: bytes) -> Failed:
    """Why an actor is dead one of whose inputs has failed: as if its constructor had raised it."""
    text = (
        "The actor died because of an error raised in its creation task: one of its input arguments could not be "
        f"computed.\n{failed.message}"
    )
    return Failed("ActorDiedError", text, actor=actor_id, constructor=True)
