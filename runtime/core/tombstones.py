"""Tasks that are cancelled whatever their owners say, at a node manager.

Rules
-----
1. A tombstone is passed on to every client of the node, and to each that comes later: no worker begins the task, and
   its owner, when it gets to its messages, doesn't try it again. The owner may be stopped meanwhile, or unknown.
2. A worker that has the task under way interrupts it, and says so; it is asked again each second. One where it has not
   stopped within `Config.interrupt_patience_s` is told to end itself, for it alone knows what it runs now; but an
   actor's process goes on.
3. A worker that doesn't answer then is looked at, and ended if its page has that task: one that could answer would
   have. (One that holds the interpreter lock in some other task is left alone.)
4. At most `TOMBSTONES_MAX` are kept, the newest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from raynb.runtime.core.effects import Send
from raynb.runtime.core.node_effects import LookAtPage, PageSeen
from raynb.runtime.core.worker_pool import ACTOR, DYING, LEASED, WorkerPool
from raynb.runtime.messages.acts import CancelTasks, Tombstones, TombstonesSeen
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.gcs import Reply

TOMBSTONES_MAX: Final = 10_000
ASK_AGAIN_S: Final = 1.0


class _Watched:
    """A worker that may have cancelled tasks under way."""

    __slots__ = ("asked_at", "heard", "since")

    def __init__(self, now: float) -> None:
        self.since: dict[bytes, float] = {}
        """By task: since when it is to stop."""
        self.asked_at = now
        self.heard = False
        """Whether it has answered since it was asked last."""


class NodeTombstones:
    """The tombstones of one node. See the module's rules."""

    def __init__(self, config: Config, pool: WorkerPool) -> None:
        self._config = config
        self._pool = pool
        self._tasks: dict[bytes, None] = {}
        self._watched: dict[str, _Watched] = {}
        """By address of the worker."""

    def __repr__(self) -> str:
        return f"<NodeTombstones {len(self._tasks)}, {len(self._watched)} workers watched>"

    def write(self, sender: str, message: CancelTasks, drivers: Iterable[str], now: float) -> list[Any]:
        """These tasks are cancelled from now on."""
        for task_id in message.task_ids:
            self._tasks[task_id] = None
        while len(self._tasks) > TOMBSTONES_MAX:
            del self._tasks[next(iter(self._tasks))]
        for worker in self._pool.by_address.values():
            watched = self._watched.setdefault(worker.address, _Watched(now))
            watched.asked_at, watched.heard = now, False
            for task_id in message.task_ids:
                watched.since.setdefault(task_id, now)
        told = Tombstones(message.task_ids)
        effects: list[Any] = [Send(address, told) for address in (*self._pool.by_address, *drivers)]
        return [*effects, Send(sender, Reply(message.request))]

    def joined(self, address: str) -> list[Any]:
        """A client has come: what it must not run, and not try again."""
        return [Send(address, Tombstones(list(self._tasks), again=True))] if self._tasks else []

    def seen(self, sender: str, message: TombstonesSeen, now: float) -> list[Any]:
        """A worker says which of them it has under way."""
        watched = self._watched.get(sender)
        if watched is not None:
            watched.heard = True
            for task_id in message.task_ids:
                if task_id not in message.running:
                    watched.since.pop(task_id, None)
            if not watched.since:
                del self._watched[sender]
        return []

    def page_seen(self, event: PageSeen, now: float) -> list[Any]:
        """Rule 3: what a silent worker has begun last."""
        worker = self._pool.workers.get(event.token)
        watched = self._watched.get(worker.address) if worker is not None else None
        if worker is None or watched is None or watched.heard or worker.state != LEASED:
            return []
        if event.task_id not in self._overdue(watched, now):
            return []
        del self._watched[worker.address]
        patience_s = self._config.interrupt_patience_s
        reason = f"its task was cancelled, and did not stop within {patience_s:g} s"
        return self._pool.kill(worker, reason, now, intended=True)

    def _overdue(self, watched: _Watched, now: float) -> list[bytes]:
        patience_s = self._config.interrupt_patience_s
        return [task_id for task_id, since in watched.since.items() if now - since >= patience_s]

    def tick(self, now: float) -> list[Any]:
        """Ask again, and lose patience."""
        effects: list[Any] = []
        for address, watched in list(self._watched.items()):
            worker = self._pool.by_address.get(address)
            overdue = self._overdue(watched, now)
            if worker is None or worker.state == DYING or (overdue and worker.state == ACTOR):
                del self._watched[address]
            elif now - watched.asked_at >= ASK_AGAIN_S:
                if overdue and not watched.heard:
                    effects.append(LookAtPage(worker.token))
                watched.asked_at, watched.heard = now, False
                effects.append(Send(address, Tombstones(list(watched.since), again=True)))
                if overdue:
                    effects.append(Send(address, Tombstones(overdue, again=True, force=True)))
        return effects

    @property
    def watching(self) -> bool:
        """Whether anything is still to stop."""
        return bool(self._watched)

    def check(self) -> None:
        """Raise `AssertionError` where an invariant does not hold."""
        assert len(self._tasks) <= TOMBSTONES_MAX
        for address, watched in self._watched.items():
            assert watched.since, f"{address} is watched for nothing"
