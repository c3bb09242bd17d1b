"""Placement groups on several nodes: the GCS and node managers, with messages that come late, nodes that die, seeds."""

from __future__ import annotations

import random
from typing import Any

import pytest

from raynb.runtime.core.bundle_names import group_name
from raynb.runtime.core.effects import Send
from raynb.runtime.core.gcs_effects import Persist
from raynb.runtime.core.gcs_journal import Journal
from raynb.runtime.core.gcs_requests import Requests
from raynb.runtime.core.group_layout import choose, why_not
from raynb.runtime.core.leases import Leases
from raynb.runtime.core.node_bundles import CLAIM_S, NodeBundles
from raynb.runtime.core.placement import NodeView, to_units
from raynb.runtime.core.placement_groups import CREATED, PENDING, REMOVED, RESCHEDULING, PlacementGroups
from raynb.runtime.core.worker_pool import WorkerPool
from raynb.runtime.messages import Config
from raynb.runtime.messages.node import LeaseDemand, LeaseInfeasible
from raynb.runtime.messages.placement import (
    BundlesReserved,
    CreateGroup,
    KeepBundles,
    RemoveGroup,
    ReserveBundles,
    ReturnBundles,
)
from raynb.runtime.messages.strategy import LabelRule

CPUS = {b"a": 4.0, b"b": 4.0, b"c": 2.0}


class Nodes:
    """A cluster's GCS, as far as groups concern it, and its node managers; messages wait until they are delivered."""

    def __init__(self, cpus: dict[bytes, float]) -> None:
        self.leases = {name: Leases(to_units({"CPU": amount})) for name, amount in cpus.items()}
        config = Config()
        self.bundles = {name: NodeBundles(leases, WorkerPool(config, 2, name)) for name, leases in self.leases.items()}
        self.journal = Journal(30.0)
        self.placed = 0
        self.now = 0.0
        self.mail: list[tuple[str, str, Any]] = []
        self.told: list[tuple[str, int, str]] = []
        """Which demands of which clients can't be met, and why."""
        self.store: dict[bytes, bytes] = {}
        self.jobs_ended: set[bytes] = set()
        self.lives_of: dict[bytes, int] = {}
        """By actor that is not dead."""
        self.groups = self.start(1)

    def start(self, epoch: int) -> PlacementGroups:
        self.joined: set[bytes] = set()
        groups = PlacementGroups(epoch, self.journal, Requests(), self, self._on_placed, lambda group, now: [])
        for key, value in self.store.items():
            groups.load(key, value)
        for node in self.leases:
            self.joined.add(node)
            self.take("gcs", groups.node_joined(node, self.now))
        return groups

    def _on_placed(self, now: float) -> list[Any]:
        self.placed += 1
        return []

    # -- as the world of the groups

    def views(self) -> list[NodeView]:
        return [
            NodeView(name, dict(one.total), dict(one.available))
            for name, one in self.leases.items()
            if name in self.joined
        ]

    def manager_of(self, node_id: bytes) -> str:
        return node_id.decode() if node_id in self.leases and node_id in self.joined else ""

    def settled(self) -> bool:
        return set(self.leases) == self.joined & set(self.leases)

    def job_ended(self, job: bytes) -> bool:
        return job in self.jobs_ended

    def lives(self, actor: bytes, incarnation: int) -> bool:
        return self.lives_of.get(actor) == incarnation

    def wall(self, now: float) -> float:
        return 1_800_000_000 + now

    # -- events

    def end_job(self, job: bytes) -> None:
        self.jobs_ended.add(job)
        self.take("gcs", self.groups.job_ended(job, self.now))

    def take(self, sender: str, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.mail.append((sender, effect.to, effect.message))
            elif isinstance(effect, Persist):
                for write in effect.writes:
                    if write.value is None:
                        self.store.pop(write.key, None)
                    else:
                        self.store[write.key] = write.value
                self.take(sender, self.journal.persisted(effect.token))

    def deliver(self, which: int = 0) -> None:
        # Order holds for each pair of peers.
        pairs = list(dict.fromkeys((sender, to) for sender, to, _ in self.mail))
        pair = pairs[which % len(pairs)]
        at = next(i for i, (sender, to, _) in enumerate(self.mail) if (sender, to) == pair)
        sender, to, message = self.mail.pop(at)
        if to == "gcs":
            handler = self.groups.handlers.get(type(message))
            if handler is not None:
                self.take("gcs", handler(sender, message, self.now))
        elif isinstance(message, LeaseInfeasible):
            self.told.append((to, message.key, message.kind))
        elif to.encode() in self.bundles:
            self.take(to, self.bundles[to.encode()].handle("gcs", message, self.now))

    def settle(self, seconds: float = 5.0) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.1
            self.take("gcs", self.groups.tick(self.now))
            while self.mail:
                self.deliver()

    def create(
        self, group: bytes, bundles: list[float], strategy: str = "PACK", detached: bool = False, actor: bytes = b""
    ) -> None:
        amounts = [{"CPU": amount} for amount in bundles]
        spec = CreateGroup(0, group, amounts, strategy, "", "", detached, b"job1", actor=actor)
        self.take("gcs", self.groups.create("client", spec, self.now))

    def remove(self, group: bytes) -> None:
        self.take("gcs", self.groups.remove("client", RemoveGroup(0, group), self.now))

    def kill(self, node: bytes) -> None:
        del self.leases[node], self.bundles[node]
        self.mail = [(a, b, m) for a, b, m in self.mail if node.decode() not in (a, b)]
        self.take("gcs", self.groups.node_died(node, self.now))

    def check(self) -> None:
        self.groups.check()
        for leases in self.leases.values():
            leases.check()
            assert all(value >= 0 for value in leases.available.values())

    def held(self, group: bytes) -> dict[bytes, float]:
        """By node: the CPUs of this group there."""
        name = group_name("CPU", group)
        found = {node: leases.total.get(name, 0) / 10_000 for node, leases in self.leases.items()}
        return {node: amount for node, amount in found.items() if amount}


def group(number: int) -> bytes:
    return number.to_bytes(18, "big")


def test_packing_takes_one_node_and_spreading_as_many_as_there_are() -> None:
    nodes = Nodes(CPUS)
    for number, strategy in enumerate(("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")):
        nodes.create(group(number), [1, 1, 1], strategy)
        nodes.settle()
        spread = nodes.held(group(number))
        assert sum(spread.values()) == 3
        assert len(spread) == (3 if "SPREAD" in strategy else 1), strategy
        nodes.check()
        nodes.remove(group(number))
        nodes.settle()
        assert not nodes.held(group(number))
    assert [leases.available for leases in nodes.leases.values()] == [leases.total for leases in nodes.leases.values()]


def test_a_group_that_does_not_fit_now_is_placed_when_it_does() -> None:
    nodes = Nodes({b"a": 4.0, b"b": 4.0})
    nodes.create(group(1), [4, 4], "STRICT_SPREAD")
    nodes.create(group(2), [3, 3])
    nodes.settle()
    assert (nodes.groups.groups[group(1)].state, nodes.groups.groups[group(2)].state) == (CREATED, PENDING)
    assert "in use" in nodes.groups.groups[group(2)].why
    nodes.remove(group(1))
    nodes.settle()
    assert nodes.groups.groups[group(2)].state == CREATED
    assert nodes.placed == 2
    nodes.check()


def test_what_one_node_refuses_the_others_give_back() -> None:
    nodes = Nodes({b"a": 4.0, b"b": 4.0})
    nodes.leases[b"b"].reserve(to_units({"CPU": 3.0}))  # behind the GCS's back
    honest = nodes.views
    nodes.views = lambda: [NodeView(view.node_id, view.total, view.total) for view in honest()]  # type: ignore[method-assign]
    nodes.groups = nodes.start(1)
    nodes.create(group(1), [4, 4], "STRICT_SPREAD")
    nodes.settle()
    assert nodes.groups.groups[group(1)].state != CREATED
    nodes.settle(0.1)
    nodes.remove(group(1))
    nodes.settle()
    assert nodes.leases[b"a"].available == to_units({"CPU": 4.0})
    nodes.check()


def test_whoever_has_run_in_a_bundle_is_told_that_the_group_is_created() -> None:
    """Though another node has not committed yet."""
    nodes = Nodes(CPUS)
    nodes.create(group(1), [1, 1], "STRICT_SPREAD")
    assert nodes.groups.groups[group(1)].seen == (PENDING, [b"", b""])
    while len(nodes.held(group(1))) < 1:
        nodes.deliver()
    state, places = nodes.groups.groups[group(1)].seen
    assert state == CREATED and len(set(places)) == 2 and set(nodes.held(group(1))) < set(places)
    nodes.settle()
    assert nodes.groups.groups[group(1)].seen == (CREATED, places)


@pytest.mark.parametrize("gcs_starts_again", [False, True])
def test_a_group_ends_with_its_job_or_with_the_life_of_an_actor_that_outlives_it(gcs_starts_again: bool) -> None:
    nodes = Nodes(CPUS)
    nodes.lives_of = {b"actor": 0}
    nodes.create(group(1), [1])
    nodes.create(group(2), [1], detached=True)
    nodes.create(group(3), [1], actor=b"actor")
    nodes.create(group(4), [1], actor=b"dead")
    nodes.settle()
    nodes.end_job(b"job1")
    nodes.settle()
    left = [group(2), group(3)]
    assert [g.spec.group for g in nodes.groups.groups.values() if g.state != REMOVED] == left
    if gcs_starts_again:
        nodes.groups = nodes.start(2)
        nodes.settle()
        assert [g.spec.group for g in nodes.groups.groups.values() if g.state == CREATED] == left
    nodes.create(group(5), [1], actor=b"actor")
    nodes.settle()
    assert nodes.groups.groups[group(5)].state == CREATED
    nodes.lives_of = {b"actor": 1}  # it was started anew, and knows nothing of the groups
    nodes.settle()
    assert [g.spec.group for g in nodes.groups.groups.values() if g.state != REMOVED] == [group(2)]
    nodes.check()


def wish(bundles: int, strategy: str = "PACK", **more: Any) -> CreateGroup:
    return CreateGroup(0, group(1), [{"CPU": 1.0}] * bundles, strategy, "", "spec", False, b"job1", **more)


def views(*zones: str, cpus: float = 2) -> list[NodeView]:
    """Nodes a, b, c..., each in its zone."""
    units = to_units({"CPU": cpus})
    return [
        NodeView(bytes([97 + i]), units, units, labels={"zone": zone} if zone else {}) for i, zone in enumerate(zones)
    ]


def in_zone(*names: str) -> tuple[LabelRule, ...]:
    return (LabelRule("zone", names),)


def test_bundles_go_where_their_labels_are() -> None:
    nodes = views("x", "y", "")
    assert choose(wish(2, labels=[in_zone("y"), ()]), nodes, {}) == [b"b", b"b"], "both fit there"
    assert choose(wish(2, labels=[in_zone("y"), in_zone("x")]), nodes, {}) == [b"b", b"a"]
    assert choose(wish(2, "SPREAD", labels=[(), in_zone("x")]), nodes, {}) == [b"b", b"a"]
    assert choose(wish(2, "STRICT_PACK", labels=[in_zone("x"), in_zone("y")]), nodes, {}) is None
    assert choose(wish(3, labels=[in_zone("x")] * 3), nodes, {}) is None, "there is no room for three"
    assert choose(wish(3, "STRICT_SPREAD", labels=[(), (), in_zone("x")]), nodes, {}) == [b"b", b"c", b"a"]
    nowhere = wish(1, labels=[in_zone("z")])
    assert choose(nowhere, nodes, {}) is None
    assert why_not(nowhere, nodes) == "no node is where its bundle 0 is to be: zone=z"


def test_all_bundles_are_where_a_label_is_the_same() -> None:
    nodes = views("x", "y", "y", "")
    assert choose(wish(3, together="zone"), nodes, {}) == [b"b", b"b", b"c"]
    assert choose(wish(2, "STRICT_SPREAD", together="zone"), nodes, {}) == [b"b", b"c"]
    assert choose(wish(3, "STRICT_SPREAD", together="zone"), nodes, {}) is None
    assert choose(wish(2, "SPREAD", together="zone"), nodes, {0: b"a"}) == [b"a", b"a"], "where the first one is"
    assert choose(wish(1, together="rack"), nodes, {}) is None
    assert why_not(wish(5, together="zone"), nodes) == "no nodes with the same zone have the 5 CPU of its bundles"


def test_the_node_that_is_wished_for_comes_first_if_it_has_room() -> None:
    nodes = views("", "", "")
    for target in (b"a", b"b", b"c"):
        assert choose(wish(2, "STRICT_PACK", target=target), nodes, {}) == [target] * 2
    full = [NodeView(node.node_id, node.total, {} if node.node_id == b"b" else node.total) for node in nodes]
    assert choose(wish(2, "STRICT_PACK", target=b"b"), full, {}) == [b"a"] * 2
    assert choose(wish(2, "STRICT_PACK", target=b"gone"), nodes, {}) == [b"a"] * 2


class BusyNode:
    """A node of two CPUs whose clients never have enough."""

    def __init__(self) -> None:
        self.leases = Leases(to_units({"CPU": 2}))
        self.bundles = NodeBundles(self.leases, WorkerPool(Config(), 2, b"node"))
        self.now = 100.0
        self.workers = 0
        self.asked_back: list[int] = []
        self.leases.state_demand("busy", LeaseDemand(1, {"CPU": 1}, 100, "f"), to_units({"CPU": 1}), self.now)
        self.later(1.0)

    def reserve(self, attempt: int = 1) -> list[Any]:
        message = ReserveBundles(group(1), attempt, [(0, {"CPU": 1}), (1, {"CPU": 1})])
        return self.bundles.handle("gcs", message, self.now) + self.later(0.0)

    def later(self, seconds: float) -> list[Any]:
        self.now += seconds
        effects = self.bundles.tick(self.now)
        outcome = self.leases.serve(self._worker, 0, self.now)
        self.asked_back += [number for numbers in outcome.reclaim.values() for number in numbers]
        self.leases.check()
        return effects + self.bundles.claimed(outcome.claims)

    def _worker(self, demand: Any) -> str:
        self.workers += 1
        return f"w{self.workers}"

    def release(self, number: int) -> list[Any]:
        self.leases.release(self.leases.by_number[number], self.now)
        return self.later(0.0)


def test_a_group_gets_its_room_from_tasks_that_never_end() -> None:
    node = BusyNode()
    assert node.reserve() == [] and node.later(0.5) == []
    assert node.asked_back == [1, 2]
    assert node.release(1) == [] and node.leases.available == to_units({"CPU": 1}), "it is kept"
    assert node.release(2) == [Send("gcs", BundlesReserved(group(1), 1, ""))]
    assert not node.leases.by_number and not node.leases.claims


def test_a_group_whose_room_does_not_come_is_refused_and_leaves_nothing_kept() -> None:
    node = BusyNode()
    assert node.reserve() == [] and node.reserve() == [], "asked twice, it waits as before"
    node.release(1)
    assert node.later(CLAIM_S) == [Send("gcs", BundlesReserved(group(1), 1, "2 CPU"))]
    node.later(0.0)
    assert len(node.leases.by_number) == 2 and not node.leases.claims


@pytest.mark.parametrize("end", [ReturnBundles(group(1), 1, False), KeepBundles(2 << 20, [], [])])
def test_a_claim_ends_with_its_attempt(end: Any) -> None:
    node = BusyNode()
    node.reserve()
    node.bundles.handle("gcs", end, node.now)
    assert not node.leases.claims and node.later(CLAIM_S) == []


def test_what_actors_hold_is_not_waited_for() -> None:
    leases = Leases(to_units({"CPU": 1}))
    bundles = NodeBundles(leases, WorkerPool(Config(), 2, b"node"))
    leases.reserve(to_units({"CPU": 1}))
    message = ReserveBundles(group(1), 1, [(0, {"CPU": 1})])
    assert bundles.handle("gcs", message, 0.0) == [Send("gcs", BundlesReserved(group(1), 1, "1 CPU"))]


def test_a_group_that_loses_a_node_keeps_what_it_has_and_moves_the_rest() -> None:
    nodes = Nodes(CPUS)
    nodes.create(group(1), [2, 2], "STRICT_SPREAD")
    nodes.settle()
    lost = nodes.groups.groups[group(1)].nodes[0]
    kept = nodes.groups.groups[group(1)].nodes[1]
    nodes.kill(lost)
    assert nodes.groups.groups[group(1)].state == RESCHEDULING
    nodes.settle()
    assert nodes.groups.groups[group(1)].state == CREATED
    assert nodes.groups.groups[group(1)].nodes[1] == kept
    assert lost not in nodes.held(group(1))
    assert len(nodes.held(group(1))) == 2
    nodes.check()


def test_a_node_that_comes_when_a_group_was_removed_hears_of_it() -> None:
    """A task may wait there for the group: it would for ever."""
    nodes = Nodes({b"a": 4.0})
    nodes.create(group(1), [2])
    nodes.settle()
    nodes.joined.clear()
    nodes.remove(group(1))
    nodes.settle()
    nodes.joined.add(b"a")
    demand = LeaseDemand(7, {group_name("bundle", group(1)): 0.001}, 1, "f")
    nodes.leases[b"a"].state_demand("driver", demand, to_units(demand.resources), nodes.now)
    nodes.take("gcs", nodes.groups.node_joined(b"a", nodes.now))
    nodes.settle()
    assert ("driver", 7, "TaskPlacementGroupRemoved") in nodes.told
    assert not nodes.held(group(1))


def test_a_gcs_that_comes_back_finds_its_groups_where_they_are() -> None:
    nodes = Nodes(CPUS)
    nodes.create(group(1), [4, 2], "STRICT_SPREAD")
    nodes.create(group(2), [9])
    nodes.create(group(3), [1])
    nodes.settle()
    nodes.remove(group(3))
    nodes.settle()
    before = nodes.held(group(1))
    nodes.groups = nodes.start(2)
    nodes.settle()
    assert {key: one.state for key, one in nodes.groups.groups.items()} == {
        group(1): CREATED,
        group(2): PENDING,
        group(3): REMOVED,
    }
    assert nodes.held(group(1)) == before
    nodes.check()


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_whatever_comes_late_or_dies_resources_are_conserved_and_everything_settles(first: int) -> None:
    for seed in range(first, first + 25):
        _play(seed)


def _play(seed: int) -> None:
    rng = random.Random(seed)
    nodes = Nodes({**CPUS, b"d": 3.0})
    made, epoch = 0, 1
    for _ in range(120):
        act = rng.random()
        if act < 0.08 and made < 12:
            made += 1
            sizes = [float(rng.randint(1, 3)) for _ in range(rng.randint(1, 3))]
            nodes.create(group(made), sizes, rng.choice(("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")))
        elif act < 0.12 and made:
            nodes.remove(group(rng.randint(1, made)))
        elif act < 0.13 and len(nodes.leases) > 2:
            nodes.kill(rng.choice(sorted(nodes.leases)))
        elif act < 0.14:
            epoch += 1
            nodes.groups = nodes.start(epoch)
        elif act < 0.3:
            nodes.now += rng.choice((0.05, 0.3, 2.5))
            nodes.take("gcs", nodes.groups.tick(nodes.now))
        elif nodes.mail:
            nodes.deliver(rng.randrange(64))
        nodes.check()
    nodes.settle(20.0)
    nodes.check()
    for key, one in nodes.groups.groups.items():
        held = sum(nodes.held(key).values())
        wanted = sum(bundle["CPU"] for bundle in one.spec.bundles)
        assert held == (wanted if one.state == CREATED else 0) or one.state == RESCHEDULING, (seed, one)
        if one.state == PENDING:
            free = [NodeView(v.node_id, v.total, v.available) for v in nodes.views()]
            assert choose(one.spec, free, {}) is None, (seed, "it fits, and waits")
    for key in list(nodes.groups.groups):
        nodes.remove(key)
    nodes.settle(5.0)
    for leases in nodes.leases.values():
        assert leases.available == leases.total, seed
        assert not any("_group_" in name for name in leases.total), seed
