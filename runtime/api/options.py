"""The options of tasks and actors: Ray's names, checked before anything is submitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

TASK_DEFAULTS: Final[dict[str, Any]] = {
    "num_cpus": 1,
    "num_gpus": None,
    "memory": None,
    "resources": None,
    "num_returns": None,
    "max_retries": 3,
    "retry_exceptions": False,
    "name": None,
    "scheduling_strategy": None,
    "enable_task_events": True,
}

ACTOR_DEFAULTS: Final[dict[str, Any]] = {
    "num_cpus": None,
    "num_gpus": None,
    "memory": None,
    "resources": None,
    "name": None,
    "namespace": None,
    "lifetime": None,
    "max_concurrency": None,
    "max_restarts": 0,
    "max_task_retries": 0,
    "get_if_exists": False,
    "scheduling_strategy": None,
    "enable_task_events": True,
}

METHOD_DEFAULTS: Final[dict[str, Any]] = {"num_returns": None, "name": None, "max_task_retries": None}

#: Options that Ray has and raynb does not have yet.
NOT_YET: Final = frozenset(
    {
        "accelerator_type",
        "allow_out_of_order_execution",
        "concurrency_group",
        "concurrency_groups",
        "enable_tensor_transport",
        "fallback_strategy",
        "label_selector",
        "max_calls",
        "max_pending_calls",
        "object_store_memory",
        "placement_group",
        "placement_group_bundle_index",
        "placement_group_capture_child_tasks",
        "runtime_env",
        "tensor_transport",
    }
)

STRATEGIES: Final = (None, "DEFAULT", "SPREAD")


def checked(given: Mapping[str, Any], defaults: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The options that were given, all of them known and sensible.

    Raises
    ------
    ValueError
        An option is unknown, not supported yet, or has a value that makes no sense; the message names it.
    TypeError
        A value has the wrong type.
    """
    for name, value in given.items():
        if name not in defaults:
            if name in NOT_YET:
                if value is None:
                    continue
                raise ValueError(f"raynb does not support the option {name!r} of {what} yet")
            raise ValueError(
                f"Invalid option keyword {name!r} for {what}. Valid ones are {', '.join(sorted(defaults))}."
            )
        check_value(name, value)
    return {name: value for name, value in given.items() if name in defaults}


def check_value(name: str, value: Any) -> None:
    """Refuse what can't be meant."""
    if name in ("num_cpus", "num_gpus", "memory") and value is not None:
        _number(name, value)
    elif name == "resources" and value is not None:
        if not isinstance(value, Mapping):
            raise TypeError(f"resources must be a dictionary of amounts by name, not {type(value).__name__}")
        for key, amount in value.items():
            if key in ("CPU", "GPU", "memory"):
                raise ValueError(f"Use num_cpus, num_gpus and memory instead of resources={{{key!r}: ...}}")
            _number(f"resources[{key!r}]", amount)
    elif name == "num_returns" and value is not None:
        known = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if not known and value not in ("streaming", "dynamic"):
            raise ValueError(f"num_returns must be 0 or more, 'streaming' or 'dynamic', not {value!r}")
    elif name in ("max_retries", "max_restarts", "max_task_retries") and value is not None:
        if not isinstance(value, int) or value < -1:
            raise ValueError(f"{name} must be an integer of -1 (for ever), 0 or more, not {value!r}")
    elif name == "retry_exceptions":
        _check_retry_exceptions(value)
    elif name == "lifetime" and value not in (None, "detached", "non_detached"):
        raise ValueError(f"actor `lifetime` argument must be one of 'detached', 'non_detached' and None, not {value!r}")
    elif name == "scheduling_strategy" and value not in STRATEGIES:
        raise ValueError(f"scheduling_strategy must be 'DEFAULT' or 'SPREAD', not {value!r}")
    elif name == "max_concurrency" and value is not None and (not isinstance(value, int) or value < 1):
        raise ValueError(f"max_concurrency must be 1 or more, not {value!r}")
    elif name in ("name", "namespace") and value is not None:
        if not isinstance(value, str):
            raise TypeError(f"{name} must be None or a string, got: '{type(value)}'.")
        if value == "":
            raise ValueError(f"{name} can't be an empty string")


def _number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} must not be negative: {value}")


def _check_retry_exceptions(value: Any) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, list | tuple) and all(isinstance(t, type) and issubclass(t, BaseException) for t in value):
        return
    raise TypeError("retry_exceptions must be a boolean or a list of exception classes")


def resources_of(options: Mapping[str, Any], default_cpus: float) -> dict[str, float]:
    """The resource vector that a task or an actor holds while it runs, without zeros."""
    cpus = options.get("num_cpus")
    wanted: dict[str, float] = {
        "CPU": default_cpus if cpus is None else cpus,
        "GPU": options.get("num_gpus") or 0,
        "memory": options.get("memory") or 0,
        **(options.get("resources") or {}),
    }
    return {name: float(amount) for name, amount in wanted.items() if amount}
