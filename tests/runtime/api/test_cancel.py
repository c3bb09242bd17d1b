"""Cancelling tasks that wait, tasks that run, and what they have started."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import CPUS
from tests.support.gate import Gate
from tests.support.module import Ray
from tests.support.waiting import wait_until


def refuses(ray: Ray, ref: Any) -> None:
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(ref, timeout=20)


def test_a_queued_task_can_be_cancelled_and_never_runs(ray: Ray, gate: Gate, tmp_path: Path) -> None:
    mark = str(tmp_path / "has run")
    blockers = [ray.remote(gate.through).remote() for _ in range(CPUS)]
    gate.wait_for(CPUS)
    queued = ray.remote(lambda: open(mark, "w").close()).remote()
    ray.cancel(queued)
    refuses(ray, queued)
    gate.open()
    ray.get(blockers)
    assert not Path(mark).exists()


def test_what_is_cancelled_while_it_runs_says_where_it_was_stopped(ray: Ray, gate: Gate) -> None:
    through = gate.through

    def stopped_here() -> None:
        through()

    class Waiting:
        async def call(self) -> None:
            await self.stopped_here()

        async def stopped_here(self) -> None:
            through(await asyncio.Event().wait())

    ref = ray.remote(stopped_here).remote()
    gate.wait_for(1)
    waiting = ray.remote(Waiting).remote()
    call = waiting.call.remote()
    ray.get(waiting.__ray_ready__.remote(), timeout=20)
    for each in (ref, call):
        ray.cancel(each)
        with pytest.raises(ray.exceptions.RayTaskError, match=r"in stopped_here\n") as caught:
            ray.get(each, timeout=20)
        assert isinstance(caught.value, ray.exceptions.TaskCancelledError)


def test_a_task_that_waits_for_its_argument_can_be_cancelled(ray: Ray, gate: Gate) -> None:
    late = ray.remote(gate.through).remote()
    waiting = ray.remote(lambda x: x).remote(late)
    ray.cancel(waiting)
    refuses(ray, waiting)
    gate.open()
    assert ray.get(late) is None


def test_a_running_task_is_interrupted(ray: Ray, gate: Gate) -> None:
    running = ray.remote(gate.through).remote()
    gate.wait_for(1)
    ray.cancel(running)
    refuses(ray, running)


def test_an_interrupted_task_can_clean_up(ray: Ray, gate: Gate, tmp_path: Path) -> None:
    mark, through = str(tmp_path / "cleaned"), gate.through

    @ray.remote
    def tidy() -> None:
        try:
            through()
        finally:
            open(mark, "w").close()

    running = tidy.remote()
    gate.wait_for(1)
    ray.cancel(running)
    refuses(ray, running)
    wait_until(Path(mark).exists, 10)


def test_a_cancelled_task_is_not_tried_again(ray: Ray, gate: Gate) -> None:
    running = ray.remote(max_retries=3)(gate.through).remote()
    gate.wait_for(1)
    ray.cancel(running)
    refuses(ray, running)
    assert ray.get([ray.remote(lambda: 1).remote() for _ in range(20)]) == [1] * 20
    assert gate.arrived() == 1


def test_the_tasks_after_a_cancelled_one_are_left_alone(ray: Ray, gate: Gate) -> None:
    task = ray.remote(lambda x: x)
    for _ in range(5):
        refs = [task.remote(number) for number in range(40)]
        victim = refs[20]
        ray.cancel(victim)
        rest = [ref for ref in refs if ref != victim]
        assert ray.get(rest, timeout=30) == [n for n in range(40) if n != 20]


def test_cancelling_what_is_done_changes_nothing(ray: Ray) -> None:
    done = ray.remote(lambda: "done").remote()
    assert ray.get(done) == "done"
    ray.cancel(done)
    assert ray.get(done) == "done"


def test_a_task_that_depends_on_a_cancelled_one_fails_too(ray: Ray, gate: Gate) -> None:
    running = ray.remote(gate.through).remote()
    dependent = ray.remote(lambda x: x).remote(running)
    gate.wait_for(1)
    ray.cancel(running)
    with pytest.raises(ray.exceptions.RayError):
        ray.get(dependent, timeout=20)


def test_cancelling_a_task_cancels_what_it_has_started(ray: Ray, gate: Gate) -> None:
    through = gate.through

    @ray.remote
    def parent(box: list[Any]) -> None:
        ref = ray.remote(through).remote()
        ray.get(box[0].set.remote([ref]))
        ray.get(ref)

    @ray.remote(num_cpus=0)
    class Box:
        def __init__(self) -> None:
            self.content: list[Any] = []

        def set(self, content: list[Any]) -> None:
            self.content = content

        def get(self) -> list[Any]:
            return self.content

    box = Box.remote()
    running = parent.remote([box])
    gate.wait_for(1)
    (child,) = wait_until(lambda: ray.get(box.get.remote()), 20)
    ray.cancel(running)
    refuses(ray, running)
    with pytest.raises(ray.exceptions.RayError):
        ray.get(child, timeout=20)


def test_force_ends_a_task_that_does_not_listen(ray: Ray, gate: Gate) -> None:
    through = gate.through

    @ray.remote(max_retries=0)
    def deaf() -> None:
        while True:
            try:
                through()
            except BaseException:
                continue

    running = deaf.remote()
    gate.wait_for(1)
    ray.cancel(running, force=True)
    with pytest.raises((ray.exceptions.TaskCancelledError, ray.exceptions.WorkerCrashedError)):
        ray.get(running, timeout=20)


def test_a_queued_call_of_an_actor_can_be_cancelled(ray: Ray, gate: Gate) -> None:
    through = gate.through

    @ray.remote
    class Single:
        def wait(self) -> str:
            through()
            return "went on"

        def after(self) -> str:
            return "ran"

    single = Single.remote()
    first = single.wait.remote()
    gate.wait_for(1)
    second = single.after.remote()
    ray.cancel(second)
    refuses(ray, second)
    gate.open()
    assert ray.get(first) == "went on"


@pytest.mark.usefixtures("raynb_only")  # Ray holds the calls behind a cancelled one back for 30 s
def test_the_calls_behind_a_cancelled_one_run(ray: Ray, gate: Gate) -> None:
    through = gate.through

    @ray.remote
    class Single:
        def wait(self) -> None:
            through()

        def after(self, number: int) -> int:
            return number

    single = Single.remote()
    first = single.wait.remote()
    gate.wait_for(1)
    refs = [single.after.remote(number) for number in range(5)]
    ray.cancel(refs[1])
    refuses(ray, refs[1])
    gate.open()
    assert ray.get([refs[0], *refs[2:], first], timeout=20) == [0, 2, 3, 4, None]


def test_a_running_call_of_an_async_actor_can_be_cancelled(ray: Ray) -> None:
    @ray.remote
    class Sleeper:
        def __init__(self) -> None:
            self.cancelled = False
            self.asleep = False

        async def sleep(self) -> None:
            self.asleep = True
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise

        async def state(self) -> tuple[bool, bool]:
            return self.asleep, self.cancelled

    sleeper = Sleeper.remote()
    ref = sleeper.sleep.remote()
    wait_until(lambda: ray.get(sleeper.state.remote())[0], 20)
    ray.cancel(ref)
    refuses(ray, ref)
    with pytest.raises(ray.exceptions.RayTaskError):  # its code has raised
        ray.get(ref)
    wait_until(lambda: ray.get(sleeper.state.remote())[1], 20)


@pytest.mark.parametrize("wrong", [1, "ref", None], ids=repr)
def test_only_a_ref_can_be_cancelled(ray: Ray, wrong: object) -> None:
    with pytest.raises(TypeError):
        ray.cancel(wrong)


class Patient:
    """An actor whose call can't be interrupted, and asks."""

    def __init__(self) -> None:
        self.saw = 0

    def work(self, started: Any, through: Any) -> str:
        started()
        while not get_context(through).is_canceled():
            time.sleep(0.01)
        self.saw += 1
        return "stopped by itself"

    def times(self) -> int:
        return self.saw


def get_context(module: str) -> Any:
    import importlib

    return importlib.import_module(module).get_runtime_context()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_running_call_of_an_actors_thread_is_told_and_ends_by_itself(ray: Ray, gate: Gate, threads: int) -> None:
    started = gate.through
    gate.open()
    actor = ray.remote(Patient).options(max_concurrency=threads).remote()
    ref = actor.work.remote(started, ray.__name__)
    gate.wait_for(1)
    ray.cancel(ref)
    with pytest.raises(ray.exceptions.TaskCancelledError) as caught:
        ray.get(ref, timeout=30)
    assert not isinstance(caught.value, ray.exceptions.RayTaskError), "nothing was interrupted"
    assert ray.get(actor.times.remote(), timeout=30) == 1


def test_a_call_of_an_actor_can_not_be_cancelled_by_force(ray: Ray, gate: Gate) -> None:
    actor = ray.remote(Patient).remote()
    ref = actor.work.remote(gate.through, ray.__name__)
    with pytest.raises(ValueError, match="force=True is not supported for actor tasks"):
        ray.cancel(ref, force=True)
    gate.open()
    ray.cancel(ref)
    assert ray.get(actor.times.remote(), timeout=30) in (0, 1)


def test_a_task_that_catches_its_interrupt_gives_what_it_returns(ray: Ray, gate: Gate) -> None:
    through = gate.through

    @ray.remote
    def stubborn() -> str:
        try:
            through()
        except KeyboardInterrupt:
            return "done all the same"
        return "never interrupted"

    ref = stubborn.remote()
    gate.wait_for(1)
    ray.cancel(ref)
    assert ray.get(ref, timeout=30) == "done all the same"


def test_only_what_runs_in_a_worker_can_ask_whether_it_is_cancelled(ray: Ray) -> None:
    with pytest.raises(RuntimeError):
        ray.get_runtime_context().is_canceled()
    with pytest.raises(TypeError, match=r"ray\.kill"):
        ray.cancel(3)


def test_an_async_actor_does_not_ask_whether_it_is_cancelled(ray: Ray) -> None:
    class Asks:
        async def ask(self) -> bool:
            return ray.get_runtime_context().is_canceled()

    with pytest.raises(RuntimeError, match="async actor"):
        ray.get(ray.remote(Asks).remote().ask.remote(), timeout=30)
