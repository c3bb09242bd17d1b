"""A simulated actor: what `raynb.runtime.worker.actor` does, one call after the other or in several threads."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from raynb.runtime.core.executor import Job, refusal
from raynb.runtime.core.inbox import Outgoing
from raynb.runtime.messages.gcs import ActorStarted, KillActor
from raynb.runtime.messages.node import StartActor
from raynb.runtime.messages.tasks import Result
from raynb.runtime.messages.values import Failed, Value
from tests.sim.calls import Execution
from tests.sim.client import Pin
from tests.sim.interpreter import Frame
from tests.sim.outcomes import ActorExit, Interrupted, MissingDependency, RemoteError, StoreFull, UserError
from tests.sim.threads import Pause, Signal, Steps
from tests.sim.values import decode_call, unpack_refs

if TYPE_CHECKING:
    from tests.sim.threads import Thread
    from tests.sim.worker import SimWorker


class CallGroup:
    """A concurrency group: its calls that no thread has taken."""

    def __init__(self) -> None:
        self.calls: deque[Job] = deque()
        self.arrived = Signal()


class ActorLife:
    """One actor in its worker."""

    def __init__(self, worker: SimWorker, start: StartActor) -> None:
        self.worker = worker
        self.start = start
        self.kept = worker.kept
        self.ended = False

    # -- construction

    def construct(self) -> Steps:
        """Run the constructor; gives why it failed, or None."""
        worker, start = self.worker, self.start
        call = decode_call(start.args)
        execution = Execution(worker.adopt_context(start.context), start.task_id, call.depth)
        frame = Frame(worker, execution, call.label, patient=False, kept=self.kept)
        worker.oracle.constructing(worker, start)
        try:
            oids = worker.oracle.dependencies(start.task_id)
            for oid, dependency in zip(oids, start.deps or (), strict=True):
                # It may have been freed since the order was given: its owner is asked.
                yield from worker.arguments.ask_owner(oid, dependency, frame)
            frame.hold(unpack_refs(worker, call.handles, call.refs))
            remote = worker.cluster.plan.functions[call.function]
            yield from frame.run(remote.body)
            if remote.raises == "always" or (remote.raises == "first" and start.incarnation == 0):
                raise UserError
        except (UserError, StoreFull, RemoteError, Interrupted, ActorExit) as error:
            worker.oracle.constructor_failed(start.actor_id)
            return Failed("ActorDiedError", f"its constructor raised {type(error).__name__}")
        finally:
            frame.let_go()
        return None

    # -- calls

    def serve(self, thread_number: int) -> Steps:
        worker = self.worker
        while not worker.leaving:
            job = yield from worker.take()
            if job is not None:
                yield from self.call(job, worker.threads[thread_number])
        worker.work.notify()

    def serve_groups(self) -> Steps:
        """Hand the calls out to the threads of their concurrency groups; "" is for those that belong to none."""
        worker = self.worker
        sizes = {"": max(self.start.max_concurrency, 1), **self.start.groups}
        groups = {name: CallGroup() for name in sizes}
        for name, size in sizes.items():
            for index in range(size):
                worker.start_thread(f"actor-{name}-{index}", self._serve_group(groups[name], len(worker.threads)))
        while not worker.leaving:
            job = yield from worker.take()
            if job is not None:
                group = groups.get(job.spec.group, groups[""])
                group.calls.append(job)
                group.arrived.notify()
        for group in groups.values():
            group.arrived.notify()

    def _serve_group(self, group: CallGroup, thread_number: int) -> Steps:
        worker = self.worker
        while not worker.leaving:
            if not group.calls:
                yield group.arrived
            elif (job := group.calls.popleft()).spec.task_id in worker.cancelled:
                worker.note(job.sender, refusal(job))
            else:
                yield Pause()
                yield from self.call(job, worker.threads[thread_number])
        worker.work.notify()

    def call(self, job: Job, thread: Thread) -> Steps:
        """Run one call."""
        worker, spec = self.worker, job.spec
        worker.mark(job)
        if spec.task_id in worker.executor.refused:
            worker.executor.refused.discard(spec.task_id)
            worker.note(job.sender, refusal(job))
            return
        guard: list[Pin] = []
        begin = worker.world.now
        call = worker.opened(job)
        execution = Execution(worker.adopt_context(job.context), spec.task_id, call.depth)
        frame = Frame(worker, execution, call.label, patient=False, kept=self.kept)
        values: list[Value]
        retryable = False
        try:
            yield from worker.arguments.of(job, call, frame, guard)
            values = yield from worker.body(job, call, frame, thread)
        except ActorExit:
            self.end()
            values = [Failed("ActorDiedError", "the actor has ended itself (exit_actor).")]
        except (UserError, StoreFull, RemoteError, Interrupted, MissingDependency) as error:
            values, retryable = worker.of_error(job, error)
        frame.let_go()
        worker.release(guard)
        worker.note(job.sender, Result(spec.seq, begin, worker.world.now - begin, values, retryable))
        if self.ended:
            worker.flush()

    def end(self) -> None:
        """The actor has asked to end: the GCS must know before anybody calls again."""
        if self.ended:
            return
        self.ended = True
        worker = self.worker
        worker.oracle.exit_asked(self.start.actor_id)
        worker.post(Outgoing(worker.machine.gcs, KillActor(self.start.actor_id, True, "exited")))
        worker.leaving = True
        worker.work.notify()


def serve_actor(worker: SimWorker, start: StartActor) -> Steps:
    """Construct the actor, tell the GCS, serve until it ends."""
    life = ActorLife(worker, start)
    failure = yield from life.construct()
    assert worker.joined is not None
    started = ActorStarted(
        start.actor_id, start.incarnation, worker.address, worker.pid, worker.joined.node_id, failure
    )
    worker.post(Outgoing(worker.machine.gcs, started, guarded=True))
    worker.executor.started = (worker.machine.gcs, started)
    if failure is not None:
        while not worker.leaving:  # the GCS has to know why before it hears of this process's end
            yield worker.work
        return
    if start.groups:
        yield from life.serve_groups()
        return
    for index in range(1, max(start.max_concurrency, 1)):
        worker.start_thread(f"actor-{index}", life.serve(index))
    yield from life.serve(0)
