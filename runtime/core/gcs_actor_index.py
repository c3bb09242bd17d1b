"""Who is who among the actors: by id, by name, by worker, by owner, by watcher. Decides nothing."""

from __future__ import annotations

from collections import deque

from raynb.runtime.core.gcs_actor_life import (
    ALIVE,
    DEAD,
    DEPENDENCIES_UNREADY,
    SPEC_TABLE,
    Actor,
    decode_life,
    decode_spec,
)
from raynb.runtime.core.gcs_effects import Write
from raynb.runtime.messages.gcs import CreateActor


class ActorIndex:
    """The table of actors and its indexes.

    Attributes
    ----------
    names
        (namespace, name) -> the actor that has it; a dead one has none.
    by_worker
        Address of a process -> the actor in it; a dead actor's until its process has ended.
    unplaced
        Actors for which there is no node.
    dead
        Ids of dead actors, the longest dead first.
    """

    def __init__(self) -> None:
        self.actors: dict[bytes, Actor] = {}
        self.names: dict[tuple[str, str], Actor] = {}
        self.by_worker: dict[str, Actor] = {}
        self.unplaced: dict[bytes, Actor] = {}
        self.dead: deque[bytes] = deque()
        self._by_owner: dict[str, dict[bytes, Actor]] = {}
        self._watched_by: dict[str, dict[bytes, None]] = {}

    def enter(self, actor: Actor) -> None:
        """A living actor gets its id, its name, its owner's eye."""
        self.actors[actor.id] = actor
        if actor.spec.name:
            self.names[actor.spec.namespace, actor.spec.name] = actor
        self._by_owner.setdefault(actor.ends_with, {})[actor.id] = actor

    def arrived(self, actor: Actor, spec: CreateActor) -> None:
        """What it is given to begin with is there."""
        self._disown(actor)
        actor.spec = spec
        self.enter(actor)

    def _disown(self, actor: Actor) -> None:
        owned = self._by_owner.get(actor.ends_with, {})
        owned.pop(actor.id, None)
        if not owned:
            self._by_owner.pop(actor.ends_with, None)

    def repr_of(self, actor_id: bytes) -> str:
        """What it calls itself; empty: nothing of its own."""
        actor = self.actors.get(actor_id)
        return actor.repr_name if actor is not None else ""

    def leave(self, actor: Actor) -> None:
        """It is dead: all that is left of it is the reason."""
        self.dead.append(actor.id)
        self.unplaced.pop(actor.id, None)
        self.by_worker.pop(actor.worker, None)
        if self.names.get((actor.spec.namespace, actor.spec.name)) is actor:
            del self.names[actor.spec.namespace, actor.spec.name]
        self._disown(actor)

    def revive(self, actor: Actor, spec: CreateActor) -> None:
        """A dead one lives again."""
        self.dead.remove(actor.id)
        actor.revive(spec)
        self.enter(actor)

    def forget(self, actor: Actor) -> None:
        """A dead one need not be remembered."""
        self.dead.remove(actor.id)
        del self.actors[actor.id]

    def assign(self, actor: Actor, worker: str) -> None:
        """It is (being) constructed in this process."""
        if actor.worker != worker:
            self.unassign(actor)
            actor.worker = worker
        if worker:
            self.by_worker[worker] = actor

    def unassign(self, actor: Actor) -> None:
        """It has no process."""
        if self.by_worker.get(actor.worker) is actor:
            del self.by_worker[actor.worker]
        actor.worker, actor.pid = "", 0

    def owned_by(self, address: str) -> list[Actor]:
        """Living actors that end with this process."""
        return list(self._by_owner.get(address, {}).values())

    def watch(self, actor: Actor, watcher: str) -> None:
        """This process hears of each change."""
        actor.watchers[watcher] = None
        self._watched_by.setdefault(watcher, {})[actor.id] = None

    def unwatch(self, actor: Actor) -> None:
        """Nothing about it changes any more."""
        for watcher in actor.watchers:
            watched = self._watched_by.get(watcher, {})
            watched.pop(actor.id, None)
            if not watched:
                self._watched_by.pop(watcher, None)
        actor.watchers.clear()

    def drop_watcher(self, watcher: str) -> None:
        """This process is dead."""
        for actor_id in self._watched_by.pop(watcher, {}):
            self.actors[actor_id].watchers.pop(watcher, None)

    def check(self) -> None:
        """The invariants."""
        for name, actor in self.names.items():
            assert actor.state != DEAD, f"{name} is held by {actor!r}"
            assert self.actors.get(actor.id) is actor
        for actor in self.actors.values():
            if actor.state == DEAD:
                assert actor.failure is not None, f"{actor!r} died without a reason"
                assert not actor.watchers, f"{actor!r} is dead and watched"
                assert actor.id not in self.unplaced
            elif actor.spec.name:
                assert self.names[actor.spec.namespace, actor.spec.name] is actor
            if actor.state == ALIVE:
                assert self.by_worker.get(actor.worker) is actor, actor
            if actor.id in self.unplaced:
                assert not actor.node_id, f"{actor!r} is placed and unplaced"
            limit = actor.spec.max_restarts
            assert limit == -1 or actor.incarnation <= limit, f"{actor!r} restarted too often"
        for watcher, watched in self._watched_by.items():
            assert all(watcher in self.actors[actor_id].watchers for actor_id in watched)

    # -- the store

    def load(self, table: str, key: bytes, value: bytes) -> None:
        """A row of the store, specs before lives. `msgspec.DecodeError` or ValueError if it isn't one."""
        if table == SPEC_TABLE:
            self.actors[key] = Actor(decode_spec(value), "")
            return
        actor = self.actors.get(key)
        if actor is None:
            raise ValueError("the state of an actor whose description is lost")
        record = decode_life(value)
        actor.creator = record.creator
        actor.take_life(record)

    def loaded(self) -> list[str]:
        """All rows are there: index them. Returns, for people, the actors whose state is lost; they are dropped."""
        torn = [a for a in self.actors.values() if a.state == DEPENDENCIES_UNREADY and not a.spec.awaits]
        for actor in torn:
            del self.actors[actor.id]
        for actor in self.actors.values():
            if actor.state == DEAD:
                self.dead.append(actor.id)
                continue
            self.enter(actor)
            self.assign(actor, actor.worker)
            if not actor.node_id and not actor.spec.awaits:
                self.unplaced[actor.id] = actor
        return [f"the actor {actor.spec.class_name} {actor.id.hex()}" for actor in torn]

    def writes(self) -> list[Write]:
        """Everything, for a store that has lost it."""
        writes: list[Write] = []
        for actor in self.actors.values():
            writes += [actor.spec_write(), actor.life_write(actor.durable_state)]
        return writes
