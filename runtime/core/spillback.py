"""What becomes of demands that a node can't meet: its own clients are sent on to other nodes, others' are declined.

Rules
-----
1. A demand of a client that is at home here and finds no room is spilled, unit by unit, to the emptiest other node that
   has room for it. Where this node comes not into question (it can never meet it, or another one is meant), what finds
   no room is shared out to those that do, and waits there. What is to be spread is shared out before all else. What
   says nothing of its place, and was not drawn here by its inputs, stays until half of this node is taken
   (``Config.spread_threshold``); the next goes to others of which that is not so, and then where most is free: Ray's
   "hybrid" scheduling. What asks for no GPU goes to a node with GPUs, this one too, only if no other has room.
2. What was spilled counts no more here. The client says when it has heeded that: until then what it says of its
   demand still has the spilled part in it. Where leases are all that fills this node (``full``), a client that has some
   which idle gives them back and keeps its demand here.
3. A demand that was sent here from another node is granted at once or declined. If it is to wait, and also where it is
   an actor's, it is declined after `WAIT_S` if another node has room by then. What can't ever be met here is declined.
4. What is known of other nodes is late, and others spill too: so what is spilled counts as taken there for
   `PROMISE_S` (`SPREAD_PROMISE_S`), and whoever is declined is not sent to the same node again before that.
5. What no node can ever meet is told to the client, and looked at again when the nodes have changed. Only a node that
   is gone never comes back, and one that is too small stays so: what had to run there fails, once it is sure that the
   node is not just about to be known.
"""

from __future__ import annotations

from typing import Any, Final

from raynb.runtime.core.effects import Send
from raynb.runtime.core.grants import Demand, Outcome
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.node_identity import NodeIdentity
from raynb.runtime.core.peers import Peers
from raynb.runtime.core.placement import (
    CPU,
    GPU,
    NodeView,
    feasible_nodes,
    hand_out,
    hybrid,
    spread,
    subtract,
    utilisation,
    why_infeasible,
)
from raynb.runtime.core.strategies import may, share_out, wanted, why_never, why_not_now, why_nowhere
from raynb.runtime.messages.node import NO_ROOM, ActorStartFailed, LeaseInfeasible, StartActor
from raynb.runtime.messages.nodes import LeaseDeclined, LeaseSpill
from raynb.runtime.messages.strategy import DEFAULT
from raynb.runtime.messages.values import Failed

PROMISE_S: Final = 0.3
SPREAD_PROMISE_S: Final = 0.1
"""Where leases are spread they are for one task each: who runs short ones has room again soon."""
WAIT_S: Final = 1.0
UNKNOWN_S: Final = 1.0
"""So long after it was asked for, a node that nobody knows may turn out to be a new one."""
DECLINED_MAX: Final = 10_000


class Spillback:
    """See the module's rules."""

    def __init__(self, identity: NodeIdentity, leases: Leases, peers: Peers, threshold: float = 0.5) -> None:
        self._identity = identity
        self._threshold = threshold
        self._leases = leases
        self._peers = peers
        self._number = 0
        self._after = b""
        """The node that had the last turn where demands are spread."""
        self._declined: dict[bytes, tuple[int, int]] = {}
        """Actors that were not started for want of room: incarnation, and which placing of it."""
        leases.comes_here = self._comes_here

    def _me(self) -> NodeView:
        me, leases = self._identity, self._leases
        return NodeView(me.node_id, leases.total, dict(leases.available), me.address, me.labels)

    def _comes_here(self, demand: Demand) -> bool:
        strategy = demand.strategy
        if strategy is None or strategy.spread:
            return True
        me = self._me()
        if demand.sent_on or demand.start is not None or strategy.spills:
            return may(strategy, me)
        return me in wanted(strategy, demand.need, [me, *self._peers.views.values()])

    def _others(self, demand: Demand, now: float) -> list[NodeView]:
        """The other nodes that come into question, as they are likely to be."""
        peers = self._peers.expected(now)
        if demand.strategy is None or demand.strategy.spills:
            return feasible_nodes(demand.need, peers)
        me = self._me()
        return [node for node in wanted(demand.strategy, demand.need, [me, *peers]) if node is not me]

    # -- before and after granting

    def before(self, now: float) -> list[Any]:
        """Send on what is to go elsewhere even if there is room here."""
        if not self._peers:
            return []
        effects: list[Any] = []
        me = self._me()
        for demand in self._leases.waiting():
            strategy = demand.strategy
            if demand.sent_on or demand.start is not None:
                continue
            if strategy is None:
                effects += self._share_out(demand, me, now)
            elif strategy.spread:
                effects += self._spread(demand, now)
            elif strategy.spills and strategy.node_id != self._identity.node_id:
                named = [node for node in self._peers.expected(now) if node.node_id == strategy.node_id]
                effects += self._fill(demand, demand.missing, named, now)
        return effects

    def _share_out(self, demand: Demand, me: NodeView, now: float) -> list[Any]:
        """Rule 1, its end. Takes what stays from what ``me`` has available."""
        need = demand.need
        if not need.get(CPU) or demand.home:
            return []
        others = self._others(demand, now)
        shares = hand_out(need, demand.missing, lambda: hybrid(need, me, others, self._threshold))
        shares.pop(me.manager, None)
        full = bool(need.get(GPU) or not me.total.get(GPU))
        return [self._send(demand, manager, count, now, full=full) for manager, count in shares.items()]

    def serve(self, outcome: Outcome, now: float) -> list[Any]:
        """After what could be granted was: send on, or decline, what could not."""
        effects: list[Any] = []
        for demand, missing in outcome.unmet if self._peers else ():
            strategy = demand.strategy or DEFAULT
            if demand.start is not None:
                if self._in_vain(demand, now):
                    effects += self._decline_actor(demand.start)
            elif not demand.sent_on:
                if not strategy.spread:
                    full = demand.strategy is None
                    effects += self._fill(demand, missing, self._others(demand, now), now, full=full)
            elif not demand.wait or self._in_vain(demand, now):
                effects.append(self._decline(demand, demand.count - missing, now))
        for demand, _ in outcome.unmet:
            # Only the node that is meant knows for sure that it has no room.
            strategy = demand.strategy or DEFAULT
            if strategy.fails and demand.start is not None:
                effects.append(self._fail_actor(demand.start, why_not_now(demand.name, strategy)))
            elif strategy.fails:
                why = self._why_never(demand, now) or why_not_now(demand.name or "a task", strategy)
                effects.append(self._fail(demand, why, now))
        for demand in list(self._leases.infeasible):
            effects += self._elsewhere(demand, now)
        return effects

    def _spread(self, demand: Demand, now: float) -> list[Any]:
        """Rule 1, its end: those that are missing and that nothing was decided about yet."""
        demand.stays = min(demand.stays, demand.missing)
        me = self._me()
        for _ in range(demand.stays):
            subtract(me.available, demand.need)
        nodes = [node for node in [me, *self._peers.expected(now)] if may(demand.strategy or DEFAULT, node)]
        shares, self._after = share_out(demand.need, demand.missing - demand.stays, nodes, self._after)
        demand.stays += shares.pop(me.manager, 0)
        return [self._send(demand, manager, count, now) for manager, count in shares.items()]

    def _fill(
        self, demand: Demand, missing: int, nodes: list[NodeView], now: float, *, wait: bool = False, full: bool = False
    ) -> list[Any]:
        """Give it unit by unit to the emptiest of these nodes; with ``wait``, whether it has room or not."""

        def emptiest() -> NodeView | None:
            return min(nodes, key=utilisation, default=None) if wait else spread(demand.need, nodes)

        shares = hand_out(demand.need, missing, emptiest)
        return [self._send(demand, manager, count, now, wait=wait, full=full) for manager, count in shares.items()]

    def _send(
        self, demand: Demand, manager: str, count: int, now: float, *, wait: bool = False, full: bool = False
    ) -> Send:
        """Rules 2 and 4."""
        self._number += 1
        demand.spills.append((self._number, count))
        self._leases.set_count(demand, demand.count - count, now)
        spreads = demand.strategy is not None and demand.strategy.spread
        self._peers.promise(manager, demand.need, count, now + (SPREAD_PROMISE_S if spreads else PROMISE_S))
        return Send(demand.client, LeaseSpill(demand.key, manager, count, self._number, wait, full))

    # -- what this node never meets

    def _elsewhere(self, demand: Demand, now: float) -> list[Any]:
        """Rule 1, where this node does not come into question; rule 3, its last; rule 5."""
        if demand.strategy is not None and self._comes_here(demand):
            self._leases.look_again(demand, now)  # the node that was meant is gone, say
            if demand not in self._leases.infeasible:
                return []
        if demand.sent_on:
            return [self._decline(demand, len(demand.grants), now)]
        others = self._others(demand, now)
        if demand.start is not None:
            return self._decline_actor(demand.start) if others else []
        effects = self._fill(demand, demand.missing, others, now)
        if why := self._why_never(demand, now):
            return [*effects, self._fail(demand, why, now)] if demand.missing > 0 else effects
        return effects + self._fill(demand, demand.missing, others, now, wait=True)

    def _why_never(self, demand: Demand, now: float) -> str:
        """Rule 5, its end: why the one node that is meant will never run it."""
        if demand.strategy is None or now - demand.since < UNKNOWN_S:
            return ""
        nodes = (self._me(), *self._peers.views.values())
        return why_never(demand.name or "a task", demand.strategy, demand.need, nodes)

    def _fail(self, demand: Demand, why: str, now: float) -> Send:
        self._leases.set_count(demand, len(demand.grants), now)
        return Send(demand.client, LeaseInfeasible(demand.key, why, "TaskUnschedulableError"))

    def _fail_actor(self, start: StartActor, why: str) -> Send:
        """What the GCS knew of this node was late."""
        self._leases.forget_actor(start.actor_id)
        text = f"the actor {start.name or start.cls.name} can't be placed: {why}"
        return self._start_failed(start, Failed("ActorUnschedulableError", text))

    def _start_failed(self, start: StartActor, failure: Failed) -> Send:
        return Send(self._identity.gcs, ActorStartFailed(start.actor_id, start.incarnation, failure, start.placing))

    def why_infeasible(self, demand: Demand) -> str:
        """Why no node can ever meet a demand that this one can't; empty if another can."""
        if demand.sent_on:
            return ""
        nodes = [self._me(), *self._peers.views.values()]
        what = demand.name or "a task"
        why = why_infeasible(what, demand.need, nodes)
        if not why and demand.strategy is not None:
            why = why_nowhere(what, demand.strategy, demand.need, nodes)
        demand.infeasible = why or demand.infeasible
        # A node that is gone is told as an error: rule 5.
        return why if demand.strategy is None or demand.strategy.soft or not demand.strategy.node_id else ""

    # -- declining

    def _decline(self, demand: Demand, count: int, now: float) -> Send:
        """Rule 3."""
        self._leases.set_count(demand, count, now)
        return Send(demand.client, LeaseDeclined(demand.key, count, demand.number))

    def _decline_actor(self, start: StartActor) -> list[Any]:
        """Rule 3; the GCS places it anew."""
        self._leases.forget_actor(start.actor_id)
        self._declined[start.actor_id] = start.incarnation, start.placing
        if len(self._declined) > DECLINED_MAX:
            del self._declined[next(iter(self._declined))]
        text = f"the node has no room for {start.name or start.cls.name}, but another has"
        return [self._start_failed(start, Failed(NO_ROOM, text))]

    def has_declined(self, start: StartActor) -> bool:
        """Whether this order was answered so before: it is a repeated one, and may be carried out elsewhere now."""
        return (start.incarnation, start.placing) <= self._declined.get(start.actor_id, (-1, -1))

    def gcs_is_new(self) -> None:
        """It counts anew how often it places an actor."""
        self._declined.clear()

    def _in_vain(self, demand: Demand, now: float) -> bool:
        """Whether it has waited for long, while there is room elsewhere."""
        if now - demand.since < WAIT_S:
            return False
        chosen = spread(demand.need, self._others(demand, now))
        if chosen is None:
            return False
        self._peers.promise(chosen.manager, demand.need, 1, now + PROMISE_S)
        return True
