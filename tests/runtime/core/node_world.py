"""A node manager's machine, with plain lists around it: who was told what, which process was ordered."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.node import NodeMachine
from raynb.runtime.core.node_effects import (
    EndProcess,
    ForgetPeer,
    GcsStarted,
    SpawnWorker,
    StopEverything,
    WorkerExited,
    WorkerForked,
)
from raynb.runtime.core.node_identity import NodeIdentity
from raynb.runtime.core.store import StoreMachine
from raynb.runtime.messages.config import PROTOCOL_VERSION, Config
from raynb.runtime.messages.gcs import NodeRegistered
from raynb.runtime.messages.node import (
    JoinNode,
    LeaseDemand,
    LeaseGranted,
    LeaseReturned,
    NodeJoined,
    StartActor,
)
from raynb.runtime.messages.tasks import ContextDef, FunctionDef

GCS = "ipc://gcs"
ME = "ipc://node-manager"
T = TypeVar("T")


def join_message(kind: str, token: str, **changes: Any) -> JoinNode:
    fields: dict[str, Any] = {
        "pid": 7,
        "raynb_version": "0.1.0",
        "python_version": "3.11.4",
        "protocol": PROTOCOL_VERSION,
        "job": b"job1",
    }
    return JoinNode(kind=kind, token=token, **{**fields, **changes})


def actor_message(number: int = 1, incarnation: int = 0, **resources: float) -> StartActor:
    cls = FunctionDef(0, b"", "Counter", b"")
    context = ContextDef(0, b"job1", "", "driver")
    return StartActor(b"actor%011d" % number, incarnation, cls, b"", None, None, context, resources, "driver")


class World:
    """Time, and the ends of all wires."""

    def __init__(
        self, embedded: bool = True, config: Config | None = None, gpus: float = 0, cpus: float = 2, cores: int = 0
    ) -> None:
        self.now = 1000.0
        self.config = config or Config()
        resources = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
        identity = NodeIdentity(
            node_id=b"n" * 28,
            address=ME,
            gcs=GCS,
            session="session",
            store_prefix="raynb-session-",
            pid=1,
            hostname="host",
            ip="127.0.0.1",
            raynb_version="0.1.0",
            python_version="3.11.7",
            resources=resources,
            cores=cores,
            embedded=embedded,
        )
        self.machine = NodeMachine(identity, self.config, StoreMachine(1 << 30, self.config))
        self.effects: list[Any] = []
        self.ordered: list[str] = []
        """Tokens of workers that were ordered and have not been forked."""
        self.living: dict[str, str] = {}
        """Token -> address of joined workers."""
        self.grants: dict[int, LeaseGranted] = {}
        """As the clients know them."""

    def handle(self, event: Any) -> list[Any]:
        """One step, after which everything must be consistent, and nobody who is gone may have been told anything."""
        may_hear = {GCS, event.sender} if isinstance(event, Received) else {GCS}
        may_hear |= {*self.machine.drivers, *self.machine.pool.by_address, *self.machine.peers.views}
        may_hear |= {demand.client for demand in self.machine.leases.demands.values() if demand.home}
        effects = self.machine.handle(event, self.now)
        self.machine.check()
        for effect in effects:
            if isinstance(effect, ForgetPeer):
                may_hear.discard(effect.address)
            elif isinstance(effect, Send):
                assert effect.to in may_hear, f"{effect} of somebody who is not there"
        self.effects += effects
        for effect in effects:
            if isinstance(effect, SpawnWorker):
                self.ordered.append(effect.token)
        for send in sent(effects, LeaseGranted):
            if send.to == send.message.client:
                self.grants[send.message.lease] = send.message
        return effects

    def receive(self, sender: str, message: Any) -> list[Any]:
        return self.handle(Received(sender, message))

    def tick(self, seconds: float = 0.05) -> list[Any]:
        self.now += seconds
        return self.handle(Tick())

    # -- shorthands

    def start(self, workers: int = 2) -> None:
        """Up to where workers are idle and the GCS knows the node."""
        self.handle(GcsStarted())
        self.receive(GCS, NodeRegistered(1))
        self.tick()
        for _ in range(workers):
            self.worker_joins()

    def worker_joins(self) -> str:
        """The next ordered worker comes up; gives its address."""
        token = self.ordered.pop(0)
        address = f"ipc://{token}"
        self.handle(WorkerForked(token, 100 + len(self.living)))
        self.receive(address, join_message("worker", token))
        self.living[token] = address
        return address

    def driver_joins(self, name: str = "driver", **changes: Any) -> NodeJoined:
        return self.told(name, NodeJoined, self.receive(name, join_message("driver", name, **changes)))

    def demand(self, client: str, count: int, key: int = 1, **resources: float) -> list[LeaseGranted]:
        effects = self.receive(client, LeaseDemand(key, resources, count, f"{client}.f"))
        return [e.message for e in sent(effects, LeaseGranted) if e.to == client]

    def give_back(self, lease: int) -> list[Any]:
        grant = self.grants.pop(lease)
        return self.receive(grant.client, LeaseReturned(lease))

    def worker_dies(self, address: str, reason: str = "killed by SIGKILL", **page: Any) -> list[Any]:
        token = address.removeprefix("ipc://")
        self.living.pop(token, None)
        return self.handle(WorkerExited(token, 100, reason, **page))

    def told(self, to: str, kind: type[T], effects: list[Any] | None = None) -> T:
        """The last message of a kind that somebody was sent."""
        found = [e.message for e in sent(self.effects if effects is None else effects, kind) if e.to == to]
        assert found, f"{to} was sent no {kind.__name__}"
        message: T = found[-1]
        return message

    @property
    def stopped(self) -> str:
        return next((e.reason for e in self.effects if isinstance(e, StopEverything)), "")

    def ended(self, force: bool = True) -> list[str]:
        """Tokens of the processes that were to be ended."""
        return [e.token for e in self.effects if isinstance(e, EndProcess) and e.force == force]


class Sent(NamedTuple):
    """A `Send` whose message is of a known kind."""

    to: str
    message: Any


def sent(effects: list[Any], kind: type[Any]) -> list[Sent]:
    """The messages of a kind among the effects, in order."""
    return [Sent(e.to, e.message) for e in effects if isinstance(e, Send) and isinstance(e.message, kind)]
