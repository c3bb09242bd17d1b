"""Where a program is: `get_runtime_context()` in the driver, in tasks, in actors."""

from __future__ import annotations

import contextlib
import re
import warnings
from typing import Any

import pytest

from tests.support.module import Ray


def is_id(text: object, size: int) -> bool:
    return isinstance(text, str) and re.fullmatch(f"[0-9a-f]{{{2 * size}}}", text) is not None


def where(ray: Ray) -> Any:
    """A function that says where it runs, to be used in tasks: it must not need this module."""

    def here() -> dict[str, Any]:
        context = ray.get_runtime_context()
        return {
            "job": context.get_job_id(),
            "node": context.get_node_id(),
            "worker": context.get_worker_id(),
            "task": context.get_task_id(),
            "actor": context.get_actor_id(),
            "name": context.get_task_name(),
            "function": context.get_task_function_name(),
            "resources": context.get_assigned_resources(),
            "namespace": context.namespace,
        }

    return here


def test_the_driver_knows_its_job_its_node_and_its_worker(ray: Ray) -> None:
    context = ray.get_runtime_context()
    assert is_id(context.get_job_id(), 4)
    assert is_id(context.get_node_id(), 28)
    assert is_id(context.get_worker_id(), 28)
    assert context.get_actor_id() is None
    assert context.namespace == "spec"


def test_a_task_knows_its_id_its_worker_and_its_resources(ray: Ray) -> None:
    driver = ray.get_runtime_context()
    ref = ray.remote(num_cpus=2)(where(ray)).remote()
    found = ray.get(ref)
    assert is_id(found["task"], 24)
    assert found["task"] == ref.task_id().hex()
    assert is_id(found["worker"], 28)
    assert found["worker"] != driver.get_worker_id()
    assert found["node"] == driver.get_node_id()
    assert found["job"] == driver.get_job_id()
    assert found["actor"] is None
    assert found["resources"] == {"CPU": 2.0}
    assert found["namespace"] == "spec"


def test_every_task_has_an_id_of_its_own(ray: Ray) -> None:
    task = ray.remote(where(ray))
    found = ray.get([task.remote() for _ in range(10)])
    assert len({each["task"] for each in found}) == 10


def test_a_task_knows_its_name_and_its_functions(ray: Ray) -> None:
    task = ray.remote(where(ray))
    plain, named = ray.get([task.remote(), task.options(name="a name").remote()])
    assert plain["name"].split(".")[-1] == "here"
    assert named["name"] == "a name"
    assert plain["function"].split(".")[-1] == named["function"].split(".")[-1] == "here"


def test_an_actor_knows_its_id_in_all_its_calls(ray: Ray) -> None:
    here = where(ray)

    @ray.remote
    class Located:
        def where(self) -> dict[str, Any]:
            found: dict[str, Any] = here()
            return found

        def me(self) -> tuple[str | None, bool]:
            context = ray.get_runtime_context()
            return context.get_actor_name(), context.was_current_actor_reconstructed

    actor = Located.options(name="located").remote()
    first, second = ray.get([actor.where.remote(), actor.where.remote()])
    assert is_id(first["actor"], 16)
    assert first["actor"] == second["actor"]
    assert first["worker"] == second["worker"]
    assert first["task"] != second["task"]
    assert ray.get(actor.me.remote()) == ("located", False)
    ray.kill(actor)


def test_a_nested_task_belongs_to_the_same_job(ray: Ray) -> None:
    here = where(ray)

    @ray.remote
    def outer() -> list[dict[str, Any]]:
        return [here(), ray.get(ray.remote(here).remote())]

    own, nested = ray.get(outer.remote())
    assert own["job"] == nested["job"] == ray.get_runtime_context().get_job_id()
    assert own["task"] != nested["task"]


OLDER = {
    "job_id": "get_job_id",
    "node_id": "get_node_id",
    "task_id": "get_task_id",
    "actor_id": "get_actor_id",
    "current_placement_group_id": "get_placement_group_id",
    "get_resource_ids": "get_accelerator_ids",
    "get": "get_xxx_id() methods",
}
"""Deprecated names of the context, and what to use instead."""


def warnings_of(ray: Ray) -> dict[str, list[str]]:
    """What each deprecated name warns of in the calling process, and where the warning points."""
    found: dict[str, list[str]] = {}
    for name in OLDER:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with contextlib.suppress(AssertionError):  # task_id, actor_id: of a driver
                value = getattr(ray.get_runtime_context(), name)
                if callable(value):
                    value()
        last = caught[0]
        found[name] = [last.category.__name__, str(last.message), last.filename]
    return found


def test_what_the_context_had_before_warns_and_says_what_to_use(ray: Ray) -> None:
    here = warnings_of(ray)
    there = ray.get(ray.remote(lambda: warnings_of(ray)).remote())
    for found in (here, there):
        for name, instead in OLDER.items():
            category, text, where = found[name]
            assert (category, where) == ("RayDeprecationWarning", __file__)
            assert text.startswith("This API is deprecated and may be removed in future Ray releases. ")
            assert re.search(rf"\nUse {re.escape(instead)}(\(\))?( to get relevant ids)? instead$", text)


def test_what_the_context_has_now_does_not_warn(ray: Ray) -> None:
    context = ray.get_runtime_context()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert repr(context)
        assert context.get_accelerator_ids()["GPU"] == []
        assert context.get_placement_group_id() is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_context_can_be_read_as_one_mapping(ray: Ray) -> None:
    found = ray.get_runtime_context().get()
    assert found["job_id"] and found["node_id"]
    context = ray.get_runtime_context()
    assert found["job_id"].hex() == context.get_job_id()
