"""Placement groups, and other ways to say where something is to run."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import CPUS
from tests.support.gate import Gate
from tests.support.module import NAME, Ray, state_api
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def groups() -> Any:
    """``ray.util.placement_group``."""
    return importlib.import_module(f"{NAME}.util.placement_group")


@pytest.fixture(scope="module")
def strategies() -> Any:
    return importlib.import_module(f"{NAME}.util.scheduling_strategies")


@pytest.fixture
def make(ray: Ray, groups: Any) -> Iterator[Any]:
    """Makes groups, and removes them after the test."""
    made: list[Any] = []

    def make(*args: Any, **kwargs: Any) -> Any:
        made.append(groups.placement_group(*args, **kwargs))
        return made[-1]

    yield make
    for group in made:
        groups.remove_placement_group(group)
    wait_until(lambda: free(ray, "CPU") == CPUS)


def free(ray: Ray, resource: str) -> float:
    return float(ray.available_resources().get(resource, 0))


class Runs:
    pass


# -- life


@pytest.mark.parametrize("strategy", ["PACK", "SPREAD", "STRICT_PACK"])
def test_a_group_that_fits_is_placed_and_holds_its_resources(ray: Ray, groups: Any, make: Any, strategy: str) -> None:
    group = make([{"CPU": 1}, {"CPU": 1, "special": 1}], strategy=strategy)
    assert ray.get(group.ready(), timeout=30) == group
    assert group.wait(30)
    wait_until(lambda: (free(ray, "CPU"), free(ray, "special")) == (CPUS - 2, 1))
    entry = groups.placement_group_table(group)
    assert entry["state"] == "CREATED"
    assert entry["strategy"] == strategy
    assert entry["bundles"] == {0: {"CPU": 1}, 1: {"CPU": 1, "special": 1}}
    here = ray.get_runtime_context().get_node_id()
    assert entry["bundles_to_node_id"] == {0: here, 1: here}
    groups.remove_placement_group(group)
    wait_until(lambda: (free(ray, "CPU"), free(ray, "special")) == (CPUS, 2))
    assert groups.placement_group_table(group)["state"] == "REMOVED"


def test_a_group_that_never_fits_is_pending(ray: Ray, groups: Any, make: Any, raynb_only: None) -> None:
    large = make([{"CPU": CPUS + 1}])
    spread = make([{"CPU": 1}, {"CPU": 1}], strategy="STRICT_SPREAD")
    assert not large.wait(0.5)
    assert not spread.wait(0)
    for group, why in ((large, "no node has the 5 CPU of its bundle 0"), (spread, "STRICT_SPREAD wants 2 nodes")):
        entry = groups.placement_group_table(group)
        assert entry["state"] == "PENDING"
        assert why in entry["stats"]["why"]
    assert "placement group" in str(large.ready().why())


def test_a_group_waits_for_its_resources_to_be_free(ray: Ray, make: Any, gate: Gate) -> None:
    busy = ray.remote(num_cpus=CPUS)(gate.through).remote()
    gate.wait_for(1)
    group = make([{"CPU": CPUS}])
    assert not group.wait(0.5)
    gate.open()
    assert ray.get(busy, timeout=30) is None
    assert group.wait(30)


def test_a_group_s_statistics_say_how_long_its_placement_has_taken(
    ray: Ray, make: Any, groups: Any, gate: Gate
) -> None:
    busy = ray.remote(num_cpus=CPUS)(gate.through).remote()
    gate.wait_for(1)
    before_ns = time.time_ns()
    group = make([{"CPU": CPUS}])
    assert not group.wait(0.5)
    gate.open()
    assert ray.get(busy, timeout=30) is None
    assert group.wait(30)
    stats = groups.placement_group_table(group)["stats"]
    assert stats["end_to_end_creation_latency_ms"] >= 500
    assert stats["end_to_end_creation_latency_ms"] >= stats["scheduling_latency_ms"] > 0
    assert (stats["scheduling_state"], stats["scheduling_attempt"] > 0) == ("FINISHED", True)
    (row,) = state_api().list_placement_groups(filters=[("placement_group_id", "=", group.id.hex())], detail=True)
    asked_ns, tried_ns = int(row.stats["creation_request_received_ns"]), int(row.stats["scheduling_started_time_ns"])
    assert before_ns - 1e9 <= asked_ns <= tried_ns <= time.time_ns() + 1e9
    assert int(row.stats["end_to_end_creation_latency_us"]) == round(stats["end_to_end_creation_latency_ms"] * 1000)


def test_what_runs_in_a_group_is_listed_with_it(ray: Ray, make: Any, strategies: Any) -> None:
    group = make([{"CPU": 2}])
    in_it = strategies.PlacementGroupSchedulingStrategy(group)
    actor_class, task = ray.remote(num_cpus=1)(Runs), ray.remote(lambda: 1)
    actors = [actor_class.options(scheduling_strategy=in_it).remote(), actor_class.remote()]
    refs = [task.options(scheduling_strategy=in_it).remote(), task.remote()]
    ray.get([*refs, *(actor.__ray_ready__.remote() for actor in actors)])
    state, expected = state_api(), [group.id.hex(), None]
    assert [state.get_actor(actor._actor_id.hex()).placement_group_id for actor in actors] == expected
    wait_until(lambda: [state.get_task(ref).placement_group_id for ref in refs] == expected)
    created = state.list_tasks(filters=[("name", "=", "Runs.__init__")], detail=True)
    resources = {row.placement_group_id: row.required_resources for row in created}
    assert resources.keys() == set(expected) and resources[None] == {"CPU": 1}
    for actor in actors:
        ray.kill(actor)


def test_one_group_after_the_other_takes_all_there_is(ray: Ray, make: Any, groups: Any) -> None:
    for _ in range(5):
        group = make([{"CPU": CPUS}])
        assert group.wait(30)
        groups.remove_placement_group(group)


def test_a_group_is_placed_though_there_are_always_more_tasks_than_cpus(
    ray: Ray, groups: Any, tmp_path: Path, raynb_only: None
) -> None:
    """In Ray tasks that keep coming leave it none."""
    stop = tmp_path / "stop"

    @ray.remote
    def small() -> None:
        time.sleep(0.005)

    @ray.remote(num_cpus=0)
    def keep_busy() -> int:
        refs: list[Any] = []
        count = 0
        while not stop.exists():
            refs += [small.remote() for _ in range(100 - len(refs))]
            done, refs = ray.wait(refs, num_returns=len(refs), timeout=0.05)
            count += len(done)
        ray.get(refs)
        return count

    busy = [keep_busy.remote() for _ in range(2)]
    wait_until(lambda: ray.available_resources().get("CPU", 0) == 0, 20, "all CPUs are in use")
    group = groups.placement_group([{"CPU": 1}] * CPUS)
    try:
        assert group.wait(20)
    finally:
        stop.touch()
        groups.remove_placement_group(group)
    assert all(count > 0 for count in ray.get(busy, timeout=30))


def test_the_state_api_lists_groups(ray: Ray, make: Any, raynb_only: None) -> None:
    state = importlib.import_module(f"{NAME}.util.state")
    group = make([{"CPU": 1}, {"special": 1}], name="listed")
    assert group.wait(30)
    (row,) = [row for row in state.list_placement_groups() if row.placement_group_id == group.id.hex()]
    assert (row.name, row.state, row.is_detached) == ("listed", "CREATED", False)
    assert [bundle["unit_resources"] for bundle in row.bundles] == [{"CPU": 1}, {"special": 1}]
    assert state.get_placement_group(group.id.hex()).creator_job_id == ray.get_runtime_context().get_job_id()
    assert state.get_placement_group("00" * 18) is None


def test_a_group_has_a_name(ray: Ray, groups: Any, make: Any) -> None:
    group = make([{"CPU": 1}], name="named group")
    assert group.wait(30)
    found = groups.get_placement_group("named group")
    assert found == group
    assert found.bundle_specs == [{"CPU": 1}]
    assert found.bundle_count == 1
    assert groups.placement_group_table()[group.id.hex()]["name"] == "named group"
    with pytest.raises(ValueError, match="no such group"):
        groups.get_placement_group("no such group")
    groups.remove_placement_group(group)
    with pytest.raises(ValueError, match="named group"):
        groups.get_placement_group("named group")


def test_a_group_that_was_removed_can_not_be_waited_for_and_may_be_removed_again(
    ray: Ray, groups: Any, errors: Any
) -> None:
    group = groups.placement_group([{"CPU": 1}])
    assert group.wait(30)
    for _ in range(2):
        groups.remove_placement_group(group)
    with pytest.raises(errors.TaskPlacementGroupRemoved):
        group.wait(30)


def test_a_name_that_is_taken_is_refused(ray: Ray, groups: Any, make: Any, errors: Any) -> None:
    make([{"CPU": 1}], name="taken")
    with pytest.raises(errors.RaySystemError, match="taken"):
        groups.placement_group([{"CPU": 1}], name="taken")


def test_a_task_makes_a_group_by_the_module_of_groups(ray: Ray, groups: Any) -> None:
    @ray.remote(num_cpus=0)
    def make() -> bool:
        group = groups.placement_group([{"special": 1}])
        assert group.wait(30)
        groups.remove_placement_group(group)
        return True

    assert ray.get(make.remote(), timeout=40)


def test_a_bundle_is_named_only_in_a_group(ray: Ray) -> None:
    with pytest.raises(ValueError, match="must be -1"):
        ray.remote(lambda: 1).options(placement_group_bundle_index=0).remote()


def test_an_actor_in_a_bundle_without_cpus_has_to_ask_for_none(ray: Ray, make: Any, strategies: Any) -> None:
    class Actor:
        def ready(self) -> bool:
            return True

    inside = strategies.PlacementGroupSchedulingStrategy(make([{"special": 1}]))
    with pytest.raises(ValueError, match="cannot fit into any bundle"):
        ray.remote(Actor).options(scheduling_strategy=inside).remote()
    assert ray.get(
        ray.remote(Actor).options(num_cpus=0, scheduling_strategy=inside).remote().ready.remote(), timeout=30
    )


@pytest.mark.parametrize(
    ("bundles", "options"),
    [
        ([], {}),
        ([{}], {}),
        ([{"CPU": 0}], {}),
        ([{"CPU": -1}], {}),
        ("CPU", {}),
        ([{"CPU": 1}], {"strategy": "ROUND"}),
        ([{"CPU": 1}], {"lifetime": "for ever"}),
        ([{"bundle": 1}], {}),
        ([{1: 1}], {}),
        ([{"CPU": 1}], {"topology_strategy": {"rack": "SPREAD"}}),
    ],
)
def test_a_group_that_makes_no_sense_is_refused(ray: Ray, groups: Any, bundles: Any, options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        groups.placement_group(bundles, **options)
    with pytest.raises((ValueError, TypeError)):
        groups.validate_placement_group(bundles, **options)


def test_a_group_s_name_is_a_text(ray: Ray, groups: Any) -> None:
    with pytest.raises(TypeError):
        groups.placement_group([{"CPU": 1}], name=5)


def test_a_bundle_s_number_can_be_checked(ray: Ray, groups: Any, make: Any) -> None:
    group = make([{"CPU": 1}, {"CPU": 1}])
    for index in (-1, 0, 1):
        groups.check_placement_group_index(group, index)
    for wrong in (-2, 2):
        with pytest.raises(ValueError, match="bundle index"):
            groups.check_placement_group_index(group, wrong)
    with pytest.raises(ValueError, match="must be -1"):
        groups.check_placement_group_index(groups.PlacementGroup.empty(), 0)


def test_a_group_is_said_in_one_way_only(ray: Ray, make: Any, strategies: Any) -> None:
    inside = strategies.PlacementGroupSchedulingStrategy(group := make([{"CPU": 1}]))
    with pytest.raises(ValueError, match="scheduling_strategy"):
        ray.remote(lambda: 1).options(scheduling_strategy=inside).options(placement_group=group).remote()


def test_a_group_is_no_number(ray: Ray) -> None:
    with pytest.raises(TypeError, match="placement_group"):
        ray.remote(lambda: 1).options(placement_group=1)


def test_a_group_is_checked_without_asking_for_it(groups: Any) -> None:
    assert groups.validate_placement_group([{"CPU": 1}, {"GPU": 2}], "SPREAD", lifetime="detached")
    assert {"PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"} == groups.VALID_PLACEMENT_GROUP_STRATEGIES


def test_a_bundle_keeps_no_part_of_the_object_store_free(ray: Ray, groups: Any) -> None:
    with pytest.warns(DeprecationWarning, match="'object_store_memory' for bundles"):
        group = groups.placement_group([{"object_store_memory": 1000}])
    assert group.wait(30)
    groups.remove_placement_group(group)


def test_the_empty_group_is_none(groups: Any) -> None:
    assert groups.PlacementGroup.empty().is_empty


# -- what runs in it


def in_group(strategies: Any, group: Any, index: int = -1, capture: bool | None = None) -> Any:
    return strategies.PlacementGroupSchedulingStrategy(group, index, capture)


def test_tasks_run_in_the_bundles_and_nowhere_else(ray: Ray, make: Any, strategies: Any, gate: Gate) -> None:
    group = make([{"CPU": 1}, {"CPU": 1}])
    task = ray.remote(gate.through).options(scheduling_strategy=in_group(strategies, group))
    refs = [task.remote(number) for number in range(3)]
    gate.wait_for(2)
    assert ray.wait(refs, num_returns=3, timeout=0.3)[0] == []
    assert gate.arrived() == 2, "its two CPUs are taken, whatever else is free"
    assert ray.get(ray.remote(lambda: "outside").remote(), timeout=30) == "outside"
    gate.open()
    assert ray.get(refs, timeout=30) == [0, 1, 2]


def test_one_bundle_can_be_chosen(ray: Ray, make: Any, strategies: Any, gate: Gate) -> None:
    group = make([{"CPU": 1}, {"CPU": 1}])
    first = ray.remote(gate.through).options(scheduling_strategy=in_group(strategies, group, 0))
    busy, waits = first.remote("busy"), first.remote("waits")
    gate.wait_for(1)
    other = ray.remote(lambda: "beside").options(scheduling_strategy=in_group(strategies, group, 1))
    assert ray.get(other.remote(), timeout=30) == "beside"
    assert gate.arrived() == 1
    gate.open()
    assert ray.get([busy, waits], timeout=30) == ["busy", "waits"]


def test_what_a_bundle_never_holds_is_refused(ray: Ray, make: Any, strategies: Any) -> None:
    group = make([{"CPU": 1}, {"CPU": 1}])
    task = ray.remote(lambda: 1)
    with pytest.raises(ValueError, match="index"):
        task.options(scheduling_strategy=in_group(strategies, group, 2)).remote()
    with pytest.raises(ValueError, match="placement group"):
        task.options(num_cpus=2, scheduling_strategy=in_group(strategies, group)).remote()
    with pytest.raises(ValueError, match="placement group"):
        task.options(resources={"special": 1}, scheduling_strategy=in_group(strategies, group, 0)).remote()


def where_am_i() -> tuple[Any, ...]:
    context = importlib.import_module(NAME).get_runtime_context()
    current = importlib.import_module(f"{NAME}.util.placement_group").get_current_placement_group()
    return context.get_placement_group_id(), None if current is None else current.id.hex()


def nested() -> tuple[Any, ...]:
    ray = importlib.import_module(NAME)
    context = ray.get_runtime_context()
    child = ray.get(ray.remote(num_cpus=0)(where_am_i).remote())
    return context.should_capture_child_tasks_in_placement_group, where_am_i(), child


@pytest.mark.parametrize("capture", [True, False])
def test_children_run_in_the_group_where_they_are_captured(ray: Ray, make: Any, strategies: Any, capture: bool) -> None:
    group = make([{"CPU": 2}])
    strategy = in_group(strategies, group, capture=capture)
    here = (group.id.hex(), group.id.hex())
    captured, mine, child = ray.get(ray.remote(nested).options(scheduling_strategy=strategy).remote(), timeout=30)
    assert captured is capture
    assert mine == here
    assert child == (here if capture else (None, None))
    assert where_am_i() == (None, None)


class Inside:
    def where(self) -> tuple[Any, ...]:
        return where_am_i()

    def nested(self) -> tuple[Any, ...]:
        return nested()

    def pid(self) -> int:
        return os.getpid()


def test_an_actor_lives_in_a_group_and_ends_with_it(ray: Ray, make: Any, groups: Any, strategies: Any) -> None:
    group = make([{"CPU": 2}])
    strategy = in_group(strategies, group, 0, capture=True)
    actor = ray.remote(num_cpus=1, max_restarts=-1)(Inside).options(scheduling_strategy=strategy).remote()
    here = (group.id.hex(), group.id.hex())
    assert ray.get(actor.where.remote(), timeout=30) == here
    assert ray.get(actor.nested.remote(), timeout=30) == (True, here, here)
    groups.remove_placement_group(group)
    with pytest.raises(ray.exceptions.RayError):
        ray.get(actor.pid.remote(), timeout=30)


def test_an_actor_waits_for_its_group(ray: Ray, make: Any, strategies: Any, gate: Gate) -> None:
    busy = ray.remote(num_cpus=CPUS)(gate.through).remote()
    gate.wait_for(1)
    group = make([{"CPU": CPUS}])
    actor = ray.remote(num_cpus=1)(Inside).options(scheduling_strategy=in_group(strategies, group)).remote()
    where = actor.where.remote()
    assert ray.wait([where], timeout=0.3)[0] == []
    gate.open()
    assert ray.get(where, timeout=30)[0] == group.id.hex()
    ray.get(busy)


def test_what_waits_for_a_group_fails_when_it_is_removed(
    ray: Ray, make: Any, groups: Any, strategies: Any, gate: Gate
) -> None:
    group, never = make([{"CPU": 1}]), make([{"CPU": CPUS + 1}])
    task = ray.remote(max_retries=0)(gate.through)
    running = task.options(scheduling_strategy=in_group(strategies, group)).remote()
    gate.wait_for(1)
    waits = [task.options(scheduling_strategy=in_group(strategies, one)).remote() for one in (group, never)]
    assert ray.wait(waits, timeout=0.3)[0] == []
    for one in (group, never):
        groups.remove_placement_group(one)
    with pytest.raises(ray.exceptions.RayError):
        ray.get(running, timeout=30)
    for ref in waits:
        with pytest.raises(ray.exceptions.TaskPlacementGroupRemoved):
            ray.get(ref, timeout=30)
    with pytest.raises(ray.exceptions.TaskPlacementGroupRemoved):
        ray.get(task.options(scheduling_strategy=in_group(strategies, group)).remote(), timeout=30)
    actor = ray.remote(Inside).options(scheduling_strategy=in_group(strategies, group)).remote()
    with pytest.raises(ray.exceptions.ActorPlacementGroupRemoved):
        ray.get(actor.where.remote(), timeout=30)


def test_a_task_that_waits_in_a_group_lends_its_cpu_to_the_group(ray: Ray, make: Any, strategies: Any) -> None:
    def outer() -> str:
        ray = importlib.import_module(NAME)
        return str(ray.get(ray.remote(lambda: "inner").remote()))

    group = make([{"CPU": 1}])
    task = ray.remote(outer).options(scheduling_strategy=in_group(strategies, group, capture=True))
    assert ray.get(task.remote(), timeout=30) == "inner"


# -- other ways


def test_a_task_runs_on_the_node_it_is_to_run_on(ray: Ray, strategies: Any) -> None:
    here = ray.get_runtime_context().get_node_id()
    there = "ab" * (len(here) // 2)

    def node() -> str:
        return str(importlib.import_module(NAME).get_runtime_context().get_node_id())

    def on(node_id: str, soft: bool) -> Any:
        strategy = strategies.NodeAffinitySchedulingStrategy(node_id, soft=soft)
        return ray.remote(node).options(scheduling_strategy=strategy).remote()

    assert ray.get([on(here, False), on(here, True), on(there, True)], timeout=60) == [here] * 3
    with pytest.raises(ray.exceptions.TaskUnschedulableError):
        ray.get(on(there, False), timeout=60)
    for strategy in ("DEFAULT", "SPREAD"):
        assert ray.get(ray.remote(node).options(scheduling_strategy=strategy).remote(), timeout=30) == here


def test_another_label_may_do_where_the_first_is_not_there(ray: Ray, raynb_only: None) -> None:
    here = {"label_selector": {"ray.io/node-id": ray.get_runtime_context().get_node_id()}}
    far = {"label_selector": {"zone": "far"}}

    class Named:
        def name(self) -> str:
            return "actor"

    task = ray.remote(lambda: "task").options(**far, fallback_strategy=[far, here])
    actor = ray.remote(Named).options(**far, fallback_strategy=[here]).remote()
    assert ray.get([task.remote(), actor.name.remote()], timeout=30) == ["task", "actor"]
    waits = task.options(fallback_strategy=[far]).remote()
    assert ray.wait([waits], timeout=0.2)[0] == []
    ray.cancel(waits)
    for wrong, words in (
        ({"num_cpus": 1}, "num_cpus"),
        ({"label_selector": 1}, "must be a dictionary"),
        (1, "not of 1"),
    ):
        with pytest.raises(ValueError, match=words):
            task.options(fallback_strategy=[wrong])


def test_a_label_that_no_node_has_is_waited_for(ray: Ray, raynb_only: None) -> None:
    here = ray.get_runtime_context().get_node_id()
    task = ray.remote(lambda: 1)
    for meets in ({"ray.io/node-id": here}, {"zone": "!far"}, {"ray.io/node-id": f"in({here}, other)"}):
        assert ray.get(task.options(label_selector=meets).remote(), timeout=30) == 1
    waits = task.options(label_selector={"zone": "far"}).remote()
    assert ray.wait([waits], timeout=0.2)[0] == []
    assert "zone=far" in str(waits.why())
    ray.cancel(waits)
    accelerated = task.options(accelerator_type="A100").remote()
    assert ray.wait([accelerated], timeout=0.2)[0] == []
    ray.cancel(accelerated)
