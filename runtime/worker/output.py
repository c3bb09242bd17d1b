"""What a task writes: to the worker's logs, and to the driver of its job, which knows the cell it came from.

Python's streams are `TaskStream`. C code and child processes write to the descriptors 1 and 2, which are the log files
themselves: no pipe, so nobody can block on a reader that waits for the interpreter lock. What others have appended to
a log between Python's own writes is read back and told in its place (`LogFile`).

Text without a newline waits for the rest of its line, for a flush, or for a turn of the I/O thread after `FLUSH_S`.
What threads of a task write (or a child that outlives it) belongs to the task that runs, or ran last.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import io
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from raynb.runtime.adapters.log_tasks import NOBODY, LogTasks
from raynb.runtime.adapters.log_times import LogTimes
from raynb.runtime.client.execution import EXECUTION, Execution
from raynb.runtime.messages.tasks import DISPLAY, OutputLine, TaskOutput

FLUSH_S = 0.05
"""Output of a running task is sent at least this often, if it prints at all."""

CHARACTERS_MAX = 1_000_000
"""Between two sendings; what is more goes to the log alone, and its lines are counted."""

PIECE_CHARACTERS_MAX = 20_000

DISPLAY_BYTES_MAX = 10_000_000

_CHUNK_BYTES = 1 << 20


class LogFile:
    """A log that Python appends to, and others through a descriptor: tells their text apart from Python's own.

    Each append by Python ends where the file's offset is afterwards; what lies between the end that is known and the
    beginning of the append is others'.
    """

    def __init__(self, path: str) -> None:
        flags = os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._writer = os.open(path, os.O_WRONLY | flags)
        self._reader = os.open(path, os.O_RDONLY | flags)
        self.known = os.fstat(self._reader).st_size
        """How many bytes of it are accounted for."""
        self._times = LogTimes(path)
        self._tasks = LogTasks(path)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def write(self, data: bytes, task_id: bytes, others: bytes) -> tuple[str, int]:
        """Append what a task writes; gives what others have appended before, which is of that task (see `others`)."""
        if not task_id == others == self._tasks.task:
            size = os.fstat(self._reader).st_size
            if size > self.known:
                self._tasks.writes(others, self.known)
            self._tasks.writes(task_id, size)
        written = 0
        while written < len(data):
            written += os.write(self._writer, data[written:])
        end = os.lseek(self._writer, 0, os.SEEK_CUR)
        self._tasks.writes(task_id, end - written)  # it is known already, unless the log was cut
        found = self._read(end - written)
        self.known = end
        self._times.grew(end)
        return found

    def others(self, task_id: bytes) -> tuple[str, int]:
        """What others have appended since, which counts as of this task: text, and how many lines of it were too much
        to read."""
        size = os.fstat(self._reader).st_size
        self._times.grew(size)
        if size == self.known:
            return "", 0
        self._tasks.writes(task_id, min(size, self.known))
        return self._read(size)

    def _read(self, end: int) -> tuple[str, int]:
        begin, self.known = self.known, end
        if end <= begin:  # nothing, or the log was cut
            return "", 0
        data = os.pread(self._reader, min(end - begin, _CHUNK_BYTES), begin)
        skipped = 0
        for at in range(begin + _CHUNK_BYTES, end, _CHUNK_BYTES):
            skipped += os.pread(self._reader, min(end - at, _CHUNK_BYTES), at).count(b"\n")
        return self._decode(data), skipped

    def close(self) -> None:
        os.close(self._writer)
        os.close(self._reader)
        self._times.close()
        self._tasks.close()


class OutputRouter:
    """Collects the output of all tasks of this worker.

    Parameters
    ----------
    send
        Called with (driver's address, message), from any thread.
    note
        Called with (driver's address, cell, ends of the logs) when this worker begins to write for another one.
    """

    def __init__(
        self, send: Callable[[str, TaskOutput], None], note: Callable[[str, str, tuple[int, int]], None]
    ) -> None:
        self._send = send
        self._note = note
        self.lock = threading.RLock()  # a finalizer that prints may run in the middle of a print
        self.current: Execution | None = None
        """The task that runs, or ran last."""
        self.actor = ""
        """What the actor of this process is called; empty: it runs tasks."""
        self.streams: list[TaskStream] = []
        self._pieces: dict[str, list[_Piece]] = {}
        self._characters = 0
        self._dropped: dict[str, int] = {}
        self._sent_at = 0.0
        self._pid = os.getpid()
        self.pending = False

    def begin(self, execution: Execution) -> None:
        """A task begins. What was written until now is others'."""
        before = self.current
        if before is None or before.context is not execution.context:
            self.collect()
            self._note(execution.context.driver, execution.context.cell, self._ends())
        self.current = execution

    def _ends(self) -> tuple[int, int]:
        """How far in the logs what was told goes. With the lock, where others may write."""
        out, err = (stream.known for stream in self.streams)
        return out, err

    def collect(self, *, midway: bool = False) -> None:
        """Take what C code and children have written, and what waits for the end of its line; then send it all.

        ``midway``: of the task that runs, the end of a line may be under way.
        """
        with self.lock:
            for stream in self.streams:
                stream.collect(midway)
        if self.pending:
            self.flush()

    def write(self, execution: Execution | None, stream: str, text: str, skipped: int = 0) -> None:
        """Note a piece of output; sends it along, at most each `FLUSH_S`."""
        driver = execution.context.driver if execution is not None else ""
        if execution is None or not driver:
            return
        with self.lock:
            self.pending = True
            room = CHARACTERS_MAX - self._characters
            dropped = skipped
            if len(text) > room:
                dropped += text.count("\n", room)
                text = text[:room]
            if dropped:
                self._dropped[driver] = self._dropped.get(driver, 0) + dropped
            pieces = self._pieces.setdefault(driver, [])
            if text:
                self._characters += len(text)
                if not pieces or not pieces[-1].takes(execution, stream, text):
                    pieces.append(_Piece(execution, stream, text))
        if text.endswith("\n") and time.monotonic() - self._sent_at >= FLUSH_S:
            self.flush()

    def display(self, execution: Execution, content: dict[str, Any]) -> bool:
        """Have something shown in the task's cell: the content of Jupyter's `display_data`, and `update` beside it.

        Returns
        -------
        bool
            False if it is too large.
        """
        text = msgspec.json.encode(content).decode()
        if len(text) > DISPLAY_BYTES_MAX:
            return False
        with self.lock:
            for stream in self.streams:
                stream.collect(False)
            self._pieces.setdefault(execution.context.driver, []).append(_Piece(execution, DISPLAY, text))
            self.pending = True
        self.flush()
        return True

    def flush(self) -> None:
        """Send what has gathered."""
        with self.lock:
            pieces, self._pieces = self._pieces, {}
            dropped, self._dropped = self._dropped, {}
            self._characters = 0
            self._sent_at = time.monotonic()
            self.pending = any(stream.waits for stream in self.streams)
            ends = self._ends()
        for driver, of_driver in pieces.items():
            lines = [piece.line(self._pid, self.actor) for piece in of_driver]
            self._send(driver, TaskOutput(lines, dropped.get(driver, 0), ends))


class _Piece:
    """What one task wrote to one stream in a row."""

    __slots__ = ("_execution", "_parts", "_size", "_stream")

    def __init__(self, execution: Execution, stream: str, text: str) -> None:
        self._execution = execution
        self._stream = stream
        self._parts = [text]
        self._size = len(text)

    def takes(self, execution: Execution, stream: str, text: str) -> bool:
        """Add to it, if it is the same task's and not too long."""
        if execution is not self._execution or stream != self._stream or self._size > PIECE_CHARACTERS_MAX:
            return False
        self._parts.append(text)
        self._size += len(text)
        return True

    def line(self, pid: int, actor: str) -> OutputLine:
        execution = self._execution
        text = "".join(self._parts)
        return OutputLine(execution.context.cell, execution.task_id, execution.name, pid, self._stream, text, actor)


class TaskStream(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr`` of a worker.

    Parameters
    ----------
    name
        ``"stdout"`` or ``"stderr"``.
    fd
        Where C code writes to the same log.
    """

    def __init__(self, router: OutputRouter, name: str, fd: int, log: LogFile) -> None:
        self._router = router
        self._name = name
        self._fd = fd
        self._log = log
        self._pid = os.getpid()
        self._parts: list[str] = []
        self._since = 0.0
        """Since when the first of them waits."""
        self._owner: Execution | None = None
        router.streams.append(self)

    @property
    def known(self) -> int:
        """How many bytes of its log are accounted for."""
        return self._log.known

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    @property
    def buffer(self) -> io.FileIO:
        """For bytes, as `sys.stdout.buffer`."""
        self.flush()
        return io.FileIO(self._fd, "w", closefd=False)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._fd

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if os.getpid() != self._pid:
            # A child that a task has forked is one of those who write to the descriptor.
            os.write(self._fd, text.encode(errors=self.errors))
            return len(text)
        with self._router.lock:
            execution = EXECUTION.get() or self._router.current
            if execution is not self._owner:
                self._commit()
                self._owner = execution
            if not self._parts:
                self._since = time.monotonic()
            self._parts.append(text)
            if "\n" in text or len(self._parts) > 100:
                self._commit()
            else:
                self._router.pending = True
        return len(text)

    def _commit(self) -> None:
        """To the log and to the driver, after what others have written before."""
        text = "".join(self._parts)
        self._parts.clear()
        if text:
            data = text.encode(errors=self.errors)
            self._tell_others(*self._log.write(data, _task_of(self._owner), _task_of(self._router.current)))
            self._router.write(self._owner, self._name, text)

    def _tell_others(self, text: str, skipped: int) -> None:
        if text or skipped:
            self._router.write(self._router.current, self._name, text, skipped)

    @property
    def waits(self) -> bool:
        """Whether there is text that waits for the end of its line."""
        return bool(self._parts)

    def collect(self, midway: bool) -> None:
        """Take what waits for the end of its line, and what others have written (see `OutputRouter.collect`). With the
        router's lock."""
        young = midway and self._owner is self._router.current and time.monotonic() - self._since < FLUSH_S
        if self._parts and not young:
            self._commit()
        self._tell_others(*self._log.others(_task_of(self._router.current)))

    def flush(self) -> None:
        if os.getpid() == self._pid:
            with self._router.lock:
                if self._parts:
                    self._commit()


def _task_of(execution: Execution | None) -> bytes:
    return NOBODY if execution is None else execution.task_id


def take_over(router: OutputRouter, logs: tuple[str, str]) -> tuple[TaskStream, TaskStream]:
    """Streams for this worker, whose descriptors 1 and 2 are these logs already."""
    out, err = logs
    _buffer_lines_in_c()
    return TaskStream(router, "stdout", 1, LogFile(out)), TaskStream(router, "stderr", 2, LogFile(err))


def _buffer_lines_in_c() -> None:
    """C's stdout holds its text back when it is no terminal: have it written at each end of a line."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, 1, 0)  # 1: _IOLBF
