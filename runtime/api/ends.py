"""What a process still does before it leaves its cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from raynb.runtime.client.client import Client

LAST_TASKS_S: Final = 0.5
"""So long the tasks of a driver that comes to its end have to end, too: in Ray as well, nobody has to ask for what a
quick task prints or writes."""

before_end: list[Callable[[], None]] = []
"""Called when this process is about to leave its cluster, while the connection still works; they raise nothing."""


def prepare(client: Client, exiting: bool) -> None:
    """This process is about to leave; ``exiting``: because it ends, not because it was told to."""
    if exiting:
        _let_tasks_end(client)
    for last_look in list(before_end):
        last_look()


def _let_tasks_end(client: Client) -> None:
    host, machine = client.host, client.machine

    def unfinished() -> bool:
        host.read_inbox(time.monotonic())  # what was called just now counts
        return bool(machine.unfinished)

    deadline = time.monotonic() + LAST_TASKS_S
    if host.run(unfinished, LAST_TASKS_S):
        host.drive(lambda: not machine.unfinished, deadline, insist=True)
