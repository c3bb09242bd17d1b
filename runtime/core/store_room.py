"""Who waits for room in a store, and how room is made.

Rules
-----
1. Requests are served in order of arrival. One that can't be met is passed by others that can, but not for longer than
   `PASSING_S`: from then on what is freed is kept for it.
2. A request for several pieces gets all of them or none.
3. Memory that is free comes first, then more segments, then a piece that just holds the object for which an extent was
   asked for, then that of copies which nobody here needs
   (`raynb.runtime.core.store_copies`), then disk, where there is one (`raynb.runtime.core.store_spill`). What finds
   none is refused after ``Config.store_full_timeout_s``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raynb.runtime.core.store_copies import Copies
from raynb.runtime.core.store_growth import Growth, pages
from raynb.runtime.core.store_index import Grant, StoreIndex
from raynb.runtime.core.store_report import too_large
from raynb.runtime.core.store_spill import Spill
from raynb.runtime.messages.store_events import WAIT

PASSING_S = 1.0

Key = tuple[str, int, int]
"""Client, its request, and which part of it."""


class Want:
    """Room for one or more pieces, wanted by ``client`` since ``since``."""

    def __init__(self, client: str, request: int, since: float, part: int = 0) -> None:
        self.key: Key = (client, request, part)
        self.client = client
        self.writer = client
        """Who will write there."""
        self.request = request
        self.since = since
        self.oid = b""
        """What is to lie there, where that is one object and known."""
        self.least = 0
        """So little will do, where it wants one piece and there is no more; 0: all of it is needed."""
        self.noted = 0
        """Its number in the log."""

    def sizes(self) -> list[int]:
        """What is wanted now; possibly nothing any more."""
        raise NotImplementedError


class ExtentWant(Want):
    """A client wants memory to write in."""

    def __init__(
        self, client: str, request: int, since: float, size: int, oid: bytes = b"", least: int | None = None
    ) -> None:
        super().__init__(client, request, since)
        self.size = size
        self.oid = oid
        self.least = size if least is None else least

    def sizes(self) -> list[int]:
        return [self.size]


class Room:
    """The requests for room of one store.

    Parameters
    ----------
    index, growth, spill, copies
        The store's: where memory comes from.
    timeout_s
        Of rule 3.
    """

    def __init__(self, index: StoreIndex, growth: Growth, spill: Spill, copies: Copies, timeout_s: float) -> None:
        self._index = index
        self._growth = growth
        self._spill = spill
        self._copies = copies
        self._timeout_s = timeout_s
        self.wants: dict[Key, Want] = {}
        """In order of arrival."""

    def ask(self, want: Want) -> None:
        """Somebody waits for room from now on."""
        want.noted = self._index.log.began(WAIT, sum(want.sizes()), want.oid, who=want.client)
        self.wants[want.key] = want

    def drop(self, key: Key, failed: str = "") -> None:
        """Nobody waits for this any more; ``failed``: because it came to nothing."""
        self._index.log.ended(self.wants.pop(key).noted, failed)

    def forget(self, client: str) -> None:
        """A client is gone."""
        for key in [key for key in self.wants if key[0] == client]:
            self.drop(key, "the process died")

    def serve(self, now: float, give: Callable[[Want, list[Grant]], None]) -> list[Any]:
        """Meet what can be met: each is given what it wanted, one after the other. Returns what else to do."""
        effects: list[Any] = []
        any_served = False
        for want in list(self.wants.values()):
            if want.key not in self.wants:
                continue
            grants = self._take(want, now, effects)
            if grants is not None:
                self.drop(want.key)
                give(want, grants)
                any_served = True
            elif now - want.since >= PASSING_S:
                break
        return effects + self._growth.ahead() if any_served else effects

    def late(self, now: float) -> list[Want]:
        """Give up those that have waited for too long."""
        late = [want for want in self.wants.values() if now - want.since >= self._timeout_s]
        for want in late:
            self.drop(want.key, "the store stayed full")
        return late

    def refusal(self, size: int) -> str:
        """Why so much will never fit; empty if it may."""
        if self._spill.enabled or not self.is_too_large(size):
            return ""
        return too_large(size, self._growth.capacity_bytes)

    def is_too_large(self, size: int) -> bool:
        """Whether so much does not go into memory, were it empty."""
        return pages(size) > self._growth.capacity_bytes

    def _take(self, want: Want, now: float, effects: list[Any]) -> list[Grant] | None:
        grants: list[Grant] = []
        for size in want.sizes():
            grant = self._piece(want, size, now, effects)
            if grant is None:
                for taken in grants:
                    self._index.close(taken.number)
                return None
            grants.append(grant)
        return grants

    def _piece(self, want: Want, size: int, now: float, effects: list[Any]) -> Grant | None:
        """Rule 3."""
        least = min(size, want.least or size)
        for part in dict.fromkeys((size, least)):
            grant = self._index.grant(want.writer, part)
            if grant is not None:
                self._growth.used(grant.segment, grant.size)
                return grant
            more = self._growth.for_request(part, now)
            effects += more
            if more or self._growth.making is not None:
                return None
        beyond = self.is_too_large(least)
        if not beyond:
            effects += self._copies.make_room(size, now)
            grant = self._index.grant(want.writer, size) or self._index.grant(want.writer, least)
            if grant is not None or self._copies.asking(now):
                return grant
        if not self._spill.may_take(now - want.since, too_large=beyond):
            return None
        grant = self._index.grant(want.writer, size, on_disk=True)
        if grant is not None:
            self._spill.used(grant.segment)
        else:
            effects += self._spill.for_request(size, now)
        return grant
