"""From what a function returned or raised to what is sent: values, stored or inline, and failures."""

from __future__ import annotations

import os
import pickle
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from raynb.runtime.client.client import Client
from raynb.runtime.client.failures import from_exception
from raynb.runtime.codec.values import Packed, pack
from raynb.runtime.core.executor import Job
from raynb.runtime.core.inbox import HandOff, Outgoing
from raynb.runtime.core.streams import FIRST_ITEM_INDEX
from raynb.runtime.core.task import STREAMING
from raynb.runtime.messages.ids import object_id
from raynb.runtime.messages.tasks import StreamItems
from raynb.runtime.messages.values import Failed, Value

if TYPE_CHECKING:
    from raynb.runtime.worker.runner import Runner

STREAM_BATCH_MAX = 256


class Outcome:
    """Makes the values of results on behalf of one worker."""

    def __init__(self, client: Client, runner: Runner) -> None:
        self._client = client
        self._runner = runner
        self._inline_limit = client.config.inline_limit_bytes
        self._pid = os.getpid()

    def of_value(self, job: Job, value: Any) -> list[Value]:
        """What a task that returned gives: as many values as it has returns."""
        count = job.spec.num_returns
        if count == 1:
            return [self.pack_return(job, 1, value)]
        if count == STREAMING:
            return self.of_generator(job, value)
        if count == 0:
            return []
        name = job.spec.name or job.function.name
        try:
            parts = list(value)
        except TypeError:
            raise ValueError(
                f"{name} has num_returns={count}, so it must return {count} values, not a {type(value).__name__}"
            ) from None
        if len(parts) != count:
            raise ValueError(f"{name} has num_returns={count} but returned {len(parts)} values")
        return [self._one_of_several(job, index, part, name) for index, part in enumerate(parts, 1)]

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
        return self._store(job, index, packed, type(value).__name__)

    def _store(self, job: Job, index: int, packed: Packed, note: str) -> Value:
        oid = object_id(job.spec.task_id, index)
        return self._client.plane.write(packed, oid, job.sender, f"{note} from {job.spec.name or job.function.name}")

    def of_generator(self, job: Job, iterator: Any) -> list[Value]:
        """Send the items of a generator as they come; the value of the task itself is their number."""
        if not isinstance(iterator, Iterator | Generator):
            raise TypeError(
                f"{job.function.name} is called with num_returns='streaming', so it must be a generator; "
                f"it returned a {type(iterator).__name__}"
            )
        sent = 0
        values: list[Value] = []
        try:
            for item in iterator:
                values.append(self.pack_return(job, sent + len(values) + FIRST_ITEM_INDEX, item))
                if len(values) >= STREAM_BATCH_MAX or self._runner.client.host.io_waits:
                    sent = self._send_items(job, sent, values)
        finally:
            sent = self._send_items(job, sent, values)
        return [pack(sent).inline()]

    async def of_async_generator(self, job: Job, iterator: Any) -> list[Value]:
        """As `of_generator`, in an event loop."""
        sent = 0
        values: list[Value] = []
        try:
            async for item in iterator:
                values.append(self.pack_return(job, sent + FIRST_ITEM_INDEX, item))
                sent = self._send_items(job, sent, values)
        finally:
            sent = self._send_items(job, sent, values)
        return [pack(sent).inline()]

    def _send_items(self, job: Job, sent: int, values: list[Value]) -> int:
        if values:
            self._client.post(Outgoing(job.sender, StreamItems(job.spec.seq, sent, list(values)), guarded=True))
            sent += len(values)
            values.clear()
        return sent

    def of_error(self, job: Job, error: BaseException, name: str) -> tuple[list[Value], bool]:
        """What a task that raised gives, and whether its ``retry_exceptions`` names the error."""
        if isinstance(error, KeyboardInterrupt):
            why = f": {error}" if error.args else ""
            return [Failed("TaskCancelledError", f"{name} was cancelled while it ran{why}")], False
        retry = job.function.retry_exceptions
        retryable = retry is True
        if isinstance(retry, bytes):
            retryable = isinstance(error, pickle.loads(retry))
        return [from_exception(error, name, self._pid)], retryable
