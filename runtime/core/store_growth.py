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


class Segments:
    """The segments of one kind: those there are, in ``allocator``, and the one that is being made.

    Parameters
    ----------
    allocator, config
        Shared with whoever allocates.
    prefix
        How their names begin.
    """

    def __init__(self, allocator: Allocator, config: Config, prefix: str = "") -> None:
        self.making: GrowStore | None = None
        self.failure = ""
        """Why the last one could not be made; empty if it could."""
        self._allocator = allocator
        self._segment_bytes = config.segment_bytes
        self._prefix = prefix
        self._number = count(1).__next__
        self._not_before = 0.0
        self._empty_since: dict[str, float] = {}

    def ready(self, name: str, size: int) -> None:
        """The segment is there."""
        self._made(name)
        self.failure = ""
        self._allocator.add_segment(name, size)

    def failed(self, name: str, reason: str, now: float) -> None:
        """The segment can't be made. Later it is tried again."""
        self._made(name)
        self.failure = reason
        self._not_before = now + RETRY_S

    def _made(self, name: str) -> None:
        assert self.making is not None and self.making.name == name, f"{name!r} was not ordered, but {self.making}"
        self.making = None

    def _may_make(self, now: float) -> bool:
        return self.making is None and now >= self._not_before

    def _make(self, size: int) -> GrowStore:
        self.making = GrowStore(f"{self._prefix}{self._number()}", size)
        return self.making

    def _usual(self, need: int) -> int:
        """About as large as all before it; no larger than what is needed where that has failed."""
        doubled = max(FIRST_SEGMENT_BYTES, self._allocator.total_bytes)
        return need if self.failure else max(need, min(self._segment_bytes, doubled))

    def _empty(self) -> list[str]:
        return [name for name in self._allocator.segments if self._allocator.is_empty(name)]

    def _long_empty(self, now: float, patience_s: float) -> list[str]:
        return [name for name in self._empty() if now - self._empty_since.setdefault(name, now) >= patience_s]

    def _drop(self, name: str) -> DropSegment:
        self._allocator.remove_segment(name)
        self._empty_since.pop(name, None)
        return DropSegment(name)


class Growth(Segments):
    """The segments in memory.

    Parameters
    ----------
    capacity_bytes
        All segments together are never larger.
    """

    def __init__(self, allocator: Allocator, capacity_bytes: int, config: Config) -> None:
        super().__init__(allocator, config)
        self._capacity = capacity_bytes // PAGE_BYTES * PAGE_BYTES
        self._unit = PAGE_BYTES

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
        if not self._may_make(now):
            return []
        need, room = pages(size), self._room()
        dropped: list[GrowStore | DropSegment] = []
        if need > room:
            empty = self._empty()
            if need > room + sum(self._allocator.segments[name] for name in empty):
                return []
            for name in empty:
                dropped.append(self._drop(name))
                if need <= self._room():
                    break
        return [*dropped, self._make_for(need)]

    def ahead(self) -> list[GrowStore | DropSegment]:
        """Little may be left: what to do."""
        room = self._room()
        little = self._allocator.free_bytes * 4 < self._allocator.total_bytes
        if self.making is not None or self.failure or not little or room < self._unit:
            return []
        return [self._make_for(self._unit)]

    def _room(self) -> int:
        return self._capacity - self._allocator.total_bytes

    def _make_for(self, need: int) -> GrowStore:
        size = self._usual(need)
        if not self.failure and need <= self._unit <= size:
            size = size // self._unit * self._unit
        return self._make(max(need, min(size, self._room())))

    def give_back(self, now: float) -> list[DropSegment]:
        """Drop segments that have long been empty, but for the largest that is no larger than a usual one."""
        segments = self._allocator.segments
        usual = [name for name in self._empty() if segments[name] <= self._segment_bytes]
        reserve = max(usual, key=lambda name: segments[name], default="")
        return [self._drop(name) for name in self._long_empty(now, EMPTY_S) if name != reserve]
