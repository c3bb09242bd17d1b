"""Joining a node: the first exchange with its node manager, before the I/O thread starts."""

from __future__ import annotations

import os
import platform
import time
from typing import TYPE_CHECKING

from raynb._version import __version__
from raynb.runtime.messages import PROTOCOL_VERSION, Message
from raynb.runtime.messages.errors import RaySystemError
from raynb.runtime.messages.node import JoinNode, NodeJoined

if TYPE_CHECKING:
    from raynb.runtime.adapters.transport import Transport


def join(
    transport: Transport,
    node_manager: str,
    kind: str,
    token: str,
    *,
    job: bytes = b"",
    namespace: str = "",
    grace_s: float = 0.0,
    timeout_s: float = 10.0,
) -> tuple[NodeJoined, list[tuple[str, Message]]]:
    """Introduce this process to a node manager.

    Returns
    -------
    joined, early
        The answer, and the messages that arrived with it.

    Raises
    ------
    RaySystemError
        There was no answer in time.
    """
    transport.send(
        node_manager,
        JoinNode(
            kind, os.getpid(), token, __version__, platform.python_version(), PROTOCOL_VERSION, job, namespace, grace_s
        ),
    )
    deadline = time.monotonic() + timeout_s
    early: list[tuple[str, Message]] = []
    joined: NodeJoined | None = None
    while joined is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise RaySystemError(f"the node manager at {node_manager} did not answer within {timeout_s:g} s")
        for sender, message in transport.receive(left):
            if isinstance(message, NodeJoined) and joined is None:
                joined = message
            else:
                early.append((sender, message))
    return joined, early
