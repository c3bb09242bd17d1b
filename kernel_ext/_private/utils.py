"""Small things, under the names of ``ray._private.utils``."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from raynb._common.utils import binary_to_hex, decode, get_system_memory, hex_to_binary
from raynb.runtime.adapters.machine_limits import cpu_count, memory_used_bytes

__all__ = [
    "binary_to_hex",
    "decode",
    "ensure_str",
    "get_directory_size_bytes",
    "get_num_cpus",
    "get_shared_memory_bytes",
    "get_system_memory",
    "get_used_memory",
    "hex_to_binary",
    "is_main_thread",
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
