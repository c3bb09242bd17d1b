"""The node manager machine: who is on this node, which worker is whose, and what follows from a death.

It composes `WorkerPool` (processes), `Leases` (resources) and the store's machine, and is the only one that knows all
three. One door: ``handle(event, now)``. Events are `Received`, `Tick`, those of `node_effects`, and the store's own,
which are passed on to it. Effects are `Send`, those of `node_effects`, and the store's.

Rules
-----
1. Nobody but joined clients, the GCS and whoever asks to stop or to scale is listened to; with several nodes, clients
   of the others too, in what concerns leases. A client of another Python
   minor version or protocol is refused, with both versions. A worker must bring the token under which it was ordered.
2. A worker hears of a lease before its client does. An actor's worker hears of it after its resources are taken.
3. A death is told to all clients of the node and to the GCS, and what the dead one had is taken back (`node_deaths`).
4. The GCS may be killed at any time: when it is back the node registers anew, with all that lives here.
5. An embedded cluster ends with its last driver: at once if that said goodbye for good, else after the driver's grace.
   A node that has joined ends with the head node, and when that ends it is asked to.

It never knows sockets, pids' meaning, files or the clock. Its host must carry effects out in order, one by one, and
call ``handle(Tick(), now)`` each ``Config.tick_s``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import structs

from raynb.runtime.core.are_alive import Liveness
from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.gpus import asks_for_gpus
from raynb.runtime.core.grants import Demand, Grant
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.memory_pressure import MemoryPressure
from raynb.runtime.core.node_actors import NodeActors
from raynb.runtime.core.node_answers import NodeAnswers
from raynb.runtime.core.node_bundles import NodeBundles
from raynb.runtime.core.node_deaths import NodeDeaths
from raynb.runtime.core.node_effects import (
    ClientExited,
    GcsStarted,
    Measured,
    MemoryMeasured,
    PageSeen,
    Say,
    StopEverything,
    StopRequested,
    WatchProcess,
    WorkerExited,
    WorkerForked,
    WorkersStopped,
)
from raynb.runtime.core.node_garbage import Garbage
from raynb.runtime.core.node_identity import Driver, NodeIdentity, refusal
from raynb.runtime.core.node_reports import NodeReports
from raynb.runtime.core.node_scale import Scaling, workers_for
from raynb.runtime.core.peers import Peers
from raynb.runtime.core.placement import to_amounts, to_units
from raynb.runtime.core.spillback import Spillback
from raynb.runtime.core.store import StoreMachine
from raynb.runtime.core.store import handles as is_for_store
from raynb.runtime.core.store_effects import ClientJoined
from raynb.runtime.core.tombstones import NodeTombstones
from raynb.runtime.core.why_waiting import explain
from raynb.runtime.core.worker_pool import ACTOR, DYING, START_FAILURES_TOLD, WorkerPool
from raynb.runtime.messages.acts import CancelTasks, TombstonesSeen
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.copies import KeepCopies
from raynb.runtime.messages.gcs import FinishJob, NodeRegistered
from raynb.runtime.messages.node import (
    AreAlive,
    CollectGarbage,
    JoinNode,
    KillWorker,
    LeaseDemand,
    LeaseGranted,
    LeaseInfeasible,
    LeaseReclaim,
    LeaseReturned,
    LeaveNode,
    LocateObject,
    NodeJoined,
    ProcessDied,
    ScaleNode,
    StartActor,
    StopNode,
    StoreUsage,
    WhyWaiting,
    WorkerBlocked,
    WorkerRetires,
    WorkerUnblocked,
)
from raynb.runtime.messages.nodes import ClusterView
from raynb.runtime.messages.objects import FreeObjects
from raynb.runtime.messages.transfers import NotThere, ObjectChunk, PullChunk, PullEnded, TryAnother

FOR_ALL: Final = JoinNode | StopNode | StoreUsage | LocateObject | ScaleNode
"""What anybody may say."""
OF_OTHER_NODES: Final = (
    WhyWaiting | AreAlive | ProcessDied | FreeObjects | KeepCopies | CollectGarbage | LeaseReturned
    | PullChunk | ObjectChunk | NotThere | TryAnother | PullEnded
)  # fmt: skip
"""What processes of other nodes may say, too, beside what concerns their leases here. What still comes from a dead one
the transport refuses."""


class NodeMachine:
    """See the module's rules."""

    def __init__(self, identity: NodeIdentity, config: Config, store: StoreMachine) -> None:
        self.identity = identity
        self._config = config
        self.store = store
        total = to_units(identity.resources)
        self.leases = Leases(total, identity.gpu_names)
        self.pool = WorkerPool(config, workers_for(total, identity.cores), identity.node_id)
        self.drivers: dict[str, Driver] = {}
        self.reports = NodeReports(identity, config, self.pool, self.leases, store)
        self.bundles = NodeBundles(self.leases, self.pool)
        self.peers = Peers(identity.node_id)
        self.spillback = Spillback(identity, self.leases, self.peers, config.spread_threshold)
        self.scaling = Scaling(identity.cores, self.leases, self.pool, self.reports, self.spillback.why_infeasible)
        self.memory = MemoryPressure(config, self.leases, self.pool)
        self.tombstones = NodeTombstones(config, self.pool)
        self.deaths = NodeDeaths(identity, self.leases, self.pool, store, self.drivers)
        actors = NodeActors(self.leases, self.pool, self.spillback)
        self.liveness = Liveness(identity, self.drivers, self.pool, self.leases, store, self.deaths, self.peers)
        self.garbage = Garbage(self.drivers, self.pool, self.leases, self.peers, config.garbage_pause_s)
        answers = NodeAnswers(self.leases, self.pool, store, self.peers)
        self.stopping = ""
        self._had_driver = False
        self._stop_at: float | None = None
        self._failure_told: set[tuple[str, int]] = set()
        """Demands that were told that workers don't start."""
        self._serve_again = True
        self._events: dict[type, Callable[[Any, float], list[Any]]] = {
            Received: self._on_received,
            Tick: lambda _, now: self._on_tick(now),
            WorkerForked: self._on_forked,
            WorkerExited: self._on_worker_exited,
            ClientExited: self._on_client_exited,
            WorkersStopped: self._on_stopped,
            GcsStarted: self._on_gcs_started,
            Measured: self._on_measured,
            MemoryMeasured: self.memory.measured,
            PageSeen: self.tombstones.page_seen,
            StopRequested: lambda event, now: self._stop(event.reason),
        }
        self._messages: dict[type, Callable[[str, Any, float], list[Any]]] = {
            JoinNode: self._on_join,
            LeaveNode: self._on_leave,
            LeaseDemand: self._on_demand,
            LeaseReturned: self._on_returned,
            WorkerBlocked: lambda sender, _, now: self._on_blocked(sender, True),
            WorkerUnblocked: lambda sender, _, now: self._on_blocked(sender, False),
            WorkerRetires: self._served(actors.retires),
            CollectGarbage: self.garbage.asked,
            KillWorker: self._served(actors.kill),
            StartActor: self._served(actors.start),
            NodeRegistered: self._on_registered,
            StopNode: lambda sender, message, now: self._stop(message.reason),
            WhyWaiting: answers.why,
            StoreUsage: answers.store_usage,
            LocateObject: answers.locate,
            AreAlive: self.liveness.asked,
            ScaleNode: self._on_scale,
            **dict.fromkeys(NodeBundles.HANDLES, self.bundles.handle),
            ProcessDied: self._on_process_died,
            ClusterView: self._on_view,
            CancelTasks: lambda sender, message, now: self.tombstones.write(sender, message, self.drivers, now),
            TombstonesSeen: self.tombstones.seen,
        }

    def __repr__(self) -> str:
        return f"<NodeMachine {self.pool!r} {self.leases!r} {len(self.drivers)} drivers>"

    # -- the door

    def handle(self, event: Any, now: float) -> list[Any]:
        """Take one event; gives the effects in order."""
        if self.stopping:
            return []
        handler = self._events.get(type(event))
        effects = handler(event, now) if handler is not None else list(self.store.handle(event, now))
        if (self._serve_again or self.bundles.changed) and not self.memory.holds(now):
            self._serve_again = False
            effects += self._serve(now)
        return effects

    def _on_received(self, event: Received, now: float) -> list[Any]:
        sender, message = event.sender, event.message
        known = sender in self.drivers or sender in self.pool.by_address or sender == self.identity.gcs
        if not known and not self._may_come_from_elsewhere(sender, message):
            return [Say("warning", f"{type(message).__name__} from {sender}, which has not joined: ignored")]
        if is_for_store(message):
            return list(self.store.handle(event, now))
        handler = self._messages.get(type(message))
        if handler is None:
            return [Say("warning", f"{type(message).__name__} from {sender} is not for a node manager: ignored")]
        return handler(sender, message, now)

    def _may_come_from_elsewhere(self, sender: str, message: Any) -> bool:
        """Whether a process that has not joined may say this: rule 1."""
        if isinstance(message, LeaseDemand):
            return bool(message.home)
        if isinstance(message, KillWorker):
            return any(client == sender for client, _ in self.leases.demands)
        return isinstance(message, FOR_ALL | OF_OTHER_NODES)

    def _served(self, handler: Callable[[str, Any, float], list[Any]]) -> Callable[[str, Any, float], list[Any]]:
        """The same handler, after which those who wait are looked at."""

        def handle(sender: str, message: Any, now: float) -> list[Any]:
            self._serve_again = True
            return handler(sender, message, now)

        return handle

    # -- joining

    def _on_join(self, sender: str, message: JoinNode, now: float) -> list[Any]:
        me = self.identity
        error = refusal(message, me.python_version, me.raynb_version)
        worker_id = b""
        effects: list[Any] = []
        new = sender not in self.drivers and sender not in self.pool.by_address
        if error:
            effects.append(Say("warning", f"{message.kind} {message.token} (pid {message.pid}): {error}"))
        elif message.kind == "worker":
            worker = self.pool.join(message.token, sender, message.pid, now)
            if worker is None:
                error = f"nobody waits for a worker {message.token!r} (any more)"
            else:
                worker_id = worker.worker_id
                self._serve_again = True
        elif new:
            self.drivers[sender] = driver = Driver(sender, message)
            if not driver.guest:
                self._had_driver, self._stop_at = True, None
            effects += [WatchProcess(sender, message.pid), Say("info", f"{driver!r} joined")]
        if not error and new:
            effects += self.store.handle(ClientJoined(sender, message.pid, f"{message.kind} {message.token}"), now)
        reply = NodeJoined(
            me.node_id, worker_id, me.gcs, me.session, me.store_prefix, to_amounts(self.leases.total),
            self._config, error, me.spill_prefix, me.labels, list(self.store.orphans.dead_owners),
        )  # fmt: skip
        return [*effects, Send(sender, reply), *(self.tombstones.joined(sender) if worker_id else ())]

    # -- leaving and dying

    def _on_leave(self, sender: str, message: LeaveNode, now: float) -> list[Any]:
        worker = self.pool.by_address.get(sender)
        if worker is not None:
            self.pool.leaves(worker, message.why, now)
            self._serve_again = True
            return []
        driver = self.drivers.get(sender)
        return self._driver_gone(driver, "it left", now, orderly=not message.returns) if driver is not None else []

    def _on_client_exited(self, event: ClientExited, now: float) -> list[Any]:
        if not event.address:  # who started the cluster
            if self.identity.embedded and not self._had_driver:
                return self._stop("the process that started it ended before it had joined")
            return []
        if event.address == self.identity.head:
            return self._stop("its head node's manager has ended")
        peer = self.peers.views.get(event.address)
        if peer is not None:
            reason = f"its node {peer.node_id.hex()[:12]} is gone: {event.reason}"
            return self._died_elsewhere(ProcessDied(event.address, "node", 0, reason), now)
        driver = self.drivers.get(event.address)
        return self._driver_gone(driver, event.reason, now, orderly=False) if driver is not None else []

    def _driver_gone(self, driver: Driver, reason: str, now: float, *, orderly: bool) -> list[Any]:
        del self.drivers[driver.address]
        died = ProcessDied(driver.address, "driver", driver.pid, reason, intended=orderly)
        effects: list[Any] = [Say("info", f"{driver!r} is gone: {reason}"), *self._bury(died, now)]
        if driver.guest:
            return effects
        effects.append(Send(self.identity.gcs, FinishJob(driver.job)))
        if self.identity.embedded and all(other.guest for other in self.drivers.values()):
            if orderly or driver.grace_s <= 0:
                return effects + self._stop(f"its last driver is gone: {reason}")
            self._stop_at = now + driver.grace_s
        return effects

    def _on_worker_exited(self, event: WorkerExited, now: float) -> list[Any]:
        self._serve_again = True
        return self.deaths.worker_exited(event, now)

    def _bury(self, died: ProcessDied, now: float) -> list[Any]:
        self._serve_again = True
        self.scaling.forget(died.address)
        return self.deaths.bury(died, now)

    def _on_process_died(self, sender: str, message: ProcessDied, now: float) -> list[Any]:
        """Elsewhere: the GCS tells it, or another manager that was asked."""
        if sender != self.identity.gcs and sender not in self.peers.views:
            return [Say("warning", f"{sender} tells of a death, and is no node manager: ignored")]
        if message.address == self.identity.head:
            return self._stop(f"its head node is gone: {message.reason}")
        return self._died_elsewhere(message, now)

    def _died_elsewhere(self, message: ProcessDied, now: float) -> list[Any]:
        self._serve_again = True
        self.scaling.forget(message.address)
        self.peers.gone(message.address)
        return self.deaths.told(message, now)

    def _on_forked(self, event: WorkerForked, now: float) -> list[Any]:
        self.pool.forked(event.token, event.pid)
        return []

    def _on_stopped(self, event: WorkersStopped, now: float) -> list[Any]:
        self.pool.stopped(event.tokens, now)
        return []

    # -- leases

    def _on_demand(self, sender: str, message: LeaseDemand, now: float) -> list[Any]:
        self._serve_again = True
        try:
            need = to_units(message.resources)
        except ValueError as error:
            return [Send(sender, LeaseInfeasible(message.key, str(error)))]
        if gone := self.bundles.refuse(sender, message, need):
            return gone
        why = self.leases.state_demand(sender, message, need, now)
        if why:
            why = self.spillback.why_infeasible(self.leases.demands[sender, message.key])
        return [Send(sender, LeaseInfeasible(message.key, why))] if why else []

    def _on_returned(self, sender: str, message: LeaseReturned, now: float) -> list[Any]:
        grant = self.leases.by_number.get(message.lease)
        if grant is None or grant.demand.client != sender:
            return []  # its worker died meanwhile
        self._serve_again = True
        worker = self.pool.workers[grant.token]
        self.leases.release(grant, now)
        self.pool.returned(worker, now)
        return []

    def _on_blocked(self, sender: str, blocked: bool) -> list[Any]:
        worker = self.pool.by_address.get(sender)
        if worker is not None and self.pool.block(worker, blocked):
            self._serve_again = True
            self.leases.block(worker.token, blocked)
        return []

    def _serve(self, now: float) -> list[Any]:
        """Give workers to those who wait."""
        effects = self.spillback.before(now)
        outcome = self.leases.serve(self._take_worker(now), self.pool.room, now)
        effects += self.bundles.claimed(outcome.claims)
        if self.bundles.changed or outcome.claims or any(grant.demand.start for grant in outcome.granted):
            self.bundles.changed = False
            effects += self.reports.taken(now)
        for grant in outcome.granted:
            effects += self._tell_granted(grant)
        for client, numbers in outcome.reclaim.items():
            effects.append(Send(client, LeaseReclaim(numbers)))
        effects += self.spillback.serve(outcome, now)
        effects += self.pool.replenish(outcome.workers_wanted, now)
        if self.pool.start_failures >= START_FAILURES_TOLD:
            effects += self._tell_start_failures(now)
        elif self._failure_told:
            self._failure_told.clear()
        return effects

    def _take_worker(self, now: float) -> Callable[[Demand], str | None]:
        def take(demand: Demand) -> str | None:
            # What uses a GPU keeps to processes of its own: frameworks look once which ones there are.
            kind = f"{demand.runtime_env} GPU" if asks_for_gpus(demand.need) else demand.runtime_env
            worker = self.pool.take_idle(kind)
            if worker is None:
                return None
            if demand.start is not None:
                start = demand.start
                self.pool.become_actor(worker, start.actor_id, start.incarnation, kind, now)
            else:
                self.pool.lease(worker, kind, now)
            return worker.token

        return take

    def _tell_granted(self, grant: Grant) -> list[Any]:
        """Rule 2."""
        worker = self.pool.workers[grant.token]
        demand = grant.demand
        gpus = grant.gpus.names if grant.gpus is not None else []
        if demand.start is not None:
            return [Send(worker.address, structs.replace(demand.start, gpus=gpus) if gpus else demand.start)]
        message = LeaseGranted(
            demand.key, grant.number, worker.address, worker.worker_id, worker.pid, demand.client,
            to_amounts(demand.need), self.identity.node_id, demand.runtime_env, gpus,
        )  # fmt: skip
        return [Send(worker.address, message), Send(demand.client, message)]

    def _tell_start_failures(self, now: float) -> list[Any]:
        effects: list[Any] = []
        for demand in self.leases.waiting():
            told = (demand.client, demand.key)
            if demand.start is None and told not in self._failure_told:
                self._failure_told.add(told)
                reason = explain(demand, self.leases, self.pool, now)
                effects.append(Send(demand.client, LeaseInfeasible(demand.key, f"{reason.sentence} {reason.fix}")))
        return effects

    def _on_scale(self, sender: str, message: ScaleNode, now: float) -> list[Any]:
        self._serve_again = True
        return self.scaling.scale(sender, message, list(self.drivers), now)

    # -- the GCS

    def _on_gcs_started(self, event: GcsStarted, now: float) -> list[Any]:
        """Rule 4."""
        me = self.identity
        watch = [WatchProcess(me.head, me.head_pid)] if me.head else []
        return [*watch, *self.reports.register(list(self.drivers), now)]

    def _on_view(self, sender: str, message: ClusterView, now: float) -> list[Any]:
        self._serve_again = True
        new = self.peers.take(message)
        self.reports.several = bool(self.peers)
        # The kernel tells of its end, whatever the GCS knows.
        return [WatchProcess(manager, pid) for manager, pid in new if manager != self.identity.head]

    def _on_registered(self, sender: str, message: NodeRegistered, now: float) -> list[Any]:
        self.spillback.gcs_is_new()
        effects = self.reports.answered(list(self.drivers), now)
        return [*effects, *self.scaling.registered(), *self.liveness.registered()]

    def _on_measured(self, event: Measured, now: float) -> list[Any]:
        self.reports.load = event
        return []

    # -- time

    def _on_tick(self, now: float) -> list[Any]:
        if self._stop_at is not None and now >= self._stop_at:
            return self._stop("no driver came back within the grace of the last one")
        effects = self.pool.tick(now)
        effects += self.store.handle(Tick(), now)
        effects += self.tombstones.tick(now) + self.liveness.tick(now) + self.bundles.tick(now)
        usage = self.store.usage()
        effects += self.reports.tick(list(self.drivers), now)
        effects += self.garbage.tick(usage["used_bytes"], usage["capacity_bytes"], now)
        self._serve_again = True
        return effects

    @property
    def idle(self) -> bool:
        """Nothing waits for anything: ticks may come less often."""
        store = self.store
        anybody = self.leases.any_waiting or store.waiting(0.0) or store.log.pending or self.tombstones.watching
        return self.reports.registered and self.pool.settled and not anybody and self.reports.all_told

    def _stop(self, reason: str) -> list[Any]:
        """Nothing is handled after this."""
        self.stopping = reason
        me = self.identity
        died = ProcessDied(me.address, "node", me.pid, reason, intended=True)
        goodbyes = [Send(address, died) for address in self.drivers]
        if me.is_head:
            goodbyes += [Send(manager, StopNode(reason)) for manager in self.peers.views]
        else:
            goodbyes.append(Send(me.gcs, died))
        return [Say("info", f"stopping: {reason}"), *goodbyes, StopEverything(reason)]

    # -- what others see

    def statistics(self) -> dict[str, Any]:
        """A snapshot for tests and screens."""
        return {"workers": self.pool.statistics(), "leases": self.leases.statistics(), "drivers": len(self.drivers)}

    def check(self) -> None:
        """Raise `AssertionError` where an invariant does not hold."""
        self.pool.check()
        self.leases.check()
        self.store.check()
        self.tombstones.check()
        for token, grant in self.leases.by_token.items():
            worker = self.pool.workers.get(token)
            assert worker is not None, f"{grant!r} of a worker that is gone"
            assert worker.state in ("leased", ACTOR, DYING), (worker, grant)
            assert worker.blocked == grant.blocked, (worker, grant)
        for worker in self.pool.workers.values():
            if worker.state in ("leased", ACTOR):
                assert worker.token in self.leases.by_token, f"{worker!r} has no grant"
        self.deaths.check()
        clients = {*self.drivers, *self.pool.by_address}
        for (client, _), demand in self.leases.demands.items():
            assert client in clients or demand.home, f"a demand of {client}, which is gone"
