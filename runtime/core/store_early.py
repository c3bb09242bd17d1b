"""Frees that come before the news of what they mean.

Rules
-----
1. An owner may free what it was told of before its writer has told the store. It says where that lies: what is sealed
   there is freed, and nothing else, for the object may be made again meanwhile, by the same writer even.
2. It may free what it was not told of: a copy in the memory of a dead client, which is freed when it is found there.
3. What can't come any more is forgotten: when the grant is closed in which it was to lie; for rule 2, when all grants
   are that were open then.
"""

from __future__ import annotations

from typing import Final

from raynb.runtime.core.store_index import Entry, StoreIndex

EARLY_FREES_MAX: Final = 100_000


class EarlyFrees:
    """See the module's rules."""

    def __init__(self, index: StoreIndex) -> None:
        self._index = index
        self._places: dict[tuple[bytes, str, int], tuple[str, int]] = {}
        """By object and place: who freed it, and the grant in which it lies."""
        self._anywhere: dict[bytes, tuple[str, int]] = {}
        """By object: who freed it, and the newest grant at that time."""

    def __len__(self) -> int:
        return len(self._places) + len(self._anywhere)

    def at(self, sender: str, oid: bytes, segment: str, offset: int) -> None:
        """Rule 1, if nothing has been sealed there yet."""
        grant = self._index.unsealed_at(segment, offset)
        if grant is not None:
            self._places[oid, segment, offset] = (sender, grant)
            if len(self._places) > EARLY_FREES_MAX:
                del self._places[next(iter(self._places))]

    def anywhere(self, sender: str, oid: bytes) -> None:
        """Rule 2."""
        self._anywhere.pop(oid, None)
        self._anywhere[oid] = (sender, self._index.last_grant)
        if len(self._anywhere) > EARLY_FREES_MAX:
            del self._anywhere[next(iter(self._anywhere))]

    def means(self, entry: Entry, *, found: bool) -> bool:
        """Whether what has just been sealed is free. ``found``: in the memory of a dead client."""
        early = self._places.pop((entry.oid, entry.segment, entry.offset), None)
        if early is None and found:
            early = self._anywhere.get(entry.oid)
        return early is not None and entry.owner in (early[0], "")

    def closed(self, number: int) -> None:
        """Rule 3: a grant is closed."""
        if self._places:
            for place in [place for place, (_, grant) in self._places.items() if grant == number]:
                del self._places[place]
        oldest = next(iter(self._index.grants), self._index.last_grant + 1)
        while self._anywhere:
            oid, (_, newest) = next(iter(self._anywhere.items()))
            if newest >= oldest:
                break
            del self._anywhere[oid]
