"""Tasks that wait at a breakpoint, and the line to the debugger of one of them (`raynb.runtime.worker.breakpoints`)."""

from __future__ import annotations

import json
import linecache
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from raynb.runtime.messages.tasks import TaskStopped

PASS_OVER_TIMEOUT_S = 5.0

_stopped: dict[str, TaskStopped] = {}
"""By the path of their sockets, in the order in which they have stopped."""

#: Set by the kernel extension: told of each task that has stopped, in the client's I/O thread.
on_stopped: Callable[[TaskStopped], None] | None = None


def note(message: TaskStopped) -> None:
    """A task has stopped, or was left where it stands."""
    _stopped.pop(message.path, None)
    _stopped[message.path] = message
    if on_stopped is not None:
        on_stopped(message)


def waiting() -> list[TaskStopped]:
    """The tasks that wait at a breakpoint now."""
    for path, task in list(_stopped.items()):
        # The socket of a process that was killed stays as a file.
        if not (os.path.exists(path) and os.path.exists(f"/proc/{task.pid}")):
            forget(task)
    return list(_stopped.values())


def forget(task: TaskStopped) -> None:
    """It does not wait any more."""
    _stopped.pop(task.path, None)


class DebuggerLine:
    """The line to a task's debugger; a context manager. Leaving it leaves the task where it is.

    Raises
    ------
    OSError
        The task is not there any more.
    """

    def __init__(self, stopped: TaskStopped, timeout_s: float | None = None) -> None:
        self._stopped = stopped
        self._timeout_s = timeout_s
        self._file: Any = None

    def __enter__(self) -> DebuggerLine:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(self._timeout_s)
            connection.connect(self._stopped.path)
            self._file = connection.makefile("rwb")
        forget(self._stopped)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with suppress(OSError):
            self._file.close()

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the debugger says, until it has ended or is gone."""
        while (message := self.read()) is not None:
            if "files" in message:
                self.send({"sources": {name: "".join(linecache.getlines(name)) for name in message["files"]}})
            else:
                yield message

    def read(self) -> dict[str, Any] | None:
        """The next message; None when the debugger is gone."""
        line = self._file.readline()
        message: dict[str, Any] | None = json.loads(line) if line else None
        return message

    def send(self, message: dict[str, Any]) -> None:
        self._file.write(json.dumps(message).encode() + b"\n")
        self._file.flush()


def pass_over(stopped: TaskStopped) -> None:
    """Have a task go on as if there were no breakpoint."""
    with suppress(OSError), DebuggerLine(stopped, PASS_OVER_TIMEOUT_S) as line:
        line.read()  # what it says first
        line.send({"go": True})
