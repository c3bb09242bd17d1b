"""Addresses, under the names of ``ray._private.services``."""

from __future__ import annotations

import os
import random

from raynb._private.processes import ProcessInfo, daemons_of
from raynb._private.ray_constants import PROCESS_TYPE_GCS_SERVER, PROCESS_TYPE_RAYLET
from raynb.differences import OWN_WORKINGS, absent_names
from raynb.runtime.adapters.registry import clusters, started
from raynb.runtime.api.init_arguments import ADDRESS_VARIABLE
from raynb.runtime.api.session import is_initialized, session
from raynb.util.node_address import get_node_ip_address

__all__ = [
    "ProcessInfo",
    "find_gcs_addresses",
    "get_node_ip_address",
    "get_ray_address_from_environment",
    "new_port",
    "remaining_processes_alive",
]


def remaining_processes_alive() -> bool:
    """Whether all daemons run of the node that this process is connected to.

    Raises
    ------
    RuntimeError
        There is none.
    """
    if not is_initialized():
        raise RuntimeError("there is no node yet: call init() first")
    info = session().info
    wanted = {PROCESS_TYPE_RAYLET} | ({PROCESS_TYPE_GCS_SERVER} if "gcs" in info.pids else set())
    return wanted <= daemons_of(info.pid).keys()


def find_gcs_addresses() -> set[str]:
    """Of this user's clusters."""
    return {entry.gcs_address for entry in clusters()}


def get_ray_address_from_environment(addr: str | None, temp_dir: str | None) -> str | None:
    """What the environment says, or else ``addr``; for None and ``auto`` the cluster that is meant, if one runs."""
    given = os.environ.get(ADDRESS_VARIABLE) or addr
    if given is not None and given != "auto":
        return given
    known = [entry] if (entry := started()) is not None else clusters() if given == "auto" else []
    return known[-1].gcs_address if known else None


def new_port(lower_bound: int = 10000, upper_bound: int = 65535, denylist: set[int] | None = None) -> int:
    """Some port."""
    return random.choice([port for port in range(lower_bound, upper_bound) if port not in (denylist or ())])


__getattr__ = absent_names(
    "_private.services",
    dict.fromkeys(
        (
            "GCS_SERVER_EXECUTABLE", "RAYLET_EXECUTABLE", "REDIS_EXECUTABLE", "canonicalize_bootstrap_address",
            "canonicalize_bootstrap_address_or_die", "create_redis_client", "extract_ip_port",
            "get_node_to_connect_for_driver", "get_webui_url_from_internal_kv",
            "propagate_jemalloc_env_var", "resolve_ip_for_localhost",
            "start_gcs_server", "start_ray_process", "start_raylet", "wait_for_node",
        ),
        OWN_WORKINGS,
    ),
)  # fmt: skip
