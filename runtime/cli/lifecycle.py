"""``raynb start`` and ``raynb stop``."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import typer

from raynb.runtime.adapters.launch import (
    ClusterInfo,
    ClusterLaunchError,
    ClusterOptions,
    launch_cluster,
    read_cluster_info,
)
from raynb.runtime.adapters.private_files import UnsafePathError
from raynb.runtime.adapters.processes import Process
from raynb.runtime.adapters.registry import ClusterEntry, ClusterLookupError, clusters, find, remember
from raynb.runtime.adapters.request import Requester
from raynb.runtime.adapters.session_dir import is_held, sweep
from raynb.runtime.messages.errors import RpcError
from raynb.runtime.messages.node import StopNode
from raynb.runtime.messages.sizes import size_text

FAILURES: Final = (
    ClusterLaunchError,
    ClusterLookupError,
    RpcError,
    UnsafePathError,
    ValueError,
    OSError,
)
"""What a command may fail with: told in words, without a traceback."""

REPEAT_S: Final = 0.5


def start(options: ClusterOptions, *, redis_was_typed: bool) -> ClusterInfo:
    """Start a cluster and say how to use it.

    Raises
    ------
    ValueError
        An option that can't be.
    ClusterLaunchError
        It could not be started.
    """
    name, temp_dir = options.name, options.temp_dir
    if redis_was_typed and urlsplit(options.redis).password:
        raise ValueError(
            "everybody on this machine can read arguments: put a URL with a password into RAYNB_REDIS_URL, not --redis"
        )
    if temp_dir and not Path(temp_dir).is_absolute():
        raise ValueError(f"--temp-dir must be an absolute path, not {temp_dir!r}")
    if name and any(name in (entry.name, entry.cluster_id) for entry in clusters()):
        raise ValueError(
            f"a cluster named {name!r} is running: stop it first (raynb stop {name}), or take another name"
        )
    info = launch_cluster(options)
    remember(info.session)
    typer.echo(f"Started cluster {info.name!r} (pid {info.pid}): {_amounts(info)}.")
    typer.echo(f"Its logs are in {info.session_dir}/logs, its state in {info.state_store}.")
    typer.echo(f"\nIn Python:    raynb.init(address={info.name!r})")
    typer.echo(f"To look at:   raynb status {info.name}")
    typer.echo(f"Another node: raynb start --address='{info.name}'")
    typer.echo(f"To stop it:   raynb stop {info.name}")
    return info


def serve_metrics(info: ClusterInfo, port: int) -> None:
    """Have a cluster answer Prometheus; where it can't, it is stopped again.

    Raises
    ------
    OSError
        The port is taken.
    """
    # Here: a command that is no driver does not load what drivers need.
    from raynb.runtime.api.metrics_export import serve
    from raynb.runtime.api.session import init, shutdown

    try:
        init(info.name, log_to_driver=False)
        served = serve(port)
    except BaseException:
        stop(info.name, everything=False, timeout_s=10.0, force=True)
        raise
    finally:
        shutdown()
    typer.echo(f"Its metrics:  http://127.0.0.1:{served}/metrics")


def start_node(address: str, options: ClusterOptions) -> ClusterInfo:
    """Start one more node of a running cluster, on this machine, and say so.

    Raises
    ------
    ClusterLookupError
        There is no such cluster, or several.
    ValueError
        An option that can't be.
    ClusterLaunchError
        It could not be started, or the cluster refuses it.
    """
    cluster = read_cluster_info(Path(find(address).session_dir))
    options.config, options.join = cluster.config, cluster
    options.temp_dir = str(Path(cluster.session_dir).parent.parent)
    info = launch_cluster(options)
    typer.echo(f"Started node {info.node_id[:12]} of cluster {info.name!r} (pid {info.pid}): {_amounts(info)}.")
    typer.echo(f"Its logs are in {info.session_dir}/logs. It ends with the cluster: raynb stop {info.name}")
    return info


def await_end(info: ClusterInfo) -> None:
    """Until the node's manager has ended. Ctrl-C or SIGTERM end it."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        process = Process(info.pid, is_child=False)
    except ProcessLookupError:
        return
    try:
        while process.wait(3600.0) is None:
            pass
    except KeyboardInterrupt:
        with suppress(OSError), Requester(Path(info.session_dir)) as guest:
            guest.send(info.node_manager, StopNode("raynb start --block was interrupted"))
            process.wait(10.0)
    finally:
        process.close()


def _amounts(info: ClusterInfo) -> str:
    return ", ".join(f"{_amount(n, v)} {n}" for n, v in sorted(info.resources.items()) if not n.startswith("node:"))


def _amount(name: str, value: float) -> str:
    if name in ("memory", "object_store_memory"):
        return size_text(value)
    return f"{value:g}"


def stop(cluster: str, *, everything: bool, timeout_s: float, force: bool = False) -> bool:
    """Stop one or all clusters, at once with ``force``, and say what was stopped. False if something is still there.

    Raises
    ------
    ClusterLookupError
        There is no such cluster, or several.
    """
    if everything:
        entries = clusters()
        if not entries:
            typer.echo("No cluster is running.")
    else:
        entries = [find(cluster or "auto")]
    return all([_stop_one(entry, timeout_s, force) for entry in entries])


def _stop_one(entry: ClusterEntry, timeout_s: float, force: bool) -> bool:
    """Ask its node manager to end everything, on all nodes; kill what has not ended in time."""
    name = entry.name or entry.cluster_id
    began = time.monotonic()
    processes = _Processes([entry.pid, *_other_nodes(entry)])
    killed = ""
    try:
        if force:
            killed = " It was killed."
            processes.kill_first()
        elif not _ask_to_stop(entry, processes, timeout_s):
            killed = f" Its node manager did not end within {timeout_s:g} s and was killed."
            processes.kill_first()  # everything else dies with it
        left = processes.wait(time.monotonic() + max(2.0, timeout_s))
    finally:
        processes.close()
    if killed:
        sweep(str(Path(entry.session_dir).parent.parent))
    if left:
        typer.echo(f"Cluster {name!r} has ended, but {left} of its processes have not.{killed}", err=True)
        return False
    seconds = time.monotonic() - began
    count = len(processes)
    typer.echo(f"Stopped cluster {name!r}: {count} process{'es' * (count != 1)} in {seconds:.1f} s.{killed}")
    return True


def _other_nodes(entry: ClusterEntry) -> list[int]:
    """Pids of the managers of its other nodes, as far as it tells."""
    with suppress(RpcError, OSError), Requester(Path(entry.session_dir)) as guest:
        rows = guest.query(entry.gcs_address, "nodes", limit=-1, detail=True, timeout_s=2.0)["rows"]
        return [row["pid"] for row in rows if row["state"] == "ALIVE" and row["pid"] != entry.pid]
    return []


def _ask_to_stop(entry: ClusterEntry, processes: _Processes, timeout_s: float) -> bool:
    """Whether its session was given up in time."""
    session = Path(entry.session_dir)
    deadline = time.monotonic() + timeout_s
    try:
        guest = Requester(session)
    except OSError:  # its directory is being removed already
        return processes.wait(deadline) == 0
    with suppress(FileNotFoundError), guest:
        while time.monotonic() < deadline:
            guest.send(entry.address, StopNode("raynb stop"))
            if processes.wait(min(deadline, time.monotonic() + REPEAT_S), only_first=True) == 0:
                return True
            if is_held(session) is not True:
                return True
    return False


class _Processes:
    """Node managers, the head's first, and all that they have started, held by their pidfds: a number may soon be
    somebody else's."""

    def __init__(self, managers: list[int]) -> None:
        self._fds: list[int] = []
        for pid in managers:
            for member in [pid, *_descendants(pid)]:
                with suppress(OSError):
                    self._fds.append(os.pidfd_open(member))

    def __len__(self) -> int:
        return len(self._fds)

    def kill_first(self) -> None:
        """End the node manager at once."""
        for fd in self._fds[:1]:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)

    def wait(self, deadline: float, *, only_first: bool = False) -> int:
        """Until all have ended, or the time. Returns how many have not."""
        waiting = set(self._fds[:1] if only_first else self._fds)
        while waiting:
            poll = select.poll()
            for fd in waiting:
                poll.register(fd, select.POLLIN)
            left_s = deadline - time.monotonic()
            ended = poll.poll(max(0.0, left_s) * 1000)
            waiting -= {fd for fd, _ in ended}
            if not ended and left_s <= 0:
                break
        return len(waiting)

    def close(self) -> None:
        """Let go of them."""
        for fd in self._fds:
            os.close(fd)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split()):
                found += [child, *_descendants(child)]
    return found
