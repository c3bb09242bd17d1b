"""The parts of each task's time, where RAY_PROFILING is in the environment: arguments, execution, results.

They have Ray's names. Elsewhere nothing is timed but the whole task: two more readings of the clock for each part, and
a message for each task, would slow down small ones.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from raynb.runtime.client.client import Client
from raynb.runtime.client.plane import Guard
from raynb.runtime.client.spans import VARIABLE, tell
from raynb.runtime.core.executor import Job
from raynb.runtime.messages.events import Span
from raynb.runtime.messages.values import Value
from raynb.runtime.worker.arguments import Arguments, Unpacked
from raynb.runtime.worker.outcome import Outcome

if TYPE_CHECKING:
    from raynb.runtime.worker.runner import Runner


def stages(client: Client, runner: Runner) -> tuple[Arguments, Outcome]:
    """What comes before a task's code and after it, timed or not."""
    if VARIABLE not in os.environ:
        return Arguments(runner), Outcome(client, runner)
    read: dict[bytes, Span] = {}
    return TimedArguments(runner, read), TimedOutcome(client, runner, read)


class TimedArguments(Arguments):
    """Notes how long the reading of each task's arguments takes."""

    def __init__(self, runner: Runner, read: dict[bytes, Span]) -> None:
        super().__init__(runner)
        self._read = read

    def of(self, job: Job, guard: Guard | None) -> Unpacked:
        """See `Arguments.of`."""
        started, began = time.time(), time.perf_counter()
        unpacked = super().of(job, guard)
        task = job.spec.task_id
        self._read[task] = Span(task, "task:deserialize_arguments", started, time.perf_counter() - began)
        return unpacked


class TimedOutcome(Outcome):
    """Notes how long it takes to make each result, and tells all parts of the task's time.

    What a generator does counts as a part of its result.
    """

    def __init__(self, client: Client, runner: Runner, read: dict[bytes, Span]) -> None:
        super().__init__(client, runner)
        self._read = read

    def of_value(self, job: Job, value: Any) -> list[Value]:
        """See `Outcome.of_value`."""
        parts = self._parts(job)
        started, began = time.time(), time.perf_counter()
        values = super().of_value(job, value)
        parts.append(Span(job.spec.task_id, "task:store_outputs", started, time.perf_counter() - began))
        tell(self._client, parts)
        return values

    def of_error(
        self, job: Job, error: BaseException, name: str, actor_repr: str | None = None, actor_id: str | None = None
    ) -> tuple[list[Value], bool]:
        """See `Outcome.of_error`."""
        if parts := self._parts(job, {"type": str(type(error)), "value": str(error)}):
            tell(self._client, parts)
        return super().of_error(job, error, name, actor_repr, actor_id)

    def _parts(self, job: Job, extra: dict[str, str] | None = None) -> list[Span]:
        """Up to now."""
        task = job.spec.task_id
        read = self._read.pop(task, None)
        if read is None:
            return []
        ran_from = read.started + read.duration
        return [read, Span(task, "task:execute", ran_from, max(0.0, time.time() - ran_from), extra or {})]
