"""GPUs are assigned one by one, and what runs sees those that it has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cluster import cluster_of
from tests.support.gate import Gate
from tests.support.module import Ray


@pytest.fixture(scope="module")
def cluster(bare_ray: Ray) -> Iterator[Any]:
    """As the other modules', with three GPUs, which no test touches."""
    with cluster_of(bare_ray, num_gpus=3, namespace="spec") as context:
        yield context


@pytest.fixture
def look(ray: Ray) -> Any:
    """What a task sees: its GPUs by two names, and what CUDA would see."""

    def look(gate: Any = None) -> Any:
        if gate is not None:
            gate()
        ids = ray.get_runtime_context().get_accelerator_ids()["GPU"]
        return ray.get_gpu_ids(), ids, os.environ.get("CUDA_VISIBLE_DEVICES"), os.getpid()

    return look


def test_what_runs_at_once_has_different_ones(ray: Ray, look: Any, gate: Gate) -> None:
    behind = ray.remote(num_gpus=1)(look)
    refs = [behind.remote(gate.through) for _ in range(3)]
    gate.wait_for(3)
    gate.open()
    found = ray.get(refs, timeout=30)
    assert sorted(numbers for numbers, *_ in found) == [[0], [1], [2]]
    for numbers, names, seen, _ in found:
        assert names == [str(numbers[0])] and seen == str(numbers[0])


def test_several_are_seen_together(ray: Ray, look: Any) -> None:
    numbers, _, seen, _ = ray.get(ray.remote(num_gpus=2)(look).remote(), timeout=30)
    assert len(set(numbers)) == 2 and seen == ",".join(map(str, numbers))


def test_parts_share_one(ray: Ray, look: Any, gate: Gate) -> None:
    behind = ray.remote(num_gpus=0.5)(look)
    refs = [behind.remote(gate.through) for _ in range(2)]
    gate.wait_for(2)
    gate.open()
    (first, *_), (second, *_) = ray.get(refs, timeout=30)
    assert first == second and len(first) == 1


def test_what_asks_for_none_sees_what_the_node_sees(ray: Ray, look: Any) -> None:
    assert ray.get(ray.remote(look).remote(), timeout=30)[:3] == ([], [], os.environ.get("CUDA_VISIBLE_DEVICES"))
    assert ray.get_gpu_ids() == []


def test_an_actor_keeps_its_own(ray: Ray, look: Any) -> None:
    class Holder:
        def __init__(self) -> None:
            self.at_first = look()

        def look(self) -> Any:
            return self.at_first, look()

    actors = [ray.remote(num_gpus=1)(Holder).remote() for _ in range(2)]
    found = ray.get([actor.look.remote() for actor in actors], timeout=30)
    for at_first, now in found:
        assert at_first == now and now[2] == str(now[0][0])
    assert found[0][1][0] != found[1][1][0]
    for actor in actors:
        ray.kill(actor)


def test_a_process_that_has_used_a_gpu_ends_for_it_keeps_its_memory(ray: Ray, look: Any) -> None:
    task = ray.remote(num_gpus=1)(look)
    pids = [ray.get(task.remote(), timeout=30)[3] for _ in range(3)]
    assert len(set(pids)) == 3
    stays = ray.remote(num_gpus=1, max_calls=0)(look)
    assert len({ray.get(stays.remote(), timeout=30)[3] for _ in range(3)}) == 1


def test_a_bundles_tasks_have_the_bundles_own(ray: Ray, look: Any) -> None:
    from importlib import import_module

    groups = import_module(f"{ray.__name__}.util")
    strategy = import_module(f"{ray.__name__}.util.scheduling_strategies").PlacementGroupSchedulingStrategy
    group = groups.placement_group([{"CPU": 1, "GPU": 1}] * 2)
    assert group.wait(30)

    def inside(index: int) -> Any:
        options = {"num_gpus": 1, "scheduling_strategy": strategy(group, placement_group_bundle_index=index)}
        return ray.get(ray.remote(**options)(look).remote(), timeout=30)[0]

    of_each = [inside(0), inside(1)]
    assert of_each[0] != of_each[1]
    assert [inside(0), inside(1)] == of_each
    groups.remove_placement_group(group)
    numbers, *_ = ray.get(ray.remote(num_gpus=3)(look).remote(), timeout=30)
    assert sorted(numbers) == [0, 1, 2]


def test_more_than_one_is_a_whole_number(ray: Ray, look: Any) -> None:
    task = ray.remote(num_gpus=1.5)(look)  # it is when it is called that it is refused, as in Ray
    with pytest.raises(ValueError, match="GPU resource quantities >1 must"):
        task.remote()
    with pytest.raises(ValueError, match="TPU resource quantities >1 must"):
        ray.remote(type("Some", (), {})).options(resources={"TPU": 2.5}).remote()


def test_what_uses_a_gpu_has_processes_of_its_own(ray: Ray) -> None:
    pids = [ray.get(ray.remote(os.getpid).options(num_cpus=0).remote()) for _ in range(3)]
    assert ray.get(ray.remote(os.getpid).options(num_gpus=1).remote()) not in pids


def test_a_node_cant_have_more_than_it_sees(bare_ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,5")
    if bare_ray.is_initialized():
        bare_ray.shutdown()
    with pytest.raises(ValueError, match="CUDA_VISIBLE_DEVICES"):
        bare_ray.init(num_cpus=1, num_gpus=3)
    with cluster_of(bare_ray, num_gpus=2) as _:
        names = bare_ray.get(bare_ray.remote(num_gpus=2)(bare_ray.get_gpu_ids).remote(), timeout=30)
        assert names == ["GPU-a", "5"]
