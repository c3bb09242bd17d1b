"""Commands, ports and memory, as tests ask for them; under the names of ``ray._private.test_utils``."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from raynb._common.network_utils import find_free_port, parse_address
from raynb._private.processes import daemons_of
from raynb.runtime.adapters.registry import clusters

__all__ = [
    "check_call_ray",
    "check_call_subprocess",
    "find_available_port",
    "get_current_unused_port",
    "get_gcs_memory_used",
    "wait_until_server_available",
]


def check_call_subprocess(argv: Sequence[str], capture_stdout: bool = False, capture_stderr: bool = False) -> bytes:
    """Run a command; what it wrote, as far as that is wanted.

    Raises
    ------
    subprocess.CalledProcessError
        It failed.
    """
    out = subprocess.PIPE if capture_stdout else None
    err = (subprocess.STDOUT if capture_stdout else subprocess.PIPE) if capture_stderr else None
    done = subprocess.run(argv, stdout=out, stderr=err, check=True)
    return (done.stdout or b"") + (done.stderr or b"")


def check_call_ray(args: Sequence[str], capture_stdout: bool = False, capture_stderr: bool = False) -> bytes:
    """Run the program ``raynb`` with these arguments, as `check_call_subprocess` does."""
    program = [sys.executable, "-c", "from raynb.runtime.cli import main; main()"]
    return check_call_subprocess([*program, *args], capture_stdout, capture_stderr)


def wait_until_server_available(address: str, timeout_ms: int = 5000, retry_interval_ms: int = 100) -> bool:
    """Whether somebody listens at ``host:port`` in time."""
    found = parse_address(address)
    if found is None:
        raise ValueError(f"{address!r} is not host:port")
    deadline = time.monotonic() + timeout_ms / 1000
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((found[0], int(found[1])), timeout=1):
            return True
        time.sleep(retry_interval_ms / 1000)
    return False


def get_current_unused_port() -> int:
    """A port that nobody uses now."""
    return find_free_port()


def find_available_port(start: int, end: int, port_num: int = 1) -> list[int]:
    """So many ports between two that nobody uses now.

    Raises
    ------
    RuntimeError
        There are not so many.
    """
    found = []
    for port in range(start, end):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("", port))
            found.append(port)
        if len(found) == port_num:
            return found
    raise RuntimeError(f"{port_num} unused ports were wanted between {start} and {end}, and {len(found)} are there")


def get_gcs_memory_used() -> int:
    """Bytes that the GCS and the Redis of this user's clusters have."""
    total = 0
    for entry in clusters():
        kinds = daemons_of(entry.pid)
        for info in (*kinds.get("gcs_server", ()), *kinds.get("redis_server", ())):
            total += info.process.memory_bytes()
    return total
