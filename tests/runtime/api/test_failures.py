"""Processes that die: what is tried again, what fails, and what it says."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.gate import Gate
from tests.support.module import Ray
from tests.support.waiting import wait_until


@pytest.fixture
def attempts(tmp_path: Path) -> Path:
    """Each attempt of a task appends a line with its process id."""
    return tmp_path / "attempts"


def pids(attempts: Path) -> list[int]:
    return [int(line) for line in attempts.read_text().split()] if attempts.exists() else []


def test_a_worker_that_exits_fails_its_task_without_retries(ray: Ray) -> None:
    @ray.remote(max_retries=0)
    def leave() -> None:
        os._exit(3)

    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(leave.remote(), timeout=60)
    assert ray.get(ray.remote(lambda: "next").remote()) == "next"


def test_a_task_whose_worker_dies_is_tried_again(ray: Ray, attempts: Path) -> None:
    path = str(attempts)

    @ray.remote
    def second_time_lucky() -> int:
        with open(path, "a") as file:
            print(os.getpid(), file=file)
        if Path(path).read_text().count("\n") < 2:
            os._exit(1)
        return os.getpid()

    last = ray.get(second_time_lucky.remote(), timeout=60)
    assert pids(attempts)[-1] == last
    assert len(set(pids(attempts))) == 2


def test_a_task_whose_worker_is_killed_is_tried_again(ray: Ray, gate: Gate, attempts: Path) -> None:
    path, through = str(attempts), gate.through

    @ray.remote
    def wait() -> str:
        with open(path, "a") as file:
            print(os.getpid(), file=file)
        through()
        return "done"

    ref = wait.remote()
    gate.wait_for(1)
    os.kill(pids(attempts)[0], signal.SIGKILL)
    gate.wait_for(2, timeout=30)
    gate.open()
    assert ray.get(ref, timeout=30) == "done"
    assert len(pids(attempts)) == 2


def test_retries_are_counted(ray: Ray, attempts: Path) -> None:
    path = str(attempts)

    @ray.remote(max_retries=2)
    def never() -> None:
        with open(path, "a") as file:
            print(os.getpid(), file=file)
        os._exit(1)

    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(never.remote(), timeout=60)
    assert len(pids(attempts)) == 3


def test_an_exception_of_the_program_is_not_tried_again_by_itself(ray: Ray, attempts: Path) -> None:
    path = str(attempts)

    @ray.remote
    def fail() -> None:
        with open(path, "a") as file:
            print(os.getpid(), file=file)
        raise ValueError

    with pytest.raises(ValueError):
        ray.get(fail.remote())
    assert len(pids(attempts)) == 1


@pytest.mark.parametrize(("retried", "tries"), [(True, 3), ([ValueError], 3), ([KeyError], 1), (False, 1)], ids=repr)
def test_exceptions_are_tried_again_where_that_was_asked_for(
    ray: Ray, attempts: Path, retried: Any, tries: int
) -> None:
    path = str(attempts)

    @ray.remote(max_retries=2, retry_exceptions=retried)
    def fail() -> None:
        with open(path, "a") as file:
            print(os.getpid(), file=file)
        raise ValueError("again")

    with pytest.raises(ValueError, match="again"):
        ray.get(fail.remote(), timeout=60)
    assert len(pids(attempts)) == tries


def test_the_other_tasks_do_not_notice_that_a_worker_died(ray: Ray) -> None:
    @ray.remote(max_retries=0)
    def leave() -> None:
        os._exit(1)

    square = ray.remote(lambda x: x * x)
    before = [square.remote(x) for x in range(100)]
    crash = leave.remote()
    after = [square.remote(x) for x in range(100)]
    assert ray.get(before + after, timeout=60) == [x * x for x in range(100)] * 2
    with pytest.raises(ray.exceptions.WorkerCrashedError, match="worker died unexpectedly while executing this task"):
        ray.get(crash)


@pytest.fixture
def process_class(ray: Ray) -> Any:
    @ray.remote(num_cpus=0)
    class Process:
        def __init__(self) -> None:
            self.calls = 0

        def pid(self) -> int:
            self.calls += 1
            return os.getpid()

        def count(self) -> int:
            return self.calls

        def leave(self) -> None:
            os._exit(1)

    return Process


def test_a_killed_actor_is_dead_for_all_its_calls(ray: Ray, process_class: Any, gate: Gate) -> None:
    actor = process_class.remote()
    pid = ray.get(actor.pid.remote())
    ray.kill(actor)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(actor.pid.remote(), timeout=30)
    wait_until(lambda: not is_alive(pid), 10)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_killing_an_actor_twice_is_harmless(ray: Ray, process_class: Any) -> None:
    actor = process_class.remote()
    ray.get(actor.pid.remote())
    ray.kill(actor)
    ray.kill(actor)


def test_only_an_actor_can_be_killed(ray: Ray) -> None:
    with pytest.raises((TypeError, ValueError)):
        ray.kill(ray.put(1))


def test_calls_under_way_fail_when_the_actor_is_killed(ray: Ray, gate: Gate) -> None:
    through = gate.through

    @ray.remote
    class Waits:
        def wait(self) -> None:
            through()

    actor = Waits.remote()
    refs = [actor.wait.remote() for _ in range(3)]
    gate.wait_for(1)
    ray.kill(actor)
    for ref in refs:
        with pytest.raises(ray.exceptions.RayActorError):
            ray.get(ref, timeout=30)


def test_an_actor_that_exits_is_dead_and_says_it(ray: Ray, process_class: Any) -> None:
    actor = process_class.remote()
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(actor.leave.remote(), timeout=30)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(actor.pid.remote(), timeout=30)


@pytest.mark.usefixtures("raynb_only")
def test_the_call_in_which_an_actor_died_is_told_that_it_may_have_run(ray: Ray, process_class: Any) -> None:
    actor = process_class.remote()
    with pytest.raises(
        ray.exceptions.ActorDiedError, match=r"exit code 1\. This call had been sent: it may have run\."
    ):
        ray.get(actor.leave.remote(), timeout=30)


def test_an_actor_may_leave_by_itself(ray: Ray) -> None:
    @ray.remote
    class Leaves:
        def leave(self) -> None:
            ray.actor.exit_actor()

        def stay(self) -> str:
            return "here"

    actor = Leaves.remote()
    assert ray.get(actor.stay.remote()) == "here"
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(actor.leave.remote(), timeout=30)
        ray.get(actor.stay.remote(), timeout=30)


def test_what_an_actor_answered_before_it_left_arrives(ray: Ray) -> None:
    """However the news of its end, which take another way, overtake it."""

    @ray.remote(num_cpus=0)
    class Echo:
        def echo(self, value: int) -> int:
            return value

    actors = [Echo.remote() for _ in range(12)]
    ray.get([actor.echo.remote(0) for actor in actors], timeout=60)
    answers, ends = [], []
    for actor in actors:
        answers.append([actor.echo.remote(value) for value in range(10)])
        ends.append(actor.__ray_terminate__.remote())
    for refs in answers:
        assert ray.get(refs, timeout=30) == list(range(10))
    for end in ends:
        with pytest.raises(ray.exceptions.ActorDiedError):
            ray.get(end, timeout=30)


def test_an_actor_with_restarts_begins_anew(ray: Ray, process_class: Any) -> None:
    actor = process_class.options(max_restarts=1, max_task_retries=2).remote()
    first = ray.get(actor.pid.remote())
    os.kill(first, signal.SIGKILL)
    second = ray.get(actor.pid.remote(), timeout=60)
    assert second != first
    assert ray.get(actor.count.remote()) == 1
    os.kill(second, signal.SIGKILL)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(actor.pid.remote(), timeout=60)


def test_an_actor_can_be_killed_so_that_it_restarts(ray: Ray, process_class: Any) -> None:
    actor = process_class.options(max_restarts=1, max_task_retries=2).remote()
    first = ray.get(actor.pid.remote())
    ray.kill(actor, no_restart=False)
    wait_until(lambda: ray.get(actor.pid.remote(), timeout=60) != first, 20)


def test_an_object_made_by_an_actor_that_died_can_still_be_read_from_its_owner(ray: Ray) -> None:
    @ray.remote
    class Maker:
        def make(self) -> str:
            return "small"

    maker = Maker.remote()
    ref = maker.make.remote()
    ray.wait([ref], timeout=30)
    ray.kill(maker)
    assert ray.get(ref, timeout=30) == "small"


def test_an_object_whose_owner_died_is_there_or_lost_but_nobody_hangs(ray: Ray) -> None:
    @ray.remote(num_cpus=0)
    class Owner:
        def put(self) -> list[Any]:
            return [ray.put("owned by the actor")]

    owner = Owner.remote()
    (ref,) = ray.get(owner.put.remote())
    ray.kill(owner)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(owner.put.remote(), timeout=30)
    try:
        assert ray.get(ref, timeout=30) == "owned by the actor"
    except ray.exceptions.OwnerDiedError as error:
        assert "own" in str(error)


@pytest.mark.parametrize("code", [0, 3, "enough"])
def test_a_task_that_exits_takes_its_worker_with_it(ray: Ray, code: Any) -> None:
    def leave() -> None:
        raise SystemExit(code)

    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(ray.remote(max_retries=0)(leave).remote(), timeout=60)
    assert ray.get(ray.remote(lambda: "the others stay").remote(), timeout=60) == "the others stay"


@pytest.mark.parametrize(("code", "again"), [("1", True), ("None", True), ("0", False)])
def test_an_actor_that_exits_is_restarted_unless_it_says_that_all_is_well(ray: Ray, code: str, again: bool) -> None:
    @ray.remote(max_restarts=1)
    class Exits:
        def exit(self, code: str) -> None:
            sys.exit(None if code == "None" else int(code))

        def ready(self) -> bool:
            return True

    actor = Exits.remote()
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(actor.exit.remote(code), timeout=20)

    def answers() -> bool:
        try:
            return bool(ray.get(actor.ready.remote(), timeout=20))
        except ray.exceptions.ActorUnavailableError:
            return False

    if again:
        wait_until(answers, 20)
    else:
        with pytest.raises(ray.exceptions.ActorDiedError):
            ray.get(actor.ready.remote(), timeout=20)


def test_get_raises_as_soon_as_one_has_failed(ray: Ray, gate: Gate) -> None:
    waits = ray.remote(gate.through).remote(1)
    with pytest.raises(ZeroDivisionError):
        ray.get([waits, ray.remote(lambda: 1 / 0).remote()], timeout=20)
    failed = ray.remote(lambda: 1 / 0).remote()
    ray.wait([failed])
    with pytest.raises(ZeroDivisionError):
        ray.get([waits, failed], timeout=20)
    gate.open()
    assert ray.get(waits, timeout=20) == 1


def test_what_an_input_failed_of_is_told_with_the_reason(ray: Ray) -> None:
    def crash() -> None:
        os._exit(1)

    class Taker:
        def take(self, given: object) -> object:
            return given

    def use(given: object) -> object:
        return given

    crashed = ray.remote(crash).options(max_retries=0).remote()
    first = ray.remote(use).remote(crashed)
    for ref in (first, ray.remote(use).remote(first), ray.remote(Taker).remote().take.remote(crashed)):
        with pytest.raises(ray.exceptions.WorkerCrashedError, match="input arguments for this task") as caught:
            ray.get(ref, timeout=20)
        assert isinstance(caught.value, ray.exceptions.RayTaskError)


def test_a_detached_actor_that_fits_nowhere_waits_and_harms_nobody(ray: Ray) -> None:
    class Huge:
        def ready(self) -> None: ...

    ray.remote(Huge).options(name="huge", lifetime="detached", resources={"nowhere": 1}).remote()
    assert ray.get(ray.remote(lambda: 1).remote(), timeout=20) == 1
    ray.kill(ray.get_actor("huge"))
