"""Placement groups at the GCS: which nodes their bundles are on, and how they get there.

Rules
-----
1. A group is registered once durable; whether and where it can be placed shows later. It is PENDING until then, tried
   again after a pause or when a node has come, for as long as it is wanted.
2. Placing has two phases. RESERVING: each chosen node is asked to hold its bundles free. When all have, COMMITTING:
   each makes them resources that tasks can use; when all have, the group is CREATED. A node that refuses, or dies, has
   all that was reserved given back, and the group is PENDING again.
3. A node that dies takes its bundles with it: the group is RESCHEDULING, which is PENDING under another name, and what
   is left of it on other nodes stays.
4. Removed, it is gone for good: nodes end what runs in it, and what waits for it fails, wherever that is.
5. Which nodes: see `group_layout`.
6. A group that is not detached ends with its job; where an actor has asked for it that outlives the job, with that life
   of the actor.

A GCS that comes back has the nodes reserve again what they have, which costs nothing there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from raynb.runtime.core.bundle_names import bundle_units
from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_effects import Write
from raynb.runtime.core.gcs_journal import Effects, Journal
from raynb.runtime.core.gcs_requests import Requests, refusal
from raynb.runtime.core.group_layout import choose, why_not
from raynb.runtime.core.placement import NodeView, Vector, add, to_units
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.placement import (
    BundlesCommitted,
    BundlesReserved,
    CommitBundles,
    CreateGroup,
    KeepBundles,
    RemoveGroup,
    ReserveBundles,
    ReturnBundles,
)

TABLE: Final = "placement_groups"

PENDING, RESERVING, COMMITTING, CREATED = "PENDING", "PREPARING", "PREPARED", "CREATED"
RESCHEDULING, REMOVED = "RESCHEDULING", "REMOVED"

NEXT: Final[dict[tuple[str, str], str]] = {
    (PENDING, "try"): RESERVING,
    (RESCHEDULING, "try"): RESERVING,
    (RESERVING, "reserved"): COMMITTING,
    (RESERVING, "refused"): PENDING,
    (RESERVING, "lost"): RESCHEDULING,
    (COMMITTING, "committed"): CREATED,
    (COMMITTING, "lost"): RESCHEDULING,
    (CREATED, "lost"): RESCHEDULING,
    (PENDING, "remove"): REMOVED,
    (RESCHEDULING, "remove"): REMOVED,
    (RESERVING, "remove"): REMOVED,
    (COMMITTING, "remove"): REMOVED,
    (CREATED, "remove"): REMOVED,
}

AGAIN_S: Final = 0.2
"""After a refusal: resources may be free again."""
AGAIN_MAX_S: Final = 2.0
ANSWER_S: Final = 2.0
"""A node that has not answered is asked again."""
REMOVED_MAX: Final = 1000
"""So many removed groups are remembered."""


class World(Protocol):
    """What groups need to know of the rest of the cluster."""

    def views(self) -> list[NodeView]:
        """The living nodes."""
        ...

    def manager_of(self, node_id: bytes) -> str:
        """Address of a living node's manager; empty if it is not there."""
        ...

    def settled(self) -> bool:
        """Whether every node that was there before the GCS was started is there again, or given up."""
        ...

    def job_ended(self, job: bytes) -> bool:
        """Whether this job is over."""
        ...

    def lives(self, actor: bytes, incarnation: int) -> bool:
        """Whether an actor is still in this life of it."""
        ...

    def wall(self, now: float) -> float:
        """Seconds since the epoch, for display."""
        ...


class Group(Struct, gc=False):
    """One placement group.

    Attributes
    ----------
    nodes
        For each bundle the id of the node that has it (empty: none yet).
    plan
        Where the present attempt puts them; empty while there is none.
    """

    spec: CreateGroup
    state: str = PENDING
    attempt: int = 0
    nodes: list[bytes] = []
    plan: list[bytes] = []
    waits_for: dict[bytes, None] = {}
    """Nodes that have not answered in this phase."""
    due: float = 0.0
    pause_s: float = 0.2
    why: str = ""
    """Why it is not placed, for people."""
    asked: float = 0.0
    """When it was asked for, in seconds since the epoch, as the next two; 0: before this GCS was started."""
    tried: float = 0.0
    """When its present or last attempt began; 0: there was none."""
    placed: float = 0.0
    """When all its bundles were reserved first."""
    delay_s_max: float = 0.0
    """The longest that it has waited for its next attempt after one was refused."""

    def step(self, event: str) -> None:
        after = NEXT.get((self.state, event))
        if after is None:
            raise AssertionError(f"the placement group {self.spec.group.hex()} can't {event!r} from {self.state}")
        self.state = after

    @property
    def seen(self) -> tuple[str, list[bytes]]:
        """Its state and the nodes of its bundles, as the cluster tells them.

        It is created as soon as all is reserved, for nothing can refuse it any more: a task in one bundle may have run,
        and its caller ask for this, before all nodes have committed.
        """
        if self.state == COMMITTING:
            return CREATED, self.plan
        if self.state == RESERVING:
            return RESCHEDULING if any(self.nodes) else PENDING, self.nodes
        return self.state, self.nodes

    def write(self) -> Write:
        placed = self.nodes if self.state == CREATED else []
        record = msgspec.msgpack.encode((self.spec, self.state == REMOVED, placed))
        return Write(TABLE, self.spec.group, record)


class PlacementGroups:
    """See the module's rules.

    Parameters
    ----------
    epoch
        How many times the GCS of this cluster has been started.
    placed, removed
        Called when a group is, with its id: others wait for that, or end with it.
    """

    def __init__(
        self,
        epoch: int,
        journal: Journal,
        requests: Requests,
        world: World,
        placed: Callable[[float], Effects],
        removed: Callable[[bytes, float], Effects],
    ) -> None:
        self._epoch = epoch
        # No earlier start of the GCS has come so far.
        self._first_attempt = epoch << 20
        self._journal = journal
        self._requests = requests
        self._views = world.views
        self._manager_of = world.manager_of
        self._settled = world.settled
        self._job_ended = world.job_ended
        self._lives = world.lives
        self._wall = world.wall
        self._placed = placed
        self._on_removed = removed
        self.groups: dict[bytes, Group] = {}
        self._removed: list[bytes] = []
        self._outliving: dict[bytes, None] = {}
        """Groups whose job may be over while the actor lives that has asked for them."""
        self.handlers: dict[type, Callable[[str, Any, float], Effects]] = {
            CreateGroup: self.create,
            RemoveGroup: lambda sender, message, now: self.remove(sender, message, now),
            BundlesReserved: self._on_reserved,
            BundlesCommitted: self._on_committed,
        }

    def __repr__(self) -> str:
        return f"<PlacementGroups {len(self.groups)}>"

    # -- what clients ask

    def create(self, sender: str, message: CreateGroup, now: float) -> Effects:
        """Rule 1."""
        known = self.groups.get(message.group)
        if known is None and message.name:
            taken = self.named(message.name, message.namespace)
            if taken is not None:
                text = f"a placement group of the name {message.name!r} is there already: {taken.spec.group.hex()}"
                return [self._requests.answer(sender, refusal(message.request, "RaySystemError", text), keep=True)]

        def answer() -> Effects:
            return [self._requests.answer(sender, Reply(message.request), keep=True), *self._try(group, now)]

        def undo(reason: str) -> Effects:
            self.groups.pop(message.group, None)
            text = f"the placement group was not registered: {reason}"
            reply = self._requests.answer(sender, refusal(message.request, "RaySystemError", text), keep=True)
            return [reply, self._journal.write([Write(TABLE, message.group, None)], now)]

        if known is not None:
            group = known
            return self._journal.when_durable(TABLE, message.group, answer, undo)
        group = self.groups[message.group] = Group(
            message, attempt=self._first_attempt, nodes=[b""] * len(message.bundles), due=now + ANSWER_S,
            asked=self._wall(now),
        )  # fmt: skip
        if not message.detached and self._job_ended(message.job):
            self._outliving[message.group] = None
        return [self._journal.write([group.write()], now, answer, undo)]

    def remove(self, sender: str, message: RemoveGroup, now: float) -> Effects:
        """Rule 4."""

        def told(_reason: str = "") -> Effects:
            return [self._requests.answer(sender, Reply(message.request), keep=True)]

        group = self.groups.get(message.group)
        if group is None:
            return told()
        if group.state == REMOVED:
            return self._journal.when_durable(TABLE, message.group, told, told)
        return self._end(group, now, told)

    def job_ended(self, job: bytes, now: float) -> Effects:
        """Rule 6."""
        self._outliving |= {
            group.spec.group: None
            for group in self.groups.values()
            if group.spec.job == job and not group.spec.detached and group.state != REMOVED
        }
        return self._end_with_actors(now)

    def _end_with_actors(self, now: float) -> Effects:
        effects: Effects = []
        for group_id in list(self._outliving):
            group = self.groups.get(group_id)
            if group is None or group.state == REMOVED or not self._job_ended(group.spec.job):
                del self._outliving[group_id]
            elif not (group.spec.actor and self._lives(group.spec.actor, group.spec.incarnation)):
                del self._outliving[group_id]
                effects += self._end(group, now, lambda _reason="": [])
        return effects

    def _end(self, group: Group, now: float, told: Callable[..., Effects]) -> Effects:
        group.step("remove")
        group.why = "it was removed"
        effects = self._return(group, [], removed=True)
        effects += self._on_removed(group.spec.group, now)
        self._removed.append(group.spec.group)
        writes = [group.write()]
        while len(self._removed) > REMOVED_MAX:
            oldest = self._removed.pop(0)
            del self.groups[oldest]
            writes.append(Write(TABLE, oldest, None))
        return [*effects, self._journal.write(writes, now, told, told)]

    def named(self, name: str, namespace: str) -> Group | None:
        """The group of this name that is not removed."""
        for group in self.groups.values():
            spec = group.spec
            if spec.name == name and spec.namespace == namespace and group.state != REMOVED:
                return group
        return None

    def is_removed(self, group: bytes) -> bool:
        """Whether there is no such group (any more)."""
        known = self.groups.get(group)
        return known is None or known.state == REMOVED

    def held(self, resource: str) -> dict[bytes, Vector]:
        """By node, what a bundle, or all bundles of a group, have there, by the name of a resource; empty: none now."""
        *_, index, group_id = resource.split("_")
        group = self.groups.get(bytes.fromhex(group_id))
        if group is None or group.state != CREATED:
            return {}
        held: dict[bytes, Vector] = {}
        for i in (int(index),) if index.isdigit() else range(len(group.nodes)):
            units = bundle_units(to_units(group.spec.bundles[i]), group.spec.group, i)
            add(held.setdefault(group.nodes[i], {}), units)
        return held

    # -- placing

    def _try(self, group: Group, now: float) -> Effects:
        if group.state not in (PENDING, RESCHEDULING):
            return []
        group.due = now + AGAIN_S
        views = self._views()
        hopes = False
        if any(node and not self._manager_of(node) for node in group.nodes) and not self._settled():
            return []  # they may come back
        kept = {i: node for i, node in enumerate(group.nodes) if self._manager_of(node)}
        nodes = choose(group.spec, views, kept)
        if nodes is None:
            # What is free may have changed since it was told: the nodes know.
            hopes = True
            group.why = group.why or "what its bundles need is in use"
            nodes = choose(group.spec, [NodeView(v.node_id, v.total, v.total, labels=v.labels) for v in views], kept)
        if nodes is None:
            group.why = why_not(group.spec, views)
            return []
        group.step("try")
        # One that only hopes must not hold up, at each of its tries, another that would fit.
        group.pause_s = min(AGAIN_MAX_S, 2 * group.pause_s) if hopes else AGAIN_S
        group.attempt += 1
        group.tried = self._wall(now)
        group.plan = nodes
        return self._ask(group, now)

    def _ask(self, group: Group, now: float) -> Effects:
        """Begin the phase that it is in."""
        group.due = now + ANSWER_S
        group.waits_for = dict.fromkeys(group.plan)
        return self._ask_again(group)

    def _ask_again(self, group: Group) -> Effects:
        effects: Effects = []
        spec = group.spec
        for node in group.waits_for:
            manager = self._manager_of(node)
            if not manager:
                continue
            if group.state == RESERVING:
                mine = [(i, spec.bundles[i]) for i, at in enumerate(group.plan) if at == node]
                effects.append(Send(manager, ReserveBundles(spec.group, group.attempt, mine)))
            else:
                effects.append(Send(manager, CommitBundles(spec.group, group.attempt)))
        return effects

    def _answered(self, sender: str, message: BundlesReserved | BundlesCommitted, state: str) -> Group | None:
        """The group, if this was the last answer of a phase that it waits for."""
        group = self.groups.get(message.group)
        if group is None or group.attempt != message.attempt or group.state != state:
            return None
        for node in list(group.waits_for):
            if self._manager_of(node) == sender:
                del group.waits_for[node]
        return None if group.waits_for else group

    def _on_reserved(self, sender: str, message: BundlesReserved, now: float) -> Effects:
        if message.missing:
            group = self.groups.get(message.group)
            if group is None or group.attempt != message.attempt or group.state != RESERVING:
                return []
            return self._refused(group, f"{message.missing} are in use", now)
        group = self._answered(sender, message, RESERVING)
        if group is None:
            return []
        group.step("reserved")
        group.placed = group.placed or self._wall(now)
        return self._ask(group, now)

    def _refused(self, group: Group, why: str, now: float) -> Effects:
        effects = self._return(group, group.plan)
        group.step("lost" if any(group.nodes) else "refused")
        group.why = why
        group.plan = []
        group.due = now + group.pause_s
        group.delay_s_max = max(group.delay_s_max, group.pause_s)
        return effects

    def _on_committed(self, sender: str, message: BundlesCommitted, now: float) -> Effects:
        group = self._answered(sender, message, COMMITTING)
        if group is None:
            return []
        group.step("committed")
        group.why = ""
        group.nodes, group.plan = group.plan, []
        return [self._journal.write([group.write()], now, lasting=True), *self._placed(now)]

    def _return(self, group: Group, nodes: Sequence[bytes], *, removed: bool = False) -> Effects:
        # What waits for a removed one somewhere is to learn that it is gone.
        places = [view.node_id for view in self._views()] if removed else [node for node in nodes if node]
        managers = dict.fromkeys(map(self._manager_of, places))
        message = ReturnBundles(group.spec.group, group.attempt, removed)
        return [Send(manager, message) for manager in managers if manager]

    # -- nodes and time

    def node_joined(self, node_id: bytes, now: float) -> Effects:
        """A node is there (again): what is pending may fit, and a GCS that is new has it reserve what it had."""
        known = [group for group in self.groups.values() if group.state != REMOVED]
        here = [(group.spec.group, i) for group in known for i, at in enumerate(group.nodes) if at == node_id]
        effects: Effects = []
        if self._epoch > 1 or self._removed:  # before the first start nobody had placed anything
            message = KeepBundles(self._first_attempt, here, list(self._removed))
            effects.append(Send(self._manager_of(node_id), message))
        for group in known:
            effects += self._try(group, now)
        return effects

    def node_died(self, node_id: bytes, now: float) -> Effects:
        """Rule 3."""
        effects: Effects = []
        for group in self.groups.values():
            if node_id in group.plan and group.state == RESERVING:
                effects += self._refused(group, "a node has died", now)
            elif node_id in group.plan and group.state == COMMITTING:
                # What the others have, they have.
                group.nodes, group.plan = group.plan, []
                group.step("lost")
            elif node_id in group.nodes and group.state == CREATED:
                group.step("lost")
            if node_id in group.nodes:
                group.why = "a node of it has died"
                group.nodes = [b"" if at == node_id else at for at in group.nodes]
                group.due = now
        return effects

    def tick(self, now: float) -> Effects:
        """Try again, ask again."""
        effects = self._end_with_actors(now) if self._outliving else []
        for group in self.groups.values():
            if group.state in (CREATED, REMOVED) or group.due > now:
                continue
            if group.state in (RESERVING, COMMITTING):
                group.due = now + ANSWER_S
                effects += self._ask_again(group)
            elif not self._journal.is_dirty(TABLE, group.spec.group):
                effects += self._try(group, now)
        return effects

    @property
    def waiting(self) -> bool:
        """Whether a tick may bring one on."""
        return any(group.state not in (CREATED, REMOVED) for group in self.groups.values())

    # -- the store

    def load(self, key: bytes, value: bytes) -> None:
        """A row of the store. `msgspec.DecodeError` if it isn't one."""
        spec, removed, placed = msgspec.msgpack.decode(value, type=tuple[CreateGroup, bool, list[bytes]])
        state = REMOVED if removed else RESCHEDULING if placed else PENDING
        group = Group(spec, state, self._first_attempt, placed or [b""] * len(spec.bundles))
        self.groups[key] = group
        if removed:
            self._removed.append(key)
        elif not spec.detached:
            self._outliving[key] = None

    def writes(self) -> list[Write]:
        """Everything, for a store that has lost it."""
        return [group.write() for group in self.groups.values()]

    def check(self) -> None:
        """The invariants."""
        for group in self.groups.values():
            assert len(group.nodes) == len(group.spec.bundles), group
            if group.state == CREATED:
                assert all(group.nodes), group
                if group.spec.strategy == "STRICT_PACK":
                    assert len(set(group.nodes)) == 1, group
                if group.spec.strategy == "STRICT_SPREAD":
                    assert len(set(group.nodes)) == len(group.nodes), group
