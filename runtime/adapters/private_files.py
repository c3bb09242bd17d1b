"""Files and directories that are the user's alone: 0700 and 0600, owner checked, never through a
symlink, replaced as a whole or not at all.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path


class UnsafePathError(RuntimeError):
    """A path is not the user's alone. The message says what is wrong with it and what to do."""


def private_directory(path: Path) -> Path:
    """Make a directory (0700), or make sure that the one that is there is the user's alone.

    Its parent must exist.

    Raises
    ------
    UnsafePathError
        It is a symlink or no directory, or somebody else could read, write or replace it.
    """
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    os.close(open_private_directory(path))
    return path


def open_private_directory(path: Path) -> int:
    """A descriptor of a directory that is the user's alone.

    Raises
    ------
    FileNotFoundError
    UnsafePathError
        See `private_directory`.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        raise UnsafePathError(
            f"{path} is a symlink or not a directory: remove it, or set TMPDIR to another place"
        ) from None
    except PermissionError as error:
        raise UnsafePathError(f"{path} belongs to somebody else: set TMPDIR to another place") from error
    try:
        _check(path, os.fstat(fd), os.stat("..", dir_fd=fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check(path: Path, found: os.stat_result, parent: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise UnsafePathError(
            f"{path} belongs to user {found.st_uid}, not to you ({os.geteuid()}): set TMPDIR to another place"
        )
    if found.st_mode & 0o077:
        raise UnsafePathError(
            f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):04o}): "
            f"chmod 700 {path}, if all that is in it is yours"
        )
    if parent.st_mode & stat.S_IWOTH and not parent.st_mode & stat.S_ISVTX:
        raise UnsafePathError(
            f"anybody could replace {path}, for all may write to its parent and that has no sticky "
            f"bit: chmod +t {path.parent}, or set TMPDIR to another place"
        )


def write_aside(path: Path, data: bytes) -> None:
    """Make or replace a file (0600) so that there is always all of it or none, also after a crash.

    Raises
    ------
    OSError
        The disk is full, say; then the old file is still there, and nothing else.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(aside, flags, 0o600)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(aside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside)
        raise
    _sync_directory(path.parent)


def read_private(path: Path, bytes_max: int) -> bytes:
    """The content of a file of the user's own.

    Raises
    ------
    FileNotFoundError
    UnsafePathError
        It is a symlink, somebody else's, or longer than ``bytes_max``.
    """
    # O_NONBLOCK: a pipe put there must not make us wait.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnsafePathError(f"{path} is not a readable file of yours: {error}") from error
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise UnsafePathError(f"{path} is not a file of yours")
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise UnsafePathError(f"{path} is longer than {bytes_max:,} bytes")
    return data


def _sync_directory(path: Path) -> None:
    """Make a rename in it durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
