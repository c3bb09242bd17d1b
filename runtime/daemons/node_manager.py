"""The node manager's process: ``python -m raynb.runtime.daemons.node_manager``, options on its standard input.

It makes the session, starts everything else of its node side by side, says on its standard output that the cluster
can be joined (or why not), and then carries out what the pure machine (`raynb.runtime.core.node`) decides, until that
says stop. Whatever way it ends, nothing of the node outlives it: in order, it ends all processes and removes the
session; killed, the kernel ends its children, and the next node manager to start removes the session.

The main thread is the parent of all, since children die with the thread that started them.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

import msgspec

import raynb.runtime.adapters.transport  # noqa: F401 - for those that are started as copies of this process
from raynb.runtime.adapters.launch import ClusterOptions, LaunchReport
from raynb.runtime.daemons.node_parts import NodeParts


def main() -> None:
    """Read options, run until the end."""
    # Nobody's child: whoever started us may live on for long, and would have a zombie of us.
    if os.fork():
        os._exit(0)
    os.closerange(3, 65536)  # what is not marked to be closed at an exec; files of the notebook, say
    data = sys.stdin.buffer.read()
    if not data:
        sys.exit("raynb: the daemon was given no options")
    # The pipe to whoever started us; nobody else may hold it open.
    report_fd = os.dup(1)
    os.set_inheritable(report_fd, False)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def report(outcome: LaunchReport) -> None:
        nonlocal report_fd
        if report_fd >= 0:
            with suppress(BrokenPipeError):
                os.write(report_fd, msgspec.msgpack.encode(outcome))
            os.close(report_fd)
            report_fd = -1

    try:
        parts = NodeParts(msgspec.msgpack.decode(data, type=ClusterOptions))
    except (msgspec.MsgspecError, OSError, RuntimeError) as error:
        report(LaunchReport(error=str(error)))
        sys.exit(1)
    sys.exit(serve(parts, report))


def serve(parts: NodeParts, report: Callable[[LaunchReport], None]) -> int:
    """Start what belongs to the node, and be its manager until the end. Returns the exit code."""
    failure = "it was stopped while it was starting"
    code = 1
    host = None
    try:
        parts.start()
        # Only now: the copies of this process that were started have no use for it.
        from raynb.runtime.daemons.node_host import NodeHost

        host = NodeHost(parts)
        host.run(report)
        code = 1 if host.failure else 0
    except Exception as error:
        traceback.print_exc()
        failure = f"{type(error).__name__}: {error}"
    finally:
        try:
            if host is not None:
                host.close()
                failure = host.failure or failure
            parts.end()
        finally:
            parts.remove()
            report(LaunchReport(error=failure))
    return code


if __name__ == "__main__":
    main()
