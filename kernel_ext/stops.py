"""Tasks at a breakpoint, as a notebook meets them: told in their cell, and attended where a cell waits for a task.

A cell that waits in `get` is asked in between (`Client.interlude`). One that awaits leaves the main thread to the
kernel's event loop, from which it is asked then. Without a cell nobody is asked: there is ``%raynb debug``.
"""

from __future__ import annotations

import asyncio
import contextvars
import signal
import sys
from collections.abc import Callable
from typing import Any

from raynb.magics.attach import attend
from raynb.magics.frames import cell_number
from raynb.runtime.api import breakpoints
from raynb.runtime.client import refs
from raynb.runtime.client.client import Client
from raynb.runtime.messages.tasks import TaskStopped

ANNOUNCED_MAX = 1000


class Stops:
    """The breakpoints of one notebook.

    Parameters
    ----------
    tell
        Writes a text into the run of a cell with this token.
    """

    def __init__(self, shell: Any, tell: Callable[[str, str], None]) -> None:
        self._shell = shell
        self._tell = tell
        self._announced: set[str] = set()
        """Tasks that have stopped, by the paths of their sockets."""
        self._cell: contextvars.Context | None = None
        """Of the cell that runs: it says which request prints and asks are for."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Begin to hear of stops."""
        breakpoints.on_stopped = self.stopped
        if refs.connected():
            self.connected(refs.current())

    def close(self) -> None:
        breakpoints.on_stopped = None
        if refs.connected():
            refs.current().interlude = lambda: None

    def connected(self, client: Client) -> None:
        """There is a cluster."""
        client.interlude = attend

    def cell_begins(self) -> None:
        self._cell = contextvars.copy_context()
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def cell_ended(self) -> None:
        self._cell = None

    def stopped(self, task: TaskStopped) -> None:
        """A task has stopped, or was left where it stands; called in the client's I/O thread."""
        kernel = getattr(self._shell, "kernel", None)
        number = cell_number(self._shell, task.file)
        where = f"line {task.line} of In[{number}]" if number is not None else f"{task.file}, line {task.line}"
        text = f"{task.name} (pid {task.pid}) waits at a breakpoint, {where}"
        if kernel is not None and not kernel._allow_stdin:
            self._tell(task.cell, f"{text}. It is passed over, for this front end can't ask for commands.\n")
            breakpoints.pass_over(task)
            return
        text = f"{text}: %raynb debug attaches to it\n"
        if kernel is None:
            print(text, end="", file=sys.stderr)
        else:
            self._tell(task.cell, text)
        self._summon(task)

    def _summon(self, task: TaskStopped) -> None:
        """Have the cell that waits look; once: who has left a task does not want to be asked by the next wait."""
        if task.path in self._announced:
            return
        if len(self._announced) >= ANNOUNCED_MAX:
            self._announced.clear()
        self._announced.add(task.path)
        refs.current().summoned = True
        cell, loop = self._cell, self._loop
        if cell is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._attend_in_loop, context=cell.copy())

    def _attend_in_loop(self) -> None:
        """In the main thread, while a cell awaits; if it waits in `get` it has looked before it comes here."""
        client = refs._current
        if self._cell is None or client is None or not client.summoned:
            return
        client.summoned = False
        # While a cell awaits, an interrupt cancels its future - behind the back of whoever blocks here.
        cancel = signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupted = False
        try:
            attend()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            signal.signal(signal.SIGINT, cancel)
        if interrupted:
            signal.raise_signal(signal.SIGINT)
