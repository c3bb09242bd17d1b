"""What ``init`` may be told: checked before anything is started."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Mapping
from types import NoneType
from typing import Any, Final

from raynb.runtime.api.job_config import JobConfig
from raynb.runtime.api.options import COMMON, Option, check_namespace, check_option
from raynb.runtime.api.runtime_env import of_hook
from raynb.runtime.api.system_config import SPILLING_DIRECTORY
from raynb.runtime.api.without_effect import OF_INIT
from raynb.runtime.messages.errors import RaySystemError

METRICS_PORT: Final = "_metrics_export_port"
REFUSED: Final = frozenset(
    {
        "_driver_object_store_memory",
        "_enable_object_reconstruction",
        "_tracing_startup_hook",
        "cgroup_path",
        "enable_resource_isolation",
        "proxy_server_url",
        "system_reserved_cpu",
        "system_reserved_memory",
    }
)
"""What raynb has none of, and would have to."""

KEYWORDS: Final = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "_memory",
                   "object_store_memory": "object_store_memory"}  # fmt: skip
"""What says the amounts that are no custom resources."""

STORE_BYTES_MIN: Final = 1024 * 1024
PORT_MAX: Final = 65535
QUANTITY_MAX: Final = 100_000_000_000_000
SKIP_HOOK: Final = "_skip_env_hook"
ADDRESS_VARIABLE: Final = "RAY_ADDRESS"
AUTO_CONNECT_VARIABLE: Final = "RAY_ENABLE_AUTO_CONNECT"
NOT_STARTED: Final = "Ray has not been started yet. You can start Ray with 'ray.init()'."


def _texts(name: str, value: Any) -> str:
    wrong = [part for item in (value or {}).items() for part in item if not isinstance(part, str)]
    return f"{name} must be texts by name, but {wrong[0]!r} is none" if wrong else ""


def _port(name: str, value: Any) -> str:
    return "" if value is None or 0 <= value <= PORT_MAX else f"{name} must be between 0 and {PORT_MAX}, not {value}"


def _level(name: str, value: Any) -> str:
    known = logging.getLevelNamesMapping()
    if not isinstance(value, str) or value.upper() in known:
        return ""
    return f"{name} must be a number or one of {', '.join(known)}, not {value!r}"


def _layout(name: str, value: Any) -> str:
    try:
        logging.Formatter(value)
    except ValueError as error:
        return f"{name} is not what logging.Formatter takes: {error}"
    return ""


def _whole(name: str, value: Any) -> str:
    """Ray's rule of what a node offers; tasks may ask for parts of it."""
    if value is None:
        return ""
    if value != int(value):
        return f"Resource quantities must all be whole numbers, but {name} is {value}"
    return f"Resource quantities must be at most {QUANTITY_MAX}, but {name} is {value}" if value > QUANTITY_MAX else ""


def _of_node(option: Option) -> Option:
    def check(name: str, value: Any) -> str:
        amounts = value if isinstance(value, dict) else {name: value}
        return option.check(name, value) or next(filter(None, map(_whole, amounts, amounts.values())), "")

    return option._replace(check=check)


_TEXT: Final = Option((str, NoneType))
NEW: Final[dict[str, Option]] = {
    "num_cpus": _of_node(COMMON["num_cpus"]),
    "num_gpus": _of_node(COMMON["num_gpus"]),
    "resources": _of_node(COMMON["resources"]),
    "labels": Option((dict, NoneType), None, _texts),
    "object_store_memory": COMMON["object_store_memory"],
    "_memory": COMMON["memory"],
    "name": _TEXT,
    "redis": _TEXT,
    "node_name": _TEXT,
    "_system_config": Option((dict, NoneType)),
}
"""What a new cluster may be told."""
CHECKED: Final[dict[str, Option]] = {
    METRICS_PORT: Option((int, NoneType), None, _port),
    "configure_logging": Option((bool,), True),
    "logging_level": Option((int, str, NoneType), None, _level),
    "logging_format": Option((str, NoneType), None, _layout),
}
"""What may be said of any cluster, beside ``init``'s own arguments."""


#: Set by `cluster_utils.Cluster`: the id of one that this process has started.
own_cluster = ""


def chosen_address(address: str | None, new: Mapping[str, Any], *, may_join: bool) -> str | None:
    """What the program says, or else the environment: None or ``local`` for a new cluster with what is ``new``.

    Where nobody says anything, also not of what would be new, it is the cluster that was started by itself, if it may
    be joined: by this process, or last by ``raynb start``.

    Raises
    ------
    TypeError, ValueError
        What makes no sense for a new cluster, or can't be asked of one that runs.
    """
    address = address or os.environ.get(ADDRESS_VARIABLE) or None
    if address is None and may_join and all(value in (None, "") for value in new.values()):
        address = _started_before()
    if address in (None, "local"):
        _check_values(new)
    else:
        _refuse_for_existing(new)
    return address


def _started_before() -> str | None:
    # Here: where an address is given, nobody needs the list.
    from raynb.runtime.adapters import registry

    entry = (registry.running(own_cluster) if own_cluster else None) or registry.started()
    return entry.cluster_id if entry is not None else None


def check_auto_connect() -> None:
    """Refuse to start a cluster that ``init`` was not called for, where the environment says so: ``0``.

    Raises
    ------
    RaySystemError
    """
    if os.environ.get(AUTO_CONNECT_VARIABLE) == "0":
        raise RaySystemError(NOT_STARTED)


def with_spilling_directory(config: dict[str, Any] | None, kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """The ``_system_config``, with the folder for what memory has no room for, if it is an argument of its own."""
    folder = kwargs.pop(SPILLING_DIRECTORY, None)
    return config if folder is None else {**(config or {}), SPILLING_DIRECTORY: folder}


def given_environment(env: Mapping[str, Any] | None, job: JobConfig, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The job's ``runtime_env``, as the environment's hook has it, if it may."""
    given = env or job.runtime_env
    return (given if kwargs.get(SKIP_HOOK) else of_hook(given)) or {}


def check_given(namespace: Any, job: Any, kwargs: Mapping[str, Any]) -> None:
    """Refuse what is wrong whatever cluster is meant, and options that nobody knows or that would have to do something.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        The message names the argument.
    """
    check_namespace(namespace)
    check_option("job_config", job, Option((JobConfig, NoneType)))
    for key, value in kwargs.items():
        if key in CHECKED:
            check_option(key, value, CHECKED[key])
            continue
        if key == SKIP_HOOK or key in OF_INIT or value is None or value is False:
            continue
        if key in REFUSED:
            raise ValueError(f"init() does not support {key}={value!r} in raynb")
        raise RuntimeError(f"Unknown keyword argument(s): {key}. init() of raynb does not know it")


def serve_metrics(kwargs: Mapping[str, Any]) -> int:
    """Serve the cluster's metrics, where that was asked for; the port, or 0."""
    port = kwargs.get(METRICS_PORT)
    if port is None:
        return 0
    # By its name: it needs a connection, and nobody else needs it.
    export = importlib.import_module("raynb.runtime.api.metrics_export")
    return int(export.serve_from_the_beginning(port))


def check_custom_resources(resources: Mapping[str, Any] | None) -> None:
    """Refuse amounts that have keywords of their own, as Ray does.

    Raises
    ------
    AssertionError
    """
    for name in resources or {}:
        if name in KEYWORDS:
            raise AssertionError(
                f"`{name}` cannot be a custom resource because it is one of the default resources: use {KEYWORDS[name]}"
            )


def _check_values(new: Mapping[str, Any]) -> None:
    if isinstance(new["resources"], Mapping):
        check_custom_resources(new["resources"])
    for what, option in NEW.items():
        check_option(what, new[what], option)
    object_store_memory = new["object_store_memory"]
    if object_store_memory is not None and object_store_memory < STORE_BYTES_MIN:
        raise ValueError(f"object_store_memory must be at least {STORE_BYTES_MIN} bytes: {object_store_memory}")


def _refuse_for_existing(new: Mapping[str, Any]) -> None:
    # A cluster that runs already has what it has.
    for name, value in new.items():
        if value is None or value == "":
            continue
        names = "num_cpus and num_gpus" if name in ("num_cpus", "num_gpus") else name
        raise ValueError(f"When connecting to an existing cluster, {names} must not be provided.")
