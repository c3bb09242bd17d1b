"""How processes have ended, as the state API tells it."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import module
from tests.support.gate import Gate
from tests.support.module import Ray
from tests.support.waiting import wait_until


def test_how_a_worker_ended_is_told_in_rays_words(ray: Ray, raynb_only: None) -> None:
    class Ends:
        def pid(self) -> int:
            return os.getpid()

        def exit(self, code: int | None) -> None:
            if code is None:
                importlib.import_module(f"{module.NAME}.actor").exit_actor()
            sys.exit(code)

    def ended(end: Callable[[Any], object]) -> Any:
        actor = ray.remote(Ends).remote()
        pid = ray.get(actor.pid.remote())
        with contextlib.suppress(ray.exceptions.RayActorError):
            end(actor)
        del actor
        (row,) = wait_until(
            lambda: module.state_api().list_workers(filters=[("pid", "=", pid), ("is_alive", "=", False)], detail=True),
            20,
        )
        return row.exit_type, row.exit_detail

    for end, kind, words in (
        (ray.kill, "INTENDED_SYSTEM_EXIT", "`ray.kill`"),
        (lambda actor: ray.get(actor.exit.remote(None)), "INTENDED_USER_EXIT", "exit_actor()"),
        (lambda actor: ray.get(actor.exit.remote(0)), "INTENDED_USER_EXIT", "exit code 0"),
        (lambda actor: ray.get(actor.exit.remote(4)), "SYSTEM_ERROR", "exit code 4"),
        (lambda actor: os.kill(ray.get(actor.pid.remote()), signal.SIGKILL), "SYSTEM_ERROR", "OOM"),
        (lambda actor: None, "INTENDED_SYSTEM_EXIT", "exit code 0"),
    ):
        exit_type, detail = ended(end)
        assert exit_type == kind and words in detail, (kind, exit_type, detail)


def test_how_a_worker_ended_whose_actor_could_not_be_made_is_told(ray: Ray, raynb_only: None, tmp_path: Path) -> None:
    class Fails:
        def __init__(self) -> None:
            (tmp_path / "pid").write_text(str(os.getpid()))
            raise ValueError("no actor")

    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(ray.remote(Fails).remote().__ray_ready__.remote())
    filters = [("pid", "=", int((tmp_path / "pid").read_text())), ("is_alive", "=", False)]
    (row,) = wait_until(lambda: module.state_api().list_workers(filters=filters, detail=True), 20)
    assert row.exit_type == "USER_ERROR"
    assert "exception in the initialization method" in row.exit_detail

    def failed() -> Any:
        found = module.state_api().list_tasks(filters=[("name", "=", "Fails.__init__")], detail=True)
        return [row for row in found if row.state == "FAILED"]

    (task,) = wait_until(failed)
    assert task.error_type == "TASK_EXECUTION_EXCEPTION"


def test_how_a_worker_ended_whose_task_was_cancelled_by_force_is_told(
    ray: Ray, raynb_only: None, gate: Gate, tmp_path: Path
) -> None:
    def run() -> None:
        (tmp_path / "pid").write_text(str(os.getpid()))
        gate.through()

    ref = ray.remote(run).remote()
    gate.wait_for(1)
    ray.cancel(ref, force=True)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(ref, timeout=30)
    filters = [("pid", "=", int((tmp_path / "pid").read_text())), ("is_alive", "=", False)]
    (row,) = wait_until(lambda: module.state_api().list_workers(filters=filters, detail=True), 20)
    assert row.exit_type == "INTENDED_USER_EXIT"
    assert "ray.cancel" in row.exit_detail


def test_how_a_driver_ended_is_told(ray: Ray, raynb_only: None) -> None:
    address = ray.get_runtime_context().gcs_address
    code = f"import raynb, os; raynb.init(address={address!r}); raynb.nodes(); print(os.getpid()); raynb.shutdown()"
    pid = int(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()[-1]
    )
    filters = [("pid", "=", pid), ("is_alive", "=", False)]
    (row,) = wait_until(lambda: module.state_api().list_workers(filters=filters, detail=True), 20)
    assert (row.worker_type, row.exit_type) == ("DRIVER", "INTENDED_USER_EXIT")
    assert "ray.shutdown()" in row.exit_detail
