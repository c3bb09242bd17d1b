"""Small things, under the names of ``ray._common.utils``."""

from __future__ import annotations

import asyncio
import importlib
import os
import random
import string
import tempfile
import warnings
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from raynb.differences import absent_names
from raynb.runtime.adapters import registry
from raynb.runtime.adapters.machine_limits import memory_total_bytes
from raynb.runtime.adapters.session_dir import session_roots
from raynb.runtime.api import init_arguments

__all__ = [
    "binary_to_hex",
    "decode",
    "env_bool",
    "env_float",
    "env_integer",
    "get_default_ray_temp_dir",
    "get_default_system_temp_dir",
    "get_or_create_event_loop",
    "get_random_alphanumeric_string",
    "get_system_memory",
    "hex_to_binary",
    "import_attr",
    "load_class",
    "reset_ray_address",
    "run_background_task",
    "try_to_create_directory",
]

_BACKGROUND_TASKS: set[asyncio.Task[Any]] = set()
"""What `run_background_task` has started and is not done; Ray's name, which tests look at."""


def binary_to_hex(identifier: bytes) -> str:
    """In hexadecimal."""
    return identifier.hex()


def hex_to_binary(hex_identifier: str) -> bytes:
    """From hexadecimal."""
    return bytes.fromhex(hex_identifier)


def decode(byte_str: str | bytes, allow_none: bool = False, encode_type: str = "utf-8") -> str:
    """Text, whether it is bytes or not; with ``allow_none`` empty for None."""
    if byte_str is None and allow_none:
        return ""
    if not isinstance(byte_str, str | bytes):
        raise ValueError(f"The argument {byte_str} must be a bytes object.")
    return byte_str.decode(encode_type) if isinstance(byte_str, bytes) else byte_str


def env_integer(key: str, default: Any) -> Any:
    """An environment variable as a number."""
    value = os.environ.get(key, "")
    return int(value) if value.isdigit() else default


def env_float(key: str, default: Any) -> Any:
    """An environment variable as a number."""
    try:
        return float(os.environ[key])
    except (KeyError, ValueError):
        return default


def env_bool(key: str, default: Any) -> Any:
    """Whether an environment variable says ``1`` or ``true``."""
    return os.environ[key].lower() in ("1", "true") if key in os.environ else default


def get_or_create_event_loop() -> asyncio.AbstractEventLoop:
    """The running event loop, or else this thread's; a new one where it has none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    with suppress(RuntimeError), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # where there is none, some versions of Python make one
        return asyncio.get_event_loop_policy().get_event_loop()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def run_background_task(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task of the running event loop that is not collected before it is done."""
    task = asyncio.get_running_loop().create_task(coroutine)
    _BACKGROUND_TASKS.add(task)
    task.add_done_callback(_BACKGROUND_TASKS.discard)
    return task


def get_random_alphanumeric_string(length: int) -> str:
    """So many small letters and digits."""
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=length))


def get_system_memory() -> int:
    """Bytes that this machine (or its container) has."""
    return memory_total_bytes()


def get_default_ray_temp_dir() -> str:
    """Where sessions are."""
    return str(session_roots()[0])


def get_default_system_temp_dir() -> str:
    """Of the operating system."""
    return tempfile.gettempdir()


def import_attr(full_path: str, *, reload_module: bool = False) -> Any:
    """What ``package.module.name`` (or ``package.module:name``) means."""
    module, _, name = full_path.rpartition(":" if ":" in full_path else ".")
    found = importlib.import_module(module)
    return getattr(importlib.reload(found) if reload_module else found, name)


def load_class(path: str) -> Any:
    """As `import_attr`."""
    if "." not in path:
        raise ValueError("The path should look like package.module.name.")
    return import_attr(path)


def reset_ray_address(temp_dir: str | None = None) -> None:
    """Forget which cluster ``init()`` would join: it starts one of its own."""
    init_arguments.own_cluster = ""
    registry.forget()


def try_to_create_directory(directory_path: str) -> None:
    """With what is above it."""
    Path(directory_path).mkdir(parents=True, exist_ok=True)


__getattr__ = absent_names("_common.utils")
