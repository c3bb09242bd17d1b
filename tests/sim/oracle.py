"""What is true of a simulated cluster, noted as it happens, and held against what its processes say.

The oracle knows each object's right value before anybody has computed it, each task's starts, each process's end. A
value that is wrong, a task that runs twice, a call out of its turn, an error without a cause: each is a `Violation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raynb.runtime.core.client_effects import Frames
from raynb.runtime.core.executor import Job
from raynb.runtime.core.task import DONE, Task
from raynb.runtime.messages.ids import task_of
from raynb.runtime.messages.node import StartActor
from raynb.runtime.messages.tasks import Result, TasksDone
from raynb.runtime.messages.values import Failed, Value
from tests.sim.excuses import ActorFacts, Excuses, GroupFacts, TaskFacts
from tests.sim.show import name_id
from tests.sim.values import CallContent, Handle, number
from tests.sim.world import Violation

if TYPE_CHECKING:
    from tests.sim.client import SimClient
    from tests.sim.cluster import Cluster
    from tests.sim.node import SimNode
    from tests.sim.places import Group, Place
    from tests.sim.worker import SimWorker
    from tests.sim.workload import ActorClass, RemoteFunction


SMALL_STORE_BYTES = 1 << 16
TAKEN_S = 0.01
"""So long a task may be on its way from the queue to its first instruction."""
NEWS_S = 1.0
"""So long what the node manager says may take to all of its workers."""


class Oracle:
    """See the module."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.facts = Excuses(cluster)
        self._expected: dict[bytes, int] = {}
        self._outcomes: dict[bytes, str] = {}
        self._seen_by: dict[bytes, set[str]] = {}
        self._constructors: dict[bytes, Task] = {}
        self._never_to_run: dict[bytes, str] = {}
        self._buried: dict[bytes, float] = {}
        self._told_of: dict[tuple[str, bytes], float] = {}
        self._order: dict[tuple[str, str, str], int] = {}
        self._limited: dict[tuple[str, bytes], list[Task]] = {}
        """By caller and actor, the calls that count against a limit."""
        self._ran_in: set[tuple[str, bytes]] = set()
        self._expected_done: list[tuple[Task, int, Result, set[bytes]]] = []
        self.counts = {"tasks": 0, "runs": 0, "reads": 0, "failures": 0, "damaged": 0}
        self.failure_kinds: dict[str, int] = {}

    # -- what is asked for

    def submitted(
        self,
        client: SimClient,
        task: Task,
        remote: RemoteFunction,
        label: int,
        handle: Handle | None,
        place: Place | None,
    ) -> None:
        self.counts["tasks"] += 1
        actor_id = handle.actor_id if handle is not None else b""
        keeps = handle is None or handle.counted
        facts = self.facts.tasks[task.id] = TaskFacts(task, remote, client.address, actor_id, keeps=keeps)
        facts.group = place.group.id if place is not None else b""
        if task.actor is not None and task.actor.limited:
            self._limited.setdefault((client.address, actor_id), []).append(task)
        for index, oid in enumerate(task.return_ids(), 1):
            self._expected[oid] = number(label, index)
        self.facts.task_refs(task)

    def created(self, client: SimClient, task: Task, actor_id: bytes, cls: ActorClass, place: Place | None) -> None:
        facts = self.facts.actors[actor_id] = ActorFacts(cls, client.address, client.job, task.deps or [])
        facts.group = place.group.id if place is not None else b""
        self._constructors[task.id] = task
        self.facts.task_refs(task)

    def expect(self, oid: bytes, token: int) -> None:
        """The right value of an object."""
        known = self._expected.setdefault(oid, token)
        if known != token:
            raise Violation(f"object {name_id(oid)} would be two values")

    def held(self, oid: bytes, address: str) -> None:
        """A process has a reference."""
        self.facts.holders.setdefault(oid, set()).add(address)

    def cancel_asked(self, oid: bytes, *, recursive: bool, force: bool) -> None:
        self.facts.cancelled[task_of(oid)] = recursive
        if force:
            self.facts.forced.add(task_of(oid))

    def buried(self, task_id: bytes) -> None:
        """Somebody was told that a task is cancelled, whatever its owner does."""
        self._buried.setdefault(task_id, self._cluster.world.now)

    def told_of_tombstones(self, worker: str, task_ids: list[bytes]) -> None:
        """A worker hears of cancelled tasks."""
        for task_id in task_ids:
            self._told_of.setdefault((worker, task_id), self._cluster.world.now)

    def kill_asked(self, actor_id: bytes) -> None:
        self.facts.killed_actors.add(actor_id)

    def exit_asked(self, actor_id: bytes) -> None:
        self.facts.killed_actors.add(actor_id)

    def constructor_failed(self, actor_id: bytes) -> None:
        self.facts.killed_actors.add(actor_id)

    def group_created(self, client: SimClient, group: Group) -> None:
        self.facts.groups[group.id] = GroupFacts(client.job)

    def group_to_be_removed(self, group: bytes) -> None:
        self.facts.groups[group].to_be_removed = True

    def group_removed(self, group: bytes) -> None:
        """Somebody was told so."""
        facts = self.facts.groups[group]
        facts.removed_at = min(facts.removed_at, self._cluster.world.now)

    def store_was_full(self, node: SimNode) -> None:
        """Somebody was told so; it must be a small one, and have no disk that takes what it has no room for."""
        offer = node.offer
        disk_fails = any(fault.kind == "no-segment" for fault in self._cluster.plan.faults)
        if offer.store_bytes > SMALL_STORE_BYTES or (offer.spills and not disk_fails):
            raise Violation("the store is full, and should have room for everything")
        self.facts.store_full = True

    def call_failed(self, client: SimClient, failed: Failed, inputs: list[bytes]) -> None:
        """A request was refused; ``inputs`` are what it was to be given."""
        if not self.facts.excuses_refusal(client, failed.kind, inputs):
            raise Violation(f"{client.address} was refused without a cause: {failed.kind}: {failed.message}")

    def dependencies(self, task_id: bytes) -> list[bytes]:
        """What the arguments of a task are the values of."""
        facts = self.facts.tasks.get(task_id)
        if facts is not None:
            return facts.task.deps or []
        return self._constructors[task_id].deps or []

    # -- what runs

    def marked(self, worker: SimWorker, job: Job) -> None:
        """A worker has written the start of a task into its page."""
        facts = self.facts.tasks[job.spec.task_id]
        facts.marks.append((worker.address, job.spec.attempt))

    def check_function(self, job: Job, call: CallContent) -> None:
        """What runs is what was meant, whatever had the same name before."""
        if job.function.function_id and int.from_bytes(job.function.function_id, "little") != call.function:
            raise Violation(f"task {name_id(job.spec.task_id)} is of function {call.function}, but {job.function} came")

    def started(self, worker: SimWorker, job: Job, call: CallContent) -> None:
        """The first instruction of a task."""
        spec = job.spec
        self.counts["runs"] += 1
        facts = self.facts.tasks[spec.task_id]
        what = f"task {name_id(spec.task_id)} (attempt {spec.attempt}, f{call.function}) on {worker.address}"
        ran = f"f{call.function} {name_id(spec.task_id)} attempt {spec.attempt}"
        self._cluster.world.note(worker.address, "runs", ran)
        if spec.attempt in facts.starts:
            raise Violation(f"{what} ran already on {facts.starts[spec.attempt]}: one attempt, one run")
        known = any(attempt == spec.attempt - 1 for _, attempt in facts.marks) or self.facts.dead_nodes
        if spec.attempt and not worker.is_actor and not known:
            raise Violation(f"{what}: the attempt before it was never started, and yet was counted")
        facts.starts[spec.attempt] = worker.address
        allowed = facts.retries_allowed
        if allowed >= 0 and len(facts.starts) > 1 + allowed:
            raise Violation(f"{what} runs for the {len(facts.starts)}th time; retries: {allowed}")
        told = self._never_to_run.get(spec.task_id)
        if told is not None:
            raise Violation(f"{what} runs after somebody was told: {told}")
        buried = self._buried.get(spec.task_id)
        if buried is not None and self._cluster.world.now - buried > NEWS_S:
            raise Violation(f"{what} runs {self._cluster.world.now - buried:.3f} s after it was said to be cancelled")
        told_at = self._told_of.get((worker.address, spec.task_id))
        if told_at is not None and self._cluster.world.now - told_at > TAKEN_S:
            raise Violation(f"{what} runs although that worker knows that it is cancelled")
        self._check_group(facts, what)
        if worker.is_actor:
            self._check_order(worker, job, call, what)
        else:
            self._check_lease(worker, job, what)

    def _check_group(self, facts: TaskFacts, what: str) -> None:
        group = self.facts.groups.get(facts.group)
        if group is not None and self._cluster.world.now - group.removed_at > NEWS_S:
            late_s = self._cluster.world.now - group.removed_at
            raise Violation(f"{what} runs {late_s:.3f} s after its placement group was said to be removed")

    def _check_order(self, worker: SimWorker, job: Job, call: CallContent, what: str) -> None:
        facts = self.facts.tasks[job.spec.task_id]
        if job.spec.group != facts.remote.group:
            raise Violation(f"{what} runs in the concurrency group {job.spec.group!r}, not in {facts.remote.group!r}")
        again = (worker.address, job.spec.task_id) in self._ran_in
        self._ran_in.add((worker.address, job.spec.task_id))
        actor = self.facts.actors[facts.actor_id]
        actor.processes.add(worker.address)
        group = facts.remote.group
        at_once = actor.cls.groups[group] if group else actor.cls.concurrency
        if again or facts.remote.raises == "first" or at_once > 1:
            return
        key = (worker.address, job.sender, group)
        before = self._order.get(key, 0)
        if call.order <= before:
            raise Violation(f"{what} is call {call.order} of {job.sender}, and comes after its call {before}")
        self._order[key] = call.order

    def _check_lease(self, worker: SimWorker, job: Job, what: str) -> None:
        if job.sender in self.facts.died:
            return
        grant = worker.node.machine.leases.by_token.get(worker.token)
        if grant is None or grant.number != job.lease or grant.demand.client != job.sender:
            raise Violation(f"{what} runs under lease {job.lease} of {job.sender}, but the worker is {grant!r}")

    def actor_sent(self, actor_id: bytes, node: str) -> None:
        """The GCS has picked a node for an actor, and written that down or told the node."""
        self.facts.actors[actor_id].sent_to.add(node)

    def actor_given(self, actor_id: bytes, worker: str) -> None:
        """The node manager has picked a process for an actor."""
        self.facts.actors[actor_id].processes.add(worker)

    def constructing(self, worker: SimWorker, start: StartActor) -> None:
        """A constructor begins."""
        facts = self.facts.actors[start.actor_id]
        facts.processes.add(worker.address)
        for other in facts.incarnations.get(start.incarnation, ()):
            if other not in self.facts.died:
                raise Violation(f"incarnation {start.incarnation} of {name_id(start.actor_id)} is in two processes")
        facts.incarnations.setdefault(start.incarnation, []).append(worker.address)

    def ran(self, worker: SimWorker, job: Job) -> None:
        """A task has come to its end by itself: in a placement group that is gone it is not to."""
        facts = self.facts.tasks[job.spec.task_id]
        self._check_group(facts, f"task {name_id(job.spec.task_id)} on {worker.address}")

    # -- what comes out

    def check_token(self, client: SimClient, oid: bytes, token: int) -> None:
        """A value was read."""
        self.counts["reads"] += 1
        expected = self._expected.get(oid)
        if expected != token:
            raise Violation(f"{client.address} read {token} from {name_id(oid)}, which is {expected}")

    def observed(self, client: SimClient, oid: bytes, value: Value) -> None:
        """Somebody looks at an outcome: it is the same for all, and an error has a cause."""
        failed = value if isinstance(value, Failed) else None
        outcome = failed.kind if failed is not None else "a value"
        if failed is not None:
            self.counts["failures"] += 1
            self.failure_kinds[failed.kind] = self.failure_kinds.get(failed.kind, 0) + 1
            if not self.facts.excuses(oid, failed.kind) and not self._is_being_killed(client, failed):
                raise Violation(
                    f"{client.address} got {failed.kind} for {name_id(oid)} without a cause: {failed.message}\n"
                    f"{self.facts.tasks.get(task_of(oid))!r}"
                )
            if "before it started" in failed.message or (
                failed.kind == "ActorDiedError" and "may have run" not in failed.message
            ):
                self._check_never_ran(oid, failed)
        if failed is not None and (self.facts.may_differ(failed.kind) or self.facts.was_lost(oid)):
            return
        before = self._outcomes.setdefault(oid, outcome)
        seen_by = self._seen_by.setdefault(oid, set())
        if before != outcome and failed is not None and seen_by <= self.facts.died.keys():
            # A task that followed in the queue of the worker that had computed it saw it, and died with it.
            self._outcomes[oid] = before = outcome
            seen_by.clear()
        seen_by.add(client.address)
        if before != outcome:
            raise Violation(f"{client.address} got {outcome} for {name_id(oid)}, where others got {before}")

    def _is_being_killed(self, client: SimClient, failed: Failed) -> bool:
        """Whether this is an actor's process that the GCS has not known yet when the actor was ended: what it was given
        is let go at once, while the order to end it is on its way. (It asks before it reads.)"""
        machine = getattr(self._cluster.gcs, "machine", None)
        if machine is None or failed.kind != "ReferenceCountingAssertionError":
            return False
        mine = [actor_id for actor_id, facts in self.facts.actors.items() if client.address in facts.processes]
        known = [machine.actors.index.actors.get(actor_id) for actor_id in mine]
        return any(actor is not None and actor.state == "DEAD" and not actor.worker for actor in known)

    def _check_never_ran(self, oid: bytes, failed: Failed) -> None:
        facts = self.facts.tasks.get(task_of(oid))
        if facts is None or facts.deps_failed(self.facts, failed.kind):
            return
        if failed.kind == "TaskCancelledError" and task_of(oid) not in self.facts.cancelled:
            return
        if facts.task.attempt > 0 or self.facts.was_lost(oid):
            return  # it is about the last attempt
        if facts.starts and not facts.ended_itself:
            raise Violation(f"{name_id(oid)} has failed, '{failed.message}', but it ran on {facts.starts}")
        self._never_to_run[task_of(oid)] = failed.message

    def before(self, client: SimClient, event: Any) -> None:
        """A machine is about to take an event: results in it count, whatever else is in it."""
        self._expected_done.clear()
        if not isinstance(event, Frames):
            return
        machine = client.machine
        for sender, message in event.received:
            if isinstance(message, TasksDone):
                actor = machine.actors.by_worker.get(sender)
                connection = machine.scheduler.by_worker.get(sender) or (actor.connection if actor else None)
                for result in message.results if connection is not None else ():
                    task = connection.inflight.get(result.seq) if connection is not None else None
                    if task is not None:
                        # Of a task that runs again for what is lost the other results stay as they are.
                        entries = machine.objects.entries
                        had = {oid for oid in task.return_ids() if oid in entries and entries[oid].value is not None}
                        self._expected_done.append((task, task.attempt, result, had))

    def after(self, client: SimClient, event: Any) -> None:
        """A machine has taken an event."""
        client.machine.check()
        if self._limited:
            self._check_limits(client)
        for task, attempt, result, had in self._expected_done:
            if result.retryable and task.attempt == attempt + 1:
                continue
            if task.state is not DONE or task.attempt != attempt:
                raise Violation(f"{client.address} had the result of {task!r}, attempt {attempt}, and goes on with it")
            for oid, value in zip(task.return_ids(), result.values, strict=False):
                entry = client.machine.objects.entries.get(oid)
                if entry is None or oid in self.facts.freed or oid in had or self.facts.was_lost(oid):
                    continue
                if isinstance(entry.value, Failed) and not isinstance(value, Failed):
                    raise Violation(f"{client.address} had the value of {name_id(oid)}, and settled {entry.value}")

    def _check_limits(self, client: SimClient) -> None:
        """What counts as pending is what has no outcome."""
        for (address, actor_id), calls in self._limited.items():
            if address == client.address:
                actor = client.machine.actors.actors[actor_id]
                # What is lost and made again is another task with the same id.
                again = client.machine.unfinished
                pending = [task for task in calls if task.state is not DONE or task.id in again]
                counted = actor.limited - actor.concluded
                if counted != len(pending):
                    raise Violation(f"{address} counts {counted} pending calls of {actor!r}, but it has {pending}")

    # -- generators

    def item_made(self, task_id: bytes, index: int) -> None:
        """A generator has made its item ``index``: not more than its back-pressure allows ahead of its consumer."""
        facts = self.facts.tasks[task_id]
        ahead = index + 1 - facts.taken
        if 0 < facts.remote.backpressure < ahead and not facts.closed and facts.submitter not in self.facts.died:
            raise Violation(
                f"{facts!r} has made {ahead} items that nobody has taken, and is to wait at {facts.remote.backpressure}"
            )

    def item_taken(self, task_id: bytes) -> None:
        """A consumer has taken one more."""
        self.facts.tasks[task_id].taken += 1

    def stream_closed(self, task_id: bytes) -> None:
        """A consumer wants no more of a generator's items."""
        self.facts.tasks[task_id].closed = True
