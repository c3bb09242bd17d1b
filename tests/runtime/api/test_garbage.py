"""References in circles of Python's objects, which nobody looks for by himself."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cluster import cluster_of
from tests.support.module import NAME, Ray
from tests.support.waiting import wait_until

STORE = 100_000_000
pytestmark = pytest.mark.usefixtures("raynb_only")


@pytest.fixture(scope="module")
def cluster(bare_ray: Ray) -> Iterator[Any]:
    config = {"garbage_pause_s": 0.2}
    with cluster_of(bare_ray, num_cpus=1, object_store_memory=STORE, _system_config=config) as context:
        yield context


@pytest.fixture(autouse=True)
def nobody_looks() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def keeper(ray: Ray) -> Any:
    class Keeper:
        def __init__(self) -> None:
            gc.disable()

        def put_in_circle(self, size: int) -> None:
            in_circle(ray.put(bytes(size)))

    return ray.remote(num_cpus=0)(Keeper).remote()


def in_circle(what: object) -> None:
    circle = [what]
    circle.append(circle)


def available(ray: Ray) -> float:
    found: float = ray.available_resources().get("object_store_memory", 0.0)
    return found


def test_an_actor_in_a_circle_makes_room_for_one_that_waits(ray: Ray) -> None:
    class Actor:
        def one(self) -> int:
            return 1

    for _ in range(3):
        actor = ray.remote(num_cpus=1)(Actor).remote()
        assert ray.get(actor.one.remote(), timeout=30) == 1
        in_circle(actor)
        del actor
    gc.collect()


def test_who_asks_has_all_processes_look(ray: Ray, keeper: Any) -> None:
    wait_until(lambda: available(ray) == STORE)
    ray.get(keeper.put_in_circle.remote(STORE // 5))
    wait_until(lambda: available(ray) < STORE)
    importlib.import_module(f"{NAME}._private.internal_api").global_gc()
    wait_until(lambda: available(ray) == STORE)


def test_a_store_that_gets_full_has_them_look(ray: Ray, keeper: Any) -> None:
    wait_until(lambda: available(ray) == STORE)
    for _ in range(4):
        ray.get(keeper.put_in_circle.remote(STORE // 5))
    # They may look while the last of them is still made: that one is no garbage then, and alone fills nothing.
    wait_until(lambda: available(ray) >= STORE - 1.5 * (STORE // 5))
