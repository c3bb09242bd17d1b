"""Where a program is: `get_runtime_context()` in the driver, in tasks, in actors."""

from __future__ import annotations

import re
from typing import Any

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


def test_the_context_can_be_read_as_one_mapping(ray: Ray) -> None:
    found = ray.get_runtime_context().get()
    assert found["job_id"] and found["node_id"]
    context = ray.get_runtime_context()
    assert found["job_id"].hex() == context.get_job_id()
