"""Options of ``ray start`` that say where Ray's daemons listen, or how they log: taken, and without effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

VALUES: Final = frozenset(
    {
        "--dashboard-agent-grpc-port",
        "--dashboard-agent-listen-port",
        "--dashboard-grpc-port",
        "--dashboard-host",
        "--dashboard-port",
        "--include-dashboard",
        "--include-log-monitor",
        "--log-color",
        "--log-style",
        "--max-worker-port",
        "--min-worker-port",
        "--node-ip-address",
        "--node-manager-port",
        "--object-manager-port",
        "--plasma-directory",
        "--port",
        "--ray-client-server-port",
        "--redis-shard-ports",
        "--runtime-env-agent-port",
        "--worker-port-list",
    }
)
FLAGS: Final = frozenset(
    {
        "--disable-usage-stats",
        "--enable-object-reconstruction",
        "--no-monitor",
        "--ray-debugger-external",
        "--verbose",
        "-v",
    }
)


def unknown(arguments: Sequence[str]) -> str:
    """The first of these arguments that is none of those options, nor the value of one; empty: there is none.

    Examples
    --------
    >>> unknown(["--port", "6379", "--no-monitor", "--dashboard-host=0.0.0.0"])
    ''
    >>> unknown(["--nope=1"])
    '--nope=1'
    """
    left = list(arguments)
    while left:
        argument = left.pop(0)
        name, equals, _ = argument.partition("=")
        if name in VALUES and (equals or left):
            left = left if equals else left[1:]
        elif argument not in FLAGS:
            return argument
    return ""
