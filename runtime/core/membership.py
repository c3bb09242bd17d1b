"""Who is there: nodes and their processes, alive or dead.

Rules
-----
1. A node is alive from `RegisterNode` until its manager's process ends, or it has been silent for `NODE_DEAD_S` (it is
   suspected, and nothing else happens, from `NODE_SUSPECT_S` on; a node of the GCS's own host is only ever suspected:
   there the kernel tells of its end). Silence is counted in ticks: time during which this
   GCS itself did not run (a suspended laptop, a SIGSTOP) is nobody's silence.
2. Dead is for good: a node that was declared dead and speaks again is told to stop, and nothing it says counts.
3. A process is alive if its node manager listed it, or a driver registered a job for it. It is dead when its node
   manager says so, or its node is dead. Addresses are never used again.
4. After a restart, nodes that the store knows have `NODE_RETURN_S` to register again; then they are dead.

Decides nothing about what dies with a process: `deaths` go back to whoever called.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Struct

from raynb.runtime.core.gcs_effects import Write
from raynb.runtime.core.node_identity import session_of
from raynb.runtime.core.placement import GPU, UNITS, NodeView, Vector, to_amounts, to_units
from raynb.runtime.messages.gcs import RegisterNode
from raynb.runtime.messages.node import NodeStatus, ProcessDied, WorkerListing, WorkerTable

TABLE: Final = "nodes"
NODE_SUSPECT_S: Final = 5.0
NODE_DEAD_S: Final = 60.0
NODE_RETURN_S: Final = 5.0
TICK_CREDIT_MAX_S: Final = 1.0
"""A longer pause between two ticks was our own sleep."""
UNKNOWN_PATIENCE_S: Final = 10.0
PROMISE_S: Final = 0.3
"""So long what was placed on a node counts as taken there, beside what it says."""
DEAD_ADDRESSES_MAX: Final = 50_000
DEAD_NODES_MAX: Final = 1000
DEAD_WORKERS_MAX: Final = 1000
"""Remembered for `list_workers`, each node."""

ALIVE: Final = "ALIVE"
DEAD: Final = "DEAD"


class NodeRecord(Struct, array_like=True, frozen=True, gc=False):
    """What stands in the store."""

    registration: RegisterNode
    state: str
    message: str = ""
    ended: float = 0.0
    orderly: bool = False


@dataclass(slots=True, eq=False)
class Node:
    """A node in the table."""

    registration: RegisterNode
    state: str = ALIVE
    message: str = ""
    ended: float = 0.0
    """Wall-clock seconds."""
    orderly: bool = False
    """It was asked to end, and said so itself."""
    silent_s: float = 0.0
    registered: bool = True
    """False: the store knows it, but it has not come back yet."""
    status: NodeStatus | None = None
    promised: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    """What was placed there lately: until when that counts, and its resources."""
    processes: dict[str, None] = field(default_factory=dict)
    workers: dict[str, WorkerListing] = field(default_factory=dict)
    dead_workers: OrderedDict[str, WorkerListing] = field(default_factory=OrderedDict)

    @property
    def id(self) -> bytes:
        return self.registration.node_id

    @property
    def manager(self) -> str:
        return self.registration.address

    @property
    def alive(self) -> bool:
        return self.state == ALIVE and self.registered

    @property
    def available(self) -> dict[str, float]:
        """As it said last."""
        return self.status.available if self.status else self.registration.resources

    def expected(self, awake_s: float) -> dict[str, float]:
        """What is likely to be free: what was placed there lately may not have been taken when it said so."""
        return self.less_promised(self.available, awake_s)

    def less_promised(self, available: dict[str, float], awake_s: float) -> dict[str, float]:
        """The same without what was placed there lately."""
        self.promised = [promise for promise in self.promised if promise[0] > awake_s]
        if not self.promised:
            return available
        available = dict(available)
        for _, resources in self.promised:
            for name, amount in resources.items():
                available[name] = available.get(name, 0.0) - amount
        return available

    def __repr__(self) -> str:
        return f"<Node {self.id.hex()[:12]} {self.state} {self.message}>"

    def write(self) -> Write:
        """The row in the store."""
        bare = msgspec.structs.replace(self.registration, actors=[], processes=None)
        record = NodeRecord(bare, self.state, self.message, self.ended, self.orderly)
        return Write(TABLE, self.id, msgspec.msgpack.encode(record))


class Membership:
    """The nodes and processes of a cluster.

    Parameters
    ----------
    hostname
        Of the GCS's own host.
    """

    def __init__(self, hostname: str = "") -> None:
        self._hostname = hostname
        self.nodes: dict[bytes, Node] = {}
        self._by_manager: dict[str, Node] = {}
        self._node_of: dict[str, Node] = {}
        self.dead: OrderedDict[str, str] = OrderedDict()
        """Dead addresses -> why."""
        self._unknown: dict[str, float] = {}
        """Nodes that were asked about and that nobody knows, by session: since when."""
        self._last_tick: float | None = None
        self._awake_s = 0.0

    def __repr__(self) -> str:
        alive = sum(node.alive for node in self.nodes.values())
        return f"<Membership {alive} of {len(self.nodes)} nodes, {len(self._node_of)} processes>"

    def load(self, value: bytes) -> None:
        """A row of the store. `msgspec.DecodeError` if it isn't one."""
        record = msgspec.msgpack.decode(value, type=NodeRecord)
        node = Node(record.registration, record.state, record.message, record.ended, record.orderly)
        node.registered = node.state == DEAD
        self.nodes[node.id] = node
        if node.state == ALIVE:
            self._by_manager[node.manager] = node
        else:
            self._bury(node.manager, node.message)

    # -- what nodes say

    def register(self, message: RegisterNode) -> tuple[Node, bool] | None:
        """A node is there, with True for the first time since this GCS was started. None: it was declared dead."""
        node = self.nodes.get(message.node_id)
        if message.address in self.dead or (node is not None and node.state == DEAD):
            return None
        first = node is None or not node.registered
        if node is None:
            node = self.nodes[message.node_id] = Node(message)
        node.registration, node.registered, node.silent_s = message, True, 0.0
        self._by_manager[message.address] = node
        for address in message.processes or ():
            self.meet(address, node)
        return node, first

    def status(self, sender: str, message: NodeStatus) -> Node | None:
        """A sign of life. None: from no node that is registered (it must register again, or stop)."""
        node = self._by_manager.get(sender)
        if node is None or not node.alive:
            return None
        node.status, node.silent_s, node.message = message, 0.0, ""
        return node

    def worker_table(self, sender: str, message: WorkerTable) -> list[WorkerListing]:
        """Which processes it has. Returns those that have an actor."""
        node = self._by_manager.get(sender)
        if node is None:
            return []
        node.silent_s = 0.0
        for listing in message.workers:
            if listing.state == "dead" or listing.address in self.dead:
                node.workers.pop(listing.address, None)
                node.dead_workers[listing.address] = listing
                if len(node.dead_workers) > DEAD_WORKERS_MAX:
                    node.dead_workers.popitem(last=False)
            elif listing.address:
                node.workers[listing.address] = listing
                self.meet(listing.address, node)
        return [w for w in message.workers if w.actor_id and w.address in node.workers]

    def meet(self, address: str, node: Node | None = None, manager: str = "") -> None:
        """A process is alive, on this node."""
        node = node or self._by_manager.get(manager) or self.head
        if node is not None and address not in self.dead:
            node.processes[address] = None
            self._node_of[address] = node

    # -- deaths

    def process_died(self, address: str, reason: str, wall: float) -> bool:
        """A process is dead; False if that was known. ``wall``: when that is heard, in seconds since the epoch."""
        if address in self.dead:
            return False
        node = self._node_of.pop(address, None)
        if node is not None:
            node.processes.pop(address, None)
            listing = node.workers.pop(address, None)
            if listing is not None:
                listing = msgspec.structs.replace(listing, state="dead", reason=reason, ended=wall)
                node.dead_workers[address] = listing
        self._bury(address, reason)
        return True

    def node_died(
        self, node: Node, reason: str, wall: float, *, orderly: bool = False
    ) -> tuple[list[ProcessDied], list[Write]]:
        """A node is dead. Returns who died with it, itself first, and what has to be written."""
        node.state, node.message, node.ended, node.orderly = DEAD, reason, wall, orderly
        self._by_manager.pop(node.manager, None)
        name = f"node {node.id.hex()[:12]}"
        deaths = [ProcessDied(node.manager, "node", node.registration.pid, f"its {name} is gone: {reason}")]
        why = f"its {name} is gone: {reason}"
        for address in list(node.processes):
            listing = node.workers.get(address)
            kind = listing.kind if listing else "driver"
            deaths.append(ProcessDied(address, kind, listing.pid if listing else 0, why, node=node.manager))
        return deaths, [node.write(), *self._forget_nodes()]

    def tick(self, now: float) -> list[tuple[Node, str]]:
        """Time passes. Returns nodes that are dead by now, and why."""
        passed = 0.0 if self._last_tick is None else now - self._last_tick
        self._last_tick = now
        if passed > TICK_CREDIT_MAX_S:
            return []
        self._awake_s += passed
        dead: list[tuple[Node, str]] = []
        for node in self.nodes.values():
            if node.state == DEAD:
                continue
            if not node.registered:
                if self._awake_s > NODE_RETURN_S:
                    why = f"it did not come back within {NODE_RETURN_S:g} s of a restart of the GCS"
                    dead.append((node, why))
                continue
            node.silent_s += passed
            here = node.registration.hostname == self._hostname
            if node.silent_s > NODE_DEAD_S and not here:
                dead.append((node, f"nothing was heard of it for {NODE_DEAD_S:g} s"))
            elif node.silent_s > NODE_SUSPECT_S:
                node.message = f"nothing was heard of it for {node.silent_s:.0f} s"
        return dead

    def _bury(self, address: str, reason: str) -> None:
        self.dead[address] = reason
        if len(self.dead) > DEAD_ADDRESSES_MAX:
            self.dead.popitem(last=False)

    def _forget_nodes(self) -> list[Write]:
        dead = self.dead_nodes()
        excess = max(0, len(dead) - DEAD_NODES_MAX)
        oldest = sorted(dead, key=lambda node: node.ended)[:excess]
        for node in oldest:
            del self.nodes[node.id]
        return [Write(TABLE, node.id, None) for node in oldest]

    def writes(self) -> list[Write]:
        """Everything, for a store that has lost it."""
        return [node.write() for node in self.nodes.values()]

    # -- questions

    @property
    def head(self) -> Node | None:
        """The head node, if it is there."""
        return next((n for n in self.nodes.values() if n.alive and n.registration.is_head), None)

    @property
    def several(self) -> bool:
        """Whether there is more than one node."""
        return len(self._by_manager) > 1

    @property
    def settled(self) -> bool:
        """Whether all nodes that were there before a restart are back or dead."""
        return all(node.registered or node.state == DEAD for node in self.nodes.values())

    @property
    def told(self) -> bool:
        """Whether every living node has listed its processes."""
        living = [node for node in self.nodes.values() if node.alive]
        return bool(living) and all(node.registration.processes is not None for node in living)

    def is_missing(self, address: str) -> bool:
        """Whether nobody has said of a process that it lives, or that it is dead."""
        return address not in self.dead and not self.is_process(address)

    def dead_nodes(self) -> list[Node]:
        """Those that are remembered."""
        return [node for node in self.nodes.values() if node.state == DEAD]

    def is_process(self, address: str) -> bool:
        """Whether this process is known to be alive."""
        return address in self._node_of

    def is_manager(self, address: str) -> bool:
        """Whether it is a living node's manager."""
        return address in self._by_manager

    def gone(self, addresses: Iterable[str]) -> list[ProcessDied]:
        """Those of these processes that are dead, or of a node that is. One that nobody knows may be about to register:
        nothing is said of its processes for `UNKNOWN_PATIENCE_S`."""
        living = {session_of(node.manager) for node in self.nodes.values() if node.state == ALIVE}
        ended = {session_of(node.manager) for node in self.nodes.values() if node.state == DEAD}
        found = []
        for address in addresses:
            session = session_of(address)
            if address in self.dead:
                found.append(ProcessDied(address, "worker", 0, self.dead[address]))
            elif session in living or self.is_process(address):
                self._unknown.pop(session, None)
            elif session in ended or self._awake_s - self._unknown_since(session) > UNKNOWN_PATIENCE_S:
                found.append(ProcessDied(address, "worker", 0, "its node is not there (any more)"))
        return found

    def _unknown_since(self, session: str) -> float:
        since = self._unknown.setdefault(session, self._awake_s)
        if len(self._unknown) > DEAD_NODES_MAX:
            del self._unknown[next(iter(self._unknown))]
        return since

    def by_manager(self, address: str) -> Node | None:
        """The living node with this manager."""
        return self._by_manager.get(address)

    def ip_of(self, address: str) -> str:
        """Of the node that a process is on."""
        found = self._node_of.get(address)
        return found.registration.ip if found is not None else ""

    def pid_of(self, address: str) -> int:
        """Of a worker; 0 if it was not listed."""
        found = self._node_of.get(address)
        listing = found.workers.get(address) if found is not None else None
        return listing.pid if listing is not None else 0

    def managers(self, but: str = "") -> list[str]:
        """Addresses of all living node managers."""
        return [node.manager for node in self.nodes.values() if node.alive and node.manager != but]

    def audience(self, but: str) -> list[str]:
        """Who is to hear of deaths: also managers that have not registered again since a start of the GCS."""
        return [address for address in self._by_manager if address != but]

    def manager_of(self, node_id: bytes) -> str:
        """Address of a living node's manager; empty if it is not there."""
        node = self.nodes.get(node_id)
        return node.manager if node is not None and node.alive else ""

    def processes(self) -> list[str]:
        """All living clients."""
        return list(self._node_of)

    def views(self) -> list[NodeView]:
        """The living nodes; what is free as they said last, or is likely to be."""
        return [
            NodeView(
                node.id,
                to_units(node.registration.resources),
                _units(node.expected(self._awake_s)),
                node.manager,
                node.registration.labels,
            )
            for node in self.nodes.values()
            if node.alive
        ]

    def place(self, resources: dict[str, float], among: Collection[bytes] | None = None) -> bytes:
        """Id of a node for this: one that has it free, else one that could ever have it; empty: none.

        Parameters
        ----------
        among
            Only these nodes come into question.

        Of several one without GPUs, if none are asked for; then the one with the most CPUs free (for each of its
        actors, where this is for one that holds no CPU); then the one that registered first.
        """
        best: tuple[bool, bool, float] | None = None
        found = b""
        for node in self.nodes.values():
            if not node.alive or not _fits(resources, node.registration.resources):
                continue
            if among is not None and node.id not in among:
                continue
            available = node.expected(self._awake_s)
            cpus = available.get("CPU", 0.0)
            if not resources.get("CPU"):
                cpus /= 1 + sum(bool(worker.actor_id) for worker in node.workers.values()) + len(node.promised)
            spares_gpus = bool(resources.get(GPU)) or not node.registration.resources.get(GPU)
            rank = (_fits(resources, available), spares_gpus, cpus)
            if best is None or rank > best:
                best, found = rank, node.id
        if found and self.several:
            self.nodes[found].promised.append((self._awake_s + PROMISE_S, resources))
        if not found and (head := self.head) is not None:
            # No node can ever have it: the head's manager says so in words, and waits for one that can.
            found = head.id
        return found

    def place_in_group(self, resources: dict[str, float], held: Mapping[bytes, Vector]) -> bytes:
        """Of the nodes of a placement group one that has this free, as far as they have told; empty: there are none.

        Those without GPUs come first, if none are asked for.

        Parameters
        ----------
        held
            What the group has at each of them: that is free where a node has not told of it yet.
        """
        asks = any(name.startswith(f"{GPU}_group_") for name in resources)

        def has_gpus(node_id: bytes) -> bool:
            return bool(self.nodes[node_id].registration.resources.get(GPU))

        for node_id in held if asks else sorted(held, key=has_gpus):
            node = self.nodes[node_id]
            told = {name: free for name, (_, free) in node.status.groups.items()} if node.status is not None else {}
            free = node.less_promised({**to_amounts(held[node_id]), **told}, self._awake_s)
            if _fits(resources, free):
                node.promised.append((self._awake_s + PROMISE_S, resources))
                return node_id
        return next(iter(held), b"")

    def check(self) -> None:
        """The invariants."""
        for address, node in self._node_of.items():
            assert address not in self.dead, f"{address} is alive and dead"
            assert address in node.processes
        for manager, node in self._by_manager.items():
            assert node.manager == manager and node.state == ALIVE
        for node in self.nodes.values():
            if node.state == DEAD:
                assert not node.workers, f"{node!r} is dead and has workers"


def _units(amounts: dict[str, float]) -> Vector:
    """What is available, where it may have been promised twice."""
    return {name: round(amount * UNITS) for name, amount in amounts.items()}


def _fits(asked: dict[str, float], there: dict[str, float]) -> bool:
    return all(there.get(name, 0.0) >= amount for name, amount in asked.items() if amount > 0)
