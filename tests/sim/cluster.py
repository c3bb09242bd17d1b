"""A simulated cluster: its processes, their ends, and a driver's course."""

from __future__ import annotations

from typing import Any

from raynb.runtime.core.failed_tasks import KeepFailures
from raynb.runtime.core.inbox import Ask, KillByHandle, Outgoing
from raynb.runtime.messages import Message
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.gcs import FinishJob, RegisterJob
from raynb.runtime.messages.ids import JOB_ID_BYTES
from raynb.runtime.messages.node import LeaveNode
from raynb.runtime.ports.fake_state_store import FakeDisk
from tests.sim import calls
from tests.sim.calls import Execution
from tests.sim.client import SimClient
from tests.sim.deeds import Guest
from tests.sim.gcs import SimGcs
from tests.sim.generators import next_item
from tests.sim.interpreter import Frame
from tests.sim.network import Network
from tests.sim.node import SimNode
from tests.sim.oracle import Oracle
from tests.sim.outcomes import RemoteError, StoreFull
from tests.sim.threads import Pause, Steps
from tests.sim.values import number
from tests.sim.worker import SimWorker
from tests.sim.workload import Joining, Operation, Plan
from tests.sim.world import Violation, World

CONFIG = Config(
    inline_limit_bytes=100,
    client_extent_bytes=4096,
    own_extent_bytes=2048,
    retry_request_s=0.5,
    interrupt_patience_s=1.0,
    actor_end_patience_s=1.0,
    force_patience_s=1.0,
    event_flush_s=0.4,
    store_full_timeout_s=3.0,
    transfer_chunk_bytes=400,
    transfer_window=2,
)

FAILURES_KEPT, FAILURES_KEPT_BYTES = 3, 2000
"""Of a driver, as a notebook's."""


class Cluster:
    """All processes of one run.

    Attributes
    ----------
    processes
        By address; the GCS's is its latest.
    drivers
        Those of the plan.
    """

    python_version = "3.11.0"
    gcs_address = "gcs"

    def __init__(self, plan: Plan, *, digest: bool = False) -> None:
        self.plan = plan
        limits = plan.limits
        self.config = CONFIG.__class__(
            **{
                **{name: getattr(CONFIG, name) for name in CONFIG.__struct_fields__},
                "batch_tasks_max": limits.batch_tasks_max,
                "worker_result_cache_bytes": limits.result_cache_bytes,
                "lease_idle_s": limits.lease_idle_s,
                "worker_idle_s": limits.worker_idle_s,
            }
        )
        self.world = World(plan.seed, digest=digest)
        self.network = Network(self.world, limits.wild)
        self._pids = 0
        self._addresses: dict[int, str] = {}
        self.processes: dict[str, Any] = {}
        self.oracle = Oracle(self)
        self.disk = FakeDisk()
        self.jobs_over: set[bytes] = set()
        self.gcs_pause_s = 0.05
        self.network.away(self.gcs_address)
        self.nodes: list[SimNode] = []
        self.nodes.append(SimNode(self, 0, limits))
        self.gcs = SimGcs(self, self.disk)
        self.node.gcs_started()
        for joining in plan.nodes:
            self.world.at(joining.at_s, self._join, joining)
        self.drivers = [self._driver(index) for index in range(len(plan.drivers))]
        self.guest = Guest(self)
        self.settled: set[str] = set()
        """Drivers whose threads are through."""

    @property
    def node(self) -> SimNode:
        """The head node."""
        return self.nodes[0]

    def _join(self, joining: Joining) -> None:
        if self.node.alive:
            self.nodes.append(SimNode(self, len(self.nodes), joining))
            self.nodes[-1].gcs_started()

    def next_pid(self) -> int:
        self._pids += 1
        return self._pids

    def node_of(self, node_id: bytes) -> SimNode:
        """The node of this id, which may be dead."""
        return next(node for node in self.nodes if node.machine.identity.node_id == node_id)

    def address_of(self, pid: int) -> str:
        """Of the process with this pid, which is also the origin of its ids."""
        return next((a for a, p in self.processes.items() if p.pid == pid), "")

    def _driver(self, index: int, name: str = "driver") -> SimClient:
        job = (index + 1).to_bytes(JOB_ID_BYTES, "little")
        return SimClient(self, self.node, self.node.path(f"{name}{index}"), f"{name}{index}", job, "ns")

    # -- ends

    def ended(self, process: Any, how: str, *, orderly: bool = False) -> None:
        """A process is gone."""
        if not process.alive:
            return
        self.world.note(process.address, "ENDED", how)
        process.alive = False
        self.oracle.facts.died[process.address] = how
        self.network.died(process.address, orderly=orderly)
        process.node.memory.let_go(process.address)
        if isinstance(process, SimWorker):
            process.node.worker_ended(process, how)
        elif isinstance(process, SimClient):
            self.jobs_over.add(process.job)
            process.node.watched_ended(process.address)

    def kill_gcs(self, pause_s: float) -> None:
        """End the GCS; its node manager starts it again."""
        gcs = self.gcs
        if not gcs.alive or not self.node.alive:
            return
        self.world.note("gcs", "ENDED", f"back in {pause_s:.3f} s")
        gcs.alive = False
        self.network.died(self.gcs_address, orderly=False, returns=True)
        self.world.after(pause_s, self._restart_gcs)

    def _restart_gcs(self) -> None:
        if self.node.alive:
            self.gcs = SimGcs(self, self.disk)
            self.node.gcs_started()

    def kill_node(self, node: SimNode) -> None:
        """End a node manager, and what dies with it."""
        if not node.alive:
            return
        self.world.note(node.address, "ENDED", "with all its workers")
        node.alive = False
        self.oracle.facts.node_died(node)
        self.network.died(node.address, orderly=False)
        for process in list(self.processes.values()):
            if isinstance(process, SimWorker) and process.node is node:
                self.ended(process, "its node manager died")
            elif isinstance(process, SimClient) and process.node is node and process.alive:
                self.world.after(self.world.between(0.0001, 0.02), process.node_manager_died, "it was killed")
        for other in self.nodes:
            other.watched_ended(node.address)
        if node is not self.node:
            self.gcs.process_ended(node.address)
            return
        if self.gcs.alive:
            self.gcs.alive = False
            self.network.died(self.gcs_address, orderly=False)

    def node_stopped(self, node: SimNode, reason: str) -> None:
        """A node ends itself: it was asked to, or its head is gone."""
        if node is self.node or (self.node.alive and node.address not in self.oracle.facts.stopped):
            raise Violation(f"{node.address} stops: {reason}")
        self.kill_node(node)

    def refused(self, client: SimClient, error: str) -> None:
        """A node manager does not take a process; a worker ends by itself then."""
        if not isinstance(client, SimWorker):
            raise Violation(f"{client} was refused: {error}")
        self.ended(client, "refused")

    def job_over(self, job: bytes) -> bool:
        return job in self.jobs_over

    def may_leave(self, address: str) -> bool:
        """Whether a process may end in an orderly way although others refer to what it owns: actors, and drivers."""
        process = self.processes[address]
        return not isinstance(process, SimWorker) or process.is_actor

    # -- drivers

    def driver_joined(self, client: SimClient) -> None:
        """What a driver does after it has joined."""
        job = RegisterJob(0, client.job, client.address, client.pid, "ns", "sim", 0.0)
        client.post(Ask(self.gcs_address, job, None))
        if not self.node.alive:
            self.world.after(self.world.soon(), client.node_manager_died, "it was killed")
        if client in self.drivers:
            client.post(KeepFailures(FAILURES_KEPT, FAILURES_KEPT_BYTES))
            index = self.drivers.index(client)
            for position, body in enumerate(self.plan.drivers[index]):
                client.start_thread(f"t{position}", self._course(client, number(index, position), body))
        else:
            client.start_thread("janitor", self._clean_up(client))

    def _course(self, client: SimClient, label: int, body: tuple[Operation, ...]) -> Steps:
        frame = Frame(client, Execution(client.root, bytes(24)), label, patient=True)
        yield from frame.run(body)
        for group in frame.groups:
            yield from frame.remove(group)
        for generator in frame.generators:
            while (ref := (yield from next_item(client, generator))) is not None:
                frame.refs.append(ref)
            generator.close()
            frame.refs.append(generator.ref)
        frame.generators = []
        for ref in frame.refs:
            try:
                (loaded,) = yield from calls.get(client, [ref], None)
            except (RemoteError, StoreFull):
                continue
            yield Pause()
            calls.let_go(loaded)
        # So no failure is kept when all else is gone; until the first course ends some are.
        client.post(KeepFailures(0, 0))
        frame.let_go()

    def _clean_up(self, client: SimClient) -> Steps:
        """End what would live for ever: detached actors, and those that keep each other (or themselves) alive."""
        for actor_id, facts in self.oracle.facts.actors.items():
            if facts.cls.detached:
                self.oracle.kill_asked(actor_id)
                client.post(KillByHandle(actor_id, True))
        for _ in range(200):
            yield Pause(0.02)
            busy = any(c.machine.unfinished for c in self.living_clients)
            if not busy and not any(isinstance(c, SimWorker) and c.is_actor for c in self.living_clients):
                return
        for worker in self.living_clients:
            if isinstance(worker, SimWorker) and (worker.kept.refs or worker.kept.pins):
                for actor_id, facts in self.oracle.facts.actors.items():
                    if worker.address in facts.processes:
                        self.oracle.kill_asked(actor_id)
                        client.post(KillByHandle(actor_id, True))

    def janitor(self) -> SimClient:
        """A driver that comes when all others are through."""
        return self._driver(len(self.drivers), "janitor")

    def leave(self, client: SimClient) -> None:
        """A driver's orderly end."""
        client.post(Outgoing(self.gcs_address, FinishJob(client.job)))
        goodbye: Message = LeaveNode()
        client.leave(goodbye)

    @property
    def living_clients(self) -> list[SimClient]:
        return [p for p in self.processes.values() if isinstance(p, SimClient) and p.alive and p.joined is not None]

    @property
    def through(self) -> bool:
        """Whether every living driver's threads are at their end."""
        return all(
            not driver.alive
            or (driver.joined is None and not self.node.alive)
            or (driver.threads and all(thread.done for thread in driver.threads))
            for driver in self.drivers
        )
