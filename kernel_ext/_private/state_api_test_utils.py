"""Helpers of tests that look at tasks, under the names of ``ray._private.state_api_test_utils``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raynb._common.test_utils import wait_for_condition
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
