"""Why a task or an actor of a placement group does not run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from raynb.runtime.client.why import Why
from raynb.util.placement_group import placement_group, remove_placement_group
from raynb.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from tests.support.cluster import cluster_of
from tests.support.module import Ray
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")


@pytest.fixture(scope="module")
def cluster(bare_ray: Ray) -> Iterator[Any]:
    with cluster_of(bare_ray, num_cpus=2) as context:
        yield context


def why(ref: Any, *words: str) -> Why:
    """The answer, once it has all these words."""

    def answer() -> Why | None:
        found: Why = ref.why()
        return found if all(word in found.sentence for word in words) else None

    found = wait_until(answer, 20, f"{words} is said")
    assert found is not None and found.kind == "placement group"
    return found


def test_a_group_that_no_node_can_have_and_one_that_others_are_in_the_way_of(ray: Ray) -> None:
    large = placement_group([{"CPU": 5}], name="large")
    inside = PlacementGroupSchedulingStrategy(large)
    ref = ray.remote(lambda: None).options(name="train", scheduling_strategy=inside).remote()
    found = why(ref, "train waits for placement group large", "no node has the 5 CPU of its bundle 0")
    assert "remove_placement_group" in found.fix
    remove_placement_group(large)
    ray.wait([ref], timeout=30)

    first = placement_group([{"CPU": 2}])
    ray.get(first.ready(), timeout=30)
    second = placement_group([{"CPU": 1}])
    why(second.ready(), "which is pending", "in use")
    remove_placement_group(first)
    ray.get(second.ready(), timeout=30)
    remove_placement_group(second)
