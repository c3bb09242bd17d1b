"""What a process has timed of its program, told to the event hub for the timeline."""

from __future__ import annotations

import os
from typing import Final

from raynb.runtime.client.client import Client
from raynb.runtime.core.inbox import Outgoing
from raynb.runtime.messages.events import Span, Spans

VARIABLE: Final = "RAY_PROFILING"
"""With this in a worker's environment, arguments, execution and results of each task are timed."""


def tell(client: Client, spans: list[Span]) -> None:
    """Without waiting; from any thread."""
    client.post(Outgoing(client.gcs, Spans(client.worker_id, client.joined.node_id, os.getpid(), spans)))
