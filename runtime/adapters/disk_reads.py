"""Objects on disk, looked over before anybody views them: whether the disk gives back what was written.

A view of a file is read by the kernel when it is touched, and what the disk can't read kills whoever does so (SIGBUS).
So each process has an object read as a whole once, before it views it the first time: its checksum
(`raynb.runtime.codec.layout`) tells damaged bytes from good ones. Where the kernel can't do that, ``pread`` says why.
What is needed soon is read ahead, by a thread of its own that waits for nothing but the disk.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import Final

from raynb.runtime.adapters.shared_memory import SegmentMap
from raynb.runtime.codec.layout import HEADER_BYTES, NO_CHECKSUM, content_checksum, stored_checksum
from raynb.runtime.messages.values import Stored

PIECE_BYTES: Final = 1024 * 1024
KNOWN_MAX: Final = 10_000

Key = tuple[bytes, str, int]


class _Look:
    """One object that is, was, or will be looked over."""

    __slots__ = ("begun", "ended", "place", "problem")

    def __init__(self, place: Stored) -> None:
        self.place = place
        self.begun = False
        self.ended = threading.Event()
        self.problem: str | None = None
        """None until it has ended, and where it was interrupted; empty: the object is whole."""


class DiskReads:
    """What one process reads from its node's files. Safe in every thread."""

    def __init__(self, segments: SegmentMap) -> None:
        self._segments = segments
        self._lock = threading.Lock()
        self._looks: dict[Key, _Look] = {}
        """Of those that have ended only the ones that are whole: others are looked at again."""
        self._ahead: SimpleQueue[_Look | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<DiskReads of {len(self._looks)} objects>"

    def problem(self, place: Stored) -> str:
        """What is wrong with an object on disk, as a part of a sentence; empty: it is as it was written."""
        while True:
            look = self._look(place)
            self._look_over(look)
            look.ended.wait()
            if look.problem is not None:
                return look.problem

    def ahead(self, places: Iterable[Stored]) -> None:
        """These will be read soon."""
        for place in places:
            look = self._look(place)
            if not look.begun:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._read_ahead, name="raynb-disk", daemon=True)
                    self._thread.start()
                self._ahead.put(look)

    def close(self) -> None:
        """Read no more ahead."""
        if self._thread is not None:
            self._ahead.put(None)

    def _look(self, place: Stored) -> _Look:
        key = (place.oid, place.segment, place.offset)
        with self._lock:
            look = self._looks.get(key)
            if look is None:
                if len(self._looks) >= KNOWN_MAX:
                    del self._looks[next(iter(self._looks))]
                look = self._looks[key] = _Look(place)
            return look

    def _read_ahead(self) -> None:
        while (look := self._ahead.get()) is not None:
            self._look_over(look)

    def _look_over(self, look: _Look) -> None:
        """Unless another thread does already, or has."""
        with self._lock:
            begun, look.begun = look.begun, True
        if begun:
            return
        place = look.place
        try:
            look.problem = self._problem(place)
        finally:
            if look.problem != "":
                with self._lock:
                    self._looks.pop((place.oid, place.segment, place.offset), None)
            look.ended.set()

    def _problem(self, place: Stored) -> str:
        whole = self._segments.read_whole(place.segment, place.offset, place.size)
        if whole is not None:
            content = (whole[at : at + PIECE_BYTES] for at in range(HEADER_BYTES, len(whole), PIECE_BYTES))
            if stored_checksum(whole) in (content_checksum(content), NO_CHECKSUM):
                return ""
        return self._problem_in_file(place)

    def _problem_in_file(self, place: Stored) -> str:
        path = self._segments.path_of(place.segment)
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.posix_fadvise(file, place.offset, place.size, os.POSIX_FADV_SEQUENTIAL)
                content_at = place.offset + HEADER_BYTES
                header = b"".join(map(bytes, _pieces(file, place.offset, content_at)))
                found = content_checksum(_pieces(file, content_at, place.offset + place.size))
            finally:
                os.close(file)
        except OSError as error:
            return f"{path} can't be read: {error.strerror or error}"
        if stored_checksum(memoryview(header)) in (found, NO_CHECKSUM):
            return ""
        return f"its bytes in {path} are not those that were written there"


def _pieces(file: int, begin: int, end: int) -> Iterator[memoryview]:
    """The bytes of a file from ``begin`` to ``end``; each piece is overwritten by the next."""
    room = memoryview(bytearray(min(PIECE_BYTES, end - begin)))
    while begin < end:
        size = os.preadv(file, [room[: end - begin]], begin)
        if not size:
            raise OSError(f"it ends {end - begin} bytes too early")
        yield room[:size]
        begin += size
