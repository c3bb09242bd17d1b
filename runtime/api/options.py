"""The options of tasks, actors and methods: Ray's names, types, defaults and bounds, checked before anything is
submitted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, Final, NamedTuple

from raynb.runtime.api.deprecation import RayDeprecationWarning
from raynb.runtime.api.labels import selector_problem
from raynb.runtime.api.runtime_env import check_fields
from raynb.runtime.api.strategies import (
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    PlacementGroupSchedulingStrategy,
)
from raynb.runtime.codec.captures import warn
from raynb.runtime.core.placement import STORE_MEMORY

NoneType = type(None)


class Option(NamedTuple):
    """What one option may be.

    Attributes
    ----------
    check
        Says of a value of the right type what is wrong with it; empty: nothing.
    """

    types: tuple[type, ...]
    default: Any = None
    check: Callable[[str, Any], str] = lambda name, value: ""


UNITS: Final = ("GPU", "TPU", "NPU", "HPU", "neuron_cores")
"""Resources of which each unit is a thing: of more than one of them, one has whole ones only."""
SMALLEST: Final = 0.0001
"""The granularity of resources (`raynb.runtime.core.placement`)."""


def _amount(name: str, value: Any) -> str:
    if value is None:
        return ""
    if value != value or value in (float("inf"), float("-inf")):
        return f"The quantity of resource {name} must be finite"
    if value < 0:
        return f"The quantity of resource {name} cannot be negative"
    if 0 < value < SMALLEST:
        return f"The precision of the fractional quantity of resource {name} cannot go beyond {SMALLEST}"
    return ""


def _amounts(name: str, value: Any) -> str:
    for key, amount in (value or {}).items():
        if not isinstance(key, str):
            return f"resources are amounts by name, not by {key!r}"
        if key in ("CPU", "GPU"):
            return "Use the 'num_cpus' and 'num_gpus' keyword instead of 'CPU' and 'GPU' in 'resources' keyword"
        if key in ("memory", STORE_MEMORY):
            return f"Use the {key!r} keyword instead of {key!r} in 'resources' keyword"
        if isinstance(amount, bool) or not isinstance(amount, Real):
            return f"the amount of {key!r} must be a number, not {amount!r}"
        if problem := _amount(key, amount):
            return problem
    return ""


def _count_or_endless(name: str, value: Any) -> str:
    if value is not None and value < -1:
        return f"The keyword {name!r} only accepts None, 0, -1 or a positive integer, where -1 represents infinity."
    return ""


def _count(name: str, value: Any) -> str:
    if value is not None and value < 0:
        return f"The keyword {name!r} only accepts None, 0 or a positive integer."
    return ""


def _num_returns(name: str, value: Any) -> str:
    if isinstance(value, str) and value not in ("streaming", "dynamic"):
        return f"num_returns must be an integer from 0 on, 'streaming' or 'dynamic', not {value!r}"
    if isinstance(value, int) and value < 0:
        return (
            f"The keyword 'num_returns' only accepts None, a non-negative integer, 'streaming' (for generators), or "
            f"'dynamic'; num_returns must be >= 0, but got {value}."
        )
    return ""


def _exceptions(name: str, value: Any) -> str:
    if isinstance(value, list | tuple) and not all(isinstance(t, type) and issubclass(t, Exception) for t in value):
        return "retry_exceptions must be either a boolean or a list of exceptions"
    return ""


def _backpressure(name: str, value: Any) -> str:
    if value == 0:
        return (
            f"{name}={value} is not allowed. Use a value > 0: with 1, the generator makes an item whenever `next` is "
            "called; -1 disables it."
        )
    return ""


def _lifetime(name: str, value: Any) -> str:
    if value not in (None, "detached", "non_detached"):
        return f"actor `lifetime` argument must be one of 'detached', 'non_detached' and 'None', not {value!r}."
    return ""


def _groups(name: str, value: Any) -> str:
    for group, size in (value or {}).items():
        if not isinstance(group, str) or not isinstance(size, int) or isinstance(size, bool) or size < 1:
            return f"a concurrency group is a name and how many calls run at once, from 1 on, not {group!r}: {size!r}"
    return ""


def _runtime_env(name: str, value: Any) -> str:
    check_fields(value or {})
    return ""


def _strategy(name: str, value: Any) -> str:
    if isinstance(value, str) and value not in ("DEFAULT", "SPREAD"):
        return f"scheduling_strategy must be 'DEFAULT', 'SPREAD' or of raynb.util.scheduling_strategies, not {value!r}"
    return ""


def check_namespace(namespace: Any) -> None:
    """Refuse what is no namespace; None stands for the caller's own.

    Raises
    ------
    TypeError, ValueError
        It is no text, or empty.
    """
    if namespace is not None and not isinstance(namespace, str):
        raise TypeError("namespace must be None or a string.")
    if problem := _namespace("namespace", namespace):
        raise ValueError(problem)


def _namespace(name: str, value: Any) -> str:
    return '"" is not a valid namespace. Pass None to not specify a namespace.' if value == "" else ""


def _actor_name(name: str, value: Any) -> str:
    return "Actor name cannot be an empty string. Give it a name, or leave the option out." if value == "" else ""


def _group(name: str, value: Any) -> str:
    if value not in (None, "default") and not hasattr(value, "bundle_specs"):
        raise TypeError(f"the option {name} must be a placement group, not {value!r}")
    return ""


def _selector(name: str, value: Any) -> str:
    return selector_problem(value or {})


def _fallbacks(name: str, value: Any) -> str:
    for choice in value or ():
        if not isinstance(choice, dict):
            return f"a fallback_strategy is a list of dictionaries of options, not of {choice!r}"
        if unknown := sorted(set(choice) - {"label_selector"}):
            return f"a fallback_strategy may change 'label_selector' only, not {unknown}"
        if not isinstance(choice.get("label_selector"), dict):
            return f"the label_selector of a fallback_strategy must be a dictionary: {choice!r}"
        if problem := _selector("label_selector", choice["label_selector"]):
            return problem
    return ""


_AMOUNT = Option((float, int, NoneType), None, _amount)
_TEXT = Option((str, NoneType))

COMMON: Final[dict[str, Option]] = {
    "memory": _AMOUNT,
    "object_store_memory": _AMOUNT,
    "name": _TEXT,
    "num_cpus": _AMOUNT,
    "num_gpus": _AMOUNT,
    "resources": Option((dict, NoneType), None, _amounts),
    "accelerator_type": _TEXT,
    "label_selector": Option((dict, NoneType), None, _selector),
    "fallback_strategy": Option((list, NoneType), None, _fallbacks),
    "placement_group": Option((object,), "default", _group),
    "placement_group_bundle_index": Option((int,), -1),
    "placement_group_capture_child_tasks": Option((bool, NoneType)),
    "scheduling_strategy": Option(
        (
            NoneType,
            str,
            PlacementGroupSchedulingStrategy,
            NodeAffinitySchedulingStrategy,
            NodeLabelSchedulingStrategy,
        ),
        None,
        _strategy,
    ),
    "enable_task_events": Option((bool,), True),
    "runtime_env": Option((dict, NoneType), None, _runtime_env),
}

TASK_OPTIONS: Final[dict[str, Option]] = {
    **COMMON,
    "num_cpus": Option((float, int, NoneType), 1, _amount),
    "max_calls": Option((int, NoneType), 0, _count),
    "max_retries": Option((int, NoneType), 3, _count_or_endless),
    "num_returns": Option((int, str, NoneType), None, _num_returns),
    "retry_exceptions": Option((bool, list, tuple), False, _exceptions),
    "_generator_backpressure_num_objects": Option((int, NoneType), None, _backpressure),
}

ACTOR_OPTIONS: Final[dict[str, Option]] = {
    **COMMON,
    "lifetime": Option((str, NoneType), None, _lifetime),
    "max_concurrency": Option((int, NoneType), None, _count),
    "max_restarts": Option((int, NoneType), 0, _count_or_endless),
    "max_task_retries": Option((int, NoneType), 0, _count_or_endless),
    "max_pending_calls": Option((int, NoneType), -1, _count_or_endless),
    "concurrency_groups": Option((dict, NoneType), None, _groups),
    "allow_out_of_order_execution": Option((bool, NoneType)),
    "name": Option((str, NoneType), None, _actor_name),
    "namespace": Option((str, NoneType), None, _namespace),
    "get_if_exists": Option((bool,), False),
}

METHOD_OPTIONS: Final[dict[str, Option]] = {
    "num_returns": TASK_OPTIONS["num_returns"],
    "name": _TEXT,
    "max_task_retries": Option((int, NoneType), None, _count_or_endless),
    "concurrency_group": _TEXT,
    "retry_exceptions": TASK_OPTIONS["retry_exceptions"],
    "enable_task_events": COMMON["enable_task_events"],
    "_generator_backpressure_num_objects": TASK_OPTIONS["_generator_backpressure_num_objects"],
}

#: Options that Ray has and raynb has not, with the value that says nothing.
REFUSED: Final[dict[str, Any]] = {
    "enable_tensor_transport": None,
    "tensor_transport": None,
}

#: Options of a definition that can't be changed for some of its calls.
ONLY_AT_DEFINITION: Final = frozenset({"max_calls", "concurrency_groups"})


def checked(
    given: Mapping[str, Any], known: Mapping[str, Option], what: str, *, in_options: bool = False
) -> dict[str, Any]:
    """The options that were given, all of them known and sensible.

    Raises
    ------
    ValueError
        An option is unknown, not supported, or has a value that makes no sense; the message names it.
    TypeError
        A value has the wrong type.
    """
    for name, value in given.items():
        option = known.get(name)
        if option is not None:
            if in_options and name in ONLY_AT_DEFINITION:
                raise ValueError(f"Setting {name!r} is not supported in '.options()'.")
            check_option(name, value, option)
            if name == STORE_MEMORY and value and known is ACTOR_OPTIONS:
                warn_of_store_memory("actors")
        elif name not in REFUSED:
            raise ValueError(f"Invalid option keyword {name} for {what}. Valid ones are {sorted(known)}.")
        elif value is not None and value != REFUSED[name]:
            raise ValueError(f"raynb does not support the option {name!r} of {what}")
    return {name: value for name, value in given.items() if name in known}


def warn_of_store_memory(what: str) -> None:
    """Say what asking for a part of the object store is not."""
    warnings.warn(
        f"Setting {STORE_MEMORY!r} for {what} is deprecated: it is a number that nodes are chosen by, and keeps no "
        "part of an object store free. What a store has no room for goes to disk.",
        DeprecationWarning,
        stacklevel=3,
    )


def warn_of_dynamic(options: Mapping[str, Any]) -> None:
    """Say of a ``num_returns`` that was given just now that Ray has deprecated it."""
    if options.get("num_returns") == "dynamic":
        warn(
            "num_returns='dynamic' is deprecated and will be removed in a future Ray release. "
            "Use num_returns='streaming' instead.",
            RayDeprecationWarning,
        )


def check_option(name: str, value: Any, option: Option) -> None:
    """Refuse what can't be meant."""
    if not isinstance(value, option.types) or (isinstance(value, bool) and bool not in option.types):
        wanted = option.types[0] if len(option.types) == 1 else option.types
        raise TypeError(f"The type of keyword {name!r} must be {wanted}, but received type {type(value)}")
    problem = option.check(name, value)
    if problem:
        raise ValueError(problem)


def resources_of(options: Mapping[str, Any], default_cpus: float) -> dict[str, float]:
    """The resource vector that a task or an actor holds while it runs, without zeros.

    Raises
    ------
    ValueError
        One and a half GPUs, say.
    """
    cpus = options.get("num_cpus")
    wanted: dict[str, float] = {
        "CPU": default_cpus if cpus is None else cpus,
        "GPU": options.get("num_gpus") or 0,
        "memory": int(options.get("memory") or 0),  # whole bytes
        STORE_MEMORY: options.get(STORE_MEMORY) or 0,
        **(options.get("resources") or {}),
    }
    for name in UNITS:
        amount = wanted.get(name, 0)
        if amount > 1 and amount != int(amount):
            raise ValueError(
                f"{name} resource quantities >1 must be whole numbers. The specified quantity {amount} is invalid."
            )
    return {name: float(amount) for name, amount in wanted.items() if amount}
