"""Start a cluster: spawn the head node's daemon, and return as soon as clients can join it.

The daemon is a process of its own session: a Ctrl-C in the terminal, or the end of a kernel, don't
reach it. Its options come through its standard input (some are secrets, which have no place in an
argument list), and its first words come back through a pipe: where the cluster is, or why it could
not start.
"""

from __future__ import annotations

import importlib
import os
import select
import time
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from raynb.runtime.adapters.daemon_process import DaemonProcess
from raynb.runtime.adapters.overrides import overridden
from raynb.runtime.adapters.private_files import read_private
from raynb.runtime.adapters.processes import require_linux
from raynb.runtime.messages.config import Config

LOG_TAIL_BYTES: Final = 4000
INFO_BYTES_MAX: Final = 256 * 1024
WORKER_MAIN: Final = "raynb.runtime.worker.main:run"


class ClusterOptions(Struct, kw_only=True):
    """What a cluster is asked to be. Travels to the daemon through its standard input.

    Attributes
    ----------
    num_cpus, num_gpus
        None: what this process may use (affinity, cgroup), and the GPUs that there are.
    resources
        Custom resources.
    object_store_memory
        Bytes; None: `Config.store_fraction` of the memory.
    redis
        URL of the user's own Redis; empty: a private server (or SQLite where there is none).
    name
        For people and the registry; empty: the session's.
    node_name
        What people call its node; empty: as its machine.
    lifetime
        ``embedded``: ends with its driver; ``daemon``: lives until it is stopped.
    driver_pid
        Whom an embedded cluster waits for; should it die before it has joined, the cluster ends.
        0: nobody.
    temp_dir
        Where sessions are made; empty: ``TMPDIR``.
    notebook
        Names the notebook that starts it, for ``address="auto"``; empty for scripts and the command line.
    registry_dir
        Where running clusters are listed; empty: below Jupyter's runtime directory.
    worker_main
        ``module:function`` that runs a worker. Only tests have another one.
    join
        The cluster of which this is to be one more node, without head services; None: a cluster of its own.
    """

    num_cpus: float | None = None
    num_gpus: float | None = None
    resources: dict[str, float] = {}
    labels: dict[str, str] = {}
    object_store_memory: int | None = None
    namespace: str = ""
    redis: str = ""
    name: str = ""
    node_name: str = ""
    lifetime: str = "embedded"
    driver_pid: int = 0
    config: Config = Config()
    temp_dir: str = ""
    notebook: str = ""
    registry_dir: str = ""
    worker_main: str = WORKER_MAIN
    join: ClusterInfo | None = None


class ClusterInfo(Struct, kw_only=True, frozen=True):
    """A running cluster: how to reach it, and what people want to know about it. Also a file in its session's folder.

    A node that has joined a cluster has one, too: with its own session, manager and resources, and the cluster's GCS.

    Attributes
    ----------
    node_manager, gcs
        Addresses for `Transport.send`.
    pid
        Of the node manager.
    node_id
        Of its node, in hex.
    cluster
        The session of the head node, which is the cluster's id.
    pids
        Of all daemons by name (node_manager, gcs, redis, forkserver), as at the start.
    state_store
        ``redis`` or ``sqlite``; ``redis_address`` is without any secret.
    started
        Wall-clock seconds.
    notes
        What whoever started it should know: less memory than was to be expected, more CPUs than there are.
    """

    name: str
    session: str
    session_dir: str
    node_manager: str
    gcs: str
    pid: int
    started: float
    lifetime: str
    namespace: str
    python: str
    python_version: str
    raynb_version: str
    protocol: int
    redis_address: str = ""
    state_store: str = ""
    store_prefix: str = ""
    spill_prefix: str = ""
    resources: dict[str, float] = {}
    driver_pid: int = 0
    hostname: str = ""
    node_ip: str = "127.0.0.1"
    pids: dict[str, int] = {}
    config: Config = Config()
    notes: list[str] = []
    node_id: str = ""
    cluster: str = ""


def read_cluster_info(session_dir: Path) -> ClusterInfo:
    """What `launch_cluster` gave to whoever started this cluster; for those who attach to it.

    Raises
    ------
    FileNotFoundError
        It has ended.
    UnsafePathError
        The file is not this user's alone.
    """
    return msgspec.json.decode(read_private(session_dir / "config", INFO_BYTES_MAX), type=ClusterInfo)


class LaunchReport(Struct, kw_only=True, frozen=True):
    """The daemon's first words. ``error`` is not empty when it could not start."""

    info: ClusterInfo | None = None
    error: str = ""


class ClusterLaunchError(RuntimeError):
    """The cluster could not be started. The message has the reason and the end of the daemon's
    log.
    """


def launch_cluster(
    options: ClusterOptions,
    *,
    timeout_s: float = 30.0,
    python: str = "",
    daemon: DaemonProcess | None = None,
) -> ClusterInfo:
    """Start a cluster on this machine.

    Parameters
    ----------
    options : ClusterOptions
    timeout_s : float
        After this it is given up and ended.
    python : str
        Interpreter of the daemons and workers; empty: this one.
    daemon : DaemonProcess, optional
        One that was started already, by the right interpreter.

    Raises
    ------
    ClusterLaunchError
        It could not start, or not within the time.
    OSError
        There is no such interpreter.
    RuntimeError
        This is not Linux.
    ValueError
        It is to have more GPUs than this process may see; or a variable that says what it is to have makes no sense.
    """
    require_linux()
    options = overridden(options)
    daemon = daemon or DaemonProcess(python)
    try:
        if options.num_gpus:
            from raynb.runtime.adapters.machine_limits import check_gpus

            check_gpus(options.num_gpus)
        if not options.registry_dir:
            # Here, while the daemon loads, and not there: this process often has the module already.
            from raynb.runtime.adapters.registry import registry_directory

            options = msgspec.structs.replace(options, registry_dir=str(registry_directory()))
        daemon.send_options(msgspec.msgpack.encode(options))
        # Whoever starts a cluster joins it next: what that needs is loaded while the daemon loads its own half.
        importlib.import_module("raynb.runtime.adapters.transport")
        answer = _read_all(daemon.report_fd, timeout_s)
        outcome = _outcome(answer, daemon.early_log_fd, timeout_s)
    except BaseException:  # Ctrl-C, say
        daemon.abandon()
        raise
    if isinstance(outcome, ClusterInfo):
        daemon.release()
        return outcome
    daemon.abandon()
    raise ClusterLaunchError(outcome)


def _read_all(fd: int, timeout_s: float) -> bytes | None:
    """All until its end; None if it does not end in time."""
    deadline = time.monotonic() + timeout_s
    chunks: list[bytes] = []
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
        chunk = os.read(fd, 65536)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


def _outcome(answer: bytes | None, early_log: int, timeout_s: float) -> ClusterInfo | str:
    """Where the cluster is, or in words why there is none."""
    try:
        report = msgspec.msgpack.decode(answer or b"", type=LaunchReport)
    except msgspec.DecodeError:
        report = LaunchReport(error="its daemon ended while it was starting")
    if report.info is not None:
        return report.info
    reason = f"it was not ready within {timeout_s:g} s" if answer is None else report.error
    size = os.fstat(early_log).st_size
    tail = os.pread(early_log, LOG_TAIL_BYTES, max(0, size - LOG_TAIL_BYTES))
    words = f"raynb could not start a cluster: {reason}"
    return words + (f"\n{tail.decode(errors='replace').strip()}" if tail.strip() else "")
