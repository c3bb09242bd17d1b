"""Actors: state, order, errors, concurrency."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.gate import Gate
from tests.support.module import NAME, Ray
from tests.support.waiting import wait_until


@pytest.fixture
def counter_class(ray: Ray) -> Any:
    @ray.remote
    class Counter:
        def __init__(self, start: int = 0) -> None:
            self.n = start

        def increment(self, by: int = 1) -> int:
            self.n += by
            return self.n

        def read(self) -> int:
            return self.n

        def fail(self) -> None:
            raise KeyError("not in here")

    return Counter


def test_an_actor_keeps_its_state_between_calls(ray: Ray, counter_class: Any) -> None:
    counter = counter_class.remote(10)
    assert ray.get([counter.increment.remote() for _ in range(3)]) == [11, 12, 13]
    assert ray.get(counter.increment.remote(by=7)) == 20


def test_actors_of_one_class_have_a_state_each(ray: Ray, counter_class: Any) -> None:
    counters = [counter_class.remote(start) for start in range(4)]
    for counter in counters:
        counter.increment.remote()
    assert ray.get([counter.read.remote() for counter in counters]) == [1, 2, 3, 4]


def test_an_actor_class_takes_options(ray: Ray) -> None:
    @ray.remote(num_cpus=0, max_restarts=1)
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def who(self) -> str:
            return self.name

    assert ray.get(Named.remote("a").who.remote()) == "a"
    assert ray.get(Named.options(num_cpus=0.5).remote(name="b").who.remote()) == "b"


def test_an_actor_class_can_not_be_called_directly(ray: Ray, counter_class: Any) -> None:
    with pytest.raises(TypeError):
        counter_class()


def test_a_method_can_not_be_called_directly(ray: Ray, counter_class: Any) -> None:
    counter = counter_class.remote()
    with pytest.raises(TypeError):
        counter.read()


def test_a_method_that_is_not_there_is_an_attribute_error(ray: Ray, counter_class: Any) -> None:
    counter = counter_class.remote()
    with pytest.raises(AttributeError):
        _ = counter.no_such_method


def test_arguments_that_do_not_fit_a_method_are_refused_at_submission(ray: Ray, counter_class: Any) -> None:
    counter = counter_class.remote()
    with pytest.raises(TypeError):
        counter.read.remote(1)
    with pytest.raises(TypeError):
        counter_class.remote(1, 2)


def test_calls_of_one_caller_run_in_the_order_of_the_calls(ray: Ray) -> None:
    @ray.remote
    class Log:
        def __init__(self) -> None:
            self.entries: list[int] = []

        def append(self, entry: int) -> None:
            self.entries.append(entry)

        def read(self) -> list[int]:
            return self.entries

    log = Log.remote()
    for number in range(1_000):
        log.append.remote(number)
    assert ray.get(log.read.remote()) == list(range(1_000))


def test_a_call_whose_argument_is_late_is_not_overtaken_by_the_next(ray: Ray, gate: Gate) -> None:
    @ray.remote
    class Log:
        def __init__(self) -> None:
            self.entries: list[object] = []

        def append(self, entry: object) -> list[object]:
            self.entries.append(entry)
            return self.entries

    log = Log.remote()
    log.append.remote(ray.remote(gate.through).remote("first"))
    last = log.append.remote("second")
    gate.open()
    assert ray.get(last, timeout=30) == ["first", "second"]


def test_a_failed_call_leaves_the_actor_alive_with_its_state(ray: Ray, counter_class: Any) -> None:
    counter = counter_class.remote(5)
    with pytest.raises(KeyError, match="not in here"):
        ray.get(counter.fail.remote())
    assert ray.get(counter.read.remote()) == 5


def test_an_actor_whose_constructor_fails_is_dead_and_says_why(ray: Ray) -> None:
    @ray.remote
    class Broken:
        def __init__(self) -> None:
            raise RuntimeError("no power")

        def method(self) -> None: ...

    with pytest.raises(ray.exceptions.ActorDiedError, match="no power"):
        ray.get(Broken.remote().method.remote())


def test_a_failing_constructor_ends_nothing_that_a_task_has_submitted_from_its_process(
    ray: Ray, gate: Gate, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"

    @ray.remote
    def child(count: int) -> int:
        if not count:
            gate.through()
        return count + 1

    @ray.remote
    def last(count: int) -> None:
        ran.write_text(str(count))

    @ray.remote
    def parent() -> int:
        ref = child.remote(0)
        for _ in range(99):
            ref = child.remote(ref)
        last.remote(ref)
        return os.getpid()

    @ray.remote
    class Broken:
        def __init__(self) -> None:
            raise RuntimeError(f"no power in {os.getpid()}")

        def method(self) -> None: ...

    def fails_in_the_process_of_a_parent() -> bool:
        with pytest.raises(ray.exceptions.ActorDiedError) as caught:
            ray.get(Broken.remote().method.remote())
        return f"no power in {pid}" in str(caught.value)

    pid = ray.get(parent.remote())
    wait_until(fails_in_the_process_of_a_parent, 30)
    gate.open()
    wait_until(lambda: ran.exists() and ran.read_text() == "100", 30)


def test_methods_may_have_several_results(ray: Ray) -> None:
    @ray.remote
    class Pairs:
        @ray.method(num_returns=2)
        def pair(self) -> tuple[int, int]:
            return 1, 2

        def three(self) -> tuple[int, int, int]:
            return 1, 2, 3

    pairs = Pairs.remote()
    assert ray.get(pairs.pair.remote()) == [1, 2]
    assert ray.get(pairs.three.options(num_returns=3).remote()) == [1, 2, 3]


def test_inherited_methods_properties_and_dunder_methods_belong_to_the_actor(ray: Ray) -> None:
    class Base:
        def greet(self) -> str:
            return f"hello {self.name()}"

        def name(self) -> str:
            return "base"

    @ray.remote
    class Derived(Base):
        def name(self) -> str:
            return "derived"

        def __len__(self) -> int:
            return 3

    assert ray.get(Derived.remote().greet.remote()) == "hello derived"
    assert ray.get(Derived.remote().__len__.remote()) == 3


def test_an_actor_runs_one_call_at_a_time(ray: Ray) -> None:
    @ray.remote
    class Single:
        def __init__(self) -> None:
            self.inside = 0
            self.most = 0

        def enter(self) -> None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            for _ in range(1_000):
                pass
            self.inside -= 1

        def read(self) -> int:
            return self.most

    single = Single.remote()
    ray.get([single.enter.remote() for _ in range(200)])
    assert ray.get(single.read.remote()) == 1


def test_a_threaded_actor_runs_as_many_calls_at_once_as_it_was_given(ray: Ray) -> None:
    @ray.remote(max_concurrency=3)
    class Meeting:
        def __init__(self) -> None:
            self.barrier = threading.Barrier(3)

        def meet(self) -> str:
            self.barrier.wait(timeout=30)  # breaks unless three are here at once
            return threading.current_thread().name

    meeting = Meeting.remote()
    assert len(set(ray.get([meeting.meet.remote() for _ in range(3)]))) == 3


def test_calls_of_an_async_actor_interleave(ray: Ray) -> None:
    @ray.remote
    class Mailbox:
        def __init__(self) -> None:
            self.event = asyncio.Event()
            self.waiting = 0

        async def take(self) -> str:
            self.waiting += 1
            await self.event.wait()
            return "letter"

        async def send(self) -> int:
            while self.waiting < 5:
                await asyncio.sleep(0)
            self.event.set()
            return self.waiting

    mailbox = Mailbox.remote()
    letters = [mailbox.take.remote() for _ in range(5)]
    assert ray.get(mailbox.send.remote(), timeout=30) == 5
    assert ray.get(letters, timeout=30) == ["letter"] * 5


def test_an_async_actor_runs_no_more_calls_at_once_than_it_was_given(ray: Ray) -> None:
    @ray.remote(max_concurrency=2)
    class Crowd:
        def __init__(self) -> None:
            self.inside = 0
            self.pair = asyncio.Barrier(2)

        async def enter(self) -> int:
            self.inside += 1
            await self.pair.wait()  # so that two are inside
            most = self.inside
            await self.pair.wait()
            self.inside -= 1
            return most

    crowd = Crowd.remote()
    assert ray.get([crowd.enter.remote() for _ in range(20)], timeout=30) == [2] * 20


def test_an_async_method_may_await_refs(ray: Ray) -> None:
    square = ray.remote(lambda x: x * x)

    @ray.remote
    class Squares:
        async def total(self, n: int) -> int:
            return sum(await asyncio.gather(*[square.remote(i) for i in range(n)]))

    assert ray.get(Squares.remote().total.remote(5)) == 30


def test_an_async_method_that_fails_raises_at_get(ray: Ray) -> None:
    @ray.remote
    class Fails:
        async def fail(self) -> None:
            await asyncio.sleep(0)
            raise LookupError("async")

    with pytest.raises(LookupError, match="async"):
        ray.get(Fails.remote().fail.remote())


def test_an_actor_may_call_other_actors_and_start_tasks(ray: Ray, counter_class: Any) -> None:
    double = ray.remote(lambda x: 2 * x)

    @ray.remote
    class Manager:
        def __init__(self) -> None:
            self.counters = [counter_class.remote() for _ in range(2)]

        def run(self) -> list[int]:
            counts = ray.get([counter.increment.remote() for counter in self.counters])
            return ray.get([double.remote(count) for count in counts])  # type: ignore[no-any-return]

    assert ray.get(Manager.remote().run.remote()) == [2, 2]


def test_an_actor_may_give_its_own_handle_away(ray: Ray) -> None:
    @ray.remote
    class Self:
        def me(self) -> Any:
            return ray.get_runtime_context().current_actor

        def value(self) -> str:
            return "mine"

    assert ray.get(ray.get(Self.remote().me.remote()).value.remote()) == "mine"


def test_more_actors_than_cpus_can_live_together(ray: Ray, counter_class: Any) -> None:
    counters = [counter_class.remote(number) for number in range(6)]
    assert ray.get([counter.read.remote() for counter in counters], timeout=60) == list(range(6))
    for counter in counters:
        ray.kill(counter)


class AtExit:
    """Registers what is to be done when its process ends."""

    def __init__(self, path: Path, words: str) -> None:
        atexit.register(path.write_text, words)

    def ready(self) -> None: ...

    def exit(self) -> None:
        importlib.import_module(f"{NAME}.actor").exit_actor()

    def exit_in_a_thread(self) -> int:
        thread = threading.Thread(target=self._exit_quietly)
        thread.start()
        thread.join()
        return 1

    def _exit_quietly(self) -> None:
        with contextlib.suppress(BaseException):
            importlib.import_module(f"{NAME}.actor").exit_actor()

    async def exit_in_the_background(self) -> int:
        await asyncio.wait([asyncio.create_task(asyncio.to_thread(self._exit_quietly))])
        return 1


@pytest.mark.parametrize("way", ["exit", "exit_in_a_thread", "exit_in_the_background", "__ray_terminate__"])
def test_an_actor_that_ends_itself_does_what_it_has_registered(ray: Ray, tmp_path: Path, way: str) -> None:
    path = tmp_path / "written"
    kind: Any = AtExit if "background" in way else type("Sync", (AtExit,), {"exit_in_the_background": None})
    actor = ray.remote(kind).options(max_restarts=1).remote(path, way)
    ray.get(actor.ready.remote())
    last = getattr(actor, way).remote()
    if way.startswith("exit_in"):
        assert ray.get(last, timeout=20) == 1  # as in Ray, what has run to its end is not lost
    else:
        with pytest.raises(ray.exceptions.ActorDiedError, match="exit_actor"):
            ray.get(last, timeout=20)
    wait_until(lambda: path.exists() and path.read_text() == way, 20)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(actor.ready.remote(), timeout=20)


def test_an_actor_that_nobody_refers_to_does_what_it_has_registered_and_one_that_is_killed_does_not(
    ray: Ray, tmp_path: Path
) -> None:
    killed, forgotten = (ray.remote(AtExit).remote(tmp_path / name, name) for name in ("killed", "forgotten"))
    ray.get([killed.ready.remote(), forgotten.ready.remote()])
    ray.kill(killed)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(killed.ready.remote(), timeout=20)
    del forgotten
    wait_until((tmp_path / "forgotten").exists, 20)
    assert not (tmp_path / "killed").exists()


def test_methods_are_completed_by_class_and_by_handle(ray: Ray, counter_class: Any) -> None:
    shown = [name for name in dir(counter_class) if not name.startswith("_")]
    assert set(shown) == {"bind", "fail", "increment", "options", "read", "remote"}
    assert [name for name in dir(counter_class.remote()) if not name.startswith("_")] == ["fail", "increment", "read"]


def test_an_async_actors_constructor_may_use_its_loop(ray: Ray) -> None:
    class Ticking:
        def __init__(self) -> None:
            self.loop = asyncio.get_event_loop()
            self.ticks = 0
            self.ticking = self.loop.create_task(self.tick())

        async def tick(self) -> None:
            while True:
                self.ticks += 1
                await asyncio.sleep(0.001)

        async def some(self) -> bool:
            while self.ticks < 3:
                await asyncio.sleep(0.001)
            return asyncio.get_running_loop() is self.loop

    assert ray.get(ray.remote(Ticking).remote().some.remote(), timeout=20)


def test_a_method_is_called_though_an_attribute_has_its_name(ray: Ray) -> None:
    class Both:
        def __init__(self) -> None:
            self.__dict__ |= {"value": 5, "static": 6, "of_class": 7}

        def value(self) -> int:
            return int(self.__dict__["value"])

        @staticmethod
        def static() -> str:
            return "static"

        @classmethod
        def of_class(cls) -> str:
            return cls.__name__

    actor = ray.remote(Both).remote()
    assert ray.get([actor.value.remote(), actor.static.remote(), actor.of_class.remote()]) == [5, "static", "Both"]


def test_a_constructor_that_ends_its_process_is_run_again_for_calls_that_wait(ray: Ray, tmp_path: Path) -> None:
    class Late:
        def __init__(self, folder: Path) -> None:
            (folder / str(os.getpid())).touch()
            if len(list(folder.iterdir())) < 3:
                os._exit(0)

        def times(self) -> int:
            return len(list(tmp_path.iterdir()))

    assert ray.get(ray.remote(Late).options(max_restarts=3).remote(tmp_path).times.remote(), timeout=60) == 3


def test_an_actor_that_is_started_again_began_when_it_first_did(ray: Ray) -> None:
    class Lives:
        def pid(self) -> int:
            return os.getpid()

    actor = ray.remote(Lives).options(max_restarts=1, max_task_retries=-1).remote()
    first = ray.get(actor.pid.remote(), timeout=30)
    began = actor_entry(actor)["StartTime"]
    os.kill(first, 9)
    wait_until(lambda: ray.get(actor.pid.remote(), timeout=30) != first)
    wait_until(lambda: actor_entry(actor)["NumRestarts"] == 1)
    assert actor_entry(actor)["StartTime"] == began > 0


def actor_entry(actor: Any) -> dict[str, Any]:
    """As Ray's programs ask for it."""
    found: dict[str, Any] = importlib.import_module(f"{NAME}._private.state").actors(actor._actor_id.hex())
    return found
