"""Small things, under the names of ``ray._private.utils``."""

from __future__ import annotations

import getpass
import importlib
import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from raynb._common.utils import binary_to_hex, decode, get_system_memory, hex_to_binary, reset_ray_address
from raynb._private.gcs_client import GcsClient
from raynb._private.sigint import DeferSigint
from raynb.differences import OWN_WORKINGS, absent_names
from raynb.runtime.adapters.machine_limits import cpu_count, memory_used_bytes
from raynb.runtime.api.session import connect
from raynb.runtime.client.ids import JobID

_log = logging.getLogger(__name__)
_BUNDLE: Final = re.compile(r"(?P<name>.+)_group_(?:\d+_)?[0-9a-zA-Z]+")
"""What a placement group's resources are called: the resource's own name comes first."""

__all__ = [
    "DeferSigint",
    "binary_to_hex",
    "decode",
    "ensure_str",
    "estimate_available_memory",
    "get_current_node_cpu_model_name",
    "get_directory_size_bytes",
    "get_entrypoint_name",
    "get_num_cpus",
    "get_shared_memory_bytes",
    "get_system_memory",
    "get_used_memory",
    "get_user",
    "hex_to_binary",
    "is_main_thread",
    "parse_pg_formatted_resources_to_original",
    "publish_error_to_driver",
    "push_error_to_driver",
    "reset_ray_address",
    "split_address",
    "try_import_each_module",
    "try_to_symlink",
    "validate_namespace",
]


def ensure_str(s: str | bytes, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Text, whether it is bytes or not."""
    return s if isinstance(s, str) else s.decode(encoding, errors)


def get_num_cpus() -> float:
    """The CPUs that this process may use."""
    return cpu_count()


def get_used_memory() -> int:
    """Bytes in use on this machine (or in its container)."""
    return memory_used_bytes()


def get_shared_memory_bytes() -> int:
    """Bytes of ``/dev/shm``."""
    place = os.statvfs("/dev/shm")
    return place.f_bsize * place.f_blocks


def get_directory_size_bytes(path: str | Path = ".") -> int:
    """What the files below a folder have together."""
    return sum(found.stat().st_size for found in Path(path).rglob("*") if found.is_file())


def is_main_thread() -> bool:
    """Whether this is the thread that Python began with."""
    return threading.current_thread() is threading.main_thread()


def validate_namespace(namespace: str) -> None:
    """Refuse what is no namespace."""
    from raynb.runtime.api.options import check_namespace

    check_namespace(namespace)


def push_error_to_driver(worker: Any, error_type: str, message: str, job_id: JobID | None = None) -> None:
    """Tell an error to a job's driver, or to all: listeners hear of it (`publish_error_to_driver`), and this process's
    own driver shows it.

    Parameters
    ----------
    worker
        This process's; any other value makes no difference.
    """
    publish_error_to_driver(error_type, message, job_id=job_id)


def publish_error_to_driver(
    error_type: str, message: str, gcs_client: GcsClient | None = None, job_id: JobID | None = None, **_old: Any
) -> None:
    """Tell an error to who listens in a cluster (`init_error_pubsub`), and show it where this process's output is seen,
    if it is for this process's job.

    Parameters
    ----------
    gcs_client
        Of the cluster; None: of this process's.
    job_id
        Whose error it is; None: everybody's.
    """
    client = gcs_client or GcsClient()
    client.publish_error(b"", error_type, message, job_id)
    if job_id is None or job_id.is_nil() or job_id.binary() == connect().execution().context.job:
        print(f"(raynb) {message}", file=sys.stderr)  # a worker's output goes to its driver


def estimate_available_memory() -> int:
    """Bytes that nobody uses on this machine (or in its container)."""
    return get_system_memory() - get_used_memory()


def get_user() -> str:
    """Who runs this program."""
    return getpass.getuser()


def get_current_node_cpu_model_name() -> str | None:
    """What this machine's processor is called; None if the system does not say."""
    with open("/proc/cpuinfo") as info:
        names = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    return names[0] if names else None


def get_entrypoint_name() -> str:
    """The command of this program; with a word before it where a person types."""
    command = " ".join(psutil.Process().cmdline())
    return f"(interactive_shell) {command}" if hasattr(sys, "ps1") else command


def split_address(address: str) -> tuple[str, str]:
    """What stands before ``://``, and what comes after it.

    Raises
    ------
    ValueError
        There is none.
    """
    scheme, sign, rest = address.partition("://")
    if not sign:
        raise ValueError(f"Address must contain '://': {address!r}")
    return scheme, rest


def parse_pg_formatted_resources_to_original(pg_formatted_resources: Mapping[str, float]) -> dict[str, float]:
    """Amounts of a placement group's resources, by the names that they had before."""
    found: dict[str, float] = {}
    for name, amount in pg_formatted_resources.items():
        match = _BUNDLE.fullmatch(name)
        original = match["name"] if match else name
        if original != "bundle" or match is None:  # that one only says which bundle is meant
            found[original] = amount
    return found


def try_import_each_module(module_names_to_import: Iterable[str]) -> None:
    """Import what is there; what isn't is logged."""
    for name in module_names_to_import:
        try:
            importlib.import_module(name)
        except ImportError:
            _log.exception("the module %r could not be imported", name)


def try_to_symlink(symlink_path: str, target_path: str) -> None:
    """Make a symbolic link, in the place of another one if there is one; nothing where that can't be."""
    link = Path(symlink_path).expanduser()
    if link.exists() and not link.is_symlink():
        return
    try:
        link.unlink(missing_ok=True)
        link.symlink_to(Path(target_path).expanduser())
    except OSError:
        return


__getattr__ = absent_names(
    "_private.utils",
    dict.fromkeys(
        (
            "check_oversized_function", "check_version_info", "compute_driver_id_from_job", "compute_version_info",
            "detect_fate_sharing_support", "get_conda_bin_executable", "get_conda_env_dir", "get_master_wheel_url",
            "get_ray_doc_version", "get_release_wheel_url", "get_runtime_env_info", "get_wheel_filename",
            "internal_kv_get_with_retry", "internal_kv_put_with_retry", "open_log",
            "parse_runtime_env_for_task_or_actor", "read_ray_address", "resolve_object_store_memory",
            "set_kill_child_on_death_win32", "set_omp_num_threads_if_unset", "set_sigterm_handler",
            "update_envs", "validate_socket_filepath", "write_ray_address",
        ),
        OWN_WORKINGS,
    ),
)  # fmt: skip
