"""Which task has written what of a worker's log: a file beside it (`log_beside`).

``logs/tasks/<name of the log>`` has a record each time another task begins to write: its id, and where in the log. It
is written before that text, so it holds for what a killed worker wrote last, too. Where the node manager cuts a log,
its bytes are counted anew; the records before tell of what is gone.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

from raynb.runtime.adapters.log_beside import Beside, beside
from raynb.runtime.messages.ids import TASK_ID_BYTES

RECORDS_MAX: Final = 500_000
"""After so many no more are written: what follows is nobody's."""

_RECORD: Final = struct.Struct(f"<{TASK_ID_BYTES}sQ")
NOBODY: Final = bytes(TASK_ID_BYTES)
WHAT: Final = "tasks"


class LogTasks:
    """Writes the records of one log."""

    def __init__(self, log: str) -> None:
        self._file = Beside(log, WHAT)
        self.task = NOBODY
        """Which task writes."""
        self._begin = 0
        self._count = 0

    def __repr__(self) -> str:
        return f"<LogTasks {self._file!r} {self._count} records>"

    def writes(self, task_id: bytes, begin: int) -> None:
        """This task is about to write, from here on."""
        if (task_id == self.task and begin >= self._begin) or self._count > RECORDS_MAX:
            return
        self._count += 1
        self.task, self._begin = task_id if self._count <= RECORDS_MAX else NOBODY, begin
        self._file.append(_RECORD.pack(self.task, begin))

    def close(self) -> None:
        self._file.close()


def written_by(log: Path, task_id: bytes) -> bytes:
    """What a task has written into a log, as it is now; empty if that is nothing.

    Raises
    ------
    OSError
        The log can't be read.
    """
    with open(log, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        parts = []
        for begin, end in _ranges(log, task_id, size):
            file.seek(begin)
            parts.append(file.read(end - begin))
    return b"".join(parts)


def _ranges(log: Path, task_id: bytes, size: int) -> list[tuple[int, int]]:
    try:
        data = beside(log, WHAT).read_bytes()
    except OSError:
        return []
    whole = data[: len(data) // _RECORD.size * _RECORD.size]
    records: list[tuple[bytes, int]] = []
    for owner, begin in _RECORD.iter_unpack(whole):
        if records and begin < records[-1][1]:
            records.clear()  # it was cut
        records.append((owner, begin))
    ends = [begin for _, begin in records[1:]] + [size]
    return [(begin, end) for (owner, begin), end in zip(records, ends, strict=True) if owner == task_id and begin < end]
