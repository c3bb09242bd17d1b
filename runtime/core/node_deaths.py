"""Deaths, as a node manager sees and tells them.

Rules
-----
1. A death here is told once to all clients of the node, to the GCS, and to the clients of other nodes for which the
   dead one worked. One elsewhere comes from the GCS, and is passed on to all clients of the node.
2. What the dead one had here is taken back: its demands, its leases, its part of the store. Workers that ran its tasks
   are ended: nobody could take their results. Its death is told when those have ended, wherever it lived: what they
   read was kept for the dead one, until its death is known. Those on other nodes may run on for a while: what they read
   of third processes they keep themselves (`raynb.runtime.worker.arguments`).
3. With a node die all its processes, those too that it had not listed yet: what they asked of this node is known by
   where they are at home.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from raynb.runtime.core.effects import Send
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.node_effects import ForgetPeer, Say, WorkerExited
from raynb.runtime.core.node_identity import Driver, NodeIdentity, session_of
from raynb.runtime.core.store import StoreMachine
from raynb.runtime.core.store_effects import ClientDied
from raynb.runtime.core.worker_pool import DYING, WorkerPool
from raynb.runtime.messages.node import LOG_END, ProcessDied

TOLD_MAX: Final = 50_000


class NodeDeaths:
    """See the module's rules. ``drivers`` are those of the node, by address."""

    def __init__(
        self, identity: NodeIdentity, leases: Leases, pool: WorkerPool, store: StoreMachine, drivers: dict[str, Driver]
    ) -> None:
        self._identity = identity
        self._leases = leases
        self._pool = pool
        self._store = store
        self._drivers = drivers
        self._told: dict[str, None] = {}
        """Deaths elsewhere that are known already."""
        self.unburied: dict[str, tuple[ProcessDied, set[str], bool]] = {}
        """Deaths not told yet, by address, with the workers that have to end before, and whether the GCS knows."""

    def worker_exited(self, event: WorkerExited, now: float) -> list[Any]:
        """A worker's process has ended."""
        worker = self._pool.exited(event.token, event.pid, event.reason, now, began=event.last_seq > 0)
        if worker is None:
            return []
        grant = self._leases.by_token.get(event.token)
        lease = last_seq = 0
        client = actor = ""
        if grant is not None:
            if (start := grant.demand.start) is not None:
                actor = start.cls.name
            if grant.demand.start is None:
                lease = grant.number
                last_seq = event.last_seq if event.lease == lease else 0
            client = grant.demand.client if grant.demand.home else ""
            self._leases.release(grant, now)
        effects: list[Any] = []
        reason = worker.ended_because
        if not worker.intended:
            effects.append(Say("warning", f"{worker!r} {reason}"))
            if event.log_tail:
                reason = f"{reason}. {LOG_END}\n{event.log_tail}"
        if not worker.address:
            # It never joined, so nobody knows it. If it was to be an actor, that waits for another worker.
            return effects
        died = ProcessDied(
            worker.address, "worker", worker.pid, reason, lease, last_seq, worker.intended,
            worker.actor_id, worker.incarnation, worker.out_of_memory,
        )  # fmt: skip
        if event.last_words is not None:
            # Before its death, so that who asked for the task knows it still.
            effects.append(Send(event.driver, replace(event.last_words, worker=worker.address, actor=actor)))
        if client and client not in self.unburied:
            effects.append(Send(client, died))
        effects += self.bury(died, now)
        for dead, (news, workers, known) in list(self.unburied.items()):
            workers.discard(event.token)
            if not workers:
                del self.unburied[dead]
                effects += self._tell(news, now, known)
        return effects

    def told(self, died: ProcessDied, now: float) -> list[Any]:
        """The GCS knows of a death elsewhere."""
        if died.address == self._identity.address or died.address in self._told:
            return []
        self._told[died.address] = None
        if len(self._told) > TOLD_MAX:
            del self._told[next(iter(self._told))]
        effects: list[Any] = []
        if died.kind == "node":
            unlisted = {demand.client: None for demand in self._leases.demands.values() if demand.home == died.address}
            session = session_of(died.address)
            owners = {entry.owner: None for entry in self._store.index.objects.values()}
            unlisted |= {owner: None for owner in owners if session and session_of(owner) == session}
            for client in unlisted:
                gone = ProcessDied(client, "worker", 0, died.reason, node=died.address)
                effects += self.bury(gone, now, known=True)
        return effects + self.bury(died, now, known=True)

    def bury(self, died: ProcessDied, now: float, *, known: bool = False) -> list[Any]:
        """Rule 2. ``known``: the GCS knows."""
        dead = died.address
        if dead in self.unburied:
            return []
        effects: list[Any] = [ForgetPeer(dead)]
        ending: set[str] = set()
        for grant in self._leases.drop_client(dead):
            worker = self._pool.workers[grant.token]
            ending.add(worker.token)
            if worker.state != DYING:
                effects += self._pool.kill(worker, "whose tasks it ran is gone", now, intended=True)
        if ending:
            self.unburied[dead] = died, ending, known
            return effects
        return effects + self._tell(died, now, known)

    def _tell(self, died: ProcessDied, now: float, known: bool) -> list[Any]:
        effects: list[Any] = [Send(address, died) for address in [*self._drivers, *self._pool.by_address]]
        if not known:
            effects.append(Send(self._identity.gcs, died))
        return effects + self._store.handle(ClientDied(died.address), now)

    def check(self) -> None:
        """Raise `AssertionError` where an invariant does not hold."""
        for dead, (_, ending, _) in self.unburied.items():
            assert ending and ending <= self._pool.workers.keys(), f"the death of {dead} waits for {ending}"
