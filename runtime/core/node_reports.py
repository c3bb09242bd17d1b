"""What a node tells the GCS of itself: that it is there, its workers, its load.

All of it is a level that is sent again when it changed, so a GCS that was killed and is back knows it all after one
round: `RegisterNode` until it is answered, then the whole `WorkerTable`, then what changes.
"""

from __future__ import annotations

from typing import Any

from raynb.runtime.core.bundle_names import without_groups
from raynb.runtime.core.effects import Send
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.node_effects import Measured
from raynb.runtime.core.node_identity import NodeIdentity
from raynb.runtime.core.placement import UNITS, to_amounts
from raynb.runtime.core.store import StoreMachine
from raynb.runtime.core.worker_pool import ACTOR, WorkerPool
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.gcs import RegisterNode
from raynb.runtime.messages.node import NodeStatus, WorkerTable

KEEPALIVE_S = 2.0
"""A status is sent at least this often, changed or not."""


class NodeReports:
    """The node's side of its connection to the GCS.

    Attributes
    ----------
    registered
        Whether the GCS, as it runs now, knows this node.
    load
        The last measurement.
    several
        Whether the cluster has other nodes.
    """

    def __init__(
        self, identity: NodeIdentity, config: Config, pool: WorkerPool, leases: Leases, store: StoreMachine
    ) -> None:
        self._identity = identity
        self._config = config
        self._pool = pool
        self._leases = leases
        self._store = store
        self._store_told_at = 0.0
        self.registered = False
        self.load = Measured(0.0, 0, 0)
        self.several = False
        self._wall_minus_now = identity.started - identity.started_at
        self._register_again_at: float | None = None
        self._status_at = 0.0
        self._last_status: NodeStatus | None = None

    def register(self, drivers: list[str], now: float) -> list[Any]:
        """Say who we are and what lives here."""
        self.registered = False
        self._register_again_at = now + self._config.retry_request_s
        me = self._identity
        living = [worker for worker in self._pool.workers.values() if worker.state == ACTOR]
        message = RegisterNode(
            me.node_id, me.address, me.pid, me.hostname, me.ip, me.is_head,
            to_amounts(without_groups(self._leases.total)), me.labels, me.started,
            [(worker.actor_id, worker.incarnation, worker.address) for worker in living],
            [*drivers, *self._pool.by_address], me.name,
        )  # fmt: skip
        return [Send(me.gcs, message)]

    def answered(self, drivers: list[str], now: float) -> list[Any]:
        """The GCS knows us; if that was not asked for, it wants to know all again."""
        if self.registered:
            return self.register(drivers, now)
        self.registered = True
        self._pool.all_changed()
        self._store.log.again()
        self._last_status = None
        return self._report(now)

    def scaled(self, drivers: list[str], now: float) -> list[Any]:
        """The node offers more or less: when this is answered, the GCS knows what there is and what of it is free."""
        self._last_status = None
        status = self._report(now) if self.registered else []
        return status + self.register(drivers, now)

    def tick(self, drivers: list[str], now: float) -> list[Any]:
        """Report what changed, or register again where there was no answer."""
        if self.registered:
            return self._report(now) + self._tell_of_store(now)
        if self._register_again_at is not None and now >= self._register_again_at:
            return self.register(drivers, now)
        return []

    def taken(self, now: float) -> list[Any]:
        """An actor has its worker, or a group something: the GCS is told before it can be told that the actor or group
        lives, so that nobody who knows of them is told that what they have is free, or that there is no such worker."""
        if not self.registered or (self.all_told and not self._pool.changed):
            return []
        if not self.all_told:
            self._status_at = now
        return self._report(now)

    def _report(self, now: float) -> list[Any]:
        effects: list[Any] = []
        me = self._identity
        if self._pool.changed:
            listings = self._pool.take_changed(self._wall_minus_now)
            effects.append(Send(me.gcs, WorkerTable(me.node_id, listings)))
        if now < self._status_at and self._last_status is not None:
            return effects
        leases, usage = self._leases, self._store.usage()
        waiting = without_groups(leases.waiting_units())
        load = self.load
        status = NodeStatus(
            me.node_id, self._available(), usage["used_bytes"], usage["capacity_bytes"], usage["objects"],
            len(self._pool.workers), to_amounts(waiting), load.cpu_percent, load.memory_used_bytes,
            load.memory_total_bytes, self._groups() if self.several else {}, usage["object_bytes"],
            usage["spilled_bytes"],
        )  # fmt: skip
        if status != self._last_status or now - self._status_at >= KEEPALIVE_S:
            self._last_status = status
            self._status_at = now + self._config.node_status_s
            effects.append(Send(me.gcs, status))
        return effects

    @property
    def all_told(self) -> bool:
        """Whether what is available now is what others know."""
        return self._last_status is not None and self._last_status.available == self._available()

    def _available(self) -> dict[str, float]:
        return to_amounts({name: max(0, value) for name, value in without_groups(self._leases.available).items()})

    def _groups(self) -> dict[str, tuple[float, float]]:
        total, available = self._leases.total, self._leases.available
        names = [name for name in total if "_group_" in name]
        return {name: (total[name] / UNITS, max(0, available.get(name, 0)) / UNITS) for name in names}

    def _tell_of_store(self, now: float) -> list[Any]:
        """What has happened in the store, a few times a second."""
        log = self._store.log
        if not log.pending or now < self._store_told_at:
            return []
        self._store_told_at = now + self._config.event_flush_s
        news = log.take(self._wall_minus_now, self._store.index.objects.values())
        return [Send(self._identity.gcs, message) for message in news]
