"""A worker's life, from its order to its end."""

from __future__ import annotations

import pytest

from raynb.runtime.core.node_effects import EndProcess, SpawnWorker
from raynb.runtime.core.worker_pool import (
    SHORT_LIFE_S,
    START_PAUSE_S_MIN,
    STOPPED_PATIENCE_S,
    TERM_PATIENCE_S,
    TRANSITIONS,
    WorkerPool,
)
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.node import ExitWorker
from tests.runtime.core.node_world import sent

NODE_ID = b"n" * 28


class Pool(WorkerPool):
    """A pool whose workers come up when they are told to."""

    def __init__(self, cpus: int = 2, **config: float) -> None:
        super().__init__(Config(**config), cpus, NODE_ID)  # type: ignore[arg-type]
        self.orders: list[str] = []

    def order(self, wanted: int = 0, now: float = 0.0) -> int:
        tokens = [effect.token for effect in self.replenish(wanted, now) if isinstance(effect, SpawnWorker)]
        self.orders += tokens
        self.check()
        return len(tokens)

    def up(self, now: float = 0.0) -> str:
        token = self.orders.pop(0)
        assert self.join(token, f"ipc://{token}", 9, now) is not None
        self.check()
        return token


def test_as_many_workers_as_cpus_are_ordered_at_the_start() -> None:
    pool = Pool(cpus=3)
    assert pool.order() == 3
    assert pool.order() == 0, "they are starting"


def test_workers_have_ids_of_their_own() -> None:
    pool = Pool(cpus=4)
    pool.order()
    ids = {worker.worker_id for worker in pool.workers.values()}
    assert len(ids) == 4
    assert {len(worker_id) for worker_id in ids} == {28}


def test_a_blocked_worker_is_replaced_so_that_others_can_run() -> None:
    pool = Pool(cpus=1)
    pool.order()
    worker = pool.workers[pool.up()]
    pool.lease(worker, "", 0.0)
    assert pool.order() == 0
    pool.block(worker, True)
    assert pool.order() == 1


def test_a_worker_that_became_an_actor_is_replaced() -> None:
    pool = Pool(cpus=1)
    pool.order()
    pool.become_actor(pool.workers[pool.up()], b"a" * 16, 0, "", 0.0)
    assert pool.order() == 1


def test_no_more_are_started_at_once_than_there_is_room_for() -> None:
    pool = Pool(cpus=2)
    assert pool.order(wanted=100) == pool.room == 4
    pool.up()
    assert pool.order(wanted=100) == 1


def test_there_are_never_more_than_the_limit_and_idle_ones_make_room() -> None:
    pool = Pool(cpus=2, workers_max=2)
    pool.order()
    first, second = pool.up(), pool.up()
    pool.lease(pool.workers[first], "one", 0.0)
    effects = pool.replenish(1, 0.0)
    assert [send.to for send in sent(effects, ExitWorker)] == [f"ipc://{second}"]
    assert not [effect for effect in effects if isinstance(effect, SpawnWorker)]


def test_a_process_that_nobody_ordered_is_refused() -> None:
    pool = Pool()
    assert pool.join("w77", "ipc://x", 1, 0.0) is None


def test_a_token_is_good_for_one_process() -> None:
    pool = Pool()
    pool.order()
    token = pool.up()
    assert pool.join(token, f"ipc://{token}", 9, 0.0) is pool.workers[token], "a repeated hello"
    assert pool.join(token, "ipc://another", 10, 0.0) is None


def test_a_worker_that_retires_is_given_to_nobody_and_another_takes_its_place() -> None:
    pool = Pool(cpus=2)
    pool.order()
    leased, idle = (pool.workers[pool.up()] for _ in range(2))
    pool.lease(leased, "", 0.0)
    pool.retire(idle, 1.0)
    pool.retire(leased, 1.0)
    assert pool.take_idle("") is None
    assert leased.state == "leased", "its task may still run"
    pool.returned(leased, 2.0)
    pool.check()
    assert pool.take_idle("") is None
    assert pool.order(now=2.0) == 2
    assert pool.tick(1000.0) is not None, "it may stay as long as it is needed"
    assert {leased.state, idle.state} == {"retired"}
    pool.leaves(idle, "", 1001.0)
    assert pool.exited(leased.token, 9, "exit code 0", 1001.0) is leased
    pool.check()


def test_the_worker_that_ran_last_is_taken_first() -> None:
    pool = Pool(cpus=2)
    pool.order()
    first, second = pool.up(), pool.up()
    worker = pool.take_idle("")
    assert worker is not None and worker.token == second
    pool.lease(pool.workers[first], "", 0.0)
    pool.returned(pool.workers[first], 1.0)
    worker = pool.take_idle("")
    assert worker is not None and worker.token == first


def test_a_worker_belongs_to_one_runtime_env() -> None:
    pool = Pool(cpus=1)
    pool.order()
    worker = pool.workers[pool.up()]
    assert pool.take_idle('{"env_vars": {}}') is worker, "a pristine one is anybody's"
    pool.lease(worker, "", 0.0)
    pool.returned(worker, 0.0)
    assert pool.take_idle('{"env_vars": {}}') is None
    assert pool.take_idle("") is worker


def test_idle_workers_beyond_the_cpus_are_asked_to_leave_the_longest_idle_first() -> None:
    pool = Pool(cpus=1, worker_idle_s=10)
    pool.order(wanted=3)
    tokens = [pool.up(now=float(number)) for number in range(3)]
    assert not sent(pool.tick(9.0), ExitWorker)
    asked = [send.to for send in sent(pool.tick(11.5), ExitWorker)]
    assert asked == [f"ipc://{token}" for token in tokens[:2]]
    assert not sent(pool.tick(12.0), ExitWorker), "it decides itself: it may own objects"
    assert len(sent(pool.tick(30.0), ExitWorker)) == 2, "it is asked again later"


def test_who_leaves_because_it_was_idle_says_so() -> None:
    pool = Pool(cpus=1, worker_idle_s=10)
    pool.order(wanted=2)
    asked, other = (pool.workers[pool.up(now=now)] for now in (0.0, 5.0))
    pool.tick(11.0)
    for worker in (asked, other):
        pool.leaves(worker, "", 11.0)
    assert (asked.ended_because, other.ended_because) == ("it was idle", "it left")


def test_a_worker_that_was_asked_to_leave_is_the_last_to_be_used() -> None:
    pool = Pool(cpus=1, worker_idle_s=10)
    pool.order(wanted=2)
    asked, other = pool.up(now=0.0), pool.up(now=5.0)
    pool.tick(11.0)
    taken = pool.take_idle("")
    assert taken is not None and taken.token == other
    pool.lease(taken, "", 11.0)
    taken = pool.take_idle("")
    assert taken is not None and taken.token == asked


def test_a_worker_that_does_not_start_in_time_is_ended() -> None:
    pool = Pool(cpus=1, worker_start_timeout_s=5)
    pool.order()
    assert not pool.tick(4.9)
    assert pool.tick(5.0) == [EndProcess("w1", force=True)]
    pool.check()
    assert pool.join("w1", "ipc://w1", 9, 5.1) is None, "it is too late"


def test_a_worker_that_said_goodbye_and_stays_is_killed() -> None:
    pool = Pool(cpus=1, interrupt_patience_s=5)
    pool.order()
    worker = pool.workers[pool.up()]
    pool.leaves(worker, "", 0.0)
    assert not pool.tick(4.0)
    assert pool.tick(5.0) == [EndProcess("w1", force=True)]
    assert pool.tick(5.0 + TERM_PATIENCE_S) == [EndProcess("w1", force=True)], "until it is gone"
    assert worker.intended


def test_workers_that_die_before_they_join_are_replaced_after_growing_pauses() -> None:
    pool = Pool(cpus=1)
    now = 0.0
    pauses = []
    for _ in range(4):
        assert pool.order(now=now) == 1
        pool.exited(pool.orders.pop(), 9, "exit code 1", now)
        pool.check()
        pauses.append(pool.next_order_in_s(now))
        if pauses[-1]:
            assert pool.order(now=now) == 0
        now += pauses[-1]
    assert pauses == pytest.approx([0.0, *(START_PAUSE_S_MIN * 2**n for n in range(3))])
    pool.order(now=now)
    worker = pool.workers[pool.up(now)]
    pool.lease(worker, "", now)
    pool.returned(worker, now)
    assert pool.start_failures == 0, "one that gave a lease back has started well"


@pytest.mark.parametrize("leased", [False, True])
def test_so_are_workers_that_die_soon_after_they_joined_without_having_begun_a_task(leased: bool) -> None:
    """One that can't import something, say, or one whose first message kills it."""
    pool = Pool(cpus=1)
    now, pauses = 0.0, []
    for _ in range(4):
        pool.order(now=now)
        token = pool.up(now)
        if leased:
            pool.lease(pool.workers[token], "", now)
        pool.exited(token, 9, "exit code 1", now + 0.01)
        now += 0.01
        pauses.append(pool.next_order_in_s(now))
        now += pauses[-1]
    assert pauses == pytest.approx([0.0, *(START_PAUSE_S_MIN * 2**n for n in range(3))])


@pytest.mark.parametrize("how", ["it had begun a task", "it had lived long", "it was an actor"])
def test_other_deaths_are_no_reason_to_wait(how: str) -> None:
    pool = Pool(cpus=1)
    pool.order()
    token = pool.up()
    if how == "it was an actor":
        pool.become_actor(pool.workers[token], b"a" * 16, 0, "", 0.0)
    died = 0.1 if how != "it had lived long" else SHORT_LIFE_S
    pool.exited(token, 9, "exit code 1", died, began=how == "it had begun a task")
    assert pool.order(now=died) == 1


def test_a_worker_that_lives_on_ends_the_pauses() -> None:
    pool = Pool(cpus=1)
    pool.order()
    pool.exited(pool.orders.pop(), 9, "exit code 1", 0.0)
    pool.order(now=1.0)
    pool.up(1.0)
    pool.tick(1.1)
    assert pool.start_failures == 1
    pool.tick(1.0 + SHORT_LIFE_S)
    assert pool.start_failures == 0


def test_a_stopped_worker_is_not_used_and_is_replaced_after_its_patience() -> None:
    pool = Pool(cpus=1)
    pool.order()
    token = pool.up()
    pool.stopped(frozenset({token}), 0.0)
    assert pool.take_idle("") is None
    assert not pool.tick(STOPPED_PATIENCE_S - 1)
    pool.stopped(frozenset(), 20.0)
    assert pool.take_idle("") is not None, "it goes on"
    pool.stopped(frozenset({token}), 40.0)
    assert not pool.tick(41.0)
    assert pool.tick(40.0 + STOPPED_PATIENCE_S) == [EndProcess(token, force=True)]


def test_an_impossible_step_tells_the_workers_story() -> None:
    pool = Pool(cpus=1)
    pool.order()
    worker = pool.workers[pool.up()]
    pool.lease(worker, "", 1.0)
    with pytest.raises(AssertionError, match=r"can't 'lease'.*0\.000 join.*1\.000 lease"):
        worker.move("lease", 2.0)


def test_every_state_can_end_and_nothing_leaves_the_dead() -> None:
    states = {state for state, _ in TRANSITIONS}
    assert all((state, "exit") in TRANSITIONS for state in states)
    assert "dead" not in states


def test_what_changed_is_listed_once() -> None:
    pool = Pool(cpus=1)
    pool.order()
    assert [listing.state for listing in pool.take_changed(0.0)] == ["starting"]
    pool.up()
    assert [(listing.state, listing.pid) for listing in pool.take_changed(0.0)] == [("idle", 9)]
    assert pool.take_changed(0.0) == []
    pool.exited("w1", 9, "killed by SIGKILL", 5.0)
    (listing,) = pool.take_changed(1000.0)
    assert (listing.state, listing.reason, listing.ended) == ("dead", "killed by SIGKILL", 1005.0)
