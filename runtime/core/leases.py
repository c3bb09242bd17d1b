"""Who may use which part of a node: demands, grants of workers, and their return.

Rules
-----
1. A demand is a *level*: client X could use so many workers of class K in all. It waits while it has fewer. An actor
   that is to be started waits as a demand for one worker, which it then keeps for life.
2. Those who wait stand in one queue, whatever they are. Who has fewest workers is served first, of these who has
   waited longest; so clients and classes share evenly, one worker at a time.
3. What doesn't fit may be overtaken, but only for `RESERVE_AFTER_S`. After that nobody younger gets what it needs,
   provided that running leases can make room for it. What a waiting (blocked) lease or an actor holds may never come
   back before somebody younger has run, so no reservation stands on that.
4. When somebody waits for resources, leases are asked back (once each, as many as would make room), in this order:
   those beyond their client's level, those of classes that have more than one more than who waits, and those that are
   older than `RECLAIM_AFTER_S`. A client gives them back when they are idle, that is after what was pushed already.
5. A blocked worker's CPU is lent out; only the CPU, since memory, GPUs and what else it holds are still in use. Going
   on, it takes the CPU back without asking, and what is available may be negative until somebody returns some.
6. A demand that the totals can't cover, or for which another node is meant, is infeasible: its client is told once,
   and it waits outside of the queue until that changes. Where the totals have shrunk below what is held, leases are
   asked back until that fits again.
7. A claim waits for resources alone, without a worker (a placement group's bundles do). It is looked after before all
   demands, by rules 3 and 4, and takes what it needs itself, when that is there.
8. Resources are conserved: available plus all that is held is the total. One worker has one grant at most.

It never knows workers' processes (`worker_pool` does), only their tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from raynb.runtime.core.gpus import Gpus, Taken
from raynb.runtime.core.grants import Demand, Grant, Outcome
from raynb.runtime.core.placement import (
    CPU,
    GPU,
    NodeView,
    Vector,
    add,
    describe,
    fits,
    lacking,
    subtract,
    why_infeasible,
)
from raynb.runtime.messages.node import LeaseDemand, StartActor

RESERVE_AFTER_S = 0.3
CPU_OF_GROUP = f"{CPU}_group_"
"""So begin the names of placement groups' CPUs (`bundles`)."""
RECLAIM_AFTER_S = 0.2


class Leases:
    """See the module's rules. ``total`` is what the node has."""

    def __init__(self, total: Vector, gpu_names: Sequence[str] = ()) -> None:
        self.total = dict(total)
        self.gpus = Gpus(total.get(GPU, 0), gpu_names)
        self.available = dict(total)
        self.demands: dict[tuple[str, int], Demand] = {}
        self.actors: dict[bytes, Demand] = {}
        """Those that still wait for a worker."""
        self.by_number: dict[int, Grant] = {}
        self.by_token: dict[str, Grant] = {}
        self._queue: dict[Demand, None] = {}
        self.claims: dict[Demand, None] = {}
        self.infeasible: dict[Demand, None] = {}
        """Those that wait outside of the queue: rule 6."""
        self.comes_here: Callable[[Demand], bool] = lambda demand: True
        """Whether this node comes into question for it at all."""
        self._granted = 0
        self._reserved: Vector = {}
        """Held for placement groups (`bundles`)."""
        self._overdrawn = False
        """More is held than there is since the totals have shrunk."""

    def __repr__(self) -> str:
        return f"<Leases {len(self.by_number)} granted, {len(self._queue)} wait, free: {describe(self.available)}>"

    # -- demands

    def state_demand(self, client: str, message: LeaseDemand, need: Vector, now: float) -> str:
        """Take a client's level; gives why it is infeasible, if that is new to it."""
        demand = self.demands.get((client, message.key))
        if demand is None:
            if message.count <= 0:
                return ""
            demand = self.demands[client, message.key] = Demand(client, message.key, need, now)
        demand.need = need
        demand.runtime_env = message.runtime_env
        demand.retriable = message.retriable
        demand.spills = [spill for spill in demand.spills if spill[0] > message.heeded]
        demand.count = max(0, message.count - sum(count for _, count in demand.spills))
        demand.name = message.name or demand.name
        demand.home, demand.sent_on, demand.wait = message.home, message.sent_on, message.wait
        demand.strategy, demand.number = message.strategy, message.number
        told = demand.infeasible
        why = self._enqueue(demand, now)
        return why if not told else ""

    def start_actor(self, start: StartActor, need: Vector, now: float) -> Demand:
        """Queue an actor. Its ``infeasible`` says if it can't ever run here."""
        demand = Demand("", 0, need, now)
        demand.count = 1
        demand.name = start.name or start.cls.name
        demand.runtime_env = start.runtime_env
        demand.retriable = start.restarts
        demand.start = start
        demand.strategy = start.strategy
        self.actors[start.actor_id] = demand
        self._enqueue(demand, now)
        return demand

    def set_count(self, demand: Demand, count: int, now: float) -> None:
        """Change a level that is known."""
        demand.count = count
        self._enqueue(demand, now)

    def look_again(self, demand: Demand, now: float) -> None:
        """Whether this node comes into question for it may have changed."""
        self._enqueue(demand, now)

    def forget_actor(self, actor_id: bytes) -> Demand | None:
        """It is not to be started after all."""
        demand = self.actors.pop(actor_id, None)
        if demand is not None:
            self._queue.pop(demand, None)
            self.infeasible.pop(demand, None)
        return demand

    def _enqueue(self, demand: Demand, now: float) -> str:
        demand.infeasible = ""
        self.infeasible.pop(demand, None)
        if demand.missing <= 0:
            self._queue.pop(demand, None)
            # What was sent on is remembered until the client has heeded it: what it says may still have that in it.
            if demand.count == 0 and not demand.grants and not demand.spills:
                self.demands.pop((demand.client, demand.key), None)
            return ""
        if not fits(demand.need, self.total) or not self.comes_here(demand):
            self._queue.pop(demand, None)
            what = demand.name or "a task"
            why = why_infeasible(what, demand.need, [NodeView(b"", self.total, self.available)])
            demand.infeasible = why or f"{what} is to run on another node."
            self.infeasible[demand] = None
            return demand.infeasible
        if demand not in self._queue:
            demand.since = now
            self._queue[demand] = None
        return ""

    def set_total(self, total: Vector, now: float) -> list[Demand]:
        """The node has more or less than before. What is granted stays, so what is available may be negative.

        Returns
        -------
        list of Demand
            Those that it can't meet any more: they wait outside of the queue until it has more again.
        """
        subtract(self.available, self.total)
        add(self.available, total)
        self.total = dict(total)
        self.gpus.set_total(total.get(GPU, 0))
        self.available = {name: value for name, value in self.available.items() if value or name in total}
        self._overdrawn = True
        known = [*self.demands.values(), *self.actors.values()]
        before = {demand for demand in known if demand.infeasible}
        return [demand for demand in known if self._enqueue(demand, now) and demand not in before]

    def reserve(self, units: Vector) -> None:
        """Take something out of what is available; it must be there."""
        subtract(self.available, units)
        add(self._reserved, units)

    def unreserve(self, units: Vector) -> None:
        """The opposite."""
        subtract(self._reserved, units)
        self._give_back(units)

    def _give_back(self, units: Vector) -> None:
        """Add to what is available; of what the node has no longer nothing is remembered."""
        add(self.available, units)
        for name in units:
            if not self.available[name] and name not in self.total:
                del self.available[name]

    # -- granting

    def serve(self, take_worker: Callable[[Demand], str | None], room: int, now: float) -> Outcome:
        """Grant what can be granted.

        Parameters
        ----------
        take_worker
            Takes an idle worker for this demand and gives its token; None: there is none.
        room
            At most so many units are reported as lacking a worker.
        """
        outcome = Outcome()
        free = dict(self.available)
        pending: dict[Demand, int] = {}
        claims = self._serve_claims(free, outcome, now)
        turns = [(len(demand.grants), place, demand) for place, demand in enumerate(self._queue)]
        heapify(turns)
        while turns:
            count, place, demand = heappop(turns)
            if not fits(demand.need, free) or self.gpus.choose(demand.need) is None:
                outcome.unmet.append((demand, demand.missing - pending.get(demand, 0)))
                if now - demand.since >= RESERVE_AFTER_S and self.can_make_room(demand.need):
                    reserve(free, demand.need)
                continue
            token = take_worker(demand) if not pending.get(demand) else None
            if token is not None:
                outcome.granted.append(self._grant(demand, token, now))
            elif outcome.workers_wanted < room:
                pending[demand] = pending.get(demand, 0) + 1
                outcome.workers_wanted += 1
            else:
                continue
            subtract(free, demand.need)
            if demand.missing > pending.get(demand, 0):
                heappush(turns, (count + 1, place, demand))
        if self._overdrawn:
            self._reclaim_debt(outcome)
        # What does not wait is not waited for.
        self._reclaim([*claims, *(demand for demand, _ in outcome.unmet if demand.wait)], outcome, now)
        return outcome

    def _serve_claims(self, free: Vector, outcome: Outcome, now: float) -> list[Demand]:
        """Rule 7; gives those that lack something."""
        unmet: list[Demand] = []
        for claim in self.claims:
            if fits(claim.need, free):
                outcome.claims.append(claim)
                subtract(free, claim.need)
                continue
            unmet.append(claim)
            if now - claim.since >= RESERVE_AFTER_S and self.can_make_room(claim.need):
                reserve(free, claim.need)
        return unmet

    def _grant(self, demand: Demand, token: str, now: float) -> Grant:
        self._granted += 1
        grant = Grant(self._granted, demand, token, now)
        subtract(self.available, grant.held)
        grant.gpus = self.gpus.take(grant.held)
        demand.grants[grant.number] = self.by_number[grant.number] = self.by_token[token] = grant
        self._queue.pop(demand)
        demand.stays -= demand.stays > 0
        if demand.start is not None:
            self.actors.pop(demand.start.actor_id, None)
        elif demand.missing > 0:
            demand.since = now
            self._queue[demand] = None
        return grant

    def can_make_room(self, need: Vector) -> bool:
        """Rule 3: whether running leases and what is available cover it."""
        room = dict(self.available)
        gpus: list[Taken] = []
        for grant in self.by_number.values():
            if not grant.blocked and grant.demand.start is None:
                add(room, grant.held)
                gpus += grant.all_gpus
        return fits(need, room) and self.gpus.choose(need, gpus) is not None

    def _reclaim_debt(self, outcome: Outcome) -> None:
        """Rule 6, its end: the newest leases first."""
        short = {name for name, value in self.available.items() if value < 0}
        self._overdrawn = bool(short)
        expected = dict(self.available)
        lent = [grant for grant in self.by_number.values() if grant.demand.start is None and not grant.blocked]
        for grant in lent:
            if grant.reclaimed:
                add(expected, grant.held)
        for grant in reversed(lent):
            if not grant.reclaimed and any(expected[name] < 0 and name in grant.held for name in short):
                grant.reclaimed = True
                outcome.reclaim.setdefault(grant.demand.client, []).append(grant.number)
                add(expected, grant.held)

    def _reclaim(self, unmet: Iterable[Demand], outcome: Outcome, now: float) -> None:
        """Rule 4."""
        expected = dict(self.available)
        gpus: list[Taken] = []
        candidates: list[Grant] = []
        for grant in self.by_number.values():
            if grant.demand.start is not None or grant.blocked:
                continue
            if grant.reclaimed:
                add(expected, grant.held)
                gpus += grant.all_gpus
            else:
                candidates.append(grant)
        for demand in unmet:
            missing = self._missing(demand.need, expected, gpus)
            chosen: list[Grant] = []
            back: list[Taken] = []
            if missing:
                for _, grant in self._victims(demand, candidates, now):
                    if any(name in missing for name in grant.held):
                        chosen.append(grant)
                        add(expected, grant.held)
                        back += grant.all_gpus
                        missing = self._missing(demand.need, expected, [*gpus, *back])
                        if not missing:
                            break
            if missing:
                for grant in chosen:
                    subtract(expected, grant.held)
                continue
            gpus += back
            for grant in chosen:
                grant.reclaimed = True
                candidates.remove(grant)
                outcome.reclaim.setdefault(grant.demand.client, []).append(grant.number)
            subtract(expected, demand.need)

    def _missing(self, need: Vector, expected: Vector, coming: Iterable[Taken]) -> Vector:
        """What is not there; where what is there of GPUs is in pieces, these."""
        missing = lacking(need, expected)
        if not missing and self.gpus.choose(need, coming) is None:
            return {name: units for name, units in need.items() if name.startswith(GPU)}
        return missing

    @staticmethod
    def _victims(demand: Demand, candidates: list[Grant], now: float) -> list[tuple[int, Grant]]:
        """Leases that may be asked back for this demand, the best first, with their rank."""
        found: list[tuple[int, Grant]] = []
        taken: dict[Demand, int] = {}
        for grant in candidates:
            other = grant.demand
            if other is demand:
                continue
            left = len(other.grants) - taken.get(other, 0)
            if left > other.count:
                rank = 0
            elif left > len(demand.grants) + 1:
                rank = 1
            elif now - grant.at >= RECLAIM_AFTER_S and now - demand.since >= RECLAIM_AFTER_S:
                rank = 2
            else:
                continue
            if rank < 2:
                taken[other] = taken.get(other, 0) + 1
            found.append((rank, grant))
        found.sort(key=lambda pair: (pair[0], pair[1].number))
        return found

    # -- returning

    def release(self, grant: Grant, now: float) -> None:
        """A grant ends: its client returned it, or its worker is dead."""
        self._give_back(grant.held)
        if grant.gpus is not None:
            grant.gpus.give_back()
        demand = grant.demand
        del self.by_number[grant.number], self.by_token[grant.token], demand.grants[grant.number]
        if demand.start is None:
            self._enqueue(demand, now)

    def drop_client(self, client: str) -> list[Grant]:
        """A client is gone: its demands too. Gives its leases, which hold their resources until they are released."""
        grants: list[Grant] = []
        for key in [key for key in self.demands if key[0] == client]:
            demand = self.demands.pop(key)
            demand.count = 0
            self._queue.pop(demand, None)
            self.infeasible.pop(demand, None)
            grants += demand.grants.values()
        for grant in grants:
            grant.reclaimed = True  # it comes back without being asked for
        return grants

    def block(self, token: str, blocked: bool) -> None:
        """Rule 5."""
        grant = self.by_token.get(token)
        if grant is None or grant.blocked == blocked:
            return
        grant.blocked = blocked
        lent = {
            name: units for name, units in grant.demand.need.items() if name == CPU or name.startswith(CPU_OF_GROUP)
        }
        if blocked:
            self._give_back(lent)
            for name in lent:
                grant.held.pop(name, None)
        else:
            subtract(self.available, lent)
            grant.held.update(lent)

    # -- explaining

    @property
    def any_waiting(self) -> bool:
        """Whether anybody is in the queue, or claims something."""
        return bool(self._queue or self.claims)

    def waiting(self) -> list[Demand]:
        """Those in the queue, the next first."""
        return list(self._queue)

    def waiting_units(self) -> Vector:
        """What all that waits would take."""
        units: Vector = {}
        for demand in self._queue:
            add(units, {name: value * demand.missing for name, value in demand.need.items()})
        return units

    def statistics(self) -> dict[str, Any]:
        return {"granted": len(self.by_number), "waiting": len(self._queue), "available": dict(self.available)}

    def check(self) -> None:
        """Raise `AssertionError` where an invariant does not hold."""
        held: Vector = {}
        for number, grant in self.by_number.items():
            assert grant.number == number and grant.demand.grants.get(number) is grant, grant
            assert self.by_token.get(grant.token) is grant, grant
            add(held, grant.held)
        assert self.gpus.left == self.available.get(GPU, 0), self.gpus
        assert len(self.by_token) == len(self.by_number), "a worker has two grants"
        for name in {*self.total, *self.available, *held, *self._reserved}:
            there = self.available.get(name, 0) + held.get(name, 0) + self._reserved.get(name, 0)
            assert there == self.total.get(name, 0), f"{name}: {there} of {self.total.get(name, 0)}"
        for demand in [*self.demands.values(), *self.actors.values()]:
            waits = demand.missing > 0 and not demand.infeasible
            assert waits == (demand in self._queue), demand
        for demand in self._queue:
            assert demand.missing > 0, demand
        for demand in self.infeasible:
            assert demand.infeasible and demand.missing > 0, demand


def reserve(free: Vector, need: Vector) -> None:
    """Set aside, as far as it is there, what somebody waits for."""
    for name, value in need.items():
        free[name] = max(0, free.get(name, 0) - value) if free.get(name, 0) > 0 else free.get(name, 0)
