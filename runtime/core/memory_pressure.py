"""Whom a node stops when its memory runs out, before the kernel's own choice, which may be the user's notebook.

Rules
-----
1. There is pressure while more of the machine's (or the container's) memory is used than
   ``Config.memory_usage_threshold``, or the workers together use more than ``Config.memory_limit_bytes`` (if set).
2. The newest task that can be tried again is stopped, since it has done the least; if there is none, the newest other
   task; then the newest actor that restarts, and an actor that doesn't last of all. (Ray's worker killing policy.)
3. One that uses less than a tenth of what the largest uses is passed over: stopping it would free nothing. Where no
   worker uses a fiftieth of the memory, somebody else does, and nothing is stopped.
4. One at a time: the next when it has ended, and what was measured after that still is too much.
5. Under pressure no worker is given away, so that what is tried again does not run into the same; but for no longer
   than `HOLD_S` on end, for the memory may be somebody else's.

It never knows what tasks do, nor processes: its host measures, and ends whom it names.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from raynb.runtime.core.grants import Grant
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.node_effects import MemoryMeasured, Say
from raynb.runtime.core.worker_pool import ACTOR, LEASED, Worker, WorkerPool
from raynb.runtime.messages.config import Config

HOLD_S = 5.0
LARGEST_LISTED = 3
GB = 1e9


class _Candidate(Struct):
    worker: Worker
    grant: Grant
    size: int

    @property
    def what(self) -> str:
        demand = self.grant.demand
        name = demand.name or "a task"
        return (
            f"{'actor' if demand.start is not None else 'task'} {name} (pid {self.worker.pid}): {gigabytes(self.size)}"
        )

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """The smallest is stopped: rule 2."""
        demand = self.grant.demand
        return demand.start is not None, not demand.retriable, -self.grant.number


class MemoryPressure:
    """See the module's rules."""

    def __init__(self, config: Config, leases: Leases, pool: WorkerPool) -> None:
        self._config = config
        self._leases = leases
        self._pool = pool
        self._stopping = ""
        """The token of who was told to end."""
        self._since: float | None = None
        """Since when there is pressure."""
        self._said = False

    def __repr__(self) -> str:
        return f"<MemoryPressure since {self._since}, stopping {self._stopping or 'nobody'}>"

    def holds(self, now: float) -> bool:
        """Whether nothing is to be granted now: rule 5."""
        return self._since is not None and now - self._since < HOLD_S

    def measured(self, event: MemoryMeasured, now: float) -> list[Any]:
        """Look at what is used."""
        workers_bytes = sum(event.workers.values())
        limit = self._config.memory_limit_bytes
        own = bool(limit) and workers_bytes > limit
        if not own and event.used_bytes <= self._config.memory_usage_threshold * event.total_bytes:
            self._since, self._said = None, False
            return []
        if self._since is None:
            self._since = now
        if self._stopping in self._pool.workers:
            return []
        self._stopping = ""
        where = (
            f"the workers of this node used {gigabytes(workers_bytes)}, and memory_limit_bytes is {gigabytes(limit)}"
            if own
            else f"its node used {gigabytes(event.used_bytes)} of its {gigabytes(event.total_bytes)} of memory"
        )
        return self._stop_one(self._candidates(event), where, limit if own else event.total_bytes, now)

    def _candidates(self, event: MemoryMeasured) -> list[_Candidate]:
        """Those that could be stopped, the largest first."""
        found = [
            _Candidate(worker, self._leases.by_token[token], size)
            for token, size in event.workers.items()
            if (worker := self._pool.workers.get(token)) is not None and worker.state in (LEASED, ACTOR)
        ]
        return sorted(found, key=lambda each: -each.size)

    def _stop_one(self, candidates: list[_Candidate], where: str, total: int, now: float) -> list[Any]:
        worth = [each for each in candidates if each.size * 10 >= candidates[0].size and each.size * 50 >= total]
        if not worth:
            if self._said:
                return []
            self._said = True
            return [Say("warning", f"memory is short: {where}; but no worker uses much of it, so none is stopped")]
        victim = min(worth, key=lambda each: each.rank)
        largest = "; ".join(each.what for each in candidates[:LARGEST_LISTED])
        reason = (
            f"it was stopped due to the node running low on memory: it used {gigabytes(victim.size)} when {where}. The "
            f"largest were: {largest}. Let fewer run at once (num_cpus=, or memory= in bytes), work in smaller pieces, "
            "or use a machine with more memory"
        )
        worker = victim.worker
        worker.out_of_memory = True
        self._stopping = worker.token
        return self._pool.kill(worker, reason, now, intended=False)


def gigabytes(size: int) -> str:
    """For people."""
    return f"{size / GB:.2f} GB"
