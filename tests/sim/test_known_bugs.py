"""The simulator is worth something: known bugs, put back in, are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from raynb.runtime.core.actors import ActorClient, Actors
from raynb.runtime.core.borrowing import Borrowing
from raynb.runtime.core.bundles import Bundles
from raynb.runtime.core.client import ClientMachine
from raynb.runtime.core.client_effects import Frames
from raynb.runtime.core.effects import Send
from raynb.runtime.core.executor import BecomeActor, ExecutorMachine
from raynb.runtime.core.freed import Freed
from raynb.runtime.core.node_bundles import NodeBundles
from raynb.runtime.core.ownership import Entry, Ownership
from raynb.runtime.core.requests import Requests
from raynb.runtime.core.scheduler import Scheduler
from raynb.runtime.core.store_spill import Spill
from raynb.runtime.core.streams import Stream, Streams
from raynb.runtime.core.task import Task
from raynb.runtime.core.waiting import Waiting
from raynb.runtime.messages.node import ProcessDied, StartActor
from raynb.runtime.messages.objects import OwnerGone, StillHeld
from raynb.runtime.messages.placement import KeepBundles
from raynb.runtime.messages.tasks import StealTasks, StreamAck, TasksReturned
from raynb.runtime.messages.values import Inline, Stored
from tests.sim import situations
from tests.sim.generate import make_plan
from tests.sim.run import simulate
from tests.sim.workload import Plan

SEEDS_MAX = 150
SEEDS_OF_A_SITUATION = 20

Patch = pytest.MonkeyPatch


def results_do_not_wait_for_registrations(patch: Patch) -> None:
    """What lets others let go is sent at once (rule 1 of `borrowing`)."""

    def send_all(self: Borrowing, effects: list[Any]) -> None:
        effects.extend(Send(to, message) for to, message in self.held_back)
        self.held_back.clear()

    patch.setattr(Borrowing, "_send_held_back", send_all)


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


def deaths_come_before_results(patch: Patch) -> None:
    """Of what arrives together the news of a death is handled first: results that had arrived count for nothing."""
    honest = ClientMachine.handle

    def handle(self: ClientMachine, event: Any, now: float) -> list[Any]:
        if isinstance(event, Frames):
            deaths = [one for one in event.received if isinstance(one[1], ProcessDied)]
            others = [one for one in event.received if not isinstance(one[1], ProcessDied)]
            if deaths and others:
                return honest(self, Frames(deaths), now) + honest(self, Frames(others), now)
        return honest(self, event, now)

    patch.setattr(ClientMachine, "handle", handle)


def a_retry_is_not_fenced(patch: Patch) -> None:
    """Another attempt has the number of the one before it."""
    honest = Scheduler.retry

    def retry(self: Scheduler, task: Task, *rest: Any) -> None:
        task.attempt -= 1
        honest(self, task, *rest)

    patch.setattr(Scheduler, "retry", retry)


def a_registration_overtakes_a_release(patch: Patch) -> None:
    """A reference that comes back is registered while the news that it was let go still waits."""

    def register(self: Borrowing, oid: bytes, owner: str) -> None:
        keeper = self._node_manager if owner in self._dead else owner
        self._registrations.setdefault(keeper, []).append(oid)

    patch.setattr(Borrowing, "register", register)


def nobody_asks_who_lives(patch: Patch) -> None:
    """A process that joined after a death waits for the dead one's answer for ever."""
    honest = Ownership.tick

    def tick(self: Ownership, now: float, after_s: float) -> list[str]:
        honest(self, now, after_s)
        return []

    patch.setattr(Ownership, "tick", tick)


def an_actors_end_is_asked_for_once(patch: Patch) -> None:
    """What the GCS has not answered is not asked again."""
    patch.setattr(Requests, "tick", lambda self, now: [])


def an_actor_is_constructed_again_for_each_order(patch: Patch) -> None:
    """An actor's worker that is asked again to become it says nothing."""

    def silent(self: ExecutorMachine, message: StartActor) -> list[Any]:
        if self.is_actor:
            return []
        self.is_actor = True
        return [BecomeActor(message)]

    patch.setattr(ExecutorMachine, "_on_start", silent)


def a_waiting_task_keeps_its_cpu(patch: Patch) -> None:
    """Nobody is told that a task waits."""
    patch.setattr(Waiting, "_stands_still", lambda self, waiter: [])


def what_the_dead_have_written_stays(patch: Patch) -> None:
    """Nobody frees a result that was lost with its worker."""
    patch.setattr(Ownership, "left_behind", lambda self, node, oid: None)


def a_dead_owner_is_all_that_is_known(patch: Patch) -> None:
    """The store is not told what is held of what a dead owner left."""

    def nothing_held(self: Ownership, sender: str, message: OwnerGone) -> None:
        self.process_died(message.owner)
        self._effects.append(Send(sender, StillHeld(message.owner, [])))

    patch.setattr(Ownership, "on_owner_gone", nothing_held)


def what_is_freed_is_gone_at_once(patch: Patch) -> None:
    """Nobody looks whether a freed object is still viewed."""
    honest = Freed.free

    def rash(self: Freed, oid: bytes, now: float) -> None:
        honest(self, oid, now)
        value = self.take(oid)
        assert isinstance(value, Inline | Stored)
        self._objects.discard([value])
        for ref in value.refs or ():
            self._objects.unpin(ref.oid)

    patch.setattr(Freed, "free", rash)


def a_new_gcs_does_not_say_which_groups_are_removed(patch: Patch) -> None:
    """Who waits for a placement group that was removed while its node had not registered anew is told nothing."""
    honest = NodeBundles.handle

    def handle(self: NodeBundles, sender: str, message: Any, now: float) -> list[Any]:
        if isinstance(message, KeepBundles):
            message.removed = []
        return honest(self, sender, message, now)

    patch.setattr(NodeBundles, "handle", handle)


def what_is_refused_stays_reserved(patch: Patch) -> None:
    """What a node has reserved for an attempt that failed elsewhere, or came late, is not given back."""
    honest = Bundles.give_back

    def give_back(self: Bundles, group: bytes, attempt: int, now: float, *, removed: bool) -> list[Any]:
        known = self._groups.get(group, {})
        for index in [index for index, one in known.items() if not one.committed]:
            del known[index]
        return honest(self, group, attempt, now, removed=removed)

    patch.setattr(Bundles, "give_back", give_back)


def what_has_come_counts_as_taken(patch: Patch) -> None:
    """A paced generator is told of its items themselves as if somebody had taken them."""

    def pace(self: Streams, stream: Stream) -> list[Any]:
        task = self._unfinished.get(stream.task_id) if stream.paced else None
        if task is None or not task.worker:
            return []
        return [Send(task.worker, StreamAck(task.seq, stream.received, stream.closed))]

    patch.setattr(Streams, "_pace", pace)


def a_repeated_generator_hears_nothing_of_what_was_taken(patch: Patch) -> None:
    """Items that come twice are not answered by how many are taken."""
    honest = Streams.on_items

    def on_items(self: Streams, *arrived: Any) -> list[Any]:
        return [effect for effect in honest(self, *arrived) if not isinstance(effect, Send)]

    patch.setattr(Streams, "on_items", on_items)


def calls_that_were_never_sent_stay_pending(patch: Patch) -> None:
    """Those that fail in the queue of a dead actor count for ever."""
    honest = Actors._fail_queue

    def fail_queue(self: Actors, actor: ActorClient, failure: Any) -> None:
        count = len(actor.queue)
        honest(self, actor, failure)
        actor.concluded -= count

    patch.setattr(Actors, "_fail_queue", fail_queue)


def calls_forget_their_concurrency_group(patch: Patch) -> None:
    """A call that is sent again goes to the default group."""
    honest = Actors._lose_connection

    def lose(self: Actors, actor: ActorClient, *rest: Any, **how: Any) -> None:
        for task in actor.connection.inflight.values() if actor.connection is not None else ():
            task.group = ""
        honest(self, actor, *rest, **how)

    patch.setattr(Actors, "_lose_connection", lose)


def only_what_is_too_large_goes_to_disk(patch: Patch) -> None:
    """What would find room in an empty store waits for it, disk or not."""
    patch.setattr(Spill, "may_take", lambda self, waits_s, too_large: self.enabled and too_large)


BUGS: list[Callable[[Patch], None]] = [
    results_do_not_wait_for_registrations,
    the_first_release_frees,
    borrowers_are_not_counted,
    stolen_tasks_stay_with_the_victim,
    a_dead_workers_tasks_are_all_tried_again,
    waits_are_lost,
    inputs_are_let_go_when_a_task_is_pushed,
    deaths_come_before_results,
    a_retry_is_not_fenced,
    a_registration_overtakes_a_release,
    nobody_asks_who_lives,
    an_actors_end_is_asked_for_once,
    an_actor_is_constructed_again_for_each_order,
    a_waiting_task_keeps_its_cpu,
    what_the_dead_have_written_stays,
    a_dead_owner_is_all_that_is_known,
    what_is_freed_is_gone_at_once,
    a_new_gcs_does_not_say_which_groups_are_removed,
    what_is_refused_stays_reserved,
    what_has_come_counts_as_taken,
    a_repeated_generator_hears_nothing_of_what_was_taken,
    calls_that_were_never_sent_stay_pending,
    calls_forget_their_concurrency_group,
    only_what_is_too_large_goes_to_disk,
]


@pytest.fixture
def patch() -> Iterator[Patch]:
    with pytest.MonkeyPatch.context() as context:
        yield context


RARE: dict[Callable[[Patch], None], int] = {
    a_registration_overtakes_a_release: 290,
}
"""Bugs that few plans meet: the first seed that is tried."""

SITUATIONS: dict[Callable[[Patch], None], Callable[[int], Plan]] = {
    a_waiting_task_keeps_its_cpu: situations.a_task_waits_for_a_generator,
    a_dead_owner_is_all_that_is_known: situations.an_owner_dies_while_others_view,
    what_is_freed_is_gone_at_once: situations.what_is_viewed_is_freed_by_hand,
    calls_forget_their_concurrency_group: situations.calls_of_a_concurrency_group_are_sent_again,
    calls_that_were_never_sent_stay_pending: situations.calls_wait_for_an_actor_that_never_comes,
    only_what_is_too_large_goes_to_disk: situations.more_is_kept_than_memory_holds,
}
"""Bugs that hardly any random plan meets: plans that do."""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_known_bug_is_found(bug: Callable[[Patch], None], patch: Patch) -> None:
    bug(patch)
    make = SITUATIONS.get(bug)
    if make is not None:
        assert any(simulate(make(seed)).problem for seed in range(SEEDS_OF_A_SITUATION)), bug.__doc__
        return
    first = RARE.get(bug, 0)
    for seed in range(first, first + SEEDS_MAX):
        if any(simulate(make_plan(seed, faults=faults)).problem for faults in (True, False)):
            return
    pytest.fail(f"{SEEDS_MAX} seeds did not find it: {bug.__doc__}")


@pytest.mark.parametrize("make", situations.ALL, ids=lambda make: make.__name__)
def test_every_promise_is_kept_where_it_is_hard(make: Callable[[int], Plan]) -> None:
    for seed in range(SEEDS_OF_A_SITUATION):
        report = simulate(make(seed))
        assert not report.problem, f"{report.story}\n{report.problem}"
