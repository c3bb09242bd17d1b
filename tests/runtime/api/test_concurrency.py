"""How many calls of an actor run at once, in which order, and how many may wait."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.gate import Gate
from tests.support.module import NAME, Ray
from tests.support.waiting import wait_until

WAITS = f"""
import time
import {NAME} as ray
ray.init(num_cpus=2, include_dashboard=False)
@ray.remote
def late():
    time.sleep(0.1)
    return 1
@ray.remote
class Waits:
    async def get(self):
        return ray.get(late.remote())
@ray.remote
class Begins:
    def __init__(self):
        ray.get(late.remote())
    async def nothing(self):
        pass
waits, begins = Waits.remote(), Begins.remote()
print(ray.get([waits.get.remote(), waits.get.remote()]))
ray.get(begins.nothing.remote())
"""


def grouped(ray: Ray, through: Any) -> Any:
    class Server:
        def __init__(self) -> None:
            self.log: list[str] = []

        @ray.method(concurrency_group="io")
        def read(self) -> str:
            through()
            return threading.current_thread().name

        @ray.method(concurrency_group="compute")
        def compute(self, what: str = "") -> str:
            self.log.append(what)
            return "computed"

        def other(self) -> list[str]:
            return self.log

    return ray.remote(concurrency_groups={"io": 2, "compute": 1})(Server)


def test_groups_of_calls_do_not_wait_for_each_other(ray: Ray, gate: Gate) -> None:
    server = grouped(ray, gate.through).remote()
    reads = [server.read.remote() for _ in range(3)]
    gate.wait_for(2)
    assert ray.get(server.compute.remote(), timeout=30) == "computed"
    assert ray.get(server.other.remote(), timeout=30) == [""]
    assert gate.arrived() == 2, "no more than two of its group at once"
    gate.open()
    assert len(set(ray.get(reads, timeout=30))) <= 2


def test_a_group_can_be_chosen_for_one_call(ray: Ray, gate: Gate) -> None:
    server = grouped(ray, gate.through).remote()
    reads = [server.read.remote() for _ in range(2)]
    gate.wait_for(2)
    stuck = server.other.options(concurrency_group="io").remote()
    assert ray.wait([stuck], timeout=0.2) == ([], [stuck])
    gate.open()
    assert ray.get(stuck, timeout=30) == []
    ray.get(reads)


def test_a_group_of_one_keeps_the_order_of_calls(ray: Ray, gate: Gate) -> None:
    server = grouped(ray, gate.through).remote()
    ray.get([server.compute.remote(str(i)) for i in range(50)], timeout=30)
    assert ray.get(server.other.remote()) == [str(i) for i in range(50)]


def test_groups_of_an_async_actor_do_not_wait_for_each_other(ray: Ray) -> None:
    class Server:
        def __init__(self) -> None:
            self.running = 0
            self.opened = False

        @ray.method(concurrency_group="io")
        async def read(self) -> int:
            self.running += 1
            while not self.opened:
                await asyncio.sleep(0.005)
            return self.running

        async def count(self) -> int:
            return self.running

        @ray.method(concurrency_group="compute")
        async def open(self) -> None:
            self.opened = True

    server = ray.remote(concurrency_groups={"io": 2, "compute": 4})(Server).remote()
    reads = [server.read.remote() for _ in range(5)]
    wait_until(lambda: ray.get(server.count.remote(), timeout=30) == 2)
    assert ray.wait(reads, timeout=0.2)[0] == []
    ray.get(server.open.remote(), timeout=30)
    assert sorted(ray.get(reads, timeout=30))[-1] == 5


def looping(ray: Ray, through: Any) -> Any:
    class Server:
        def __init__(self) -> None:
            self.loop = asyncio.get_event_loop()
            self.waiting = 0

        @ray.method(concurrency_group="io")
        async def read(self) -> int:
            return id(asyncio.get_running_loop())

        @ray.method(concurrency_group="io")
        def block(self) -> int:
            through()
            return id(asyncio.get_event_loop())

        @ray.method(concurrency_group="io")
        async def end(self) -> None:
            ray.actor.exit_actor()

        @ray.method(concurrency_group="compute")
        async def compute(self) -> int:
            return id(asyncio.get_running_loop())

        @ray.method(concurrency_group="compute")
        async def wait_for_ever(self) -> None:
            self.waiting += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.waiting -= 1

        async def wait(self) -> int:
            return self.waiting

        async def other(self) -> tuple[int, int]:
            return id(asyncio.get_running_loop()), id(self.loop)

    return ray.remote(concurrency_groups={"io": 2, "compute": 4})(Server).remote()


def test_each_group_of_an_async_actor_has_an_event_loop_of_its_own(ray: Ray, gate: Gate) -> None:
    server = looping(ray, gate.through)
    gate.open()
    read, compute = ray.get([server.read.remote(), server.compute.remote()], timeout=30)
    default, constructors = ray.get(server.other.remote(), timeout=30)
    assert default == constructors
    assert len({read, compute, default}) == 3
    assert ray.get(server.block.remote(), timeout=30) == read
    assert ray.get(server.read.options(concurrency_group="compute").remote(), timeout=30) == compute


def test_what_blocks_the_loop_of_one_group_holds_up_no_other(ray: Ray, gate: Gate) -> None:
    server = looping(ray, gate.through)
    blocked = server.block.remote()
    gate.wait_for(1)
    assert ray.get([server.compute.remote(), server.other.remote()], timeout=30)
    gate.open()
    ray.get(blocked, timeout=30)


def test_a_call_in_the_loop_of_a_group_is_cancelled_and_may_end_the_actor(ray: Ray, gate: Gate) -> None:
    server = looping(ray, gate.through)
    endless = [server.wait_for_ever.remote() for _ in range(5)]
    for ref in reversed(endless):
        ray.cancel(ref)
        with pytest.raises(ray.exceptions.TaskCancelledError):
            ray.get(ref, timeout=30)
    running = server.wait_for_ever.remote()
    wait_until(lambda: ray.get(server.wait.remote(), timeout=30) == 1)  # what has not begun never does
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(server.end.remote(), timeout=30)
    ray.cancel(running)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(running, timeout=30)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(server.wait_for_ever.remote(), timeout=30)


def test_an_unknown_group_is_named_at_the_call(ray: Ray, gate: Gate, raynb_only: None) -> None:
    server = grouped(ray, gate.through).remote()
    with pytest.raises(ValueError, match=r"no concurrency group 'disk'.*io, compute"):
        server.other.options(concurrency_group="disk").remote()
    with pytest.raises(ValueError, match="concurrency_groups"):
        grouped(ray, gate.through).options(concurrency_groups={"io": 3})
    with pytest.raises((ValueError, TypeError)):
        ray.remote(concurrency_groups={"io": 0})(type("Empty", (), {}))


def test_calls_beyond_the_limit_of_pending_ones_are_refused(ray: Ray, gate: Gate) -> None:
    class Slow:
        def __init__(self, through: Any) -> None:
            self._through = through

        def call(self) -> int:
            self._through()
            return os.getpid()

    slow = ray.remote(max_pending_calls=3)(Slow).remote(gate.through)
    calls = [slow.call.remote() for _ in range(3)]
    with pytest.raises(ray.exceptions.PendingCallsLimitExceeded, match="call"):
        slow.call.remote()
    gate.open()
    ray.get(calls, timeout=30)
    assert ray.get(slow.call.remote(), timeout=30) == ray.get(calls[0])


class Log:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def add(self, item: Any) -> list[Any]:
        self.seen.append(item)
        return list(self.seen)


def test_a_call_whose_input_is_late_holds_up_those_behind_it(ray: Ray, gate: Gate) -> None:
    log = ray.remote(Log).remote()
    late = log.add.remote(ray.remote(gate.through).remote("late"))
    soon = log.add.remote("soon")
    assert ray.wait([soon], timeout=0.3)[0] == []
    gate.open()
    assert ray.get([late, soon], timeout=30) == [["late"], ["late", "soon"]]


@pytest.mark.parametrize("options", [{"allow_out_of_order_execution": True}, {"max_concurrency": 2}])
def test_a_call_whose_input_is_late_holds_up_nobody_where_order_is_not_asked_for(
    ray: Ray, gate: Gate, options: dict[str, Any]
) -> None:
    log = ray.remote(**options)(Log).remote()
    late = log.add.remote(ray.remote(gate.through).remote("late"))
    assert ray.get(log.add.remote("soon"), timeout=30) == ["soon"]
    gate.open()
    assert ray.get(late, timeout=30) == ["soon", "late"]


def test_calls_that_run_at_once_have_no_order_to_keep(ray: Ray) -> None:
    with pytest.raises(ValueError, match="allow_out_of_order_execution"):
        ray.remote(max_concurrency=2, allow_out_of_order_execution=False)(Log).remote()


def test_the_constructor_of_an_async_actor_runs_in_its_loop(ray: Ray) -> None:
    @ray.remote
    class Begins:
        def __init__(self) -> None:
            self.loop = asyncio.get_running_loop()
            self.value = 0
            self.task = self.loop.create_task(self.fill())

        async def fill(self) -> None:
            self.value = 7

        async def filled(self) -> tuple[int, bool]:
            await self.task
            return self.value, self.loop is asyncio.get_running_loop()

    assert ray.get(Begins.remote().filled.remote(), timeout=30) == (7, True)


def test_the_constructor_of_an_actor_may_be_a_coroutine(ray: Ray) -> None:
    @ray.remote
    class Awaits:
        async def __init__(self, value: int) -> None:  # type: ignore[misc]  # Python's own classes can't have it
            await asyncio.sleep(0)
            if value < 0:
                raise LookupError("there is none")
            self.value = value

        def get(self) -> int:
            return self.value

    assert ray.get(Awaits.remote(3).get.remote(), timeout=30) == 3
    with pytest.raises(ray.exceptions.ActorDiedError, match="there is none") as caught:
        ray.get(Awaits.remote(-1).get.remote(), timeout=30)
    if NAME == "raynb":
        assert "run_until_complete" not in str(caught.value), "the loop's own frames tell nobody anything"


def test_who_waits_in_the_loop_of_an_actor_is_told_once_what_that_means(python: str, tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(WAITS)
    done = subprocess.run([python, "waits.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    said = done.stdout + done.stderr
    assert "[1, 1]" in said
    assert said.count("await") == 1
    assert "(Waits pid=" in said and "(Begins pid=" not in said
