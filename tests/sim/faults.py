"""What goes wrong, when it is due."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from raynb.runtime.core.effects import Received
from raynb.runtime.messages.node import ScaleNode, StopNode
from tests.sim.client import SimClient
from tests.sim.worker import SimWorker
from tests.sim.workload import Fault

if TYPE_CHECKING:
    from raynb.runtime.messages import Message
    from tests.sim.cluster import Cluster


class Faults:
    """Lets the faults of a plan happen, until `stop`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stopped = False
        self._seen: Counter[str] = Counter()
        self._awaited: list[Fault] = []
        self.done = 0
        for fault in cluster.plan.faults:
            if fault.after:
                self._awaited.append(fault)
            else:
                cluster.world.at(fault.at_s, self._happen, fault, "", "")
        if self._awaited:
            cluster.network.taps.append(self._tap)

    def stop(self) -> None:
        """Nothing goes wrong any more, and what was wrong for a while is not."""
        self._stopped = True
        cluster = self._cluster
        cluster.disk.away = False
        for node in cluster.nodes:
            node.fail_forks = node.fail_segments = 0
        for process in cluster.living_clients:
            process.stalled_until = 0.0
        if any(fault.kind == "resize" for fault in cluster.plan.faults):
            self._resize(cluster.plan.limits.cpus)

    @property
    def pending(self) -> bool:
        """Whether one with a time of its own is still to come."""
        return not self._stopped and any(
            not fault.after and fault.at_s > self._cluster.world.now for fault in self._cluster.plan.faults
        )

    def _tap(self, sender: str, receiver: str, message: Message) -> None:
        if self._stopped:
            return
        kind = type(message).__name__
        self._seen[kind] += 1
        for fault in list(self._awaited):
            if fault.after == kind and fault.nth == self._seen[kind]:
                self._awaited.remove(fault)
                self._happen(fault, sender, receiver)

    def _happen(self, fault: Fault, sender: str, receiver: str) -> None:
        cluster = self._cluster
        if self._stopped or not cluster.node.alive:
            return
        self.done += 1
        cluster.world.note("fault", fault.kind, repr(fault))
        if fault.kind == "gcs":
            cluster.kill_gcs(fault.lasting_s)
        elif fault.kind == "node":
            cluster.kill_node(cluster.node)
        elif fault.kind in ("far-node", "leave"):
            self._to_a_node(fault, sender, receiver)
        elif fault.kind == "store-away":
            cluster.disk.away = True
            cluster.oracle.facts.store_away = True
            cluster.world.after(fault.lasting_s, self._store_back)
        elif fault.kind == "no-fork":
            cluster.nodes[fault.which % len(cluster.nodes)].fail_forks = 1 + fault.which % 3
        elif fault.kind == "resize":
            self._resize(float(fault.which))
        elif fault.kind == "rot":
            rotten = cluster.nodes[fault.which % len(cluster.nodes)].memory.rot(fault.which // len(cluster.nodes))
            if rotten is not None:
                cluster.oracle.facts.rotten.add(rotten)
        elif fault.kind == "no-segment":
            cluster.nodes[fault.which % len(cluster.nodes)].fail_segments = 1
        else:
            self._to_a_client(fault, sender, receiver)

    def _to_a_node(self, fault: Fault, sender: str, receiver: str) -> None:
        cluster = self._cluster
        joined = [node for node in cluster.nodes[1:] if node.alive]
        near = [node for node in joined if node.address in (sender, receiver)]
        if not joined:
            return
        victim = (near or joined)[fault.which % len(near or joined)]
        if fault.kind == "leave":
            cluster.oracle.facts.stopped.add(victim.address)
            victim.handle(Received("somebody", StopNode("it was asked to")))
        else:
            cluster.kill_node(victim)

    def _resize(self, cpus: float) -> None:
        asker = next((client.address for client in self._cluster.living_clients), "")
        if asker and self._cluster.node.alive:
            self._cluster.node.receive(asker, ScaleNode(0, cpus))

    def _store_back(self) -> None:
        self._cluster.disk.away = False

    def _to_a_client(self, fault: Fault, sender: str, receiver: str) -> None:
        cluster = self._cluster
        victim: Any = cluster.processes.get(sender if fault.which % 2 else receiver) if fault.after else None
        kinds = {"worker": SimWorker, "driver": SimClient, "stall": SimClient}
        if not isinstance(victim, kinds[fault.kind]) or not victim.alive:
            clients = [
                process
                for process in cluster.living_clients
                if isinstance(process, kinds[fault.kind])
                and (fault.kind != "driver" or not isinstance(process, SimWorker))
            ]
            busy = [process for process in clients if isinstance(process, SimWorker) and process.running]
            if fault.kind == "worker" and fault.which % 4 and busy:
                clients = busy
            if not clients:
                return
            victim = clients[fault.which % len(clients)]
        if fault.kind == "stall":
            victim.stalled_until = cluster.world.now + fault.lasting_s
        elif fault.kind == "driver" and isinstance(victim, SimWorker):
            return
        elif fault.kind == "worker" or sum(driver.alive for driver in cluster.drivers) > 1:
            cluster.ended(victim, "killed by a fault")
