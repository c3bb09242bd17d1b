"""Acting on what others own: by a guest, while the driver is stopped, and what the driver finds when it goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raynb.runtime.adapters.request import Requester
from raynb.runtime.messages.acts import ActRequest
from raynb.runtime.messages.errors import RpcError
from tests.support.leaks import Before
from tests.support.stopped import stop_process
from tests.support.waiting import wait_until

ANSWER_S = 0.5
PROGRAM = """
import json, os, sys, time
import numpy as np
import raynb as ray
from raynb.runtime.api.session import session
from raynb.runtime.core.failed_tasks import KeepFailures

folder = sys.argv[1]
context = ray.init(num_cpus=2, namespace="acts", _system_config={"interrupt_patience_s": 1.0})
session().client.post(KeepFailures(10, 1_000_000))


def mark(name):
    with open(os.path.join(folder, name), "a") as file:
        file.write(f"{os.getpid()}\\n")


@ray.remote
def wait(name):
    mark(name)
    while not os.path.exists(os.path.join(folder, "open")):
        time.sleep(0.005)
    return name


@ray.remote
def stubborn(name):
    mark(name)
    while True:
        try:
            time.sleep(1000)
        except KeyboardInterrupt:
            mark("interrupted")


@ray.remote
def deaf(name):
    # It holds the interpreter: no thread of this worker can listen.
    mark(name)
    return sum(range(10**11))


@ray.remote(num_cpus=0)
class Counter:
    def add(self):
        return 1


@ray.remote
def fail(name):
    mark(name)
    if not os.path.exists(os.path.join(folder, "open")):
        raise ValueError("no")
    return "yes"


refs = {}
counter = Counter.remote()
ray.get(counter.add.remote())
array = ray.put(np.zeros(1_000_000, np.uint8))
view = None


def told(**more):
    ids = {name: ref.task_id().hex() for name, ref in refs.items()}
    print(json.dumps({"ids": ids, **more}), flush=True)


def outcome(ref):
    try:
        return repr(ray.get(ref, timeout=20))
    except Exception as error:
        return type(error).__name__


told(info=[str(context["session_dir"]), session().info.gcs], actor=counter._actor_id.hex(), object=array.hex())
functions = {"wait": wait, "stubborn": stubborn, "deaf": deaf, "fail": fail}
for line in sys.stdin:
    command, *words = line.split()
    if command == "submit":
        function, name = words
        refs[name] = functions[function].remote(name)
        told()
    elif command == "get":
        told(outcome=outcome(refs[words[0]]))
    elif command == "call":
        told(outcome=outcome(counter.add.remote()))
    elif command == "read":
        told(outcome=outcome(array)[:5])
    elif command == "view":
        view = ray.get(array)
        told()
    elif command == "look":
        told(outcome=str(view.sum()))
        view = None
"""


class Driver:
    """A program with a cluster of its own, in another process; and a guest of that cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.told = self.answer()
        session_dir, self.gcs = self.told["info"]
        self.session = Path(session_dir).name
        self.guest = Requester(session_dir)

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the program has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def say(self, *words: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def submit(self, function: str, name: str) -> str:
        """Submit a task; its id."""
        task_id: str = self.say("submit", function, name)["ids"][name]
        return task_id

    def pids(self, name: str) -> list[int]:
        """Of the workers that have begun this task."""
        file = self.folder / name
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def runs(self, name: str) -> int:
        return wait_until(lambda: self.pids(name), 20.0, f"{name} runs")[0]

    def known(self, task_id: str) -> None:
        wait_until(lambda: self.guest.query(self.gcs, "tasks", id=task_id)["rows"], what="the hub knows the task")

    def stop(self) -> None:
        stop_process(self.process.pid)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def act(self, action: str, target: str) -> None:
        """Answered in time, or an error."""
        begin = time.monotonic()
        try:
            self.guest.ask(self.gcs, ActRequest(self.guest.number(), action, target), 5.0)
        finally:
            assert time.monotonic() - begin < ANSWER_S

    def close(self) -> None:
        self.go_on()
        (self.folder / "open").touch()
        self.guest.close()
        self.process.communicate(timeout=30)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    before = Before.now()
    driver = Driver(tmp_path)
    try:
        yield driver
    finally:
        driver.close()
    before.assert_nothing_left(driver.session)


def test_a_stopped_drivers_tasks_are_cancelled_running_and_queued(driver: Driver) -> None:
    running = [driver.submit("wait", name) for name in ("a", "b")]
    for name in ("a", "b"):
        driver.runs(name)
    queued = driver.submit("wait", "c")
    driver.known(queued)
    driver.stop()
    driver.act("cancel", running[0])
    driver.act("cancel", queued)
    driver.go_on()
    assert driver.say("get", "a")["outcome"] == "RayTaskError(TaskCancelledError)"
    assert driver.say("get", "c")["outcome"] == "TaskCancelledError"
    (driver.folder / "open").touch()
    assert driver.say("get", "b")["outcome"] == "'b'"
    assert not driver.pids("c"), "a cancelled task was begun"
    assert len(driver.pids("a")) == 1, "a cancelled task was tried again"


@pytest.mark.parametrize("function", ["stubborn", "deaf"])
def test_a_task_that_does_not_stop_loses_its_worker_while_its_owner_is_stopped(driver: Driver, function: str) -> None:
    task_id = driver.submit(function, "a")
    worker = driver.runs("a")
    driver.known(task_id)
    driver.stop()
    driver.act("cancel", task_id)
    wait_until(lambda: not alive(worker), 10.0, "the worker ends")
    driver.go_on()
    assert driver.say("get", "a")["outcome"] == "TaskCancelledError"
    assert driver.pids("a") == [worker], "a cancelled task was tried again"


def test_a_stopped_drivers_actor_is_killed(driver: Driver) -> None:
    actor = driver.told["actor"]
    (row,) = driver.guest.query(driver.gcs, "actors", [("actor_id", "=", actor)], detail=True)["rows"]
    process = Path("/proc", str(row["pid"]))
    assert process.exists()
    driver.stop()
    driver.act("kill_actor", actor)
    # It is answered when the end is durable: the process may have a moment left, and answer a call.
    wait_until(lambda: not process.exists(), what="the actor's process has ended")
    driver.go_on()
    assert driver.say("call")["outcome"] == "ActorDiedError"
    with pytest.raises(ValueError, match="dead already"):
        driver.act("kill_actor", actor)


def test_a_stopped_driver_is_named_where_it_alone_can_act(driver: Driver) -> None:
    failed = driver.submit("fail", "f")
    assert driver.say("get", "f")["outcome"] == "RayTaskError(ValueError)"
    driver.stop()
    for action, target in (("free", driver.told["object"]), ("retry", failed)):
        with pytest.raises(RpcError, match=f"process {driver.process.pid} doesn't answer.*Nothing was done"):
            driver.act(action, target)
    driver.go_on()
    assert driver.say("read")["outcome"] == "array", "what was refused was done later"
    assert len(driver.pids("f")) == 1, "what was refused was done later"


def test_a_failed_task_is_tried_again_and_its_reference_gets_the_value(driver: Driver) -> None:
    task_id = driver.submit("fail", "f")
    assert driver.say("get", "f")["outcome"] == "RayTaskError(ValueError)"
    driver.act("retry", task_id)
    assert driver.say("get", "f")["outcome"] == "RayTaskError(ValueError)"
    (driver.folder / "open").touch()
    driver.act("retry", task_id)
    assert driver.say("get", "f")["outcome"] == "'yes'"
    with pytest.raises(ValueError, match="has not failed"):
        driver.act("retry", task_id)
    assert len(driver.pids("f")) == 3

    def rows() -> list[tuple[str, int]]:
        found = driver.guest.query(driver.gcs, "tasks", [("task_id", "=", task_id)])["rows"]
        return sorted((row["state"], row["attempt_number"]) for row in found)

    wait_until(lambda: rows() == [("FAILED", 0), ("FAILED", 1), ("FINISHED", 2)], what="a row for each attempt")
    (summary,) = (
        row for row in driver.guest.query(driver.gcs, "task_summary")["rows"] if row["func_or_class_name"] == "fail"
    )
    assert summary["state_counts"]["FINISHED"] == 1


def test_a_freed_object_is_gone_for_all_and_its_memory_when_nobody_views_it(driver: Driver) -> None:
    def stored() -> int:
        bytes_used: int = driver.guest.query(driver.gcs, "store")["rows"][0]["used_bytes"]
        return bytes_used

    wait_until(lambda: stored() >= 1_000_000, what="it is stored")
    driver.say("view")
    driver.act("free", driver.told["object"])
    assert driver.say("read")["outcome"] == "Objec"
    with pytest.raises(ValueError, match=r"nothing to free: it has failed \(ObjectFreedError\)"):
        driver.act("free", driver.told["object"])
    assert driver.say("look")["outcome"] == "0"
    wait_until(lambda: stored() < 1_000_000, what="its memory is free")


def test_the_node_is_scaled_while_its_driver_is_stopped(driver: Driver) -> None:
    driver.stop()
    driver.act("scale", "3")
    (row,) = driver.guest.query(driver.gcs, "resources")["rows"]
    assert row["total"]["CPU"] == 3.0


@pytest.mark.parametrize(
    ("action", "target", "words"),
    [
        ("cancel", "12", "not the id of a task: 48 hexadecimal digits"),
        ("free", "zz" * 28, "not the id of an object"),
        ("free", "00" * 28, "no living process owns the object"),
        ("retry", "00" * 24, "no living process has submitted the task"),
        ("kill_actor", "00" * 16, "there is no actor"),
        ("scale", "many", "no number of CPUs"),
        ("scale", "-1", "CPU"),
        ("explode", "", "there is no act 'explode'"),
    ],
)
def test_what_cannot_be_done_is_told_in_words(idle: Driver, action: str, target: str, words: str) -> None:
    def refused() -> bool:
        with contextlib.suppress(RpcError):  # on a busy machine a process did not answer in time, and nothing was done
            with pytest.raises(ValueError, match=words):
                idle.act(action, target)
            return True
        return False

    wait_until(refused, what="all answer")


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    driver = Driver(tmp_path_factory.mktemp("idle"))
    try:
        yield driver
    finally:
        driver.close()


def test_a_task_that_is_over_cannot_be_cancelled(driver: Driver) -> None:
    (driver.folder / "open").touch()
    task_id = driver.submit("wait", "a")
    assert driver.say("get", "a")["outcome"] == "'a'"

    def over() -> bool:
        rows = driver.guest.query(driver.gcs, "tasks", id=task_id)["rows"]
        return bool(rows) and rows[0]["state"] == "FINISHED"

    wait_until(over, what="the hub knows")
    with pytest.raises(ValueError, match="over already: FINISHED"):
        driver.act("cancel", task_id)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
