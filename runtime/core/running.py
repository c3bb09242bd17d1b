"""What runs just now, as its submitter knows it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from raynb.runtime.core.actors import Actors
from raynb.runtime.core.scheduler import Connection, Scheduler
from raynb.runtime.core.task import Task


def running(scheduler: Scheduler, actors: Actors) -> list[Task]:
    """The task at the head of each worker's and each actor's queue.

    That is what they work on, as they take them in order. (An actor with ``max_concurrency`` may work on more; how
    many, its callers are not told.)
    """
    return [task for connection in _connections(scheduler, actors) for task in islice(connection.inflight.values(), 1)]


def _connections(scheduler: Scheduler, actors: Actors) -> Iterator[Connection]:
    yield from scheduler.by_worker.values()
    for actor in actors.by_worker.values():
        if actor.connection is not None:
            yield actor.connection
