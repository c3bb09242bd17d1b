"""Where in the store a client writes its objects: inside extents that the node manager granted to it.

It knows: the extent held for small objects, the grants of their own of large ones, what was written and not yet told.
It never knows: what else is in the store, and the memory itself.

Its host does, under one lock, since any thread may store:

1. ``place(size)``; if that gives a place, write there, then ``written(...)``, or ``abandon(...)`` if that failed;
2. else send what ``ask(size)`` gives, and wait; hand the answer to ``granted``, which gives the place, or tell the user
   that it was refused;
3. send what ``take_news()`` gives, soon after each write;
4. call ``idle(now)`` each second or so, and ``close()`` at the end.

A grant is closed, which frees what is left of it, only when no place in it is being written any more. An extent that
has not been used for a while goes back: many idle clients would hold much memory.
"""

from __future__ import annotations

from collections import deque
from itertools import count

from msgspec import Struct

from raynb.runtime.messages.config import Config
from raynb.runtime.messages.objects import (
    AllocateExtent,
    ExtentGranted,
    ExtentRefused,
    SealedObject,
    SealObjects,
)
from raynb.runtime.messages.values import ValueKind

ALIGNMENT_BYTES = 64
IDLE_S = 1.0


class Place(Struct, frozen=True, gc=False):
    """Where to write one object."""

    grant: int
    segment: str
    offset: int
    size: int


class _Extent(Struct, gc=False):
    grant: int
    segment: str
    next: int
    end: int
    writing: int = 0
    used: float = 0.0
    """When its last place was given out."""

    @property
    def room(self) -> int:
        return self.end - self.next


class ClientStore:
    """The bookkeeping of one client.

    Parameters
    ----------
    config : Config
        Its ``client_extent_bytes`` and ``own_extent_bytes``.
    """

    def __init__(self, config: Config) -> None:
        self._extent_bytes = config.client_extent_bytes
        self._own_bytes = config.own_extent_bytes
        self._number = count(1).__next__
        self._asked: dict[int, int] = {}
        """Request -> size of the object."""
        self._held: _Extent | None = None
        self._open: dict[int, _Extent] = {}
        """Grants with places that are being written, and the held one."""
        self._sealed: deque[SealedObject] = deque()
        self._closed: list[int] = []

    def __repr__(self) -> str:
        return f"<ClientStore {self.statistics()}>"

    def statistics(self) -> dict[str, int]:
        """Counts of what is going on."""
        return {
            "open_grants": len(self._open),
            "writing": sum(extent.writing for extent in self._open.values()),
            "asked": len(self._asked),
            "untold": len(self._sealed) + len(self._closed),
            "room_bytes": self._held.room if self._held else 0,
        }

    def check(self) -> None:
        """Assert what must always hold."""
        for grant, extent in self._open.items():
            assert extent.grant == grant and 0 <= extent.next <= extent.end, extent
            assert extent.writing >= 0, extent
            assert extent.writing or extent is self._held, f"{extent} should be closed"
        assert self._held is None or self._held.grant in self._open
        assert not set(self._closed) & set(self._open), "closed and open"

    # -- places

    def place(self, size: int, now: float) -> Place | None:
        """A place for an object of ``size`` bytes in the extent that is held, or None: then ask for one."""
        extent = self._held
        if extent is None or size >= self._own_bytes or _aligned(size) > extent.room:
            return None
        return self._cut(extent, size, now)

    def ask(self, size: int, oid: bytes = b"") -> AllocateExtent:
        """The request that gets a place for an object of ``size`` bytes."""
        number = self._number()
        self._asked[number] = size
        if size >= self._own_bytes:
            return AllocateExtent(number, _aligned(size), oid)
        return AllocateExtent(number, max(_aligned(size), self._extent_bytes), oid, _aligned(size))

    def granted(self, message: ExtentGranted, now: float) -> Place | None:
        """The place that was asked for with this request; None if nobody waits for it (any more)."""
        extent = _Extent(message.grant, message.segment, message.offset, message.offset + message.size)
        size = self._asked.pop(message.request, None)
        self._open[extent.grant] = extent
        place = None if size is None else self._cut(extent, size, now)
        if place is not None and place.size < self._own_bytes:
            # Several threads may have asked at once: the extent with more room stays.
            held = self._held
            if held is None or held.room < extent.room:
                self._held, extent = extent, held or extent
        self._close_if_done(extent)
        return place

    def refused(self, message: ExtentRefused) -> bool:
        """Whether somebody waits for this request."""
        return self._asked.pop(message.request, None) is not None

    def forget(self, request: int) -> None:
        """Nobody waits for this request any more; what is granted for it goes back."""
        self._asked.pop(request, None)

    def _cut(self, extent: _Extent, size: int, now: float) -> Place:
        place = Place(extent.grant, extent.segment, extent.next, size)
        extent.next += _aligned(size)
        assert extent.next <= extent.end, f"{size} bytes do not go into {extent}"
        extent.writing += 1
        extent.used = now
        return place

    def _close_if_done(self, extent: _Extent) -> None:
        if extent is not self._held and not extent.writing:
            del self._open[extent.grant]
            self._closed.append(extent.grant)

    # -- news

    def written(self, place: Place, oid: bytes, owner: str, note: str = "", kind: ValueKind | None = None) -> None:
        """An object is complete at its place."""
        self._sealed.append(SealedObject(oid, owner, place.grant, place.offset, place.size, note, kind))
        self._leave(place)

    def abandon(self, place: Place) -> None:
        """Writing failed, and no object is there; its room comes back when the grant is closed."""
        self._leave(place)

    def _leave(self, place: Place) -> None:
        extent = self._open[place.grant]
        extent.writing -= 1
        self._close_if_done(extent)

    def take_news(self) -> SealObjects | None:
        """What the node manager has not been told yet, or None."""
        if not self._sealed and not self._closed:
            return None
        news = SealObjects(list(self._sealed), self._closed)
        self._sealed.clear()
        self._closed = []
        return news

    # -- the end

    def idle(self, now: float) -> None:
        """Give the held extent back if it has not been used for a while."""
        if self._held is not None and now - self._held.used >= IDLE_S:
            self._let_go()

    def close(self) -> None:
        """Give everything back that is not being written."""
        self._asked.clear()
        self._let_go()

    def _let_go(self) -> None:
        extent, self._held = self._held, None
        if extent is not None:
            self._close_if_done(extent)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
