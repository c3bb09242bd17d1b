"""Which errors have a cause in what happened, and which have none.

Without faults, cancels and kills nothing may fail but what the workload itself raises.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from raynb.runtime.core.task import Task
from raynb.runtime.messages.ids import task_of

if TYPE_CHECKING:
    from tests.sim.client import SimClient
    from tests.sim.cluster import Cluster
    from tests.sim.node import SimNode
    from tests.sim.workload import ActorClass, RemoteFunction

EXITED = "exited"
FAILURES = (
    "RayTaskError", "TaskCancelledError", "WorkerCrashedError", "NodeDiedError", "OwnerDiedError", "ObjectLostError",
    "ObjectFreedError", "ObjectReconstructionFailedError", "ReferenceCountingAssertionError", "LocalRayletDiedError",
    "TaskPlacementGroupRemoved", "ActorDiedError", "ActorUnavailableError", "ActorPlacementGroupRemoved",
)  # fmt: skip
"""Of which an actor's input may be one."""
GROUP_ENDS = ("ActorDiedError", "ActorPlacementGroupRemoved", "ActorUnavailableError", "ActorUnschedulableError")
"""What may come of an actor whose placement group is gone."""


class TaskFacts:
    """One task.

    Attributes
    ----------
    marks
        (worker, attempt) of each mark in a page.
    starts
        By attempt, the worker on which it ran.
    keeps
        Whether it keeps the actor that it calls alive (a handle by name does not).
    group
        The placement group that it runs in.
    taken, closed
        Of a generator: how many items its consumer has taken, and whether it wants no more.
    """

    group = b""
    taken = 0
    closed = False

    def __init__(
        self, task: Task, remote: RemoteFunction, submitter: str, actor_id: bytes, *, keeps: bool = True
    ) -> None:
        self.task = task
        self.remote = remote
        self.submitter = submitter
        self.actor_id = actor_id
        self.keeps = keeps
        self.parent = task.parent
        self.retries_allowed = task.retries_left
        self.marks: list[tuple[str, int]] = []
        self.starts: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"{self.task!r} f{self.remote.number} from {self.submitter}, marks {self.marks}, starts {self.starts}"

    @property
    def ended_itself(self) -> bool:
        """Whether it is a call that may end its actor."""
        return any(type(operation).__name__ == "ExitActor" for operation in self.remote.body)

    def deps_failed(self, facts: Excuses, kind: str) -> bool:
        """Whether an input may have failed in this way."""
        return any(facts.excuses(oid, kind) for oid in self.task.deps or ())


class ActorFacts:
    """One actor: its processes, and by incarnation; the nodes that were to start it; its placement group."""

    group = b""

    def __init__(self, cls: ActorClass, creator: str, job: bytes, deps: list[bytes]) -> None:
        self.cls = cls
        self.creator = creator
        self.job = job
        self.deps = deps
        self.processes: set[str] = set()
        self.sent_to: set[str] = set()
        self.incarnations: dict[int, list[str]] = {}


class GroupFacts:
    """One placement group: whose, whether somebody has asked to remove it, and since when it is known to be."""

    def __init__(self, job: bytes) -> None:
        self.job = job
        self.to_be_removed = False
        self.removed_at = math.inf


class Excuses:
    """What happened, as far as it can excuse an error."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.tasks: dict[bytes, TaskFacts] = {}
        self.actors: dict[bytes, ActorFacts] = {}
        self.groups: dict[bytes, GroupFacts] = {}
        self.holders: dict[bytes, set[str]] = {}
        self.died: dict[str, str] = {}
        """Address of each process that has ended, and how."""
        self.cancelled: dict[bytes, bool] = {}
        """Task -> whether its children were meant, too."""
        self.forced: set[bytes] = set()
        self.killed_actors: set[bytes] = set()
        self.freed: set[bytes] = set()
        self.head_died = False
        self.dead_nodes: set[str] = set()
        """Addresses of their managers."""
        self.lay_in: dict[bytes, set[str]] = {}
        """By object, the nodes in whose memory a task or a put has written it."""
        self.rotten: set[bytes] = set()
        """Objects that a disk has damaged."""
        self.stopped: set[str] = set()
        """Those that were asked to stop."""
        self.store_full = False
        self.store_away = False

    def node_died(self, node: SimNode) -> None:
        """A node manager has ended, and its node with it."""
        self.dead_nodes.add(node.address)
        self.head_died |= node.number == 0

    def task_refs(self, task: Task) -> None:
        """References inside a call's arguments are held by it."""
        for oid in task.refs or ():
            self.holders.setdefault(oid, set())

    def may_differ(self, kind: str) -> bool:
        """Whether others may have seen another outcome: who looks after a death, or what a disk has done, sees less."""
        if kind == "NodeDiedError":
            return self.head_died
        return (kind == "ObjectReconstructionFailedError" and bool(self.rotten)) or kind in (
            "OwnerDiedError",
            "LocalRayletDiedError",
            "ObjectLostError",
            "ReferenceCountingAssertionError",
            "ObjectFreedError",
        )

    def excuses(self, oid: bytes, kind: str, depth: int = 0) -> bool:
        """Whether an object may have failed in this way."""
        if kind == "LocalRayletDiedError":
            return self.head_died
        if depth > 40:
            return False
        facts = self.tasks.get(task_of(oid))
        if kind == "ObjectFreedError" and oid in self.freed:
            return True
        if kind == "OwnerDiedError" and self._owner_died(oid, facts):
            return True
        if kind == "ObjectReconstructionFailedError" and self.was_lost(oid):
            return True
        if kind in ("ObjectLostError", "ReferenceCountingAssertionError") and self._holder_died(oid):
            return True
        if facts is None:
            return False
        if self._of_task(facts, kind):
            return True
        if facts.actor_id and self._of_actor(facts, kind, depth):
            return True
        return any(self.excuses(dep, kind, depth + 1) for dep in facts.task.deps or ())

    def was_lost(self, oid: bytes) -> bool:
        """Whether a disk has damaged it, or it lay on a node that is dead."""
        return oid in self.rotten or bool(self.lay_in.get(oid, set()) & self.dead_nodes)

    def _owner_died(self, oid: bytes, facts: TaskFacts | None) -> bool:
        pid = int.from_bytes(oid[8:20], "little")
        owner = facts.submitter if facts is not None else self._cluster.address_of(pid)
        if owner not in self.died:
            return False
        # A worker that owns what others hold does not leave.
        return self.died[owner] != EXITED or self._cluster.may_leave(owner)

    def _holder_died(self, oid: bytes) -> bool:
        return any(holder in self.died for holder in self.holders.get(oid, ()))

    def _of_task(self, facts: TaskFacts, kind: str) -> bool:
        if kind == "RayTaskError":
            return bool(facts.remote.raises) or self.store_full or self.head_died or self._lost_an_input(facts)
        if kind == "TaskCancelledError":
            return self._was_cancelled(facts)
        if kind == "TaskPlacementGroupRemoved":
            return self._group_is_gone(facts.group)
        if kind == "NodeDiedError":
            return bool(self.dead_nodes) or self.head_died
        if kind == "WorkerCrashedError":
            return any(self.died.get(worker, EXITED) != EXITED for worker, _ in facts.marks)
        return False

    def _group_is_gone(self, group: bytes) -> bool:
        facts = self.groups.get(group)
        return facts is not None and (facts.to_be_removed or self._cluster.job_over(facts.job))

    def _lost_an_input(self, facts: TaskFacts) -> bool:
        """Whether what an argument is the value of may have been gone when the task began: with its owner, freed, or
        lost where it may not be made again."""
        return any(
            oid in self.freed or self.was_lost(oid) or self._owner_died(oid, self.tasks.get(task_of(oid)))
            for oid in facts.task.deps or ()
        )

    def _was_cancelled(self, facts: TaskFacts) -> bool:
        if facts.task.id in self.cancelled:
            return True
        parent = self.tasks.get(facts.parent)
        while parent is not None:
            if self.cancelled.get(parent.task.id):
                return True
            parent = self.tasks.get(parent.parent)
        return False

    def _of_actor(self, facts: TaskFacts, kind: str, depth: int) -> bool:
        actor = self.actors[facts.actor_id]
        if kind in GROUP_ENDS and self._group_is_gone(actor.group):
            return True
        if kind in ("ActorDiedError", "ActorUnavailableError"):
            if facts.actor_id in self.killed_actors or actor.creator in self.died or self.head_died:
                return True
            if any(process in self.died for process in actor.processes) or self._cluster.job_over(actor.job):
                return True
            if actor.sent_to & self.dead_nodes:
                return True
            if not facts.keeps:
                return True
        if kind == "ActorDiedError" and any(self._may_have_failed(dep) for dep in actor.deps):
            return True
        if kind == "ActorAlreadyExistsError" and actor.cls.name:
            return True
        return any(self.excuses(dep, kind, depth + 1) for dep in actor.deps)

    def excuses_refusal(self, client: SimClient, kind: str, inputs: list[bytes]) -> bool:
        """Whether a request may be refused in this way."""
        if kind == "LocalRayletDiedError":
            return self.head_died
        if kind == "ActorAlreadyExistsError":
            return True
        if kind == "ActorDiedError" and (self._cluster.job_over(client.job) or self.killed_actors):
            return True
        if kind == "ActorDiedError" and any(map(self._may_have_failed, inputs)):
            return True
        return any(self.excuses(oid, kind) for oid in inputs)

    def _may_have_failed(self, oid: bytes) -> bool:
        """In any way: an actor that was to be given it is dead then."""
        return any(self.excuses(oid, kind) for kind in FAILURES)
