"""Jobs: each driver's life in the cluster, from `RegisterJob` to its end.

Rules
-----
* A job is registered once durable; the same driver may register it again (a repetition), another driver may not.
* It ends when its driver says so or dies; then it is SUCCEEDED or FAILED. Nothing runs for an ended job.
* Ended jobs are remembered, `ENDED_JOBS_MAX` of them; and as many that ended unregistered (their registration was lost
  with an earlier GCS, or is on its way): what else is known of them ends, and they never begin.

Never knows what else ends with a job: whoever calls `finish` tells the others.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec
from msgspec import Struct

from raynb.runtime.core.gcs_effects import Write
from raynb.runtime.core.gcs_journal import Effects, Journal
from raynb.runtime.core.gcs_requests import Requests, refusal
from raynb.runtime.messages.gcs import RegisterJob, Reply

TABLE: Final = "jobs"
ENDED_JOBS_MAX: Final = 1000

RUNNING: Final = "RUNNING"
SUCCEEDED: Final = "SUCCEEDED"
FAILED: Final = "FAILED"


class JobRecord(Struct, array_like=True, frozen=True, gc=False):
    """What stands in the store. Times are wall-clock seconds; ``ended`` is 0 for a job that runs."""

    job: bytes
    driver: str
    pid: int
    namespace: str
    entrypoint: str
    started: float
    status: str = RUNNING
    ended: float = 0.0
    message: str = ""
    notebook: str = ""
    runtime_env: str = ""
    metadata: dict[str, str] = {}


class JobTable:
    """The jobs of a cluster."""

    def __init__(self, journal: Journal, requests: Requests) -> None:
        self._journal = journal
        self._requests = requests
        self.jobs: dict[bytes, JobRecord] = {}
        self._ended: deque[bytes] = deque()
        self._unheard: dict[bytes, JobRecord] = {}
        """Those that ended unregistered. They have no driver."""

    def notebook_of(self, job: bytes) -> str:
        """The id of the kernel that it is of; empty: it is of none, or nobody knows it any more."""
        record = self.jobs.get(job)
        return record.notebook if record is not None else ""

    def __repr__(self) -> str:
        return f"<JobTable {len(self.jobs)} jobs, {len(self._ended)} ended>"

    def load(self, key: bytes, value: bytes) -> None:
        """A row of the store. `msgspec.DecodeError` if it isn't one."""
        record = msgspec.msgpack.decode(value, type=JobRecord)
        if not record.driver:
            self._unheard[key] = record
            return
        self.jobs[key] = record
        if record.status != RUNNING:
            self._ended.append(key)

    def register(self, sender: str, message: RegisterJob, now: float) -> Effects:
        """A driver has come."""
        known = self.jobs.get(message.job)
        request = message.request

        def answer() -> Effects:
            return [self._requests.answer(sender, Reply(request), keep=True)]

        def undo(reason: str) -> Effects:
            if self.jobs.get(message.job) is record:
                del self.jobs[message.job]
            reply = refusal(request, "RaySystemError", f"the job was not registered: {reason}")
            effects: Effects = [self._requests.answer(sender, reply, keep=True)]
            return [*effects, self._journal.write([Write(TABLE, message.job, None)], now)]

        record = known or JobRecord(
            message.job,
            message.driver,
            message.pid,
            message.namespace,
            message.entrypoint,
            message.started,
            notebook=message.notebook,
            runtime_env=message.runtime_env,
            metadata=message.metadata,
        )
        effects: Effects = []
        if known is None:
            unheard = self._unheard.pop(message.job, None)
            if unheard is None:
                self.jobs[message.job] = record
                return [self._journal.write([_write_of(record)], now, answer, undo)]
            status, ended, why = unheard.status, unheard.ended, unheard.message
            record = msgspec.structs.replace(record, status=status, ended=ended, message=why)
            effects = self._keep_ended(record, now)
        if record.driver != message.driver or record.status != RUNNING:
            text = f"the job {message.job.hex()} is another driver's, or has ended"
            reply = refusal(request, "RaySystemError", text)
            return [*effects, self._requests.answer(sender, reply, keep=True)]
        return self._journal.when_durable(TABLE, message.job, answer, undo)

    def finish(self, job: bytes, status: str, message: str, now: float, wall: float) -> Effects | None:
        """A job is over; None if that was known. ``wall``: seconds since the epoch."""
        if self.ended(job):
            return None
        record = self.jobs.get(job)
        if record is None:
            return self._finish_unheard(JobRecord(job, "", 0, "", "", wall, status, wall, message), now)
        return self._keep_ended(msgspec.structs.replace(record, status=status, message=message, ended=wall), now)

    def _keep_ended(self, record: JobRecord, now: float) -> Effects:
        self.jobs[record.job] = record
        self._ended.append(record.job)
        writes = [_write_of(record)]
        while len(self._ended) > ENDED_JOBS_MAX:
            oldest = self._ended.popleft()
            del self.jobs[oldest]
            writes.append(Write(TABLE, oldest, None))
        return [self._journal.write(writes, now)]

    def _finish_unheard(self, record: JobRecord, now: float) -> Effects:
        self._unheard[record.job] = record
        writes = [_write_of(record)]
        if len(self._unheard) > ENDED_JOBS_MAX:
            oldest = next(iter(self._unheard))
            del self._unheard[oldest]
            writes.append(Write(TABLE, oldest, None))
        return [self._journal.write(writes, now)]

    def ended(self, job: bytes) -> bool:
        """Whether this job is known to be over."""
        record = self.jobs.get(job)
        return record.status != RUNNING if record is not None else job in self._unheard

    def of_driver(self, driver: str) -> list[JobRecord]:
        """Jobs that run for this process."""
        return [j for j in self.jobs.values() if j.driver == driver and j.status == RUNNING]

    def writes(self) -> list[Write]:
        """Everything, for a store that has lost it."""
        return [_write_of(record) for record in (*self.jobs.values(), *self._unheard.values())]

    def check(self) -> None:
        """The invariants."""
        over = {job for job, record in self.jobs.items() if record.status != RUNNING}
        assert over == set(self._ended), "the ended jobs are those that are remembered as ended"
        assert len(self._ended) == len(over)
        assert not self._unheard.keys() & self.jobs.keys() and len(self._unheard) <= ENDED_JOBS_MAX


def _write_of(record: JobRecord) -> Write:
    return Write(TABLE, record.job, msgspec.msgpack.encode(record))
