"""Garbage of Python's that may hold references: the clients of a node are asked to collect it.

What is in a circle of Python's objects is let go only when Python looks for such circles, which a process that does
little may not do for long.

Rules
-----
1. Clients are asked, here and on other nodes, when a program wants that; when more of the store is taken than `FULL`;
   and when an actor has waited for `WAIT_S`, for another may be in such a circle, with what it holds.
2. Nobody is asked more often than each ``Config.garbage_pause_s``, but by a program: looking takes a while where there
   is much to look at.
"""

from __future__ import annotations

from typing import Any, Final

from raynb.runtime.core.effects import Send
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.node_identity import Driver
from raynb.runtime.core.peers import Peers
from raynb.runtime.core.worker_pool import WorkerPool
from raynb.runtime.messages.node import CollectGarbage

FULL: Final = 0.7
WAIT_S: Final = 1.0


class Garbage:
    """See the module's rules."""

    def __init__(
        self, drivers: dict[str, Driver], pool: WorkerPool, leases: Leases, peers: Peers, pause_s: float
    ) -> None:
        self._pause_s = pause_s
        self._drivers = drivers
        self._pool = pool
        self._leases = leases
        self._peers = peers
        self._again_at = 0.0

    def asked(self, sender: str, message: CollectGarbage, now: float) -> list[Any]:
        """Rule 1."""
        here = [address for address, driver in self._drivers.items() if not driver.guest]
        effects: list[Any] = [Send(to, CollectGarbage()) for to in [*here, *self._pool.by_address] if to != sender]
        if message.everywhere:
            effects += [Send(manager, CollectGarbage()) for manager in self._peers.views]
        return effects

    def tick(self, used_bytes: int, capacity_bytes: int, now: float) -> list[Any]:
        """Rule 2."""
        if now < self._again_at:
            return []
        waits = any(now - demand.since > WAIT_S for demand in self._leases.actors.values() if not demand.infeasible)
        if not waits and used_bytes <= FULL * capacity_bytes:
            return []
        self._again_at = now + self._pause_s
        return self.asked("", CollectGarbage(everywhere=True), now)
