"""What runs just now, as its submitter knows it."""

from __future__ import annotations

from itertools import islice

from raynb.runtime.core.actors import Actors
from raynb.runtime.core.scheduler import Scheduler
from raynb.runtime.core.task import Task


def running(scheduler: Scheduler, actors: Actors) -> list[Task]:
    """The task at the head of each worker's queue, and as many of each actor's as it runs at once.

    That is what they work on, as they take them in the order in which they were sent.
    """
    found = [task for lease in scheduler.by_worker.values() for task in islice(lease.inflight.values(), 1)]
    for actor in actors.by_worker.values():
        if actor.connection is not None:
            at_once = actor.process.concurrency if actor.process is not None else 1
            found += islice(actor.connection.inflight.values(), at_once)
    return found
