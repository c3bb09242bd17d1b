"""The event hub's memory of the nodes' stores: what was waited for, written to disk and fetched, and which objects were
there when.

Rules
-----
1. At most `EVENTS_MAX` events and `OBJECTS_MAX` objects that are gone are kept; what ended longest ago makes room. Of
   objects that are there `THERE_MAX` are kept, and no more are taken in beyond that. It is counted what is not kept.
2. An object is in a store from when it was complete until it was freed. Copies on several nodes are objects of their
   own here. Small values, which live with their owner, are not known.
3. What a dead node has not ended has failed, and what lay in its store is gone.

Times are wall-clock seconds, for display alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sized
from itertools import chain, islice
from typing import Any, Final

from msgspec import Struct

from raynb.runtime.core.gcs_effects import Say
from raynb.runtime.core.gcs_journal import Effects
from raynb.runtime.core.membership import Membership
from raynb.runtime.messages.events import FAILED, FINISHED, RUNNING
from raynb.runtime.messages.store_events import STORE_EVENT_KINDS, StoredObjects, StoreEvents
from raynb.runtime.messages.values import ValueKind

EVENTS_MAX: Final = 20_000
OBJECTS_MAX: Final = 20_000
THERE_MAX: Final = 50_000


class MalformedEvents(ValueError):
    """The columns don't fit together."""


class StoreEvent(Struct):
    """Something that happened in the store of ``node``; ``ended`` is 0 while it lasts."""

    node: bytes
    number: int
    kind: int
    state: int
    oid: bytes
    size: int
    other: str
    who: str
    started: float
    ended: float


class Stay(Struct):
    """An object in the store of ``node``; ``freed`` is 0 while it is there."""

    oid: bytes
    node: bytes
    size: int
    owner: str
    note: str
    kind: ValueKind | None
    on_disk: bool
    made: float
    freed: float = 0.0


class StoreHistory:
    """See the module's rules. ``members``: nobody but their node managers is listened to."""

    def __init__(self, members: Membership) -> None:
        self._members = members
        self.begun_ever = 0
        """Events that were told of while they lasted."""
        self.open: dict[tuple[bytes, int], StoreEvent] = {}
        self.over: deque[StoreEvent] = deque()
        self.began = self.last = 0.0
        """When the first event that was told of began, and when the last one ended; 0: none has."""
        self.let_go = 0
        """Events that are not kept any more."""
        self._dropped: dict[bytes, int] = {}
        self._there: dict[bytes, dict[bytes, Stay]] = {}
        """By object and node."""
        self._there_count = 0
        self._gone: deque[Stay] = deque()
        self._forgotten = 0
        self._forgotten_until = 0.0
        self._refused = 0
        self._texts: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<StoreHistory {len(self.over)} events, {self._there_count} objects there, {len(self._gone)} gone>"

    # -- news

    def handlers(self, wall_of: Callable[[float], float]) -> dict[type, Callable[[str, Any, float], Effects]]:
        """For the GCS's door; ``wall_of`` makes its time wall-clock time."""

        def take(sender: str, message: StoreEvents | StoredObjects, now: float) -> Effects:
            node = self._members.by_manager(sender)
            if node is None:
                return []
            try:
                if isinstance(message, StoreEvents):
                    self.take_events(node.id, message)
                else:
                    self.take_objects(node.id, message, wall_of(now))
            except MalformedEvents as error:
                return [Say("warning", f"{sender} sent news of its store that can't be: {error}")]
            return []

        return {StoreEvents: take, StoredObjects: take}

    def take_events(self, node: bytes, rows: StoreEvents) -> None:
        """Take in what a node manager tells.

        Raises
        ------
        MalformedEvents
            Nothing was taken in.
        """
        _check_lengths(rows.numbers, rows.kinds, rows.states, rows.objects, rows.sizes, rows.others, rows.who)
        _check_lengths(rows.numbers, rows.started, rows.ended)
        if rows.kinds and (max(rows.kinds) >= len(STORE_EVENT_KINDS) or max(rows.states) > FAILED):
            raise MalformedEvents("a kind or a state that does not exist")
        self._dropped[node] = rows.dropped
        columns = zip(
            rows.numbers, rows.kinds, rows.states, rows.objects, rows.sizes, rows.others, rows.who,
            rows.started, rows.ended, strict=True,
        )  # fmt: skip
        for number, *rest in columns:
            self.open.pop((node, number), None)
            event = StoreEvent(node, number, *rest)
            self.began = min(self.began or event.started, event.started)
            if event.state == RUNNING:
                self.open[node, number] = event
                self.begun_ever += 1
            else:
                self._end(event)

    def _end(self, event: StoreEvent) -> None:
        self.over.append(event)
        self.last = max(self.last, event.ended)
        if len(self.over) > EVENTS_MAX:
            self.over.popleft()
            self.let_go += 1

    def take_objects(self, node: bytes, rows: StoredObjects, wall: float) -> None:
        """Take in which objects have come and gone."""
        _check_lengths(rows.made, rows.at, rows.sizes, rows.owners, rows.notes, rows.kinds, rows.on_disk)
        _check_lengths(rows.freed, rows.freed_at)
        texts = [self._texts.setdefault(text, text) for text in rows.texts]
        if any(not 0 <= position < len(texts) for position in (*rows.owners, *rows.notes)):
            raise MalformedEvents("a text that is not there")
        if rows.reset:
            here = set(rows.made)
            for oid in [oid for oid, stays in self._there.items() if node in stays and oid not in here]:
                self._leave(node, oid, wall)
        columns = zip(rows.made, rows.at, rows.sizes, rows.owners, rows.notes, rows.kinds, rows.on_disk, strict=True)
        for oid, at, size, owner, note, kind, on_disk in columns:
            stays = self._there.get(oid)
            if stays is not None and node in stays:
                continue
            if self._there_count >= THERE_MAX:
                self._refused += 1
                continue
            self._there.setdefault(oid, {})[node] = Stay(
                oid, node, size, texts[owner], texts[note], kind, bool(on_disk), at
            )
            self._there_count += 1
        for oid, at in zip(rows.freed, rows.freed_at, strict=True):
            self._leave(node, oid, at)

    def _leave(self, node: bytes, oid: bytes, at: float) -> None:
        stays = self._there.get(oid)
        stay = stays.pop(node, None) if stays is not None else None
        if stays is None or stay is None:
            return
        if not stays:
            del self._there[oid]
        self._there_count -= 1
        stay.freed = max(at, stay.made)
        self._gone.append(stay)
        if len(self._gone) > OBJECTS_MAX:
            oldest = self._gone.popleft()
            self._forgotten += 1
            self._forgotten_until = max(self._forgotten_until, oldest.freed)

    def node_died(self, node: bytes, wall: float) -> None:
        """See rule 3."""
        for key in [key for key in self.open if key[0] == node]:
            event = self.open.pop(key)
            event.state, event.ended, event.who = FAILED, wall, "the node died"
            self._end(event)
        for oid in [oid for oid, stays in self._there.items() if node in stays]:
            self._leave(node, oid, wall)

    # -- questions

    @property
    def ended_ever(self) -> int:
        """Events that have ended, whether they are kept or not."""
        return self.let_go + len(self.over)

    def ended_last(self, count: int) -> Iterator[StoreEvent]:
        """Those that ended last, the last first."""
        return islice(reversed(self.over), count)

    @property
    def dropped(self) -> int:
        """Events that were told of by nobody, or are not kept."""
        return self.let_go + sum(self._dropped.values())

    def objects_at(self, wall: float) -> Iterator[Stay]:
        """What lay in the stores at a moment, as far as it is kept."""
        for stay in self.stays():
            if stay.made <= wall and (not stay.freed or wall < stay.freed):
                yield stay

    def stays(self) -> Iterator[Stay]:
        """All objects that are kept, of now and of before."""
        return chain(self._gone, (stay for stays in self._there.values() for stay in stays.values()))

    def not_kept(self, wall: float) -> int:
        """How many objects may be missing of a moment, at most."""
        return self._refused + (self._forgotten if wall < self._forgotten_until else 0)

    def places(self, oid: bytes) -> list[Stay]:
        """Where an object is now."""
        return list(self._there.get(oid, {}).values())

    def statistics(self) -> dict[str, int]:
        """Counts for tests."""
        return {
            "open": len(self.open),
            "over": len(self.over),
            "dropped": self.dropped,
            "there": self._there_count,
            "gone": len(self._gone),
            "forgotten": self._forgotten + self._refused,
        }

    def check(self) -> None:
        """The invariants."""
        assert self._there_count == sum(map(len, self._there.values())) <= THERE_MAX
        assert len(self.over) <= EVENTS_MAX and len(self._gone) <= OBJECTS_MAX
        assert all(event.state >= FINISHED for event in self.over)
        assert all(event.state == RUNNING for event in self.open.values())


def _check_lengths(first: Sized, *others: Sized) -> None:
    if any(len(other) != len(first) for other in others):
        raise MalformedEvents("columns of different lengths")
