"""Questions that a node manager answers from its tables: why something waits, who fills the store. Changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_requests import refusal
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.peers import Peers
from raynb.runtime.core.store import StoreMachine
from raynb.runtime.core.why_waiting import explain, explain_actor
from raynb.runtime.core.worker_pool import WorkerPool
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.node import LocateObject, StoreUsage, WhyWaiting
from raynb.runtime.messages.objects import Place

HOLDERS_SHOWN = 20


class NodeAnswers:
    """Answers for one node."""

    def __init__(self, leases: Leases, pool: WorkerPool, store: StoreMachine, peers: Peers) -> None:
        self._peers = peers
        self._leases = leases
        self._pool = pool
        self._store = store

    def why(self, sender: str, message: WhyWaiting, now: float) -> list[Any]:
        """Why a client's demand, or an actor, has no worker."""
        if message.actor_id:
            reason = explain_actor(message.actor_id, self._leases, self._pool, now, len(self._peers.views))
        else:
            demand = self._leases.demands.get((message.client or sender, message.key))
            reason = explain(demand, self._leases, self._pool, now, len(self._peers.views))
        return [Send(sender, Reply(message.request, msgspec.json.encode(reason)))]

    def locate(self, sender: str, message: LocateObject, now: float) -> list[Any]:
        """Where an object lies."""
        entry = self._store.index.objects.get(message.oid)
        if entry is None:
            return [Send(sender, refusal(message.request, "KeyError", "it is not in this node's shared memory"))]
        place = Place(entry.segment, entry.offset, entry.size, entry.grant, entry.owner, entry.note)
        return [Send(sender, Reply(message.request, msgspec.json.encode(place)))]

    def store_usage(self, sender: str, message: StoreUsage, now: float) -> list[Any]:
        """How full the store is, of whose objects, and who waits for room."""
        store = self._store
        usage = {**store.usage(), "holders": store.holders(HOLDERS_SHOWN), "waiting": store.waiting(now)}
        return [Send(sender, Reply(message.request, msgspec.json.encode(usage)))]
