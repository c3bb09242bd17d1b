"""A worker's page: what it is about to run, written where others can read it after its death.

Before each task a worker writes the lease, the push's ``seq``, the task's id and attempt into a
small memory-mapped file of its own. The kernel keeps the page when the process is killed, so the
node manager can tell which pushes of a batch had been started: those spend a retry, the rest do
not. When it begins to work for another cell or driver, it also notes for whom, and how long its
logs are then: what is in them beyond that is theirs (`Output`).

A worker may be killed in the middle of a mark. Fields are stored in order, numbers in one machine
store each, and the numbers stand a second time at the end: where the two differ the mark was not
complete, and its task not begun.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Final, NamedTuple

from raynb.runtime.messages.ids import TASK_ID_BYTES

# Native byte order and alignment ("@"): CPython copies a number of this kind with one store of
# eight bytes, while it writes standard sizes ("<") byte by byte, which a kill could tear.
_MARK: Final = struct.Struct(f"@QQ{TASK_ID_BYTES}sQQQ")
_OUTPUT_AT: Final = 512
_OUTPUT: Final = struct.Struct("@QQQQ")
PAGE_BYTES: Final = 4096


class Output(NamedTuple):
    """For whom a worker writes.

    Attributes
    ----------
    driver, cell
        Address of the driver, and the cell as `raynb.runtime.messages.tasks.ContextDef` has it.
    begins
        Where in its logs (stdout, stderr) it began to, in bytes.
    """

    driver: str
    cell: str
    begins: tuple[int, int]


class PageContent(NamedTuple):
    """The last mark of a worker.

    Attributes
    ----------
    lease
        The lease it worked under (0 for an actor, or before the first task).
    seq
        Every push of that lease up to this one had been started; 0 if none had (pushes count from
        1).
    task_id, attempt
        The task marked last; empty and 0 if there was none or the mark was cut short.
    output
        For whom it wrote last; None if that is not known, or was cut short.
    """

    lease: int
    seq: int
    task_id: bytes
    attempt: int
    output: Output | None = None


class WorkerPage:
    """The page, as its worker holds it.

    A mark costs one ``pack_into`` (0.3 us), so that it can precede each task.
    """

    def __init__(self, path: str, memory: mmap.mmap) -> None:
        self.path = path
        self._memory = memory
        self._pack_into = _MARK.pack_into

    def __repr__(self) -> str:
        return f"<WorkerPage {self.path}>"

    @classmethod
    def create(cls, path: str) -> WorkerPage:
        """Make the file (0600, refused if it exists: `FileExistsError`) and map it."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            # Allocated, not sparse: a full disk is an error here and not a SIGBUS at the first
            # mark.
            os.posix_fallocate(fd, 0, PAGE_BYTES)
            memory = mmap.mmap(fd, PAGE_BYTES)
        finally:
            os.close(fd)
        return cls(path, memory)

    def mark(self, lease: int, seq: int, task_id: bytes, attempt: int) -> None:
        """Write what starts next. To be called before the task's first instruction.

        Parameters
        ----------
        lease, seq, attempt : int
            Not negative, below 2**64.
        task_id : bytes
            24 bytes.
        """
        self._pack_into(self._memory, 0, lease, seq, task_id, attempt, seq, lease)

    def begin_output(self, driver: str, cell: str, begins: tuple[int, int]) -> None:
        """Note for whom this worker writes from now on (see `Output`). Names that are too long are not noted."""
        names = [name.encode() for name in (driver, cell)]
        lengths = [len(name) for name in names]
        self._memory[_OUTPUT_AT : _OUTPUT_AT + _OUTPUT.size] = bytes(_OUTPUT.size)
        at = _OUTPUT_AT + _OUTPUT.size
        if at + sum(lengths) <= PAGE_BYTES:
            self._memory[at : at + sum(lengths)] = b"".join(names)
            # Last the length that says that it is whole.
            _OUTPUT.pack_into(self._memory, _OUTPUT_AT, *begins, lengths[1], lengths[0])

    def close(self) -> None:
        """Unmap and remove the file; for an orderly end."""
        self._memory.close()
        Path(self.path).unlink(missing_ok=True)


def read(path: str) -> PageContent:
    """Read a page, also one whose worker is dead.

    Raises
    ------
    OSError
        There is no such file (the worker never came so far, or closed it).
    """
    data = Path(path).read_bytes()
    if len(data) < _MARK.size:
        return PageContent(0, 0, b"", 0)
    output = _read_output(data)
    lease, seq, task_id, attempt, seq_again, lease_again = _MARK.unpack_from(data)
    if lease != lease_again:
        # Cut short inside the first mark under a new lease: nothing of that lease has begun.
        return PageContent(lease, 0, b"", 0, output)
    if seq != seq_again:
        return PageContent(lease, seq_again, b"", 0, output)
    return PageContent(lease, seq, task_id if seq else b"", attempt, output)


def _read_output(data: bytes) -> Output | None:
    if len(data) < PAGE_BYTES:
        return None
    out, err, cell_bytes, driver_bytes = _OUTPUT.unpack_from(data, _OUTPUT_AT)
    if not driver_bytes:
        return None
    names = data[_OUTPUT_AT + _OUTPUT.size :][: driver_bytes + cell_bytes]
    return Output(names[:driver_bytes].decode(), names[driver_bytes:].decode(), (out, err))
