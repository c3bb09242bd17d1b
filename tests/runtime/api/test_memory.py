"""The object store: what takes memory in it, and when that memory is free again.

Ray gives no such figures, so that most of this is checked on raynb alone.
"""

from __future__ import annotations

import gc
import importlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.cluster import cluster_of
from tests.support.module import Ray
from tests.support.waiting import wait_until

MB = 1_000_000
CAPACITY = 100 * MB

pytestmark = pytest.mark.usefixtures("raynb_only")


@pytest.fixture(scope="module")
def cluster(bare_ray: Ray) -> Iterator[Any]:
    """A cluster with little memory for objects, and no disk for them."""
    off = {"spill_directory": "off"}
    with cluster_of(bare_ray, num_cpus=2, object_store_memory=CAPACITY, _system_config=off) as context:
        yield context


@pytest.fixture
def used(ray: Ray) -> Callable[[], int]:
    """How many bytes of the object store are in use; at first none."""
    api = importlib.import_module("raynb")

    def bytes_in_use() -> int:
        gc.collect()
        found: int = api.object_store_usage()["used_bytes"]
        return found

    wait_until(lambda: bytes_in_use() == 0, 5, "the store is empty")
    return bytes_in_use


def array(megabytes: int) -> np.ndarray[Any, Any]:
    return np.ones(megabytes * MB, np.uint8)


def test_the_store_has_the_size_that_was_asked_for(ray: Ray, used: Callable[[], int]) -> None:
    usage = importlib.import_module("raynb").object_store_usage()
    assert usage["capacity_bytes"] == pytest.approx(CAPACITY, rel=0.1)
    assert usage["objects"] == 0


def test_an_object_takes_its_size_and_its_memory_is_free_when_its_ref_is_gone(
    ray: Ray, used: Callable[[], int]
) -> None:
    ref = ray.put(array(10))
    wait_until(lambda: 10 * MB <= used() < 12 * MB)
    del ref
    wait_until(lambda: used() == 0)


def test_a_view_keeps_the_memory_when_the_ref_is_gone(ray: Ray, used: Callable[[], int]) -> None:
    view = ray.get(ray.put(array(10)))[5:7]
    gc.collect()
    assert used() >= 10 * MB
    assert view.sum() == 2
    del view
    wait_until(lambda: used() == 0)


def test_the_argument_and_the_result_of_a_task_are_free_when_nobody_has_them(ray: Ray, used: Callable[[], int]) -> None:
    ref = ray.remote(lambda value: value + 1).remote(ray.put(array(5)))
    ray.wait([ref], timeout=20)
    wait_until(lambda: 5 * MB <= used() < 6 * MB)  # the argument is gone, the result is here
    del ref
    wait_until(lambda: used() == 0)


def test_a_result_that_nobody_waits_for_is_free_when_it_is_made(ray: Ray, used: Callable[[], int]) -> None:
    ray.remote(lambda: np.ones(5 * MB, np.uint8)).remote()
    assert ray.get(ray.remote(lambda: "after").remote()) == "after"
    wait_until(lambda: used() == 0)


def test_an_object_inside_an_object_lives_as_long_as_the_outer_one(ray: Ray, used: Callable[[], int]) -> None:
    outer = ray.put([ray.put(array(5))])
    wait_until(lambda: used() >= 5 * MB)
    assert ray.get(ray.get(outer)[0]).sum() == 5 * MB
    del outer
    wait_until(lambda: used() == 0)


def test_an_actor_that_holds_a_ref_keeps_the_object_until_it_drops_it(ray: Ray, used: Callable[[], int]) -> None:
    @ray.remote
    class Holder:
        def hold(self, box: list[Any]) -> None:
            self.box = box

        def total(self) -> int:
            return int(ray.get(self.box[0]).sum())

        def drop(self) -> None:
            del self.box

    holder = Holder.remote()
    ref = ray.put(array(5))
    ray.get(holder.hold.remote([ref]))
    del ref
    gc.collect()
    assert ray.get(holder.total.remote()) == 5 * MB
    assert used() >= 5 * MB
    ray.get(holder.drop.remote())
    wait_until(lambda: used() == 0)


def test_an_actor_that_is_killed_lets_go_of_what_it_held(ray: Ray, used: Callable[[], int]) -> None:
    @ray.remote
    class Holder:
        def hold(self, box: list[Any]) -> None:
            self.box = box
            self.view = ray.get(box[0])

    holder = Holder.remote()
    ref = ray.put(array(5))
    ray.get(holder.hold.remote([ref]))
    del ref
    ray.kill(holder)
    wait_until(lambda: used() == 0)


def test_what_died_with_its_owner_is_free_although_it_is_referred_to(ray: Ray, used: Callable[[], int]) -> None:
    @ray.remote(num_cpus=0)
    class Owner:
        def put(self) -> tuple[list[Any], int]:
            return [ray.put(array(30))], os.getpid()

    owner = Owner.remote()
    (ref,), pid = ray.get(owner.put.remote(), timeout=30)
    ray.kill(owner)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 10, "its process has ended")
    with pytest.raises(ray.exceptions.OwnerDiedError):
        ray.get(ref, timeout=30)
    wait_until(lambda: used() == 0, 10)
    with pytest.raises(ray.exceptions.OwnerDiedError):
        ray.get(ref, timeout=30)


def test_what_a_task_has_put_is_free_when_the_caller_drops_it(ray: Ray, used: Callable[[], int]) -> None:
    refs = ray.get(ray.remote(lambda: [ray.put(np.ones(5 * MB, np.uint8))]).remote())
    assert ray.get(refs[0]).sum() == 5 * MB
    del refs
    wait_until(lambda: used() == 0)


def test_a_failed_task_keeps_nothing(ray: Ray, used: Callable[[], int]) -> None:
    ref = ray.remote(lambda value: value.no_such_attribute).remote(ray.put(array(5)))
    with pytest.raises(AttributeError):
        ray.get(ref)
    del ref
    wait_until(lambda: used() == 0)


def test_memory_is_used_again_and_again(ray: Ray, used: Callable[[], int]) -> None:
    for number in range(50):
        assert ray.get(ray.put(np.full(20 * MB, number, np.uint8)))[-1] == number
    wait_until(lambda: used() == 0)


def test_tasks_can_pass_more_than_the_store_holds_one_after_the_other(ray: Ray, used: Callable[[], int]) -> None:
    task = ray.remote(lambda value: value + 1)
    for _ in range(20):
        assert ray.get(task.remote(array(10)))[0] == 2
    wait_until(lambda: used() == 0)


def test_a_full_store_is_an_error_that_names_the_holders_and_passes(ray: Ray, used: Callable[[], int]) -> None:
    kept = []
    with pytest.raises(ray.exceptions.ObjectStoreFullError) as caught:
        for _ in range(20):
            kept.append(ray.put(array(10)))
    assert 7 <= len(kept) <= 10
    assert " MB were asked for" in str(caught.value)
    kept.clear()
    wait_until(lambda: used() == 0)
    assert ray.get(ray.put(array(10))).sum() == 10 * MB


def test_an_object_larger_than_the_store_is_refused_at_once(ray: Ray, used: Callable[[], int]) -> None:
    with pytest.raises(ray.exceptions.ObjectStoreFullError):
        ray.put(array(2 * CAPACITY // MB))
    with pytest.raises(ray.exceptions.ObjectStoreFullError):
        ray.get(ray.remote(lambda: np.ones(2 * CAPACITY, np.uint8)).remote(), timeout=60)


def test_shared_memory_belongs_to_its_user_alone(ray: Ray, cluster: Any) -> None:
    ref = ray.put(array(10))
    session = Path(cluster["session_dir"]).name
    segments = list(Path("/dev/shm").glob(f"raynb-*{session}*")) or list(Path("/dev/shm").glob("raynb-*"))
    assert segments
    assert {stat.S_IMODE(segment.stat().st_mode) for segment in segments} == {0o600}
    del ref
