"""What an actor does at its end: its own ``__ray_shutdown__``, and the calls that run when it is sent SIGTERM."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.gate import Gate
from tests.support.module import Ray
from tests.support.waiting import wait_until

WAYS_TO_END = ["let go", "terminated", "exit_actor", "sys.exit(1)", "SIGTERM"]


class Orderly:
    """Notes in a file how it ends."""

    def __init__(self, notes: str, problem: str = "") -> None:
        self.notes = notes
        self.problem = problem
        atexit.register(self.note, "exits")

    def note(self, what: str) -> None:
        with open(self.notes, "a") as file:
            file.write(f"{what}\n")

    def __ray_shutdown__(self) -> None:
        self.note("cleans up")
        if self.problem:
            raise ValueError(self.problem)

    def pid(self) -> int:
        return os.getpid()

    def wait(self) -> None:
        time.sleep(1000)

    def end(self, ray: Any, how: str) -> None:
        if how == "exit_actor":
            ray.actor.exit_actor()
        elif how == "SIGTERM":
            os.kill(os.getpid(), signal.SIGTERM)
        raise SystemExit(1)


class Concurrent(Orderly):
    async def pid(self) -> int:  # type: ignore[override]
        return os.getpid()


def noted(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


@pytest.mark.parametrize("kind", ["single", "threaded", "async"])
@pytest.mark.parametrize("how", WAYS_TO_END)
def test_an_actor_that_ends_in_an_orderly_way_cleans_up_and_then_exits(
    ray: Ray, tmp_path: Path, how: str, kind: str
) -> None:
    notes = tmp_path / "notes"
    made = ray.remote(Concurrent if kind == "async" else Orderly)
    actor = made.options(max_concurrency=3 if kind == "threaded" else None).remote(str(notes))
    ray.get(actor.pid.remote(), timeout=30)
    if how == "terminated":
        actor.__ray_terminate__.remote()
    elif how != "let go":
        with pytest.raises(ray.exceptions.ActorDiedError):
            ray.get(actor.end.remote(ray, how), timeout=30)
    del actor
    wait_until(lambda: noted(notes) == ["cleans up", "exits"], 30.0, "it has cleaned up")


def test_what_its_clean_up_raises_is_told_and_it_ends_all_the_same(
    ray: Ray, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    notes = tmp_path / "notes"
    actor = ray.remote(Orderly).remote(str(notes), "no disk left")
    ray.get(actor.pid.remote(), timeout=30)
    actor.__ray_terminate__.remote()
    wait_until(lambda: noted(notes) == ["cleans up", "exits"], 30.0, "it has ended")
    shown: list[str] = []
    wait_until(lambda: shown.append(capfd.readouterr().err) or "no disk left" in "".join(shown), 30.0, "it is told")


def test_an_actor_that_is_killed_does_not_clean_up(ray: Ray, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    actor = ray.remote(Orderly).remote(str(notes))
    pid = ray.get(actor.pid.remote(), timeout=30)
    ray.kill(actor)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 30.0, "it has ended")
    assert noted(notes) == []


def test_sigterm_interrupts_the_call_of_an_actor_that_runs_one_at_a_time(ray: Ray, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    actor = ray.remote(Orderly).remote(str(notes))
    pid = ray.get(actor.pid.remote(), timeout=30)
    call = actor.wait.remote()
    os.kill(pid, signal.SIGTERM)
    with pytest.raises(ray.exceptions.ActorDiedError, match="SIGTERM"):
        ray.get(call, timeout=30)
    wait_until(lambda: noted(notes) == ["cleans up", "exits"], 30.0, "it has cleaned up")


@pytest.mark.parametrize("kind", ["threaded", "async", "in groups"])
def test_calls_that_run_beside_others_end_when_their_actor_is_sent_sigterm(ray: Ray, gate: Gate, kind: str) -> None:
    through = gate.through

    class Threaded:
        def hold(self, value: int, inside: list[Any]) -> int:
            return through(value) + ray.get(inside[0])

        def terminate(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    class Looping:
        async def hold(self, value: int, inside: list[Any]) -> int:
            return await asyncio.to_thread(through, value) + await inside[0]

        def terminate(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    groups = {"concurrency_groups": {"io": 2}} if kind == "in groups" else {}
    actor = ray.remote(**groups, max_concurrency=3)(Looping if kind == "async" else Threaded).remote()
    running = [actor.hold.remote(value, [ray.put(1)]) for value in range(2)]
    gate.wait_for(2)
    ray.get(actor.terminate.remote(), timeout=30)
    gate.open()
    assert ray.get(running, timeout=30) == [1, 2]


def test_an_actor_that_was_sent_sigterm_is_restarted_and_runs_what_had_not_begun(ray: Ray, gate: Gate) -> None:
    through = gate.through

    class Restarted:
        async def hold(self, value: int) -> int:
            return await asyncio.to_thread(through, value)

        async def pid(self) -> int:
            return os.getpid()

    actor = ray.remote(Restarted).options(max_restarts=1, max_task_retries=1).remote()
    pid = ray.get(actor.pid.remote(), timeout=30)
    held = actor.hold.remote(7)
    gate.wait_for(1)
    os.kill(pid, signal.SIGTERM)
    later = actor.pid.remote()
    gate.open()
    assert ray.get(held, timeout=30) == 7
    assert ray.get(later, timeout=30)
    wait_until(lambda: ray.get(actor.pid.remote(), timeout=30) != pid, 30.0, "it is restarted")
    assert gate.arrived() == 1
