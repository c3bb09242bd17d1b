"""``breakpoint()`` in a task: the debugger runs here, and is driven from the notebook.

It listens on a unix socket in the session's directory, which is the user's alone, tells the notebook that the task
waits, and goes on when somebody has attached and said so. Who attaches and leaves again leaves the task where it is.
Both ways go lines of JSON:

=======================  =====================================================================================
worker -> notebook       ``{"files": [...]}`` (of which sources are missing here), ``{"say": text}``,
                         ``{"ask": true}`` (the next command), ``{"end": text}``
notebook -> worker       ``{"sources": {file: text}}`` first, or ``{"go": true}`` to pass the breakpoint over;
                         then ``{"command": text}``
=======================  =====================================================================================

While the task stands still its CPUs are others', as in ``get``.
"""

from __future__ import annotations

import json
import linecache
import os
import secrets
import socket
import sys
from bdb import BdbQuit
from collections.abc import Callable
from contextlib import suppress
from pdb import Pdb
from types import FrameType
from typing import Any

from raynb.runtime.client.client import Client
from raynb.runtime.client.execution import EXECUTION, Execution
from raynb.runtime.core.inbox import StopWaiting, WaitFor
from raynb.runtime.core.waiters import Waiter
from raynb.runtime.messages.tasks import TaskStopped

LINE_BYTES_MAX = 10_000_000
SENT_AGAIN_CHARACTERS = 20_000


class Quit(KeyboardInterrupt):
    """The person at the debugger has told the task to end."""


class Breakpoints:
    """The debuggers of one worker, one for each task that has met a breakpoint."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.active: dict[bytes, TaskDebugger] = {}
        """By task."""

    def install(self) -> None:
        """From now on ``breakpoint()`` comes here."""
        sys.breakpointhook = self.hook

    def hook(self, *args: Any, **kwargs: Any) -> Any:
        """What ``breakpoint()`` calls."""
        if os.environ.get("PYTHONBREAKPOINT"):
            return sys.__breakpointhook__(*args, **kwargs)
        frame = sys._getframe(1)
        execution = EXECUTION.get()
        if execution is None or not execution.context.cell:
            where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            why = "a thread of its own" if execution is None else "a task of a script"
            print(f"breakpoint() at {where} is passed over: no notebook can attach to {why}", file=sys.stderr)
            return None
        debugger = self.active.get(execution.task_id)
        if debugger is None:
            debugger = self.active[execution.task_id] = TaskDebugger(self._client, execution)
        debugger.stop_at(frame)
        return None

    def task_ended(self, task_id: bytes) -> None:
        """A task of the calling thread is over; to be called where there are `active` ones."""
        debugger = self.active.pop(task_id, None)
        if debugger is not None:
            sys.settrace(None)
            debugger.console.end()


class TaskDebugger(Pdb):
    """Python's debugger, whose terminal is a `Console`."""

    def __init__(self, client: Client, execution: Execution) -> None:
        self.console = Console(client, execution)
        terminal: Any = self.console
        super().__init__(stdin=terminal, stdout=terminal, skip=["raynb.*"], nosigint=True, readrc=False)

    def stop_at(self, frame: FrameType) -> None:
        """Stop before the next line of this frame."""
        self.console.place = (frame.f_code.co_filename, frame.f_lineno)
        self.set_trace(frame)

    def interaction(self, frame: FrameType | None, traceback: Any) -> None:
        if frame is not None and self.console.await_notebook(frame):
            super().interaction(frame, traceback)
        else:
            self.set_continue()

    def get_stack(self, f: FrameType | None, t: Any) -> tuple[list[tuple[FrameType, int]], int]:
        # The frames of the worker, above the task's, are of no interest.
        stack, at = super().get_stack(f, t)
        above = 0
        while above < at and is_users(stack[above][0]):  # how Python came to run a worker
            above += 1
        while above < at and not is_users(stack[above][0]):
            above += 1
        return stack[above:], at - above

    def _cmdloop(self) -> None:
        # Pdb's own takes an interrupt as the end of a command; here it is the task that is cancelled.
        self.cmdloop()

    def trace_dispatch(self, frame: FrameType, event: str, arg: Any) -> Any:
        try:
            return super().trace_dispatch(frame, event, arg)
        except BdbQuit:
            raise Quit("it was told to quit at its breakpoint") from None


def is_users(frame: FrameType) -> bool:
    """Whether a frame is not one of the worker's own."""
    return str(frame.f_globals.get("__name__")).partition(".")[0] != "raynb"


class Console:
    """A terminal for a debugger: the notebook's, where one is attached; else it waits for one."""

    def __init__(self, client: Client, execution: Execution) -> None:
        self.place: tuple[str, int] = ("", 0)
        """File and line of the breakpoint, for the announcement."""
        self._client = client
        self._execution = execution
        self._path = os.path.join(os.path.dirname(client.address.removeprefix("ipc://")), f"b{secrets.token_hex(6)}")
        self._listener: socket.socket | None = None
        self._peer: Any = None
        self._said = ""
        """Since the last command: whoever attaches now has not seen it."""

    # -- what Pdb uses

    def write(self, text: str) -> int:
        self._said = (self._said + text)[-SENT_AGAIN_CHARACTERS:]
        if self._peer is not None:
            self._send({"say": text})
        return len(text)

    def flush(self) -> None: ...

    def readline(self) -> str:
        """The next command; waits for it, and for a notebook, as long as it takes."""
        while True:
            if self._peer is None:
                if not self._attach(None):
                    return "continue\n"
                self._send({"say": self._said})
            self._send({"ask": True})
            message = self._still(self._receive)
            if message is not None and "command" in message:
                self._said = ""
                return str(message["command"]) + "\n"
            self._detach()

    # -- being attached to

    def await_notebook(self, frame: FrameType) -> bool:
        """Wait until a notebook is attached. False if the breakpoint is to be passed over."""
        if self._peer is not None:
            self._send({"say": ""})  # notices that nobody is there any more
        return self._peer is not None or self._attach(frame)

    def _attach(self, frame: FrameType | None) -> bool:
        if self._listener is None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(self._path)
            self._listener.listen(4)
        self._announce()
        while self._peer is None:
            connection, _ = self._still(self._listener.accept)
            self._peer = connection.makefile("rwb")
            connection.close()
            self._send({"files": missing_sources(frame)})
            first = self._still(self._receive)
            if first is None:
                self._detach()
            elif first.get("go"):
                self._detach()
                return False
            else:
                remember_sources(first.get("sources", {}))
        return True

    def _announce(self) -> None:
        execution, (file, line) = self._execution, self.place
        context = execution.context
        stopped = TaskStopped(execution.task_id, execution.name, os.getpid(), context.cell, file, line, self._path)
        self._client.send(context.driver, stopped)

    def _still(self, wait: Callable[[], Any]) -> Any:
        """Wait, while the task's CPUs are given back."""
        waiter = Waiter(1, lambda: None)
        self._client.post(WaitFor(waiter, [], blocking=True))
        try:
            return wait()
        finally:
            self._client.post(StopWaiting(waiter, []))

    def _send(self, message: dict[str, Any]) -> None:
        if self._peer is not None:
            try:
                self._peer.write(json.dumps(message).encode() + b"\n")
                self._peer.flush()
            except OSError:
                self._detach()

    def _receive(self) -> dict[str, Any] | None:
        """A message; None when nobody is attached any more."""
        if self._peer is None:
            return None
        try:
            line = self._peer.readline(LINE_BYTES_MAX)
            message = json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError):
            return None
        return message if isinstance(message, dict) else None

    def _detach(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            with suppress(OSError):
                peer.close()

    def end(self) -> None:
        """The task is over."""
        self._send({"end": f"{self._execution.name} has ended."})
        self._detach()
        if self._listener is not None:
            self._listener.close()
            with suppress(OSError):
                os.unlink(self._path)


def missing_sources(frame: FrameType | None) -> list[str]:
    """The files of a stack whose lines this process doesn't have: cells of the notebook."""
    files: dict[str, None] = {}
    while frame is not None:
        name = frame.f_code.co_filename
        if is_users(frame) and not linecache.getlines(name):
            files[name] = None
        frame = frame.f_back
    return list(files)


def remember_sources(sources: dict[str, str]) -> None:
    """Let the debugger show these lines."""
    for name, text in sources.items():
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
