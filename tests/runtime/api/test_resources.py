"""What a task needs and what the cluster has: CPUs, fractions, custom resources, nodes."""

from __future__ import annotations

import importlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.support.cluster import CPUS, cluster_of
from tests.support.gate import Gate
from tests.support.module import NAME, Ray
from tests.support.waiting import wait_until


def available(ray: Ray, name: str) -> float:
    found: float = ray.available_resources().get(name, 0.0)
    return found


def test_the_cluster_has_what_it_was_started_with(ray: Ray) -> None:
    total = ray.cluster_resources()
    assert total["CPU"] == CPUS
    assert total["special"] == 2
    assert total["memory"] > 0
    assert total["object_store_memory"] > 0
    assert any(name.startswith("node:") for name in total)


def test_what_runs_is_taken_and_given_back(ray: Ray, gate: Gate) -> None:
    wait_until(lambda: available(ray, "CPU") == CPUS)
    ref = ray.remote(num_cpus=3)(gate.through).remote()
    gate.wait_for(1)
    wait_until(lambda: available(ray, "CPU") == CPUS - 3)
    gate.open()
    ray.get(ref)
    wait_until(lambda: available(ray, "CPU") == CPUS)


def test_no_more_tasks_run_at_once_than_there_are_cpus(ray: Ray, gate: Gate) -> None:
    refs = [ray.remote(gate.through).remote(number) for number in range(CPUS + 2)]
    gate.wait_for(CPUS)
    assert ray.wait(refs, timeout=0.3)[0] == []
    assert gate.arrived() == CPUS
    gate.open()
    assert ray.get(refs) == list(range(CPUS + 2))


def test_fractions_of_a_cpu_let_more_tasks_run_at_once(ray: Ray, gate: Gate) -> None:
    refs = [ray.remote(num_cpus=0.5)(gate.through).remote() for _ in range(6)]
    gate.wait_for(6, timeout=60)
    wait_until(lambda: available(ray, "CPU") == 1)
    gate.open()
    ray.get(refs)


def test_tasks_without_cpus_run_beside_all_others(ray: Ray, gate: Gate) -> None:
    refs = [ray.remote(gate.through).remote() for _ in range(CPUS)]
    gate.wait_for(CPUS)
    assert ray.get(ray.remote(num_cpus=0)(lambda: "beside").remote(), timeout=30) == "beside"
    gate.open()
    ray.get(refs)


def test_a_custom_resource_limits_how_many_run_at_once(ray: Ray, gate: Gate) -> None:
    task = ray.remote(num_cpus=0, resources={"special": 1})(gate.through)
    refs = [task.remote(number) for number in range(3)]
    gate.wait_for(2)
    wait_until(lambda: available(ray, "special") == 0)
    assert ray.wait(refs, timeout=0.3)[0] == []
    assert gate.arrived() == 2
    gate.open()
    assert ray.get(refs) == [0, 1, 2]


def test_a_fraction_of_a_custom_resource_can_be_asked_for(ray: Ray, gate: Gate) -> None:
    task = ray.remote(num_cpus=0, resources={"special": 0.5})(gate.through)
    refs = [task.remote() for _ in range(3)]
    gate.wait_for(3)
    wait_until(lambda: available(ray, "special") == 0.5)
    gate.open()
    ray.get(refs)


def test_an_amount_may_be_any_real_number(ray: Ray) -> None:
    task = ray.remote(resources={"special": np.int64(1)}, num_cpus=0)(lambda: "ran")
    assert ray.get(task.options(resources={"special": np.float32(0.5)}).remote(), timeout=30) == "ran"
    assert ray.get(task.remote(), timeout=30) == "ran"
    with pytest.raises((ValueError, TypeError)):
        task.options(resources={"special": "1"}).remote()


def test_a_long_queue_of_small_tasks_lets_a_large_one_in_between(ray: Ray) -> None:
    small = ray.remote(lambda: time.sleep(0.02))
    many = [small.remote() for _ in range(100 * CPUS)]
    ray.get(many[:CPUS])
    large = ray.remote(num_cpus=CPUS)(lambda: "had its turn").remote()
    assert ray.get(large, timeout=30) == "had its turn"
    assert ray.wait(many, num_returns=len(many), timeout=0)[1], "not only after all of them"
    ray.get(many)


def test_a_task_that_asks_for_what_nobody_has_waits(ray: Ray) -> None:
    refs = [
        ray.remote(resources={"nowhere": 1})(lambda: None).remote(),
        ray.remote(num_cpus=CPUS + 1)(lambda: None).remote(),
        ray.remote(num_gpus=1)(lambda: None).remote(),
    ]
    assert ray.wait(refs, timeout=0.3) == ([], refs)
    assert ray.get(ray.remote(lambda: "others run").remote()) == "others run"
    for ref in refs:
        ray.cancel(ref)
    for ref in refs:
        with pytest.raises(ray.exceptions.TaskCancelledError):
            ray.get(ref, timeout=20)


def test_an_actor_holds_what_it_was_given_as_long_as_it_lives(ray: Ray) -> None:
    @ray.remote(num_cpus=2, resources={"special": 1})
    class Holder:
        def here(self) -> bool:
            return True

    wait_until(lambda: available(ray, "CPU") == CPUS)
    holder = Holder.remote()
    ray.get(holder.here.remote())
    wait_until(lambda: (available(ray, "CPU"), available(ray, "special")) == (CPUS - 2, 1))
    ray.kill(holder)
    wait_until(lambda: (available(ray, "CPU"), available(ray, "special")) == (CPUS, 2))


def test_an_actor_holds_no_cpu_unless_it_was_given_one(ray: Ray) -> None:
    @ray.remote
    class Idle:
        def here(self) -> bool:
            return True

    idle = Idle.remote()
    ray.get(idle.here.remote())
    wait_until(lambda: available(ray, "CPU") == CPUS)


def test_a_task_that_waits_for_another_gives_its_cpus_back(ray: Ray) -> None:
    all_of_it = ray.remote(num_cpus=CPUS)

    @all_of_it
    def child() -> str:
        return "ran"

    @all_of_it
    def parent() -> Any:
        return ray.get(child.remote()), ray.wait([child.remote()])[1]

    assert ray.get(parent.remote(), timeout=60) == ("ran", [])


def test_the_nodes_say_where_they_are_and_what_they_have(ray: Ray) -> None:
    (node,) = ray.nodes()
    assert node["Alive"] is True
    assert node["Resources"]["CPU"] == CPUS
    assert node["NodeID"] == ray.get_runtime_context().get_node_id()
    assert node["NodeManagerAddress"]


def test_a_task_knows_what_it_was_given(ray: Ray) -> None:
    @ray.remote(num_cpus=2, resources={"special": 1})
    def given() -> Any:
        return ray.get_runtime_context().get_assigned_resources(), ray.get_gpu_ids()

    assert ray.get(given.remote()) == ({"CPU": 2.0, "special": 1.0}, [])


def threads_chosen() -> str:
    return os.environ["OMP_NUM_THREADS"]


@pytest.mark.parametrize(("cpus", "threads"), [(2, "2"), (0.25, "1"), (1, "1"), (0, "1")])
def test_numeric_libraries_start_as_many_threads_as_a_task_has_cpus(ray: Ray, cpus: float, threads: str) -> None:
    assert ray.get(ray.remote(threads_chosen).options(num_cpus=cpus).remote()) == threads

    class Actor:
        threads = staticmethod(threads_chosen)

    assert ray.get(ray.remote(Actor).options(num_cpus=cpus).remote().threads.remote()) == threads


def test_a_number_of_threads_that_was_chosen_stays(ray: Ray) -> None:
    chosen = {"env_vars": {"OMP_NUM_THREADS": "1"}}
    assert ray.get(ray.remote(threads_chosen).options(num_cpus=2, runtime_env=chosen).remote()) == "1"


def test_a_thread_of_a_task_works_for_its_job(ray: Ray) -> None:
    @ray.remote
    def in_a_thread() -> list[str]:
        with ThreadPoolExecutor(1) as pool:
            ref = pool.submit(ray.remote(lambda: 1).remote).result()
            return [ref.job_id().hex(), ray.get_runtime_context().get_job_id()]

    assert set(ray.get(in_a_thread.remote())) == {ray.get_runtime_context().get_job_id()}


def test_what_lies_in_the_object_store_is_not_available(ray: Ray) -> None:
    name, size = "object_store_memory", 5_000_000
    wait_until(lambda: available(ray, name) == ray.cluster_resources()[name])
    ref = ray.put(bytes(size))
    wait_until(lambda: size <= ray.cluster_resources()[name] - available(ray, name) < 2 * size)
    del ref
    wait_until(lambda: available(ray, name) == ray.cluster_resources()[name])


def test_a_part_of_the_object_store_can_be_asked_for(ray: Ray, gate: Gate) -> None:
    name = "object_store_memory"
    share = ray.cluster_resources()[name] * 0.6
    refs = [ray.remote(object_store_memory=share)(gate.through).remote() for _ in range(2)]
    gate.wait_for(1)
    assert ray.wait(refs, timeout=0.3)[0] == []
    assert gate.arrived() == 1, "there is no room for two"
    gate.open()
    ray.get(refs)

    class Actor:
        def assigned(self) -> dict[str, float]:
            found: dict[str, float] = ray.get_runtime_context().get_assigned_resources()
            return found

    with pytest.warns(DeprecationWarning, match="'object_store_memory' for actors"):
        actor = ray.remote(object_store_memory=1000)(Actor)
    assert ray.get(actor.remote().assigned.remote())[name] == 1000
    with pytest.raises(ValueError, match="Use the 'object_store_memory' keyword"):
        ray.remote(resources={name: 1})(Actor)


def test_memory_is_asked_for_in_whole_bytes(bare_ray: Ray) -> None:
    if bare_ray.is_initialized():
        bare_ray.shutdown()
    with cluster_of(bare_ray, num_cpus=1, _memory=2):
        task = bare_ray.remote(lambda: 1)
        fits = [task.options(memory=bytes_).remote() for bytes_ in (2.9, 0.5)]
        assert bare_ray.get(fits, timeout=30) == [1, 1]
        assert bare_ray.wait([task.options(memory=3.1).remote()], timeout=0.2)[0] == []


def test_what_an_actor_or_a_group_has_taken_is_not_free_any_more_when_it_is_there(bare_ray: Ray) -> None:
    ray = bare_ray
    groups = importlib.import_module(f"{NAME}.util.placement_group")

    class Holds:
        def nothing(self) -> None: ...

    with cluster_of(ray, num_cpus=4):
        for _ in range(5):
            actor = ray.remote(num_cpus=1)(Holds).remote()
            ray.get(actor.nothing.remote(), timeout=30)
            assert ray.available_resources()["CPU"] == 3
            group = groups.placement_group([{"CPU": 2}])
            ray.get(group.ready(), timeout=30)
            assert ray.available_resources()["CPU"] == 1
            groups.remove_placement_group(group)
            ray.kill(actor)
            wait_until(lambda: ray.available_resources()["CPU"] == 4, 20)
