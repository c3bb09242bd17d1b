"""Scheduling strategies choose the node of a task and of an actor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import raynb
from raynb.cluster_utils import ClusterNode
from raynb.runtime.client.refs import current
from raynb.util.placement_group import placement_group, placement_group_table, remove_placement_group
from raynb.util.scheduling_strategies import (
    Exists,
    In,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    NotIn,
    PlacementGroupSchedulingStrategy,
)
from raynb.util.state import get_placement_group as get_placement_group_state
from raynb.util.state import list_tasks
from tests.runtime.nodes.whereabouts import Counting, where, where_behind
from tests.support.gate import Gate
from tests.support.nodes import Nodes, several_nodes
from tests.support.waiting import wait_until

Three = tuple[Nodes, ClusterNode, ClusterNode]
GONE = "ab" * 28


@pytest.fixture(scope="module")
def three() -> Iterator[Three]:
    """Nodes of four CPUs: the head, one in zone a, one in zone b with `fast`."""
    with several_nodes(num_cpus=4) as nodes:
        near = nodes.add(num_cpus=4, labels={"zone": "a"})
        yield nodes, near, nodes.add(num_cpus=4, labels={"zone": "b", "fast": "yes"})


@pytest.fixture(autouse=True)
def idle(three: Three) -> None:
    """Each test begins when all is free again: also what the cluster has not heard yet that this process had."""
    wait_until(lambda: not current().machine.scheduler.by_worker, 20, "its leases have gone back")
    wait_until(lambda: raynb.available_resources().get("CPU") == 12, 20, "all CPUs are free")


Actor = raynb.remote(Counting)


def run(count: int = 1, **options: Any) -> Counter[str]:
    """On which nodes tasks, and then actors, with these options run."""
    tasks = raynb.get([where.options(**options).remote() for _ in range(count)], timeout=30)
    actors = [Actor.options(**options).remote() for _ in range(count)]
    found = raynb.get([actor.where.remote() for actor in actors], timeout=30)
    for actor in actors:
        raynb.kill(actor)
    return Counter([*tasks, *found])


def test_actors_that_are_spread_live_on_one_node_after_the_other(three: Three) -> None:
    nodes, near, far = three
    actors = [Actor.options(scheduling_strategy="SPREAD", num_cpus=1).remote() for _ in range(6)]
    found = Counter(raynb.get([actor.where.remote() for actor in actors], timeout=30))
    assert found == {node.node_id: 2 for node in (nodes.head, near, far)}


@pytest.mark.parametrize("soft", [True, False])
def test_node_affinity_chooses_the_node(three: Three, soft: bool) -> None:
    nodes, near, far = three
    for node in (nodes.head, near, far):
        strategy = NodeAffinitySchedulingStrategy(node.node_id, soft=soft)
        assert run(3, scheduling_strategy=strategy) == {node.node_id: 6}


def test_the_state_of_a_task_says_where_it_ran(three: Three) -> None:
    _, near, _ = three
    strategy = NodeAffinitySchedulingStrategy(near.node_id, soft=False)
    ref = where.options(scheduling_strategy=strategy).remote()
    assert raynb.get(ref, timeout=30) == near.node_id
    (row,) = [row for row in list_tasks(detail=True) if row.task_id == ref.task_id().hex()]
    assert row.node_id == near.node_id


def test_what_is_bound_to_a_node_waits_there_although_others_have_room(three: Three, gate: Gate) -> None:
    _, near, _ = three
    task = where_behind.options(
        num_cpus=2, scheduling_strategy=NodeAffinitySchedulingStrategy(near.node_id, soft=False)
    )
    refs = [task.remote(gate.through) for _ in range(5)]
    gate.wait_for(2)
    gate.open()
    assert set(raynb.get(refs, timeout=30)) == {near.node_id}


def test_what_may_spill_does_so_when_the_node_has_no_room(three: Three, gate: Gate) -> None:
    _, near, _ = three
    strategy = NodeAffinitySchedulingStrategy(near.node_id, soft=True, _spill_on_unavailable=True)
    refs = [where_behind.options(num_cpus=2, scheduling_strategy=strategy).remote(gate.through) for _ in range(6)]
    gate.wait_for(6)
    gate.open()
    assert Counter(raynb.get(refs, timeout=30))[near.node_id] == 2


def test_what_must_run_at_once_fails_when_the_node_has_no_room(three: Three, gate: Gate) -> None:
    _, near, _ = three
    strategy = NodeAffinitySchedulingStrategy(near.node_id, soft=False, _fail_on_unavailable=True)
    task = where_behind.options(num_cpus=4, scheduling_strategy=strategy)
    first = task.remote(gate.through)
    gate.wait_for(1)
    # The cluster may not have heard of that yet: the node itself says so then.
    with pytest.raises(raynb.exceptions.ActorUnschedulableError, match="no room"):
        raynb.get(Actor.options(num_cpus=1, scheduling_strategy=strategy).remote().where.remote(), timeout=20)
    wait_until(lambda: raynb.available_resources().get("CPU") == 8, 10)
    with pytest.raises(raynb.exceptions.ActorUnschedulableError, match="no room"):
        raynb.get(Actor.options(num_cpus=1, scheduling_strategy=strategy).remote().where.remote(), timeout=20)
    with pytest.raises(raynb.exceptions.TaskUnschedulableError, match="no room"):
        raynb.get(where.options(num_cpus=1, scheduling_strategy=strategy).remote(), timeout=20)
    gate.open()
    assert raynb.get(first, timeout=20) == near.node_id


def test_a_node_that_is_not_there_is_an_error_or_where_soft_none(three: Three) -> None:
    hard = NodeAffinitySchedulingStrategy(GONE, soft=False)
    with pytest.raises(raynb.exceptions.TaskUnschedulableError, match=GONE):
        raynb.get(where.options(scheduling_strategy=hard).remote(), timeout=20)
    with pytest.raises(raynb.exceptions.ActorUnschedulableError, match=GONE):
        raynb.get(Actor.options(scheduling_strategy=hard).remote().where.remote(), timeout=20)
    assert run(scheduling_strategy=NodeAffinitySchedulingStrategy(GONE, soft=True)).total() == 2


def test_labels_choose_nodes(three: Three) -> None:
    nodes, near, far = three
    for hard, expected in (
        ({"zone": In("a", "c")}, {near.node_id}),
        ({"fast": Exists()}, {far.node_id}),
        ({"zone": Exists(), "fast": NotIn("yes")}, {near.node_id}),
        ({"ray.io/node-id": In(nodes.head.node_id)}, {nodes.head.node_id}),
    ):
        assert set(run(2, scheduling_strategy=NodeLabelSchedulingStrategy(hard))) == expected
    assert set(run(2, label_selector={"zone": "!in(a, c)", "fast": "yes"})) == {far.node_id}


def test_labels_that_are_preferred_choose_among_nodes_if_any_has_them(three: Three) -> None:
    _, near, far = three
    prefers = NodeLabelSchedulingStrategy({"zone": Exists()}, soft={"fast": In("yes")})
    assert set(run(2, scheduling_strategy=prefers)) == {far.node_id}
    prefers = NodeLabelSchedulingStrategy({"zone": In("a")}, soft={"fast": In("yes")})
    assert set(run(2, scheduling_strategy=prefers)) == {near.node_id}


def test_what_no_label_allows_waits_for_such_a_node(three: Three) -> None:
    nodes, _, _ = three
    strategy = NodeLabelSchedulingStrategy({"zone": In("new")})
    refs = [where.options(scheduling_strategy=strategy).remote()]
    actor = Actor.options(scheduling_strategy=strategy).remote()
    refs.append(actor.where.remote())
    assert raynb.wait(refs, timeout=0.5)[0] == []
    added = nodes.add(labels={"zone": "new"})
    assert raynb.get(refs, timeout=20) == [added.node_id] * 2
    raynb.kill(actor)
    nodes.kill(added)


def test_what_has_to_run_on_a_node_that_could_never_run_it_fails(three: Three) -> None:
    _, near, _ = three
    there = NodeAffinitySchedulingStrategy(near.node_id, soft=False)
    wishes: dict[str, Any] = {"scheduling_strategy": there, "resources": {"nowhere": 1}}
    with pytest.raises(raynb.exceptions.TaskUnschedulableError, match=r"does not have .*1 nowhere"):
        raynb.get(where.options(**wishes).remote(), timeout=20)
    with pytest.raises(raynb.exceptions.ActorUnschedulableError, match="does not have 1 nowhere"):
        raynb.get(Actor.options(**wishes).remote().where.remote(), timeout=20)


@pytest.mark.parametrize(
    ("strategy", "bundles", "counts"),
    [
        ("STRICT_SPREAD", [{"CPU": 1}] * 3, [1, 1, 1]),
        ("SPREAD", [{"CPU": 1}] * 3, [1, 1, 1]),
        ("STRICT_PACK", [{"CPU": 1}] * 3, [3]),
        ("PACK", [{"CPU": 2}] * 3, [1, 2]),
    ],
)
def test_placement_groups_have_their_bundles_on_nodes(
    three: Three, strategy: str, bundles: list[dict[str, float]], counts: list[int]
) -> None:
    group = placement_group(bundles, strategy=strategy)
    assert group.wait(20)
    places = placement_group_table(group)["bundles_to_node_id"]
    assert sorted(Counter(places.values()).values()) == counts
    for index, node_id in places.items():
        inside = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=int(index))
        assert set(run(num_cpus=1, scheduling_strategy=inside)) == {node_id}
    remove_placement_group(group)


def test_bundles_go_to_nodes_with_the_labels_that_they_ask_for(three: Three) -> None:
    nodes, near, far = three
    wishes = [{"zone": "in(a, b)", "fast": "yes"}, {"zone": "!b"}, {"ray.io/node-id": nodes.head.node_id}]
    group = placement_group([{"CPU": 1}] * 3, strategy="STRICT_SPREAD", bundle_label_selector=wishes)
    assert group.wait(20)
    places = placement_group_table(group)["bundles_to_node_id"]
    assert places == {0: far.node_id, 1: near.node_id, 2: nodes.head.node_id}
    inside = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=0)
    assert set(run(num_cpus=1, scheduling_strategy=inside)) == {far.node_id}
    remove_placement_group(group)
    nowhere = placement_group([{"CPU": 1}], bundle_label_selector=[{"zone": "c"}])
    assert not nowhere.wait(0.5)
    assert "zone=c" in placement_group_table(nowhere)["stats"]["why"]
    remove_placement_group(nowhere)


def test_a_group_is_kept_together_where_a_label_is_the_same(three: Three) -> None:
    _, near, far = three
    topology = {"ray.io/node-id": "SPREAD", "zone": "STRICT_PACK"}
    group = placement_group([{"CPU": 2}] * 2, topology_strategy=topology)
    assert group.wait(20)
    (node_id,) = set(placement_group_table(group)["bundles_to_node_id"].values())
    zone = {near.node_id: "a", far.node_id: "b"}[node_id]
    row = get_placement_group_state(group.id.hex())
    assert row is not None and row.topology_strategy == {"zone": "STRICT_PACK"}
    assert row.topology_assignments == {"zone": zone}
    remove_placement_group(group)


def test_a_strict_pack_begins_with_the_node_that_is_wished_for(three: Three) -> None:
    for node in three[1:]:
        target: Any = {"strategy": "STRICT_PACK", "_soft_target_node_id": node.node_id}
        group = placement_group([{"CPU": 2}] * 2, **target)
        assert group.wait(20)
        assert set(placement_group_table(group)["bundles_to_node_id"].values()) == {node.node_id}
        other = placement_group([{"CPU": 2}], **target)
        assert other.wait(20), "it is a wish only, and there is no room"
        for made in (group, other):
            remove_placement_group(made)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bundle_label_selector": [{"zone": "a"}]}, "length of `bundle_label_selector`"),
        ({"bundle_label_selector": {"zone": "a"}}, "must be a list"),
        ({"bundle_label_selector": [{"zone": 1}, {}]}, "list of string dictionary"),
        ({"bundle_label_selector": [{"no zone": "a"}, {}]}, "Invalid label selector provided"),
        ({"_soft_target_node_id": "ab"}, "only works with STRICT_PACK"),
        ({"_soft_target_node_id": "node", "strategy": "STRICT_PACK"}, "Invalid hex ID"),
        ({"topology_strategy": {"zone": "STRICT_PACK"}, "strategy": "PACK"}, "not both"),
        ({"topology_strategy": {"zone": "SPREAD"}}, "'STRICT_PACK' only"),
        ({"topology_strategy": {"zone": "STRICT_PACK", "rack": "STRICT_PACK"}}, "one label"),
        ({"topology_strategy": {"ray.io/node-id": "ROUND"}}, "ROUND"),
        ({"topology_strategy": "PACK"}, "by name of a label"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(three: Three, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        placement_group([{"CPU": 1}] * 2, **options)


def test_tasks_in_any_bundle_run_in_all_of_them(three: Three, gate: Gate) -> None:
    group = placement_group([{"CPU": 1}] * 3, strategy="STRICT_SPREAD")
    assert group.wait(20)
    inside = PlacementGroupSchedulingStrategy(group)
    refs = [where_behind.options(scheduling_strategy=inside).remote(gate.through) for _ in range(3)]
    gate.wait_for(3)
    gate.open()
    assert len(set(raynb.get(refs, timeout=20))) == 3
    actors = [Actor.options(num_cpus=1, scheduling_strategy=inside).remote() for _ in range(3)]
    assert len(set(raynb.get([actor.where.remote() for actor in actors], timeout=20))) == 3
    remove_placement_group(group)


def test_a_group_whose_node_died_is_placed_anew(three: Three) -> None:
    nodes, _, _ = three
    added = nodes.add(num_cpus=4)
    group = placement_group([{"CPU": 1}] * 4, strategy="STRICT_SPREAD")
    assert group.wait(20)
    nodes.kill(added)
    again = nodes.add(num_cpus=4)
    wait_until(lambda: placement_group_table(group)["state"] == "CREATED", 20)
    assert again.node_id in placement_group_table(group)["bundles_to_node_id"].values()
    inside = PlacementGroupSchedulingStrategy(group)
    assert raynb.get(where.options(scheduling_strategy=inside).remote(), timeout=20)
    remove_placement_group(group)
    nodes.kill(again)
