"""`init(local_mode=True)`: what is remote runs in the process that calls it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from raynb.util import list_named_actors
from tests.support.cluster import cluster_of
from tests.support.module import Ray

pytestmark = pytest.mark.usefixtures("raynb_only")


@pytest.fixture(scope="module")
def ray(bare_ray: Ray) -> Iterator[Ray]:
    with cluster_of(bare_ray, local_mode=True, namespace="here"):
        yield bare_ray


class Counter:
    def __init__(self, start: int = 0) -> None:
        self.value = start

    def add(self, amount: int = 1) -> int:
        self.value += amount
        return self.value

    def fail(self) -> None:
        raise KeyError("no")

    def up_to(self, end: int) -> Iterator[int]:
        yield from range(end)


def test_a_task_runs_here_and_its_argument_is_a_copy(ray: Ray) -> None:
    seen: list[int] = []

    def look(value: list[int]) -> tuple[int, list[int]]:
        value.append(1)
        seen.append(1)
        return os.getpid(), value

    given = [0]
    assert ray.get(ray.remote(look).remote(given)) == (os.getpid(), [0, 1])
    assert given == [0]
    assert seen == [1]


def test_references_are_values_in_a_call(ray: Ray) -> None:
    add = ray.remote(lambda a, b: a + b)
    first = add.remote(ray.put(1), 2)
    assert ray.get(add.remote(first, b=first)) == 6
    array = ray.put(np.ones(100_000))
    assert ray.get(ray.remote(lambda x: float(x.sum())).remote(array)) == 100_000
    ready, late = ray.wait([first, array], num_returns=2)
    assert (len(ready), late) == (2, [])


def test_what_a_task_raises_is_raised_by_get(ray: Ray, errors: Any) -> None:
    def fail() -> None:
        raise ValueError("here")

    ref = ray.remote(fail).remote()
    with pytest.raises(ValueError, match="here") as raised:
        ray.get(ref)
    assert isinstance(raised.value, errors.RayTaskError)
    with pytest.raises(ValueError, match="here"):
        ray.get(ray.remote(lambda x: x).remote(ref))


def test_several_results_and_none(ray: Ray) -> None:
    assert ray.get(ray.remote(num_returns=2)(lambda: (1, 2)).remote()) == [1, 2]
    assert ray.remote(num_returns=0)(lambda: None).remote() is None
    with pytest.raises(ValueError, match="returned 3 objects"):
        ray.get(ray.remote(num_returns=2)(lambda: (1, 2, 3)).remote())


def test_generators_have_run_to_their_end(ray: Ray) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("in the middle")

    first, second = ray.remote(items).remote()
    assert ray.get(first) == 1
    with pytest.raises(ValueError, match="in the middle"):
        ray.get(second)
    with pytest.warns(DeprecationWarning):
        many = ray.remote(num_returns="dynamic")(Counter.up_to)
    dynamic = ray.get(many.remote(None, 3))
    assert [ray.get(ref) for ref in dynamic] == [0, 1, 2]


def test_actors_live_here_too(ray: Ray, errors: Any) -> None:
    counter = ray.remote(Counter).options(name="counter").remote(5)
    assert ray.get([counter.add.remote(), counter.add.remote(amount=3)]) == [6, 9]
    assert ray.get(ray.get_actor("counter").add.remote()) == 10
    assert ray.get(ray.remote(lambda actor: ray.get(actor.add.remote())).remote(counter)) == 11
    assert [ray.get(ref) for ref in counter.up_to.remote(2)] == [0, 1]
    with pytest.raises(KeyError):
        ray.get(counter.fail.remote())
    with pytest.raises(ValueError, match="already taken"):
        ray.remote(Counter).options(name="counter").remote()
    assert ray.remote(Counter).options(name="counter", get_if_exists=True).remote() == counter
    assert list_named_actors() == ["counter"]
    ray.kill(counter)
    assert list_named_actors() == []
    with pytest.raises(errors.ActorDiedError, match="killed"):
        ray.get(counter.add.remote())
    with pytest.raises(ValueError, match="Failed to look up actor"):
        ray.get_actor("counter")


def test_methods_may_be_asynchronous(ray: Ray) -> None:
    class Slow:
        async def double(self, value: int) -> int:
            await asyncio.sleep(0)
            return 2 * value

    assert ray.get(ray.remote(Slow).remote().double.remote(4)) == 8


def test_a_call_knows_its_name(ray: Ray) -> None:
    class Knows:
        def name(self) -> Any:
            return ray.get_runtime_context().get_task_name(), ray.get_runtime_context().get_actor_id()

    actor = ray.remote(Knows).remote()
    assert ray.get(actor.name.remote()) == ("Knows.name", actor._actor_id.hex())
    assert ray.get_runtime_context().get_task_name() is None
