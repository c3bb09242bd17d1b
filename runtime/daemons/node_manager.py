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
from contextlib import suppress

import msgspec

from raynb.runtime.adapters.launch import ClusterOptions, LaunchReport


def main() -> None:
    """Read options, run until the end."""
    data = sys.stdin.buffer.read()
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

    from raynb.runtime.daemons.node_host import NodeHost

    try:
        host = NodeHost(msgspec.msgpack.decode(data, type=ClusterOptions))
    except (msgspec.MsgspecError, OSError, RuntimeError) as error:
        report(LaunchReport(error=str(error)))
        sys.exit(1)
    try:
        host.start()
        host.run(report)
    except Exception as error:
        host.failure = host.failure or f"{type(error).__name__}: {error}"
        traceback.print_exc()
    finally:
        host.close()
        report(LaunchReport(error=host.failure or "it was stopped while it was starting"))
    sys.exit(1 if host.failure else 0)


if __name__ == "__main__":
    main()
