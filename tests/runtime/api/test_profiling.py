"""Times of parts of a program, in its timeline."""

from __future__ import annotations

from typing import Any

import pytest

from raynb._private import profiling
from tests.support.cluster import cluster_of
from tests.support.module import Ray
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("raynb_only")
PHASES = ["task:deserialize_arguments", "task:execute", "task:store_outputs"]


def timed(ray: Ray, *categories: str) -> list[dict[str, Any]]:
    """The events of these categories, in the order of time."""
    return [event for event in ray.timeline() if event.get("cat") in categories]


def test_what_a_driver_and_a_task_time_is_in_the_timeline(ray: Ray) -> None:
    def work() -> str:
        with profiling.profile("of a task", extra_data={"name": "shown", "cname": "bad", "size": "5"}):
            return str(ray.get_runtime_context().get_task_id())

    with profiling.profile("of the driver") as span:
        span.set_attribute("more", "words")
        task = ray.get(ray.remote(work).options(name="timed").remote())
    wait_until(lambda: timed(ray, "of a task") and timed(ray, "task::timed"))
    (driver,), (inner,), (outer,) = (timed(ray, name) for name in ("of the driver", "of a task", "task::timed"))
    assert (inner["name"], inner["cname"]) == ("shown", "bad")
    assert inner["args"]["size"] == "5" and inner["args"]["task_id"] == outer["args"]["task_id"] == task
    assert (inner["pid"], inner["tid"]) == (outer["pid"], outer["tid"]) != (driver["pid"], driver["tid"])
    assert driver["args"]["more"] == "words" and driver["dur"] > inner["dur"] >= 0
    assert not timed(ray, *PHASES), "nobody has asked for these"


def test_what_was_raised_meanwhile_is_noted(ray: Ray) -> None:
    with pytest.raises(LookupError), profiling.profile("fails"):
        raise LookupError("nothing there")
    (event,) = timed(ray, "fails")
    assert event["args"]["value"] == "nothing there" and "LookupError" in event["args"]["traceback"]
    with pytest.raises(ValueError, match="must be texts"):
        profiling.profile("wrong", extra_data={"size": 5})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]


# At the end: it needs a cluster of its own.
def test_arguments_execution_and_results_are_timed_where_the_environment_says_so(
    ray: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Adds:
        def add(self, value: int) -> int:
            if value < 0:
                raise ValueError("too small")
            return value + 1

    ray.shutdown()
    monkeypatch.setenv("RAY_PROFILING", "1")
    with cluster_of(ray, num_cpus=1):
        actor = ray.remote(Adds).remote()
        assert ray.get([ray.remote(lambda: 1).options(name="one").remote(), actor.add.remote(1)]) == [1, 2]
        with pytest.raises(ValueError, match="too small"):
            ray.get(actor.add.remote(-1))
        # Of three calls; the one that raised has no result.
        wait_until(lambda: [len(timed(ray, phase)) for phase in PHASES] == [3, 3, 2])
        (one,) = timed(ray, "task::one")
        mine = [each for each in timed(ray, *PHASES) if each["args"]["task_id"] == one["args"]["task_id"]]
        assert [each["name"] for each in mine] == PHASES
        assert all((each["pid"], each["tid"]) == (one["pid"], one["tid"]) for each in mine)
        (raised,) = [each for each in timed(ray, "task:execute") if each["args"].get("value")]
        assert raised["args"]["type"] == "<class 'ValueError'>"
