"""A submitter's demand: its levels at all managers add up to it."""

from __future__ import annotations

from collections import deque
from typing import Any

from raynb.runtime.core.demands import Demands
from raynb.runtime.core.effects import Send
from raynb.runtime.core.pools import Lease, Pool
from raynb.runtime.core.task import Function, Task
from raynb.runtime.messages.node import LeaseDemand, LeaseGranted
from raynb.runtime.messages.nodes import LeaseDeclined, LeaseSpill
from raynb.runtime.messages.tasks import ContextDef, FunctionDef

HOME, OTHER, THIRD = "ipc://home", "ipc://other", "ipc://third"
FUNCTION = Function(FunctionDef(1, b"", "f", b""), "f", {"CPU": 1.0})
CONTEXT = ContextDef(0, b"job", "", "driver")


class Client:
    """A pool, and what every manager was told of it last."""

    def __init__(self, queued: int) -> None:
        self.pool = Pool(1, {"CPU": 1.0}, "", HOME)
        self.demands = Demands(HOME, 1000)
        self.told: dict[str, LeaseDemand] = {}
        self.queue(queued)

    def queue(self, count: int) -> None:
        self.pool.queue = deque(Task(b"%016d" % n, FUNCTION, b"", CONTEXT) for n in range(count))
        self.state()

    def state(self, *, at_tick: bool = False) -> None:
        effects: list[Any] = []
        self.demands.state(self.pool, effects, at_tick=at_tick)
        self.take(effects)

    def take(self, effects: list[Any]) -> None:
        for effect in effects:
            assert isinstance(effect, Send) and isinstance(effect.message, LeaseDemand)
            self.told[effect.to] = effect.message

    def spill(self, manager: str, count: int, number: int = 1, *, wait: bool = False) -> None:
        self.take(self.demands.spill(self.pool, LeaseSpill(1, manager, count, number, wait)))

    def busy(self, manager: str) -> None:
        """A worker there has taken a task from the queue."""
        number = len(self.pool.leases) + 1
        granted = LeaseGranted(1, number, f"{manager}/w{number}", b"w", 7, "me")
        lease = self.pool.leases[granted.worker] = Lease(granted, self.pool, manager, 0.0)
        lease.inflight[1] = self.pool.queue.popleft()

    def ended(self, manager: str) -> None:
        """That worker's task has ended, and its lease goes back."""
        lease = next(lease for lease in self.pool.leases.values() if lease.manager == manager and lease.inflight)
        lease.inflight.clear()
        self.take_turn(manager)
        del self.pool.leases[lease.worker]

    def take_turn(self, manager: str) -> None:
        effects: list[Any] = []
        self.demands.turn_is_over(self.pool, manager, effects)
        self.take(effects)

    def levels(self) -> dict[str, int]:
        return {manager: message.count for manager, message in self.told.items()}


def test_with_one_node_all_is_stated_at_home() -> None:
    client = Client(5)
    assert client.levels() == {HOME: 5} and client.told[HOME].home == ""


def test_what_is_spilled_is_stated_there_and_no_more_at_home() -> None:
    client = Client(5)
    client.spill(OTHER, 2, number=7)
    assert client.levels() == {HOME: 3, OTHER: 2}
    other = client.told[OTHER]
    assert (other.home, other.sent_on, other.wait) == (HOME, True, False)
    assert client.told[HOME].heeded == 7


def test_spills_to_one_manager_add_up() -> None:
    client = Client(5)
    client.spill(OTHER, 2)
    client.spill(OTHER, 1, number=2)
    client.spill(THIRD, 1, number=3, wait=True)
    assert client.levels() == {HOME: 1, OTHER: 3, THIRD: 1} and client.told[THIRD].wait


def test_no_more_is_stated_elsewhere_than_is_demanded_in_all() -> None:
    client = Client(2)
    client.spill(OTHER, 5)
    assert client.levels() == {HOME: 0, OTHER: 2}


def test_what_is_declined_is_the_homes_again() -> None:
    client = Client(5)
    client.spill(OTHER, 3)
    number = client.told[OTHER].number
    client.take(client.demands.declined(client.pool, OTHER, LeaseDeclined(1, 1, number)))
    assert client.levels() == {HOME: 4, OTHER: 3} and client.pool.elsewhere[OTHER].count == 1
    client.take(client.demands.declined(client.pool, OTHER, LeaseDeclined(1, 0, number)))
    assert client.levels()[HOME] == 5 and not client.pool.elsewhere


def test_an_answer_to_an_earlier_statement_changes_nothing() -> None:
    client = Client(5)
    client.spill(OTHER, 1)
    number = client.told[OTHER].number
    client.spill(OTHER, 1, number=2, wait=True)
    client.take(client.demands.declined(client.pool, OTHER, LeaseDeclined(1, 0, number)))
    assert client.levels() == {HOME: 3, OTHER: 2} and client.pool.elsewhere[OTHER].count == 2
    client.queue(0)
    client.state(at_tick=True)
    assert client.levels() == {HOME: 0, OTHER: 0}


def test_a_demand_that_falls_falls_everywhere() -> None:
    client = Client(6)
    client.spill(OTHER, 3)
    client.busy(HOME)
    client.busy(OTHER)
    client.queue(1)
    assert client.levels() == {HOME: 3, OTHER: 3}, "less is said at a tick only"
    client.state(at_tick=True)
    assert client.levels() == {HOME: 1, OTHER: 2}
    client.queue(0)
    client.state(at_tick=True)
    assert client.levels() == {HOME: 1, OTHER: 1}
    client.pool.leases.clear()
    client.state(at_tick=True)
    assert client.levels() == {HOME: 0, OTHER: 0} and not client.pool.elsewhere


def test_what_was_stated_to_a_manager_that_died_is_the_homes_again() -> None:
    client = Client(5)
    client.spill(OTHER, 3)
    client.take(client.demands.manager_died(client.pool, OTHER))
    assert client.levels()[HOME] == 5
    assert client.demands.manager_died(client.pool, THIRD) == []


def test_a_pool_whose_home_died_comes_home_to_the_own_node() -> None:
    client = Client(0)
    client.pool.home = OTHER
    client.queue(2)
    assert client.told[OTHER].home == HOME and not client.told[OTHER].sent_on
    client.take(client.demands.manager_died(client.pool, OTHER))
    assert client.levels() == {OTHER: 2, HOME: 2} and client.told[HOME].home == ""


def test_a_turn_that_is_over_is_no_more_at_the_manager_that_had_it() -> None:
    """Else the node that is the quickest would have the turns of all others while they start workers."""
    client = Client(6)
    client.spill(OTHER, 2)
    client.spill(THIRD, 2, number=2)
    client.busy(OTHER)
    client.ended(OTHER)
    assert client.levels() == {HOME: 2, OTHER: 1, THIRD: 2}
    client.busy(HOME)
    client.ended(HOME)
    assert client.levels() == {HOME: 1, OTHER: 1, THIRD: 2}


def test_a_turn_that_is_over_though_its_task_is_to_run_again_is_the_homes() -> None:
    client = Client(4)
    client.spill(OTHER, 2)
    client.take_turn(OTHER)
    assert client.levels() == {HOME: 3, OTHER: 1}
    client.take_turn(OTHER)
    assert client.levels() == {HOME: 4, OTHER: 0} and not client.pool.elsewhere


def test_what_is_refused_for_good_is_stated_nowhere_and_the_next_is_asked_for_anew() -> None:
    client = Client(3)
    client.spill(OTHER, 3)
    client.pool.queue.clear()
    client.take(client.demands.refused(client.pool))
    assert client.levels() == {HOME: 0, OTHER: 0} and not client.pool.elsewhere
    client.queue(1)
    assert client.levels() == {HOME: 1, OTHER: 0}
