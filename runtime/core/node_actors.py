"""Actors on a node: queued for a worker when the GCS orders that, and ended when somebody wants that."""

from __future__ import annotations

from typing import Any

from raynb.runtime.core.effects import Send
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.placement import Vector, to_units
from raynb.runtime.core.spillback import Spillback
from raynb.runtime.core.worker_pool import ACTOR, DYING, Worker, WorkerPool
from raynb.runtime.messages.node import ActorStartFailed, KillWorker, LeaseInfeasible, StartActor, WorkerRetires
from raynb.runtime.messages.values import Failed


class NodeActors:
    """The leases of actors, which they keep for life."""

    def __init__(self, leases: Leases, pool: WorkerPool, spillback: Spillback) -> None:
        self._leases = leases
        self._pool = pool
        self._spillback = spillback

    def kill(self, sender: str, message: KillWorker, now: float) -> list[Any]:
        """End a worker, or whatever process has an actor, or is about to."""
        worker = self._pool.by_address.get(message.worker)
        victims = [worker] if worker is not None else []
        if message.actor_id:
            waiting = self._leases.actors.get(message.actor_id)
            if waiting is not None and waiting.start is not None and waiting.start.incarnation <= message.incarnation:
                self._leases.forget_actor(message.actor_id)
            # A GCS that was away may have had a later incarnation started beside an earlier one.
            victims = [w for w in self._processes_of(message.actor_id) if w.incarnation <= message.incarnation]
        effects: list[Any] = []
        for victim in victims:
            effects += self._pool.kill(victim, message.reason, now, intended=True)
        return effects

    def retires(self, sender: str, message: WorkerRetires, now: float) -> list[Any]:
        """A worker takes no more. An actor that it was given just before needs another."""
        worker = self._pool.by_address.get(sender)
        if worker is None:
            return []
        grant = self._leases.by_token.get(worker.token)
        if grant is not None and grant.demand.start is not None:
            self._leases.release(grant, now)
            self._leases.start_actor(grant.demand.start, grant.demand.need, now)
        self._pool.retire(worker, now)
        return []

    def _processes_of(self, actor_id: bytes) -> list[Worker]:
        """The workers that have this actor, the oldest first."""
        return [w for w in self._pool.workers.values() if w.actor_id == actor_id and w.state in (ACTOR, DYING)]

    def start(self, sender: str, message: StartActor, now: float) -> list[Any]:
        """An order of the GCS."""
        worker = max(self._processes_of(message.actor_id), key=lambda each: each.incarnation, default=None)
        if worker is not None and worker.incarnation >= message.incarnation:
            # A repeated order: the GCS was restarted, or has not had an answer yet.
            if worker.incarnation == message.incarnation and worker.state == ACTOR:
                return [Send(worker.address, message)]
            return []
        if self._spillback.has_declined(message):
            return []
        waiting = self._leases.actors.get(message.actor_id)
        if waiting is not None and waiting.start is not None:
            if waiting.start.incarnation >= message.incarnation:
                waiting.start = message
                return []
            self._leases.forget_actor(message.actor_id)
        try:
            need: Vector = to_units(message.resources)
        except ValueError as error:
            failure = Failed("ActorUnschedulableError", str(error))
            return [Send(sender, ActorStartFailed(message.actor_id, message.incarnation, failure, message.placing))]
        demand = self._leases.start_actor(message, need, now)
        why = self._spillback.why_infeasible(demand) if demand.infeasible else ""
        # One that is detached has nobody who is to be told.
        return [Send(message.owner, LeaseInfeasible(0, why))] if why and message.owner else []
