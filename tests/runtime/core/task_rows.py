"""Rows of tasks as a client would send them, with as little as a test has to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from raynb.runtime.messages.events import FINISHED, NameDef, TaskRows, WorkerDef

JOB = b"job1"
ORIGIN = b"origin......"


def task_id(number: int, origin: bytes = ORIGIN) -> bytes:
    return number.to_bytes(8, "big") + origin + JOB


@dataclass
class Row:
    """A task; times in seconds after 1,000."""

    number: int
    state: int = FINISHED
    attempt: int = 0
    name: int = 0
    worker: int = 0
    submitted: float = 1.0
    ready: float = 0.0
    pushed: float = 0.0
    started: float = 2.0
    ended: float = 3.0
    size: int = 10
    parent: bytes = b""
    error: tuple[str, str] | None = None
    dependencies: bytes = b""
    origin: bytes = field(default=ORIGIN)


def wall(seconds: float) -> float:
    return 1000.0 + seconds if seconds else 0.0


def rows(*tasks: Row, **parts: Any) -> TaskRows:
    parents = b"".join(task.parent or bytes(24) for task in tasks) if any(task.parent for task in tasks) else b""
    message = TaskRows(
        ids=b"".join(task_id(task.number, task.origin) for task in tasks),
        states=bytes(task.state for task in tasks),
        attempts=bytes(task.attempt for task in tasks),
        names=[task.name for task in tasks],
        workers=[task.worker for task in tasks],
        submitted=[wall(task.submitted) for task in tasks],
        ready=[wall(task.ready) for task in tasks],
        pushed=[wall(task.pushed) for task in tasks],
        started=[wall(task.started) for task in tasks],
        ended=[wall(task.ended) for task in tasks],
        sizes=[task.size for task in tasks],
        parent=b"",
        parents=parents,
        errors=[(at, *task.error) for at, task in enumerate(tasks) if task.error],
        dependencies=[(at, task.dependencies) for at, task in enumerate(tasks) if task.dependencies],
        totals=[],
        dropped=0,
    )
    for name, value in parts.items():
        setattr(message, name, value)
    return message


def name_def(number: int, function: str = "square", kind: int = 0, actor: bytes = b"", **parts: Any) -> NameDef:
    settings: dict[str, Any] = {"call_site": "cell.py:3", "cell": "cell-1", "resources": {"CPU": 1.0}, **parts}
    name = settings.pop("name", function)
    return NameDef(number, name, function, kind, JOB, actor_id=actor, **settings)


def worker_def(number: int, node: bytes = b"n" * 28) -> WorkerDef:
    return WorkerDef(number, b"%d" % number * 28, node, 4000 + number)
