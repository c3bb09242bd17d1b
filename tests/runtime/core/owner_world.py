"""A process that owns objects on several nodes, for tests of what it does when some of them are lost."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from raynb.runtime.core.client import ClientMachine
from raynb.runtime.core.effects import Received, Send, Tick
from raynb.runtime.core.inbox import Inbox, PutValue
from raynb.runtime.core.streams import Stream
from raynb.runtime.core.task import Function, Task
from raynb.runtime.messages import Message
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.gcs import ActorProcess, ActorState, CreateActor, KillActor, Reply
from raynb.runtime.messages.ids import FIRST_RETURN, actor_id_of
from raynb.runtime.messages.node import LeaseDemand, LeaseGranted, ProcessDied, StartActor
from raynb.runtime.messages.objects import FreeObjects
from raynb.runtime.messages.tasks import ContextDef, FunctionDef, PushTasks, Result, StreamItems, TasksDone, TaskSpec
from raynb.runtime.messages.values import Failed, Inline, RefInfo, Stored, Value

ME, GCS, OTHER = "ipc://me", "ipc://gcs", "ipc://other"
HOME, A, B, C = "ipc://home/p/m", "ipc://a/p/m", "ipc://b/p/m", "ipc://c/p/m"
LARGE = 1_000_000

M = TypeVar("M")


def dead(actor_id: bytes, incarnation: int, worker: str, revivable: bool = True) -> ActorState:
    """What the GCS says of an actor that has gone out of scope."""
    failure = Failed("ActorDiedError", "all references to the actor were removed", actor=actor_id)
    return ActorState(actor_id, "DEAD", incarnation, worker, failure, 3, revivable=revivable)


def at(node: str, name: str) -> str:
    """The address of a process of a node."""
    return f"{node.rpartition('/')[0]}/{name}"


class OwnerWorld:
    """A `ClientMachine`, the nodes' managers and their workers.

    A task asks for a node by its resource, and gets a worker there as soon as it is demanded; where that node is dead,
    one of the node `standby`. What it pushes lies in ``running`` until the test ends it.
    """

    def __init__(self, **config: Any) -> None:
        self.machine = ClientMachine(Config(**config), ME, HOME, GCS)
        self.objects = self.machine.objects
        self.sent: list[tuple[str, Any]] = []
        self.running: dict[bytes, tuple[str, TaskSpec]] = {}
        self.attempts: list[bytes] = []
        """Ids of the tasks that were pushed, in that order, each time."""
        self.workers: dict[str, str] = {}
        """By worker: its node."""
        self.dead: set[str] = set()
        self.standby = C
        self.granting = True
        """Whether the nodes have room."""
        self.now = 1.0
        self._demands: dict[int, LeaseDemand] = {}
        self._functions: dict[tuple[str, int], Function] = {}
        self._numbers = 0
        self._places = 0
        self._context = ContextDef(1, b"jobb", "ns", ME)

    # -- what happens to it

    def tell(self, sender: str, *messages: Message) -> None:
        for message in messages:
            self._carry_out(self.machine.handle(Received(sender, message), self.now))

    def say(self, *items: object) -> None:
        self._carry_out(self.machine.handle(Inbox(list(items)), self.now))

    def tick(self, after_s: float = 1.1) -> None:
        self.now += after_s
        self._carry_out(self.machine.handle(Tick(), self.now))

    def _carry_out(self, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.sent.append((effect.to, effect.message))
                if isinstance(effect.message, PushTasks):
                    for spec in effect.message.tasks:
                        self.running[spec.task_id] = (effect.to, spec)
                        self.attempts.append(spec.task_id)
        self.machine.check()
        for effect in effects:
            if isinstance(effect, Send) and isinstance(effect.message, LeaseDemand):
                self._demands[effect.message.key] = effect.message
        for key, demand in self._demands.items() if self.granting else ():
            if len(self.machine.scheduler.pools[key].leases) < min(demand.count, 1):
                self._grant(key, next(iter(demand.resources)))
                return

    def _grant(self, key: int, node: str) -> None:
        node = self.standby if node in self.dead else node
        self._numbers += 1
        worker = at(node, f"w{self._numbers}")
        self.workers[worker] = node
        self.tell(node, LeaseGranted(key, self._numbers, worker, b"w" * 28, self._numbers, ME))

    # -- what it does

    def put(self, nbytes: int = LARGE, *refs: bytes) -> bytes:
        """An object of its own, in its own node's memory or (small) in itself."""
        self._numbers += 1
        oid = self._numbers.to_bytes(24, "big") + (1 << 31).to_bytes(4, "little")
        infos = [RefInfo(ref, ME) for ref in refs] or None
        value = self.stored(oid, HOME, refs=infos) if nbytes >= LARGE else Inline(b"x" * nbytes, None, infos)
        self.say(PutValue(oid, value))
        return oid

    def call(
        self,
        node: str,
        *deps: bytes,
        refs: tuple[bytes, ...] = (),
        retries: int = 3,
        returns: int = 1,
        backpressure: int = 0,
    ) -> bytes:
        """Submit a task that runs on a node; its (first) object, with one reference."""
        function = self._functions.get((node, retries))
        if function is None:
            function = self._functions[node, retries] = self._function(node)
            function.max_retries = retries
            function.definition = msgspec.structs.replace(function.definition, backpressure=backpressure)
        self._numbers += 1
        if returns < 0:
            self.say(Stream(self._numbers.to_bytes(24, "big"), paced=backpressure > 0))
        task = Task(self._numbers.to_bytes(24, "big"), function, b"args", self._context, returns)
        task.deps, task.refs, task.retries_left = list(deps) or None, list(refs) or None, retries
        self.say(task)
        return task.id + FIRST_RETURN

    def _function(self, node: str) -> Function:
        number = len(self._functions) + 1
        definition = FunctionDef(number, bytes([number]) * 16, "f", b"")
        return Function(definition, "f", {node: 1.0, "CPU": 1.0}, call_site="cell 1, line 2")

    def create(self, *deps: bytes, refs: tuple[bytes, ...] = (), restarts: int = -1) -> bytes:
        """Submit the creation of an actor; the object that its handles hold, with one of them."""
        self._numbers += 1
        task_id = self._numbers.to_bytes(24, "big")
        function = self._function("")
        start = StartActor(
            actor_id_of(task_id), 0, function.definition, b"args", None, None, self._context, {"CPU": 1.0}, ME,
            restarts=restarts != 0,
        )  # fmt: skip
        creation = CreateActor(0, start, "", "ns", False, restarts, 3, "C", b"")
        task = Task(task_id, function, b"args", self._context, creation=creation)
        task.deps, task.refs = list(deps) or None, list(refs) or None
        self.say(task)
        return task_id + FIRST_RETURN

    def registers(self, revival: int = 0) -> CreateActor:
        """The GCS is asked to create an actor, and does so."""
        ((_, message),) = self.take(CreateActor)
        assert message.revival == revival
        found = msgspec.msgpack.encode({"actor_id": message.creation.actor_id})
        self.tell(GCS, Reply(message.request, found))
        return message

    def ends(self, actor_id: bytes, incarnation: int = 0, revival: int = 0, **how: Any) -> None:
        """The GCS is asked to end an actor that has gone out of scope, and does so."""
        ((_, message),) = self.take(KillActor)
        assert (message.actor_id, message.reason, message.revival) == (actor_id, "out of scope", revival)
        worker = next((worker for worker in self.workers if worker.endswith(f"actor{incarnation}")), "")
        self.tell(GCS, Reply(message.request, worker.encode()), dead(actor_id, incarnation, worker, **how))

    def ask(self, actor_id: bytes, *deps: bytes, retries: int = 3, handle: bytes = b"") -> bytes:
        """Call an actor, by a handle or not; the call's object, with one reference."""
        function = self._functions.get(("actor", 0))
        if function is None:
            function = self._functions["actor", 0] = self._function("")
            function.actor_id = actor_id
        self._numbers += 1
        task = Task(self._numbers.to_bytes(24, "big"), function, b"args", self._context)
        task.deps, task.retries_left, task.actor = list(deps) or None, retries, self.machine.actors.of(actor_id)
        task.refs = [handle] if handle else None
        self.say(task)
        return task.id + FIRST_RETURN

    def let_go(self, *oids: bytes) -> None:
        self.say(*oids)

    # -- what others do

    def stored(self, oid: bytes, node: str, owner: str = ME, refs: list[RefInfo] | None = None) -> Stored:
        """A value at a place of its own in a node's memory."""
        self._places += 1
        return Stored(oid, owner, node, "segment", self._places * LARGE, LARGE, refs)

    def end(self, oid: bytes, *values: Value) -> None:
        """The task of an object ends where it runs: with these values, or a large one in that node's memory."""
        worker, spec = self.running.pop(oid[:24])
        found = list(values) or [self.stored(oid, self.workers[worker])]
        self.tell(worker, TasksDone([Result(spec.seq, 0.0, 0.001, found)]))

    def lives(self, actor_id: bytes, node: str, incarnation: int = 0) -> None:
        """An actor lives on a node from now on."""
        worker = at(node, f"actor{incarnation}")
        self.workers[worker] = node
        self.machine.actors.of(actor_id)
        process = ActorProcess(b"w" * 28, node.encode(), 9)
        self.tell(GCS, ActorState(actor_id, "ALIVE", incarnation, worker, None, 3, process))

    def yields(self, oid: bytes, first: int, *values: Value) -> None:
        """The generator whose object this is yields where it runs: these values."""
        worker, spec = self.running[oid[:24]]
        self.tell(worker, StreamItems(spec.seq, first, list(values)))

    def made(self, node: str, *deps: bytes, **options: Any) -> bytes:
        """Call and end."""
        oid = self.call(node, *deps, **options)
        self.end(oid)
        return oid

    def kill(self, node: str, *, first: str = "workers", told: bool = True) -> None:
        """A node dies: its manager, and so its workers, of which nobody knows what they had started.

        Not ``told``: of those no news ever come."""
        self.dead.add(node)
        if first == "node":
            self.tell(HOME, ProcessDied(node, "node", 7, "killed by signal 9"))
        workers = [worker for worker, place in self.workers.items() if place == node]
        for worker in workers:
            del self.workers[worker]
            for task_id in [task_id for task_id, (where, _) in self.running.items() if where == worker]:
                del self.running[task_id]
        for worker in workers if told else ():
            self.tell(HOME, ProcessDied(worker, "worker", 8, "its node is gone: killed by signal 9", node=node))
        self.tell(HOME, ProcessDied(node, "node", 7, "killed by signal 9"))

    # -- what is seen

    def value(self, oid: bytes) -> Value | None:
        return self.objects.entries[oid].value

    def node_of(self, oid: bytes) -> str:
        """Where an object's value is; empty if it has none (yet)."""
        value = self.value(oid)
        return value.node if isinstance(value, Stored) else ""

    def failure(self, oid: bytes) -> Failed:
        value = self.value(oid)
        assert isinstance(value, Failed), value
        return value

    def runs(self, oid: bytes) -> bool:
        """Whether the task of an object runs now."""
        return oid[:24] in self.running

    def ran(self, oid: bytes) -> int:
        """How often the task of an object was pushed."""
        return self.attempts.count(oid[:24])

    def take(self, kind: type[M]) -> list[tuple[str, M]]:
        """Messages of a type that were sent since the last time."""
        found = [(to, message) for to, message in self.sent if isinstance(message, kind)]
        self.sent = [(to, message) for to, message in self.sent if not isinstance(message, kind)]
        return found

    def freed(self) -> dict[str, list[bytes]]:
        """By node: what it was told to free since the last time."""
        found: dict[str, list[bytes]] = {}
        for to, message in self.take(FreeObjects):
            found.setdefault(to, []).extend(message.oids)
        return found
