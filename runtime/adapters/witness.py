"""A witness of what a state store has acknowledged, beside the store and apart from it.

A store whose tail was cut off is whole as far as it can tell: it is a store of some moments ago.
The witness knows better. It is a small file with the highest epoch taken and the number of the
last batch acknowledged, written (not fsynced) after each acknowledgement: it survives the death of
every process. After the loss of power it may be older than the store, and never accuses wrongly.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

_LAYOUT: Final = struct.Struct(">4sQQI")
_MAGIC: Final = b"rnbw"


class Testimony(NamedTuple):
    """The last word: highest epoch, number of the last batch. Both 0 at first."""

    epoch: int
    batches: int


class Witness:
    """The file, made (0600) if it is not there.

    Parameters
    ----------
    path : Path
        In a directory that only the user may write to; a symlink is refused (`OSError`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)

    def __repr__(self) -> str:
        return f"<Witness {self.path}>"

    def read(self) -> Testimony:
        """What it remembers: nothing (zeros) if it is new or was damaged."""
        data = os.pread(self._fd, _LAYOUT.size, 0)
        if len(data) < _LAYOUT.size:
            return Testimony(0, 0)
        magic, epoch, batches, checksum = _LAYOUT.unpack(data)
        if magic != _MAGIC or checksum != zlib.crc32(data[:-4]):
            return Testimony(0, 0)
        return Testimony(epoch, batches)

    def write(self, epoch: int, batches: int) -> None:
        """Remember. A kill can't tear it: it is one write into one page."""
        head = _LAYOUT.pack(_MAGIC, epoch, batches, 0)[:-4]
        os.pwrite(self._fd, head + zlib.crc32(head).to_bytes(4, "big"), 0)

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
