from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raynb.runtime.core.store_allocator import Allocator, Range


class AllocatorAgainstAMap(RuleBasedStateMachine):
    """The allocator beside a map of every 64 bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.allocator = Allocator()
        self.segments_made = 0
        self.taken: dict[str, list[bool]] = {}
        self.ranges: list[Range] = []

    def longest_free_blocks(self) -> int:
        longest = 0
        for blocks in self.taken.values():
            run = 0
            for taken in blocks:
                run = 0 if taken else run + 1
                longest = max(longest, run)
        return longest

    @precondition(lambda self: len(self.taken) < 4)
    @rule(blocks=st.integers(1, 40), odd=st.integers(0, 63))
    def a_segment_comes(self, blocks: int, odd: int) -> None:
        self.segments_made += 1
        name = str(self.segments_made)
        self.allocator.add_segment(name, blocks * 64 + odd)
        self.taken[name] = [False] * blocks

    @rule(size=st.integers(1, 64 * 20))
    def something_is_allocated(self, size: int) -> None:
        blocks = -(-size // 64)
        possible = self.longest_free_blocks() >= blocks
        found = self.allocator.allocate(size)
        assert (found is not None) == possible
        if found is None:
            return
        assert found.size == blocks * 64
        self.mark(found, False, True)
        self.ranges.append(found)

    def mark(self, found: Range, before: bool, after: bool) -> None:
        for block in range(found.offset // 64, (found.offset + found.size) // 64):
            assert self.taken[found.segment][block] is before
            self.taken[found.segment][block] = after

    @precondition(lambda self: self.ranges)
    @rule(data=st.data())
    def something_is_released(self, data: st.DataObject) -> None:
        found = self.ranges.pop(data.draw(st.integers(0, len(self.ranges) - 1)))
        self.allocator.release(found.segment, found.offset, found.size)
        self.mark(found, True, False)

    @precondition(lambda self: self.ranges)
    @rule(data=st.data())
    def a_part_is_released(self, data: st.DataObject) -> None:
        found = self.ranges.pop(data.draw(st.integers(0, len(self.ranges) - 1)))
        cut = data.draw(st.integers(0, found.size // 64)) * 64
        head = Range(found.segment, found.offset, cut)
        self.allocator.release(head.segment, head.offset, head.size)
        self.mark(head, True, False)
        if found.size > cut:
            self.ranges.append(Range(found.segment, found.offset + cut, found.size - cut))

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def an_empty_segment_goes(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.taken)))
        if any(self.taken[name]):
            with pytest.raises(ValueError, match="in use"):
                self.allocator.remove_segment(name)
        else:
            self.allocator.remove_segment(name)
            del self.taken[name]

    @invariant()
    def nothing_is_lost(self) -> None:
        self.allocator.check()
        free = sum(not taken for blocks in self.taken.values() for taken in blocks)
        assert self.allocator.free_bytes == free * 64
        assert self.allocator.largest() == self.longest_free_blocks() * 64

    def teardown(self) -> None:
        for found in self.ranges:
            self.allocator.release(found.segment, found.offset, found.size)
        self.allocator.check()
        assert all(self.allocator.is_empty(name) for name in self.allocator.segments)


TestAllocatorAgainstAMap = AllocatorAgainstAMap.TestCase
TestAllocatorAgainstAMap.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_smallest_range_that_fits_is_taken() -> None:
    allocator = Allocator()
    allocator.add_segment("a", 1024)
    a, b, c, d = (allocator.allocate(size) for size in (256, 64, 128, 64))
    assert a and b and c and d
    allocator.release("a", a.offset, a.size)
    allocator.release("a", c.offset, c.size)
    assert allocator.allocate(100) == c


def test_memory_that_was_just_freed_is_taken_first() -> None:
    allocator = Allocator()
    allocator.add_segment("a", 640)
    ranges = [allocator.allocate(64) for _ in range(10)]
    for index in (2, 8, 4):
        found = ranges[index]
        assert found
        allocator.release("a", found.offset, found.size)
    assert allocator.allocate(64) == ranges[4]


def test_a_large_object_that_comes_and_goes_keeps_its_place() -> None:
    allocator = Allocator()
    allocator.add_segment("a", 1 << 20)
    offsets = set()
    for _ in range(20):
        found = allocator.allocate(400_000)
        assert found
        offsets.add(found.offset)
        allocator.release("a", found.offset, found.size)
    assert len(offsets) == 1


def test_what_is_free_already_cannot_be_released() -> None:
    allocator = Allocator()
    allocator.add_segment("a", 640)
    found = allocator.allocate(64)
    assert found
    allocator.release("a", found.offset, found.size)
    with pytest.raises(AssertionError, match="free already"):
        allocator.release("a", found.offset, found.size)
