"""Actors with a name, in namespaces, and those that outlive their handles."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from tests.support.gate import Gate
from tests.support.module import Ray
from tests.support.waiting import wait_until


@pytest.fixture
def box_class(ray: Ray) -> Any:
    @ray.remote(num_cpus=0)
    class Box:
        def __init__(self, content: object = None) -> None:
            self.content = content

        def read(self) -> object:
            return self.content

    return Box


def is_gone(ray: Ray, name: str, **options: Any) -> bool:
    try:
        ray.get_actor(name, **options)
    except ValueError:
        return True
    return False


def test_a_named_actor_is_found_by_its_name_from_anywhere(ray: Ray, box_class: Any) -> None:
    box = box_class.options(name="found").remote(7)

    @ray.remote
    def look() -> object:
        return ray.get(ray.get_actor("found").read.remote())

    assert ray.get(ray.get_actor("found").read.remote()) == 7
    assert ray.get(look.remote()) == 7
    ray.kill(box)


def test_a_name_that_nobody_has_is_a_value_error_that_says_it(ray: Ray) -> None:
    with pytest.raises(ValueError, match="nobody"):
        ray.get_actor("nobody")


def test_a_name_can_not_be_taken_twice(ray: Ray, box_class: Any) -> None:
    box = box_class.options(name="taken").remote()
    ray.get(box.read.remote())
    with pytest.raises(ValueError, match="taken"):
        box_class.options(name="taken").remote()
    ray.kill(box)


def test_a_name_is_known_while_what_the_actor_is_given_is_still_to_come(
    ray: Ray, box_class: Any, gate: Gate, errors: Any
) -> None:
    """Whoever creates it does not wait for that either: it may be this process's to bring it on."""

    def content() -> int:
        gate.through()
        return 7

    given = ray.remote(num_cpus=0)(content).remote()
    box = box_class.options(name="awaited").remote(given)
    found = ray.get_actor("awaited").read.remote()
    with pytest.raises(ValueError, match="taken"):
        box_class.options(name="awaited").remote()
    assert box_class.options(name="awaited", get_if_exists=True).remote(given) == box
    ended = box_class.options(name="ended").remote(given)
    ray.kill(ray.get_actor("ended"))
    gate.open()
    assert ray.get([found, box.read.remote()], timeout=30) == [7, 7]
    with pytest.raises(errors.ActorDiedError):
        ray.get(ended.read.remote(), timeout=30)
    ray.kill(box)


def test_a_named_actor_whose_input_fails_is_dead_and_leaves_its_name(ray: Ray, box_class: Any, gate: Gate) -> None:
    def fail() -> None:
        gate.through()
        raise KeyError("not there")

    box = box_class.options(name="in vain").remote(ray.remote(num_cpus=0)(fail).remote())
    call = ray.get_actor("in vain").read.remote()
    gate.open()
    with pytest.raises(ray.exceptions.ActorDiedError, match="not there"):
        ray.get(call, timeout=30)
    wait_until(lambda: is_gone(ray, "in vain"))
    del box


def test_a_name_may_be_taken_over_where_it_exists(ray: Ray, box_class: Any) -> None:
    first = box_class.options(name="shared", get_if_exists=True).remote("first")
    second = box_class.options(name="shared", get_if_exists=True).remote("second")
    assert ray.get(second.read.remote()) == "first"
    ray.kill(first)


def test_a_name_is_free_again_when_its_actor_is_dead(ray: Ray, box_class: Any) -> None:
    box = box_class.options(name="again").remote(1)
    ray.get(box.read.remote())
    ray.kill(box)
    wait_until(lambda: is_gone(ray, "again"), 10)
    assert ray.get(box_class.options(name="again").remote(2).read.remote()) == 2


def test_a_name_belongs_to_a_namespace(ray: Ray, box_class: Any) -> None:
    here = box_class.options(name="twin").remote("here")
    there = box_class.options(name="twin", namespace="elsewhere").remote("there")
    assert ray.get(ray.get_actor("twin").read.remote()) == "here"
    assert ray.get(ray.get_actor("twin", namespace="spec").read.remote()) == "here"
    assert ray.get(ray.get_actor("twin", namespace="elsewhere").read.remote()) == "there"
    for box in (here, there):
        ray.kill(box)


@pytest.mark.parametrize("name", ["", 5])
def test_a_name_is_a_text_that_is_not_empty(ray: Ray, box_class: Any, name: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        box_class.options(name=name).remote()


def test_an_actor_ends_when_its_last_handle_is_gone(ray: Ray, box_class: Any) -> None:
    box = box_class.options(name="short-lived").remote()
    ray.get(box.read.remote())
    del box
    gc.collect()
    wait_until(lambda: is_gone(ray, "short-lived"), 10)


def test_calls_under_way_are_done_before_an_actor_without_handles_ends(ray: Ray, box_class: Any) -> None:
    assert ray.get(box_class.remote("done").read.remote()) == "done"


def test_a_detached_actor_outlives_its_handles_until_it_is_killed(ray: Ray, box_class: Any) -> None:
    box = box_class.options(name="detached", lifetime="detached").remote("still here")
    ray.get(box.read.remote())
    del box
    gc.collect()
    found = ray.get_actor("detached")
    assert ray.get(found.read.remote()) == "still here"
    ray.kill(found)
    wait_until(lambda: is_gone(ray, "detached"), 10)


def test_a_detached_actor_outlives_the_task_that_made_it(ray: Ray, box_class: Any) -> None:
    @ray.remote
    def make() -> None:
        box = box_class.options(name="heir", lifetime="detached").remote("left")
        ray.get(box.read.remote())

    ray.get(make.remote())
    found = ray.get_actor("heir")
    assert ray.get(found.read.remote()) == "left"
    ray.kill(found)


def test_a_lifetime_is_detached_or_none(ray: Ray, box_class: Any) -> None:
    with pytest.raises(ValueError):
        box_class.options(name="odd", lifetime="forever").remote()


def test_a_named_actor_can_be_listed(ray: Ray, box_class: Any) -> None:
    import importlib

    box = box_class.options(name="listed").remote()
    ray.get(box.read.remote())
    util = importlib.import_module(f"{ray.__name__}.util")
    assert "listed" in util.list_named_actors()
    assert {"name": "listed", "namespace": "spec"} in util.list_named_actors(all_namespaces=True)
    ray.kill(box)
