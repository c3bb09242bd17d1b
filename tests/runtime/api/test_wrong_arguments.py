"""What a program gives wrongly is an error where it is given: the connection to the cluster goes on."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.module import NAME, Ray


class Counter:
    def one(self) -> int:
        return 1


def part(name: str) -> Any:
    return importlib.import_module(f"{NAME}.util.{name}")


@pytest.fixture
def strategies() -> Any:
    return part("scheduling_strategies")


def goes_on(ray: Ray) -> None:
    """Tasks run, and the GCS answers."""
    assert ray.get(ray.remote(lambda: 1).remote(), timeout=30) == 1
    part("state").list_nodes(timeout=30)


WRONG: dict[str, Callable[[Ray], object]] = {
    "a group's name": lambda ray: part("placement_group").placement_group([{"CPU": 1}], name=5),
    "a bundle's resource": lambda ray: part("placement_group").placement_group([{5: 1}]),
    "a bundle without end": lambda ray: part("placement_group").placement_group([{"CPU": float("inf")}]),
    "a group's name to look for": lambda ray: part("placement_group").get_placement_group([1]),
    "a list's details": lambda ray: part("state").list_actors(detail=5),
    "a state's id": lambda ray: part("state").get_actor({"a": 1}),
    "a group to look up": lambda ray: part("placement_group").placement_group_table(5),
    "a get's time": lambda ray: ray.get(ray.put(1), timeout="1 s"),
    "a get's time that is no number": lambda ray: ray.get(ray.put(1), timeout=float("nan")),
    "a wait's time": lambda ray: ray.wait([ray.put(1)], timeout=[1]),
    "a wait's number": lambda ray: ray.wait([ray.put(1)], num_returns=1.5),
    "a wait's number of a text": lambda ray: ray.wait([ray.put(1)], num_returns="1"),
    "a task's id": lambda ray: part("state").get_task(5),
    "references to locate": lambda ray: importlib.import_module(f"{NAME}.experimental").get_object_locations([1]),
    "a function to map": lambda ray: list(part("helpers").map_unordered(len, [1])),
    "a resource": lambda ray: ray.remote(resources={5: 1})(goes_on),
    "a resource of an actor": lambda ray: ray.remote(Counter).options(resources={None: 1}),
    "a placement group": lambda ray: ray.remote(placement_group=1)(goes_on),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_of_a_wrong_type_is_refused_and_the_cluster_listens_on(ray: Ray, raynb_only: None, what: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        WRONG[what](ray)
    goes_on(ray)


def test_what_only_stands_for_true_or_false_is_taken(ray: Ray, strategies: Any, errors: Any) -> None:
    here = ray.nodes()[0]["NodeID"]
    near = strategies.NodeAffinitySchedulingStrategy(here, soft=1)
    assert ray.get(ray.remote(lambda: 2).options(scheduling_strategy=near).remote(), timeout=30) == 2
    actor = ray.remote(Counter).remote()
    assert ray.get(actor.one.remote(), timeout=30) == 1
    ray.kill(actor, no_restart=1)
    with pytest.raises(errors.ActorDiedError):
        ray.get(actor.one.remote(), timeout=30)
    ray.cancel(ray.put(1), force=0, recursive=1)
    goes_on(ray)


def test_options_of_an_actor_may_be_none(ray: Ray) -> None:
    nothing = {"max_restarts": None, "max_task_retries": None, "max_concurrency": None, "name": None, "lifetime": None}
    actor = ray.remote(Counter).options(**nothing).remote()
    assert ray.get(actor.one.remote(), timeout=30) == 1
    goes_on(ray)


def test_groups_of_an_actor_can_not_be_changed_whatever_is_given(ray: Ray) -> None:
    with pytest.raises(ValueError, match="'concurrency_groups' is not supported"):
        ray.remote(Counter).options(concurrency_groups=[])
