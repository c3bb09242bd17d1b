"""Files beside a worker's log, which is the user's text and nothing else: ``logs/<what>/<name of the log>``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def beside(log: Path, what: str) -> Path:
    """The file."""
    return log.parent / what / log.name


class Beside:
    """Appends records to one; it is made with the first. A full disk costs records, not output."""

    def __init__(self, log: str, what: str) -> None:
        self._path = beside(Path(log), what)
        self._fd = -1

    def __repr__(self) -> str:
        return f"<Beside {self._path}>"

    def append(self, record: bytes) -> None:
        """Write one record."""
        with suppress(OSError):
            if self._fd < 0:
                self._path.parent.mkdir(mode=0o700, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
                self._fd = os.open(self._path, flags, 0o600)
            os.write(self._fd, record)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
