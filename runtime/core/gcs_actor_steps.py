"""How an actor's life moves on: started, lost and started again, ended. What each step writes, and whom it tells.

Rules
-----
1. Watchers are told of deaths and new incarnations when those are durable, and not before: so no restart of the GCS
   makes the dead rise or time run back. If the store stays away they are told that the actor can't be called now, and
   the rest when it is back. (That an actor is ALIVE its node says too: this may be told before it is durable.)
2. `StartActor` goes out only when its incarnation and its node are durable: a GCS that is started again knows which
   node to wait for, and no incarnation is given twice for different reasons.
3. It is repeated with growing pauses until the actor answers.
4. An actor that dies young several times in a row is started again after a growing pause, so that it can't keep a
   machine busy with its dying.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Final, Protocol

from msgspec import structs

from raynb.runtime.core.bundle_names import group_of
from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_actor_index import ActorIndex
from raynb.runtime.core.gcs_actor_life import (
    ALIVE,
    LIFE_TABLE,
    PENDING_CREATION,
    RESTARTING,
    Actor,
    Cause,
)
from raynb.runtime.core.gcs_journal import Effects, Journal
from raynb.runtime.messages.gcs import ActorState
from raynb.runtime.messages.node import ExitWorker, KillWorker
from raynb.runtime.messages.strategy import Strategy
from raynb.runtime.messages.values import Failed

DEAD_ACTORS_MAX: Final = 10_000
RESEND_FIRST_S: Final = 5.0
RESEND_MAX_S: Final = 60.0
EARLY_DEATH_S: Final = 2.0
EARLY_DEATHS_FREE: Final = 3
"""So often in a row an actor that dies young is started again at once."""
RESTART_PAUSE_FIRST_S: Final = 0.2
RESTART_PAUSE_MAX_S: Final = 10.0

STARTING: Final = (PENDING_CREATION, RESTARTING)

KILLED: Final = "killed"
BY_RAY_KILL: Final = "killed by `ray.kill`"
OUT_OF_SCOPE: Final = "out of scope"
EXITED: Final = "exited"
CONSTRUCTOR_FAILED: Final = "constructor failed"
GONE: Final = ""
"""What becomes of a process whose actor ends. GONE: nothing, there is none any more."""

Told = Callable[[str], Effects]
"""What follows once a client's request is durable; given the reason why it isn't, if it failed."""

ENDINGS: Final = {
    KILLED: "it was killed by `ray.kill`.",
    OUT_OF_SCOPE: "all references to the actor were removed, so it was ended.",
    EXITED: "it ended itself: exit_actor() is called.",
}


class World(Protocol):
    """What actors need to know of the rest of the cluster."""

    def place(self, resources: dict[str, float], strategy: Strategy | None = None) -> bytes:
        """Id of a living node that could run this; empty if there is none now."""
        ...

    def is_removed(self, group: bytes) -> bool:
        """Whether there is no such placement group (any more)."""
        ...

    def never(self, resources: dict[str, float], strategy: Strategy | None) -> str:
        """Why there never will be one; empty if there may be."""
        ...

    def ip_of(self, node_id: bytes) -> str:
        """Of a node; empty if that isn't known."""
        ...

    def manager_of(self, node_id: bytes) -> str:
        """Address of a living node's manager; empty if it is not there."""
        ...

    def is_dead(self, address: str) -> bool:
        """Whether this process is known to be dead."""
        ...

    def is_alive(self, address: str) -> bool:
        """Whether this process is known to be alive."""
        ...

    def job_ended(self, job: bytes) -> bool:
        """Whether this job is over."""
        ...

    def wall(self, now: float) -> float:
        """Seconds since the epoch, for display."""
        ...


class ActorSteps:
    """The steps of all actors' lives, and their timers."""

    def __init__(self, index: ActorIndex, journal: Journal, world: World, kill_patience_s: float) -> None:
        self._index = index
        self._journal = journal
        self._world = world
        self._kill_patience_s = kill_patience_s
        self._late_kills: dict[bytes, list[KillWorker]] = {}
        """By node that is not (yet, or any more) there."""
        self._timers: list[tuple[float, int, Actor, int]] = []
        """When to start an actor again that has not answered."""
        self._reaps: deque[tuple[float, bytes, KillWorker]] = deque()
        """When processes that were asked to end must have ended, and on which node."""
        self._ticket = count()

    def write_alive(self, actor: Actor, now: float) -> Effects:
        """Make durable that it lives, and tell all watchers; if the store stays away they are told all the same."""
        news = actor.announcement()

        def tell(_reason: str = "") -> Effects:
            return self.tell(actor, news) if actor.told is not news else []

        return [self._journal.write([actor.life_write()], now, tell, tell, lasting=True)]

    def tell(self, actor: Actor, news: ActorState, watchers: Iterable[str] | None = None) -> Effects:
        actor.told = news
        to = actor.watchers if watchers is None else watchers
        return [Send(watcher, news) for watcher in to if not self._world.is_dead(watcher)]

    def tell_unavailable(self, actor: Actor, reason: str, watchers: Iterable[str] | None = None) -> Effects:
        news = actor.unavailable(reason)
        to = actor.watchers if watchers is None else watchers
        return [Send(watcher, news) for watcher in to if not self._world.is_dead(watcher)]

    def answer(self, actor: Actor, watcher: str) -> Effects:
        """Tell one how it is, once that is durable."""

        def tell() -> Effects:
            if self._journal.is_dirty(LIFE_TABLE, actor.id):
                return self.answer(actor, watcher)  # it has changed again
            return [Send(watcher, actor.announcement())]

        def late(reason: str) -> Effects:
            told = actor.told
            if told is not None and (told.state, told.incarnation) == (actor.state, actor.incarnation):
                return [Send(watcher, told)]
            return [Send(watcher, actor.unavailable(reason))]

        return self._journal.when_durable(LIFE_TABLE, actor.id, tell, late, lasting=True)

    # -- starting

    def place(self, actor: Actor) -> None:
        """Pick the node on which it will be started; none there: it waits for one."""
        creation = actor.spec.creation
        actor.node_id = self._world.place(creation.resources, creation.strategy)
        if actor.node_id:
            self._index.unplaced.pop(actor.id, None)
        else:
            self._index.unplaced[actor.id] = actor

    def start(self, actor: Actor, now: float) -> Effects:
        """Send (again) what starts it."""
        group = group_of(actor.spec.creation.resources)
        if group is not None and self._world.is_removed(group):
            failure = Failed("ActorPlacementGroupRemoved", "its placement group was removed before it was created.")
            return self.end(actor, failure, "placement group removed", now, KILLED)
        creation = actor.spec.creation
        never = "" if actor.node_id else self._world.never(creation.resources, creation.strategy)
        if never:
            name = actor.spec.name or actor.spec.class_name
            failure = Failed("ActorUnschedulableError", f"the actor {name} can't be placed: {never}")
            return self.end(actor, failure, never, now)
        manager = self.manager(actor)
        if not manager:
            return []  # a node that joins, or is given up, brings it on
        actor.resend_pause_s = min(RESEND_MAX_S, actor.resend_pause_s * 2 or RESEND_FIRST_S)
        self._timer(now + actor.resend_pause_s, actor)
        start = structs.replace(actor.spec.creation, incarnation=actor.incarnation, placing=actor.placing)
        return [Send(manager, start)]

    def write_and_start(self, actor: Actor, now: float, pause_s: float = 0.0) -> Effects:
        """Make the incarnation and its node durable, tell watchers of it, and start it."""
        incarnation = actor.incarnation
        news = actor.announcement()

        def durable() -> Effects:
            told = self.tell(actor, news)
            if actor.incarnation != incarnation or actor.state not in STARTING:
                return told
            if pause_s:
                self._timer(now + pause_s, actor)
                return told
            return told + self.start(actor, now)

        def late(reason: str) -> Effects:
            return self.tell_unavailable(actor, f"its process is gone, and that is not durable: {reason}")

        return [self._journal.write([actor.life_write()], now, durable, late, lasting=True)]

    def place_again(self, actor: Actor, now: float) -> Effects:
        """The node that was picked has no room for it, and another has."""
        actor.placing += 1
        actor.resend_pause_s = 0.0
        self.place(actor)
        return self.write_and_start(actor, now)

    def place_waiting(self, now: float) -> Effects:
        """There are more nodes than before."""
        effects: Effects = []
        for actor in list(self._index.unplaced.values()):
            self.place(actor)
            if actor.node_id and actor.state in STARTING:
                effects += self.write_and_start(actor, now)
        return effects

    def lose(self, actor: Actor, reason: str, now: float, *, out_of_memory: bool = False) -> Effects:
        """Its process is gone: start it again, if it may be."""
        asked, actor.restart_asked = actor.restart_asked, False
        if not actor.may_restart:
            how = "it was killed by ray.kill(no_restart=False)" if asked else "its worker process has died"
            n = actor.incarnation
            used = f" ({n} restart{'s' * (n > 1)} used, no more allowed)" if n else ""
            failure = actor.died(f"{how}: {reason}{used}", out_of_memory=out_of_memory)
            return self.end(actor, failure, reason, now)
        lived_s = now - actor.alive_since if actor.state == ALIVE else 0.0
        actor.early_deaths = 0 if asked or lived_s > EARLY_DEATH_S else actor.early_deaths + 1
        actor.move(Cause.LOST, reason)
        actor.lost_because = reason
        self._index.unassign(actor)
        actor.incarnation += 1
        actor.resend_pause_s = 0.0
        self.place(actor)
        pause_s = _restart_pause_s(actor.early_deaths)
        return self.write_and_start(actor, now, pause_s)

    # -- ending

    def end(
        self,
        actor: Actor,
        failure: Failed,
        why: str,
        now: float,
        process: str = GONE,
        told: Told | None = None,
        forget: bool = False,
    ) -> Effects:
        """It is not started again.

        Parameters
        ----------
        failure
            What its callers get.
        process
            What becomes of its process.
        told
            The answer to a client that asked for it.
        forget
            The store needs to know nothing of it.
        """
        had_process = actor.state in (*STARTING, ALIVE)
        worker = actor.worker
        actor.move(Cause.ENDED, why)
        actor.ended = self._world.wall(now)
        actor.failure = failure
        actor.unreferenced = process == OUT_OF_SCOPE
        self._index.leave(actor)
        news, watchers = actor.announcement(), list(actor.watchers)
        self._index.unwatch(actor)
        ending = self._end_process(actor, worker, process, why, now) if process and had_process else []
        followed = False

        def follow(reason: str = "") -> Effects:
            """Once: its process ends, and who asked for that is answered."""
            nonlocal followed
            if followed:
                return []
            followed = True
            return [*ending, *(told(reason) if told is not None else ())]

        def durable() -> Effects:
            return [*self.tell(actor, news, watchers), *follow()]

        def late(reason: str) -> Effects:
            # It has ended all the same, and may come back with the GCS's next start.
            return [
                *self.tell_unavailable(actor, f"it has ended, and that is not durable: {reason}", watchers),
                *follow(reason),
            ]

        writes = actor.deletion() if forget else [actor.life_write()]
        write = self._journal.write(writes, now, durable, late, lasting=True)
        return [write, *self._forget_oldest(now)]

    def _end_process(self, actor: Actor, worker: str, process: str, why: str, now: float) -> Effects:
        if worker and process in (OUT_OF_SCOPE, EXITED, CONSTRUCTOR_FAILED):
            self._index.by_worker[worker] = actor  # until its death is reported
            late = KillWorker(worker, "it did not end when it was asked to", actor.id, actor.incarnation)
            self._reaps.append((now + self._kill_patience_s, actor.node_id, late))
            # One that exits knows how; one that nobody refers to is asked to, when it is idle. One whose constructor
            # failed may have to wait for what tasks have submitted that its process ran before.
            return [Send(worker, ExitWorker())] if process != EXITED else []
        return self.kill_process(actor, BY_RAY_KILL if why == KILLED else why)

    def kill_process(self, actor: Actor, reason: str) -> Effects:
        """End the process that it has, or is about to get."""
        return self.kill_stray(actor.node_id, actor.worker, reason, actor.id, actor.incarnation)

    def kill_stray(self, node_id: bytes, worker: str, reason: str, actor_id: bytes, incarnation: int) -> Effects:
        """End a process that has an actor it should not have; where its node is not back yet, when it is."""
        return self._kill(node_id, KillWorker(worker, reason, actor_id, incarnation))

    def _kill(self, node_id: bytes, kill: KillWorker) -> Effects:
        manager = self._world.manager_of(node_id)
        if manager:
            return [Send(manager, kill)]
        if node_id:
            self._late_kills.setdefault(node_id, []).append(kill)
        return []

    def kill_late(self, node_id: bytes) -> Effects:
        """A node is there (or will never be): what it was to be told before."""
        manager = self._world.manager_of(node_id)
        kills = self._late_kills.pop(node_id, ())
        return [Send(manager, kill) for kill in kills] if manager else []

    def _forget_oldest(self, now: float) -> Effects:
        effects: Effects = []
        while len(self._index.dead) > DEAD_ACTORS_MAX:
            oldest = self._index.actors.pop(self._index.dead.popleft())
            effects.append(self._journal.write(oldest.deletion(), now, lasting=True))
        return effects

    # -- time

    def tick(self, now: float) -> Effects:
        """Send again what was not answered, end what did not end."""
        effects: Effects = []
        while self._timers and self._timers[0][0] <= now:
            _, _, actor, incarnation = heappop(self._timers)
            if actor.incarnation == incarnation and actor.state in STARTING:
                effects += self.start(actor, now)
        while self._reaps and self._reaps[0][0] <= now:
            _, node_id, kill = self._reaps.popleft()
            if kill.worker in self._index.by_worker:
                effects += self._kill(node_id, kill)
        return effects

    def _timer(self, when: float, actor: Actor) -> None:
        heappush(self._timers, (when, next(self._ticket), actor, actor.incarnation))

    def manager(self, actor: Actor) -> str:
        """Where to send what concerns its process; empty if its node is not there."""
        return self._world.manager_of(actor.node_id) if actor.node_id else ""


def _restart_pause_s(early_deaths: int) -> float:
    spare = early_deaths - EARLY_DEATHS_FREE - 1
    return min(RESTART_PAUSE_MAX_S, RESTART_PAUSE_FIRST_S * 2.0**spare) if spare >= 0 else 0.0
