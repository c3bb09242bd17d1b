"""Concurrency groups of an actor whose calls run in threads: each group has threads of its own, and its own order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue

from raynb.runtime.core.executor import Job
from raynb.runtime.worker.runner import Runner

Calls = SimpleQueue[Job | None]


class ThreadGroups:
    """The main thread hands out the calls; the one without a name is for those that belong to no group."""

    def __init__(self, runner: Runner, size: int, groups: Mapping[str, int], call: Callable[[Job], None]) -> None:
        self._runner = runner
        self._sizes = {"": size, **groups}
        self._calls: dict[str, Calls] = {group: SimpleQueue() for group in self._sizes}
        self._call = call

    def serve(self) -> None:
        """Until the worker leaves."""
        self._runner.alone = False
        for group, size in self._sizes.items():
            for i in range(size):
                name = f"raynb-actor-{group or 'default'}-{i}"
                threading.Thread(target=self._serve, args=(group,), name=name, daemon=True).start()
        while not self._runner.leaving:
            job = self._runner.take()
            if job is not None:
                self._calls[job.spec.group if job.spec.group in self._calls else ""].put(job)

    def _serve(self, group: str) -> None:
        calls = self._calls[group]
        while not self._runner.leaving:
            job = calls.get()
            if job is not None:
                self._call(job)
        self._runner.wake_all()
