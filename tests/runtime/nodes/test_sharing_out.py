"""Tasks are shared out over nodes, where nothing says on which they are to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

import raynb
from raynb.runtime.client.refs import current
from raynb.util.placement_group import placement_group, placement_group_table
from raynb.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy
from tests.runtime.nodes.whereabouts import Counting, where, where_behind
from tests.support.gate import Gate
from tests.support.nodes import several_nodes


@pytest.fixture
def three(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """New nodes of four CPUs that know each other: what others know of them is late, once they have run something."""
    config = {"scheduler_spread_threshold": request.param} if hasattr(request, "param") else {}
    with several_nodes(num_cpus=4, _system_config=config) as nodes:
        found = [node.node_id for node in (nodes.head, nodes.add(num_cpus=4), nodes.add(num_cpus=4))]
        for node_id in found:
            there = NodeAffinitySchedulingStrategy(node_id, soft=False)
            assert raynb.get(where.options(num_cpus=0, scheduling_strategy=there).remote(), timeout=30) == node_id
        yield found


def test_each_node_is_half_full_before_one_is_full(three: list[str], gate: Gate) -> None:
    refs = []
    for count in (2, 4, 3, 3):
        refs += [where_behind.remote(gate.through) for _ in range(count)]
        gate.wait_for(len(refs))
    gate.open()
    found = raynb.get(refs, timeout=30)
    assert set(found[:2]) == {three[0]}
    for count in (2, 3, 4):
        assert Counter(found[: 3 * count]) == dict.fromkeys(three, count)


@pytest.mark.parametrize("three", [1.0], indirect=True)
def test_how_full_the_own_node_may_be_is_the_cluster_s_to_say(three: list[str], gate: Gate) -> None:
    refs = [where_behind.remote(gate.through) for _ in range(5)]
    gate.wait_for(5)
    gate.open()
    assert Counter(raynb.get(refs, timeout=30))[three[0]] == 4
    assert current().config.spread_threshold == 1.0, "a driver that has joined has the cluster's configuration"


@pytest.mark.parametrize("size", [200_000, 4_000_000])
def test_what_its_inputs_draw_to_a_node_stays_there_while_there_is_room(
    three: list[str], gate: Gate, size: int
) -> None:
    there = NodeAffinitySchedulingStrategy(three[1], soft=False)
    data = raynb.remote(lambda: bytes(size)).options(num_cpus=0, scheduling_strategy=there).remote()
    raynb.wait([data], fetch_local=False)
    refs = [where_behind.remote(gate.through, data) for _ in range(4)]
    gate.wait_for(4)
    gate.open()
    assert set(raynb.get(refs, timeout=30)) == {three[1]}


def test_what_is_spread_runs_on_one_node_after_the_other(three: list[str], gate: Gate) -> None:
    refs = [where_behind.options(scheduling_strategy="SPREAD").remote(gate.through) for _ in range(6)]
    gate.wait_for(6)
    gate.open()
    assert Counter(raynb.get(refs, timeout=30)) == dict.fromkeys(three, 2)


def test_short_tasks_that_are_spread_reach_all_nodes(three: list[str]) -> None:
    found = raynb.get([where.options(scheduling_strategy="SPREAD").remote() for _ in range(9)], timeout=30)
    assert set(found) == set(three)


def test_actors_in_any_bundle_leave_the_one_with_the_gpu_to_what_asks_for_it() -> None:
    """Also at once, when nodes have not told yet what of the group is free."""
    with several_nodes(num_cpus=3) as nodes:
        nodes.add(num_cpus=3, num_gpus=1)
        group = placement_group([{"CPU": 1, "GPU": 1}, *[{"CPU": 1}] * 4], strategy="PACK")
        raynb.get(group.ready(), timeout=30)
        inside = PlacementGroupSchedulingStrategy(group)
        actor = raynb.remote(Counting).options(num_cpus=1, scheduling_strategy=inside)
        others = [actor.remote() for _ in range(4)]
        trainer = actor.options(num_gpus=1).remote()
        found = raynb.get([each.where.remote() for each in (*others, trainer)], timeout=30)
        assert Counter(found) == Counter(placement_group_table(group)["bundles_to_node_id"].values())
