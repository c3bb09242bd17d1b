"""What a submitter keeps of its leases: connections to workers, and the pools of tasks that can share a worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from raynb.runtime.core.task import Task
from raynb.runtime.messages.node import LeaseGranted
from raynb.runtime.messages.strategy import Strategy
from raynb.runtime.messages.tasks import ContextDef, FunctionDef, PushTasks, TaskSpec
from raynb.runtime.messages.values import Dependency


class Connection:
    """What one worker (or actor) has been sent: pushes in flight, and the functions and contexts it knows."""

    __slots__ = ("_contexts", "_functions", "ended", "gpus", "inflight", "next_seq", "worker")

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.next_seq = 1
        self.inflight: dict[int, Task] = {}
        self._functions: set[int] = set()
        self._contexts: set[int] = set()
        self.gpus: list[str] = []
        self.ended = ""
        """How its process has ended, once that is known."""

    def push(self, lease: int, tasks: list[Task], dependencies: Callable[[Task], list[Dependency]]) -> PushTasks:
        """The message that pushes these tasks; they are in flight from now on."""
        specs: list[TaskSpec] = []
        functions: list[FunctionDef] = []
        contexts: list[ContextDef] = []
        known, inflight, seq = self._functions, self.inflight, self.next_seq
        last: ContextDef | None = None
        number = 0
        for task in tasks:
            definition = task.function.definition
            if definition.number not in known:
                known.add(definition.number)
                functions.append(definition)
            if task.context is not last:
                last = task.context
                number = last.number
                if number not in self._contexts:
                    self._contexts.add(number)
                    contexts.append(last)
            task.seq = seq
            inflight[seq] = task
            specs.append(
                TaskSpec(
                    seq, task.id, definition.number, task.args, task.num_returns, task.attempt, number,
                    task.buffers, dependencies(task) if task.deps else None, task.name, task.group,
                )
            )  # fmt: skip
            seq += 1
        self.next_seq = seq
        return PushTasks(lease, specs, functions, contexts, self.gpus)


class Lease(Connection):
    """A worker that this process may push tasks to."""

    __slots__ = (
        "idle_since", "manager", "node_id", "number", "pid", "pool", "reclaimed", "stealing", "work_s", "worker_id"
    )  # fmt: skip

    def __init__(self, granted: LeaseGranted, pool: Pool, manager: str, now: float) -> None:
        super().__init__(granted.worker)
        self.manager = manager
        """Who has granted it, under this number."""
        self.number = granted.lease
        self.worker_id = granted.worker_id
        self.node_id = granted.node_id
        self.gpus = granted.gpus
        self.pid = granted.pid
        self.pool = pool
        self.work_s = 0.0
        self.idle_since = now
        self.stealing = False
        self.reclaimed = False

    def room_s(self, budget_s: float) -> float:
        """Seconds of work that may be queued behind what runs now; negative: nothing."""
        if not self.inflight:
            return budget_s
        head = next(iter(self.inflight.values())).cost_s
        if head > 4 * budget_s:
            return -1.0
        return budget_s - (self.work_s - head)


class Pool:
    """A scheduling class: its queue and its leases."""

    __slots__ = (
        "demanded",
        "elsewhere",
        "heeded",
        "home",
        "infeasible",
        "key",
        "leases",
        "queue",
        "resources",
        "retriable",
        "room",
        "runtime_env",
        "strategy",
    )

    def __init__(
        self, key: int, resources: dict[str, float], runtime_env: str, home: str, strategy: Strategy | None = None
    ) -> None:
        self.key = key
        self.strategy = strategy
        self.resources = resources
        self.runtime_env = runtime_env
        self.home = home
        """The node manager that sees to its demand."""
        self.retriable = True
        self.queue: deque[Task] = deque()
        self.leases: dict[str, Lease] = {}
        """By address of the worker."""
        self.demanded = 0
        """How many workers it could use, as it has said: here and elsewhere."""
        self.elsewhere: dict[str, Share] = {}
        """What of it is stated at other managers."""
        self.heeded = 0
        """Number of the last `LeaseSpill` that it has heeded."""
        self.room = False
        """Whether a lease has gone back at its home, which makes room there, since it has stated its demand."""
        self.infeasible = ""

    @property
    def spread(self) -> bool:
        """Whether its tasks are to run on one node after the other."""
        return self.strategy is not None and self.strategy.spread

    def makes_room_for(self, other: Pool) -> bool:
        """Whether what idles here holds something that the other's tasks ask for."""
        shared = self.resources.keys() & other.resources.keys()
        return bool(shared) and self is not other and not self.queue and not self.spread

    def asks(self) -> str:
        """The manager that knows why it waits: one at which it has to, if there is such, else its home."""
        for manager, share in self.elsewhere.items():
            has = sum(1 for lease in self.leases.values() if lease.manager == manager)
            if share.wait and share.count > has:
                return manager
        return self.home

    def busy(self, manager: str = "") -> int:
        """How many of its leases, or of those of one manager, have tasks."""
        return sum(1 for lease in self.leases.values() if lease.inflight and manager in ("", lease.manager))


class Share:
    """A part of a pool's demand that is stated at another manager than its home.

    Attributes
    ----------
    count
        A level: so many workers in all.
    wait
        Whether it waits there for what it does not get at once.
    number
        Of the last statement there.
    """

    __slots__ = ("count", "number", "wait")

    def __init__(self) -> None:
        self.count = self.number = 0
        self.wait = False
