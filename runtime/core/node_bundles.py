"""A node's part in placement groups: it answers the GCS, and tells who waits for a group that is gone."""

from __future__ import annotations

from typing import Any, Final

from raynb.runtime.core.bundle_names import group_of
from raynb.runtime.core.bundles import Bundles
from raynb.runtime.core.effects import Send
from raynb.runtime.core.leases import Grant, Leases
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


class NodeBundles:
    """Wiring: the rules are those of `Bundles`."""

    HANDLES: Final = (ReserveBundles, CommitBundles, KeepBundles, ReturnBundles)

    def __init__(self, leases: Leases, pool: WorkerPool) -> None:
        self._leases = leases
        self._pool = pool
        self._bundles = Bundles(leases)
        self.changed = False
        """What is free here has changed since somebody looked."""

    def handle(self, sender: str, message: Any, now: float) -> list[Any]:
        """A word of the GCS."""
        self.changed = True
        if isinstance(message, KeepBundles):
            first = message.first_attempt
            grants = self._bundles.keep(message.bundles, first, now)
            for group in message.removed:
                grants += self._bundles.give_back(group, first, now, removed=True)
            return self._end(grants, now) + self._tell_waiting(set(message.removed))
        group = message.group
        if isinstance(message, ReserveBundles):
            missing = self._bundles.reserve(group, message.attempt, message.bundles)
            return [Send(sender, BundlesReserved(group, message.attempt, missing))]
        if isinstance(message, CommitBundles):
            committed = self._bundles.commit(group, message.attempt, now)
            return [Send(sender, BundlesCommitted(group, message.attempt))] if committed else []
        assert isinstance(message, ReturnBundles)
        effects = self._end(self._bundles.give_back(group, message.attempt, now, removed=message.removed), now)
        return effects + self._tell_waiting({group}) if message.removed else effects

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
