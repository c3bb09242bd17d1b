"""On whose behalf a thread works."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import msgspec

from raynb.runtime.core.executor import Job
from raynb.runtime.messages.tasks import ContextDef


class Execution(msgspec.Struct, gc=False):
    """On whose behalf a thread works: the task that it runs, and where that came from."""

    context: ContextDef
    task_id: bytes
    name: str = ""
    actor_id: bytes = b""
    function: str = ""
    resources: dict[str, float] = {}
    gpus: list[str] = []
    cancelled: bool = False
    exits: tuple[int, Any] | None = None
    """Where `exit_actor` was called in it: thread, and task of asyncio if that was in one."""
    captures: bool = False
    """As in `FunctionDef`."""
    attempt: int = 0
    module: str = ""
    """Where the function, or the actor's class, was defined."""


EXECUTION: ContextVar[Execution | None] = ContextVar("raynb_execution", default=None)


def execution_of(job: Job, context: ContextDef, name: str) -> Execution:
    """What a task's code may ask about itself."""
    function = job.function
    return Execution(
        context, job.spec.task_id, name, function=function.name, resources=function.resources, attempt=job.spec.attempt,
        captures=function.captures, module=function.module, gpus=job.gpus,
    )  # fmt: skip
