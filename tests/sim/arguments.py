"""The arguments of what a simulated worker runs: as `raynb.runtime.worker.arguments` has them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from raynb.runtime.core.executor import Job
from raynb.runtime.core.inbox import Outgoing
from raynb.runtime.core.node_identity import session_of
from raynb.runtime.messages.copies import ValuesLost as ToldLost
from raynb.runtime.messages.tasks import PushTasks
from raynb.runtime.messages.values import Dependency, Local, RefInfo, Stored
from tests.sim import calls
from tests.sim.client import Pin
from tests.sim.outcomes import MissingDependency, ValuesLost
from tests.sim.threads import Steps
from tests.sim.values import CallContent, rebuild, unpack_refs

if TYPE_CHECKING:
    from tests.sim.interpreter import Frame
    from tests.sim.worker import SimWorker


class Arguments:
    """Those of one worker's tasks."""

    def __init__(self, worker: SimWorker) -> None:
        self._worker = worker
        self._far = worker.fetching.is_far

    def of(self, job: Job, call: CallContent, frame: Frame, guard: list[Pin]) -> Steps:
        """Read the arguments of a task or a call into its frame. `MissingDependency`: it has to wait for another value
        of an input."""
        worker = self._worker
        deps = job.spec.deps or []
        far = [v for v in deps if isinstance(v, Stored) and self._far(v) and not self.must_ask(job, v)]
        lost: set[bytes] = set()
        while True:
            fetch = None
            try:
                if far and not lost:
                    fetch = yield from worker.fetching.bring(far, together=True)
                yield from self._unpack(job, call, frame, guard, lost)
                return
            except ValuesLost as error:
                if not worker.is_actor:
                    worker.post(Outgoing(job.sender, ToldLost(error.lost), guarded=True))
                    raise MissingDependency from None
                # Its calls keep their order: this one waits here.
                lost.update(value.oid for value in error.lost)
            finally:
                worker.fetching.release(fetch)

    def _unpack(
        self, job: Job, call: CallContent, frame: Frame, guard: list[Pin], lost: Collection[bytes] = ()
    ) -> Steps:
        worker = self._worker
        oids = worker.oracle.dependencies(job.spec.task_id)
        for oid, dependency in zip(oids, job.spec.deps or (), strict=True):
            if isinstance(dependency, Local):
                known = worker.recent.get(dependency.oid)
                if known is None:
                    raise MissingDependency
                frame.hold_value(calls.load(worker, oid, known))
            elif self.must_ask(job, dependency) or (isinstance(dependency, Stored) and dependency.oid in lost):
                yield from self.ask_owner(oid, dependency, frame)
            else:
                frame.hold_value((yield from calls.read(worker, oid, dependency, guard)))
        frame.hold(unpack_refs(worker, call.handles, call.refs))

    def must_ask(self, job: Job, value: Dependency) -> bool:
        """Whether an argument may be freed under its reader's eyes: it is a third process's, which lets it go when it
        hears that the caller has died. On its node a task's worker has been ended before."""
        worker = self._worker
        if not isinstance(value, Stored):
            return False
        here = session_of(worker.address)
        if not worker.is_actor and here in (session_of(job.sender), session_of(value.owner)):
            return False
        return value.owner not in (job.sender, worker.address, *worker.machine.objects.dead)

    def ask_owner(self, oid: bytes, value: Dependency, frame: Frame) -> Steps:
        """Read a value as a borrower: once its owner has said that it is registered."""
        worker = self._worker
        assert not isinstance(value, Local)
        if not isinstance(value, Stored) or value.owner == worker.address:
            frame.hold_value((yield from calls.read(worker, oid, value)))
            return
        ref = rebuild(worker, RefInfo(value.oid, value.owner), None)
        frame.hold([ref])
        (loaded,) = yield from calls.get(worker, [ref], None, judge=False)
        frame.hold_value(loaded)

    def prefetch(self, message: PushTasks, *, idle: bool) -> None:
        """Tasks have arrived. The first one asks for itself, where nothing runs."""
        for spec in message.tasks[1:] if idle else message.tasks:
            far = [value for value in spec.deps or () if isinstance(value, Stored) and self._far(value)]
            if far:
                self._worker.fetching.prefetch(far)
