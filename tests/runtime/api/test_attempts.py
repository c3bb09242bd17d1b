"""What is tried again, and how often; how often one process runs a function."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from raynb.util.state import list_tasks
from tests.support.module import Ray
from tests.support.waiting import wait_until


def attempts(folder: Path) -> int:
    return len(os.listdir(folder))


def fails(folder: Path, error: type[Exception], times: int) -> int:
    attempt = attempts(folder)
    (folder / str(attempt)).touch()
    if attempt < times:
        raise error("not yet")
    return attempt


class Failing:
    def call(self, folder: Path, error: type[Exception], times: int) -> int:
        return fails(folder, error, times)

    async def call_async(self, folder: Path, error: type[Exception], times: int) -> int:
        return fails(folder, error, times)


class Dying:
    def pid(self) -> int:
        return os.getpid()

    def die(self, folder: Path, times: int) -> int:
        if attempts(folder) < times:
            (folder / str(attempts(folder))).touch()
            os._exit(3)
        return os.getpid()


@pytest.mark.parametrize(
    ("retry", "runs"), [(False, 1), (True, 3), ([LookupError], 3), ([KeyError], 1), ([KeyError, Exception], 3)]
)
def test_errors_of_a_task_are_tried_again_where_it_says_so(ray: Ray, tmp_path: Path, retry: Any, runs: int) -> None:
    ref = ray.remote(max_retries=2, retry_exceptions=retry)(fails).remote(tmp_path, LookupError, 5)
    with pytest.raises(LookupError, match="not yet"):
        ray.get(ref, timeout=60)
    assert attempts(tmp_path) == runs


def test_a_task_that_is_tried_again_may_succeed(ray: Ray, tmp_path: Path) -> None:
    assert ray.get(ray.remote(retry_exceptions=True)(fails).remote(tmp_path, ValueError, 2), timeout=60) == 2


def test_what_is_tried_for_ever_succeeds_in_the_end(ray: Ray, tmp_path: Path) -> None:
    task = ray.remote(max_retries=-1, retry_exceptions=True)(fails)
    assert ray.get(task.remote(tmp_path, ValueError, 8), timeout=60) == 8


@pytest.mark.parametrize("bad", [dict(max_retries=-2), dict(retry_exceptions=[int]), dict(retry_exceptions=["x"])])
def test_options_of_retries_that_make_no_sense_are_refused(ray: Ray, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ray.remote(**bad)(fails)


@pytest.mark.parametrize("how", ["call", "call_async"])
@pytest.mark.parametrize(("retry", "runs"), [(False, 1), ([LookupError], 3), ([KeyError], 1)])
def test_errors_of_an_actors_call_are_tried_again_where_it_says_so(
    ray: Ray, tmp_path: Path, how: str, retry: Any, runs: int
) -> None:
    method = getattr(ray.remote(Failing).remote(), how)
    ref = method.options(max_task_retries=2, retry_exceptions=retry).remote(tmp_path, LookupError, 5)
    with pytest.raises(LookupError, match="not yet"):
        ray.get(ref, timeout=60)
    assert attempts(tmp_path) == runs


def test_a_method_declares_how_its_calls_are_tried_again(ray: Ray, tmp_path: Path) -> None:
    class Declared:
        @ray.method(max_task_retries=3, retry_exceptions=[ValueError])
        def call(self, folder: Path) -> int:
            return fails(folder, ValueError, 3)

    assert ray.get(ray.remote(Declared).remote().call.remote(tmp_path), timeout=60) == 3


def comes_back(ray: Ray, actor: Any) -> bool:
    """Whether an actor can be called again; calls fail while it restarts."""
    try:
        return bool(ray.get(actor.pid.remote(), timeout=60))
    except ray.exceptions.ActorUnavailableError as error:
        assert "is unavailable: The actor is restarting, and this call failed before it started" in str(error)
        return False


def test_a_call_whose_actor_dies_is_unavailable_when_it_comes_back_and_dead_when_not(ray: Ray, tmp_path: Path) -> None:
    actor = ray.remote(max_restarts=1)(Dying).remote()
    first = ray.get(actor.pid.remote(), timeout=30)
    with pytest.raises(ray.exceptions.ActorUnavailableError):
        ray.get(actor.die.remote(tmp_path, 2), timeout=60)
    wait_until(lambda: comes_back(ray, actor), 60, "it is there again")
    assert ray.get(actor.pid.remote(), timeout=60) != first
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(actor.die.remote(tmp_path, 2), timeout=60)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(actor.pid.remote(), timeout=60)
    assert not issubclass(ray.exceptions.ActorUnavailableError, ray.exceptions.ActorDiedError)


def test_a_call_is_sent_again_to_the_restarted_actor_where_it_may_be(ray: Ray, tmp_path: Path) -> None:
    actor = ray.remote(max_restarts=2, max_task_retries=2)(Dying).remote()
    first = ray.get(actor.pid.remote(), timeout=60)
    call = actor.die.options(name="sent_again").remote(tmp_path, 2)
    last = ray.get(call, timeout=60)
    assert last == ray.get(actor.pid.remote()) != first
    assert attempts(tmp_path) == 2

    def listed() -> list[Any]:
        rows = list_tasks(filters=[("name", "=", "sent_again")], detail=True)
        return sorted(rows, key=lambda row: row.attempt_number)

    wait_until(lambda: [row.state for row in listed()] == ["FAILED", "FAILED", "FINISHED"], 30)
    rows = listed()
    assert [row.error_type for row in rows] == ["ACTOR_UNAVAILABLE", "ACTOR_UNAVAILABLE", None]
    assert (rows[0].worker_pid, rows[2].worker_pid) == (first, last) and rows[1].worker_pid not in (first, last)


def test_a_process_runs_a_function_no_more_often_than_it_says(ray: Ray) -> None:
    once = ray.remote(max_calls=1, max_retries=0)(lambda: os.getpid())
    with pytest.raises((ValueError, TypeError)):
        once.options(max_calls=2)
    assert len({ray.get(once.remote(), timeout=30) for _ in range(4)}) == 4

    @ray.remote(max_calls=2, max_retries=0)
    def pid() -> int:
        return os.getpid()

    pids = ray.get([pid.remote() for _ in range(12)], timeout=60)
    assert max(pids.count(one) for one in pids) <= 2


def test_a_process_stays_for_what_it_owns_but_runs_nothing_more(ray: Ray, raynb_only: None) -> None:
    @ray.remote(max_calls=1, max_retries=0)
    def inner() -> tuple[Any, int]:
        return ray.put("kept"), os.getpid()

    results = [ray.get(inner.remote(), timeout=30) for _ in range(3)]
    refs, pids = [ref for ref, _ in results], {pid for _, pid in results}
    assert ray.get(refs, timeout=30) == ["kept"] * 3
    assert len(pids) == 3
    results.clear()
    refs.clear()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_after_its_last_call_a_process_ends(ray: Ray) -> None:
    @ray.remote(max_calls=1)
    def pid() -> int:
        return os.getpid()

    one = ray.get(pid.remote(), timeout=30)
    wait_until(lambda: not Path(f"/proc/{one}").exists())


def test_exceptions_to_try_again_may_be_local_classes(ray: Ray, tmp_path: Path) -> None:
    class OwnError(Exception): ...

    @ray.remote(retry_exceptions=[OwnError], max_retries=2)
    def fail_once() -> str:
        if (tmp_path / "tried").exists():
            return "done"
        (tmp_path / "tried").touch()
        raise OwnError

    assert ray.get(fail_once.remote()) == "done"


def test_a_variable_says_how_often_tasks_are_tried_again(
    ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash() -> None:
        (tmp_path / str(time.monotonic_ns())).touch()
        os._exit(1)

    monkeypatch.setenv("RAY_TASK_MAX_RETRIES", "1")
    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(ray.remote(crash).remote(), timeout=60)
    assert attempts(tmp_path) == 2
    monkeypatch.setenv("RAY_TASK_MAX_RETRIES", "often")
    with pytest.raises(ValueError, match="RAY_TASK_MAX_RETRIES"):
        ray.remote(crash).remote()
