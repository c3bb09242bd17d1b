"""From what a function returned or raised to what is sent: values, stored or inline, and failures."""

from __future__ import annotations

import os
import pickle
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from raynb.runtime.client import read_only
from raynb.runtime.client.client import Client
from raynb.runtime.client.failures import from_exception
from raynb.runtime.codec.kinds import kind_of
from raynb.runtime.codec.values import Packed, pack
from raynb.runtime.core.executor import Job
from raynb.runtime.core.inbox import HandOff
from raynb.runtime.core.task import DYNAMIC, STREAMING
from raynb.runtime.messages.errors import TaskCancelledError
from raynb.runtime.messages.ids import object_id
from raynb.runtime.messages.values import Failed, Value
from raynb.runtime.worker.generators import Generators

if TYPE_CHECKING:
    from raynb.runtime.worker.runner import Runner


class Outcome:
    """Makes the values of results on behalf of one worker."""

    def __init__(self, client: Client, runner: Runner) -> None:
        self._client = client
        self.generators = Generators(client, runner, self)
        self._inline_limit = client.config.inline_limit_bytes
        self._pid = os.getpid()

    def of_value(self, job: Job, value: Any) -> list[Value]:
        """What a task that returned gives: as many values as it has returns."""
        count = job.spec.num_returns
        if count > 0 and type(value) is GeneratorType:
            return self.generators.first(job, value, count)
        if count == 1:
            return [self.pack_return(job, 1, value)]
        if count == STREAMING:
            return self.generators.stream(job, value)
        if count == DYNAMIC:
            return self.generators.dynamic(job, value)
        if count == 0:
            return []
        returned = len(value)
        if returned != count:
            raise ValueError(f"Task returned {returned} objects, but num_returns={count}.")
        name = job.spec.name or job.function.name
        return [self._one_of_several(job, index, part, name) for index, part in enumerate(value, 1)]

    def _one_of_several(self, job: Job, index: int, value: Any, name: str) -> Value:
        # One that can't be pickled fails its own reference only.
        try:
            return self.pack_return(job, index, value)
        except Exception as error:
            return from_exception(error, name, self._pid)

    def pack_return(self, job: Job, index: int, value: Any) -> Value:
        """One return value: inline where it is small, else in shared memory, owned by the submitter."""
        packed = pack(value, "the return value")
        if packed.refs:
            self._client.post(HandOff(job.sender, job.spec.seq, packed.refs))
        if packed.nbytes <= self._inline_limit:
            return packed.inline()
        return self._store(job, index, packed, value)

    def _store(self, job: Job, index: int, packed: Packed, value: Any) -> Value:
        oid = object_id(job.spec.task_id, index)
        note = f"{type(value).__name__} from {job.spec.name or job.function.name}"
        return self._client.plane.write(packed, oid, job.sender, note, kind_of(value))

    def pack_own(self, job: Job, index: int, value: Any) -> Value:
        """A value whose references are all to the submitter's own objects."""
        packed = pack(value, "the return value")
        return packed.inline() if packed.nbytes <= self._inline_limit else self._store(job, index, packed, "references")

    def failure(self, job: Job, error: BaseException) -> Failed:
        """One of several results, in the place of which the task raised."""
        return from_exception(error, job.spec.name or job.function.name, self._pid)

    def of_error(
        self, job: Job, error: BaseException, name: str, actor_repr: str | None = None, actor_id: str | None = None
    ) -> tuple[list[Value], bool]:
        """What a task that raised gives, and whether its ``retry_exceptions`` names the error."""
        if isinstance(error, KeyboardInterrupt):
            why = f": {error}" if error.args else ""
            told = f"{name} was cancelled while it ran{why}"
            stopped = TaskCancelledError(job.spec.task_id.hex(), told).with_traceback(error.__traceback__)
            failed = from_exception(stopped, name, self._pid, actor_repr, actor_id)
            return [replace(failed, kind="TaskCancelledError", message=told)], False
        if said := read_only.hint(error):
            error.add_note(said)
        return [from_exception(error, name, self._pid, actor_repr, actor_id)], self.is_retryable(job, error)

    @staticmethod
    def is_retryable(job: Job, error: BaseException) -> bool:
        """Whether the task's ``retry_exceptions`` names the error."""
        retry = job.function.retry_exceptions
        return isinstance(error, pickle.loads(retry)) if isinstance(retry, bytes) else retry
