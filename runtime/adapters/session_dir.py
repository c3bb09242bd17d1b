"""The directory of a session, who holds it, and the removal of what dead sessions left.

A session is one life of a node: ``<tempdir>/raynb-<uid>/<session>`` with its sockets, logs and
files, and the shared-memory segments ``/dev/shm/raynb-<session>-*``. Rules:

* A session lives as long as somebody holds its lock: an flock on the directory itself, and one on
  ``/dev/shm/raynb-<session>-lock``. The kernel lets go of them when the last process that has them
  open is gone, whatever killed it; no pid is ever compared. (systemd-tmpfiles, which clears old
  files out of /tmp, leaves a locked directory alone too.)
* The lock is held from the creation on. A driver that spawns a daemon passes the descriptors on:
  the lock belongs to the open file, not to the process. It is let go of by closing, never by
  LOCK_UN, which would take it from the others too.
* Only somebody who got a session's lock removes it. Names are random and never used twice, so one
  session's cleaner can't hit another. The lock in /dev/shm protects segments from cleaners that
  look elsewhere for session directories (another TMPDIR, another container).
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from raynb.runtime.adapters.private_files import (
    UnsafePathError,
    open_private_directory,
    private_directory,
)

SOCKET_PATH_BYTES_MAX: Final = 107
LONGEST_SOCKET: Final = "p/" + 32 * "0"
SHARED_MEMORY: Final = Path("/dev/shm")
_NAME: Final = re.compile(r"[0-9a-f]{12}")
_SEGMENT: Final = re.compile(r"raynb-([0-9a-f]{12})-.+")
_TRIES: Final = 100


class SessionError(RuntimeError):
    """A session directory can't be made or used. The message says why and what to do."""


class Session:
    """A session's places, and perhaps its lock.

    Attributes
    ----------
    path : Path
    name : str
        12 hex digits.
    lock_fds : tuple[int, ...]
        Descriptors that hold the lock; empty where somebody else holds it.
    """

    def __init__(self, path: Path, lock_fds: Sequence[int] = (), shared_memory: Path = SHARED_MEMORY) -> None:
        self.path = path
        self.name = path.name
        self.lock_fds = tuple(lock_fds)
        self._shared_memory = shared_memory

    def __repr__(self) -> str:
        return f"<Session {self.path}{' held here' if self.lock_fds else ''}>"

    @property
    def sockets(self) -> Path:
        return self.path / "p"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def redis(self) -> Path:
        return self.path / "redis"

    @property
    def config(self) -> Path:
        return self.path / "config"

    @property
    def segment_prefix(self) -> str:
        """How the names of this session's segments in /dev/shm begin."""
        return f"raynb-{self.name}-"

    def close(self) -> None:
        """Let go of the lock as far as this process goes. Idempotent."""
        for fd in self.lock_fds:
            os.close(fd)
        self.lock_fds = ()

    def remove(self) -> None:
        """Delete all of the session and let go of it.

        Raises
        ------
        SessionError
            The lock isn't held here.
        """
        if not self.lock_fds:
            raise SessionError(f"{self.path} is another process's session: only that may remove it")
        shutil.rmtree(self.path, ignore_errors=True)
        _remove_segments(self.name, self._shared_memory)
        self.close()


class Swept(Struct, frozen=True):
    """What `sweep` found of dead sessions and removed.

    Attributes
    ----------
    sessions
        Their names, in order.
    segments, segment_bytes
        Of shared memory.
    left
        Paths that could not be removed: the next sweep tries again.
    """

    sessions: list[str]
    segments: int
    segment_bytes: int
    left: list[str]


def session_roots(tempdir: str | None = None) -> list[Path]:
    """Where this user's sessions are: below ``tempdir``, else below TMPDIR or, where that is too
    long a path for the sockets in a session, below /tmp.
    """
    parents = [tempdir] if tempdir else [tempfile.gettempdir(), "/tmp"]
    return [Path(parent) / f"raynb-{os.geteuid()}" for parent in dict.fromkeys(parents)]


def create_session(tempdir: str | None = None, *, shared_memory: Path = SHARED_MEMORY) -> Session:
    """Make a session and hold its lock.

    Parameters
    ----------
    tempdir : str, optional
        Instead of TMPDIR, and made where there is none; if it is too long, that is an error and no reason to use /tmp.

    Raises
    ------
    SessionError
        No directory is short enough for sockets, or can be locked.
    UnsafePathError
        The place is not the user's alone.
    """
    if tempdir:
        Path(tempdir).mkdir(parents=True, exist_ok=True)
    root = private_directory(_root_with_short_paths(tempdir))
    for _ in range(_TRIES):
        path = root / secrets.token_hex(6)
        lock_fd = make_locked(path)
        if lock_fd is None:
            continue
        session = Session(path, [lock_fd], shared_memory)
        try:
            session.lock_fds += _lock_segments(session.name, shared_memory)
            for place in (session.sockets, session.logs, session.redis):
                place.mkdir(0o700)
        except BaseException:
            session.remove()
            raise
        return session
    raise SessionError(f"could not make a session in {root}: somebody removes what is made there")


def open_session(path: Path, *, shared_memory: Path = SHARED_MEMORY) -> Session:
    """Another process's session, to be used.

    Raises
    ------
    FileNotFoundError
        It has ended.
    UnsafePathError
        It is not this user's alone.
    """
    os.close(open_private_directory(path))
    return Session(path, (), shared_memory)


def adopt_session(path: Path, lock_fds: Sequence[int], *, shared_memory: Path = SHARED_MEMORY) -> Session:
    """Take over a session from the process that made it, with the descriptors that it passed on.

    Raises
    ------
    SessionError
        They are not this session's lock.
    UnsafePathError
        The directory is not this user's alone.
    """
    fd = open_private_directory(path)
    try:
        if not lock_fds or not os.path.samestat(os.fstat(fd), os.fstat(lock_fds[0])):
            raise SessionError(f"descriptors {list(lock_fds)} don't hold {path}")
    except OSError as error:
        raise SessionError(f"descriptors {list(lock_fds)} don't hold {path}: {error}") from error
    finally:
        os.close(fd)
    for lock_fd in lock_fds:
        os.set_inheritable(lock_fd, False)
        if not _lock(lock_fd):  # ours already, unless these are other opens of the same files
            raise SessionError(f"{path} is held by another process")
    return Session(path, lock_fds, shared_memory)


def is_held(path: Path) -> bool | None:
    """Whether a process holds the session there; None if there is no session (any more)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Shared, so that two who look at once don't take each other for the holder.
        return not _lock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def sweep(tempdir: str | None = None, *, shared_memory: Path = SHARED_MEMORY) -> Swept:
    """Remove what this user's dead sessions left: directories (in `session_roots`) and segments.

    Never touches a session that is held, nor another user's; never raises because of what it
    finds.
    """
    swept = Swept([], 0, 0, [])
    segments, size = 0, 0
    for root in session_roots(tempdir):
        try:
            root_fd = open_private_directory(root)
        except (OSError, UnsafePathError):
            continue
        os.close(root_fd)
        for name in sorted(filter(_NAME.fullmatch, os.listdir(root))):
            found = _sweep_session(root / name, shared_memory, swept.left)
            if found is not None:
                swept.sessions.append(name)
                segments, size = segments + found[0], size + found[1]
    for name in _abandoned(shared_memory):
        found = _remove_unheld_segments(name, shared_memory)
        segments, size = segments + found[0], size + found[1]
    return Swept(sorted(swept.sessions), segments, size, swept.left)


def _root_with_short_paths(tempdir: str | None) -> Path:
    roots = session_roots(tempdir)
    lengths = [len(os.fsencode(root / (12 * "0") / LONGEST_SOCKET)) for root in roots]
    for root, length in zip(roots, lengths, strict=True):
        if length <= SOCKET_PATH_BYTES_MAX:
            return root
    raise SessionError(
        f"{roots[0]} is too long a path: a socket in a session there would have {lengths[0]} "
        f"bytes, Linux takes {SOCKET_PATH_BYTES_MAX}. Set TMPDIR to a shorter one"
    )


def make_locked(path: Path) -> int | None:
    """Make a directory and lock it; None if a sweeper came between the two."""
    try:
        os.mkdir(path, 0o700)
        fd = open_private_directory(path)
    except (FileExistsError, FileNotFoundError):
        return None
    try:
        if _lock(fd) and _is_at(fd, path):
            return fd
    except OSError as error:
        os.close(fd)
        os.rmdir(path)
        raise SessionError(f"{path.parent} can't be locked ({error.strerror}): set TMPDIR to a local disk") from error
    os.close(fd)
    return None


def _lock_segments(name: str, shared_memory: Path) -> tuple[int, ...]:
    """Hold the session's name in /dev/shm. Nothing where there is no /dev/shm."""
    path = shared_memory / f"raynb-{name}-lock"
    for _ in range(_TRIES):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return ()
        if _lock(fd) and _is_at(fd, path):
            return (fd,)
        os.close(fd)
    raise SessionError(f"could not lock {path}: somebody removes it again and again")


def _lock(fd: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(fd: int, path: Path) -> bool:
    """Whether the open file still is what the path names: it may have been removed before the lock
    was taken.
    """
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _sweep_session(path: Path, shared_memory: Path, left: list[str]) -> tuple[int, int] | None:
    """Remove one session if nobody holds it: its segments and their bytes, or None."""
    try:
        fd = open_private_directory(path)
    except (OSError, UnsafePathError):
        return None
    try:
        if not _lock(fd) or not _is_at(fd, path):
            return None
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            left.append(str(path))
        return _remove_segments(path.name, shared_memory)
    except OSError:
        return None
    finally:
        os.close(fd)


def _segments(shared_memory: Path) -> dict[str, list[Path]]:
    """Names in /dev/shm by session; only of this user's sessions."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    with suppress(OSError):
        for entry in os.scandir(shared_memory):
            match = _SEGMENT.fullmatch(entry.name)
            with suppress(OSError):
                if match and entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                    found[match[1]].append(Path(entry.path))
    return found


def _abandoned(shared_memory: Path) -> list[str]:
    """Sessions that have a lock file in /dev/shm, held or not; the others are left alone: they may
    be young, or of something else.
    """
    return sorted(
        name
        for name, paths in _segments(shared_memory).items()
        if any(path.name == f"raynb-{name}-lock" for path in paths)
    )


def _remove_unheld_segments(name: str, shared_memory: Path) -> tuple[int, int]:
    path = shared_memory / f"raynb-{name}-lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0, 0
    try:
        if _lock(fd) and _is_at(fd, path):
            return _remove_segments(name, shared_memory)
        return 0, 0
    finally:
        os.close(fd)


def _remove_segments(name: str, shared_memory: Path) -> tuple[int, int]:
    """Remove a session's segments, its lock file last. Returns their number and bytes."""
    count = size = 0
    paths = _segments(shared_memory).get(name, [])
    for path in sorted(paths, key=lambda path: path.name.endswith("-lock")):
        with suppress(OSError):
            found = os.lstat(path)
            os.unlink(path)
            if stat.S_ISREG(found.st_mode) and not path.name.endswith("-lock"):
                count, size = count + 1, size + found.st_size
    return count, size
