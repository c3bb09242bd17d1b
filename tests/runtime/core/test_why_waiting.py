"""Why something waits is said in a sentence, with what to do."""

from __future__ import annotations

import json
from typing import Any

from raynb.runtime.core.node_effects import WorkerExited
from raynb.runtime.core.worker_pool import START_FAILURES_TOLD
from raynb.runtime.messages.gcs import Reply
from raynb.runtime.messages.node import LeaseInfeasible, WhyWaiting
from tests.runtime.core.node_world import GCS, World, actor_message, sent


def why(world: World, client: str, key: int = 1) -> dict[str, Any]:
    effects = world.receive(client, WhyWaiting(5, key))
    reply = world.told(client, Reply, effects)
    assert reply.request == 5
    answer: dict[str, Any] = json.loads(reply.data)
    return answer


def test_why_names_who_holds_the_cpus(world: World) -> None:
    world.driver_joins("other")
    world.demand("driver", 2, CPU=1)
    world.demand("other", 1, CPU=1)
    answer = why(world, "other")
    assert answer["kind"] == "resources"
    assert answer["sentence"] == ("other.f waits for 1 CPU: all of the node's 2 CPU is taken (by 2 x driver.f).")
    assert answer["holders"] == [["driver.f", 2]]


def test_why_says_that_actors_hold_the_cpus_for_life(world: World) -> None:
    for number in (1, 2):
        world.receive(GCS, actor_message(number, CPU=1))
    world.worker_joins()
    world.demand("driver", 1, CPU=1)
    assert "ray.kill()" in why(world, "driver")["fix"]


def test_why_of_an_infeasible_demand_is_what_was_told(world: World) -> None:
    world.demand("driver", 1, GPU=1)
    answer = why(world, "driver")
    assert answer["kind"] == "infeasible"
    assert f"{answer['sentence']} {answer['fix']}" == world.told("driver", LeaseInfeasible).message


def test_why_says_that_a_worker_starts() -> None:
    world = World()
    world.start(workers=0)
    world.driver_joins()
    world.demand("driver", 1, CPU=1)
    assert why(world, "driver")["kind"] == "worker"


def test_why_of_something_that_does_not_wait_says_so(world: World) -> None:
    world.demand("driver", 1, CPU=1)
    assert "1 worker" in why(world, "driver")["sentence"]
    assert why(world, "driver", key=99)["kind"] == "served"


def test_clients_are_told_when_workers_can_not_start() -> None:
    world = World(cpus=1)
    world.start(workers=0)
    world.driver_joins()
    world.demand("driver", 1, CPU=1)
    for _ in range(START_FAILURES_TOLD):
        while not world.ordered:
            world.tick()
        world.handle(WorkerExited(world.ordered.pop(), 5, "exit code 1"))
    message = world.told("driver", LeaseInfeasible).message
    assert "exit code 1" in message and "worker logs" in message
    assert len(sent(world.effects, LeaseInfeasible)) == 1
