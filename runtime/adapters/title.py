"""What ``ps`` and ``top`` show for a process: written over its arguments, which must not move or grow."""

from __future__ import annotations

import ctypes
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

_NAME_MAX: Final = 15
_PR_SET_NAME: Final = 15
_MEMO_MAX: Final = 1000
_libc = ctypes.PyDLL(None)  # a call that takes no time keeps the interpreter lock


def room_for_title() -> tuple[int, int]:
    """Where this process's arguments are, and how many bytes; (0, 0) where the kernel does not say."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begin, end = int(fields[45]), int(fields[46])
    except (OSError, ValueError, IndexError):
        return 0, 0
    return (begin, end - begin) if begin > 0 and end - begin >= 2 else (0, 0)


def set_title(title: str) -> None:
    """What ``ps`` shows for this process; cut to the room that its arguments had when it (or what it is a copy of)
    began.

    Does nothing where the kernel does not say where the arguments are.
    """
    Title().show(title)


def get_title() -> str:
    """What ``ps`` shows for this process; its arguments, if nothing was set."""
    return Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


class Title:
    """The title of a process that changes it often: as cheap as can be, and nothing at all if it is the same."""

    def __init__(self) -> None:
        self.text = ""
        begin, self._room = room_for_title()
        self._arguments = (ctypes.c_char * self._room).from_address(begin) if self._room else None
        self._main = threading.main_thread().ident
        self._made: dict[str, tuple[bytes, bytes]] = {}

    def __repr__(self) -> str:
        return f"<Title {self.text!r}, of {self._room} bytes at most>"

    def show(self, text: str) -> None:
        """Have it shown; from any thread."""
        if text == self.text or self._arguments is None:
            return
        self.text = text
        made = self._made.get(text)
        if made is None:
            made = self._make(text)
        self._arguments.raw = made[0]
        if threading.get_ident() == self._main:
            _libc.prctl(_PR_SET_NAME, made[1], 0, 0, 0)
        else:  # there it would be the thread's name
            with suppress(OSError):
                Path("/proc/self/comm").write_bytes(made[1])

    def _make(self, text: str) -> tuple[bytes, bytes]:
        if len(self._made) >= _MEMO_MAX:
            self._made.clear()
        whole = text.encode()[: self._room - 1].ljust(self._room, b"\0")
        made = self._made[text] = whole, text.replace(" ", "-").encode()[:_NAME_MAX]
        return made
