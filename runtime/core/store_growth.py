"""When the store of a node gets another segment, how large, and when one goes back.

Making a segment takes 0.25 ms a MB, so one is made ahead when little is left, each about as large as all before it, up
to ``Config.segment_bytes``: an idle cluster takes nothing, a busy one soon has what it needs. Only one is made at a
time. Empty ones beyond a reserve of one are given back after a while. When what is free lies in pieces too small for a
request, empty segments make room for one that fits.
"""

from __future__ import annotations

from itertools import count

from raynb.runtime.core.store_allocator import Allocator
from raynb.runtime.core.store_effects import DropSegment, GrowStore
from raynb.runtime.messages.config import Config

PAGE_BYTES = 4096
FIRST_SEGMENT_BYTES = 64 * 1024 * 1024
LARGE_BYTES = 4 * 1024 * 1024
"""Segments are made for several objects of the last size that was at least this."""
EMPTY_S = 20.0
"""An empty segment may go back after this."""
RETRY_S = 0.5
"""After a failure nothing is tried for so long."""


def pages(size: int) -> int:
    """``size`` rounded up to whole pages."""
    return -(-size // PAGE_BYTES) * PAGE_BYTES


class Growth:
    """The segments of a store: those there are, in ``allocator``, and the one that is being made.

    Parameters
    ----------
    allocator, config
        Shared with whoever allocates.
    capacity_bytes
        All segments together are never larger.
    """

    def __init__(self, allocator: Allocator, capacity_bytes: int, config: Config) -> None:
        self._allocator = allocator
        self._capacity = capacity_bytes // PAGE_BYTES * PAGE_BYTES
        self._segment_bytes = config.segment_bytes
        self._number = count(1).__next__
        self.making: GrowStore | None = None
        self.failure = ""
        """Why the last one could not be made; empty if it could."""
        self._not_before = 0.0
        self._unit = PAGE_BYTES
        self._empty_since: dict[str, float] = {}

    @property
    def capacity_bytes(self) -> int:
        """What the store may hold."""
        return self._capacity

    def used(self, segment: str, size: int) -> None:
        """So many bytes of a segment were granted."""
        self._empty_since.pop(segment, None)
        if LARGE_BYTES <= size <= self._segment_bytes:
            self._unit = pages(size)

    def for_request(self, size: int, now: float) -> list[GrowStore | DropSegment]:
        """Nothing that is free fits a request: what to do."""
        if self.making is not None or now < self._not_before:
            return []
        need, room = pages(size), self._room()
        dropped: list[GrowStore | DropSegment] = []
        if need > room:
            empty = [name for name in self._allocator.segments if self._allocator.is_empty(name)]
            if need > room + sum(self._allocator.segments[name] for name in empty):
                return []
            for name in empty:
                dropped.append(self._drop(name))
                if need <= self._room():
                    break
        return [*dropped, self._make(need)]

    def ahead(self) -> list[GrowStore | DropSegment]:
        """Little may be left: what to do."""
        room = self._room()
        little = self._allocator.free_bytes * 4 < self._allocator.total_bytes
        if self.making is not None or self.failure or not little or room < self._unit:
            return []
        return [self._make(self._unit)]

    def _room(self) -> int:
        return self._capacity - self._allocator.total_bytes

    def _make(self, need: int) -> GrowStore:
        size = need
        if not self.failure:
            doubled = max(FIRST_SEGMENT_BYTES, self._allocator.total_bytes)
            size = max(need, min(self._segment_bytes, doubled))
            if need <= self._unit <= size:
                size = size // self._unit * self._unit
        self.making = GrowStore(str(self._number()), max(need, min(size, self._room())))
        return self.making

    def _drop(self, name: str) -> DropSegment:
        self._allocator.remove_segment(name)
        self._empty_since.pop(name, None)
        return DropSegment(name)

    def ready(self, name: str, size: int) -> None:
        """The segment is there."""
        assert self.making is not None and self.making.name == name, f"{name!r} was not ordered, but {self.making}"
        self.making = None
        self.failure = ""
        self._allocator.add_segment(name, size)

    def failed(self, name: str, reason: str, now: float) -> None:
        """The segment can't be made. Later smaller ones are tried."""
        assert self.making is not None and self.making.name == name, f"{name!r} was not ordered, but {self.making}"
        self.making = None
        self.failure = reason
        self._not_before = now + RETRY_S

    def give_back(self, now: float) -> list[DropSegment]:
        """Drop segments that have long been empty, but for the largest that is no larger than a usual one."""
        segments = self._allocator.segments
        empty = [name for name in segments if self._allocator.is_empty(name)]
        usual = [name for name in empty if segments[name] <= self._segment_bytes]
        reserve = max(usual, key=lambda name: segments[name], default="")
        long = [name for name in empty if now - self._empty_since.setdefault(name, now) >= EMPTY_S]
        return [self._drop(name) for name in long if name != reserve]
