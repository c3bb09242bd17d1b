"""Whether a process lives: who is asked, and what a node manager answers.

Rules
-----
1. A manager knows its own node: who is not there is dead. Of another node's process its manager is asked; of a node
   that is not known here the GCS, for news of it may be on their way.
2. News of a death may be lost with a GCS, or come to it while it does not know this node: so a manager asks about all
   clients of other nodes that it deals with, each `ASK_PAUSE_S` and when it has registered anew; then about owners of
   objects, too.
"""

from __future__ import annotations

from typing import Any, Final

from raynb.runtime.core.effects import Send
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.node_deaths import NodeDeaths
from raynb.runtime.core.node_identity import Driver, NodeIdentity, session_of
from raynb.runtime.core.peers import Peers
from raynb.runtime.core.store import StoreMachine
from raynb.runtime.core.worker_pool import WorkerPool
from raynb.runtime.messages.node import AreAlive, ProcessDied

ASK_PAUSE_S: Final = 5.0


class Liveness:
    """See the module's rules."""

    def __init__(
        self,
        identity: NodeIdentity,
        drivers: dict[str, Driver],
        pool: WorkerPool,
        leases: Leases,
        store: StoreMachine,
        deaths: NodeDeaths,
        peers: Peers,
    ) -> None:
        self._identity = identity
        self._drivers = drivers
        self._pool = pool
        self._leases = leases
        self._store = store
        self._deaths = deaths
        self._peers = peers
        self._session = session_of(identity.address)
        self._ask_at = 0.0

    def asked(self, sender: str, message: AreAlive, now: float) -> list[Any]:
        """Rule 1."""
        asker = message.asker or sender
        me = self._identity
        here = {me.address, me.gcs, *self._drivers, *self._pool.by_address, *self._deaths.unburied}
        effects: list[Any] = []
        for address in message.addresses:
            if session_of(address) == self._session:
                if address not in here:
                    effects.append(Send(asker, ProcessDied(address, "worker", 0, "it is not there any more")))
            elif not message.asker:
                manager = self._peers.manager_of(address) or self._identity.gcs
                effects.append(Send(manager, AreAlive([address], asker)))
        return effects

    def tick(self, now: float) -> list[Any]:
        """Rule 2."""
        if not self._peers or now < self._ask_at:
            return []
        self._ask_at = now + ASK_PAUSE_S
        return self._ask({demand.client: None for demand in self._leases.demands.values() if demand.home})

    def registered(self) -> list[Any]:
        """Rule 2, its end."""
        if not self._peers:
            return []
        clients = {demand.client: None for demand in self._leases.demands.values() if demand.home}
        return self._ask(clients | {entry.owner: None for entry in self._store.index.objects.values()})

    def _ask(self, addresses: dict[str, None]) -> list[Any]:
        asked: dict[str, list[str]] = {}
        for address in addresses:
            if address and address != self._identity.gcs and session_of(address) != self._session:
                asked.setdefault(self._peers.manager_of(address) or self._identity.gcs, []).append(address)
        return [Send(manager, AreAlive(found, self._identity.address)) for manager, found in asked.items()]
