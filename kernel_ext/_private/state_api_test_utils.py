"""Helpers of tests that look at tasks, under the names of ``ray._private.state_api_test_utils``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from raynb._common.test_utils import _actor, wait_for_condition
from raynb.differences import OWN_WORKINGS, absent_names
from raynb.util.state import list_tasks


def verify_failed_task(name: str, error_type: str, error_message: str | Sequence[str] | None = None) -> bool:
    """Check that the one task of a name has failed, with this type and with these words."""
    (task,) = list_tasks(filters=[("name", "=", name)], detail=True)
    assert (task["state"], task["error_type"]) == ("FAILED", error_type), task
    words = [error_message] if isinstance(error_message, str) else error_message or []
    for each in words:
        assert each in task["error_message"], task
    return True


def wait_for_task_states(name_to_state: Mapping[str, str], timeout: float = 30) -> None:
    """Wait until there is one task of each name in its state."""

    def all_there() -> bool:
        return all(
            len(list_tasks(filters=[("name", "=", name), ("state", "=", state)])) == 1
            for name, state in name_to_state.items()
        )

    wait_for_condition(all_there, timeout=timeout)


class _Pids:
    """Notes which process runs what."""

    def __init__(self) -> None:
        self._pids: dict[str, Any] = {}

    def get_pids(self) -> dict[str, Any]:
        """By name: the process, and what it is to be checked for, if that was said."""
        return self._pids

    def report_pid(self, name: str, pid: int, state: str | None = None) -> None:
        """Note one."""
        self._pids[name] = (pid, state)


PidActor = _actor(_Pids, "PidActor")


def _is_actor_task_running(actor_pid: int, task_name: str) -> bool:
    """Whether a process runs a task whose name has these words."""
    running = list_tasks(filters=[("state", "=", "RUNNING")], detail=True, limit=10_000)
    return any(task["worker_pid"] == actor_pid and task_name in task["name"] for task in running)


def verify_tasks_running_or_terminated(task_pids: Mapping[str, tuple[int, str | None]], expect_num_tasks: int) -> bool:
    """Check that the tasks of these names are in the states that they are said to have, and that one that runs has a
    process.

    Parameters
    ----------
    task_pids
        By name of the task: its process, and its state; without one it may be any.
    """
    assert len(task_pids) == expect_num_tasks, task_pids
    for name, (pid, state) in task_pids.items():
        (task,) = list_tasks(detail=True, filters=[("name", "=", name)])
        assert state is None or task["state"] == state, task
        assert task["worker_pid"] == pid, task
        if task["state"] == "RUNNING":
            assert psutil.pid_exists(pid), task
    return True


__getattr__ = absent_names(
    "_private.state_api_test_utils",
    dict.fromkeys(
        ("StateAPIMetric", "create_api_options", "get_state_api_manager", "invoke_state_api_n", "verify_schema"),
        OWN_WORKINGS,
    ),
)
