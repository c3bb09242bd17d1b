"""The shared memory of a simulated node, where every wrong access is seen.

A segment is a list of written objects by their offsets. The store's accounts say which bytes are free; whoever reads
what is free, writes where somebody else's object lies, or frees what somebody still views, is caught in the act.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct, structs

from raynb.runtime.core.store import StoreEffect, StoreEvent, StoreMachine
from raynb.runtime.core.store_allocator import Allocator
from raynb.runtime.core.store_effects import SendChunk, WriteChunk
from raynb.runtime.messages.objects import SealedObject, is_spilled
from tests.sim.show import name_id
from tests.sim.world import Violation


class Cell(Struct, frozen=True):
    """One object as it was written: a real one has this in its header."""

    oid: bytes
    owner: str
    grant: int
    size: int
    data: bytes
    damaged: bool = False
    """Whether the disk gives back something else."""


class View:
    """Somebody reads a cell. ``release`` it."""

    __slots__ = ("cell", "held", "memory", "offset", "segment", "who")

    def __init__(self, memory: Memory, who: str, segment: str, offset: int, cell: Cell) -> None:
        self.memory = memory
        self.who = who
        self.segment = segment
        self.offset = offset
        self.cell = cell
        self.held = True
        memory.views[id(self)] = self

    def release(self) -> None:
        """Look away."""
        if self.held:
            self.held = False
            del self.memory.views[id(self)]


class CheckedStore(StoreMachine):
    """It changes by events alone: so its invariants are looked at after each one, and not again before the next."""

    _looked_at = False

    def handle(self, event: StoreEvent, now: float) -> list[StoreEffect]:
        self._looked_at = False
        return super().handle(event, now)

    def check(self) -> None:
        if not self._looked_at:
            super().check()
            self._looked_at = True


class Memory:
    """See the module. It learns from the store's own allocator what is free."""

    def __init__(self, store: StoreMachine) -> None:
        self.segments: dict[str, dict[int, Cell]] = {}
        self.views: dict[int, View] = {}
        self._coming: dict[tuple[str, int], bytearray] = {}
        """Copies of which pieces have come, by where they begin."""
        self._free: set[tuple[str, int]] = set()
        """Where objects lie that were freed: their bytes stay until others are written there."""
        self._watch(store.index.allocator)
        self._watch(store.index.disk)

    def _watch(self, allocator: Allocator) -> None:
        release = allocator.release

        def watched(segment: str, offset: int, size: int) -> None:
            release(segment, offset, size)
            self._freed(segment, offset, size)

        allocator.release = watched  # type: ignore[method-assign]

    def grow(self, name: str) -> None:
        """A new segment."""
        self.segments[name] = {}

    def drop(self, name: str) -> None:
        """A segment is removed; nobody may look at it any more."""
        for view in self.views.values():
            if view.segment == name:
                raise Violation(f"segment {name} was dropped while {view.who} views {name_id(view.cell.oid)} in it")
        for at in self.segments.pop(name):
            self._free.discard((name, at))

    def write(self, segment: str, offset: int, cell: Cell) -> None:
        """Write an object: where others lay it is overwritten, so nobody may look at those."""
        self._overwrite(segment, offset, offset + cell.size, cell.oid)
        self.segments[segment][offset] = cell

    def _overwrite(self, segment: str, begin: int, end: int, oid: bytes) -> None:
        for view in self.views.values():
            if view.segment == segment and view.offset < end and begin < view.offset + view.cell.size:
                raise Violation(
                    f"object {name_id(oid)} was written over {name_id(view.cell.oid)}, which {view.who} views"
                )
        cells = self.segments[segment]
        for at in [at for at, old in cells.items() if at < end and begin < at + old.size]:
            del cells[at]
            self._free.discard((segment, at))

    def rot(self, which: int) -> bytes | None:
        """The disk damages an object; gives which."""
        cells = [
            (name, at)
            for name, cells in self.segments.items()
            if is_spilled(name)
            for at, cell in cells.items()
            if (name, at) not in self._free and not cell.damaged
        ]
        if not cells:
            return None
        name, at = cells[which % len(cells)]
        cell = self.segments[name][at] = structs.replace(self.segments[name][at], damaged=True)
        return cell.oid

    def piece(self, chunk: SendChunk) -> memoryview:
        """What is to be sent to another node: it must be there, freed or not."""
        begin = chunk.at - chunk.offset
        cell = self.segments.get(chunk.segment, {}).get(begin)
        if cell is None or cell.oid != chunk.oid:
            found = "nothing" if cell is None else name_id(cell.oid)
            raise Violation(f"object {name_id(chunk.oid)} is sent from {chunk.segment}:{begin}, but there is {found}")
        return memoryview(_image(cell))[chunk.offset : chunk.offset + chunk.size]

    def write_piece(self, chunk: WriteChunk) -> str:
        """A piece of a copy has come; with the last one there is an object, unless that is damaged: gives a problem."""
        at = chunk.begin + chunk.offset
        self._overwrite(chunk.segment, at, at + chunk.data.nbytes, chunk.oid)
        if chunk.offset == 0:
            self._coming[chunk.segment, chunk.begin] = bytearray()
        image = self._coming[chunk.segment, chunk.begin]
        if len(image) != chunk.offset:
            raise Violation(f"{chunk.offset} bytes of {name_id(chunk.oid)} should be here, but {len(image)} are")
        image += chunk.data
        if chunk.total:
            del self._coming[chunk.segment, chunk.begin]
            oid, owner, data, damaged = _of_image(bytes(image))
            if damaged:
                return "it was damaged on the disk that it came from"
            if oid != chunk.oid or len(image) != chunk.total:
                raise Violation(f"{len(image)} bytes of {name_id(oid)} came for {chunk.total} of {name_id(chunk.oid)}")
            self.write(chunk.segment, chunk.begin, Cell(oid, owner, chunk.grant, chunk.total, data))
        return ""

    def read(self, who: str, segment: str, offset: int, oid: bytes) -> View:
        """Read an object that must be there."""
        cell = self.segments.get(segment, {}).get(offset)
        if cell is None or cell.oid != oid or (segment, offset) in self._free:
            found = "nothing" if cell is None else name_id(cell.oid) if cell.oid != oid else "free memory"
            raise Violation(f"{who} reads object {name_id(oid)} at {segment}:{offset}, but there is {found}")
        return View(self, who, segment, offset, cell)

    def _freed(self, segment: str, offset: int, size: int) -> None:
        end = offset + size
        for view in self.views.values():
            if view.segment == segment and offset <= view.offset < end:
                raise Violation(f"object {name_id(view.cell.oid)} was freed while {view.who} views it")
        self._free.update((segment, at) for at in self.segments[segment] if offset <= at < end)

    def walk(self, segment: str, offset: int, size: int, grant: int) -> list[SealedObject]:
        """The complete objects of one grant, as the codec's ``walk_extent`` finds them."""
        return [
            SealedObject(cell.oid, cell.owner, grant, at, cell.size)
            for at, cell in sorted(self.segments.get(segment, {}).items())
            if offset <= at < offset + size and cell.grant == grant
        ]

    def let_go(self, who: str) -> None:
        """A process is dead, and its views with it."""
        for view in [view for view in self.views.values() if view.who == who]:
            view.release()


def _image(cell: Cell) -> bytes:
    """A cell as bytes, all of them."""
    content = msgspec.msgpack.encode((cell.oid, cell.owner, cell.data, cell.damaged))
    return (len(content).to_bytes(4, "little") + content).ljust(cell.size, b"\0")


def _of_image(image: bytes) -> tuple[bytes, str, bytes, bool]:
    size = int.from_bytes(image[:4], "little")
    return msgspec.msgpack.decode(image[4 : 4 + size], type=tuple[bytes, str, bytes, bool])


def least_size(oid: bytes, owner: str, data: bytes) -> int:
    """So many bytes a cell needs at least, to be copied from node to node."""
    return len(_image(Cell(oid, owner, 0, 0, data)))
