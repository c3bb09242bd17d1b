"""The answer to `WhatRuns`: what goes on in this worker, as the thread in the seat sees it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from raynb.runtime.core.client import ClientMachine
from raynb.runtime.core.executor import Job
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.values import RefInfo
from raynb.runtime.messages.why import RunningTask, WhatRuns, WorkerRuns

if TYPE_CHECKING:
    from raynb.runtime.worker.runner import Runner

RUNNING_MAX = 100
WAITS_FOR_MAX = 20


def what_runs(runner: Runner, message: WhatRuns) -> Reply:
    """Which tasks run, what this one has in front of it, and what the process waits for."""
    queue = list(runner.machine.queue)
    runs = [*list(runner.running.values()), *list(runner.awaited.values())]
    found = WorkerRuns(
        os.getpid(),
        [RunningTask(run.job.spec.task_id, _name(runner, run.job), run.started) for run in runs[:RUNNING_MAX]],
        len(queue),
        next((ahead for ahead, job in enumerate(queue) if job.spec.task_id == message.task_id), -1),
        awaited_by_threads(runner.client.machine),
        runner.environment.being_set_up,
    )
    return Reply(message.request, msgspec.msgpack.encode(found))


def awaited_by_threads(machine: ClientMachine) -> list[RefInfo]:
    """What threads of this process stand still for."""
    found: list[RefInfo] = []
    standing = machine.waiting.threads
    for oid, entry in machine.objects.entries.items() if standing else ():
        if entry.waiters and not standing.isdisjoint(entry.waiters):
            found.append(RefInfo(oid, entry.owner or machine.address))
            if len(found) >= WAITS_FOR_MAX:
                break
    return found


def _name(runner: Runner, job: Job) -> str:
    """As the submitter calls it."""
    name = job.spec.name or job.function.name.rsplit(".", 1)[-1]
    return f"{runner.client.root.function}.{name}" if runner.machine.is_actor and not job.spec.name else name
