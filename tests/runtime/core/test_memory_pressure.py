"""Whom a node stops when its memory runs out."""

from __future__ import annotations

import pytest

from raynb.runtime.core.memory_pressure import HOLD_S
from raynb.runtime.core.node_effects import EndProcess, MemoryMeasured, Say
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.node import LeaseDemand, LeaseGranted, ProcessDied
from tests.runtime.core.node_world import World, actor_message, sent

GB = 10**9
TOTAL = 16 * GB
FULL = 15 * GB


@pytest.fixture
def world() -> World:
    world = World(cpus=3)
    world.start(3)
    world.driver_joins()
    return world


def measure(world: World, used: int = FULL, **workers: int) -> list[str]:
    """The tokens of who is ended."""
    effects = world.handle(MemoryMeasured(used, TOTAL, workers))
    return [effect.token for effect in effects if isinstance(effect, EndProcess)]


def lease(world: World, key: int = 1, *, retriable: bool = True) -> str:
    """The token of the worker that the driver gets for one more class of tasks."""
    effects = world.receive("driver", LeaseDemand(key, {"CPU": 1.0}, 1, f"f{key}", retriable=retriable))
    (grant,) = [each.message for each in sent(effects, LeaseGranted) if each.to == "driver"]
    return str(grant.worker).removeprefix("ipc://")


def test_nobody_is_stopped_while_there_is_memory(world: World) -> None:
    assert measure(world, used=14 * GB, **{lease(world): 13 * GB}) == []


def test_the_newest_task_is_stopped(world: World) -> None:
    old, new = lease(world, 1), lease(world, 2)
    assert measure(world, **{old: 8 * GB, new: 6 * GB}) == [new]


def test_a_task_that_can_be_tried_again_goes_before_one_that_can_not(world: World) -> None:
    old, new = lease(world, 1), lease(world, 2, retriable=False)
    assert measure(world, **{old: 8 * GB, new: 6 * GB}) == [old]


def test_an_actor_goes_last(world: World) -> None:
    task = lease(world, retriable=False)
    world.receive("ipc://gcs", actor_message(CPU=1.0))
    (actor,) = [worker.token for worker in world.machine.pool.workers.values() if worker.state == "actor"]
    assert measure(world, **{task: 6 * GB, actor: 8 * GB}) == [task]
    world.worker_dies(f"ipc://{task}")
    assert measure(world, **{actor: 15 * GB}) == [actor]


def test_who_uses_next_to_nothing_is_passed_over(world: World) -> None:
    old, new = lease(world, 1), lease(world, 2)
    assert measure(world, **{old: 12 * GB, new: GB // 2}) == [old]


def test_nobody_is_stopped_for_the_memory_of_others_and_the_log_says_so_once(world: World) -> None:
    token = lease(world)
    effects = [*world.handle(MemoryMeasured(FULL, TOTAL, {token: GB // 10}))]
    effects += world.handle(MemoryMeasured(FULL, TOTAL, {token: GB // 10}))
    (said,) = [effect for effect in effects if isinstance(effect, Say)]
    assert "no worker uses much of it" in said.text
    assert not [effect for effect in effects if isinstance(effect, EndProcess)]


def test_one_at_a_time_until_it_has_ended(world: World) -> None:
    old, new = lease(world, 1), lease(world, 2)
    assert measure(world, **{old: 8 * GB, new: 6 * GB}) == [new]
    assert measure(world, **{old: 8 * GB, new: 6 * GB}) == []
    world.worker_dies(f"ipc://{new}")
    assert measure(world, **{old: 15 * GB}) == [old]


def test_whoever_asked_learns_that_it_was_memory_and_how_much_was_used(world: World) -> None:
    token = lease(world)
    measure(world, **{token: 14 * GB})
    died = world.told("driver", ProcessDied, world.worker_dies(f"ipc://{token}"))
    assert died.out_of_memory and not died.intended
    assert "used 14.00 GB when its node used 15.00 GB of its 16.00 GB" in died.reason
    assert "task f1 (pid 7): 14.00 GB" in died.reason


def test_no_worker_is_given_away_under_pressure_but_not_for_ever(world: World) -> None:
    token = lease(world, 1)
    measure(world, **{token: 14 * GB})
    world.worker_dies(f"ipc://{token}")
    asked = world.receive("driver", LeaseDemand(2, {"CPU": 1.0}, 1))
    assert not sent(asked, LeaseGranted)
    assert not sent(world.tick(), LeaseGranted)
    assert sent(world.handle(MemoryMeasured(2 * GB, TOTAL, {})), LeaseGranted)

    world.worker_joins()
    measure(world)
    asked = world.receive("driver", LeaseDemand(3, {"CPU": 1.0}, 1))
    assert not sent(asked, LeaseGranted)
    assert sent(world.tick(HOLD_S + 0.1), LeaseGranted)


def test_a_limit_for_the_workers_alone() -> None:
    world = World(config=Config(memory_limit_bytes=4 * GB))
    world.start()
    world.driver_joins()
    old, new = lease(world, 1), lease(world, 2)
    assert measure(world, used=5 * GB, **{old: 2 * GB, new: GB}) == []
    assert measure(world, used=5 * GB, **{old: 2 * GB, new: 3 * GB}) == [new]
    died = world.told("driver", ProcessDied, world.worker_dies(f"ipc://{new}"))
    assert "the workers of this node used 5.00 GB, and memory_limit_bytes is 4.00 GB" in died.reason
