"""Segments on disk, for what the memory of a node's store has no room for.

They are mapped as those in memory are, and what lies in them is addressed the same way. So no object ever moves, a view
stays what it is, and nobody has to be asked before an object may go to disk or come back: the kernel writes pages that
were not used for long, and reads them again when they are touched, by its own knowledge of what is used and what is
short. The price is that an object stays on disk when there is room in memory again.

Rules
-----
1. Memory first. What finds no room there goes to disk after `PATIENCE_S`, for something may be freed just now; at once
   while the store has segments on disk already, or if it is larger than the store's memory.
2. One segment is made at a time, each about as large as all before it, up to ``Config.segment_bytes``, or as large as
   what is to go in. One that is empty goes back after `EMPTY_S`: it is cheap to make.
3. Where none can be made (the disk is full, say), nothing is tried for `RETRY_S`; then it works again if it can.

It never knows the disk, nor how full it is: its host does, and refuses.
"""

from __future__ import annotations

from raynb.runtime.core.store_allocator import Allocator
from raynb.runtime.core.store_effects import DropSegment, GrowStore
from raynb.runtime.core.store_growth import FIRST_SEGMENT_BYTES, RETRY_S, pages
from raynb.runtime.messages.config import Config
from raynb.runtime.messages.objects import SPILL_PREFIX

PATIENCE_S = 0.05
EMPTY_S = 2.0


class Spill:
    """The segments on disk: those there are, in ``allocator``, and the one that is being made.

    Parameters
    ----------
    enabled
        Whether there is a disk.
    """

    def __init__(self, allocator: Allocator, config: Config, *, enabled: bool) -> None:
        self.enabled = enabled
        self.making: GrowStore | None = None
        self.failure = ""
        """Why the last one could not be made; empty if it could."""
        self._allocator = allocator
        self._segment_bytes = config.segment_bytes
        self._made = 0
        self._not_before = 0.0
        self._empty_since: dict[str, float] = {}

    def may_take(self, waits_s: float, *, too_large: bool) -> bool:
        """Whether a request that memory has no room for goes to disk now: rule 1."""
        return self.enabled and (too_large or waits_s >= PATIENCE_S or bool(self._allocator.segments))

    def used(self, segment: str) -> None:
        """Something of a segment was granted."""
        self._empty_since.pop(segment, None)

    def for_request(self, size: int, now: float) -> list[GrowStore | DropSegment]:
        """Nothing on disk that is free fits a request: rule 2."""
        if self.making is not None or now < self._not_before:
            return []
        self._made += 1
        doubled = max(FIRST_SEGMENT_BYTES, self._allocator.total_bytes)
        usual = pages(size) if self.failure else min(self._segment_bytes, doubled)
        self.making = GrowStore(f"{SPILL_PREFIX}{self._made}", max(pages(size), usual))
        return [self.making]

    def ready(self, name: str, size: int) -> None:
        """The segment is there."""
        assert self.making is not None and self.making.name == name, f"{name!r} was not ordered, but {self.making}"
        self.making = None
        self.failure = ""
        self._allocator.add_segment(name, size)

    def failed(self, name: str, reason: str, now: float) -> None:
        """The segment can't be made: rule 3."""
        assert self.making is not None and self.making.name == name, f"{name!r} was not ordered, but {self.making}"
        self.making = None
        self.failure = reason
        self._not_before = now + RETRY_S

    def give_back(self, now: float) -> list[DropSegment]:
        """Drop segments that have been empty for a while."""
        empty = [name for name in self._allocator.segments if self._allocator.is_empty(name)]
        long = [name for name in empty if now - self._empty_since.setdefault(name, now) >= EMPTY_S]
        for name in long:
            self._allocator.remove_segment(name)
            del self._empty_since[name]
        return [DropSegment(name) for name in long]
