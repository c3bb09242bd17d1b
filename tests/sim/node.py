"""The simulated node manager: `NodeMachine` with its store, and what its host does for them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.node import NodeMachine
from raynb.runtime.core.node_effects import (
    ClientExited,
    EndProcess,
    ForgetPeer,
    GcsStarted,
    LookAtPage,
    PageSeen,
    Say,
    SpawnWorker,
    StopEverything,
    WatchProcess,
    WorkerExited,
    WorkerForked,
)
from raynb.runtime.core.node_identity import NodeIdentity
from raynb.runtime.core.store_effects import (
    ChunkWritten,
    ClientFault,
    DropSegment,
    ExtentWalked,
    GrowStore,
    SegmentFailed,
    SegmentReady,
    SendChunk,
    WalkExtent,
    WriteChunk,
)
from raynb.runtime.messages import Message
from raynb.runtime.messages.ids import NODE_ID_BYTES
from raynb.runtime.messages.node import StartActor
from raynb.runtime.messages.transfers import ObjectChunk
from tests.sim.memory import CheckedStore, Memory
from tests.sim.worker import SimWorker
from tests.sim.world import Violation

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster
    from tests.sim.workload import Joining, Limits

IDLE_TICK_S = 0.5


class SimNode:
    """The node manager's process.

    Parameters
    ----------
    number
        0: the head node.
    offer
        What the node has.
    """

    kind = "node"

    def __init__(self, cluster: Cluster, number: int, offer: Joining | Limits) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.network = cluster.network
        self.number = number
        self.offer = offer
        self.folder = f"n{number}/" if cluster.plan.nodes else ""
        """So the addresses of its processes begin, as those of a session's folder do."""
        self.address = self.path("node")
        self.alive = True
        self.pid = cluster.next_pid()
        head = cluster.nodes[0] if number else None
        identity = NodeIdentity(
            node_id=bytes([ord("n") + number]) * NODE_ID_BYTES,
            address=self.address,
            gcs=cluster.gcs_address,
            session="sim",
            store_prefix="sim",
            pid=self.pid,
            hostname="here",
            ip="127.0.0.1",
            raynb_version="0",
            python_version=cluster.python_version,
            resources={"CPU": offer.cpus, "special": offer.special},
            head=head.address if head is not None else "",
            head_pid=head.pid if head is not None else 0,
        )
        store = CheckedStore(offer.store_bytes, cluster.config, spills=offer.spills, address=self.address)
        self.memory = Memory(store)
        self.machine = NodeMachine(identity, cluster.config, store)
        self.workers: dict[str, SimWorker | None] = {}
        """By token; None while it is being forked."""
        self._events: deque[Any] = deque()
        self._arrived: deque[tuple[str, Message]] = deque()
        self._refused: set[str] = set()
        self._watched: set[str] = set()
        self._scheduled = False
        self._tick_ticket = 0
        self._store_free_at = self._written_at = 0.0
        self.fail_forks = 0
        self.fail_segments = 0
        cluster.processes[self.address] = self
        self.network.join(self)
        self._schedule_tick()
        if head is not None:
            self._watch(head.address)

    def __repr__(self) -> str:
        return f"<SimNode {self.machine!r}>"

    def path(self, name: str) -> str:
        """The address of a process of this node."""
        return f"{self.folder}p/{name}" if self.folder else name

    # -- the loop

    def receive(self, sender: str, message: Message) -> None:
        self._arrived.append((sender, message))
        self._schedule()

    def post(self, event: Any) -> None:
        """Something happened on this host."""
        self._events.append(event)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.world.after(self.world.soon(), self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if not self.alive:
            return
        received = list(self._arrived)
        self._arrived.clear()
        for sender, message in received:
            if sender not in self._refused:
                self.handle(Received(sender, message))
        while self._events and self.alive:
            self.handle(self._events.popleft())

    def _schedule_tick(self) -> None:
        self._tick_ticket += 1
        pause_s = IDLE_TICK_S if self.machine.idle else self.cluster.config.tick_s
        self.world.after(pause_s, self._tick, self._tick_ticket)

    def _tick(self, ticket: int) -> None:
        if self.alive and ticket == self._tick_ticket:
            self.handle(Tick())
            self._schedule_tick()

    def handle(self, event: Any) -> None:
        """Give the machine an event and carry out what it says."""
        if not self.alive:
            return
        was_idle = self.machine.idle
        effects = self.machine.handle(event, self.world.now)
        self.machine.check()
        for effect in effects:
            self._carry_out(effect)
        if was_idle and not self.machine.idle:
            self._schedule_tick()

    # -- effects

    def _carry_out(self, effect: Any) -> None:
        if isinstance(effect, Send):
            if isinstance(effect.message, StartActor):
                self.cluster.oracle.actor_given(effect.message.actor_id, effect.to)
            if effect.to not in self._refused:
                self.network.send(self.address, effect.to, effect.message)
        elif isinstance(effect, SpawnWorker):
            self.workers[effect.token] = None
            self.world.after(self.world.between(0.001, 0.02), self._fork, effect.token)
        elif isinstance(effect, EndProcess):
            self.world.after(self.world.soon(), self._end, effect.token)
        elif isinstance(effect, SendChunk):
            chunk = ObjectChunk(effect.oid, effect.grant, effect.offset, effect.note, self.memory.piece(effect))
            self.network.send(self.address, effect.to, chunk)
        elif isinstance(effect, WriteChunk):
            self._written_at = max(self._written_at, self.world.now + self.world.between(0.0, 0.002))
            self.world.at(self._written_at, self._write, effect)
        elif isinstance(effect, GrowStore | DropSegment | WalkExtent):
            self._store_free_at = max(self._store_free_at, self.world.now + self.world.between(0.0, 0.01))
            self.world.at(self._store_free_at, self._do_store, effect)
        elif isinstance(effect, LookAtPage):
            looked_at = self.workers.get(effect.token)
            if looked_at is not None and looked_at.marked:
                self.post(PageSeen(effect.token, looked_at.marked))
        elif isinstance(effect, ForgetPeer):
            self._refused.add(effect.address)
            self._watched.discard(effect.address)
        elif isinstance(effect, WatchProcess):
            self._watch(effect.address)
        elif isinstance(effect, Say):
            self.world.note(self.address, effect.level, effect.text)
            if effect.text.endswith("ignored"):
                raise Violation(f"{self.address}: {effect.text}")
        elif isinstance(effect, ClientFault):
            raise Violation(f"{effect.address}: {effect.message}")
        elif isinstance(effect, StopEverything):
            self.cluster.node_stopped(self, effect.reason)
        else:
            raise AssertionError(f"no host for the effect {effect!r}")

    def _fork(self, token: str) -> None:
        if not self.alive or token not in self.workers:
            return
        if self.fail_forks > 0:
            self.fail_forks -= 1
            del self.workers[token]
            self.post(WorkerExited(token, 0, "the forkserver ended"))
            return
        worker = self.workers[token] = SimWorker(self.cluster, self, self.path(token), token)
        self.post(WorkerForked(token, worker.pid))

    def _end(self, token: str) -> None:
        worker = self.workers.get(token)
        if worker is not None and worker.alive:
            self.cluster.ended(worker, "killed by its node manager")

    def worker_ended(self, worker: SimWorker, reason: str) -> None:
        """A process of this node has ended; it takes a while to be noticed."""
        self.world.after(self.world.between(0.0001, 0.005), self._noticed, worker, reason)

    def _noticed(self, worker: SimWorker, reason: str) -> None:
        self.workers.pop(worker.token, None)
        lease, seq = worker.page
        self.post(WorkerExited(worker.token, worker.pid, reason, "", lease, seq))

    def _watch(self, address: str) -> None:
        self._watched.add(address)
        process = self.cluster.processes.get(address)
        if process is None or not process.alive:
            self.watched_ended(address)

    def watched_ended(self, address: str) -> None:
        """A process is gone: a driver, or another node's manager."""
        if address in self._watched:
            self._watched.discard(address)
            self.world.after(self.world.between(0.0001, 0.01), self.post, ClientExited(address, "its process ended"))

    def gcs_started(self) -> None:
        self.post(GcsStarted())

    # -- the store's threads

    def _write(self, chunk: WriteChunk) -> None:
        if self.alive:
            problem = self.memory.write_piece(chunk)
            self.cluster.oracle.counts["damaged"] += bool(problem)
            self.post(ChunkWritten(chunk.transfer, chunk.data.nbytes, problem))

    def _do_store(self, work: GrowStore | DropSegment | WalkExtent) -> None:
        if not self.alive:
            return
        if isinstance(work, GrowStore):
            if self.fail_segments > 0:
                self.fail_segments -= 1
                self.post(SegmentFailed(work.name, "no space left"))
                return
            self.memory.grow(work.name)
            self.post(SegmentReady(work.name, work.size))
        elif isinstance(work, DropSegment):
            self.memory.drop(work.name)
        else:
            found = self.memory.walk(work.segment, work.offset, work.size, work.grant)
            self.post(ExtentWalked(work.grant, found))
