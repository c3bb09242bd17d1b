"""What a task prints: to the worker's log, and to the driver of its job, which knows the cell it came from."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable
from typing import TextIO

from raynb.runtime.client.client import EXECUTION, Execution
from raynb.runtime.messages.tasks import OutputLine, TaskOutput

FLUSH_S = 0.05
"""Output of a running task is sent at least this often, if it prints at all."""

LINES_MAX = 1000
"""Between two sendings; what is more goes to the log alone, and is counted."""

LINE_CHARACTERS_MAX = 20_000


class OutputRouter:
    """Collects the output of all tasks of this worker.

    Parameters
    ----------
    send
        Called with (driver's address, message), from any thread.
    """

    def __init__(self, send: Callable[[str, TaskOutput], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._lines: dict[str, list[OutputLine]] = {}
        self._dropped: dict[str, int] = {}
        self._sent_at = 0.0
        self._pid = os.getpid()
        self.pending = False

    def write(self, execution: Execution, stream: str, text: str) -> None:
        """Note a piece of output; sends it along, at most each `FLUSH_S`."""
        driver = execution.context.driver
        if not driver:
            return
        with self._lock:
            lines = self._lines.setdefault(driver, [])
            if len(lines) >= LINES_MAX:
                self._dropped[driver] = self._dropped.get(driver, 0) + text.count("\n")
                return
            last = lines[-1] if lines else None
            if last is not None and last.task_id == execution.task_id and last.stream == stream:
                # `print` writes its parts one by one; what one task writes in a row is one piece.
                text = last.text + text
                lines.pop()
            lines.append(
                OutputLine(
                    execution.context.cell,
                    execution.task_id,
                    execution.name,
                    self._pid,
                    stream,
                    text[:LINE_CHARACTERS_MAX],
                )
            )
            self.pending = True
        if text.endswith("\n") and time.monotonic() - self._sent_at >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Send what has gathered."""
        with self._lock:
            lines, self._lines = self._lines, {}
            dropped, self._dropped = self._dropped, {}
            self._sent_at = time.monotonic()
            self.pending = False
        for driver, of_driver in lines.items():
            self._send(driver, TaskOutput(of_driver, dropped.get(driver, 0)))


class TaskStream(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr`` of a worker."""

    def __init__(self, router: OutputRouter, name: str, log: TextIO) -> None:
        self._router = router
        self._name = name
        self._log = log

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "replace"

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._log.fileno()

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._log.write(text)
        execution = EXECUTION.get()
        if execution is not None and text:
            self._router.write(execution, self._name, text)
        return len(text)

    def flush(self) -> None:
        self._log.flush()
