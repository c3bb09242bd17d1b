"""The arguments of what a worker runs: values that came with it, lie here, or must be brought here from other nodes.

What lies in other nodes' memory is brought here for all arguments of a task at once, or for none, when it is about
to run. For tasks that wait behind another it is asked for before, so that it is here then (`prefetch`); that holds
nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from raynb.runtime.client.fetching import ValuesLostError
from raynb.runtime.client.plane import Guard
from raynb.runtime.client.refs import ObjectRef, rebuild
from raynb.runtime.codec.calls import unpack_call
from raynb.runtime.core.executor import Job
from raynb.runtime.core.inbox import Outgoing
from raynb.runtime.core.node_identity import session_of
from raynb.runtime.messages.copies import ValuesLost
from raynb.runtime.messages.tasks import PushTasks
from raynb.runtime.messages.values import Dependency, Local, Stored, Value

if TYPE_CHECKING:
    from raynb.runtime.worker.runner import Runner

Unpacked = tuple[tuple[Any, ...], dict[str, Any]]
Borrowed = Mapping[bytes, tuple[ObjectRef[Any], Value | None]]
"""By object: what keeps it, and where it lies as its owner says."""
NOTHING: Final[Borrowed] = {}


class MissingDependency(Exception):
    """An input that this worker should have computed, or could fetch, isn't there (any more)."""


class Arguments:
    """Those of one worker's tasks."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._client = runner.client
        self._far = runner.client.fetching.is_far

    def of(self, job: Job, guard: Guard | None) -> Unpacked:
        """Positional and keyword arguments of a task or a call.

        Raises
        ------
        MissingDependency
            A task has to wait for another value of an input.
        """
        lost: set[bytes] = set()
        while True:
            try:
                return self._unpack(job, guard, lost=lost) if lost else self._of(job, guard)
            except ValuesLostError as error:
                if not self._runner.machine.is_actor:
                    self._client.post(Outgoing(job.sender, ValuesLost(error.lost, error.why), guarded=True))
                    raise MissingDependency from None
                # Its calls keep their order: this one waits here.
                lost.update(value.oid for value in error.lost)

    def _of(self, job: Job, guard: Guard | None) -> Unpacked:
        deps = job.spec.deps
        if not deps or not any(map(self._far, deps)):
            return self._unpack(job, guard)
        stored = [value for value in deps if isinstance(value, Stored)]
        borrowed = self._borrow([value for value in stored if self._must_ask(job, value)])
        places = [borrowed[value.oid][1] if value.oid in borrowed else value for value in stored]
        with self._client.fetching.held(places, together=True):
            return self._unpack(job, guard, borrowed)

    def _borrow(self, values: Collection[Stored]) -> Borrowed:
        """Wait until the owners of these have said that they are kept for this process, and where they lie by now."""
        found = {value.oid: rebuild(value.oid, value.owner) for value in values}
        if not found:
            return {}
        self._client.wait_for(list(found), len(found), None)
        entries = self._client.machine.objects.entries
        return {oid: (ref, entries[oid].value) for oid, ref in found.items()}

    def _unpack(
        self, job: Job, guard: Guard | None, borrowed: Borrowed = NOTHING, lost: Collection[bytes] = ()
    ) -> Unpacked:
        spec = job.spec
        values = None
        if spec.deps:
            values = []
            for dependency in spec.deps:
                if isinstance(dependency, Local):
                    known = self._runner.recent.get(dependency.oid)
                    if known is None:
                        raise MissingDependency
                    values.append(self._client.load(known))
                elif isinstance(dependency, Stored) and dependency.oid in borrowed:
                    values.append(self._client.load(borrowed[dependency.oid][1]))
                elif self._must_ask(job, dependency) or (isinstance(dependency, Stored) and dependency.oid in lost):
                    values.append(self.ask_owner(dependency))
                else:
                    values.append(self._client.load(dependency, guard))
        return unpack_call(spec.args, spec.buffers, values)

    def _must_ask(self, job: Job, value: Dependency) -> bool:
        """Whether an argument may be freed under its reader's eyes: it is a third process's, which lets it go when it
        hears that the caller has died. The worker of a task is ended before that is told on its own node, but perhaps
        not before it is told on others; an actor isn't ended at all."""
        if not isinstance(value, Stored):
            return False
        if not self._runner.machine.is_actor:
            here = session_of(self._client.address)
            if here in (session_of(job.sender), session_of(value.owner)):
                return False
        known = (job.sender, self._client.address)
        return value.owner not in known and value.owner not in self._client.machine.objects.dead

    def ask_owner(self, value: Dependency) -> Any:
        """Read a value as a borrower: once its owner has said that it is registered."""
        assert not isinstance(value, Local)
        if not isinstance(value, Stored) or value.owner == self._client.address:
            return self._client.load(value)
        return self._client.get([rebuild(value.oid, value.owner)])[0]

    def take_time(self, job: Job) -> bool:
        """Whether others must be asked for an argument: in an event loop that would hold up everything else."""
        return any(self._must_ask(job, value) or self._far(value) for value in job.spec.deps or ())

    def prefetch(self, message: PushTasks, *, idle: bool) -> None:
        """In the seat: tasks have arrived. The first one asks for itself, where nothing runs."""
        for spec in message.tasks[1:] if idle else message.tasks:
            if spec.deps:
                far = [value for value in spec.deps if self._far(value)]
                if far:
                    self._client.fetching.prefetch(far)
                self._client.plane.read_ahead(spec.deps)
