"""Which bytes of which segment are free: best fit over all segments, neighbours joined at once.

It knows sizes and offsets only. It never knows what lies in a range, nor who has it; whoever allocates gives back
exactly what it got, or parts of it, once.

Best fit needs the free sizes in order. They are a sorted list of the *different* sizes: with d of them, multiples of 64
bytes, at least 32 d^2 bytes are free, so 24 GB have at most 27,000, and keeping the list sorted costs microseconds.
Among ranges of one size the one that was freed last is taken: its pages are the most likely to be warm.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from msgspec import Struct

ALIGNMENT_BYTES = 64


def aligned(size: int) -> int:
    """``size`` rounded up to a multiple of 64."""
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


class Range(Struct, frozen=True, gc=False):
    """Some bytes of a segment."""

    segment: str
    offset: int
    size: int


class Allocator:
    """The free ranges of a set of segments."""

    def __init__(self) -> None:
        self.segments: dict[str, int] = {}
        """Name -> size, in the order in which they came."""
        self.free_bytes = 0
        self.total_bytes = 0
        self._starts: dict[str, dict[int, int]] = {}
        """Segment -> offset -> size of each free range."""
        self._ends: dict[str, dict[int, int]] = {}
        """Segment -> end -> offset of each free range."""
        self._sizes: list[int] = []
        self._by_size: dict[int, dict[tuple[str, int], None]] = {}

    def __repr__(self) -> str:
        return f"<Allocator {self.free_bytes} of {self.total_bytes} bytes free, largest {self.largest()}>"

    def add_segment(self, name: str, size: int) -> None:
        """A new segment, all of it free. Only whole multiples of 64 bytes are used."""
        if name in self.segments:
            raise ValueError(f"segment {name!r} is there already")
        size = size // ALIGNMENT_BYTES * ALIGNMENT_BYTES
        self.segments[name] = size
        self._starts[name] = {}
        self._ends[name] = {}
        self.total_bytes += size
        self.free_bytes += size
        self._insert(name, 0, size)

    def remove_segment(self, name: str) -> None:
        """Forget a segment, which must be free as a whole."""
        if not self.is_empty(name):
            raise ValueError(f"segment {name!r} is in use")
        size = self.segments.pop(name)
        self._remove(name, 0, size)
        del self._starts[name], self._ends[name]
        self.total_bytes -= size
        self.free_bytes -= size

    def is_empty(self, name: str) -> bool:
        """Whether nothing of a segment is allocated."""
        return self._starts[name].get(0) == self.segments[name]

    def largest(self) -> int:
        """Size of the largest free range."""
        return self._sizes[-1] if self._sizes else 0

    def allocate(self, size: int) -> Range | None:
        """The start of the smallest free range that ``size`` (rounded up) fits into; None if there is none."""
        size = aligned(size)
        index = bisect_left(self._sizes, size)
        if size <= 0 or index == len(self._sizes):
            return None
        found = self._sizes[index]
        segment, offset = next(reversed(self._by_size[found]))
        self._remove(segment, offset, found)
        if found > size:
            self._insert(segment, offset + size, found - size)
        self.free_bytes -= size
        return Range(segment, offset, size)

    def release(self, segment: str, offset: int, size: int) -> None:
        """Give bytes back; all of them must be allocated, and aligned."""
        if size == 0:
            return
        starts, ends = self._starts[segment], self._ends[segment]
        assert offset % ALIGNMENT_BYTES == 0 and size % ALIGNMENT_BYTES == 0, f"{offset}+{size} is not aligned"
        assert offset >= 0 and offset + size <= self.segments[segment], f"{offset}+{size} is not in {segment!r}"
        assert offset not in starts and offset + size not in ends, f"{offset}+{size} of {segment!r} is free already"
        self.free_bytes += size
        after = starts.get(offset + size)
        if after is not None:
            self._remove(segment, offset + size, after)
            size += after
        before = ends.get(offset)
        if before is not None:
            self._remove(segment, before, offset - before)
            offset, size = before, size + offset - before
        self._insert(segment, offset, size)

    def _insert(self, segment: str, offset: int, size: int) -> None:
        self._starts[segment][offset] = size
        self._ends[segment][offset + size] = offset
        same = self._by_size.get(size)
        if same is None:
            same = self._by_size[size] = {}
            insort(self._sizes, size)
        same[segment, offset] = None

    def _remove(self, segment: str, offset: int, size: int) -> None:
        del self._starts[segment][offset]
        del self._ends[segment][offset + size]
        same = self._by_size[size]
        del same[segment, offset]
        if not same:
            del self._by_size[size]
            del self._sizes[bisect_left(self._sizes, size)]

    def free_ranges(self) -> list[Range]:
        """All free ranges, by segment and offset."""
        return [
            Range(segment, offset, size)
            for segment in self.segments
            for offset, size in sorted(self._starts[segment].items())
        ]

    def check(self) -> None:
        """Assert what must always hold."""
        assert self._sizes == sorted(self._by_size)
        assert sum(len(same) for same in self._by_size.values()) == sum(map(len, self._starts.values()))
        assert self.total_bytes == sum(self.segments.values())
        free = 0
        previous: Range | None = None
        for found in self.free_ranges():
            assert found.size > 0 and found.offset + found.size <= self.segments[found.segment], found
            assert (found.segment, found.offset) in self._by_size[found.size], found
            assert self._ends[found.segment][found.offset + found.size] == found.offset, found
            if previous is not None and previous.segment == found.segment:
                assert previous.offset + previous.size < found.offset, f"{previous} and {found} should be one"
            previous = found
            free += found.size
        assert free == self.free_bytes
