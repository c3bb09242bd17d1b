"""What ``ps`` shows for workers, and what is in their environment, as programs for Ray expect it."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import psutil

from tests.support.module import NAME, Ray
from tests.support.waiting import wait_until


def title() -> str:
    shown: str = importlib.import_module(f"{NAME}._raylet").getproctitle()
    return shown


def titles() -> set[str]:
    """Of all processes."""
    found = set()
    for process in psutil.process_iter():
        try:
            found.add(" ".join(process.cmdline()).rstrip())
        except psutil.Error:
            continue
    return found


class Titled:
    def __init__(self) -> None:
        self.first = title()

    def told(self) -> tuple[str, str, int]:
        return self.first, title(), os.getpid()

    def short(self) -> str:
        return Path("/proc/self/comm").read_text().strip()


class Awaited:
    async def told(self) -> tuple[str, int]:
        return title(), os.getpid()


def test_a_worker_shows_the_task_that_it_runs(ray: Ray) -> None:
    def which() -> tuple[str, str, int]:
        return title(), Path("/proc/self/comm").read_text().strip(), os.getpid()

    shown, short, pid = ray.get(ray.remote(which).remote(), timeout=30)
    assert (shown, short) == ("ray::which", "ray::which")
    assert ray.get(ray.remote(which).options(name="another name").remote(), timeout=30)[0] == "ray::another name"
    wait_until(lambda: psutil.Process(pid).cmdline()[0] == "ray::IDLE")
    assert "ray::IDLE" in titles()


def test_an_actor_shows_its_class_and_the_method_that_it_runs(ray: Ray) -> None:
    actor = ray.remote(Titled).remote()
    first, now, pid = ray.get(actor.told.remote(), timeout=30)
    assert (first, now) == ("ray::Titled.__init__", "ray::Titled.told")
    wait_until(lambda: psutil.Process(pid).cmdline()[0] == "ray::Titled")
    assert ray.get(actor.told.options(name="foo").remote(), timeout=30)[1] == "ray::foo"
    assert ray.get(actor.short.remote(), timeout=30) == "ray::Titled.sho"
    slow = ray.remote(Awaited).remote()
    now, pid = ray.get(slow.told.remote(), timeout=30)
    assert now == "ray::Awaited.told"
    wait_until(lambda: psutil.Process(pid).cmdline()[0] == "ray::Awaited")


def test_an_actor_in_threads_shows_what_has_begun_last(ray: Ray) -> None:
    actor = ray.remote(max_concurrency=3)(Titled).remote()
    told: list[Any] = ray.get([actor.told.remote() for _ in range(6)], timeout=30)
    assert {each[1] for each in told} == {"ray::Titled.told"}
    wait_until(lambda: psutil.Process(told[0][2]).cmdline()[0] == "ray::Titled")


def test_a_worker_knows_its_job_and_its_node_managers_pid_by_its_environment(ray: Ray) -> None:
    def told() -> tuple[str, int, int]:
        return os.environ["RAY_JOB_ID"], int(os.environ["RAY_RAYLET_PID"]), os.getppid()

    job, manager, parent = ray.get(ray.remote(told).remote(), timeout=30)
    assert job == ray.get_runtime_context().get_job_id()
    assert manager == parent
