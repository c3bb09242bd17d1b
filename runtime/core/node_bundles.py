"""A node's part in placement groups: it answers the GCS, and tells who waits for a group that is gone.

Rules
-----
1. Bundles for which nothing is free, but for which leases could make room, claim it for `CLAIM_S` before they are
   refused: tasks that keep coming would leave them none. What actors hold, or what waits, is refused at once.
2. It is not claimed for longer, since what the group has reserved on other nodes meanwhile may be what another one
   waits for there. The GCS asks again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from raynb.runtime.core.bundle_names import group_of
from raynb.runtime.core.bundles import Bundles
from raynb.runtime.core.effects import Send
from raynb.runtime.core.grants import Demand, Grant
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.worker_pool import DYING, WorkerPool
from raynb.runtime.messages.node import LeaseDemand, LeaseInfeasible
from raynb.runtime.messages.placement import (
    BundlesCommitted,
    BundlesReserved,
    CommitBundles,
    KeepBundles,
    ReserveBundles,
    ReturnBundles,
)

GONE: Final = "TaskPlacementGroupRemoved"
CLAIM_S: Final = 1.5
"""Shorter than the GCS waits for an answer (`placement_groups.ANSWER_S`)."""


class _Claim:
    """Bundles that wait for room: rule 1."""

    __slots__ = ("asker", "demand", "message", "until")

    def __init__(self, asker: str, message: ReserveBundles, demand: Demand, until: float) -> None:
        self.asker = asker
        self.message = message
        self.demand = demand
        self.until = until


class NodeBundles:
    """Wiring: the rules are those of `Bundles`."""

    HANDLES: Final = (ReserveBundles, CommitBundles, KeepBundles, ReturnBundles)

    def __init__(self, leases: Leases, pool: WorkerPool) -> None:
        self._leases = leases
        self._pool = pool
        self._bundles = Bundles(leases)
        self._claims: dict[bytes, _Claim] = {}
        """By the group."""
        self.changed = False
        """What is free here has changed since somebody looked."""

    def handle(self, sender: str, message: Any, now: float) -> list[Any]:
        """A word of the GCS."""
        self.changed = True
        if isinstance(message, KeepBundles):
            for group in list(self._claims):
                self._drop_claim(group)
            first = message.first_attempt
            grants = self._bundles.keep(message.bundles, first, now)
            for group in message.removed:
                grants += self._bundles.give_back(group, first, now, removed=True)
            return self._end(grants, now) + self._tell_waiting(set(message.removed))
        group = message.group
        if isinstance(message, ReserveBundles):
            missing = self._bundles.reserve(group, message.attempt, message.bundles)
            if missing and self._may_claim(sender, message, now):
                return []
            self._drop_claim(group)
            return [Send(sender, BundlesReserved(group, message.attempt, missing))]
        if isinstance(message, CommitBundles):
            committed = self._bundles.commit(group, message.attempt, now)
            return [Send(sender, BundlesCommitted(group, message.attempt))] if committed else []
        assert isinstance(message, ReturnBundles)
        self._drop_claim(group)
        effects = self._end(self._bundles.give_back(group, message.attempt, now, removed=message.removed), now)
        return effects + self._tell_waiting({group}) if message.removed else effects

    def _may_claim(self, sender: str, message: ReserveBundles, now: float) -> bool:
        """Rule 1."""
        known = self._claims.get(message.group)
        if known is not None and known.message.attempt == message.attempt:
            return True
        need = self._bundles.need(message.group, message.bundles)
        if self._bundles.is_outdated(message.attempt) or not self._leases.can_make_room(need):
            return False
        self._drop_claim(message.group)
        demand = Demand("", 0, need, now)
        demand.name = f"placement group {message.group.hex()}"
        self._leases.claims[demand] = None
        self._claims[message.group] = _Claim(sender, message, demand, now + CLAIM_S)
        return True

    def _drop_claim(self, group: bytes) -> None:
        claim = self._claims.pop(group, None)
        if claim is not None:
            del self._leases.claims[claim.demand]

    def claimed(self, demands: Collection[Demand]) -> list[Any]:
        """There is enough for these claims now."""
        return [
            effect for claim in list(self._claims.values()) if claim.demand in demands for effect in self._try(claim)
        ]

    def tick(self, now: float) -> list[Any]:
        """Rule 2."""
        late = [claim for claim in self._claims.values() if now >= claim.until]
        return [effect for claim in late for effect in self._try(claim, refuse=True)]

    def _try(self, claim: _Claim, *, refuse: bool = False) -> list[Any]:
        message = claim.message
        missing = self._bundles.reserve(message.group, message.attempt, message.bundles)
        if missing and not refuse:
            return []  # what is free of its GPUs is in pieces
        self._drop_claim(message.group)
        return [Send(claim.asker, BundlesReserved(message.group, message.attempt, missing))]

    def _tell_waiting(self, groups: set[bytes]) -> list[Any]:
        """Who waits for a group that is gone is told."""
        demands = self._leases.demands.values() if groups else ()
        return [_gone(each.client, each.key, each.name) for each in demands if group_of(each.need) in groups]

    def _end(self, grants: list[Grant], now: float) -> list[Any]:
        effects: list[Any] = []
        for grant in grants:
            worker = self._pool.workers[grant.token]
            if worker.state != DYING:
                effects += self._pool.kill(worker, "its placement group was removed", now, intended=True)
        return effects

    def refuse(self, sender: str, message: LeaseDemand, need: dict[str, int]) -> list[Any]:
        """The answer to a demand for a group that is gone; empty for any other."""
        if message.count > 0 and self._bundles.is_removed(need):
            return [_gone(sender, message.key, message.name)]
        return []


def _gone(client: str, key: int, name: str) -> Send:
    text = f"the placement group of {name or 'the task'} was removed"
    return Send(client, LeaseInfeasible(key, text, GONE))
