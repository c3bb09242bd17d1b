"""The error of a task that nobody has asked for is told; others are not."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.module import NAME, Ray
from tests.support.waiting import wait_until


@pytest.fixture
def told(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Exception]]:
    """The errors that were told so far."""
    found: list[Exception] = []
    worker = importlib.import_module(f"{NAME}._private.worker")
    monkeypatch.setattr(worker, "_unhandled_error_handler", found.append)
    yield found


@pytest.fixture
def fail(ray: Ray) -> Any:
    def fail(what: str) -> None:
        raise ValueError(what)

    return ray.remote(fail)


@pytest.fixture
def actor(ray: Ray) -> Any:
    class Fails:
        def fail(self, what: str) -> None:
            raise ValueError(what)

        def nothing(self) -> None: ...

    return ray.remote(Fails).remote()


def marker(ray: Ray, told: list[Exception], fail: Any) -> None:
    """Wait until all that happened before has been told."""
    count = len(told)
    fail.remote("marker")
    wait_until(lambda: len(told) > count)
    assert "marker" in str(told.pop())


def test_an_error_whose_reference_is_gone_is_told(ray: Ray, told: list[Exception], fail: Any, actor: Any) -> None:
    fail.remote("at once")
    wait_until(lambda: len(told) == 1)
    actor.fail.remote("of an actor")
    wait_until(lambda: len(told) == 2)
    kept = fail.remote("kept for a while")
    marker(ray, told, fail)
    assert len(told) == 2, "somebody may still ask"
    del kept
    wait_until(lambda: len(told) == 3)
    assert all(isinstance(error, ValueError) and isinstance(error, ray.exceptions.RayTaskError) for error in told)


def test_one_failure_with_several_results_is_told_once(ray: Ray, told: list[Exception], fail: Any) -> None:
    first, second = fail.options(num_returns=2).remote("twice")
    marker(ray, told, fail)
    del first
    marker(ray, told, fail)
    assert told == []
    del second
    wait_until(lambda: len(told) == 1)


def test_errors_that_were_there_when_all_were_asked_for_are_not_told(
    ray: Ray, told: list[Exception], fail: Any, actor: Any
) -> None:
    names = ("a failing task", "a failing call")
    refs = [fail.options(name=names[0]).remote("one"), actor.fail.options(name=names[1]).remote("other")]
    done = actor.nothing.remote()
    for name in names:
        filters = [("name", "=", name), ("state", "=", "FAILED")]
        wait_until(lambda filters=filters: ray.util.state.list_tasks(filters=filters))  # type: ignore[misc]
    with pytest.raises(ValueError, match="one"):
        ray.get([done, *refs])
    refs.clear()
    marker(ray, told, fail)
    assert told == []


def test_what_somebody_has_looked_at_is_not_told(ray: Ray, told: list[Exception], fail: Any, actor: Any) -> None:
    refs = [fail.remote("got"), actor.fail.remote("got")]
    while refs:
        with pytest.raises(ValueError):
            ray.get(refs.pop(), timeout=30)
    waited = fail.remote("waited for")
    ray.wait([waited], timeout=30)
    future = fail.remote("a future's").future()
    assert isinstance(future.exception(30), ValueError)
    given = fail.remote("an input's")
    with pytest.raises(ValueError):
        ray.get(fail.remote(given), timeout=30)
    lent = fail.remote("lent")
    with pytest.raises(ValueError):
        ray.get(ray.remote(lambda refs: ray.get(refs[0])).remote([lent]), timeout=30)
    del waited, future, given, lent
    marker(ray, told, fail)
    assert told == []


def test_cancelled_tasks_are_not_told(ray: Ray, told: list[Exception], fail: Any) -> None:
    blocked = ray.remote(resources={"nowhere": 1})(lambda: None).remote()
    ray.cancel(blocked)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(blocked, timeout=30)
    cancelled = ray.remote(resources={"nowhere": 1})(lambda: None).remote()
    ray.cancel(cancelled)
    del blocked, cancelled
    marker(ray, told, fail)
    assert told == []


def test_it_can_be_switched_off(
    ray: Ray, told: list[Exception], fail: Any, actor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    actor.fail.remote("ignored")
    ray.get(actor.nothing.remote(), timeout=30)
    monkeypatch.delenv("RAY_IGNORE_UNHANDLED_ERRORS")
    marker(ray, told, fail)
    assert told == []


def test_a_script_and_its_workers_say_it(python: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import raynb as ray\n"
        "ray.init(num_cpus=2)\n"
        "@ray.remote\n"
        "def fail(what):\n"
        "    raise ValueError(what)\n"
        "@ray.remote\n"
        "def parent():\n"
        "    fail.remote('of a child')\n"
        "    ray.wait([fail.remote('looked at')])\n"
        "fail.remote('of the driver')\n"
        "kept = fail.remote('until the end')\n"
        "ray.get(parent.remote())\n"
        "@ray.remote\n"
        "class Fails:\n"
        "    def __init__(self):\n"
        "        raise KeyError('in a constructor')\n"
        "made = Fails.remote()\n"
        "input()\n"
    )
    process = subprocess.Popen(
        [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stderr is not None
    said = ""
    while not all(text in said for text in ("ValueError: of the driver", "ValueError: of a child", "KeyError: 'in a")):
        line = process.stderr.readline()
        assert line, said
        said += line
    _, rest = process.communicate("\n", timeout=60)
    said += rest
    assert process.returncode == 0
    assert said.count("Unhandled error (suppress with 'RAY_IGNORE_UNHANDLED_ERRORS=1'): ray::fail()") == 2
    assert said.count("Exception raised in creation task: The actor died because of an error") == 1
    assert "looked at" not in said
    assert "until the end" not in said


def test_a_script_and_its_workers_say_what_is_tried_again(python: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, pathlib\n"
        "import raynb as ray\n"
        "ray.init(num_cpus=2)\n"
        "def is_first(name):\n"
        f"    mark = pathlib.Path({str(tmp_path)!r}, name)\n"
        "    return not mark.exists() and not mark.touch()\n"
        "@ray.remote(max_retries=3)\n"
        "def dies():\n"
        "    is_first('dies') and os._exit(7)\n"
        "@ray.remote(max_retries=-1, retry_exceptions=True)\n"
        "def raises(name):\n"
        "    if is_first(name):\n"
        "        raise ValueError(f'once in {name}')\n"
        "@ray.remote\n"
        "def parent():\n"
        "    ray.get(raises.remote('a worker'))\n"
        "@ray.remote(max_restarts=1, max_task_retries=2)\n"
        "class Actor:\n"
        "    def dies(self):\n"
        "        is_first('actor') and os._exit(8)\n"
        "ray.get([dies.remote(), raises.remote('the driver'), parent.remote(), Actor.remote().dies.remote()])\n"
    )
    done = subprocess.run([python, str(script)], capture_output=True, text=True, timeout=60, check=True)
    for left, task, why in (
        (3, "dies", "died: exit code 7."),
        ("infinite", "raises", "ValueError: once in the driver"),
        ("infinite", "raises", "ValueError: once in a worker"),
        (2, "Actor.dies", "while this call was under way, so it may have run: exit code 8"),
    ):
        said = f"Task {task} failed. There are {left} retries remaining, so the task will be retried. Error: "
        assert said in done.stderr and why in done.stderr, done.stderr
    assert done.stderr.count("so the task will be retried") == 4
