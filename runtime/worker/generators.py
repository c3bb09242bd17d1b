"""Runs generators: their items are sent as they come, or become the results of one task."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from itertools import islice
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from raynb.runtime.client.client import Client
from raynb.runtime.client.dynamic import DynamicObjectRefGenerator
from raynb.runtime.client.failures import format_remote
from raynb.runtime.client.refs import ObjectRef, uncounted
from raynb.runtime.core.executor import Job
from raynb.runtime.core.inbox import Outgoing
from raynb.runtime.core.streams import FIRST_ITEM_INDEX
from raynb.runtime.messages.ids import object_id
from raynb.runtime.messages.tasks import StreamItems
from raynb.runtime.messages.values import NOTHING, Value

if TYPE_CHECKING:
    from raynb.runtime.worker.outcome import Outcome
    from raynb.runtime.worker.runner import Runner

STREAM_BATCH_MAX = 256

TOO_LATE = "Unhandled error: the task has raised an exception when all its {} values were made, so none has it:"
"""Before an error that no reference stands for."""


def runs_late(num_returns: int, value: object) -> bool:
    """Whether code of the task runs only when its result is made."""
    return num_returns < 0 or type(value) is GeneratorType


class Generators:
    """Makes the results of tasks that are generators, on behalf of one worker."""

    def __init__(self, client: Client, runner: Runner, outcome: Outcome) -> None:
        self._client = client
        self._runner = runner
        self._outcome = outcome
        self.unsent: set[Sending] = set()
        """Those of which items have gathered."""

    def flush(self) -> None:
        """Send what has gathered: the code of a generator may stay away for long. In the I/O thread."""
        for sending in list(self.unsent):
            sending.flush()

    def stream(self, job: Job, iterator: Any) -> list[Value]:
        """Send the items as they come; the task itself has no value."""
        Sending(job, self._client, self._outcome, self.unsent).run(_checked(job, iterator, "streaming"), self._runner)
        return [NOTHING]

    def dynamic(self, job: Job, iterator: Any) -> list[Value]:
        """Send the items; the value of the task is their references, the last of which fails where the code has."""
        sending = Sending(job, self._client, self._outcome, self.unsent)
        try:
            sending.run(_checked(job, iterator, "dynamic"), self._runner)
        except Exception as error:
            if self._outcome.is_retryable(job, error):
                raise
            sending.add(self._outcome.failure(job, error))
            sending.flush()
        # They are the submitter's objects already: nobody has to hold them meanwhile.
        ids = [object_id(job.spec.task_id, FIRST_ITEM_INDEX + i) for i in range(sending.sent)]
        refs: list[ObjectRef[Any]] = [ObjectRef(oid, job.sender, uncounted) for oid in ids]
        return [self._outcome.pack_own(job, 1, DynamicObjectRefGenerator(refs))]

    def first(self, job: Job, iterator: Iterator[Any], count: int) -> list[Value]:
        """As many items as the task has returns. Where the code fails, so do those that are left."""
        values: list[Value] = []
        try:
            for index, item in enumerate(islice(iterator, count), 1):
                values.append(self._outcome.pack_return(job, index, item))
            if len(values) < count:
                raise ValueError(f"Task returned {len(values)} objects, but num_returns={count}.")
            # Its code may go on after the last of them.
            for _ in iterator:
                raise ValueError(f"Task returned more than num_returns={count} objects.")
        except Exception as error:
            if not values or (len(values) < count and self._outcome.is_retryable(job, error)):
                raise
            if len(values) == count:
                print(f"{TOO_LATE.format(count)}\n{format_remote(error)}", file=sys.stderr)
            values += [self._outcome.failure(job, error)] * (count - len(values))
        return values

    async def stream_async(self, job: Job, iterator: Any) -> list[Value]:
        """As `stream`, in an event loop."""
        sending, consumption = Sending(job, self._client, self._outcome, self.unsent), self._runner.consumption
        paced = job.function.backpressure > 0
        if paced:
            consumption.begin(job)
        try:
            async for item in iterator:
                sending.make(item)
                sending.flush()
                if paced:
                    await consumption.wait_async(job, sending.sent)
        finally:
            if paced:
                consumption.end(job)
        return [NOTHING]


class Sending:
    """Sends the items of one generator, and counts them. Many at once, as long as the I/O thread is busy."""

    def __init__(self, job: Job, client: Client, outcome: Outcome, unsent: set[Sending]) -> None:
        self._job = job
        self._client = client
        self._outcome = outcome
        self._unsent = unsent
        self._values: list[Value] = []
        self._lock = threading.Lock()
        self._made = 0
        self.sent = 0

    def run(self, iterator: Iterator[Any], runner: Runner) -> None:
        """To the end of a generator; what has come until an error is sent, too."""
        job, consumption = self._job, runner.consumption
        paced = job.function.backpressure > 0
        if paced:
            consumption.begin(job)
        try:
            for item in iterator:
                self.make(item)
                if runner.cancelled and job.spec.task_id in runner.cancelled:
                    raise KeyboardInterrupt
                if paced:
                    self.flush()
                    consumption.wait(job, self.sent, lambda: job.spec.task_id in runner.cancelled)
                elif len(self._values) >= STREAM_BATCH_MAX or self._client.host.io_waits:
                    self.flush()
        finally:
            if paced:
                consumption.end(job)
            self.flush()

    def make(self, item: Any) -> None:
        """Another item."""
        self.add(self._outcome.pack_return(self._job, self._made + FIRST_ITEM_INDEX, item))

    def add(self, value: Value) -> None:
        """What stands for another item."""
        self._made += 1
        with self._lock:
            self._values.append(value)
            self._unsent.add(self)

    def flush(self) -> None:
        """Send what has gathered."""
        with self._lock:
            values, self._values = self._values, []
            self._unsent.discard(self)
            if values:
                items = StreamItems(self._job.spec.seq, self.sent, values)
                self._client.post(Outgoing(self._job.sender, items, guarded=True))
                self.sent += len(values)


def _checked(job: Job, iterator: Any, how: str) -> Iterator[Any]:
    if not isinstance(iterator, Iterator):
        raise ValueError(
            f"{job.function.name} is called with num_returns={how!r}, so it must return a generator; "
            f"it returned a {type(iterator).__name__}"
        )
    return iterator
