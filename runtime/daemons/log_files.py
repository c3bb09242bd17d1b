"""The log files of a session: written by the processes themselves, kept short by the node manager."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

LOG_BYTES_MAX: Final = 16 * 1024 * 1024
LOG_TAIL_KEPT_BYTES: Final = 1024 * 1024
LOG_FILES_MAX: Final = 400
TAIL_LINES_MAX: Final = 20
TAIL_BYTES_MAX: Final = 2000
LAST_BYTES_MAX: Final = 65_536


def open_log(path: Path) -> int:
    """Open a log file for appending, 0600; a descriptor that children don't inherit by accident."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def say(level: str, text: str) -> None:
    """A line in this daemon's own log (its standard error)."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    sys.stderr.write(f"{stamp} {level:7} {text}\n")
    sys.stderr.flush()


def tail(path: Path) -> str:
    """The last lines of a log, a page at most; empty if there are none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES_MAX))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-TAIL_LINES_MAX:])


def since(path: Path, begin: int) -> tuple[bytes, int]:
    """What a log has from this byte on, or the end of that if it is long; and the log's size."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(begin, size - LAST_BYTES_MAX))
            return (file.read(size - file.tell()) if begin < size else b""), size
    except OSError:
        return b"", 0


def trim(folder: Path) -> None:
    """Cut logs that grew too long, and remove the oldest where there are too many.

    A log that is cut keeps its end in ``<name>.1``. Its writers append, so they go on at the new end; what is written
    in between is lost.
    """
    try:
        entries = [(entry, entry.stat(follow_symlinks=False)) for entry in os.scandir(folder)]
    except OSError:
        return
    for entry, status in entries:
        if status.st_size > LOG_BYTES_MAX and not entry.name.endswith(".1"):
            with suppress(OSError):
                _cut(Path(entry.path), status.st_size)
    surplus = len(entries) - LOG_FILES_MAX
    if surplus > 0:
        workers = [(status.st_mtime, entry.path) for entry, status in entries if entry.name.startswith("worker-")]
        for _, path in sorted(workers)[:surplus]:
            with suppress(OSError):
                os.unlink(path)


def _cut(path: Path, size: int) -> None:
    with open(path, "rb") as source:
        source.seek(size - LOG_TAIL_KEPT_BYTES)
        kept = path.with_name(f"{path.name}.1")
        fd = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as target:
            target.write(source.read(LOG_TAIL_KEPT_BYTES))
    os.truncate(path, 0)
