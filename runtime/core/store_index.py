"""What is in the store of a node: segments, the grants of clients inside them, and the objects inside grants.

It knows: every byte is free, part of an open grant's rest, or an object's. It never knows the memory itself, nor time,
nor who is alive (the machine in `raynb.runtime.core.store` does).

An object is *sealed* inside an open grant and belongs to its owner from then on; a grant that is *closed* leaves its
objects where they are and gives all other bytes back. An object that is freed while its grant is still open gives its
bytes back at once, since a client never writes twice to a place; the grant remembers that it has been there.

Two copies of one object can exist: one that a client finished just before it died, which nobody was told of, and that
of the next attempt. Both are there until the owner frees the object.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from heapq import nlargest
from itertools import count

from msgspec import Struct

from raynb.runtime.core.store_allocator import Allocator, aligned
from raynb.runtime.core.store_log import StoreLog
from raynb.runtime.messages.objects import SealedObject, is_spilled
from raynb.runtime.messages.store_events import SPILL
from raynb.runtime.messages.values import ValueKind


class BadSealError(ValueError):
    """A client says something of its objects that can't be."""


class Grant(Struct):
    """Bytes in which one client makes objects. ``taken`` are (offset, end) of those it ever made, in order."""

    number: int
    client: str
    segment: str
    offset: int
    size: int
    taken: list[tuple[int, int]] = []
    sealed_bytes: int = 0
    """Of ``taken``, in sum."""
    since: float = 0.0
    """When it was granted."""

    @property
    def rest_bytes(self) -> int:
        """What no object has been made in."""
        return self.size - self.sealed_bytes


class Entry(Struct):
    """A sealed object."""

    oid: bytes
    owner: str
    grant: int
    segment: str
    offset: int
    size: int
    """Aligned."""
    note: str
    writer: str
    """The client in whose grant it was made."""
    made: float
    kind: ValueKind | None = None
    twin: Entry | None = None
    """An older copy."""


class Group(Struct):
    """All objects of one owner with the same note."""

    owner: str
    note: str
    size: int = 0
    count: int = 0


class StoreIndex:
    """The accounts of one store; what comes and goes is noted in ``log``."""

    def __init__(self, log: StoreLog | None = None) -> None:
        self.log = log or StoreLog()
        self.allocator = Allocator()
        """Of what is in memory."""
        self.disk = Allocator()
        self.grants: dict[int, Grant] = {}
        """Open ones, the oldest first."""
        self.objects: dict[bytes, Entry] = {}
        self.by_owner: dict[str, dict[bytes, None]] = {}
        self.object_bytes = 0
        self.object_count = 0
        self._groups: dict[tuple[str, str], Group] = {}
        self._leaving: dict[tuple[str, int], Entry] = {}
        """What is freed, and still being read: by segment and offset."""
        self._next_grant = count(1).__next__
        self.last_grant = 0

    def __repr__(self) -> str:
        return f"<StoreIndex {self.object_count} objects, {len(self.grants)} grants, {self.allocator!r}>"

    @property
    def used_bytes(self) -> int:
        """Memory of objects and of the rests of open grants."""
        return self.allocator.total_bytes - self.allocator.free_bytes

    @property
    def spilled_bytes(self) -> int:
        """The same, of what is on disk."""
        return self.disk.total_bytes - self.disk.free_bytes

    def _allocator_of(self, segment: str) -> Allocator:
        return self.disk if is_spilled(segment) else self.allocator

    def grant(self, client: str, size: int, *, on_disk: bool = False) -> Grant | None:
        """Grant ``size`` bytes in a row, in memory or on disk; None if there are none."""
        found = (self.disk if on_disk else self.allocator).allocate(size)
        if found is None:
            return None
        self.last_grant = self._next_grant()
        grant = Grant(self.last_grant, client, found.segment, found.offset, found.size, [], 0, self.log.now)
        self.grants[grant.number] = grant
        return grant

    def seal(self, sealed: SealedObject) -> Entry:
        """An object was written.

        Raises
        ------
        BadSealError
            Its grant is not open, or it does not lie in it, or upon another object.
        """
        grant = self.grants.get(sealed.grant)
        if grant is None:
            raise BadSealError(f"object {sealed.oid.hex()} was sealed in grant {sealed.grant}, which is not open")
        begin, size = sealed.offset, aligned(sealed.size)
        end = begin + size
        inside = grant.offset <= begin and end <= grant.offset + grant.size
        if not inside or size <= 0 or begin != aligned(begin):
            raise BadSealError(f"object {sealed.oid.hex()} at {begin}+{sealed.size} does not lie in {grant}")
        taken = grant.taken
        index = bisect_left(taken, (begin, end))
        if (index and taken[index - 1][1] > begin) or (index < len(taken) and taken[index][0] < end):
            raise BadSealError(
                f"object {sealed.oid.hex()} at {begin}+{sealed.size} lies upon another in grant {grant.number}"
            )
        taken.insert(index, (begin, end))
        grant.sealed_bytes += size
        twin = self.objects.get(sealed.oid)
        entry = Entry(
            sealed.oid, sealed.owner, grant.number, grant.segment, begin, size, sealed.note, grant.client,
            self.log.now, sealed.kind, twin,
        )  # fmt: skip
        self.objects[sealed.oid] = entry
        self.log.made(entry)
        if is_spilled(grant.segment):
            alone = size == grant.size  # else the grant is as old as its first object
            self.log.note(SPILL, size, entry.oid, since=grant.since if alone else None, who=grant.client)
        self.by_owner.setdefault(sealed.owner, {})[sealed.oid] = None
        self._count(entry, 1)
        return entry

    def free(self, oid: bytes, in_use: Callable[[Entry], bool] = lambda entry: False) -> int:
        """Free an object and its older copies. Returns how many bytes are free again, 0 if it isn't there.

        The memory of those that are ``in_use`` is not: it is when they have `left`.
        """
        entry: Entry | None = self.objects.pop(oid, None)
        freed = 0
        if entry is not None:
            self.log.freed(oid)
        while entry is not None:
            owned = self.by_owner.get(entry.owner)
            if owned is not None:
                owned.pop(oid, None)
                if not owned:
                    del self.by_owner[entry.owner]
            if in_use(entry):
                self._leaving[entry.segment, entry.offset] = entry
            else:
                self._allocator_of(entry.segment).release(entry.segment, entry.offset, entry.size)
                freed += entry.size
            self._count(entry, -1)
            entry = entry.twin
        return freed

    def free_alone(self, newest: Entry, in_use: Callable[[Entry], bool]) -> None:
        """Free the newest copy of an object, which has older ones."""
        older, newest.twin = newest.twin, None
        self.free(newest.oid, in_use)
        if older is not None:
            self.objects[newest.oid] = older
            self.by_owner.setdefault(older.owner, {})[newest.oid] = None

    def is_leaving(self, entry: Entry) -> bool:
        """Whether it is freed, and still in use."""
        return self._leaving.get((entry.segment, entry.offset)) is entry

    def left(self, entry: Entry) -> None:
        """An object is in use no more: if it is freed, its memory is free now."""
        if self.is_leaving(entry):
            del self._leaving[entry.segment, entry.offset]
            self._allocator_of(entry.segment).release(entry.segment, entry.offset, entry.size)

    def unsealed_at(self, segment: str, offset: int) -> int | None:
        """The open grant in which an object may still be sealed at a place; None: there is none."""
        for grant in self.grants.values():
            inside = grant.segment == segment and grant.offset <= offset < grant.offset + grant.size
            # What was made in one and freed may have been granted anew, while that one is open.
            if inside and not any(begin <= offset < end for begin, end in grant.taken):
                return grant.number
        return None

    def close(self, number: int) -> int:
        """Close a grant. Returns how many bytes are free again: all in which no object was made."""
        grant = self.grants.pop(number)
        at = grant.offset
        allocator = self._allocator_of(grant.segment)
        for begin, end in [*grant.taken, (grant.offset + grant.size,) * 2]:
            allocator.release(grant.segment, at, begin - at)
            at = end
        return grant.rest_bytes

    def _count(self, entry: Entry, sign: int) -> None:
        self.object_bytes += sign * entry.size
        self.object_count += sign
        key = (entry.owner, entry.note)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(*key)
        group.size += sign * entry.size
        group.count += sign
        if not group.count:
            del self._groups[key]

    def entries(self) -> Iterator[Entry]:
        """All copies of all objects."""
        for newest in self.objects.values():
            entry: Entry | None = newest
            while entry is not None:
                yield entry
                entry = entry.twin

    def largest_groups(self, n: int) -> list[Group]:
        """The ``n`` groups of objects that take the most bytes, the largest first."""
        return nlargest(n, self._groups.values(), key=lambda group: group.size)

    def check(self) -> None:
        """Assert that every byte is accounted for once."""
        ranges: list[tuple[str, int, int]] = []
        for allocator in (self.allocator, self.disk):
            allocator.check()
            ranges += [(found.segment, found.offset, found.size) for found in allocator.free_ranges()]
        segments = self.allocator.segments | self.disk.segments
        ranges += [(entry.segment, entry.offset, entry.size) for entry in self.entries()]
        ranges += [(entry.segment, entry.offset, entry.size) for entry in self._leaving.values()]
        for number, grant in self.grants.items():
            assert number == grant.number <= self.last_grant
            assert grant.sealed_bytes == sum(end - begin for begin, end in grant.taken)
            at = grant.offset
            for begin, end in [*grant.taken, (grant.offset + grant.size,) * 2]:
                assert at <= begin <= end, grant
                if begin > at:
                    ranges.append((grant.segment, at, begin - at))
                at = end
        ranges.sort()
        covered = dict.fromkeys(segments, 0)
        for segment, offset, size in ranges:
            assert covered[segment] == offset, f"{segment}: {covered[segment]}..{offset} is lost or used twice"
            covered[segment] = offset + size
        assert covered == segments
        sizes = [entry.size for entry in self.entries()]
        assert (self.object_bytes, self.object_count) == (sum(sizes), len(sizes))
        assert sum(group.size for group in self._groups.values()) == self.object_bytes
        assert {oid for owned in self.by_owner.values() for oid in owned} == set(self.objects)
