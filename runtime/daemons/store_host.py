"""The node manager's hands on shared memory: segments made and removed, a dead client's memory looked through.

All of it may take milliseconds a megabyte, so it happens in order on one thread of its own, which starts when there is
something to do; results are posted as events for the machine. What comes from other nodes is written by a second one.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

from raynb.runtime.adapters.shared_memory import Segment, SegmentMap
from raynb.runtime.adapters.spill_place import SpillPlace
from raynb.runtime.core.store_effects import (
    ChunkWritten,
    DropSegment,
    ExtentWalked,
    GrowStore,
    SegmentFailed,
    SegmentReady,
    SendChunk,
    WalkExtent,
    WriteChunk,
)
from raynb.runtime.messages.objects import is_spilled

StoreWork = GrowStore | DropSegment | WalkExtent


AT_ONCE_BYTES_MAX: Final = 512 * 1024


class StoreHost:
    """See the module.

    Parameters
    ----------
    prefix : str
        Of the segments' names.
    disk : SpillPlace
        For those on disk.
    post
        Takes the events that happen; called from the thread.
    """

    def __init__(self, prefix: str, disk: SpillPlace, post: Callable[[Any], None]) -> None:
        self._prefix = prefix
        self._disk = disk
        self._post = post
        self._segments: dict[str, Segment] = {}
        self._work: SimpleQueue[StoreWork | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._writes: SimpleQueue[WriteChunk | None] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._wrote = False
        self._maps = SegmentMap(prefix, disk.prefix)

    def __repr__(self) -> str:
        return f"<StoreHost {self._prefix} {len(self._segments)} segments>"

    def do(self, work: StoreWork) -> None:
        """Carry out an effect of the store's machine."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="raynb-store", daemon=True)
            self._thread.start()
        self._work.put(work)

    def write(self, chunk: WriteChunk) -> None:
        """Write what has come from another node. A small object is written at once, which takes less than to have it
        done; but not the first one, for which the codec is loaded."""
        if self._wrote and chunk.total == chunk.data.nbytes <= AT_ONCE_BYTES_MAX:
            self._post(ChunkWritten(chunk.transfer, chunk.data.nbytes, self._write(chunk)))
            return
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_all, name="raynb-transfers", daemon=True)
            self._writer.start()
        self._writes.put(chunk)

    def read(self, chunk: SendChunk) -> memoryview:
        """What is to be sent to another node, where it lies."""
        return self._maps.read_view(chunk.segment, chunk.at, chunk.size)

    def close(self, timeout_s: float) -> None:
        """Finish what is under way and remove all segments."""
        if self._writer is not None:
            self._writes.put(None)
            self._writer.join(timeout_s)
        self._maps.close()
        if self._thread is not None:
            self._work.put(None)
            self._thread.join(timeout_s)
        for segment in list(self._segments.values()):
            segment.unlink()
        self._segments.clear()
        self._disk.remove()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            if isinstance(work, GrowStore):
                self._grow(work)
            elif isinstance(work, DropSegment):
                self._segments.pop(work.name).unlink()
                self._maps.sweep()
            else:
                self._post(self._walk(work))

    def _write_all(self) -> None:
        while (chunk := self._writes.get()) is not None:
            self._post(ChunkWritten(chunk.transfer, chunk.data.nbytes, self._write(chunk)))
            self._wrote = True

    def _write(self, chunk: WriteChunk) -> str:
        """Gives what is wrong with the whole; empty: nothing, so far."""
        from raynb.runtime.codec.copying import copy_bytes
        from raynb.runtime.codec.errors import CorruptObjectError
        from raynb.runtime.codec.layout import adopt_object

        try:
            copy_bytes(self._maps.write_view(chunk.segment, chunk.begin + chunk.offset, chunk.data.nbytes), chunk.data)
            if chunk.total:
                whole = self._maps.write_view(chunk.segment, chunk.begin, chunk.total)
                adopt_object(whole, chunk.oid, chunk.grant, on_disk=is_spilled(chunk.segment))
        except (OSError, ValueError, CorruptObjectError) as error:
            return f"object {chunk.oid.hex()} could not be copied to this node: {error}"
        return ""

    def _grow(self, work: GrowStore) -> None:
        prefix = self._prefix
        try:
            if is_spilled(work.name):
                prefix = self._disk.prefix
                self._disk.prepare(work.size)
            self._segments[work.name] = Segment.create(prefix, work.name, work.size)
        except OSError as error:
            no_space = error.errno == errno.ENOSPC
            self._post(SegmentFailed(work.name, f"{error.strerror or error} ({prefix})", no_space))
        else:
            self._post(SegmentReady(work.name, work.size))

    def _walk(self, work: WalkExtent) -> ExtentWalked:
        # Seldom needed, and it loads the codec.
        from raynb.runtime.codec.layout import walk_extent

        segments = SegmentMap(self._prefix, self._disk.prefix)
        try:
            view = segments.read_view(work.segment, work.offset, work.size)
            return ExtentWalked(work.grant, list(walk_extent(view, work.grant, base=work.offset)))
        except (OSError, ValueError):
            return ExtentWalked(work.grant, [])
        finally:
            segments.close()
