"""Placement groups that lose a node, and what runs in them."""

from __future__ import annotations

from typing import Any

import pytest

import raynb
from raynb.util.placement_group import placement_group, placement_group_table
from raynb.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from raynb.util.state import list_actors
from tests.support.nodes import Nodes
from tests.support.waiting import wait_until


@raynb.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)
class Placed:
    def where(self) -> str:
        return raynb.get_runtime_context().get_node_id()


@pytest.mark.parametrize("others", [0, 1])
def test_an_actor_is_started_again_where_its_bundle_is_then(nodes: Nodes, others: int) -> None:
    there: dict[str, Any] = {"num_cpus": 1, "resources": {"there": 1}}
    first = nodes.add(**there)
    group = placement_group([{"there": 1, "CPU": 1}, *[{"CPU": 1}] * others])
    assert group.wait(20)
    actor = Placed.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group, 0)).remote()
    assert raynb.get(actor.where.remote(), timeout=20) == first.node_id
    nodes.kill(first)
    wait_until(lambda: placement_group_table(group)["state"] == "RESCHEDULING")
    second = nodes.add(**there)
    assert raynb.get(actor.where.remote(), timeout=30) == second.node_id
    (row,) = list_actors(detail=True)
    assert (row.state, row.num_restarts, row.node_id) == ("ALIVE", 1, second.node_id)
