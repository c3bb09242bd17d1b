"""Who gets workers: fairly, without starving anybody, and without losing a resource."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raynb.runtime.core.grants import Demand, Grant, Outcome
from raynb.runtime.core.leases import RECLAIM_AFTER_S, RESERVE_AFTER_S, Leases
from raynb.runtime.core.placement import to_units
from raynb.runtime.messages.node import LeaseDemand, StartActor
from raynb.runtime.messages.tasks import ContextDef, FunctionDef


def start_actor(number: int, resources: dict[str, float]) -> StartActor:
    cls = FunctionDef(0, b"", "Counter", b"")
    context = ContextDef(0, b"job1", "", "driver")
    return StartActor(b"actor%011d" % number, 0, cls, b"", None, None, context, resources, "driver")


class Node:
    """Leases with workers that are there at once, as many as one wants."""

    def __init__(self, workers: int = 1000, **total: float) -> None:
        self.leases = Leases(to_units(total))
        self.idle = [f"w{number}" for number in range(workers)]
        self.now = 100.0

    def demand(self, client: str, count: int, key: int = 1, **resources: float) -> Outcome:
        message = LeaseDemand(key, resources, count, f"{client}.f")
        self.leases.state_demand(client, message, to_units(resources), self.now)
        return self.serve()

    def actor(self, number: int, **resources: float) -> Outcome:
        self.leases.start_actor(start_actor(number, resources), to_units(resources), self.now)
        return self.serve()

    def serve(self) -> Outcome:
        outcome = self.leases.serve(lambda demand: self.idle.pop(0) if self.idle else None, 8, self.now)
        self.leases.check()
        return outcome

    def release(self, grant: Grant) -> Outcome:
        self.leases.release(grant, self.now)
        self.idle.append(grant.token)
        return self.serve()

    def later(self, seconds: float) -> Outcome:
        self.now += seconds
        return self.serve()

    def holders(self) -> list[str]:
        return [grant.demand.client for grant in self.leases.by_number.values()]


def test_a_demand_is_a_level_and_not_a_request() -> None:
    node = Node(CPU=4)
    node.demand("a", 2, CPU=1)
    assert len(node.demand("a", 3, CPU=1).granted) == 1
    assert node.holders() == ["a", "a", "a"]
    assert not node.demand("a", 1, CPU=1).granted


def test_two_clients_share_the_cpus_evenly_whoever_asks_for_more() -> None:
    node = Node(CPU=6)
    node.leases.state_demand("greedy", LeaseDemand(1, {"CPU": 1}, 100), to_units({"CPU": 1}), node.now)
    node.leases.state_demand("modest", LeaseDemand(1, {"CPU": 1}, 100), to_units({"CPU": 1}), node.now)
    node.serve()
    assert sorted(node.holders()) == ["greedy"] * 3 + ["modest"] * 3


def test_a_latecomer_gets_its_share_as_leases_come_back() -> None:
    node = Node(CPU=4)
    node.demand("first", 100, CPU=1)
    outcome = node.demand("late", 100, CPU=1)
    asked_back = outcome.reclaim["first"]
    assert len(asked_back) == 1
    again = node.release(node.leases.by_number[asked_back[0]])
    assert [grant.demand.client for grant in again.granted] == ["late"]
    assert again.reclaim == {"first": [2]}
    again = node.release(node.leases.by_number[2])
    assert sorted(node.holders()) == ["first", "first", "late", "late"]
    assert not again.reclaim


def test_a_lease_is_asked_back_once() -> None:
    node = Node(CPU=2)
    node.demand("a", 100, CPU=1)
    assert node.demand("b", 1, CPU=1).reclaim == {"a": [1]}
    assert not node.serve().reclaim
    assert not node.later(0.01).reclaim


def test_leases_beyond_their_clients_level_are_asked_back_first() -> None:
    node = Node(CPU=3)
    node.demand("busy", 2, CPU=1)
    node.demand("done", 1, CPU=1)
    node.demand("done", 0, CPU=1)
    assert node.demand("next", 1, CPU=1).reclaim == {"done": [3]}


def test_of_equals_the_oldest_lease_goes_back_after_a_while() -> None:
    node = Node(CPU=1)
    node.demand("a", 5, CPU=1)
    assert not node.demand("b", 5, CPU=1).reclaim
    assert node.later(1.1 * RECLAIM_AFTER_S).reclaim == {"a": [1]}


def test_nothing_is_asked_back_that_would_not_help() -> None:
    node = Node(CPU=2, GPU=1)
    node.demand("a", 2, CPU=1)
    node.actor(1, GPU=1)
    assert not node.demand("b", 1, GPU=1).reclaim
    assert not node.later(10).reclaim


def test_a_large_demand_is_not_overtaken_for_ever_by_small_ones() -> None:
    node = Node(CPU=2)
    node.demand("small", 1, CPU=1)
    node.demand("large", 1, CPU=2)
    assert len(node.demand("other", 1, CPU=1).granted) == 1, "at first the free CPU is used"
    node.later(1.1 * RESERVE_AFTER_S)
    small = node.leases.by_number[1]
    outcome = node.release(small)
    node.demand("small", 1, CPU=1)
    assert node.holders() == ["other"], "the CPU that came back is kept for the large one"
    outcome = node.release(node.leases.by_number[2])
    assert [grant.demand.client for grant in outcome.granted] == ["large"]


def test_nothing_is_kept_for_a_demand_that_waits_for_an_actors_resources() -> None:
    node = Node(CPU=2)
    node.actor(1, CPU=1)
    node.demand("large", 1, CPU=2)
    node.later(1.1 * RESERVE_AFTER_S)
    assert len(node.demand("small", 1, CPU=1).granted) == 1


def test_nothing_is_kept_for_a_demand_that_waits_for_what_a_blocked_task_holds() -> None:
    """Else the children that the blocked task waits for would wait for the reservation, and it for them."""
    node = Node(CPU=1, licence=1)
    node.demand("driver", 1, CPU=1, licence=1)
    node.leases.block("w0", True)
    node.demand("other", 1, CPU=1, licence=1)
    node.later(1.1 * RESERVE_AFTER_S)
    assert [grant.demand.client for grant in node.demand("w0", 1, CPU=1).granted] == ["w0"]


def test_nothing_is_kept_for_a_demand_whose_gpu_is_in_pieces_that_blocked_tasks_hold() -> None:
    node = Node(CPU=2, GPU=2)
    for client in ("one", "two"):
        node.demand(client, 1, CPU=1, GPU=0.6)
    for token in ("w0", "w1"):
        node.leases.block(token, True)
    node.demand("whole", 1, CPU=2, GPU=0.8)
    node.later(1.1 * RESERVE_AFTER_S)
    assert [grant.demand.client for grant in node.demand("w0", 1, CPU=1).granted] == ["w0"], (
        "there is 0.8, in two parts"
    )


def test_leases_that_hold_parts_of_gpus_are_asked_back_for_a_whole_one() -> None:
    node = Node(CPU=4, GPU=2)
    node.demand("parts", 4, CPU=1, GPU=0.5)
    node.release(node.leases.by_number[2])
    node.demand("parts", 0, CPU=1, GPU=0.5)
    node.later(1.1 * RECLAIM_AFTER_S)
    node.demand("parts", 3, CPU=1, GPU=0.5)
    asked = node.demand("whole", 1, CPU=1, GPU=1).reclaim
    asked = asked or node.later(1.1 * RESERVE_AFTER_S).reclaim
    granted = [each for n in asked["parts"] for each in node.release(node.leases.by_number[n]).granted]
    assert "whole" in [grant.demand.client for grant in granted]


def claim(node: Node, **need: float) -> Demand:
    made = Demand("", 0, to_units(need), node.now)
    node.leases.claims[made] = None
    return made


def test_a_claim_is_met_before_all_demands_though_they_never_end() -> None:
    node = Node(CPU=2)
    node.demand("busy", 100, CPU=1)
    node.later(1.1 * RECLAIM_AFTER_S)
    claimed = claim(node, CPU=2)
    assert not node.serve().reclaim, "leases that are younger than it may end by themselves"
    assert node.later(1.1 * RESERVE_AFTER_S).reclaim == {"busy": [1, 2]}
    outcome = node.release(node.leases.by_number[1])
    assert not outcome.granted and not outcome.claims, "the first CPU is kept for it"
    assert node.release(node.leases.by_number[2]).claims == [claimed]
    node.leases.reserve(claimed.need)
    del node.leases.claims[claimed]
    assert not node.serve().granted and not any(node.leases.available.values())


def test_nothing_is_kept_for_a_claim_of_what_an_actor_holds() -> None:
    node = Node(CPU=2)
    node.actor(1, CPU=1)
    claim(node, CPU=2)
    node.later(1.1 * RESERVE_AFTER_S)
    assert len(node.demand("small", 1, CPU=1).granted) == 1


def test_a_blocked_worker_lends_its_cpu_only() -> None:
    node = Node(CPU=1, GPU=1)
    node.demand("driver", 2, CPU=1, GPU=1)
    node.leases.block("w0", True)
    assert node.leases.available == to_units({"CPU": 1}) | {"GPU": 0}
    assert len(node.demand("child", 1, CPU=1).granted) == 1


def test_going_on_takes_the_cpu_without_asking_and_nobody_is_granted_the_debt() -> None:
    node = Node(CPU=1)
    node.demand("driver", 1, CPU=1)
    node.leases.block("w0", True)
    child = node.demand("child", 3, CPU=1).granted[0]
    node.leases.block("w0", False)
    assert node.leases.available["CPU"] < 0
    assert not node.release(child).granted
    assert node.release(node.leases.by_token["w0"]).granted


def test_blocking_twice_lends_once() -> None:
    node = Node(CPU=2)
    node.demand("driver", 1, CPU=1)
    for blocked in (True, True, False, False):
        node.leases.block("w0", blocked)
        node.leases.check()
    assert node.leases.available == to_units({"CPU": 1})


def test_an_actor_waits_in_the_same_queue() -> None:
    node = Node(CPU=1)
    lease = node.demand("a", 1, CPU=1).granted[0]
    node.actor(1, CPU=1)
    node.demand("b", 1, CPU=1)
    outcome = node.release(lease)
    assert [grant.demand.start is not None for grant in outcome.granted] == [True]
    assert not node.later(60).granted, "an actor keeps its resources for life"


def test_an_actor_without_resources_starts_always() -> None:
    node = Node(CPU=1)
    node.demand("a", 1, CPU=1)
    assert len(node.actor(1).granted) == 1


def test_infeasible_is_said_once_and_waits_outside_of_the_queue_until_totals_change() -> None:
    leases = Leases(to_units({"CPU": 2}))
    message = LeaseDemand(1, {"GPU": 1}, 1, "train")
    need = to_units(message.resources)
    assert "GPU" in leases.state_demand("a", message, need, 0.0)
    assert leases.state_demand("a", message, need, 1.0) == ""
    leases.check()
    assert not leases.waiting()
    leases.set_total(to_units({"CPU": 2, "GPU": 1}), 2.0)
    leases.check()
    assert leases.serve(lambda demand: "w1", 1, 2.0).granted


def test_a_node_that_was_made_smaller_asks_the_newest_leases_back_and_no_more_than_needed() -> None:
    node = Node(CPU=4)
    granted = node.demand("a", 4, CPU=1).granted
    node.leases.set_total(to_units({"CPU": 2}), node.now)
    assert node.serve().reclaim == {"a": [granted[3].number, granted[2].number]}
    assert node.serve().reclaim == {}, "once"
    assert not node.release(granted[3]).granted
    assert not node.release(granted[2]).granted, "two run, and there are two CPUs"
    assert len(node.release(granted[1]).granted) == 1


def test_actors_and_those_who_wait_are_not_asked_back_when_a_node_is_made_smaller() -> None:
    node = Node(CPU=3)
    node.actor(1, CPU=1)
    waiting, running = node.demand("a", 2, CPU=1).granted
    node.leases.block(waiting.token, True)
    node.leases.set_total(to_units({"CPU": 1}), node.now)
    assert node.serve().reclaim == {"a": [running.number]}


def test_a_demand_without_a_worker_is_counted_but_never_beyond_the_room() -> None:
    node = Node(workers=0, CPU=4)
    assert node.demand("a", 100, CPU=1).workers_wanted == 4
    assert node.demand("b", 100).workers_wanted == 8


def test_a_dead_client_leaves_no_demand_and_its_leases_are_named() -> None:
    node = Node(CPU=2)
    node.demand("a", 10, CPU=1)
    grants = node.leases.drop_client("a")
    assert [grant.number for grant in grants] == [1, 2]
    for grant in grants:
        node.release(grant)
    assert node.leases.available == to_units({"CPU": 2})
    assert not node.leases.demands


CLASSES: list[dict[str, float]] = [
    {"CPU": 1},
    {"CPU": 2},
    {"CPU": 0.5},
    {"CPU": 1, "spot": 1},
    {},
    {"GPU": 1},
    {"GPU": 0.3},
]


class LeaseHistory(RuleBasedStateMachine):
    """Any history: resources are conserved, a worker has one lease, and who waits is served in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = Leases(to_units({"CPU": 2, "spot": 1, "GPU": 2}))
        self.now = 0.0
        self.workers = 0
        self.idle: list[str] = []
        self.numbers: set[int] = set()
        self.asked_back: set[int] = set()
        self.reserved: list[dict[str, int]] = []

    def take(self, demand: Demand) -> str | None:
        return self.idle.pop(0) if self.idle else None

    @rule(
        client=st.sampled_from("abc"),
        which=st.integers(0, len(CLASSES) - 1),
        count=st.integers(0, 4),
    )
    def demand(self, client: str, which: int, count: int) -> None:
        message = LeaseDemand(which, CLASSES[which], count, f"f{which}")
        self.leases.state_demand(client, message, to_units(CLASSES[which]), self.now)

    @rule(number=st.integers(0, 5), cpus=st.sampled_from([0, 1]))
    def actor(self, number: int, cpus: int) -> None:
        start = start_actor(number, {"CPU": cpus})
        if start.actor_id not in self.leases.actors:
            self.leases.start_actor(start, to_units(start.resources), self.now)

    @rule(which=st.integers(0, len(CLASSES) - 1))
    def claim(self, which: int) -> None:
        need = to_units(CLASSES[which])
        self.leases.claims[Demand("", 0, {name: need[name] for name in need if name != "GPU"}, self.now)] = None

    @precondition(lambda self: self.leases.claims)
    @rule(data=st.data())
    def claim_lapses(self, data: st.DataObject) -> None:
        del self.leases.claims[data.draw(st.sampled_from(list(self.leases.claims)))]

    @precondition(lambda self: self.reserved)
    @rule()
    def give_back(self) -> None:
        self.leases.unreserve(self.reserved.pop())

    @rule(seconds=st.sampled_from([0.01, 0.25, 1.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def worker_comes(self) -> None:
        self.workers += 1
        self.idle.append(f"w{self.workers}")

    @rule()
    def serve(self) -> None:
        outcome = self.leases.serve(self.take, 4, self.now)
        for met in outcome.claims:
            del self.leases.claims[met]
            self.leases.reserve(met.need)
            self.reserved.append(met.need)
        for grant in outcome.granted:
            assert grant.number not in self.numbers, "a lease's number was used twice"
            self.numbers.add(grant.number)
        for client, numbers in outcome.reclaim.items():
            for number in numbers:
                assert number not in self.asked_back, "a lease was asked back twice"
                assert self.leases.by_number[number].demand.client == client
                self.asked_back.add(number)

    @precondition(lambda self: self.leases.by_number)
    @rule(data=st.data(), dead=st.booleans())
    def release(self, data: st.DataObject, dead: bool) -> None:
        grant = data.draw(st.sampled_from(list(self.leases.by_number.values())))
        self.leases.release(grant, self.now)
        if not dead:
            self.idle.append(grant.token)

    @rule(cpus=st.integers(0, 4))
    def resize(self, cpus: int) -> None:
        self.leases.set_total({**self.leases.total, **to_units({"CPU": cpus})}, self.now)

    @precondition(lambda self: self.leases.by_token)
    @rule(data=st.data(), blocked=st.booleans())
    def block(self, data: st.DataObject, blocked: bool) -> None:
        self.leases.block(data.draw(st.sampled_from(list(self.leases.by_token))), blocked)

    @rule(client=st.sampled_from("abc"))
    def client_dies(self, client: str) -> None:
        for grant in self.leases.drop_client(client):
            self.leases.release(grant, self.now)

    @invariant()
    def holds(self) -> None:
        self.leases.check()

    def teardown(self) -> None:
        """Once nobody asks for more and everybody ends, all that waits is served."""
        for grant in list(self.leases.by_number.values()):
            self.leases.release(grant, self.now)
        for need in self.reserved:
            self.leases.unreserve(need)
        self.leases.claims.clear()
        self.idle = [f"end{number}" for number in range(100)]
        served: set[Demand] = set()
        waiting = set(self.leases.waiting())
        for _ in range(100):
            self.now += 0.5
            for grant in self.leases.serve(self.take, 4, self.now).granted:
                served.add(grant.demand)
            for grant in list(self.leases.by_number.values()):
                grant.demand.count = 0
                self.leases.release(grant, self.now)
                self.idle.append(grant.token)
            self.leases.check()
        assert waiting <= served
        assert self.leases.available == self.leases.total


TestLeaseHistory = LeaseHistory.TestCase
TestLeaseHistory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("long_ones", [1, 3])
def test_under_steady_load_of_small_tasks_a_large_one_runs_within_a_second(long_ones: int) -> None:
    """Small leases end after 50 ms and their clients want more at once; nobody is starved."""
    node = Node(CPU=2)
    ends: dict[int, float] = {}
    for client in "xyz":
        node.demand(client, 50, CPU=1)
    for number in range(long_ones):
        node.demand(f"large{number}", 1, CPU=2)
    done: set[str] = set()
    begun = node.now
    while len(done) < long_ones:
        assert node.now - begun < 1.0 + 0.5 * long_ones, f"only {done} ran"
        for grant in list(node.leases.by_number.values()):
            if ends.setdefault(grant.number, node.now + 0.05) <= node.now:
                if grant.demand.client.startswith("large"):
                    done.add(grant.demand.client)
                    grant.demand.count = 0
                node.release(grant)
        node.later(0.01)
