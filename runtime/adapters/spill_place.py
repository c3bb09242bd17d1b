"""Where on disk the objects of a node go that its memory has no room for.

Files lie in the session's own folder, or below the directory that was asked for in a folder that is locked as a session
is: what one that died without a word has left, the next start that looks there removes.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Final

from raynb.runtime.adapters.private_files import UnsafePathError, private_directory
from raynb.runtime.adapters.session_dir import Session, SessionError, is_held, make_locked
from raynb.runtime.messages.config import Config

OFF: Final = "off"
_IN_MEMORY: Final = ("tmpfs", "ramfs")


class SpillPlace:
    """A folder on a disk, or none.

    Attributes
    ----------
    prefix
        How the paths of segments begin; empty: nothing goes to disk.
    note
        For people: why nothing does; empty where that was asked for.
    """

    def __init__(self, folder: Path | None, fraction: float, note: str = "", lock_fd: int = -1) -> None:
        self._folder = folder
        self._lock_fd = lock_fd
        self._fraction = fraction
        self.prefix = "" if folder is None else f"{folder}/"
        self.note = note

    def __repr__(self) -> str:
        return f"<SpillPlace {self._folder}>"

    def prepare(self, size: int) -> None:
        """Make the folder, and make sure that the disk is not filled too far by so many bytes.

        Raises
        ------
        OSError
            ENOSPC: it would be.
        """
        assert self._folder is not None
        self._folder.mkdir(0o700, exist_ok=True)
        disk = shutil.disk_usage(self._folder)
        # What only the system may use counts as used, as in Ray.
        if disk.total - disk.free + size > self._fraction * disk.total:
            raise OSError(errno.ENOSPC, f"the disk is full to {self._fraction:.0%}, or would be")

    def remove(self) -> None:
        """Remove the folder; its files have been."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def spill_place(session: Session, config: Config) -> SpillPlace:
    """The place for a session's objects on disk.

    Raises
    ------
    ValueError
        The directory that was asked for can't be used.
    """
    directory, fraction = config.spill_directory, config.spill_disk_fraction
    if directory == OFF:
        return SpillPlace(None, fraction)
    if directory:
        try:
            folder = Path(directory).expanduser().absolute()
            folder.mkdir(parents=True, exist_ok=True)
            root = private_directory(folder / f"raynb-{os.geteuid()}-spill")
            for left in root.iterdir():
                if is_held(left) is False:
                    shutil.rmtree(left, ignore_errors=True)
            lock_fd = make_locked(root / session.name)
        except (OSError, UnsafePathError, SessionError) as error:
            raise ValueError(f"spill_directory={directory!r} can't be used: {error}") from error
        if lock_fd is None:
            raise ValueError(f"spill_directory={directory!r} can't be used: somebody removes what is made there")
        return SpillPlace(root / session.name, fraction, lock_fd=lock_fd)
    if file_system_of(session.path) in _IN_MEMORY:
        note = (
            f"{session.path} is in memory, so a full object store is an error: "
            "init(_system_config={'spill_directory': PATH_ON_A_DISK}) lets objects go to disk"
        )
        return SpillPlace(None, fraction, note)
    return SpillPlace(session.path / "spill", fraction)


def file_system_of(path: Path) -> str:
    """The type of the file system that a path is on, as the kernel calls it; empty where it does not say."""
    device = os.stat(path).st_dev
    with open("/proc/self/mountinfo") as mounts:
        for line in mounts:
            fields = line.split()
            major, minor = fields[2].split(":")
            if os.makedev(int(major), int(minor)) == device:
                return fields[fields.index("-") + 1]
    return ""
