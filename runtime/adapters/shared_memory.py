"""Shared memory between the processes of a node: segments, which the node manager makes, and clients' maps of them.

A segment is a file in ``/dev/shm``, 0600, whose pages are allocated from the beginning: an arena can then say "full"
where a sparse one would kill whoever touches it with SIGBUS. Nobody but its maker removes it; pages are gone when the
last map is.

Measured: to allocate costs 0.25 ms a MB (the kernel clears a page later, when it is first touched); a process's first
write to a page 0.4 ms a MB, or 0.2 ms if a range is asked for in advance; a warm page nothing. First reads are cheap,
and cost the same either way.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import stat
import threading
from typing import NamedTuple

from raynb.runtime.codec.pinned import address_of, pinned_view
from raynb.runtime.messages.objects import is_spilled
from raynb.runtime.messages.sizes import size_text

SHM_DIR = "/dev/shm"
POPULATE_BYTES_MIN = 1024 * 1024
"""Larger writes ask for their pages in advance."""
_CHUNK_BYTES = 2 * 1024 * 1024
_MADV_POPULATE_READ, _MADV_POPULATE_WRITE = 22, 23
"""Linux 5.14; elsewhere refused, and pages come one by one."""


def segment_path(prefix: str, name: str) -> str:
    """Where the file of a segment is. A prefix that is a path stands for itself, else it is one in ``/dev/shm``."""
    return os.path.join(SHM_DIR, prefix + name)


class Segment:
    """A segment in the process that made it.

    Attributes
    ----------
    name, path
        Without and with prefix and directory.
    size
        In bytes.
    """

    def __init__(self, name: str, path: str, size: int) -> None:
        self.name = name
        self.path = path
        self.size = size

    def __repr__(self) -> str:
        return f"<Segment {self.path} {self.size} bytes>"

    @classmethod
    def create(cls, prefix: str, name: str, size: int) -> Segment:
        """Make a segment; takes a while (0.25 ms a MB), without holding up other threads.

        Raises
        ------
        OSError
            There is no space for it (ENOSPC), or the name is taken. Nothing is left behind.
        """
        path = segment_path(prefix, name)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        try:
            os.posix_fallocate(fd, 0, size)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(fd)
        return cls(name, path, size)

    def unlink(self) -> None:
        """Remove it; those who have mapped it keep their maps. Idempotent."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def remove_segments(prefix: str) -> int:
    """Remove what a node left behind. Returns the number of bytes.

    Parameters
    ----------
    prefix
        Of this node alone: at least as long as a session's random part.
    """
    directory, start = os.path.split(segment_path(prefix, ""))
    removed = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(start) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    removed += entry.stat(follow_symlinks=False).st_size
                    os.unlink(entry.path)
    return removed


_libc = ctypes.CDLL(None, use_errno=True)
_madvise = _libc.madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_madvise.restype = ctypes.c_int


class Mapping:
    """A segment in this process's address space, as long as anything refers to it.

    Raises
    ------
    FileNotFoundError
        The segment is gone.
    PermissionError
        It belongs to somebody else.
    """

    __slots__ = ("__weakref__", "_map", "_populated", "address", "path", "size")

    def __init__(self, path: str, writable: bool) -> None:
        self.path = path
        mode = os.O_RDWR if writable else os.O_RDONLY
        fd = os.open(path, mode | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode):
                raise PermissionError(f"{path} is not a file of this user")
            self.size = status.st_size
            protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
            self._map = mmap.mmap(fd, self.size, mmap.MAP_SHARED, protection)
        finally:
            os.close(fd)
        self.address = address_of(self._map)
        self._populated = bytearray(-(-self.size // _CHUNK_BYTES))

    def check(self, offset: int, size: int) -> int:
        """The address of a range, which must lie inside."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise ValueError(f"{size} bytes at {offset} do not lie in {self.path} ({self.size} bytes)")
        return self.address + offset

    def write_view(self, offset: int, size: int) -> memoryview:
        """A writable view, which keeps the mapping."""
        self.check(offset, size)
        return memoryview(self._map)[offset : offset + size]

    def populate(self, offset: int, size: int) -> None:
        """Have the pages of a range ready to be written. Only ever a matter of speed."""
        chunks = range(offset // _CHUNK_BYTES, -(-(offset + size) // _CHUNK_BYTES))
        first = next((chunk for chunk in chunks if not self._populated[chunk]), None)
        if first is None:
            return
        begin = first * _CHUNK_BYTES
        end = min(chunks.stop * _CHUNK_BYTES, self.size)
        if _madvise(self.address + begin, end - begin, _MADV_POPULATE_WRITE) == 0:
            self._populated[first : chunks.stop] = b"\1" * (chunks.stop - first)

    def populate_read(self, offset: int, size: int) -> bool:
        """Have all pages of a range there, to be read; False if some can't be had (or this kernel can't say)."""
        begin = offset - offset % mmap.PAGESIZE
        whole = offset + size - begin
        refused: int = _madvise(self.check(begin, whole), whole, _MADV_POPULATE_READ)
        return not refused


class SegmentMap:
    """The segments of a node as one client sees them: mapped when they are first used. Safe in every thread.

    Parameters
    ----------
    prefix : str
        As in `segment_path`, of the segments in memory.
    spill_prefix : str
        Of those on disk.
    """

    def __init__(self, prefix: str, spill_prefix: str = "") -> None:
        self._prefix = prefix
        self._spill_prefix = spill_prefix
        self._lock = threading.Lock()
        self._readers: dict[str, Mapping] = {}
        self._writers: dict[str, Mapping] = {}

    def __repr__(self) -> str:
        return f"<SegmentMap {self._prefix} {self.statistics()}>"

    def statistics(self) -> dict[str, int]:
        """How much is mapped, for reading and for writing."""
        with self._lock:
            return {
                "read_segments": len(self._readers),
                "read_bytes": sum(mapping.size for mapping in self._readers.values()),
                "write_segments": len(self._writers),
                "write_bytes": sum(mapping.size for mapping in self._writers.values()),
            }

    def read_view(self, segment: str, offset: int, size: int, *pins: object) -> memoryview:
        """A read-only view of stored bytes.

        Parameters
        ----------
        segment, offset, size
            As in `raynb.runtime.messages.values.Stored`.
        *pins
            Live as long as the view or anything that views its memory.

        Raises
        ------
        FileNotFoundError
            The segment is gone: a stale place.
        ValueError
            The range does not lie in it.
        """
        mapping = self._readers.get(segment)
        if mapping is None:
            mapping = self._map(self._readers, segment, False)
        return pinned_view(mapping.check(offset, size), size, mapping, *pins)

    def read_whole(self, segment: str, offset: int, size: int) -> memoryview | None:
        """A read-only view of stored bytes, all there now; None if they can't be had, or nobody can say."""
        try:
            view = self.read_view(segment, offset, size)
            return view if self._readers[segment].populate_read(offset, size) else None
        except (OSError, ValueError, KeyError):
            return None

    def write_view(self, segment: str, offset: int, size: int) -> memoryview:
        """A writable view of a place inside an extent that was granted to this client. Raises as `read_view`."""
        mapping = self._writers.get(segment)
        if mapping is None:
            mapping = self._map(self._writers, segment, True)
        if size >= POPULATE_BYTES_MIN:
            mapping.check(offset, size)
            mapping.populate(offset, size)
        return mapping.write_view(offset, size)

    def start_of(self, segment: str) -> int | None:
        """The address at which a segment can be read here; None where it was not read."""
        mapping = self._readers.get(segment)
        return None if mapping is None else mapping.address

    def path_of(self, segment: str) -> str:
        """The file of a segment."""
        return segment_path(self._spill_prefix if is_spilled(segment) else self._prefix, segment)

    def _map(self, mappings: dict[str, Mapping], segment: str, writable: bool) -> Mapping:
        with self._lock:
            mapping = mappings.get(segment)
            if mapping is None:
                mapping = mappings[segment] = Mapping(self.path_of(segment), writable)
            return mapping

    def sweep(self) -> int:
        """Let go of segments that the node manager has removed; call it now and then. Returns how many those were.

        Views keep theirs: its pages are gone when the last of them is.
        """
        with self._lock:
            gone = [
                (mappings, name)
                for mappings in (self._readers, self._writers)
                for name, mapping in mappings.items()
                if not os.path.exists(mapping.path)
            ]
            dropped = [mappings.pop(name) for mappings, name in gone]
        return len(dropped)

    def close(self) -> None:
        """Let go of all segments. Views keep theirs. What is used afterwards is mapped anew."""
        with self._lock:
            dropped = [*self._readers.values(), *self._writers.values()]
            self._readers.clear()
            self._writers.clear()
        del dropped


class StoreHome(NamedTuple):
    """Where a node's store lives, and how much it may hold."""

    capacity_bytes: int
    directory: str
    note: str
    """For people: why it is less, or elsewhere, than they would expect; empty if it isn't."""


def store_capacity(fraction: float, memory_bytes: int, fallback_dir: str, shm_dir: str = SHM_DIR) -> StoreHome:
    """Decide how large a node's store may be, and in which directory it lives.

    Parameters
    ----------
    fraction
        Of ``memory_bytes`` that the store may take.
    memory_bytes
        What this machine or container has.
    fallback_dir
        On a disk; used where shared memory is too small (64 MB in a container by default), with a note that says so.
    shm_dir
        The file system in memory.
    """
    wanted = int(memory_bytes * fraction)
    free = _free_bytes(shm_dir) * 9 // 10
    if free >= wanted:
        return StoreHome(wanted, shm_dir, "")
    if free >= wanted // 2:
        note = (
            f"{shm_dir} has {size_text(free)} to spare, so the object store gets these instead of {size_text(wanted)}"
        )
        return StoreHome(free, shm_dir, note)
    on_disk = min(wanted, _free_bytes(fallback_dir) // 2)
    if on_disk <= free:
        note = f"{shm_dir} and {fallback_dir} are nearly full: the object store gets only {size_text(free)}"
        return StoreHome(free, shm_dir, note)
    note = (
        f"{shm_dir} has only {size_text(free)} to spare, so the object store is in files in {fallback_dir}, which is "
        f"slower. Give the container more shared memory: docker run --shm-size={wanted // (1024 * 1024)}m"
    )
    return StoreHome(on_disk, fallback_dir, note)


def _free_bytes(directory: str) -> int:
    try:
        status = os.statvfs(directory)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize
