"""The actors of a cluster: what clients ask and nodes tell about them.

Rules
-----
1. What a client asks for, and what happens to an actor, is durable before anybody is told of it and before anything is
   started or ended because of it.
2. An `ActorStarted` of an older incarnation, or for a dead actor, ends that process.
3. An actor that isn't detached ends with its owner and with its job; a detached one by ``kill`` alone. One that ended
   because nobody referred to it lives again if its owner wants it to, without its name.
4. A name belongs to one actor that isn't DEAD, in one namespace.
5. Dead actors are remembered, a bounded number of them, so that late callers learn why.

Never knows what an actor's class or arguments are. The world outside (nodes, deaths) is asked through `World`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from msgspec import structs

from raynb.runtime.core.bundle_names import group_of
from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_actor_index import ActorIndex
from raynb.runtime.core.gcs_actor_life import (
    ALIVE,
    DEAD,
    DEPENDENCIES_UNREADY,
    LIFE_TABLE,
    SPEC_TABLE,
    Actor,
    Cause,
)
from raynb.runtime.core.gcs_actor_steps import (
    CONSTRUCTOR_FAILED,
    ENDINGS,
    EXITED,
    KILLED,
    OUT_OF_SCOPE,
    STARTING,
    ActorSteps,
    World,
)
from raynb.runtime.core.gcs_journal import Effects, Journal
from raynb.runtime.core.gcs_requests import Requests, refusal
from raynb.runtime.messages.gcs import (
    ActorStarted,
    ActorState,
    CreateActor,
    KillActor,
    NamedActor,
    Reply,
    WatchActor,
)
from raynb.runtime.messages.node import NO_ROOM, ActorStartFailed, AreAlive, ProcessDied
from raynb.runtime.messages.values import Failed

UNREGISTERED_PATIENCE_S: Final = 30.0
DOOMED_MAX: Final = 10_000

Ended = Callable[[str, bytes], Effects]
"""Gives the answer to a `KillActor`: why it is not durable (empty: it is), and the process that ends."""


class ActorTable:
    """All actors. See the module's rules."""

    def __init__(self, journal: Journal, requests: Requests, world: World, kill_patience_s: float = 30.0) -> None:
        self._journal = journal
        self._requests = requests
        self._world = world
        self.index = ActorIndex()
        self._steps = ActorSteps(self.index, journal, world, kill_patience_s)
        self._unregistered: dict[bytes, tuple[str, dict[str, None]]] = {}
        """Watched, but not created yet: the creator (if known), the watchers."""
        self._doomed: OrderedDict[bytes, str] = OrderedDict()
        """Ended before they were created (a creation was lost with an earlier GCS and comes again): why."""
        self._unregistered_until: list[tuple[float, bytes]] = []

    def __repr__(self) -> str:
        return f"<ActorTable {len(self.index.actors)} actors, {len(self.index.names)} names>"

    # -- asked by clients

    def create(self, sender: str, message: CreateActor, now: float) -> Effects:
        """Register an actor and start it."""
        creation = message.creation
        known = self.index.actors.get(creation.actor_id)
        if known is not None and message.revival <= known.spec.revival:
            if known.state == DEPENDENCIES_UNREADY and known.spec.awaits and not message.awaits:
                return self._arrived(sender, known, message, now)
            return self._describe(sender, message.request, known)
        if known is not None and message.failure is not None:
            return self._describe(sender, message.request, known)  # and is dead already
        if message.failure is not None:
            return self._register_dead(sender, message, message.failure, now)
        name = (message.namespace, message.name)
        holder = self.index.names.get(name) if message.name else None
        if holder is not None and message.get_if_exists:
            return self._describe(sender, message.request, holder)
        kind = "ActorDiedError"
        if holder is not None:
            kind = "ActorAlreadyExistsError"
            text = (
                f"The name {message.name} (namespace={message.namespace}) is already taken by an actor of class "
                f"{holder.spec.class_name}. Please use a different name, or get the existing actor using "
                f"ray.get_actor({message.name!r}, namespace={message.namespace!r}) or get_if_exists=True"
            )
        elif creation.actor_id in self._doomed:
            why = self._doomed[creation.actor_id]
            text = f"an actor of class {message.class_name} was not created: {why}"
        elif not message.detached and self._world.job_ended(creation.context.job):
            text = f"an actor of class {message.class_name} was not created: its job has ended"
        elif not message.detached and self._world.is_dead(creation.owner):
            text = f"an actor of class {message.class_name} was not created: its owner has died"
        elif known is not None and known.revivable:
            self.index.revive(known, message)
            return self._write_and_begin(sender, known, now)
        elif known is not None and known.failure is not None:
            kind, text = known.failure.kind, known.failure.message
        elif message.revival:
            text = f"an actor of class {message.class_name} was not started again: it ended too long ago"
        else:
            return self._register(sender, Actor(message, sender), now)
        return [self._refuse(sender, message.request, kind, text)]

    def _register(self, sender: str, actor: Actor, now: float) -> Effects:
        self.index.enter(actor)
        for watcher in self._unregistered.pop(actor.id, ("", {}))[1]:
            self.index.watch(actor, watcher)
        return self._write_and_begin(sender, actor, now)

    def _arrived(self, sender: str, actor: Actor, message: CreateActor, now: float) -> Effects:
        """What an actor is given to begin with is there, whose name is known already; or it never will be."""
        if message.failure is not None:
            return self._given_up(sender, actor, message.request, message.failure, now)
        self.index.arrived(actor, message)
        return self._write_and_begin(sender, actor, now)

    def _write_and_begin(self, sender: str, actor: Actor, now: float) -> Effects:
        request, awaits = actor.spec.request, actor.spec.awaits
        if not awaits:
            self._steps.place(actor)
        written = actor.node_id

        def durable() -> Effects:
            begin = actor.state == DEPENDENCIES_UNREADY and not awaits  # else it was ended meanwhile
            if begin:
                actor.move(Cause.DURABLE, f"created by {sender}")
            reply = Reply(request, actor.description())
            answer = self._requests.answer(sender, reply, keep=True)
            return [answer, *(self._begin(actor, written, now) if begin else ())]

        def undo(reason: str) -> Effects:
            text = f"the actor {actor.spec.class_name} was not created: {reason}"
            effects: Effects = [self._refuse(sender, request, "RaySystemError", text)]
            # Whether the store has it or not, nobody has to know of it.
            self._doom(actor.id, reason)
            if actor.state != DEAD:
                failure = Failed("ActorDiedError", text)
                effects += self._steps.end(actor, failure, "not durable", now, forget=True)
            else:
                effects.append(self._journal.write(actor.deletion(), now, lasting=True))
            self.index.forget(actor)
            return effects

        writes = [actor.spec_write(), actor.life_write(actor.durable_state)]
        return [self._journal.write(writes, now, durable, undo)]

    def _register_dead(self, sender: str, message: CreateActor, failure: Failed, now: float) -> Effects:
        """It will never start: that is told to those who wait for it, and remembered for those who ask later."""
        actor = Actor(structs.replace(message, name="", failure=None), sender, failure=failure)
        self.index.enter(actor)
        for watcher in self._unregistered.pop(actor.id, ("", {}))[1]:
            self.index.watch(actor, watcher)
        write = self._journal.write([actor.spec_write(), actor.life_write(DEAD)], now, lasting=True)
        return [write, *self._given_up(sender, actor, message.request, failure, now)]

    def _given_up(self, sender: str, actor: Actor, request: int, failure: Failed, now: float) -> Effects:
        def told(reason: str) -> Effects:
            return [self._requests.answer(sender, Reply(request, actor.description()), keep=True)]

        return self._steps.end(actor, failure, "its creator gave it up", now, told=told)

    def _begin(self, actor: Actor, written: bytes, now: float) -> Effects:
        """It is durable, and so is this node of it."""
        effects = self._steps.tell(actor, actor.announcement())
        if not self._steps.manager(actor):
            self._steps.place(actor)  # its node died meanwhile, or there was none
        another = actor.node_id and actor.node_id != written
        return effects + (self._steps.write_and_start if another else self._steps.start)(actor, now)

    def named(self, sender: str, message: NamedActor) -> Effects:
        """Find an actor by its name, or by its id."""
        if message.actor_id:
            actor = self.index.actors.get(message.actor_id)
        else:
            actor = self.index.names.get((message.namespace, message.name))
        if actor is not None:
            return self._describe(sender, message.request, actor)
        text = (
            f"Failed to look up actor with name '{message.name}' in the namespace {message.namespace!r}: it was not "
            "created, has ended, or is in another namespace."
        )
        reply = refusal(message.request, "ValueError", text)
        return [self._requests.answer(sender, reply, keep=False)]

    def watch(self, sender: str, message: WatchActor, now: float) -> Effects:
        """Tell the state of an actor, now and whenever it changes."""
        actor = self.index.actors.get(message.actor_id)
        if actor is not None:
            if actor.state != DEAD:
                self.index.watch(actor, sender)
            return self._steps.answer(actor, sender)
        doom = self._doomed.get(message.actor_id)
        if doom is not None:
            return self._answer_doomed(sender, message.actor_id, doom)
        if message.owner and self._world.is_dead(message.owner):
            return [Send(sender, _never_registered(message.actor_id, "its creator has died"))]
        if message.actor_id not in self._unregistered:
            self._unregistered[message.actor_id] = (message.owner, {})
            heappush(self._unregistered_until, (now + UNREGISTERED_PATIENCE_S, message.actor_id))
        self._unregistered[message.actor_id][1][sender] = None
        return [Send(sender, ActorState(message.actor_id, DEPENDENCIES_UNREADY, 0))]

    def _answer_doomed(self, watcher: str, actor_id: bytes, doom: str) -> Effects:
        """It was not created. The store may have it all the same, and then it lives again until it is deleted there."""

        def tell() -> Effects:
            return [Send(watcher, _never_registered(actor_id, doom.removesuffix(".")))]

        def late(reason: str) -> Effects:
            failure = Failed("ActorUnavailableError", f"Actor {actor_id.hex()} can't be called now: {reason}")
            return [Send(watcher, ActorState(actor_id, DEPENDENCIES_UNREADY, 0, failure=failure))]

        return self._journal.when_durable(LIFE_TABLE, actor_id, tell, late, lasting=True)

    def kill(self, sender: str, message: KillActor, now: float) -> Effects:
        """A client asks for an actor's end."""

        def told(reason: str, data: bytes) -> Effects:
            if not message.request:
                return []
            reply = Reply(message.request, data)
            if reason:
                text = f"the end of the actor may not outlast a restart of the GCS: {reason}"
                reply = refusal(message.request, "RaySystemError", text)
            return [self._requests.answer(sender, reply, keep=True)]

        return self.end(message, now, told)

    def end(self, message: KillActor, now: float, told: Ended) -> Effects:
        """End an actor, or (``no_restart=False``) its process alone. ``told`` gives the answer."""
        actor = self.index.actors.get(message.actor_id)
        if actor is None and message.no_restart:
            self._doom(message.actor_id, ENDINGS.get(message.reason, message.reason))
        if actor is None or actor.state == DEAD:
            key = message.actor_id
            return self._journal.when_durable(LIFE_TABLE, key, lambda: told("", b""), lambda reason: told(reason, b""))
        if message.reason == KILLED and not message.no_restart:
            if not actor.worker or 0 <= message.incarnation < actor.incarnation:
                return told("", b"")  # there is no process to be ended (any more, or yet)
            actor.restart_asked = actor.state == ALIVE
            reason = "killed by ray.kill(no_restart=False)"
            return [*self._steps.kill_process(actor, reason), *told("", actor.worker.encode())]
        if message.reason == OUT_OF_SCOPE and message.revival < actor.spec.revival:
            return told("", b"")  # of an earlier life
        failure = actor.died(ENDINGS.get(message.reason, message.reason))
        process = message.reason if message.reason in ENDINGS else KILLED
        return self._steps.end(actor, failure, message.reason, now, process, lambda reason: told(reason, b""))

    def _doom(self, actor_id: bytes, why: str) -> None:
        self._doomed[actor_id] = why
        if len(self._doomed) > DOOMED_MAX:
            self._doomed.popitem(last=False)

    # -- told by workers and node managers

    def started(self, message: ActorStarted, now: float) -> Effects:
        """A constructor has returned, or failed."""
        if self._world.is_dead(message.worker):
            return []
        if not self._world.manager_of(message.node_id):
            # After a start of the GCS, before its node has told what lives there: it is asked again then.
            return []
        actor = self.index.actors.get(message.actor_id)
        stray = ""
        if actor is None or actor.state == DEAD:
            stray = "its actor has ended"
        elif message.incarnation < actor.incarnation:
            stray = "its actor was started again elsewhere"
        elif actor.state == ALIVE and message.incarnation == actor.incarnation:
            if actor.worker == message.worker:
                return []  # said before
            stray = "its actor lives in another process already"
        if stray or actor is None:
            return self._steps.kill_stray(message.node_id, message.worker, stray, message.actor_id, message.incarnation)
        if actor.state == DEPENDENCIES_UNREADY:
            return []  # not of this GCS's doing; it will be started, and asked again
        if actor.state == ALIVE:
            actor.move(Cause.LOST, f"incarnation {message.incarnation} is newer")
        actor.incarnation = message.incarnation
        actor.node_id, actor.repr_name = message.node_id, message.repr_name
        self.index.unplaced.pop(actor.id, None)
        self.index.assign(actor, message.worker)
        actor.pid, actor.process, actor.ip = message.pid, message.process, self._world.ip_of(message.node_id)
        if message.failure is not None:
            why = "its constructor failed"
            return self._steps.end(actor, message.failure, why, now, CONSTRUCTOR_FAILED)
        actor.move(Cause.STARTED, f"in process {message.pid}")
        actor.alive_since, actor.started = now, actor.started or self._world.wall(now)
        return self._steps.write_alive(actor, now)

    def start_failed(self, message: ActorStartFailed, now: float) -> Effects:
        """A node manager could not start it. An ActorDiedError is a process's death, all else is final."""
        actor = self.index.actors.get(message.actor_id)
        if actor is None or actor.state not in STARTING:
            return []
        if (message.incarnation, message.placing) != (actor.incarnation, actor.placing):
            return []
        if message.failure.kind == NO_ROOM:
            return self._steps.place_again(actor, now)
        if message.failure.kind == "ActorDiedError":
            return self._steps.lose(actor, message.failure.message, now)
        return self._steps.end(actor, message.failure, "could not be started", now)

    def assigned(self, actor_id: bytes, worker: str) -> None:
        """A node manager lists a worker that has this actor; its constructor may still run."""
        actor = self.index.actors.get(actor_id)
        if actor is not None and actor.state in STARTING and not self._world.is_dead(worker):
            self.index.assign(actor, worker)

    def process_died(self, death: ProcessDied, now: float) -> Effects:
        """A process is dead: an actor's own, an owner's, or a watcher's."""
        effects: Effects = []
        actor = self._actor_of(death)
        if actor is not None:
            exited = death.intended and actor.state == ALIVE and not actor.restart_asked
            if exited:
                failure = actor.died(ENDINGS[EXITED])
                effects += self._steps.end(actor, failure, death.reason, now)
            else:
                effects += self._steps.lose(actor, death.reason, now, out_of_memory=death.out_of_memory)
        self.index.by_worker.pop(death.address, None)
        for owned in self.index.owned_by(death.address):
            failure = owned.died(f"its owner has died ({death.reason}).")
            effects += self._steps.end(owned, failure, "owner died", now, KILLED)
        self.index.drop_watcher(death.address)
        for unknown, (creator, watchers) in list(self._unregistered.items()):
            watchers.pop(death.address, None)
            if creator == death.address:
                effects += self._give_up(unknown, "its creator has died")
        return effects

    def _actor_of(self, death: ProcessDied) -> Actor | None:
        """The actor that this death is the loss of."""
        actor = self.index.by_worker.get(death.address)
        if actor is not None and actor.worker != death.address:
            return None  # it lives again, and this was its life before
        if actor is not None and actor.state in STARTING and not death.actor_id:
            # It retired before it took the actor, which is to be started in another process.
            self.index.unassign(actor)
            return None
        if actor is None and death.actor_id:
            actor = self.index.actors.get(death.actor_id)
            if actor is not None and actor.incarnation != death.incarnation:
                return None
            if actor is not None and actor.worker:
                return None  # it is in another process
        if actor is None or actor.state not in (*STARTING, ALIVE):
            return None
        return actor

    def job_ended(self, job: bytes, now: float) -> Effects:
        """Actors that are not detached end with their job."""
        effects: Effects = []
        for actor in list(self.index.actors.values()):
            if actor.job == job and not actor.spec.detached and actor.state != DEAD:
                failure = actor.died("its job has ended.")
                effects += self._steps.end(actor, failure, "job ended", now, KILLED)
        for unknown in [unknown for unknown in self._unregistered if unknown.endswith(job)]:
            effects += self._give_up(unknown, "its job has ended")
        return effects

    def placed(self, now: float) -> Effects:
        """There is more room than before: a placement group has its place."""
        return self._steps.place_waiting(now)

    def group_removed(self, group: bytes, now: float) -> Effects:
        """Actors end with their placement group."""
        effects: Effects = []
        for actor in list(self.index.actors.values()):
            if actor.state != DEAD and group_of(actor.spec.creation.resources) == group:
                why = "its placement group was removed."
                failure = actor.died(why) if actor.worker else Failed("ActorPlacementGroupRemoved", why)
                effects += self._steps.end(actor, failure, "placement group removed", now, KILLED)
        return effects

    def node_joined(self, node_id: bytes, living: list[tuple[bytes, int, str]], first: bool, now: float) -> Effects:
        """A node is there.

        Parameters
        ----------
        living
            The actors that it says live there: (id, incarnation, worker).
        first
            For the first time since this GCS was started: then these are all.
        """
        effects: Effects = []
        here: set[bytes] = set()
        for actor_id, incarnation, worker in living:
            actor = self.index.actors.get(actor_id)
            if actor is None or actor.state == DEAD or incarnation < actor.incarnation:
                # Also later, for the first list may have been older than what happened meanwhile; but not one that was
                # asked to end itself.
                if first or self.index.by_worker.get(worker) is not actor:
                    why = "its actor has ended"
                    effects += self._steps.kill_stray(node_id, worker, why, actor_id, incarnation)
                continue
            if not first:
                continue
            here.add(actor_id)
            actor.incarnation, actor.node_id = incarnation, node_id
            self.index.unplaced.pop(actor_id, None)
            self.index.assign(actor, worker or actor.worker)
        for actor in list(self.index.actors.values()) if first else ():
            if actor.node_id != node_id:
                continue
            if actor.state == ALIVE and actor.id not in here:
                # The list may have been written long ago: for an earlier GCS, even. Who has written it is asked.
                effects.append(Send(self._world.manager_of(node_id), AreAlive([actor.worker])))
            elif actor.state in STARTING:
                effects += self._steps.start(actor, now)
        return [*effects, *self._steps.kill_late(node_id), *self._steps.place_waiting(now)]

    def node_died(self, node_id: bytes, reason: str, now: float) -> Effects:
        """What lived there is gone, also what was only being started."""
        effects: Effects = self._steps.kill_late(node_id)
        for actor in list(self.index.actors.values()):
            if actor.node_id == node_id and actor.state in (*STARTING, ALIVE):
                effects += self._steps.lose(actor, f"its node {node_id.hex()[:12]} is gone: {reason}.", now)
        return effects

    # -- time and the store

    def tick(self, now: float) -> Effects:
        """Carry out what is due."""
        effects = self._steps.tick(now)
        while self._unregistered_until and self._unregistered_until[0][0] <= now:
            _, actor_id = heappop(self._unregistered_until)
            creator, _watchers = self._unregistered.get(actor_id, ("", {}))
            if self._world.is_alive(creator):
                # What its arguments come from may take its time.
                heappush(self._unregistered_until, (now + UNREGISTERED_PATIENCE_S, actor_id))
                continue
            text = f"it was not registered within {UNREGISTERED_PATIENCE_S:g} s"
            effects += self._give_up(actor_id, text)
        return effects

    def _give_up(self, actor_id: bytes, why: str) -> Effects:
        _, watchers = self._unregistered.pop(actor_id, ("", {}))
        return [Send(watcher, _never_registered(actor_id, why)) for watcher in watchers]

    # -- answers

    def _describe(self, sender: str, request: int, actor: Actor) -> Effects:
        def answer() -> Effects:
            reply = Reply(request, actor.description())
            return [self._requests.answer(sender, reply, keep=True)]

        def undo(reason: str) -> Effects:
            return [self._refuse(sender, request, "RaySystemError", reason)]

        return self._journal.when_durable(SPEC_TABLE, actor.id, answer, undo)

    def _refuse(self, sender: str, request: int, kind: str, text: str) -> Send:
        return self._requests.answer(sender, refusal(request, kind, text), keep=True)

    def check(self) -> None:
        """The invariants."""
        self.index.check()
        assert not self._unregistered.keys() & self.index.actors.keys()


def _never_registered(actor_id: bytes, why: str) -> ActorState:
    text = f"Actor {actor_id.hex()}: The actor is dead because {why}, so it was never started."
    return ActorState(actor_id, DEAD, 0, failure=Failed("ActorDiedError", text, actor=actor_id))
