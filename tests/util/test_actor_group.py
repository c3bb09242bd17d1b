"""`ActorGroup`: one call, many actors."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import module
from tests.support.module import Ray


class Member:
    def __init__(self, first: int, second: int = 0) -> None:
        self.sum = first + second

    def plus(self, value: int, *, twice: bool = False) -> int:
        return self.sum + value * (2 if twice else 1)


class Telling(Member):
    def get_actor_metadata(self) -> dict[str, int]:
        return {"sum": self.sum}


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # for each, see below


@pytest.fixture
def groups(ray: Ray) -> Any:
    return importlib.import_module(f"{module.NAME}.util.actor_group")


@pytest.fixture
def group(groups: Any) -> Iterator[Any]:
    group = groups.ActorGroup(Member, num_actors=2, num_cpus_per_actor=0, init_args=(10,), init_kwargs={"second": 1})
    yield group
    group.shutdown(patience_s=0)


def test_a_call_goes_to_every_actor(ray: Ray, group: Any) -> None:
    assert len(group) == 2
    assert ray.get(group.plus.remote(5)) == [16, 16]
    assert ray.get(group.plus.remote(5, twice=True)) == [21, 21]


def test_one_actor_can_be_called_alone(ray: Ray, group: Any) -> None:
    assert ray.get(group[1].actor.plus.remote(1)) == 12
    assert [ray.get(each.actor.plus.remote(1)) for each in group] == [12, 12]


def test_actors_are_added_and_removed(ray: Ray, group: Any) -> None:
    group.add_actors(2)
    assert ray.get(group.plus.remote(0)) == [11] * 4
    group.remove_actors([0, 2])
    assert ray.get(group.plus.remote(0)) == [11] * 2
    assert group.actor_metadata == [None, None]


def test_what_actors_tell_about_themselves_is_kept(groups: Any) -> None:
    group = groups.ActorGroup(Telling, num_actors=2, num_cpus_per_actor=0, init_args=(3,))
    assert group.actor_metadata == [{"sum": 3}] * 2
    group.add_actors(1)
    assert group[2].metadata == {"sum": 3}
    group.shutdown(patience_s=0)
    assert group.actor_metadata == []


def test_it_warns_that_ray_deprecates_it(groups: Any) -> None:
    with pytest.warns(DeprecationWarning, match="use ray.util.multiprocessing") as caught:
        groups.ActorGroup(Member, num_cpus_per_actor=0, init_args=(1,)).shutdown(patience_s=0)
    assert (caught[0].category.__name__, caught[0].filename) == ("RayDeprecationWarning", __file__)


def test_after_a_shutdown_it_has_to_be_started_again(ray: Ray, group: Any) -> None:
    group.shutdown()
    assert len(group) == 0
    with pytest.raises(RuntimeError, match="shutdown"):
        group.plus.remote(1)
    group.start()
    assert ray.get(group.plus.remote(0)) == [11, 11]


def test_one_that_runs_is_not_started_again(group: Any) -> None:
    with pytest.raises(RuntimeError, match="already been started"):
        group.start()


def test_its_methods_are_called_by_remote(group: Any) -> None:
    with pytest.raises(TypeError, match="remote"):
        group.plus(1)


@pytest.mark.parametrize("wrong", [{"num_actors": 0}, {"num_cpus_per_actor": -1}, {"num_gpus_per_actor": -1}])
def test_a_number_that_makes_no_sense_is_refused(groups: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        groups.ActorGroup(Member, **wrong)
