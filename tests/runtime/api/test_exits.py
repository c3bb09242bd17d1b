"""What an ending process has started goes on."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.cluster import Ray, cluster_of
from tests.support.gate import Gate
from tests.support.module import NAME, state_api
from tests.support.waiting import wait_until


@pytest.mark.parametrize("how", ["max_calls", "exit_actor", "exit"])
def test_what_was_called_just_before_a_process_ends_runs(bare_ray: Ray, how: str, tmp_path: Path) -> None:
    """On one CPU: it must be free again at once, and be given to others than the process that ends."""
    ray = bare_ray

    keeper: list[Any] = []

    class Keeper:
        def touch(self, path: Path) -> None:
            path.touch()

    class Ends:
        def end(self) -> None:
            keeper[0].touch.remote(tmp_path / "called")
            ray.remote(Path.touch).remote(tmp_path / "started")
            if how == "exit":
                sys.exit(1)
            if how == "exit_actor":
                importlib.import_module(f"{NAME}.actor").exit_actor()

    with cluster_of(ray, num_cpus=1):
        keeper.append(ray.remote(Keeper).options(num_cpus=0).remote())
        if how == "max_calls":
            ray.get(ray.remote(max_calls=1)(Ends.end).remote(None), timeout=60)
        else:
            with pytest.raises(ray.exceptions.RayActorError):
                ray.get(ray.remote(num_cpus=1)(Ends).remote().end.remote(), timeout=60)
        wait_until(lambda: {path.name for path in tmp_path.iterdir()} == {"called", "started"}, 30)


class Runs:
    """What its calls wait for is opened by the test."""

    def __init__(self, through: Any) -> None:
        self.through = through

    def end(self) -> None:
        importlib.import_module(f"{NAME}.actor").exit_actor()

    def run(self, value: int) -> int:
        self.through()
        if value < 0:
            raise LookupError("no such value")
        return value

    def run_and_end(self) -> None:
        self.through()
        self.end()

    def end_and_catch(self) -> str:
        try:
            self.end()
        except BaseException:
            self.through()
        return "caught"

    def end_and_yield(self) -> Iterator[int]:
        yield 1
        yield len(self.end_and_catch())


class RunsAsync:
    def __init__(self, through: Any) -> None:
        self.actor = Runs(through)

    async def end(self) -> None:
        self.actor.end()

    async def run(self, value: int) -> int:
        return await asyncio.to_thread(self.actor.run, value)

    async def run_and_end(self) -> None:
        await asyncio.to_thread(self.actor.through)
        self.actor.end()

    async def end_and_catch(self) -> str:
        return self.actor.end_and_catch()

    async def end_and_yield(self) -> AsyncIterator[int]:
        for item in self.actor.end_and_yield():
            yield item


@pytest.mark.parametrize("cls", [Runs, RunsAsync])
@pytest.mark.parametrize("group", ["", "io"])
def test_calls_that_run_beside_the_one_that_ends_the_actor_end_before_it(
    ray: Ray, cls: Any, group: str, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    actor = ray.remote(max_concurrency=4, concurrency_groups={"io": 3})(cls).remote(gate.through)
    refs = [actor.run.options(concurrency_group=group).remote(value) for value in (1, 2, -1)]
    gate.wait_for(3)
    end = actor.end.remote()
    with pytest.raises(ray.exceptions.RayActorError, match="exit_actor"):
        ray.get(end, timeout=30)
    assert ray.wait(refs, timeout=0)[0] == []
    gate.open()
    assert ray.get(refs[:2], timeout=30) == [1, 2]
    with pytest.raises(LookupError):
        ray.get(refs[2], timeout=30)


@pytest.mark.parametrize("cls", [Runs, RunsAsync])
def test_an_actor_ends_although_its_method_catches_all(ray: Ray, cls: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    gate.open()
    with pytest.raises(ray.exceptions.RayActorError, match="exit_actor"):
        ray.get(ray.remote(cls).remote(gate.through).end_and_catch.remote(), timeout=30)
    first, second, error = ray.remote(cls).remote(gate.through).end_and_yield.options(num_returns="streaming").remote()
    assert ray.get([first, second], timeout=30) == [1, 6]
    with pytest.raises(ray.exceptions.RayActorError, match="exit_actor"):
        ray.get(error, timeout=30)
    assert gate.arrived() == 2


@pytest.mark.parametrize("cls", [Runs, RunsAsync])
def test_calls_that_have_not_begun_when_the_actor_ends_do_not_run(ray: Ray, cls: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    actor = ray.remote(max_concurrency=2)(cls).remote(gate.through)
    ends = [actor.run_and_end.remote() for _ in range(2)]
    gate.wait_for(2)
    late = [actor.run.remote(value) for value in range(3)]
    gate.open()
    for ref in [*ends, *late]:
        with pytest.raises(ray.exceptions.RayActorError):
            ray.get(ref, timeout=30)
    assert gate.arrived() == 2


@pytest.mark.parametrize("cls", [Runs, RunsAsync])
def test_a_call_that_ends_its_actor_has_done_what_it_was_to(ray: Ray, cls: Any) -> None:
    actor = ray.remote(max_concurrency=1)(cls).remote(None)
    end, late = actor.end.remote(), actor.run.remote(1)
    needing = ray.remote(lambda value: value).remote(end)
    for ref in (end, late, needing):
        with pytest.raises(ray.exceptions.RayActorError):
            ray.get(ref, timeout=30)

    def state(ref: Any) -> str:
        return str(state_api().get_task(ref.task_id().hex()).state)

    wait_until(lambda: [state(ref) for ref in (end, late, needing)] == ["FINISHED", "FAILED", "FAILED"])


@pytest.mark.parametrize("how", ["kill", "crash", "exit_actor"])
def test_what_a_worker_has_started_ends_with_it(ray: Ray, how: str) -> None:
    @ray.remote
    class Starts:
        def start(self) -> int:
            return subprocess.Popen(["sleep", "1000"]).pid

        def end(self) -> None:
            if how == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            importlib.import_module(f"{NAME}.actor").exit_actor()

    actor = Starts.remote()
    started = psutil.Process(ray.get(actor.start.remote(), timeout=30))
    if how == "kill":
        ray.kill(actor)
    else:
        actor.end.remote()
    wait_until(lambda: not started.is_running() or started.status() == psutil.STATUS_ZOMBIE, 20)


def test_an_actor_may_end_itself_in_its_constructor(ray: Ray) -> None:
    @ray.remote(num_cpus=0)
    class Ends:
        def __init__(self) -> None:
            importlib.import_module(f"{NAME}.actor").exit_actor()

        def call(self) -> None: ...

    with pytest.raises(ray.exceptions.ActorDiedError, match=r"exit_actor\(\) is called") as error:
        ray.get(Ends.remote().call.remote(), timeout=30)
    assert "creation task" not in str(error.value)


def test_exit_actor_in_a_thread_ends_that_as_sys_exit_does(ray: Ray) -> None:
    @ray.remote(num_cpus=0)
    class Starts:
        def start(self) -> list[Any]:
            found: list[Any] = []

            def ends() -> None:
                try:
                    importlib.import_module(f"{NAME}.actor").exit_actor()
                except SystemExit as end:
                    found.append(end.code)
                    raise

            thread = threading.Thread(target=ends)
            thread.start()
            thread.join()
            return found

    actor = Starts.remote()
    assert ray.get(actor.start.remote(), timeout=30) == [0]
