"""What a cluster may not leave behind: processes, shared memory, sockets, file descriptors."""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import wait_until

GONE_S_MAX = 5.0


def processes_of(session: str) -> dict[int, str]:
    """Processes with the session's name in their command line or environment, or whose errors go to a file of it (a
    worker shows no more than its task), this one apart."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            errors_to = os.readlink(entry / "fd" / "2").encode()
            if session.encode() in command + (entry / "environ").read_bytes() + errors_to:
                found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended, or is another user's
            continue
    return found


def shared_memory_of(session: str) -> list[str]:
    return [entry.name for entry in Path("/dev/shm").glob(f"*{session}*")]


def open_files() -> Counter[str]:
    """This process' file descriptors by what they are; sockets and pipes without their number."""
    found: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:  # the descriptor of this very listing
            continue
        found[target.split(":[")[0]] += 1
    return found


@dataclass(frozen=True)
class Before:
    """What this process had open before a cluster was started."""

    files: Counter[str]
    threads: frozenset[str]

    @classmethod
    def now(cls) -> Before:
        return cls(open_files(), frozenset(thread.name for thread in threading.enumerate()))

    def left(self, session: str) -> dict[str, object]:
        """What is here now and was not then: empty, if nothing has leaked."""
        threads = {thread.name for thread in threading.enumerate()} - self.threads
        found: dict[str, object] = {
            "processes": processes_of(session),
            "shared memory": shared_memory_of(session),
            "files": dict(open_files() - self.files),
            "threads": threads,
        }
        return {kind: what for kind, what in found.items() if what}

    def assert_nothing_left(self, session: str) -> None:
        left: dict[str, object] = {}

        def nothing_left() -> bool:
            nonlocal left
            left = self.left(session)
            return not left

        try:
            wait_until(nothing_left, GONE_S_MAX)
        except AssertionError:
            raise AssertionError(f"session {session} left behind: {left}") from None
