"""What becomes of demands that a node can't meet: its own clients are sent on to other nodes, others' are declined.

Rules
-----
1. A demand of a client that is at home here and finds no room is spilled, unit by unit, to the emptiest other node that
   has room for it. Where this node can never meet it, what finds no room is shared out to those that can, and waits
   there.
2. What was spilled counts no more here. The client says when it has heeded that: until then what it says of its
   demand still has the spilled part in it.
3. A demand that was sent here from another node is granted at once or declined. If it is to wait, and also where it is
   an actor's, it is declined after `WAIT_S` if another node has room by then. What can't ever be met here is declined.
4. What is known of other nodes is late, and others spill too: so what is spilled counts as taken there for
   `PROMISE_S`, and whoever is declined is not sent to the same node again before that.
5. What no node can ever meet is told to the client, and looked at again when the nodes have changed.
"""

from __future__ import annotations

from typing import Any, Final

from raynb.runtime.core.effects import Send
from raynb.runtime.core.leases import Demand, Leases, Outcome
from raynb.runtime.core.peers import Peers
from raynb.runtime.core.placement import NodeView, feasible_nodes, spread, subtract, utilisation, why_infeasible
from raynb.runtime.messages.node import NO_ROOM, ActorStartFailed, StartActor
from raynb.runtime.messages.nodes import LeaseDeclined, LeaseSpill
from raynb.runtime.messages.values import Failed

PROMISE_S: Final = 0.3
WAIT_S: Final = 1.0
DECLINED_MAX: Final = 10_000


class Spillback:
    """See the module's rules."""

    def __init__(self, leases: Leases, peers: Peers, gcs: str) -> None:
        self._leases = leases
        self._peers = peers
        self._gcs = gcs
        self._number = 0
        self._declined: dict[bytes, tuple[int, int]] = {}
        """Actors that were not started for want of room: incarnation, and which placing of it."""

    def serve(self, outcome: Outcome, now: float) -> list[Any]:
        """After what could be granted was: send on, or decline, what could not."""
        effects: list[Any] = []
        for demand, missing in outcome.unmet:
            if demand.start is not None:
                if self._in_vain(demand, now):
                    effects += self._decline_actor(demand.start)
            elif not demand.sent_on:
                effects += self._spill(demand, missing, now)
            elif not demand.wait or self._in_vain(demand, now):
                effects.append(self._decline(demand, demand.count - missing, now))
        for demand in list(self._leases.infeasible):
            effects += self._elsewhere(demand, now)
        return effects

    def why_infeasible(self, demand: Demand) -> str:
        """Why no node can ever meet a demand that this one can't; empty if another can."""
        if demand.sent_on:
            return ""
        here = NodeView(b"", self._leases.total, self._leases.available)
        why = why_infeasible(demand.name or "a task", demand.need, [here, *self._peers.views.values()])
        demand.infeasible = why or demand.infeasible
        return why

    def _decline(self, demand: Demand, count: int, now: float) -> Send:
        """Rule 3."""
        self._leases.set_count(demand, count, now)
        return Send(demand.client, LeaseDeclined(demand.key, count))

    def _decline_actor(self, start: StartActor) -> list[Any]:
        """Rule 3; the GCS places it anew."""
        self._leases.forget_actor(start.actor_id)
        self._declined[start.actor_id] = start.incarnation, start.placing
        if len(self._declined) > DECLINED_MAX:
            del self._declined[next(iter(self._declined))]
        text = f"the node has no room for {start.name or start.cls.name}, but another has"
        failure = Failed(NO_ROOM, text)
        return [Send(self._gcs, ActorStartFailed(start.actor_id, start.incarnation, failure, start.placing))]

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
        chosen = spread(demand.need, self._peers.expected(now))
        if chosen is None:
            return False
        self._peers.promise(chosen.manager, demand.need, 1, now + PROMISE_S)
        return True

    def _spill(self, demand: Demand, missing: int, now: float) -> list[Any]:
        """Rule 1, its first part."""
        return self._share_out(demand, missing, self._peers.expected(now), now)

    def _share_out(
        self, demand: Demand, missing: int, views: list[NodeView], now: float, *, wait: bool = False
    ) -> list[Any]:
        """Give it unit by unit to the emptiest of these nodes; with ``wait``, whether it has room or not."""
        shares: dict[str, int] = {}
        for _ in range(missing):
            chosen = min(views, key=utilisation, default=None) if wait else spread(demand.need, views)
            if chosen is None:
                break
            subtract(chosen.available, demand.need)
            shares[chosen.manager] = shares.get(chosen.manager, 0) + 1
        return [self._send(demand, manager, count, now, wait=wait) for manager, count in shares.items()]

    def _elsewhere(self, demand: Demand, now: float) -> list[Any]:
        """Rule 1, its second part, and rule 3, its last."""
        if demand.sent_on:
            return [self._decline(demand, len(demand.grants), now)]
        views = feasible_nodes(demand.need, self._peers.expected(now))
        if demand.start is not None:
            return self._decline_actor(demand.start) if views else []
        effects = self._share_out(demand, demand.missing, views, now)
        return effects + self._share_out(demand, demand.missing, views, now, wait=True)

    def _send(self, demand: Demand, manager: str, count: int, now: float, *, wait: bool = False) -> Send:
        """Rules 2 and 4."""
        self._number += 1
        demand.spills.append((self._number, count))
        self._leases.set_count(demand, demand.count - count, now)
        self._peers.promise(manager, demand.need, count, now + PROMISE_S)
        return Send(demand.client, LeaseSpill(demand.key, manager, count, self._number, wait))
