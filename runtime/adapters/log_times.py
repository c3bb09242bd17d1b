"""When what stands in a log was written: a file beside it (`log_beside`).

``logs/times/<name of the log>`` has a mark each `PAUSE_S` at most, while something is written: at this moment the log
grew to so many bytes. What has no mark yet was written when the log was changed last. Where the node manager cuts a
log, its bytes are counted anew; the marks before tell of what is gone.

Lines that daemons write begin with their time (`raynb.runtime.daemons.log_files.say`), and so do Redis's.
"""

from __future__ import annotations

import os
import re
import struct
import time
from bisect import bisect_left, bisect_right
from contextlib import suppress
from pathlib import Path
from typing import Final

from raynb.runtime.adapters.log_beside import Beside, beside

WHAT: Final = "times"
PAUSE_S: Final = 0.1
MARKS_MAX: Final = 65_536
"""After so many the pause becomes twice as long, and so on."""
READ_BYTES_MAX: Final = 16 * 1024 * 1024

_MARK: Final = struct.Struct("<dQ")
_STAMP: Final = re.compile(rb"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d) ")
_REDIS_STAMP: Final = re.compile(rb"\d+:[A-Z] (\d\d?) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d)")
_MONTHS: Final = b"JanFebMarAprMayJunJulAugSepOctNovDec"


class LogTimes:
    """Writes the marks of one log."""

    def __init__(self, log: str) -> None:
        self._file = Beside(log, WHAT)
        self._end = 0
        self._last: tuple[float, int] | None = None
        """The last growth, while it has no mark."""
        self._due = 0.0
        self._pause_s = PAUSE_S
        self._count = 0

    def __repr__(self) -> str:
        return f"<LogTimes {self._file!r} {self._count} marks>"

    def grew(self, end: int) -> None:
        """The log has so many bytes (still): to be called often, so that what was written last has its time soon."""
        now = time.time()
        if end != self._end:
            self._end = end
            self._last = now, end
        if self._last is None or now < self._due:
            return
        last, self._last = self._last, None
        self._due = now + self._pause_s
        self._count += 1
        if self._count % MARKS_MAX == 0:
            self._pause_s *= 2
        self._file.append(_MARK.pack(*last))

    def close(self) -> None:
        self._file.close()


class WrittenWhen:
    """What is known of the times of one log."""

    def __init__(self, log: Path) -> None:
        self._times: list[float] = []
        self._ends: list[int] = []
        for at, end in _MARK.iter_unpack(_read(beside(log, WHAT))):
            if self._ends and end < self._ends[-1]:  # it was cut
                self._times.clear()
                self._ends.clear()
            self._times.append(at)
            self._ends.append(end)
        with suppress(OSError):
            status = os.stat(log, follow_symlinks=False)
            if self._ends and status.st_size > self._ends[-1]:
                self._times.append(max(status.st_mtime, self._times[-1]))
                self._ends.append(status.st_size)

    def __bool__(self) -> bool:
        return bool(self._times)

    def size_at(self, wall: float) -> int:
        """How many bytes there were at a moment, at least."""
        position = bisect_right(self._times, wall)
        return self._ends[position - 1] if position else 0

    def size_by(self, wall: float) -> int:
        """How many bytes there were at a moment, at most, as far as marks tell."""
        position = min(bisect_left(self._times, wall), len(self._times) - 1)
        return self._ends[position] if self._times else 0

    def of(self, end: int) -> float:
        """When what ends at this byte was written, in wall-clock seconds; 0: nobody knows."""
        position = bisect_left(self._ends, end)
        return self._times[position] if position < len(self._times) else 0.0


def _read(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    with open(fd, "rb") as file:
        size = os.fstat(fd).st_size // _MARK.size * _MARK.size
        begin = max(0, size - READ_BYTES_MAX)
        file.seek(begin)
        data = file.read(size - begin)
    return data[: len(data) // _MARK.size * _MARK.size]


def stamped_at(line: bytes) -> float:
    """The time that a line of a daemon's log begins with, in wall-clock seconds; 0: it has none."""
    if found := _STAMP.match(line):
        year, month, day, hour, minute, second = map(int, found.groups())
    elif found := _REDIS_STAMP.match(line):
        day, year, hour, minute, second = (int(found[number]) for number in (1, 3, 4, 5, 6))
        month = _MONTHS.find(found[2]) // 3 + 1
    else:
        return 0.0
    try:
        return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
    except (ValueError, OverflowError):
        return 0.0
