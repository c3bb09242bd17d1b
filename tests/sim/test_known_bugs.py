"""The simulator is worth something: known bugs, put back in, are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from raynb.runtime.core.effects import Send
from raynb.runtime.core.executor import ExecutorMachine
from raynb.runtime.core.ownership import Entry, Ownership
from raynb.runtime.core.scheduler import Scheduler
from raynb.runtime.core.task import Task
from raynb.runtime.messages.tasks import StealTasks, TasksReturned
from tests.sim.generate import make_plan
from tests.sim.run import simulate

SEEDS_MAX = 150

Patch = pytest.MonkeyPatch


def results_do_not_wait_for_registrations(patch: Patch) -> None:
    """What lets others let go is sent at once (rule 3 of `ownership`)."""

    def send_all(self: Ownership, effects: list[Any]) -> None:
        effects.extend(Send(to, message) for to, message in self._held_back)
        self._held_back.clear()

    patch.setattr(Ownership, "_send_held_back", send_all)


def the_first_release_frees(patch: Patch) -> None:
    """An object goes with its first local reference, whoever else holds it."""

    def release(self: Ownership, oid: bytes) -> None:
        entry = self.entries.get(oid)
        if entry is not None:
            entry.local -= 1
            self._drop(oid, entry)

    patch.setattr(Ownership, "release", release)


def borrowers_are_not_counted(patch: Patch) -> None:
    """An owner forgets who registered."""
    honest = Ownership.on_add_borrowers

    def forgetful(self: Ownership, sender: str, message: Any) -> None:
        honest(self, sender, message)
        for oid in message.oids:
            self._remove_borrower(sender, oid)

    patch.setattr(Ownership, "on_add_borrowers", forgetful)


def stolen_tasks_stay_with_the_victim(patch: Patch) -> None:
    """A victim gives tasks back and runs them all the same."""

    def steal(self: ExecutorMachine, sender: str, message: StealTasks) -> list[Any]:
        jobs = list(self.queue)[-message.count :]
        return [Send(sender, TasksReturned([job.spec.seq for job in jobs], "stolen"))]

    patch.setattr(ExecutorMachine, "_on_steal", steal)


def a_dead_workers_tasks_are_all_tried_again(patch: Patch) -> None:
    """Nobody looks at what had been started, nor at max_retries."""
    honest = Scheduler.worker_died

    def generous(self: Scheduler, message: Any, now: float) -> None:
        lease = self.by_worker.get(message.address)
        for task in lease.inflight.values() if lease is not None else ():
            task.retries_left = -1
        honest(self, message, now)

    patch.setattr(Scheduler, "worker_died", generous)


def waits_are_lost(patch: Patch) -> None:
    """Every third settled object wakes nobody."""
    honest, count = Ownership.settle, iter(range(1 << 30))

    def settle(self: Ownership, oid: bytes, value: Any) -> bool:
        entry: Entry | None = self.entries.get(oid)
        if entry is not None and entry.waiters and next(count) % 3 == 0:
            entry.waiters = None
        return honest(self, oid, value)

    patch.setattr(Ownership, "settle", settle)


def inputs_are_let_go_when_a_task_is_pushed(patch: Patch) -> None:
    """Arguments are unpinned before the task has run."""
    honest = Scheduler._count

    def early(self: Scheduler, lease: Any, task: Task, now: float) -> None:
        honest(self, lease, task, now)
        for oid in task.refs or ():
            self._objects.unpin(oid)
        task.refs = None

    patch.setattr(Scheduler, "_count", early)


BUGS: list[Callable[[Patch], None]] = [
    results_do_not_wait_for_registrations,
    the_first_release_frees,
    borrowers_are_not_counted,
    stolen_tasks_stay_with_the_victim,
    a_dead_workers_tasks_are_all_tried_again,
    waits_are_lost,
    inputs_are_let_go_when_a_task_is_pushed,
]


@pytest.fixture
def patch() -> Iterator[Patch]:
    with pytest.MonkeyPatch.context() as context:
        yield context


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_known_bug_is_found(bug: Callable[[Patch], None], patch: Patch) -> None:
    bug(patch)
    for seed in range(SEEDS_MAX):
        if simulate(make_plan(seed, faults=bool(seed % 2))).problem:
            return
    pytest.fail(f"{SEEDS_MAX} seeds did not find it: {bug.__doc__}")
