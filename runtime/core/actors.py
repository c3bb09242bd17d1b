"""A caller's view of actors: where they are, and the order of the calls to them.

Rules
-----
1. Calls of one caller to one actor are pushed in the order in which they were made. A call whose inputs are not there
   yet holds back those behind it (unless the actor allows execution out of order).
2. A call is pushed straight to the actor's process; the GCS only says where that is (`ActorState`), and each change
   of it.
3. When the actor's process is lost, calls in flight are pushed again where ``max_task_retries`` allows, and so are
   those whose results were lost with it: all in the order of rule 1. Otherwise they fail, and say that they may have
   run. Calls that were not pushed wait for the restart if they may be tried again, or the actor's as a rule may; else
   they fail while it lasts, as soon as they could be pushed (as Ray's do: who wants an answer now may turn to another
   actor).
4. A dead actor fails every call with the reason of its death. One outcome for each call. So does one of which the GCS
   can't say what becomes of it (its store is away), until it can.
5. An actor may be dead, or be started again, before its old process has ended. What the calls that were under way there
   were given is held until that process is known to be gone: it may be reading it. Nor has what a dead one has answered
   arrived with the news of its death, which takes another way: so the calls that it was sent wait for the end of its
   process.
6. One that ended because nobody referred to it may live again, to make what is lost: its creator brings that on, and
   calls that are made again wait for it, if need be through the end of its life before. Others ask.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from raynb.runtime.core.effects import Send
from raynb.runtime.core.ownership import Ownership
from raynb.runtime.core.pools import Connection
from raynb.runtime.core.task import QUEUED, WAITING, Story, Task
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.gcs import ActorProcess, ActorState, WatchActor
from raynb.runtime.messages.values import Dependency, Failed, Local

UNKNOWN, PENDING, ALIVE, RESTARTING, DEAD = "UNKNOWN", "PENDING_CREATION", "ALIVE", "RESTARTING", "DEAD"


class ActorClient:
    """One actor, as one caller knows it."""

    __slots__ = (
        "actor_id",
        "asked_at",
        "concluded",
        "connection",
        "doomed",
        "endings",
        "failure",
        "in_order",
        "incarnation",
        "limited",
        "max_task_retries",
        "owner",
        "process",
        "queue",
        "registered",
        "restarting",
        "revivable",
        "reviving",
        "starting",
        "state",
        "wanted",
    )

    def __init__(self, actor_id: bytes, in_order: bool = True) -> None:
        self.actor_id = actor_id
        self.state = UNKNOWN
        self.owner = ""
        self.in_order = in_order
        self.incarnation = -1
        self.doomed = ""
        """The process of it that was killed at this one's request: it is not called any more."""
        self.endings = 0
        """Requests to end it (or its process) that are not answered: nothing is pushed meanwhile."""
        self.max_task_retries = 0
        self.connection: Connection | None = None
        self.process: ActorProcess | None = None
        """Where it lives, or has lived last; for display."""
        self.queue: deque[Task] = deque()
        self.failure: Failed | None = None
        self.asked_at = -1.0
        self.restarting = False
        """Whether the GCS has said so; ``state`` may be ahead of it."""
        self.starting = False
        """Whether it has not lived yet, as far as this process has heard from its beginning."""
        self.registered = True
        """False while its creation has not been acknowledged: nothing is asked about it before."""
        self.limited = 0
        """Calls made from here under a limit of how many may be pending. Belongs to the threads that call."""
        self.concluded = 0
        """Calls made from here that have an outcome."""
        self.revivable = False
        """Rule 6: it is dead, and may live again."""
        self.reviving = False
        """Its creator wants it to live again, and waits for the end of its life before."""
        self.wanted = False
        """This process has created it, and keeps its inputs until it is dead: so it wants to know, calls or not."""

    def put_in_order(self) -> None:
        """Rule 1 for calls of which some are made again: their ids count them."""
        self.queue = deque(sorted(self.queue, key=lambda task: task.id))

    def __repr__(self) -> str:
        inflight = len(self.connection.inflight) if self.connection else 0
        return f"<ActorClient {self.actor_id.hex()[:16]} {self.state} queued={len(self.queue)} inflight={inflight}>"


class Actors:
    """All actors that this process calls. See the module's rules."""

    def __init__(
        self,
        config: Config,
        gcs: str,
        objects: Ownership,
        story: Story,
        fail: Callable[[Task, Failed], None],
        attempt_failed: Callable[[Task, Failed, float], None],
    ) -> None:
        self._attempt_failed = attempt_failed
        self._config = config
        self._gcs = gcs
        self._objects = objects
        self._story = story
        self._fail = fail
        self.actors: dict[bytes, ActorClient] = {}
        self.by_worker: dict[str, ActorClient] = {}
        self._changed: dict[bytes, ActorClient] = {}
        self._unsure: list[str] = []
        """Processes of actors that are called from here since the last tick: one may have died before we were there."""
        self._lingering: dict[str, tuple[float, list[bytes]]] = {}
        """Rule 5: by worker, since when it is awaited (or was asked about), and what is held."""

    def of(self, actor_id: bytes, owner: str = "", in_order: bool = True) -> ActorClient:
        """The record of an actor; ``owner`` is the address of its creator, where the caller knows it."""
        actor = self.actors.get(actor_id)
        if actor is None:
            # In one step: threads that call look here, too.
            actor = self.actors.setdefault(actor_id, ActorClient(actor_id))
        if not in_order:
            actor.in_order = False
        if owner:
            actor.owner = owner
        return actor

    def submit(self, task: Task, now: float) -> None:
        """Queue a call; its dependencies are pinned and counted."""
        actor = task.actor
        assert actor is not None
        if actor.failure is not None and not self._ask_anew(actor, now):
            self._fail(task, actor.failure)
            return
        actor.queue.append(task)
        if task.attempt:
            actor.put_in_order()
        if task.missing == 0:
            self.ready(task, now)
        self._changed[actor.actor_id] = actor

    def _ask_anew(self, actor: ActorClient, now: float) -> bool:
        """Whether the GCS may know a dead actor to live again (rule 6)."""
        if not actor.revivable or (actor.connection is not None and actor.connection.inflight):
            return False
        self._as_unknown(actor, now)
        return True

    def _as_unknown(self, actor: ActorClient, now: float) -> None:
        self._lose_connection(actor, "", now, dead=True)
        actor.state, actor.failure, actor.revivable, actor.asked_at = UNKNOWN, None, False, -1.0

    def revive(self, actor_id: bytes, now: float) -> None:
        """The GCS is asked to have a dead actor live again; what it still says of the life before is too late."""
        actor = self.of(actor_id)
        self._as_unknown(actor, now)
        actor.incarnation += 1
        actor.reviving = actor.restarting = False
        self.touch(actor)

    def ready(self, task: Task, now: float) -> None:
        """All inputs of a call have settled."""
        actor = task.actor
        assert actor is not None
        entries = self._objects.entries
        for oid in task.deps or ():
            value = entries[oid].value
            if type(value) is Failed:
                self._objects.unhandled.saw(value)
                actor.queue.remove(task)
                self._fail(task, value.as_input_of(task.name or task.function.name))
                self._changed[actor.actor_id] = actor
                return
        self._story.step(task, "ready")
        task.ready_at = now
        self._changed[actor.actor_id] = actor

    def unqueue(self, task: Task) -> None:
        """A call that was not pushed is cancelled."""
        actor = task.actor
        assert actor is not None
        actor.queue.remove(task)
        self._changed[actor.actor_id] = actor

    def ending(self, actor_id: bytes) -> None:
        """This process has asked for its end: no call made after that may reach the process that is about to end."""
        self.of(actor_id).endings += 1

    def ended(self, actor_id: bytes, worker: str) -> None:
        """The GCS has answered: this process ends, or (empty) none, or all. What is true now has to be asked."""
        actor = self.of(actor_id)
        actor.endings -= 1
        actor.doomed = worker or actor.doomed
        if actor.state == ALIVE:
            actor.state = RESTARTING
        actor.asked_at = -1.0
        self.touch(actor)

    def touch(self, actor: ActorClient) -> None:
        """Look at this actor's queue at the next pump."""
        self._changed[actor.actor_id] = actor

    def returned(self, actor: ActorClient, seqs: list[int]) -> None:
        """The actor's process refuses calls that it had not started: it is about to exit. The GCS will say more."""
        if actor.connection is None:
            return
        for seq in sorted(seqs, reverse=True):
            task = actor.connection.inflight.pop(seq, None)
            if task is not None and actor.state == DEAD and actor.failure is not None:
                self._fail(task, actor.failure)
            elif task is not None:
                self._story.step(task, "return")
                self.await_lost(task)
                actor.queue.appendleft(task)
        if actor.state == DEAD:
            return
        actor.state = RESTARTING
        self.touch(actor)

    def await_lost(self, task: Task) -> None:
        """Inputs of a call that comes back may have lost their values; their entries have it among their dependents."""
        missing = self._objects.unsettled(task)
        if missing:
            task.missing = missing
            self._story.step(task, "await")

    def pump(self, now: float) -> list[Any]:
        """Push what may be pushed, ask where actors are."""
        effects: list[Any] = []
        changed, self._changed = self._changed, {}
        for actor in changed.values():
            if actor.restarting and not actor.starting and actor.max_task_retries == 0:
                self._fail_ready(actor)
            if not actor.queue:
                continue
            if actor.endings:
                continue
            if actor.state == ALIVE and actor.connection is not None:
                batch = self._take(actor, now)
                if batch:
                    push = actor.connection.push(0, batch, self._dependencies)
                    effects.append(Send(actor.connection.worker, push))
            elif actor.asked_at < 0 and actor.registered:
                self.watch(actor, now, effects)
        return effects

    def watch(self, actor: ActorClient, now: float, effects: list[Any]) -> None:
        actor.asked_at = now
        effects.append(Send(self._gcs, WatchActor(actor.actor_id, actor.owner)))

    def _take(self, actor: ActorClient, now: float) -> list[Task]:
        queue = actor.queue
        batch: list[Task] = []
        size = 0
        waiting: list[Task] = []
        while queue and len(batch) < self._config.batch_tasks_max and size < self._config.batch_bytes_max:
            task = queue[0]
            if task.state is not QUEUED:
                if actor.in_order:
                    break
                waiting.append(queue.popleft())
                continue
            queue.popleft()
            self._story.step(task, "push")
            task.pushed_at = now
            size += len(task.args)
            batch.append(task)
        if waiting:
            queue.extendleft(reversed(waiting))
        if queue and queue[0].state is QUEUED:
            self._changed[actor.actor_id] = actor
        return batch

    def _dependencies(self, task: Task) -> list[Dependency]:
        entries = self._objects.entries
        return [entries[oid].value or Local(oid) for oid in task.deps or ()]

    @property
    def more(self) -> bool:
        """Whether something is left for the next pump (a batch has a limit), or a process's end is awaited."""
        return bool(self._changed or self._lingering or self._unsure)

    # -- what the GCS and the node say

    def on_state(self, message: ActorState, now: float) -> None:
        """The GCS tells an actor's state. Older news than what is known is ignored."""
        actor = self.actors.get(message.actor_id)
        if actor is None or actor.state == DEAD or message.incarnation < actor.incarnation:
            return
        actor.asked_at = now
        actor.registered = True
        actor.max_task_retries = message.max_task_retries
        actor.failure = message.failure
        actor.restarting = message.state == RESTARTING
        if message.state == ALIVE:
            if message.worker in self._objects.dead or message.worker == actor.doomed:
                return
            if actor.connection is None or actor.connection.worker != message.worker:
                self._lose_connection(actor, "it was restarted", now, dead=False)
                actor.connection = Connection(message.worker)
                self.by_worker[message.worker] = actor
                self._unsure.append(message.worker)
            actor.state, actor.starting = ALIVE, False
        elif message.state == DEAD:
            actor.state, actor.revivable = DEAD, message.revivable
            actor.failure = message.failure or Failed("ActorDiedError", "the actor is dead", actor=actor.actor_id)
            if message.worker in self._objects.dead or self.by_worker.get(message.worker) is not actor:
                self._lose_connection(actor, "", now, dead=True)
            else:
                self._lingering.setdefault(message.worker, (now, []))
            if not (actor.reviving and actor.revivable):
                self._fail_queue(actor, actor.failure)
        else:
            if message.state == RESTARTING:
                self._lose_connection(actor, message.why or "it is being restarted", now, dead=False)
            else:
                actor.starting = actor.starting or message.incarnation <= 0
            actor.state = message.state
            if actor.failure is not None:
                self._fail_queue(actor, actor.failure)
        # Not before: what has failed with its last process has run there.
        actor.process = message.process or actor.process
        actor.incarnation = message.incarnation
        self._changed[actor.actor_id] = actor

    def _fail_queue(self, actor: ActorClient, failure: Failed) -> None:
        queue, actor.queue = actor.queue, deque()
        for task in queue:
            self._fail(task, _failure_of(failure, sent=task.attempt > 0))

    def _fail_ready(self, actor: ActorClient) -> None:
        """Rule 3: fail what could be pushed now, were the actor there, and may not be tried again."""
        kept: deque[Task] = deque()
        queue, actor.queue = actor.queue, kept
        while queue:
            task = queue.popleft()
            if task.state is QUEUED and task.retries_left == 0:
                sent = "" if task.attempt else ", and this call failed before it started"
                text = f"The actor is restarting{sent}. Set max_task_retries to have calls wait for it."
                self._fail(task, Failed("ActorUnavailableError", text, actor=actor.actor_id))
                continue
            kept.append(task)
            if task.state is not QUEUED and actor.in_order:
                kept.extend(queue)
                break

    def worker_died(self, address: str, reason: str, now: float) -> None:
        """The node says that a process is gone; if an actor lived there, the GCS will say what becomes of it."""
        _, held = self._lingering.pop(address, (0.0, ()))
        for oid in held:
            self._objects.unpin(oid)
        actor = self.by_worker.get(address)
        if actor is None:
            return
        if actor.state == DEAD:
            self._lose_connection(actor, "", now, dead=True, gone=True)
            return
        del self.by_worker[address]
        if actor.connection is not None:
            actor.connection.ended = reason
        if actor.state == ALIVE:
            actor.state = RESTARTING
        actor.asked_at = -1.0

    @property
    def processes(self) -> list[str]:
        """Where actors are called, or the ends of calls are awaited."""
        return [*self.by_worker, *self._lingering]

    def _lose_connection(self, actor: ActorClient, why: str, now: float, *, dead: bool, gone: bool = False) -> None:
        connection, actor.connection = actor.connection, None
        if connection is None:
            return
        self.by_worker.pop(connection.worker, None)
        if not gone and connection.worker not in self._objects.dead:
            self._hold_inputs(connection, now)
        again: list[Task] = []
        text = "the actor's process was lost while this call was under way, so it may have run"
        end = connection.ended or why
        for seq in sorted(connection.inflight):
            task = connection.inflight[seq]
            if dead and actor.failure is not None:
                self._fail(task, _failure_of(actor.failure, sent=True))
            elif task.cancelled:
                self._fail(task, Failed("TaskCancelledError", "the call was cancelled"))
            elif task.retries_left != 0:
                self._attempt_failed(task, Failed("ActorUnavailableError", f"{text}: {end}", actor=actor.actor_id), now)
                self._story.step(task, "retry")
                self.await_lost(task)
                again.append(task)
            else:
                how = "max_task_retries has such calls sent again"
                self._fail(task, Failed("ActorUnavailableError", f"{text} ({how}): {end}", actor=actor.actor_id))
        connection.inflight.clear()
        actor.queue.extendleft(reversed(again))
        if again:
            actor.put_in_order()

    def _hold_inputs(self, connection: Connection, now: float) -> None:
        """Rule 5."""
        held = [oid for task in connection.inflight.values() for oid in (*(task.deps or ()), *(task.refs or ()))]
        for oid in held:
            self._objects.pin(oid)
        self.let_go_with(connection.worker, held, now)

    def let_go_with(self, worker: str, pinned: list[bytes], now: float) -> None:
        """Unpin these when that process is known to be gone; at once, where there is none."""
        if worker and worker not in self._objects.dead:
            if pinned:
                _, held = self._lingering.get(worker, (now, []))
                self._lingering[worker] = (now, [*held, *pinned])
        else:
            for oid in pinned:
                self._objects.unpin(oid)

    def silent(self, now: float, after_s: float) -> list[str]:
        """Processes to be asked about: of lost actors whose end should have been told by now, and new ones."""
        unsure, self._unsure = self._unsure, []
        late = [worker for worker, (since, _) in self._lingering.items() if now - since > after_s]
        for worker in late:
            self._lingering[worker] = (now, self._lingering[worker][1])
        return unsure + late

    def lost(self, failure: Failed, now: float) -> None:
        """The node is gone, and every actor with it."""
        for worker in list(self._lingering):
            self.worker_died(worker, "", now)
        self._objects.dead.update(self.by_worker)
        for actor_id in list(self.actors):
            self.on_state(ActorState(actor_id, DEAD, 1 << 30, failure=failure), now)

    def tick(self, now: float) -> list[Any]:
        """News may be lost: ask again about actors with calls that wait."""
        effects: list[Any] = []
        for actor in self.actors.values():
            waits = actor.queue or actor.connection is not None or actor.wanted or actor.failure is not None
            if not waits or actor.state in (ALIVE, DEAD):
                continue
            if actor.registered and now - actor.asked_at > self._config.retry_request_s:
                self.watch(actor, now, effects)
        return effects

    def check(self) -> None:
        for actor in self.actors.values():
            if actor.state == DEAD:
                assert not actor.queue, actor
                assert actor.connection is None or actor.connection.worker in self._lingering, actor
            for task in actor.queue:
                assert task.state in (WAITING, QUEUED), task


def _failure_of(failure: Failed, *, sent: bool) -> Failed:
    """What a caller of a dead actor gets, for a call that had been sent (once) or not."""
    if not sent or failure.kind not in ("ActorDiedError", "OutOfMemoryError"):
        return failure
    text = f"{failure.message.removesuffix('.')}. This call had been sent: it may have run."
    return msgspec.structs.replace(failure, message=text)
