"""The arguments of what a worker runs: values that came with it, lie here, or must be brought here from other nodes.

What lies in other nodes' memory is brought here for all arguments of a task at once, or for none, when it is about
to run. For tasks that wait behind another it is asked for before, so that it is here then (`prefetch`); that holds
nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from raynb.runtime.client.fetching import ValuesLostError
from raynb.runtime.client.plane import Guard
from raynb.runtime.client.refs import rebuild
from raynb.runtime.codec.calls import unpack_call
from raynb.runtime.core.executor import Job
from raynb.runtime.core.inbox import Outgoing
from raynb.runtime.messages.copies import ValuesLost
from raynb.runtime.messages.tasks import PushTasks
from raynb.runtime.messages.values import Dependency, Local, Stored

if TYPE_CHECKING:
    from raynb.runtime.worker.runner import Runner

Unpacked = tuple[tuple[Any, ...], dict[str, Any]]


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
        deps = job.spec.deps
        if not deps or not any(map(self._far, deps)):
            return self._unpack(job, guard)
        far = [value for value in deps if isinstance(value, Stored) and not self._must_ask(job, value)]
        try:
            with self._client.fetching.held(far, together=True):
                return self._unpack(job, guard)
        except ValuesLostError as error:
            if self._runner.machine.is_actor:
                # Its calls keep their order: this one waits here.
                return self._unpack(job, guard, {lost.oid for lost in error.lost})
            self._client.post(Outgoing(job.sender, ValuesLost(error.lost), guarded=True))
            raise MissingDependency from None

    def _unpack(self, job: Job, guard: Guard | None, lost: Collection[bytes] = ()) -> Unpacked:
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
                elif self._must_ask(job, dependency) or (isinstance(dependency, Stored) and dependency.oid in lost):
                    values.append(self.ask_owner(dependency))
                else:
                    values.append(self._client.load(dependency, guard))
        return unpack_call(spec.args, spec.buffers, values)

    def _must_ask(self, job: Job, value: Dependency) -> bool:
        """Whether an argument of an actor's call may be freed under its eyes: it is a third process's, which lets it
        go when it hears that the caller has died. (The worker of a task is ended before that is told.)"""
        if not self._runner.machine.is_actor or not isinstance(value, Stored):
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
