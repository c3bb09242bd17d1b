"""Segments on disk, for what the memory of a node's store has no room for.

They are mapped as those in memory are, and what lies in them is addressed the same way. So no object ever moves, a view
stays what it is, and nobody has to be asked before an object may go to disk or come back: the kernel writes pages that
were not used for long, and reads them again when they are touched, by its own knowledge of what is used and what is
short. The price is that an object stays on disk when there is room in memory again.

So what others do in processes of their own needs none here: small objects share a file, as they share memory; what was
used least lately is written out by the kernel's own threads, of all that lies there, in pages; and a worker reads what
its next task is given by a thread of its own (`raynb.runtime.adapters.disk_reads`), which also sees by a checksum that
the disk gives back what was written. What it does not is made again, as what a dead node had (`directory`).

Rules
-----
1. Memory first. What finds no room there goes to disk after `PATIENCE_S`, for something may be freed just now; at once
   while the store has segments on disk already, or if it is larger than the store's memory.
2. One segment is made at a time, each about as large as all before it, up to ``Config.segment_bytes``, or as large as
   what is to go in. One that is empty goes back after `EMPTY_S`: it is cheap to make.
3. Where none can be made (the disk is full, say), nothing is tried for `store_growth.RETRY_S`; then it works again if
   it can.

It never knows the disk, nor how full it is: its host does, and refuses.
"""

from __future__ import annotations

from raynb.runtime.core.store_allocator import Allocator
from raynb.runtime.core.store_effects import DropSegment, GrowStore
from raynb.runtime.core.store_growth import Segments, pages
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.objects import SPILL_PREFIX

PATIENCE_S = 0.05
EMPTY_S = 2.0


class Spill(Segments):
    """The segments on disk.

    Parameters
    ----------
    enabled
        Whether there is a disk.
    """

    def __init__(self, allocator: Allocator, config: Config, *, enabled: bool) -> None:
        super().__init__(allocator, config, SPILL_PREFIX)
        self.enabled = enabled

    def may_take(self, waits_s: float, *, too_large: bool) -> bool:
        """Whether a request that memory has no room for goes to disk now: rule 1."""
        return self.enabled and (too_large or waits_s >= PATIENCE_S or bool(self._allocator.segments))

    def used(self, segment: str) -> None:
        """Something of a segment was granted."""
        self._empty_since.pop(segment, None)

    def for_request(self, size: int, now: float) -> list[GrowStore]:
        """Nothing on disk that is free fits a request: rules 2 and 3."""
        return [self._make(self._usual(pages(size)))] if self._may_make(now) else []

    def give_back(self, now: float) -> list[DropSegment]:
        """Drop segments that have been empty for a while."""
        return [self._drop(name) for name in self._long_empty(now, EMPTY_S)]
